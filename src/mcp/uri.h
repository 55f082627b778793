/* uri: a path within an address, and back. */
#ifndef MCP_URI_H
#define MCP_URI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* "BEFORE", the name with all but letters, digits and -._~ percent-encoded, "AFTER". NULL: no memory. */
json_t *uri_encode(const char *before, const char *name, size_t len, const char *after);

/* The path that `text` stands for, in at most `size` bytes with its NUL. false: it is none: half an escape, a zero
 * byte, a query or a fragment behind it, or too long. */
bool uri_decode(const char *text, char *out, size_t size);

#endif
