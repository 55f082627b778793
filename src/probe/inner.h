/* inner: what only the files of probe/ share. */
#ifndef PROBE_INNER_H
#define PROBE_INNER_H

#include "probe/host.h"

typedef void host_try(const struct host_facts *h, struct facility_answer *a);
extern host_try *const host_tries[FACILITY_COUNT];

void answer_ok(struct facility_answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* With ": <strerror>" unless the code is 0. */
void answer_not(struct facility_answer *a, enum facility_state state, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Makes the calling process the root of a new user namespace (only our own id is mapped, as root) with
 * `flags` more namespaces. -errno. A map that cannot be written is not an error: capabilities do not depend
 * on it. */
int host_enter(int flags);

host_try try_kernel, try_proc, try_dev, try_clone3, try_userns, try_users, try_ns_mount, try_ns_pid,
    try_ns_net, try_ns_ipc, try_ns_uts, try_ns_cgroup, try_ns_time, try_idmap, try_mount_api, try_proc_mount,
    try_devpts, try_tmpfs, try_pivot, try_seccomp, try_notify, try_landlock, try_keyring, try_cgroup,
    try_rlimits, try_helpers, try_overlay, try_kvm;

#endif
