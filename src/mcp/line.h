/* line: the first look at one message, before any parser sees it: how deep it nests, and where its id stands.
 *
 * An id is echoed exactly as it came, so it is cut out as bytes instead of being read as a number. */
#ifndef MCP_LINE_H
#define MCP_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_DEPTH_MAX 64   /* brackets within brackets */
#define LINE_ID_MAX    1024 /* bytes of an id as it stands in the message */

struct line_facts {
    bool has_id;
    size_t id_at, id_len; /* the value of the outermost object's member "id" */
};

/* Not a check of the whole: what is no JSON is found by the parser. 0, or -E2BIG when it nests too deeply. */
int line_scan(const char *s, size_t n, struct line_facts *ret);

/* Whether these bytes are a JSON integer or the start of a JSON string, and not too long. */
bool line_id_ok(const char *id, size_t n);

#endif
