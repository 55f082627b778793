/* facts: what kind of host this is, as far as it decides what would mend a missing facility. Plain values;
 * the remedies (remedy.h) are a pure function of them, so that each situation can be tested on any machine.
 * */
#ifndef PROBE_FACTS_H
#define PROBE_FACTS_H

#include "base/sbuf.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Kernel switches that can stand in a room's way. X(id, sysctl name, path below /proc/sys) */
#define SYSCTL_TABLE(X)                                                                                      \
    X(USERNS_CLONE, "kernel.unprivileged_userns_clone", "kernel/unprivileged_userns_clone")                  \
    X(APPARMOR_USERNS, "kernel.apparmor_restrict_unprivileged_userns",                                       \
      "kernel/apparmor_restrict_unprivileged_userns")                                                        \
    X(MAX_USER, "user.max_user_namespaces", "user/max_user_namespaces")                                      \
    X(MAX_MNT, "user.max_mnt_namespaces", "user/max_mnt_namespaces")                                         \
    X(MAX_PID, "user.max_pid_namespaces", "user/max_pid_namespaces")                                         \
    X(MAX_NET, "user.max_net_namespaces", "user/max_net_namespaces")                                         \
    X(MAX_IPC, "user.max_ipc_namespaces", "user/max_ipc_namespaces")                                         \
    X(MAX_UTS, "user.max_uts_namespaces", "user/max_uts_namespaces")                                         \
    X(MAX_CGROUP, "user.max_cgroup_namespaces", "user/max_cgroup_namespaces")                                \
    X(MAX_TIME, "user.max_time_namespaces", "user/max_time_namespaces")

enum sysctl_id {
#define X(id, ...) SYSCTL_##id,
    SYSCTL_TABLE(X)
#undef X
        SYSCTL_COUNT
};

struct sysctl_row {
    const char *name, *path;
};
extern const struct sysctl_row sysctl_rows[SYSCTL_COUNT];

enum container { CONTAINER_NONE, CONTAINER_DOCKER, CONTAINER_PODMAN, CONTAINER_OTHER };

struct host_facts {
    char distro[32];      /* ID of os-release; "" when there is none */
    char distro_name[96]; /* PRETTY_NAME */
    char release[72];     /* of the kernel */
    unsigned kernel;      /* major * 1000 + minor */
    uid_t uid;            /* effective */
    uid_t other_uid;      /* as root: the user whose rooms are tried too (SUDO_UID, else nobody) */
    bool admin;           /* CAP_SYS_ADMIN is effective here */
    bool nested;          /* in a user namespace already */
    bool proc;            /* /proc is mounted and shows our own pid namespace */
    bool filtered;        /* an outer seccomp filter watches us */
    bool apparmor;        /* the module is on */
    bool apparmor_tools;  /* apparmor_parser is installed */
    bool systemd;         /* it manages this host */
    bool unified;         /* cgroup v2 only */
    enum container container;
    int64_t sysctls[SYSCTL_COUNT]; /* -1: this kernel has no such switch, or /proc is not there */
    bool user_manager;             /* systemd's manager of this user runs */
    unsigned delegated;            /* LEAF_HAS_* that it passes on */
    char exe[512];                 /* this program; "" when not known */
};

void facts_read(struct host_facts *ret);

/* One file of the form of os-release(5): takes ID and PRETTY_NAME, plain or in quotes. Pure. */
void facts_parse_release(const char *text, struct host_facts *ret);

/* "6.1.0-13-amd64" -> 6001; 0 when it is not of that form. Pure. */
unsigned facts_parse_kernel(const char *release);

#endif
