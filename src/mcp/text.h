/* text: what a program printed, made safe to be shown: valid UTF-8, no control character but line feed and tab. */
#ifndef MCP_TEXT_H
#define MCP_TEXT_H

#include <jansson.h>
#include <stddef.h>

/* Appends at most `max` bytes of output made from p[0..n). Bytes that are not UTF-8 become U+FFFD; CR LF becomes LF;
 * other controls and what turns the direction of reading become \xNN or \uNNNN. Returns how many bytes of p were used:
 * whole characters only, so that the next piece can start there. `out` must have room for max. */
size_t text_clean(const char *p, size_t n, char *out, size_t max, size_t *ret_len);

/* The whole of p as a JSON string; what is longer than `max` when cleaned is cut. NULL: no memory. */
json_t *text_json(const char *p, size_t n, size_t max);

/* Any bytes in base64, as a JSON string. NULL: no memory. */
json_t *text_base64(const char *p, size_t n);

#endif
