/* leaf_scope: a delegated cgroup from the user's systemd, for a rootless caller that has no writable one. */
#ifndef LIMITS_LEAF_SCOPE_H
#define LIMITS_LEAF_SCOPE_H

#include "base/err.h"
#include <stdbool.h>

#define LEAF_SCOPE_GUARD "STRONGROOM_IN_SCOPE" /* set in the environment of the program in its scope */

/* Is there a user's manager (systemd) that can be asked for one? */
bool leaf_scope_offered(void);

/* Starts the running program again, in its own pid, under `systemd-run --user --scope -p Delegate=yes`;
 * argv[0] is replaced by the program's real path. Does not return on success. -errno and a filled `e`:
 * -ENOENT no user manager or no systemd-run, -ELOOP we already are the program that was started so, -E2BIG,
 * or what execve said. When systemd-run itself fails later, its message and status are all that the caller
 * gets. */
int leaf_reexec_in_scope(int argc, char **argv, struct err *e);

#endif
