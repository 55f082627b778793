/* methods: what the protocol core answers, one row each. Internal to rpc.c and methods.c. */
#ifndef MCP_METHODS_H
#define MCP_METHODS_H

#include "mcp/rpc.h"

/* Finds the method, checks that this client's kind has it, and runs it. Ends or keeps the call. */
void method_run(struct rpc_call *c, const char *name, json_t *params);

/* What every result of 2026-07-28 carries. */
void method_dress(const struct rpc_method *m, json_t *result);

const struct rpc_host *rpc_host_of(const struct rpc_call *c);
void rpc_notify(struct rpc *r, const char *method, json_t *params); /* takes params over */

/* Marks the call as a subscription; false: there are too many. */
bool rpc_may_listen(struct rpc_call *c);

#endif
