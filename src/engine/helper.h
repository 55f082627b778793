/* helper: starts one of our own programs that are confined, with nothing of the caller's but a control socket. */
#ifndef ENGINE_HELPER_H
#define ENGINE_HELPER_H

#include "base/err.h"
#include <sys/types.h>

#define HELPER_CONTROL_FD 3 /* the socket's number in the program */
#define HELPER_HELD_MAX   2

/* `name` is the program ("strongroom-gate"). It dies with us. *ret_ctl is our end (SOCK_SEQPACKET). Whether the program
 * was there at all shows at the first frame: see helper_missing(). */
int helper_start(const char *name, int *ret_ctl, pid_t *ret_pid, struct err *e);

/* Opens the program that will be wanted later, when there is no more choice: this very file is started then, whatever
 * an upgrade has put in its place meanwhile. `name` is kept, and the file until we end; at most HELPER_HELD_MAX of
 * them. Error: it is not there. */
int helper_hold(const char *name, struct err *e);

/* Waits up to `ms` for its end, then ends it. */
void helper_end(pid_t *pid, unsigned ms);

/* The error of a program that ended before it said a word. */
int helper_missing(const char *name, struct err *e);

#endif
