/* result: the record of one execution, complete enough that nobody has to ask again. */
#ifndef ENGINE_RESULT_H
#define ENGINE_RESULT_H

#include "base/err.h"
#include "base/sbuf.h"
#include "engine/network.h"
#include "policy/limit.h"
#include "policy/policy.h"
#include "room/report.h"
#include "tree/frames.h"
#include "tree/store.h"
#include <stdint.h>

/* X(id, name, what the user is told) */
#define OUTCOME_TABLE(X)                                                                                     \
    X(NO_ROOM, "no-room", "the room could not be built")                                                     \
    X(NOT_RUN, "not-run", "the program could not be started")                                                \
    X(EXITED, "exited", "the program ended by itself")                                                       \
    X(SIGNALLED, "signalled", "the program was ended by a signal")                                           \
    X(TIMEOUT, "timeout", "the wall-clock limit was reached")                                                \
    X(CPU_TIME, "cpu-time", "the processor-time limit was reached")                                          \
    X(MEMORY, "memory", "the memory limit was reached")                                                      \
    X(OUTPUT, "output", "the output limit was reached")                                                      \
    X(DISK, "disk", "the disk limit was reached")                                                            \
    X(GUARD, "guard", "too many files of the workspace were deleted")                                        \
    X(INTERRUPTED, "interrupted", "the caller ended the room")                                               \
    X(LOST, "lost", "the room ended without a report")

enum outcome {
#define X(id, ...) OUTCOME_##id,
    OUTCOME_TABLE(X)
#undef X
        OUTCOME_COUNT
};

/* Where the supervisor's time goes, in order. X(id, what ended) */
#define PHASE_TABLE(X)                                                                                       \
    X(OPTIONS, "options")                                                                                    \
    X(PLAN, "plan")                                                                                          \
    X(PLACE, "cgroup place")                                                                                 \
    X(CLONE, "clone")                                                                                        \
    X(LEAF, "cgroup leaf")                                                                                   \
    X(GO, "id maps, go")                                                                                     \
    X(STARTED, "room built") X(EXITED, "program ended") X(DEAD, "room dead") X(DONE, "taken down")

enum phase {
#define X(id, ...) PHASE_##id,
    PHASE_TABLE(X)
#undef X
        PHASE_COUNT
};

#define DENIALS_MAX 64 /* distinct denied system calls that are told apart; the rest is counted together */

struct denial {
    int nr; /* system-call number */
    uint64_t count;
};

#define OBSERVED_MAX 512 /* longest name that is shown, with the NUL */

/* X(id, why it could not succeed, the option that would let it: NULL, or a text in front of the object) */
#define OBSERVED_TABLE(X)                                                                                    \
    X(ABSENT, "it is not in this room", "--ro ")                                                             \
    X(READ_ONLY, "it is read-only in this room", "--rw ")                                                    \
    X(NO_PLACE, "nothing can be made there; /work and /tmp are writable", NULL)                              \
    X(NO_NETWORK, "this room has no network", "--net host")

enum observed_why {
#define X(id, ...) OBSERVED_##id,
    OBSERVED_TABLE(X)
#undef X
        OBSERVED_WHY_COUNT
};

/* A call that was let go on, and could not succeed. */
struct observed {
    const char *what; /* "open", "delete", … */
    char object[OBSERVED_MAX];
    enum observed_why why;
    uint64_t count;
};

struct denials {
    struct denial rows[DENIALS_MAX];
    size_t n;
    struct observed observed[DENIALS_MAX]; /* only where somebody asked for an explanation */
    size_t observed_count;
    uint64_t other; /* beyond DENIALS_MAX */
};

struct teardown {
    int survivors; /* processes left in the room's own process table; -1: could not be counted */
    int mounts;    /* mounts of ours in the host's table; -1 */
    int cgroups;   /* leaf directories left; -1 */
    uint64_t us;   /* from the kill or exit to all gone */
};

/* What a room did to a workspace. */
struct result_workspace {
    const char *dir, *at;      /* on the host; in the room, without the leading slash */
    char id[STORE_ID_SIZE];    /* of the kept changes; "": there are none */
    enum store_state state;    /* of them */
    struct tree_totals totals; /* of them */
    bool fleeting;             /* only a copy: nobody decides about it */
    bool foreign;              /* the folder is not the caller's own */
    bool lost;                 /* they could not be kept anywhere */
    char failed[ERR_TEXT_MAX]; /* why they could not be kept or made real, "" */
};

/* What was brought out. */
struct result_copy {
    const char *src, *dst;     /* in the room; on the host */
    struct tree_totals totals; /* added, bytes_added, left_out */
    char failed[ERR_TEXT_MAX]; /* "" */
};

#define RESULT_NOTE_SIZE 160

struct result {
    enum outcome outcome;
    int exit_status;      /* of the strongroom command */
    int status;           /* wait status of the program, valid for EXITED and SIGNALLED */
    uint64_t total_us;    /* from the start of the command to here */
    uint64_t build_us;    /* … to the program's execve */
    uint64_t run_us;      /* execve to exit */
    struct report report; /* as pid 1 sent it: receipt, resource usage, step times */
    struct limit_report limits[LIMIT_ID_COUNT];
    uint64_t phase_us[PHASE_COUNT]; /* when each phase was over, CLOCK_MONOTONIC; 0: never */
    uint64_t stdin_bytes, stdout_bytes, stderr_bytes;
    int lost_output; /* errno of writing the program's output to where the caller wanted it, 0: all was delivered */
    struct denials denials;
    const char *authority; /* SHA-256 of the certificate by which TLS is opened in this room; NULL: none is */
    const struct network *network; /* what the gate told; NULL: this room has no gate */
    struct result_workspace workspaces[POLICY_WORKSPACES_MAX];
    unsigned workspace_count;
    struct result_copy copies[POLICY_COPIES_MAX];
    size_t copy_count;
    struct teardown teardown;
    char layer_note[LAYER_ID_COUNT][RESULT_NOTE_SIZE]; /* why a layer is not on, or what to know about it */
    char limit_note[LIMIT_ID_COUNT][RESULT_NOTE_SIZE];
    char hash[POLICY_HASH_MAX];
    uint32_t uid_outside;
    char guard_note[96];  /* OUTCOME_GUARD: why */
    uint64_t upper_cap;   /* --upper disk:SIZE, which then is the bound of OUTCOME_DISK; 0: --disk is */
    bool overlay_refused; /* what keeps the room from being is that no overlay can be had */
    bool has_room;        /* the program was started */
};

const char *outcome_name(enum outcome o);
const char *outcome_text(enum outcome o);

/* The whole as JSON (docs/result.schema.json). */
void result_json(const struct result *r, const struct policy *p, bool pretty, struct sbuf *out);
#define RESULT_JSON_MAX                                                                                      \
    (4 << 20) /* 64 names of 511 bytes, each byte escaped to six, twice; 400 decisions of the gate of
                                   * at most NETWORK_LINE_MAX bytes */

/* For people, several lines, each with the "strongroom: " prefix. */
void result_explain(const struct result *r, struct sbuf *out);

/* One line when a bound was met or something was denied, nothing otherwise. */
void result_brief(const struct result *r, struct sbuf *out);

/* What was wanted and did not come about although the program ran: said under --quiet too. */
void result_failures(const struct result *r, struct sbuf *out);

/* Numbered step times (--trace-steps). */
void result_trace(const struct result *r, struct sbuf *out);

#endif
