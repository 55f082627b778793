/* trial: a room in a process of its own, for whoever makes more than one (engine_run() is once per process)
 * or wants to look at a room without becoming its supervisor: `doctor`, `selftest`. */
#ifndef ENGINE_TRIAL_H
#define ENGINE_TRIAL_H

#include "engine/result.h"
#include "policy/policy.h"
#include <sys/types.h>

struct trial {
    pid_t pid; /* the supervisor's, 0: none */
    struct trial_page *page;
};

struct trial_end {
    bool ended; /* by itself; false: it died or had to be killed, and nothing else here is meant */
    int exit_status;
    struct err e; /* kind ERR_NONE: a room existed */
    struct result result;
};

/* Starts a supervisor whose stdin, stdout and stderr are the given descriptors (-1: /dev/null). `prepare`
 * (may be NULL) is called in it before anything else. Nothing else is closed on the way: what the caller
 * leaves open is what the room has to keep out. -errno. */
int trial_start(struct trial *t, const struct policy *p, char **argv, const int stdio[3],
                void (*prepare)(void *), void *arg);

/* Waits for at most `ms`, then kills the supervisor (the room dies with it). Frees what the trial holds. */
void trial_finish(struct trial *t, unsigned ms, struct trial_end *ret);

#endif
