/* sbuf: a text being built in memory that the caller owns. Never allocates, never overflows: what does not
 * fit is dropped, with all that is appended later, and `full` says so; the text is always NUL-terminated. */
#ifndef BASE_SBUF_H
#define BASE_SBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct sbuf {
    char *text;
    size_t size; /* of the memory, NUL included; at least 1 */
    size_t len;
    bool full; /* something was dropped */
};

/* An empty text in a char array; also sets its first byte to NUL. */
#define SBUF(array) ((struct sbuf){.text = ((array)[0] = '\0', (array)), .size = sizeof(array)})

void sbuf_char(struct sbuf *b, char c);
void sbuf_text(struct sbuf *b, const char *s);
void sbuf_bytes(struct sbuf *b, const void *p, size_t n);
void sbuf_fmt(struct sbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sbuf_vfmt(struct sbuf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Appends s with control characters, backslashes and bytes that are not well-formed UTF-8 written as \n, \t,
 * \r, \\ or \xNN: safe to show on a terminal, on one line. What utf8_unsafe() names (bidirectional controls,
 * line separators, …) counts as a control. Cut only between characters, never within an escape. */
void sbuf_escaped(struct sbuf *b, const char *s);

#endif
