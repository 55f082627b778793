/* json: writes JSON into an sbuf. The writer keeps commas and nesting right by itself; strings may hold any
 * bytes (what is not UTF-8 becomes U+FFFD, so that the output is always valid JSON). */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/sbuf.h"
#include <stdint.h>

#define JSON_DEPTH_MAX 16

struct json {
    struct sbuf *out;
    unsigned depth;
    bool pretty; /* two-space indent and newlines */
    bool comma[JSON_DEPTH_MAX];
};

/* `key` is NULL inside arrays and at the top. */
void json_open(struct json *j, const char *key, char bracket);     /* '{' or '[' */
void json_close(struct json *j, char bracket);                     /* '}' or ']' */
void json_str(struct json *j, const char *key, const char *value); /* NULL value: null */
void json_num(struct json *j, const char *key, int64_t value);
void json_unum(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
