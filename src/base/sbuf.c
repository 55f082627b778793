/* sbuf: text built in memory that the caller owns.
 *
 * Lives in: every process, the cloned child included. Trusts: the caller's struct.
 * May: write within [text, text + size). Must not: allocate, do I/O.
 *
 * Once something did not fit, nothing more is appended: a text with its end missing is honest, one with a
 * hole is not. */
#include "base/sbuf.h"
#include "base/err.h"
#include "base/utf8.h"
#include <stdio.h>
#include <string.h>

enum { FEW = 24 };

/* Bytes that may still be appended, the NUL not counted. */
static size_t space(const struct sbuf *b)
{
    CHECK(b->size > 0 && b->len < b->size);
    return b->full ? 0 : b->size - 1 - b->len;
}

/* All of it or nothing. */
static void append_whole(struct sbuf *b, const char *p, size_t n)
{
    if (n > space(b)) {
        b->full = true;
        return;
    }
    char *to = b->text + b->len;
    if (n < FEW) { /* musl's memcpy() takes longer to begin than this does for a word */
        for (size_t i = 0; i < n; i++)
            to[i] = p[i];
    } else {
        memcpy(to, p, n);
    }
    b->len += n;
    b->text[b->len] = '\0';
}

void sbuf_char(struct sbuf *b, char c)
{
    if (space(b) == 0) {
        b->full = true;
        return;
    }
    b->text[b->len++] = c;
    b->text[b->len] = '\0';
}

void sbuf_text(struct sbuf *b, const char *s)
{
    sbuf_bytes(b, s, strlen(s));
}

void sbuf_bytes(struct sbuf *b, const void *p, size_t n)
{
    size_t fits = space(b);
    bool cut = n > fits;

    if (n == 0)
        return;
    append_whole(b, p, cut ? fits : n);
    b->full |= cut;
}

void sbuf_fmt(struct sbuf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    sbuf_vfmt(b, fmt, ap);
    va_end(ap);
}

void sbuf_vfmt(struct sbuf *b, const char *fmt, va_list ap)
{
    size_t fits = space(b);
    int n;

    if (b->full)
        return;
    n = vsnprintf(b->text + b->len, fits + 1, fmt, ap);
    if (n < 0) {
        b->text[b->len] = '\0';
        b->full = true;
    } else if ((size_t)n > fits) {
        b->len += fits;
        b->full = true;
    } else {
        b->len += (size_t)n;
    }
}

static size_t escape_byte(char *out, char c)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char byte = (unsigned char)c;

    out[0] = '\\';
    if (c == '\n' || c == '\t' || c == '\r') {
        out[1] = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
        return 2;
    }
    out[1] = 'x';
    out[2] = hex[byte >> 4];
    out[3] = hex[byte & 15];
    return 4;
}

void sbuf_escaped(struct sbuf *b, const char *s)
{
    size_t left = strlen(s);

    while (left && !b->full) {
        uint32_t code = 0;
        unsigned n = utf8_next(s, left, &code);
        unsigned take = n ? n : 1;
        char out[4 * 4];
        size_t len = 0;

        if (code == '\\' && n) {
            append_whole(b, "\\\\", 2);
        } else if (n && !utf8_unsafe(code)) {
            append_whole(b, s, n);
        } else {
            for (unsigned i = 0; i < take; i++)
                len += escape_byte(out + len, s[i]);
            append_whole(b, out, len);
        }
        s += take;
        left -= take;
    }
}
