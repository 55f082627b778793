/* plan: everything that will be done to build one room, decided beforehand.
 *
 * The supervisor fills a plan from the const policy and the facts of the host; the cloned child only recites its steps.
 * The plan is plain memory that the child inherits: no pointer in it is changed after the clone, no path of the
 * caller's is parsed again. */
#ifndef ROOM_PLAN_H
#define ROOM_PLAN_H

#include "policy/layer.h"
#include "policy/policy.h"
#include "policy/seccomp.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* The litany, in the order in which it is recited. What needs no identity comes before GO, so that it is done while the
 * supervisor makes the cgroup leaf and writes the id maps. X(id, name, layer, what is done)
 * A step that fails ends the room, unless its layer is only preferred: then the receipt says what is missing. */
#define STEP_TABLE(X)                                                                                        \
    X(SIGNALS, "signals", FDS, "reset signal handlers and mask")                                             \
    X(SESSION, "session", SESSION, "new session, away from the caller's terminal")                           \
    X(KEYRING, "keyring", KEYRING, "new session keyring")                                                    \
    X(NETWORK, "network", NET, "loopback up in the own network namespace")                                   \
    X(GATE, "gate", GATE, "route every address to the gate's listeners, and hand them out")                  \
    X(HOSTNAME, "hostname", UTS, "set the room's host name")                                                 \
    X(PRIVATE, "private", MOUNT, "stop mount propagation to and from the host")                              \
    X(TIME, "time", TIME, "own boot clock")                                                                  \
    X(ROOT, "root", ROOT, "new root: the skeleton, or a tmpfs with folders, links and a minimal /etc")       \
    X(SYSTEM, "system", ROOT, "bind the system's programs")                                                  \
    X(BINDS, "binds", ROOT, "bind what the policy names")                                                    \
    X(READONLY, "readonly", ROOT, "make all of it read-only, nosuid, nodev in one call")                     \
    X(PROC, "proc", PROC, "fresh /proc; host facts masked; then read-only")                                  \
    X(DEV, "dev", DEV, "null zero full random urandom tty; own terminals")                                   \
    X(MASKS, "masks", ROOT, "mask set-user-ID programs")                                                     \
    X(GO, "identity", USER, "wait for id maps and cgroup; become the room's user")                           \
    X(CGROUP, "cgroup", CGROUP_NS, "join the cgroup leaf; own view of the cgroup tree")                      \
    X(TERMINAL, "terminal", DEV, "open the program's terminal, where it gets one")                           \
    X(SCRATCH, "scratch", SCRATCH, "one capped tmpfs behind /work, /tmp and /dev/shm")                       \
    X(UPPER, "upper", WORKSPACE, "a capped place for what workspaces change")                                \
    X(WRITABLE, "writable", ROOT, "bind what the policy names as writable; tmpfs folders")                   \
    X(SOCKETS, "sockets", GATE, "bind what leads to sockets of the host, and hand it out")                   \
    X(HIDE, "hide", ROOT, "mask what the policy hides")                                                      \
    X(PIVOT, "pivot", MOUNT, "pivot into the new root and let go of the host's")                             \
    X(CONCEAL, "conceal", MOUNT, "step into a detached copy, so that the mount table reads empty")           \
    X(WORKDIR, "workdir", ROOT, "enter the working directory")                                               \
    X(NESTING, "nesting", NESTING, "no further namespaces of users below this one")                          \
    X(RLIMITS, "rlimits", CGROUP, "per-process bounds, out-of-memory preference")                            \
    X(CAPS, "caps", CAPS, "securebits locked, bounding set emptied, all sets emptied")                       \
    X(NNP, "no-new-privs", NNP, "execve grants nothing from here on")                                        \
    X(INIT, "init", INIT, "pid 1 unreadable, ends with the supervisor")                                      \
    X(LANDLOCK, "landlock", LANDLOCK, "second wall around files, signals, abstract sockets")                 \
    X(FDS, "fds", FDS, "close everything but what pid 1 and the program need")                               \
    X(PROBES, "probes", INIT, "try what must fail before the system-call filter hides it")                   \
    X(SERVED, "gate-served", INIT, "wait until the gate serves")                                             \
    X(SECCOMP, "seccomp", SECCOMP, "system-call filter")                                                     \
    X(PROGRAM, "program", INIT, "self-check from the program's own seat, then execve")

enum step_id {
#define X(id, ...) STEP_##id,
    STEP_TABLE(X)
#undef X
        STEP_COUNT
};

struct step_row {
    const char *name;
    enum layer_id layer;
    const char *what;
};
extern const struct step_row step_rows[STEP_COUNT];

/* Where pid 1 attaches the copy of a folder whose files it binds: on the host's tree, which it leaves soon and whose
 * own /usr it has bound by then. */
#define PLAN_FOLDER_SEAT "/usr"

enum { PLAN_RLIMITS_MAX = 12, PLAN_SYSTEM_MAX = 48, PLAN_EXEC_MAX = 32, PLAN_COVERS_MAX = 3 };

/* A path of the host that appears in the room. */
struct plan_mount {
    enum mount_kind kind;
    const char *src; /* resolved host path, no symlinks left; NULL for tmpfs */
    const char *dst; /* in the room, without the leading slash */
    dev_t dev;       /* what src was when the plan was made: the child verifies that it still is */
    ino_t ino;
    bool is_dir;
    bool optional; /* absent at mount time: skip silently (system pieces) */
    bool late;     /* below the scratch folders or a writable mount: after both exist */
    int parent;    /* index of the mount that it lies below, or -1 */
    bool nested;   /* below another mount: the target is resolved inside the room's root, never made */
    uid_t uid;     /* of src, like the next two: set for a file that was found in its folder */
    gid_t gid;
    bool plain; /* a file, no link led to it, and nothing is mounted on it: a copy of its folder shows it */
    bool
        beside; /* bound out of a copy of its folder: the `tree` of the nearest mount that has one, from here back */
    int tree;              /* a detached, id-mapped copy of src made outside (root only), or -1 */
    uint64_t size;         /* tmpfs: bytes */
    const char *copy_path; /* workspace: a copy of src, which is laid over instead; NULL: there is none */
    dev_t copy_dev;
    ino_t copy_ino;
    unsigned slot;          /* workspace: its number */
    bool stream;            /* workspace: what stdin holds as a tar stream, copied first; `src` is "-" */
    bool fleeting;          /* workspace: a copy, whose changes nobody keeps */
    int file;               /* copied in: the host's file, opened by the supervisor; -1 */
    const char *upper_path; /* workspace, UPPER_DISK: the folder of the host's where its layer lies */
    dev_t upper_dev;
    ino_t upper_ino;
    int upper_tree; /* a detached, id-mapped copy of that folder made outside (root only), or -1 */
};

/* A socket file of the room that leads to one of the host's. */
#define PLAN_SOCKETS_DIR                                                                                     \
    "run/strongroom/sockets"      /* where those appear that are allowed while the room lives */
#define SCRATCH_SOCKETS "sockets" /* what is mounted there, read-only, of the scratch file system */

struct plan_unix {
    const char *dst; /* without the leading slash */
    uint32_t rule;   /* its number */
    bool late;       /* in the scratch folders or a tmpfs: after these exist */
};

/* A symbolic link or small file of the room's own. */
struct plan_file {
    const char *path; /* without the leading slash */
    const char *text; /* contents, or link target */
    bool is_link;
};

struct plan_cover {
    const char *path; /* without the leading slash */
    bool own;         /* the policy shows something below: needs a folder of its own, PLAN_COVER_DIR/path */
};

struct plan_mask {
    const char *path; /* without the leading slash */
    bool named;       /* by the policy: found inside the room; may be a folder, may not be there */
};

struct plan_rlimit {
    int resource;
    rlim_t value;
};

struct room_plan {
    const struct policy *policy;

    /* identity */
    bool privileged;      /* the supervisor is root in its user namespace */
    bool is_root_outside; /* the room's kernel uid is 0 (root without the right to hand out uids) */
    uint32_t uid, gid;    /* inside */
    uint32_t uid_outside, gid_outside; /* filled before the id maps are written */
    const char *hostname;

    /* files; all arrays in the supervisor's memory */
    struct plan_mount system[PLAN_SYSTEM_MAX]; /* read-only pieces of the host's system or of rootfs */
    size_t system_count;
    struct plan_cover covers[PLAN_COVERS_MAX]; /* folders of the system that are laid over with empty ones */
    size_t cover_count;
    struct plan_mount *mounts; /* what the policy names, parents before children */
    size_t mount_count;
    struct plan_file files[PLAN_SYSTEM_MAX];
    size_t file_count;
    struct plan_mask *masks; /* existing files and folders of the room that must read as empty */
    size_t mask_count;
    const char *
        skeleton; /* host folder with the layout of a default room (mounts_write_skeleton); NULL: build it in memory */
    bool for_skeleton; /* this plan is only to be written down as a skeleton */
    int skeleton_tree; /* a detached copy of it made outside (root only), or -1 */
    const char *workdir;

    /* what workspaces change */
    unsigned workspace_count;
    enum upper_kind upper;
    uint64_t upper_bytes; /* UPPER_TMPFS */
    uint64_t command_ns;  /* CLOCK_REALTIME when the command began */

    uint64_t scratch_bytes, scratch_inodes;

    /* program */
    char **argv; /* NULL: the room has no program of its own, only what is started in it later */
    char *const *envp;
    char *exec_paths[PLAN_EXEC_MAX]; /* tried in order; NULL-terminated */
    int stdio[3];                    /* the program's ends; -1 for all when it gets a terminal */
    bool tty;
    unsigned short rows, cols;

    /* network */
    struct plan_unix unixes[EGRESS_UNIX_MAX];
    size_t unix_count;
    const char *const *secret_env; /* NAME=MARK of each secret, NULL at the end; NULL: none */
    const char *trust_bundle, *trust_pem, *trust_hash; /* of the room's own authority; NULL: none */
    bool gate_serves;     /* a gate will serve the room or its published ports: pid 1 waits for it */
    bool live_sockets;    /* there is a PLAN_SOCKETS_DIR, which the supervisor can make sockets in */
    bool gate_open_ports; /* rules may change while the room lives: the kernel refuses no port by itself */

    /* bounds */
    struct plan_rlimit rlimits[PLAN_RLIMITS_MAX];
    size_t rlimit_count;
    bool oom_first; /* oom_score_adj raised: the room dies before anything of the host's */

    const struct seccomp_program *filter; /* without a listener */
    const struct seccomp_program
        *filter_notify; /* the same with a listener that records denials; NULL: not wanted */
    bool hand_out_root; /* the supervisor looks names up in the room's root */
    int nice;           /* added to the caller's; 0 when a cgroup bounds the processor */

    int ctl_outside; /* the supervisor's end, of which the child holds a copy by birth and must let go */
    int ctl;         /* the child's end of the control socket */
    unsigned long long layers_off; /* bit per layer_id that policy turned off */
};

static inline bool plan_wants(const struct room_plan *p, enum layer_id layer)
{
    return !(p->layers_off >> layer & 1);
}
static inline bool plan_requires(const struct room_plan *p, enum layer_id layer)
{
    return p->policy->layers[layer] == LAYER_REQUIRE;
}

/* Fills a zeroed plan from a checked policy; every string lives in the policy's arena or in `text` (a scratch memory of
 * at least PLAN_TEXT_MAX bytes that must live as long as the plan). Resolves host paths once (openat2, no magic links).
 * argv is kept, but its last word is replaced by a copy. -errno with e filled. */
#define PLAN_TEXT_MAX (1 << 20)
int plan_make(struct room_plan *plan, const struct policy *policy, char **argv, char *text, size_t text_size,
              struct err *e);

/* The candidates for execve of a command that is called `name`, in the absolute folders of the PATH in `envp` (the
 * first PLAN_EXEC_MAX - 1): in `text`, of `size` bytes, NULL-terminated. -ENOENT: the name is empty; -E2BIG. */
int plan_candidates(const char *name, char *const *envp, char *text, size_t size, char *ret[PLAN_EXEC_MAX]);

/* Does a target (without the leading slash) lie below a covered folder? It is then made at PLAN_COVER_DIR/target. */
#define PLAN_COVER_DIR "run/strongroom/"
bool plan_is_covered(const struct room_plan *plan, const char *dst);

/* Numbered, for people (--dry-run). */
struct sbuf;
void plan_text(const struct room_plan *plan, struct sbuf *out);

#endif
