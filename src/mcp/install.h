/* install: writes strongroom into the configuration of a client. */
#ifndef MCP_INSTALL_H
#define MCP_INSTALL_H

/* words: CLIENT "write"|"show" and the options of the server, NULL at the end. The exit status. */
int install_run(const char *program, char **words);

#endif
