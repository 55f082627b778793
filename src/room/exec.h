/* exec: further programs in a room that runs. */
#ifndef ROOM_EXEC_H
#define ROOM_EXEC_H

#include "room/report.h"
#include "room/steps.h"
#include <sys/types.h>

#define EXEC_MAX       64         /* programs at once, beside the room's own */
#define EXEC_WORDS_MAX (2u << 20) /* bytes of a program's words */
#define EXEC_COUNT_MAX 8192u      /* words of one kind */

/* The memory file: this head, then `size` bytes of NUL-terminated strings in this order: working directory (empty: the
 * room's), `paths` candidates for execve, `args` words, `vars` environment words. */
struct exec_head {
    uint32_t size;
    uint32_t paths, args, vars;
};

/* What EXEC asks for, in a child of ours that adopts whatever the program leaves behind (a reaper); it reports. */
void exec_start(const struct room_plan *plan, const struct room_state *s, const struct command *c, int *fds,
                int n);
void exec_signal(const struct command *c);
/* A child of ours ended: if it was a reaper, that is told. */
void exec_reaped(const struct room_plan *plan, pid_t pid);

#endif
