/* rpc: the protocol, without a transport: bytes of one message in, bytes of messages out.
 *
 * Serves clients that shake hands (2024-11-05 to 2025-11-25) and clients that do not (2026-07-28) in one conversation:
 * each request says by its own form which it is. What a tool does, is the host's business (struct rpc_host). */
#ifndef MCP_RPC_H
#define MCP_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RPC_MESSAGE_MAX (8u << 20) /* bytes of one message that comes in */
#define RPC_LISTENERS   16         /* open subscriptions of one conversation */

enum {
    RPC_PARSE = -32700,
    RPC_INVALID = -32600,
    RPC_METHOD = -32601,
    RPC_PARAMS = -32602,
    RPC_INTERNAL = -32603,
    RPC_NO_RESOURCE = -32002, /* with the handshake only */
    RPC_VERSION = -32022,
};

struct rpc;
struct rpc_method;

/* One request that waits for its answer. It belongs to the conversation; whoever works on it hangs his state on it. */
struct rpc_call {
    struct rpc *rpc;
    const struct rpc_method *method;
    char *id;         /* as it came */
    json_t *id_value; /* NULL: a number too large to be read */
    json_t *progress; /* the client's token; NULL: it does not want to hear */
    bool modern;      /* 2026-07-28 */
    bool resource;    /* what fails is an error, not a tool's result */
    bool listens;     /* a subscription: answered at the end */
    void *work;       /* the host's; NULL: nothing runs */
    struct rpc_call *next, *before;
};

/* Who does the work. Each of these answers the call, at once or later, by rpc_result() or rpc_error(). */
struct rpc_host {
    void *ctx;
    const char *instructions;
    size_t page;                     /* entries in one page of a list */
    json_t *tools, *templates;       /* arrays */
    json_t *(*resources)(void *ctx); /* a new array */
    void (*call_tool)(void *ctx, struct rpc_call *c, const char *name, json_t *arguments);
    void (*read_resource)(void *ctx, struct rpc_call *c, const char *uri);
    void (*cancel)(void *ctx, struct rpc_call *c); /* end the work; the call is gone afterwards */
};

/* Where answers go: one message, without a line end. */
typedef void rpc_send(void *ctx, const char *text, size_t len);

struct rpc *rpc_new(const struct rpc_host *host, rpc_send *send, void *ctx); /* NULL: no memory */

/* Takes one message; its bytes are overwritten. */
void rpc_take(struct rpc *r, char *text, size_t len);

/* A message that was longer than RPC_MESSAGE_MAX and was thrown away. */
void rpc_too_long(struct rpc *r);

/* The client is gone: ends all work that it started, closes its subscriptions. */
void rpc_close(struct rpc *r);

/* How many requests wait for an answer, subscriptions not counted. */
size_t rpc_pending(const struct rpc *r);

/* Ends the call. `result` and `data` are taken over; a NULL result is an internal error. */
void rpc_result(struct rpc_call *c, json_t *result);
void rpc_error(struct rpc_call *c, int code, json_t *data, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A text without a zero byte, which would end it for us and not for others; else NULL. */
const char *rpc_text(const json_t *value);

/* `progress` must rise from one to the next. Says nothing where nobody asked. */
void rpc_progress(struct rpc_call *c, double progress, const char *message);

#endif
