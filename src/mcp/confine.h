/* confine: what the server gives up before it reads the first byte of its client. */
#ifndef MCP_CONFINE_H
#define MCP_CONFINE_H

/* 0, or -errno with *ret_what saying which wall could not be raised. */
int server_confine(const char **ret_what);
/* Its two halves, for tests of what stands behind the list of system calls. */
int server_confine_walls(const char **ret_what);
int server_confine_calls(void);

#endif
