/* inherited: what the caller's own bounds on a process (ulimit) mean for a room, told before there is one. */
#ifndef ENGINE_INHERITED_H
#define ENGINE_INHERITED_H

#include "base/err.h"
#include "room/plan.h"

/* Raises our own bound of open files as far as we may, up to what rooms with many mounts need. The room's programs get
 * theirs from the policy. -EINVAL: processes of ours could not even begin. */
int inherited_begin(struct err *e);

/* Could what the program writes into a workspace be kept? -EFBIG, -ENOMEM: not for certain. */
int inherited_check_workspaces(const struct room_plan *plan, struct err *e);

/* The hint for an error that such a bound causes, where there is none yet. */
void inherited_hint(struct err *e);

#endif
