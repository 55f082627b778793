/* resource: resources/list, their templates, resources/read. */
#ifndef MCP_RESOURCE_H
#define MCP_RESOURCE_H

#include "mcp/rpc.h"

void resource_read(void *ctx, struct rpc_call *c, const char *uri);
json_t *resource_list(void *ctx);
json_t *resource_templates(void);

#endif
