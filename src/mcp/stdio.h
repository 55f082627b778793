/* stdio: the transport of one client: lines on stdin, lines on stdout. */
#ifndef MCP_STDIO_H
#define MCP_STDIO_H

#include "mcp/server.h"

/* Serves until stdin ends, then ends what it started. 0 or -errno. */
int stdio_serve(struct server *s);

#endif
