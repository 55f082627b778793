/* policy: what a room may do, as one plain value.
 *
 * Outside words (options, YAML, JSON) go through the field table (fields.h) into a draft; policy_check() turns the
 * draft into a value that nobody changes any more. Pure: no system calls, no look-ups on the host, no allocation but
 * from the policy's own arena. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/err.h"
#include "policy/egress.h"
#include "policy/layer.h"
#include "policy/limit.h"
#include "policy/upstream.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_MOUNTS_MAX     1024 /* --volume, --ro, --rw, --tmpfs together */
#define POLICY_WORKSPACES_MAX 16   /* --workspace and --copy-in of folders */
#define POLICY_COPIES_MAX     16   /* --copy-out */
#define POLICY_ACCEPTS_MAX    64
#define POLICY_ENV_MAX        512        /* --env and --env-file together */
#define POLICY_HIDE_MAX       256        /* --hide */
#define POLICY_ARENA_MAX      (48 << 20) /* bytes of all strings and lists of one policy */
#define POLICY_NAME_MAX       64         /* room and host names, with the NUL */
#define POLICY_PATH_MAX       4096       /* one path, with the NUL */

/* Where a value came from; later sources win, and a value from a project directory may only tighten. */
enum policy_source {
    SOURCE_DEFAULT, /* built in */
    SOURCE_PROFILE, /* a named profile */
    SOURCE_FILE,    /* -p FILE, --settings FILE */
    SOURCE_PROJECT, /* found in the working directory: may only tighten */
    SOURCE_FLAG,    /* the command line */
    SOURCE_COUNT,
};

enum mount_kind {
    MOUNT_RO,      /* host path, read-only */
    MOUNT_RW,      /* host path, writable: said loudly in the receipt */
    MOUNT_TMPFS,   /* empty, size-capped, private to the room */
    MOUNT_COPY_IN, /* host file or folder, as a copy that the room may change and that is forgotten with it */
    MOUNT_WORKSPACE, /* host folder, writable for the room only: what changes is kept beside it, for review */
};

struct policy_mount {
    enum mount_kind kind;
    const char
        *src; /* absolute host path without "." and "//"; ".." stays, for only the kernel knows where it
                         * leads; NULL for MOUNT_TMPFS */
    const char *
        dst; /* absolute path in the room, lexically clean, no ".."; NULL before policy_check: none is known yet */
    uint64_t size;  /* MOUNT_TMPFS: bytes; 0: the disk limit */
    size_t beneath; /* src may not lead out of the folder that its first `beneath` bytes name; 0: it may */
    enum policy_source source;
    unsigned line; /* in `where`; 0: none */
    unsigned order;
    const char *where;
};

/* What is brought out of the room when it has ended. */
/* An alarm that does not hold up an apply: "ALARM" or "ALARM:PATH" (accept.h). */
struct policy_accept {
    const char *word;
    enum policy_source source;
    unsigned line;
    const char *where;
};

struct policy_copy {
    const char *src; /* absolute path in the room */
    const char *dst; /* absolute host path of a folder */
    enum policy_source source;
    unsigned line;
    const char *where;
};

struct policy_env {
    const char *name;  /* never empty, no '=' */
    const char *value; /* NULL: take the caller's value, drop the variable when the caller has none */
    enum policy_source source;
    unsigned line;
    unsigned order;
    const char *where;
};

/* A value of the caller's that the gate puts into requests to one host. */
#define POLICY_SECRETS_MAX     64
#define POLICY_SECRET_NAME_MAX 64
struct policy_secret {
    const char *name;   /* the variable of the room that holds its mark */
    const char *source; /* a variable's name or a path */
    bool from_file;
    struct egress_rule where; /* host and ports, no more */
    enum policy_source source_kind;
    unsigned line;
    const char *where_from;
};
/* The word that --secret takes, for one host of those that it is for. */
void policy_secret_text(const struct policy_secret *s, const struct egress_rule *where, struct sbuf *out);

/* A port of the host that leads to a port of the room. */
#define POLICY_PUBLISH_MAX 16
#define PUBLISH_TEXT_MAX   56 /* "[ADDRESS]:PORT" with the NUL */
struct policy_publish {
    struct egress_addr addr; /* of the host */
    uint16_t port;           /* 0: any free one */
    uint16_t room_port;
    enum policy_source source;
    unsigned line;
    const char *where;
};

enum net_mode { NET_NONE, NET_GATE, NET_HOST };
enum tty_mode { TTY_NO, TTY_YES };
/* What becomes of a workspace's changes when the room has ended. ASK: on a terminal, else as NEVER. */
enum apply_mode { APPLY_ASK, APPLY_NEVER, APPLY_CLEAN, APPLY_ALWAYS };
/* Where changes are kept while the room lives. SCRATCH: with /work and /tmp, under the limits disk and inodes. */
enum upper_kind { UPPER_SCRATCH, UPPER_TMPFS, UPPER_DISK };
enum args_mode { ARGS_RO, ARGS_NONE }; /* files that the command's own words name */

struct policy {
    /* files */
    struct policy_mount
        *mounts; /* after policy_check: sorted by dst (a parent before what lies in it), one per dst */
    size_t mount_count;
    const char *
        *hide; /* paths in the room that are masked: a file reads as empty, a directory is empty; sorted; one
                        * that does not exist in the room needs no masking; wins over mounts below it */
    size_t hide_count;
    struct policy_copy copies[POLICY_COPIES_MAX];
    size_t copy_count;
    struct policy_accept accepts[POLICY_ACCEPTS_MAX];
    size_t accept_count;
    const char
        *rootfs; /* host directory used as the room's read-only root instead of the host's system; NULL */
    const char *workdir; /* working directory in the room; NULL: /work */
    /* environment and identity */
    struct policy_env *env; /* after policy_check: sorted by name, one per name */
    size_t env_count;
    const char *hostname; /* NULL: "room" */
    const char *name;     /* name of this room for people; NULL */
    uint32_t uid;         /* inside; never 0; default 1000 */
    /* bounds */
    uint64_t limits[LIMIT_ID_COUNT];                /* units of limit_rows; LIMIT_UNLIMITED */
    enum layer_demand limit_demand[LIMIT_ID_COUNT]; /* REQUIRE: cannot be enforced = no room */
    /* walls */
    enum layer_demand layers[LAYER_ID_COUNT]; /* LAYER_OFF: net, when the host's network is asked for */
    enum net_mode net;                        /* after policy_check: NET_GATE when a peer is allowed */
    bool offline; /* nothing is reached: after policy_check no rule, no secret is left, and the net is none */
    struct egress_rules egress;      /* after policy_check: sorted, none twice; empty unless NET_GATE */
    const struct upstream *upstream; /* proxy through which the gate goes out; NULL: directly */
    const char
        *upstream_login; /* where its login is: "env:NAME", "file:/PATH"; NULL: in `upstream`, or none */
    struct policy_secret *secrets; /* after policy_check: sorted by name */
    size_t secret_count;
    struct policy_publish publish[POLICY_PUBLISH_MAX]; /* after policy_check: sorted */
    size_t publish_count;
    enum apply_mode apply;
    enum upper_kind upper;
    uint64_t guard_deletes; /* end the room when it has deleted more files of its workspaces; 0: never */
    bool guard_share;       /* that many in a hundred of those that were there */
    const char *from;       /* a saved layer that the workspace begins with; NULL */
    bool copy_workspaces;   /* lay over a copy of the folder instead of the folder */
    uint64_t upper_size;    /* UPPER_TMPFS: bytes; UPPER_DISK: bytes, 0: the limit disk */
    enum args_mode args;    /* ARGS_RO: relative arguments that are files appear read-only below /work */
    /* terminal and stdin */
    enum tty_mode tty;
    bool interactive;
    /* where each field's value came from, by field index: for `policy explain` */
    enum policy_source *origin;

    struct policy_arena *arena; /* owns every string and array above */
};

/* A policy with the built-in defaults. NULL only when out of memory. */
struct policy *policy_new(void);
void policy_free(struct policy *p);

/* What relative host paths ("./x", "../x") and "~/x" are taken from, as absolute paths; NULL: such paths are refused.
 * The strings must live as long as words are applied. */
void policy_set_base(struct policy *p, const char *cwd, const char *home);

/* Sources are applied in rising order; within a list of one source, in any order.
 * Applies one outside word: field `name` ("memory", "volume", …), value `value` (NULL for a flag without argument).
 * `source` decides precedence and, for SOURCE_PROJECT, that the value may only tighten. `line` is the line in the file
 * it came from, 0 for the command line; `where` names the file or "command line" for messages. Returns 0 or -errno
 * with a precise text, a hint, and "did you mean" for unknown names. */
#define POLICY_COMMAND_LINE "command line"
int policy_set(struct policy *p, enum policy_source source, const char *where, unsigned line,
               const char *name, const char *value, struct err *e);

/* Contradictions and impossibilities that only show in the whole (a tmpfs below a read-only mount is fine; two mounts
 * on one destination from one source are not; disk larger than memory, timeout below cpu-time, … are told through
 * `note`, which may be NULL). Settles who wins between sources and sorts the lists. After this the policy is const. */
int policy_check(struct policy *p, void (*note)(void *, const char *text), void *ctx, struct err *e);

/* Does it name one? */
bool policy_has_workspace(const struct policy *p);

/* "ADDRESS:PORT", IPv6 in brackets; `port`: the one that it came to. */
struct sbuf;
void publish_text(const struct policy_publish *x, uint16_t port, struct sbuf *out);

/* Where rule number `rule` of p->egress was written: "FILE:LINE", "command line". */
struct sbuf;
void policy_rule_origin(const struct policy *p, size_t rule, struct sbuf *out);

/* The canonical text ("name: value" lines in table order, defaults included): what `policy show` prints, what YAML
 * reads back to the same policy, and what the policy hash (SHA-256, lower-case hex) is taken over. */
struct sbuf;
void policy_text(const struct policy *p, struct sbuf *out);
/* The same with a comment behind each value that says where it comes from (still YAML): `policy explain`. */
void policy_explain(const struct policy *p, struct sbuf *out);
/* Bytes that are surely enough for either text. */
size_t policy_text_size(const struct policy *p);
#define POLICY_HASH_MAX 65
void policy_hash(const struct policy *p, char ret_hex[POLICY_HASH_MAX]);

#endif
