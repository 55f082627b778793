/* text: UTF-8 and YAML forms of values, and the one shape that messages about a value have.
 *
 * Lives in: any process. Trusts: nothing of the text. May: write into the caller's buffer. Must not: allocate. */
#include "base/utf8.h"
#include "policy/inner.h"
#include <errno.h>
#include <stdint.h>
#include <string.h>

bool utf8_valid(const char *s, size_t len)
{
    uint32_t c;

    for (size_t i = 0; i < len;) {
        size_t n = (unsigned char)s[i] < 0x80 ? 1 : utf8_next(s + i, len - i, &c);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static bool plain_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("/._+@%=-:,", c);
}

/* Plain scalars only where no YAML reader can take them for anything but this text. */
static bool yaml_plain(const char *s)
{
    static const char *const words[] = {"null", "Null", "NULL", "true", "false", "yes", "no", "on", "off"};
    size_t len = strlen(s);

    if (len == 0 || strchr("%@+-:,=", s[0]) || s[len - 1] == ':')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!plain_char(s[i]))
            return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(s, words[i]) == 0)
            return false;
    return true;
}

/* utf8_unsafe() covers what could break a line; the byte-order mark and the two non-characters no YAML reader takes. */
static bool yaml_printable(uint32_t c)
{
    return !utf8_unsafe(c) && c != 0xfeff && c != 0xfffe && c != 0xffff;
}

void yaml_scalar(struct sbuf *out, const char *s)
{
    if (yaml_plain(s)) {
        sbuf_text(out, s);
        return;
    }
    size_t len = strlen(s);
    uint32_t c;

    sbuf_char(out, '"');
    for (size_t i = 0; i < len;) {
        size_t n = utf8_next(s + i, len - i, &c);
        if (n == 0) { /* policy_set lets none through; keep the text valid all the same */
            n = 1;
            c = 0xfffd;
        }
        if (c == '"' || c == '\\')
            sbuf_fmt(out, "\\%c", (char)c);
        else if (c == '\n')
            sbuf_text(out, "\\n");
        else if (yaml_printable(c))
            sbuf_bytes(out, s + i, n);
        else
            sbuf_fmt(out, c > 0xff ? "\\u%04x" : "\\x%02x", c);
        i += n;
    }
    sbuf_char(out, '"');
}

void origin_text(const struct origin *o, struct sbuf *out)
{
    if (!o->where)
        sbuf_text(out, "built in");
    else if (o->line)
        sbuf_fmt(out, "%s:%u", o->where, o->line);
    else
        sbuf_text(out, o->where);
}

bool origin_same(const struct origin *a, const struct origin *b)
{
    return a->source == b->source && a->where && b->where && strcmp(a->where, b->where) == 0;
}

enum err_kind source_err_kind(enum policy_source source)
{
    return source == SOURCE_FLAG ? ERR_USAGE : ERR_POLICY;
}

/* "--memory" on the command line, "file:3: memory" elsewhere. */
static void put_place(const struct policy *p, const struct field *f, struct sbuf *b)
{
    const struct origin *o = &p->arena->now;

    if (o->source == SOURCE_FLAG && o->line == 0) {
        sbuf_fmt(b, "--%s", f->name);
    } else {
        origin_text(o, b);
        sbuf_fmt(b, ": %s", f->name);
    }
}

int(field_bad)(const struct policy *p, const struct field *f, struct err *e, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    struct sbuf b = SBUF(text);
    va_list ap;

    put_place(p, f, &b);
    sbuf_text(&b, ": ");
    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
    return err_set(e, source_err_kind(p->arena->now.source), 0, "%s", b.text);
}

int(value_bad)(const struct policy *p, const struct field *f, const char *value, struct err *e,
               const char *fmt, ...)
{
    enum { SHOWN = 100 };
    char text[ERR_TEXT_MAX];
    struct sbuf b = SBUF(text);
    va_list ap;

    put_place(p, f, &b);
    if (strnlen(value, SHOWN + 1) > SHOWN)
        sbuf_fmt(&b, ": \"%.*s...\": ", SHOWN - 3, value);
    else
        sbuf_fmt(&b, ": \"%s\": ", value);
    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
    return err_set(e, source_err_kind(p->arena->now.source), 0, "%s", b.text);
}

static void end_line(struct sbuf *out, const struct origin *o, bool explain)
{
    if (explain) {
        char text[POLICY_PATH_MAX];
        struct sbuf b = SBUF(text);
        origin_text(o, &b);
        sbuf_text(out, "  # ");
        sbuf_escaped(out, b.text);
    }
    sbuf_char(out, '\n');
}

void show_line(const struct field *f, struct sbuf *out, const char *value, const struct origin *o,
               bool explain)
{
    sbuf_fmt(out, "%s: ", f->name);
    yaml_scalar(out, value);
    end_line(out, o, explain);
}

void show_item(struct sbuf *out, const char *value, const struct origin *o, bool explain)
{
    sbuf_text(out, "  - ");
    yaml_scalar(out, value);
    end_line(out, o, explain);
}

void note_fmt(const struct note_sink *n, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX], safe[ERR_TEXT_MAX];
    struct sbuf b = SBUF(text), s = SBUF(safe);
    va_list ap;

    if (!n->note)
        return;
    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
    sbuf_escaped(&s, b.text);
    n->note(n->ctx, safe);
}
