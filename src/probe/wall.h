/* wall: the probes of `strongroom selftest`: what a program inside a room can try against each of its walls.
 *
 * Most probes run inside: this very program, shown to the room as WALL_PROGRAM, is started there with
 * `selftest --inside SET KEY=VALUE…` and writes one line a probe on stdout. What only the host can judge (was
 * the room ended, is something left) is judged outside; such rows have no function. */
#ifndef PROBE_WALL_H
#define PROBE_WALL_H

#include "base/sbuf.h"
#include "policy/layer.h"
#include <stdbool.h>
#include <stdint.h>

#define WALL_PROGRAM "/run/selftest"

enum wall_severity { WALL_ESCAPE, WALL_LEAK, WALL_DOS, WALL_SURFACE, WALL_HYGIENE };
enum wall_state { WALL_SKIP, WALL_HELD, WALL_BROKE };

/* When a probe runs. */
enum wall_set {
    WALL_LOOK = 1,   /* looks and tries, harmless even without a room */
    WALL_ROOM = 2,   /* harmless, but only in a room */
    WALL_ATTACK = 4, /* only with --attack */
};

/* X(function or NULL, name, layer, severity, set, what is tried) */
#define WALL_TABLE(X)                                                                                        \
    X(wall_user_own, "user.own", USER, SURFACE, LOOK, "is the user namespace the host's")                    \
    X(wall_user_map, "user.map", USER, ESCAPE, LOOK, "is any id but one's own mapped")                       \
    X(wall_pid_own, "pid.own", PID, LEAK, LOOK, "is the process table the host's")                           \
    X(wall_pid_signal, "pid.signal", PID, ESCAPE, LOOK, "reach the supervisor with a signal")                \
    X(wall_pid_list, "pid.list", PID, LEAK, LOOK, "see processes of the host")                               \
    X(wall_mount_own, "mount.own", MOUNT, SURFACE, LOOK, "is the mount table the host's")                    \
    X(wall_mount_list, "mount.list", MOUNT, LEAK, LOOK, "read the mount table")                              \
    X(wall_mount_calls, "mount.calls", MOUNT, ESCAPE, LOOK, "mount, clone a tree, pivot, leave a chroot")    \
    X(wall_net_own, "net.own", NET, ESCAPE, LOOK, "is the network the host's")                               \
    X(wall_net_devices, "net.devices", NET, ESCAPE, LOOK, "find a device besides loopback")                  \
    X(wall_net_route, "net.route", NET, ESCAPE, LOOK, "find a route to anywhere")                            \
    X(wall_net_listener, "net.listener", NET, ESCAPE, LOOK, "reach a TCP service on the host's loopback")    \
    X(wall_net_abstract, "net.abstract", NET, ESCAPE, LOOK, "reach an abstract UNIX socket of the host")     \
    X(wall_net_families, "net.families", SECCOMP, SURFACE, LOOK, "open sockets of families never needed")    \
    X(wall_ipc_own, "ipc.own", IPC, LEAK, LOOK, "are the System V objects the host's")                       \
    X(wall_ipc_calls, "ipc.calls", IPC, SURFACE, LOOK, "make System V and POSIX objects")                    \
    X(wall_uts_own, "uts.own", UTS, LEAK, LOOK, "is the name the host's")                                    \
    X(wall_uts_set, "uts.set", UTS, SURFACE, LOOK, "set the name")                                           \
    X(wall_cgroup_ns, "cgroup-ns.own", CGROUP_NS, LEAK, LOOK, "read where in the cgroup tree we are")        \
    X(wall_time_own, "time.uptime", TIME, LEAK, LOOK, "read how long the host has been up")                  \
    X(wall_root_write, "root.write", ROOT, ESCAPE, LOOK, "make files in the system's folders")               \
    X(wall_root_open, "root.open", ROOT, ESCAPE, LOOK, "open files of the system for writing")               \
    X(wall_root_flags, "root.flags", ROOT, SURFACE, LOOK, "is the system mounted writable, suid or dev")     \
    X(wall_root_places, "root.places", ROOT, LEAK, LOOK, "list homes and other places of the host")          \
    X(wall_root_secrets, "root.secrets", ROOT, LEAK, LOOK, "read shadow files, keys, machine ids")           \
    X(wall_proc_write, "proc.write", PROC, ESCAPE, LOOK, "open the kernel's switches for writing")           \
    X(wall_proc_facts, "proc.facts", PROC, LEAK, LOOK, "read the host's boot id, command line, timers")      \
    X(wall_proc_kernel, "proc.kernel", PROC, LEAK, LOOK, "read kernel memory and its log")                   \
    X(wall_dev_list, "dev.list", DEV, SURFACE, LOOK, "find other devices than the harmless six")             \
    X(wall_dev_make, "dev.make", DEV, ESCAPE, LOOK, "make device nodes")                                     \
    X(wall_scratch_size, "scratch.size", SCRATCH, DOS, LOOK, "is the working folder without bounds")         \
    X(wall_scratch_flags, "scratch.flags", SCRATCH, SURFACE, LOOK, "does it honour set-user-ID and devices") \
    X(wall_caps_sets, "caps.sets", CAPS, ESCAPE, LOOK, "find a capability in any set")                       \
    X(wall_caps_regain, "caps.regain", CAPS, ESCAPE, LOOK, "become another user, raise a capability")        \
    X(wall_nnp, "no-new-privs.set", NNP, ESCAPE, LOOK, "could execve grant something")                       \
    X(wall_nesting, "nesting.make", NESTING, SURFACE, LOOK, "make user namespaces by three calls")           \
    X(wall_seccomp_calls, "seccomp.calls", SECCOMP, SURFACE, LOOK, "dangerous system calls, one by one")     \
    X(wall_seccomp_foreign, "seccomp.foreign", SECCOMP, SURFACE, LOOK, "the kernel's other ABIs")            \
    X(wall_seccomp_ioctl, "seccomp.ioctl", SECCOMP, ESCAPE, LOOK, "type into a terminal (TIOCSTI)")          \
    X(wall_landlock, "landlock.layer", LANDLOCK, SURFACE, LOOK, "count the Landlock layers still free")      \
    X(wall_init_read, "init.read", INIT, LEAK, ROOM, "read memory, environment and program of pid 1")        \
    X(wall_session_own, "session.own", SESSION, ESCAPE, LOOK, "find a controlling terminal")                 \
    X(wall_keyring, "keyring.calls", KEYRING, LEAK, LOOK, "use the session keyring")                         \
    X(wall_env, "env.secret", ENV, LEAK, LOOK, "find a secret of the caller's environment")                  \
    X(wall_fds, "fds.inherited", FDS, LEAK, LOOK, "find an inherited descriptor")                            \
    X(wall_fds_stdio, "fds.stdio", FDS, ESCAPE, LOOK, "is stdio a file of the caller's")                     \
    X(wall_uids, "uids.own", UIDS, SURFACE, LOOK, "is the kernel uid shared with the caller")                \
    X(wall_rlimits, "limits.process", CGROUP, DOS, LOOK, "are processes and files without bounds")           \
    X(wall_cgroup_tree, "cgroup.tree", CGROUP, ESCAPE, LOOK, "find the cgroup tree to leave it")             \
    X(NULL, "cgroup.leaf", CGROUP, DOS, ROOM, "is the room bounded as a whole")                              \
    X(NULL, "denials.record", DENIALS, HYGIENE, ROOM, "are refused calls missing from the record")           \
    X(NULL, "life.survivor", PID, ESCAPE, ROOM, "outlive the room: two forks, deaf, stopped, holding pipes") \
    X(NULL, "life.teardown", MOUNT, HYGIENE, ROOM, "leave mounts, cgroups or processes behind")              \
    X(wall_init_trace, "init.trace", INIT, ESCAPE, ATTACK, "trace pid 1, read and write its memory")         \
    X(wall_canary_files, "root.canaries", ROOT, LEAK, ATTACK, "open files planted in the caller's folders")  \
    X(wall_canary_shm, "ipc.canary", IPC, LEAK, ATTACK, "attach shared memory planted on the host")          \
    X(NULL, "attack.forks", CGROUP, DOS, ATTACK, "fork without end")                                         \
    X(NULL, "attack.memory", CGROUP, DOS, ATTACK, "touch memory without end")                                \
    X(NULL, "attack.disk", SCRATCH, DOS, ATTACK, "fill the writable folders")                                \
    X(NULL, "attack.inodes", SCRATCH, DOS, ATTACK, "make files without end")                                 \
    X(NULL, "attack.output", FDS, DOS, ATTACK, "write output without end")                                   \
    X(NULL, "attack.time", INIT, DOS, ATTACK, "run for ever, deaf to signals")                               \
    X(NULL, "attack.signals", PID, ESCAPE, ATTACK, "send every signal to everybody")                         \
    X(NULL, "attack.terminal", SESSION, ESCAPE, ATTACK, "type into the caller's terminal")

struct wall_row {
    const char *name;
    enum layer_id layer;
    enum wall_severity severity;
    enum wall_set set;
    const char *tried;
};
extern const struct wall_row wall_rows[];
extern const size_t wall_count;

const char *wall_severity_name(enum wall_severity s);
const struct wall_row *wall_find(const char *name, size_t len); /* NULL */

/* What the host tells a probe, so that it can compare. Strings live in argv; NULL: not told. */
struct wall_ask {
    const char *spaces[8]; /* the host's namespaces as readlink shows them, in the order of wall_spaces */
    const char *name, *boot_id, *home, *token;
    uint64_t uptime, supervisor, uid, port, shm_id;
    bool told_shm;
    const char *files[4]; /* planted */
    size_t file_count;
};
#define WALL_SPACES 8
extern const char *const wall_spaces[WALL_SPACES]; /* "user", "pid", … below /proc/PID/ns */

struct wall_verdict {
    enum wall_state state;
    char detail[200];
};

/* Runs inside: argv is SET KEY=VALUE… ; SET is "look", "room", "attack" (each with what is below it) or the
 * name of one of the bombs. Returns an exit status. */
int wall_inside(int argc, char **argv);

/* One line that came from inside, without its newline: a row's name and its verdict. NULL: not such a line.
 * Pure. */
const struct wall_row *wall_parse_line(const char *line, size_t len, struct wall_verdict *ret);

/* One of the bombs (wall_bombs.c): -1 when there is none of that name, else its exit status, if it comes
 * back. */
int wall_bomb(const char *name);

#endif
