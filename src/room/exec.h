/* exec: further programs in a room that runs. */
#ifndef ROOM_EXEC_H
#define ROOM_EXEC_H

#include "room/report.h"
#include "room/steps.h"
#include <sys/types.h>

#define EXEC_NOT_READY (-3) /* `item` of EXEC_FAILED: what it needs could not be made */
#define EXEC_MAX       64   /* programs at once, beside the room's own */

/* Makes a child of ours that starts the programs that `orders` brings, one after another, and adopts whatever they
 * leave behind (a reaper); it reports. `orders` stays the caller's. */
void exec_reaper(const struct room_plan *plan, const struct room_state *s, const struct command *c,
                 int orders);
void exec_signal(const struct command *c);
/* A child of ours was stopped, and not by us: if it is a reaper, it goes on. */
void exec_stopped(pid_t pid);
/* A child of ours ended: if it was a reaper, that is told. */
void exec_reaped(const struct room_plan *plan, pid_t pid);

#endif
