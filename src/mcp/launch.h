/* launch: what the two processes of `strongroom mcp` say to each other over a socket of records: the one that speaks
 * with the client, confined, and the one that starts strongroom for it.
 *
 *   START  server -> launcher  begin job `id`; carries its words (sys/words.h; the arguments only), then stdin, stdout,
 *                              stderr, result and reply (enum job_file)
 *   ASK    server -> launcher  ask that job to end
 *   KILL   server -> launcher  end it by force
 *   ENDED  launcher -> server  once for each START: how it ended, or `code`: why it was not begun */
#ifndef MCP_LAUNCH_H
#define MCP_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#define LAUNCH_FILES 5   /* of one job: descriptors 0 to 4 of it */
#define LAUNCH_MAX   128 /* jobs at once */

enum launch_type { LAUNCH_START = 1, LAUNCH_ASK, LAUNCH_KILL, LAUNCH_ENDED };

struct launch_frame {
    uint32_t type;
    uint32_t id;
    int32_t wait_status;
    int32_t code; /* errno, positive */
};

/* What the user's command line lets the server ask for at most. */
struct launch_rules {
    const char *program;                      /* strongroom */
    char **user;                              /* the user's options, NULL at the end */
    int64_t timeout_s, memory_mb, lifetime_s; /* 0: no limit */
    bool prefers_memory, may_apply;
};

/* Is this a command line that the server may have run? Pure. */
bool launch_allowed(const struct launch_rules *r, char *const *argv);

/* Serves until the other side has gone; then no job is left. 0, or -errno. */
int launch_serve(const struct launch_rules *r, int sock);

#endif
