/* hook: a coding agent asks before it runs a command; the answer is the same command in a room. */
#ifndef MCP_HOOK_H
#define MCP_HOOK_H

/* words: "ask"|"allow", "rw"|"ro"|"none" and the options of run, NULL at the end. Reads the question from stdin, writes
 * the answer to stdout. The exit status: 2 refuses the command. */
int hook_run(const char *program, char **words);

#endif
