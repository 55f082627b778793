/* engine: one room from request to result. Every door translates into a request and out of a result. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/result.h"
#include "policy/policy.h"
#include "room/plan.h"
#include <time.h>

#define ENGINE_REPLY_MAX (64u << 20)

struct engine_request {
    const struct policy *policy; /* checked; const for the whole run */
    char **argv;             /* the program and its arguments; NULL: a room without a program of its own */
    struct timespec started; /* CLOCK_MONOTONIC when the command began */
    /* The gate gives every name an address, so that the record has ports; it opens nothing more. */
    bool learns;
    bool opens;    /* with learns: it opens all that is public, too */
    bool asks;     /* on the terminal, about what no rule lists */
    bool explains; /* watch the files and peers that the program names: slower calls, fuller record */
    bool detached; /* nobody sits before it: its output is kept in logs, and its stdin is empty */
    /* Once, when the program runs, or the room, when it has none; may be NULL. */
    void (*on_started)(void *ctx);
    /* Once for each published port that the kernel chose, before there is a room: "ADDRESS:PORT leads to port N of the
     * room"; may be NULL. */
    void (*on_port)(void *ctx, const char *text);
    void *ctx;
    bool wants_record; /* somebody will read peaks, hash and the like: they are only gathered then */
    int reply_fd;      /* what the program writes to its stdin, a socket then, goes here; 0: nothing does */
    int events_fd; /* each decision of the gate goes here as a line of JSON when it is made; -1: nowhere. A pipe that is
                        * full loses lines, and the next line says how many */
};

/* Is there a terminal that a person sits at, and are we in its foreground? */
bool engine_can_ask(void);

/* Makes the plan only (--dry-run); it comes in zeroed. Its texts live as long as the process. */
int engine_plan(const struct engine_request *req, struct room_plan *plan, struct err *e);

/* `result` comes in zeroed (it is large, and static memory is born so). Runs the room to its end. 0 when a
 * room existed and has ended (the result says how); -errno with e filled when no room could be built or the
 * program could not be started: result->outcome is then NO_ROOM or NOT_RUN. Stdin, stdout and stderr of the
 * calling process are the program's. Changes the calling process's signal mask; to be called once, from a
 * single-threaded process. */
int engine_run(const struct engine_request *req, struct result *result, struct err *e);

/* Lays out the default room's files in `dir`, which must not exist yet: done when strongroom is built or installed, so
 * that a room needs one mount in the place of some fifty files of its own. -errno with e filled. */
int engine_write_skeleton(const char *dir, struct err *e);

/* After engine_run() refused for want of a cgroup (err kind ERR_LIMIT or the layer cgroup): starts the whole command
 * again inside a delegated systemd scope of the user's. Returns only when that is not possible: -errno, e filled. */
int engine_restart_in_scope(int argc, char **argv, struct err *e);

#endif
