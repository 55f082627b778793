/* leaf: the cgroup that holds one room.
 *
 * Theory of operation. A room's pid 1 and everything below it live in one leaf per hierarchy that carries a
 * controller we use: memory, pids, cpu (v1 or hybrid), or one unified leaf (v2). The leaf's name ends in a
 * number, `slot`: making the directory (mkdir is atomic) is what claims that slot among all rooms of this
 * host, so as root the slot also names the room's own host uid. The supervisor creates, configures, reads and
 * removes the leaf; the room's pid 1 only joins it (v1: writes "0" to `tasks`, which skips the threadgroup
 * lock that writing cgroup.procs takes; v2: born inside by CLONE_INTO_CGROUP).
 *
 * Lives in: the supervisor and its undertaker (no malloc, no stdio: both may call every function here).
 * Trusts: /proc/self/cgroup, /proc/self/mountinfo, the cgroup file systems. Must not: follow links, touch any
 * cgroup whose name does not start with LEAF_PREFIX. */
#ifndef LIMITS_LEAF_H
#define LIMITS_LEAF_H

#include "base/err.h"
#include "policy/limit.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LEAF_PREFIX "strongroom-"
#define LEAF_SUP_PREFIX                                                                                      \
    LEAF_PREFIX "sup-"     /* v2: where a supervisor that sat in the place itself moved to   \
                                            */
#define LEAF_HIERARCHIES 4 /* v1: memory, pids, cpu[,cpuacct], freezer is not used; v2: one */
#define LEAF_PATH_MAX    1024

enum leaf_version { LEAF_NONE, LEAF_V1, LEAF_V2 };

/* Where leaves can be made on this host by this user: found once, before the room. */
struct leaf_place {
    enum leaf_version version;
    unsigned limits;                 /* bit per enum limit_id that a leaf here can enforce */
    int count;                       /* hierarchies in use: 1 for v2 */
    int parent_fd[LEAF_HIERARCHIES]; /* directory in which the leaf is made; O_PATH|O_DIRECTORY|O_CLOEXEC, -1
                                        none */
    unsigned controllers[LEAF_HIERARCHIES]; /* LEAF_HAS_* of each hierarchy */
    char sup[48];  /* v2: the child of parent_fd[0] into which we moved ourselves; "" when we did not */
    char why[256]; /* version == LEAF_NONE or a missing controller: the reason, for receipt and doctor */
};
enum { LEAF_HAS_MEMORY = 1, LEAF_HAS_PIDS = 2, LEAF_HAS_CPU = 4, LEAF_HAS_CPUACCT = 8 };

struct leaf {
    const struct leaf_place *place;
    uint32_t slot;
    char name[48];                 /* LEAF_PREFIX + slot */
    int dir_fd[LEAF_HIERARCHIES];  /* the leaf itself, -1 none */
    int join_fd[LEAF_HIERARCHIES]; /* v1: `tasks` opened O_WRONLY for pid 1 to write "0"; v2: -1 (clone3 takes
                                      dir_fd[0]) */
    bool killed_oom;               /* cached by leaf_read */
};

/* What the leaf measured. UINT64_MAX: not known. */
struct leaf_usage {
    uint64_t memory_peak; /* bytes */
    uint64_t memory_now;  /* bytes */
    uint64_t oom_kills;
    uint64_t pids_peak;
    uint64_t pids_now;
    uint64_t pids_refused; /* forks refused by pids.max */
    uint64_t cpu_us;       /* processor time used */
    uint64_t throttled_us;
    uint64_t throttled; /* periods in which the room was throttled */
};

/* Finds a place. Never fails: version LEAF_NONE with `why` is an answer. v1 and hybrid: the caller's own
 * cgroup per controller (root: the first one from its mount point on). v2: the caller's own cgroup and its
 * ancestors, as root from the top; controllers are enabled there and the caller moved into a child of its own
 * cgroup where that is safe (leaf_find.c and leaf_unified.c tell). Honest about hybrid: v1 controllers win
 * over a v2 tree without any. */
void leaf_find_place(struct leaf_place *ret);

/* Closes the fds; v2: takes the caller back out of `sup` when nobody else uses the place. */
void leaf_place_close(struct leaf_place *p);

/* Makes a leaf with the first free slot at or after `slot_hint` (wraps within [slot_min, slot_max]) and
 * writes the limits (values in the unit of limit_rows; LIMIT_UNLIMITED: leave alone). Memory includes swap.
 * The whole leaf is killed together on out-of-memory where the kernel can (memory.oom.group). -errno and a
 * filled `e`; nothing is left behind on failure. */
int leaf_make(const struct leaf_place *p, uint32_t slot_hint, uint32_t slot_min, uint32_t slot_max,
              const uint64_t limits[LIMIT_ID_COUNT], struct leaf *ret, struct err *e);

/* Reads how often the bounds of memory and processes were met and, with `usage`, what was used; what is unknown or was
 * not asked for stays UINT64_MAX. */
void leaf_read(struct leaf *l, struct leaf_usage *ret, bool usage);

/* SIGKILLs every member (cgroup.kill on v2; else by reading cgroup.procs until empty), lifts the cpu quota so that the
 * dying are not throttled, waits for at most a second. Returns the
 * number of members left (0: none), -errno when it cannot tell. */
int leaf_kill(struct leaf *l);

/* Members right now: >= 0, or -errno. */
int leaf_members(const struct leaf *l);

/* Removes the leaf's directories; waits (bounded, `deadline_ms`) for a dying member to be gone. Returns the
 * number of directories that remain: 0 is the teardown proof. Closes every fd of the leaf. */
int leaf_remove(struct leaf *l, unsigned deadline_ms);

/* Closes every fd of the leaf and leaves its directories alone (a process that does not answer for it). */
void leaf_close_fds(struct leaf *l);

/* Removes empty leaves that a killed predecessor left (only names LEAF_PREFIX + digits and LEAF_SUP_PREFIX +
 * digits, only when empty, older than 5 s and locked by nobody: the maker's dir_fd carries a lock, so that a
 * leaf made ahead of its room stays). Looks at every room's leaf of this host: not for the way to a room's
 * start. Returns how many were removed. */
int leaf_sweep(const struct leaf_place *p);

#endif
