/* base64: RFC 4648, section 4, three bytes at a time, so that nobody needs room for a whole text. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/* The four digits of the bytes that begin at p, of which there are n: up to three are taken. */
void base64_group(const char *p, size_t n, char ret[4]);

#endif
