/* limit: the bounds of a room, one row each. The row gives the option, the policy key and the field of the result. */
#ifndef POLICY_LIMIT_H
#define POLICY_LIMIT_H

#include "policy/layer.h"
#include <stdint.h>

/* X(id, name, unit, default, min, max, demand)   units: bytes, count, ms, milli (thousandths of a processor).
 * `demand` holds for the default value: REQUIRE where every host can hold it; a value that the user gives is required
 * unless the policy prefers it. */
#define LIMIT_TABLE(X)                                                                                       \
    X(MEMORY, "memory", LIMIT_BYTES, 1024ull << 20, 8ull << 20, 1ull << 50, PREFER)                          \
    X(CPUS, "cpus", LIMIT_MILLI, 1000, 10, 4096000, PREFER)                                                  \
    X(CPU_TIME, "cpu-time", LIMIT_MS, 600000, 1000, 1ull << 40, PREFER)                                      \
    X(PIDS, "pids", LIMIT_COUNT, 256, 2, 1ull << 22, REQUIRE)                                                \
    X(FILES, "files", LIMIT_COUNT, 1024, 16, 1ull << 20, REQUIRE)                                            \
    X(FILE_SIZE, "file-size", LIMIT_BYTES, 512ull << 20, 4096, 1ull << 50, REQUIRE)                          \
    X(DISK, "disk", LIMIT_BYTES, 512ull << 20, 1ull << 20, 1ull << 50, REQUIRE)                              \
    X(INODES, "inodes", LIMIT_COUNT, 32768, 64, 1ull << 32, REQUIRE)                                         \
    X(OUTPUT, "output", LIMIT_BYTES, 64ull << 20, 0, 1ull << 50, REQUIRE)                                    \
    X(TIMEOUT, "timeout", LIMIT_MS, 300000, 1, 1ull << 40, REQUIRE)

enum limit_unit { LIMIT_BYTES, LIMIT_COUNT, LIMIT_MILLI, LIMIT_MS };

enum limit_id {
#define X(id, ...) LIMIT_ID_##id,
    LIMIT_TABLE(X)
#undef X
        LIMIT_ID_COUNT
};

#define LIMIT_UNLIMITED UINT64_MAX /* "unlimited" in options and policy files */

struct limit_row {
    const char *name;
    enum limit_unit unit;
    uint64_t preset, min, max;
    enum layer_demand demand;
};
extern const struct limit_row limit_rows[LIMIT_ID_COUNT];

/* How a limit is held in this room. One bit each; a limit may be held by several. */
enum limit_by {
    LIMIT_BY_NONE = 0,
    LIMIT_BY_CGROUP2 = 1,
    LIMIT_BY_CGROUP1 = 2,
    LIMIT_BY_RLIMIT = 4,  /* per process, or per user inside the room's own user namespace for pids */
    LIMIT_BY_TMPFS = 8,   /* size= and nr_inodes= of the room's scratch file system: exact */
    LIMIT_BY_TIMER = 16,  /* the supervisor's clock */
    LIMIT_BY_RELAY = 32,  /* the supervisor counts the bytes it relays */
    LIMIT_BY_WATCH = 64,  /* the supervisor samples usage and ends the room: a fallback, labelled degraded */
    LIMIT_BY_WEIGHT = 128 /* scheduling priority only: a share under contention, no ceiling; degraded */
};

/* One line of the result's limits table. */
struct limit_report {
    uint64_t asked; /* LIMIT_UNLIMITED: not limited by the policy */
    unsigned by;    /* enum limit_by bits */
    uint64_t peak;  /* in the row's unit; UINT64_MAX: not known */
    uint64_t hits;  /* how often the bound was met (0: never) */
};

#endif
