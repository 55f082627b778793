/* host: the kernel facilities that rooms are built from, one row each, and the trial of each.
 *
 * A facility is tried by using it as a room does, in a short-lived process of its own with a bounded time;
 * nothing is concluded from versions or configuration. */
#ifndef PROBE_HOST_H
#define PROBE_HOST_H

#include "policy/layer.h"
#include "policy/limit.h"
#include "probe/facts.h"
#include <stdint.h>

/* What the facility is for a room. */
enum need {
    NEED_ROOM, /* without it there is no room, or only one whose required layers were given up with --prefer */
    NEED_WALLS, /* without it a room is weaker, and its receipt says so */
    NEED_LATER, /* no room of today uses it: told, never counted */
};

#define HOST_LAYER(id) (1ull << LAYER_ID_##id)
#define HOST_LIMIT(id) (1ull << LIMIT_ID_##id)

/* X(id, name, need, layers, limits, what is tried, what is lost without it) */
#define FACILITY_TABLE(X)                                                                                    \
    X(KERNEL, "kernel", ROOM, 0, 0, "its version", "kernels before 6.1 are not tested")                      \
    X(PROC, "proc", ROOM, HOST_LAYER(USER) | HOST_LAYER(UIDS), 0,                                            \
      "/proc shows this very process under its own number", "id maps cannot be written: no room")            \
    X(DEV, "dev", ROOM, HOST_LAYER(DEV), 0, "null zero full random urandom tty below /dev",                  \
      "the room's /dev cannot be made: no room")                                                             \
    X(CLONE3, "clone3", ROOM, HOST_LAYER(USER) | HOST_LAYER(PID), 0,                                         \
      "a process made by clone3 and reaped through its pidfd", "no room")                                    \
    X(USERNS, "user-ns", ROOM, HOST_LAYER(USER) | HOST_LAYER(CAPS) | HOST_LAYER(NESTING), 0,                 \
      "a user namespace in which the host name can be changed", "no room")                                   \
    X(USERS, "other-users", WALLS, 0, 0, "the same as an unprivileged user",                                 \
      "only root can make rooms on this host")                                                               \
    X(NS_MOUNT, "mount-ns", ROOM, HOST_LAYER(MOUNT) | HOST_LAYER(ROOT), 0, "a private mount namespace",      \
      "no room")                                                                                             \
    X(NS_PID, "pid-ns", ROOM, HOST_LAYER(PID) | HOST_LAYER(INIT), 0, "a process that is pid 1", "no room")   \
    X(NS_NET, "net-ns", ROOM, HOST_LAYER(NET), 0, "a network of its own, loopback switched on",              \
      "no room, but with --net host")                                                                        \
    X(NS_IPC, "ipc-ns", ROOM, HOST_LAYER(IPC), 0, "an IPC namespace", "no room")                             \
    X(NS_UTS, "uts-ns", ROOM, HOST_LAYER(UTS), 0, "a host name of its own", "no room")                       \
    X(NS_CGROUP, "cgroup-ns", WALLS, HOST_LAYER(CGROUP_NS), 0, "a cgroup namespace",                         \
      "the program can read the names of the host's cgroups")                                                \
    X(NS_TIME, "time-ns", WALLS, HOST_LAYER(TIME), 0, "a boot clock of its own",                             \
      "the program can read the host's uptime")                                                              \
    X(IDMAP, "id-map", WALLS, HOST_LAYER(UIDS), 0, "an id map, written and entered",                         \
      "rooms share the kernel uid of the one who starts them")                                               \
    X(MOUNT_API, "mount-api", ROOM, HOST_LAYER(MOUNT) | HOST_LAYER(ROOT), 0,                                 \
      "fsopen, fsmount, move_mount, open_tree, mount_setattr", "no room")                                    \
    X(PROC_MOUNT, "proc-mount", ROOM, HOST_LAYER(PROC), 0, "a fresh /proc in a pid namespace",               \
      "no room, but without /proc: --prefer proc")                                                           \
    X(DEVPTS, "devpts", ROOM, HOST_LAYER(DEV), 0, "a terminal of an own devpts", "no room")                  \
    X(TMPFS, "tmpfs", ROOM, HOST_LAYER(SCRATCH) | HOST_LAYER(ROOT), HOST_LIMIT(DISK) | HOST_LIMIT(INODES),   \
      "a tmpfs filled to its bounds of bytes and inodes", "no room")                                         \
    X(PIVOT, "pivot-root", ROOM, HOST_LAYER(MOUNT) | HOST_LAYER(ROOT), 0,                                    \
      "into a new root, the old one let go", "no room")                                                      \
    X(SECCOMP, "seccomp", ROOM, HOST_LAYER(SECCOMP), 0, "a filter that refuses one call", "no room")         \
    X(NOTIFY, "seccomp-notify", WALLS, HOST_LAYER(DENIALS), 0, "a refused call, asked for and answered",     \
      "refused system calls are not recorded")                                                               \
    X(LANDLOCK, "landlock", WALLS, HOST_LAYER(LANDLOCK), 0, "a file closed to the process itself",           \
      "files have one wall less")                                                                            \
    X(KEYRING, "keyring", WALLS, HOST_LAYER(KEYRING), 0, "a session keyring of its own",                     \
      "keyrings are behind the system-call filter only")                                                     \
    X(CGROUP, "cgroup", WALLS, HOST_LAYER(CGROUP), HOST_LIMIT(MEMORY) | HOST_LIMIT(CPUS) | HOST_LIMIT(PIDS), \
      "a leaf made, bounded and removed",                                                                    \
      "memory is sampled, processor time is a priority, pids are counted by rlimit; asked for, memory and "  \
      "cpus are errors where no systemd gives a scope")                                                      \
    X(RLIMITS, "rlimits", WALLS, 0,                                                                          \
      HOST_LIMIT(FILES) | HOST_LIMIT(PIDS) | HOST_LIMIT(FILE_SIZE) | HOST_LIMIT(CPU_TIME),                   \
      "hard limits of this process against the room's defaults",                                             \
      "rooms get the lower bound of this process")                                                           \
    X(HELPERS, "helpers", WALLS, 0, 0, "strongroom-policy, where it is looked for",                          \
      "policy files and profiles cannot be read")                                                            \
    X(OVERLAY, "overlay", LATER, 0, 0, "an overlay with userxattr in a user namespace",                      \
      "a reviewable copy of a folder will not be possible")                                                  \
    X(KVM, "kvm", LATER, 0, 0, "a virtual machine made", "a virtual machine as a room will not be possible")

enum facility {
#define X(id, ...) FACILITY_##id,
    FACILITY_TABLE(X)
#undef X
        FACILITY_COUNT
};

enum facility_state { FACILITY_OK, FACILITY_DEGRADED, FACILITY_MISSING, FACILITY_SKIPPED };

struct facility_row {
    const char *name;
    enum need need;
    uint64_t layers, limits; /* HOST_LAYER and HOST_LIMIT bits */
    const char *tried, *lost;
};
extern const struct facility_row facility_rows[FACILITY_COUNT];

struct facility_answer {
    enum facility_state state;
    int code; /* errno of what went wrong, 0 */
    char detail[224];
};

#define HOST_PROBE_MS 3000 /* a trial that takes longer counts as missing */

const char *facility_state_name(enum facility_state s);

/* Around several trials or rooms of one process: as the only member of its cgroup it may have to step aside
 * before leaves can be made (limits/leaf_find.h); its children then find the place ready, as a supervisor
 * that is alone would. */
void host_begin(void);
void host_end(void);

/* Tries one. Never fails: that a trial died or hung is an answer. */
void host_probe(enum facility id, const struct host_facts *h, struct facility_answer *ret);

#endif
