/* wall_inner: what the files with probes share. */
#ifndef PROBE_WALL_INNER_H
#define PROBE_WALL_INNER_H

#include "probe/wall.h"

typedef void wall_fn(const struct wall_ask *a, struct wall_verdict *v);

void wall_held(struct wall_verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void wall_broke(struct wall_verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void wall_skip(struct wall_verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A list of things of which none may succeed: names what did, and gives the verdict at the end. */
struct wall_tries {
    unsigned tried, broken;
    char names[150];
};
void wall_tried(struct wall_tries *t, bool broke, const char *name);
void wall_sum(struct wall_verdict *v, const struct wall_tries *t, const char *broke, const char *held);

wall_fn wall_user_own, wall_user_map, wall_pid_own, wall_pid_signal, wall_pid_list, wall_mount_own,
    wall_mount_list, wall_mount_calls, wall_net_own, wall_net_devices, wall_net_route, wall_net_listener,
    wall_net_abstract, wall_net_families, wall_ipc_own, wall_ipc_calls, wall_uts_own, wall_uts_set,
    wall_cgroup_ns, wall_time_own, wall_root_write, wall_root_open, wall_root_flags, wall_root_places,
    wall_root_secrets, wall_proc_write, wall_proc_facts, wall_proc_kernel, wall_dev_list, wall_dev_make,
    wall_scratch_size, wall_scratch_flags, wall_caps_sets, wall_caps_regain, wall_nnp, wall_nesting,
    wall_seccomp_calls, wall_seccomp_foreign, wall_seccomp_ioctl, wall_landlock, wall_init_read,
    wall_session_own, wall_keyring, wall_env, wall_fds, wall_fds_stdio, wall_uids, wall_rlimits,
    wall_cgroup_tree, wall_init_trace, wall_canary_files, wall_canary_shm;

#endif
