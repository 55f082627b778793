/* utf8: one character at a time, strictly (RFC 3629: no overlong forms, no surrogates, nothing above
 * U+10FFFF). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes (1..4) of the well-formed character that starts at s, of which n bytes may be read; *ret_code is its
 * code point. 0 when there is none (n is 0, or the bytes are not UTF-8). */
unsigned utf8_next(const char *s, size_t n, uint32_t *ret_code);

/* Whether showing the code point could move the cursor, forge a line or turn the reading direction: C0 and C1
 * controls, DEL, line and paragraph separators (U+2028, U+2029), and the bidirectional controls (U+061C,
 * U+200E, U+200F, U+202A..202E, U+2066..2069). */
bool utf8_unsafe(uint32_t code);

#endif
