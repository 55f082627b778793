/* json: writes JSON (RFC 8259) into an sbuf.
 *
 * Lives in: every process that reports. Trusts: the caller's order of calls; nothing of the strings.
 * May: append to its sbuf. Must not: allocate, recurse, emit anything but valid UTF-8.
 *
 * Characters that could drive a terminal are written as \uNNNN: the value is the same, and a human may look
 * at it. */
#include "base/json.h"
#include "base/err.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <string.h>

static void write_newline(struct json *j)
{
    if (!j->pretty)
        return;
    static const char blanks[2 * JSON_DEPTH_MAX + 1] = {[0 ... 2 * JSON_DEPTH_MAX - 1] = ' '};
    sbuf_char(j->out, '\n');
    sbuf_bytes(j->out, blanks, 2 * (size_t)j->depth);
}

static void write_char(struct sbuf *out, const char *s, unsigned n, uint32_t code)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (size_t i = 0; shorts[i]; i += 2)
        if (code == (unsigned char)shorts[i]) {
            sbuf_char(out, '\\');
            sbuf_char(out, shorts[i + 1]);
            return;
        }
    if (utf8_unsafe(code))
        sbuf_fmt(out, "\\u%04" PRIx32, code); /* every unsafe one is below U+10000 */
    else
        sbuf_bytes(out, s, n);
}

/* How many bytes at the beginning are written as they are: most of most texts. */
static size_t plain_bytes(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && s[n] >= ' ' && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
        n++;
    return n;
}

static void write_string(struct sbuf *out, const char *s)
{
    size_t left = strlen(s);

    sbuf_char(out, '"');
    while (left && !out->full) {
        uint32_t code;
        const size_t plain = plain_bytes(s, left);
        sbuf_bytes(out, s, plain);
        s += plain;
        left -= plain;
        if (left == 0)
            break;
        unsigned n = utf8_next(s, left, &code);

        if (n)
            write_char(out, s, n, code);
        else
            sbuf_text(out, "\xef\xbf\xbd");
        n = n ? n : 1;
        s += n;
        left -= n;
    }
    sbuf_char(out, '"');
}

/* What stands before each value: comma, line, key. */
static void begin(struct json *j, const char *key)
{
    CHECK(j->depth < JSON_DEPTH_MAX);
    if (j->comma[j->depth])
        sbuf_char(j->out, ',');
    if (j->depth)
        write_newline(j);
    j->comma[j->depth] = true;
    if (key) {
        write_string(j->out, key);
        sbuf_text(j->out, j->pretty ? ": " : ":");
    }
}

void json_open(struct json *j, const char *key, char bracket)
{
    CHECK(bracket == '{' || bracket == '[');
    CHECK(j->depth + 1 < JSON_DEPTH_MAX);
    begin(j, key);
    sbuf_char(j->out, bracket);
    j->depth++;
    j->comma[j->depth] = false;
}

void json_close(struct json *j, char bracket)
{
    bool empty;

    CHECK(bracket == '}' || bracket == ']');
    CHECK(j->depth > 0 && j->depth < JSON_DEPTH_MAX);
    empty = !j->comma[j->depth];
    j->depth--;
    if (!empty)
        write_newline(j);
    sbuf_char(j->out, bracket);
}

void json_str(struct json *j, const char *key, const char *value)
{
    begin(j, key);
    if (value)
        write_string(j->out, value);
    else
        sbuf_text(j->out, "null");
}

void json_num(struct json *j, const char *key, int64_t value)
{
    begin(j, key);
    sbuf_fmt(j->out, "%" PRId64, value);
}

void json_unum(struct json *j, const char *key, uint64_t value)
{
    begin(j, key);
    sbuf_fmt(j->out, "%" PRIu64, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
    begin(j, key);
    sbuf_text(j->out, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
    json_str(j, key, NULL);
}
