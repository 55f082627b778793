/* layer: the independent walls of a room, one row each. The row gives the name for --require/--prefer, what the layer
 * is for, and its line in the receipt. */
#ifndef POLICY_LAYER_H
#define POLICY_LAYER_H

/* X(id, name, default demand, what it holds) */
#define LAYER_TABLE(X)                                                                                       \
    X(USER, "user", REQUIRE, "own user namespace; no identity of the host inside")                           \
    X(PID, "pid", REQUIRE, "own process table; nothing of the host can be signalled or seen")                \
    X(MOUNT, "mount", REQUIRE, "own mount table, private, empty when read from inside")                      \
    X(NET, "net", REQUIRE, "own network with nothing but loopback")                                          \
    X(GATE, "gate", PREFER, "every connection ends at the gate, which lets listed peers through")            \
    X(IPC, "ipc", REQUIRE, "own System V and POSIX message objects")                                         \
    X(UTS, "uts", REQUIRE, "own host name")                                                                  \
    X(CGROUP_NS, "cgroup-ns", PREFER, "own view of the cgroup tree")                                         \
    X(TIME, "time", PREFER, "own boot clock offset; the host's uptime is not shown")                         \
    X(ROOT, "root", REQUIRE,                                                                                 \
      "own root: system read-only, nosuid, nodev; no home, no /sys, no /var, no /run of the host")           \
    X(PROC, "proc", REQUIRE, "own /proc, read-only, host facts masked")                                      \
    X(DEV, "dev", REQUIRE, "minimal /dev")                                                                   \
    X(SCRATCH, "scratch", REQUIRE, "one size-capped writable file system for /work, /tmp and /dev/shm")      \
    X(WORKSPACE, "workspace", PREFER, "folders of the host are changed in a layer above them only")          \
    X(CAPS, "caps", REQUIRE, "no capability in any of the five sets, securebits locked")                     \
    X(NNP, "no-new-privs", REQUIRE, "no_new_privs: execve grants nothing")                                   \
    X(NESTING, "nesting", REQUIRE, "no further user namespace can be made inside")                           \
    X(SECCOMP, "seccomp", REQUIRE, "system-call allow-list; foreign ABIs killed")                            \
    X(LANDLOCK, "landlock", PREFER,                                                                          \
      "second, independent file-access wall; signals and abstract sockets scoped")                           \
    X(INIT, "init", REQUIRE, "pid 1 is ours; cannot be read or altered from inside")                         \
    X(SESSION, "session", REQUIRE, "own session; the caller's terminal is out of reach")                     \
    X(KEYRING, "keyring", PREFER, "own session keyring, keyring calls denied")                               \
    X(ENV, "env", REQUIRE, "scrubbed environment")                                                           \
    X(FDS, "fds", REQUIRE, "no inherited descriptor; stdio is relayed")                                      \
    X(UIDS, "uids", PREFER, "a kernel uid that no other room and no host user shares")                       \
    X(CGROUP, "cgroup", PREFER, "memory, processes and processor time bounded for the room as a whole")      \
    X(DENIALS, "denials", PREFER, "refused system calls are recorded as they happen")

enum layer_demand { LAYER_PREFER, LAYER_REQUIRE, LAYER_OFF };

enum layer_id {
#define X(id, ...) LAYER_ID_##id,
    LAYER_TABLE(X)
#undef X
        LAYER_ID_COUNT
};

enum layer_state { LAYER_STATE_OFF, LAYER_STATE_DEGRADED, LAYER_STATE_ON };

struct layer_row {
    const char *name;
    enum layer_demand preset;
    const char *what;
};
extern const struct layer_row layer_rows[LAYER_ID_COUNT];

#endif
