/* tools: what a model may call. One row for each tool and for each argument: from them come the schemas that the client
 * sees and the check of what it sends. */
#ifndef MCP_TOOLS_H
#define MCP_TOOLS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct server;
struct rpc_call;

enum tool_type { TYPE_TEXT, TYPE_NUMBER, TYPE_BOOL, TYPE_LIST, TYPE_PAIRS };

/* The largest value is this server's, where `max` says so. */
enum { MAX_TIMEOUT = -1, MAX_MEMORY = -2, MAX_LIFETIME = -3 };

struct tool_arg {
    const char *name;
    enum tool_type type;
    bool required;
    int64_t min, max;  /* of a number; of a text: its length in bytes */
    const char *words; /* "a|b|c": what a text may be; NULL: anything */
    const char *help;
};

enum tool_flag {
    TOOL_READS = 1,      /* changes nothing */
    TOOL_DESTROYS = 2,   /* what it does away with does not come back */
    TOOL_IDEMPOTENT = 4, /* twice is like once */
    TOOL_OPEN_WORLD = 8, /* reaches what the server's policy lets rooms reach */
};

/* Arguments have been checked. Answers at once or later: tool_done(), tool_failed(). */
typedef void tool_fn(struct server *s, struct rpc_call *c, const json_t *args);

#define TOOL_ARGS_MAX 10

struct tool {
    const char *name, *title, *help;
    unsigned flags;
    const char *output; /* schema of the result, JSON with ' for " */
    tool_fn *run;
    struct tool_arg args[TOOL_ARGS_MAX]; /* to the first without a name */
};
extern const struct tool tools[];
extern const size_t tool_count;

/* The definitions for tools/list. NULL: no memory. */
json_t *tools_definitions(const struct server *s);

void tools_call(struct server *s, struct rpc_call *c, const char *name, const json_t *args);

/* The tool's result; `value` is taken over. */
void tool_done(struct rpc_call *c, json_t *value);

/* The same with more parts of its content (an array, taken over). */
void tool_done_with(struct rpc_call *c, json_t *value, json_t *more);

/* What went wrong and how to go on, for the model. */
void tool_failed(struct rpc_call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Of checked arguments. */
const char *tool_text(const json_t *args, const char *name, size_t *ret_len); /* NULL: not given */
int64_t tool_number(const json_t *args, const char *name, int64_t otherwise);
bool tool_bool(const json_t *args, const char *name, bool otherwise);

#endif
