/* head: the heads of HTTP/1 messages and the framing of their bodies, strictly.
 *
 * Theory of operation. What two programs may read in two ways is refused: bare line feeds, folded lines, blanks before
 * a colon, two Hosts, two lengths, a length beside chunks, codings other than chunked. So the server that gets these
 * very bytes sees the same requests, with the same names, as we do.
 *
 * Lives in: strongroom-gate, strongroom-intercept. Trusts: nothing. May: compute. Must not: allocate. */
#include "gate/head.h"

#include <errno.h>
#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_text(char c) /* of a value */
{
    return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t';
}

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EPROTO;
}

bool head_is(const char *bytes, struct head_part p, const char *word)
{
    if (strlen(word) != p.len)
        return false;
    for (size_t i = 0; i < p.len; i++) {
        if (lower(bytes[p.at + i]) != lower(word[i]))
            return false;
    }
    return true;
}

/* The bytes of a line without its end, from `at`. -EAGAIN, -EPROTO (a control character in it). */
static int line_length(const char *bytes, size_t size, size_t at)
{
    for (size_t i = at; i < size; i++) {
        if (bytes[i] == '\r') {
            if (i + 1 == size)
                return -EAGAIN;
            return bytes[i + 1] == '\n' ? (int)(i - at) : -EPROTO;
        }
        if (!is_text(bytes[i]))
            return -EPROTO;
    }
    return -EAGAIN;
}

static struct head_part trimmed(const char *bytes, size_t from, size_t to)
{
    while (from < to && (bytes[from] == ' ' || bytes[from] == '\t'))
        from++;
    while (to > from && (bytes[to - 1] == ' ' || bytes[to - 1] == '\t'))
        to--;
    return (struct head_part){.at = (uint32_t)from, .len = (uint32_t)(to - from)};
}

/* Is `word` one of the values of a list? A word ends at a slash too: "h2c", "websocket/13". */
static bool has_word(const char *bytes, struct head_part list, const char *word)
{
    size_t at = list.at, end = list.at + list.len;

    while (at < end) {
        const char *comma = memchr(bytes + at, ',', end - at);
        size_t stop = comma != NULL ? (size_t)(comma - bytes) : end;
        const char *slash = memchr(bytes + at, '/', stop - at);
        if (head_is(bytes, trimmed(bytes, at, slash != NULL ? (size_t)(slash - bytes) : stop), word))
            return true;
        at = stop + 1;
    }
    return false;
}

/* --- fields --- */

static int read_length(const char *bytes, struct head_part v, struct head *h, const char **why)
{
    uint64_t n = 0;

    if (h->has_length)
        return bad(why, "two lengths");
    if (v.len == 0 || v.len > 18)
        return bad(why, "a length that is no number");
    for (size_t i = 0; i < v.len; i++) {
        char c = bytes[v.at + i];
        if (c < '0' || c > '9')
            return bad(why, "a length that is no number");
        n = n * 10 + (uint64_t)(c - '0');
    }
    h->has_length = true;
    h->length = n;
    return 0;
}

static bool is_odd(const char *bytes, struct head_part name)
{
    static const char *const odd[] = {"x-http-method-override", "x-http-method", "x-method-override",
                                      "x-original-url",         "x-rewrite-url", "x-original-uri"};

    char plain[32]; /* many servers take `_` for `-` */

    if (name.len >= sizeof plain)
        return false;
    for (uint32_t i = 0; i < name.len; i++)
        plain[i] = bytes[name.at + i] == '_' ? '-' : bytes[name.at + i];
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        if (head_is(plain, (struct head_part){0, name.len}, odd[i]))
            return true;
    }
    return false;
}

static int read_field(const char *bytes, const struct head_field *f, struct head *h, const char **why)
{
    if (head_is(bytes, f->name, "host")) {
        if (h->has_host)
            return bad(why, "two Host fields");
        h->has_host = true;
        h->host = f->value;
    } else if (head_is(bytes, f->name, "content-length")) {
        return read_length(bytes, f->value, h, why);
    } else if (head_is(bytes, f->name, "transfer-encoding")) {
        if (h->chunked || !head_is(bytes, f->value, "chunked"))
            return bad(why, "a transfer coding other than chunked");
        h->chunked = true;
    } else if (head_is(bytes, f->name, "upgrade")) {
        h->upgrade = true;
        h->h2c = h->h2c || has_word(bytes, f->value, "h2c") || has_word(bytes, f->value, "h2") ||
                 has_word(bytes, f->value, "http") || has_word(bytes, f->value, "tls");
    } else if (head_is(bytes, f->name, "expect")) {
        h->expects = true;
        h->continues = h->continues || head_is(bytes, f->value, "100-continue");
    } else if (is_odd(bytes, f->name)) {
        h->odd = true;
    }
    return 0;
}

/* Splits one line that is known to be whole and free of control characters. */
static bool split_field(const char *bytes, size_t at, size_t len, struct head_field *ret)
{
    size_t n = 0;

    while (n < len && is_token(bytes[at + n]))
        n++;
    if (n == 0 || n == len || bytes[at + n] != ':')
        return false;
    ret->line = (struct head_part){.at = (uint32_t)at, .len = (uint32_t)len + 2};
    ret->name = (struct head_part){.at = (uint32_t)at, .len = (uint32_t)n};
    ret->value = trimmed(bytes, at + n + 1, at + len);
    return true;
}

static int read_fields(const char *bytes, size_t size, size_t at, struct head *h, const char **why)
{
    for (size_t lines = 0;; lines++) {
        struct head_field f;
        int len = line_length(bytes, size, at);
        if (len == -EAGAIN)
            return len;
        if (len < 0 || lines > HEAD_LINES)
            return bad(why, len < 0 ? "a control character in its head" : "too many fields");
        if (len == 0) {
            h->size = at + 2;
            break;
        }
        if (!split_field(bytes, at, (size_t)len, &f))
            return bad(why, "a line that is no field");
        int r = read_field(bytes, &f, h, why);
        if (r < 0)
            return r;
        at += (size_t)len + 2;
    }
    if (h->chunked && h->has_length)
        return bad(why, "a length beside chunks");
    if (h->chunked && h->minor == 0)
        return bad(why, "chunks in HTTP/1.0");
    return 0;
}

bool head_field(const char *bytes, const struct head *h, size_t *at, struct head_field *ret)
{
    if (*at == 0) { /* behind the first line */
        const char *first = memchr(bytes, '\n', h->size);
        *at = first != NULL ? (size_t)(first - bytes) + 1 : h->size;
    }
    int len = *at < h->size ? line_length(bytes, h->size, *at) : 0;
    if (len <= 0 || !split_field(bytes, *at, (size_t)len, ret))
        return false;
    *at += (size_t)len + 2;
    return true;
}

/* --- first lines --- */

static int version_of(const char *s, size_t len)
{
    if (len != 8 || memcmp(s, "HTTP/1.", 7) != 0 || (s[7] != '0' && s[7] != '1'))
        return -EPROTO;
    return s[7] - '0';
}

/* http://authority/path, or /path, or *. */
static int split_target(const char *bytes, struct head *h, const char **why)
{
    static const char *const schemes[] = {"http://", "https://"};
    const struct head_part t = h->target;

    if (t.len == 1 && bytes[t.at] == '*') {
        h->path = t;
        return 0;
    }
    if (bytes[t.at] == '/') {
        h->path = t;
        return 0;
    }
    for (size_t i = 0; i < 2; i++) {
        uint32_t n = (uint32_t)strlen(schemes[i]);
        if (t.len <= n || !head_is(bytes, (struct head_part){t.at, n}, schemes[i]))
            continue;
        uint32_t len = 0;
        while (n + len < t.len && strchr("/?#", bytes[t.at + n + len]) == NULL)
            len++;
        h->has_authority = true;
        h->authority = (struct head_part){t.at + n, len};
        h->path = (struct head_part){t.at + n + len, t.len - n - len};
        return 0;
    }
    return bad(why, "a request for a tunnel, or for no path");
}

int head_request(const char *bytes, size_t size, struct head *ret, const char **ret_why)
{
    static const char http2[] = "PRI * HTTP/2.0\r\n";
    struct head h = {.size = 0};
    size_t n = 0;

    if (size > HEAD_MAX)
        size = HEAD_MAX;
    if (size >= 3 && memcmp(bytes, http2, size < sizeof http2 - 1 ? size : sizeof http2 - 1) == 0)
        return bad(ret_why, "HTTP/2 without TLS");
    while (n < size && is_token(bytes[n]))
        n++;
    if (n > 32 || (n < size && (n == 0 || bytes[n] != ' ')))
        return bad(ret_why, "no HTTP request");
    int len = line_length(bytes, size, 0);
    if (len == -EAGAIN)
        return size == HEAD_MAX ? bad(ret_why, "a head that is too long") : len;
    if (len < 0 || len < (int)n + 1 + 1 + 1 + 8)
        return bad(ret_why, "no HTTP request");
    h.method = (struct head_part){0, (uint32_t)n};
    h.target = (struct head_part){(uint32_t)n + 1, (uint32_t)len - (uint32_t)n - 10};
    int version = version_of(bytes + len - 8, 8);
    if (version < 0 || bytes[len - 9] != ' ')
        return bad(ret_why, "no HTTP/1 request");
    h.minor = (uint8_t)version;
    if (memchr(bytes + h.target.at, ' ', h.target.len) != NULL ||
        memchr(bytes + h.target.at, '\t', h.target.len) != NULL)
        return bad(ret_why, "a blank in its path");
    int r = split_target(bytes, &h, ret_why);
    if (r == 0)
        r = read_fields(bytes, size, (size_t)len + 2, &h, ret_why);
    if (r < 0)
        return r == -EAGAIN && size == HEAD_MAX ? bad(ret_why, "a head that is too long") : r;
    *ret = h;
    return 0;
}

int head_response(const char *bytes, size_t size, struct head *ret, const char **ret_why)
{
    struct head h = {.size = 0};
    int len;

    if (size > HEAD_MAX)
        size = HEAD_MAX;
    if (size > 0 && memcmp(bytes, "HTTP/1.", size < 7 ? size : 7) != 0)
        return bad(ret_why, "an answer that is no HTTP/1");
    len = line_length(bytes, size, 0);
    if (len == -EAGAIN)
        return size == HEAD_MAX ? bad(ret_why, "an answer with too long a head") : len;
    if (len < 12 || version_of(bytes, 8) < 0 || bytes[8] != ' ' || (len > 12 && bytes[12] != ' '))
        return bad(ret_why, "an answer that is no HTTP/1");
    h.minor = (uint8_t)version_of(bytes, 8);
    for (int i = 9; i < 12; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return bad(ret_why, "an answer without a status");
        h.status = (uint16_t)(h.status * 10 + (bytes[i] - '0'));
    }
    if (h.status < 100 || h.status > 599)
        return bad(ret_why, "an answer without a status");
    int r = read_fields(bytes, size, (size_t)len + 2, &h, ret_why);
    if (r < 0)
        return r == -EAGAIN && size == HEAD_MAX ? bad(ret_why, "an answer with too long a head") : r;
    *ret = h;
    return 0;
}

/* --- chunks --- */

static int digit(char c)
{
    c = lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int head_chunk(const char *bytes, size_t size, bool first, size_t *ret_size, uint64_t *ret_length)
{
    size_t at = first ? 0 : 2, digits = 0;
    uint64_t n = 0;

    if (!first && ((size > 0 && bytes[0] != '\r') || (size > 1 && bytes[1] != '\n')))
        return -EPROTO;
    if (size < at)
        return -EAGAIN;
    if (size > CHUNK_LINE)
        size = CHUNK_LINE;
    for (; at + digits < size && digit(bytes[at + digits]) >= 0; digits++) {
        if (digits == 15)
            return -EPROTO;
        n = n << 4 | (uint64_t)digit(bytes[at + digits]);
    }
    if (at + digits == size)
        return size == CHUNK_LINE ? -EPROTO : -EAGAIN;
    if (digits == 0 || strchr("\r; \t", bytes[at + digits]) == NULL)
        return -EPROTO;
    int len = line_length(bytes, size, at + digits);
    if (len < 0)
        return len == -EAGAIN && size == CHUNK_LINE ? -EPROTO : len;
    *ret_size = at + digits + (size_t)len + 2;
    *ret_length = n;
    return 0;
}

int head_trailer(const char *bytes, size_t size, size_t *ret_size)
{
    struct head_field f;

    if (size > CHUNK_LINE)
        size = CHUNK_LINE;
    int len = line_length(bytes, size, 0);
    if (len < 0)
        return len == -EAGAIN && size == CHUNK_LINE ? -EPROTO : len;
    if (len > 0 && !split_field(bytes, 0, (size_t)len, &f))
        return -EPROTO;
    *ret_size = (size_t)len + 2;
    return 0;
}

enum head_steers head_trailer_steers(const char *bytes, size_t size)
{
    static const char *const steers[] = {
        "host", "content-length", "transfer-encoding", "upgrade", "connection", "te", "trailer", "expect"};
    struct head_field f;

    if (size < 2 || !split_field(bytes, 0, size - 2, &f))
        return HEAD_STEERS_NOT;
    for (size_t i = 0; i < sizeof steers / sizeof *steers; i++) {
        if (head_is(bytes, f.name, steers[i]))
            return HEAD_STEERS_MESSAGE;
    }
    return is_odd(bytes, f.name) ? HEAD_STEERS_ODD : HEAD_STEERS_NOT;
}
