/* inner: what only the files of policy/ see of a policy: the arena that owns its strings, where the word being applied
 * comes from, and the helpers that the set and show functions share. */
#ifndef POLICY_INNER_H
#define POLICY_INNER_H

#include "base/sbuf.h"
#include "policy/fields.h"

#define ARENA_FIRST      2048 /* bytes that come with the policy itself: enough for an ordinary command line */
#define ARENA_BLOCK      (16 << 10)
#define POLICY_VALUE_MAX (128 << 10) /* bytes of one value: what execve takes as one string */

/* Where one value was written. */
struct origin {
    const char *where; /* file, profile, or POLICY_COMMAND_LINE; NULL: built in */
    unsigned line;
    enum policy_source source;
};

/* An explicit word on whether a layer or limit must hold. */
struct demand {
    struct origin origin; /* SOURCE_DEFAULT: none */
    enum layer_demand demand;
};

struct hide_item {
    const char *path;
    struct origin origin;
    unsigned order;
};

/* What is known of a rule beside itself. */
#define PEER_KEY 16
struct peer_item {
    char key[PEER_KEY]; /* how its name begins, filled up with NUL: most comparisons end here */
    const struct egress_rule *rule;
    struct origin origin;
    unsigned order;
};

struct arena_block {
    struct arena_block *next;
    char bytes[];
};

struct policy_arena {
    struct arena_block *blocks;
    char *at;
    size_t left;
    size_t used; /* bytes handed out, for POLICY_ARENA_MAX */

    struct origin now;        /* of the word that is being applied */
    const struct field *last; /* the row of the word before: lists name one again and again */
    const char *cwd, *home;
    unsigned order;
    bool checked;

    size_t mount_room, env_room, hide_room; /* elements that fit */
    struct hide_item *hide;                 /* becomes policy.hide at check */
    struct egress_rule *rules;              /* becomes policy.egress at check */
    struct peer_item *peers;                /* one for each rule */
    size_t rule_room, peer_count, secret_room;
    struct origin origins[FIELD_COUNT_MAX];
    struct demand limits[LIMIT_ID_COUNT];
    enum policy_source meant[LIMIT_ID_COUNT]; /* the last of the user's own words that gave a value */
    struct demand layers[LAYER_ID_COUNT];
    struct origin require_all;
};

/* Memory that lives as long as the policy, aligned for any struct; NULL when there is none or the bound is met. */
void *arena_alloc(struct policy *p, size_t size);
const char *arena_text(struct policy *p, const char *s, size_t len);
/* Makes room for one more element in a growing array; 0 or -ENOMEM. The array keeps its contents. */
int arena_grow(struct policy *p, void **array, size_t *room, size_t count, size_t element);
int arena_full(const struct policy *p, struct err *e); /* says so; returns -ENOMEM */
/* Moves the texts of a rule there. */
int policy_keep_words(struct policy *p, struct egress_rule *r);

/* "what: why" for a value that cannot be taken; adds option or file and line, and the value. Returns -EINVAL. */
int value_bad(const struct policy *p, const struct field *f, const char *value, struct err *e,
              const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The same without the value. */
int field_bad(const struct policy *p, const struct field *f, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
#ifdef __clang_analyzer__
/* The analyzer does not look into other files; it has to be told that these never return 0. */
#define arena_full(...) ((void)arena_full(__VA_ARGS__), -12)
#define value_bad(...)  ((void)value_bad(__VA_ARGS__), -22)
#define field_bad(...)  ((void)field_bad(__VA_ARGS__), -22)
#endif
enum err_kind source_err_kind(enum policy_source source);
/* "file:3", "command line", "built in" */
void origin_text(const struct origin *o, struct sbuf *out);
bool origin_same(const struct origin *a, const struct origin *b); /* the same source and file (line aside) */

/* The canonical form of one value: plain where YAML reads it back unchanged, else double-quoted. */
void yaml_scalar(struct sbuf *out, const char *s);
void show_line(const struct field *f, struct sbuf *out, const char *value, const struct origin *o,
               bool explain);
void show_item(struct sbuf *out, const char *value, const struct origin *o, bool explain);
const struct origin *field_origin(const struct policy *p, const struct field *f);

bool utf8_valid(const char *s, size_t len);

/* What policy_check does, subject by subject. */
struct note_sink {
    void (*note)(void *, const char *text);
    void *ctx;
};
void note_fmt(const struct note_sink *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A host path (relative ones joined to the base) or, with `room`, a path of the room. */
int path_take(struct policy *p, const struct field *f, const char *value, const char *text, size_t len,
              bool room, const char **ret, struct err *e);
bool path_has_dotdot(const char *path);
int mount_add(struct policy *p, const struct field *f, struct policy_mount m, const char *value,
              struct err *e);
int mount_dst_allowed(const struct policy *p, const struct field *f, const char *value, const char *dst,
                      struct err *e);
int mount_dst_writable(const struct policy *p, const struct field *f, const char *value, const char *dst,
                       struct err *e); /* the same of what can be written to */
/* "PATH:/PLACE": the last colon with a slash behind it, NULL. */
const char *place_in(const char *value);
size_t workspaces_count(const struct policy *p); /* with what is copied in */
/* Each workspace has its place; the first one is where the program starts. */
int workspaces_check(struct policy *p, const struct note_sink *n, struct err *e);
int mounts_check(struct policy *p, const struct note_sink *n, struct err *e);
int publish_check(struct policy *p, const struct note_sink *n, struct err *e);
int peers_check(struct policy *p, const struct note_sink *n, struct err *e);
int env_check(struct policy *p, struct err *e);
int secrets_check(struct policy *p, struct err *e);
int demands_check(struct policy *p, struct err *e);
void limits_check(const struct policy *p, const struct note_sink *n);

/* Set and show functions, by file. */
#define SET_FUNCTION(name)                                                                                   \
    int name(struct policy *p, const struct field *f, enum policy_source source, const char *value,          \
             struct err *e)
#define SHOW_FUNCTION(name)                                                                                  \
    void name(const struct policy *p, const struct field *f, struct sbuf *out, bool explain)
SET_FUNCTION(set_volume);
SET_FUNCTION(set_bind);
SET_FUNCTION(set_tmpfs);
SET_FUNCTION(set_workspace);
SET_FUNCTION(set_at);
SET_FUNCTION(set_accept);
SET_FUNCTION(set_apply);
SET_FUNCTION(set_guard);
SET_FUNCTION(set_copy_in);
SET_FUNCTION(set_copy_out);
SET_FUNCTION(set_upper);
SET_FUNCTION(set_copies);
SET_FUNCTION(set_from);
SET_FUNCTION(set_hide);
SET_FUNCTION(set_rootfs);
SET_FUNCTION(set_workdir);
SET_FUNCTION(set_env);
SET_FUNCTION(set_limit);
SET_FUNCTION(set_demand);
SET_FUNCTION(set_hostname);
SET_FUNCTION(set_name);
SET_FUNCTION(set_uid);
SET_FUNCTION(set_args);
SET_FUNCTION(set_net);
SET_FUNCTION(set_peer);
SET_FUNCTION(set_http);
SET_FUNCTION(set_upstream);
SET_FUNCTION(set_upstream_login);
SET_FUNCTION(set_secret);
SET_FUNCTION(set_publish);
SET_FUNCTION(set_tty);
SET_FUNCTION(set_interactive);
SET_FUNCTION(set_offline);
SET_FUNCTION(set_elsewhere); /* rows that the command line handles itself */
SHOW_FUNCTION(show_mounts);
SHOW_FUNCTION(show_accept);
SHOW_FUNCTION(show_apply);
SHOW_FUNCTION(show_guard);
SHOW_FUNCTION(show_copy_out);
SHOW_FUNCTION(show_upper);
SHOW_FUNCTION(show_copies);
SHOW_FUNCTION(show_from);
SHOW_FUNCTION(show_hide);
SHOW_FUNCTION(show_rootfs);
SHOW_FUNCTION(show_workdir);
SHOW_FUNCTION(show_env);
SHOW_FUNCTION(show_secrets);
SHOW_FUNCTION(show_publish);
SHOW_FUNCTION(show_limit);
SHOW_FUNCTION(show_demand);
SHOW_FUNCTION(show_hostname);
SHOW_FUNCTION(show_name);
SHOW_FUNCTION(show_uid);
SHOW_FUNCTION(show_args);
SHOW_FUNCTION(show_net);
SHOW_FUNCTION(show_peers);
SHOW_FUNCTION(show_upstream);
SHOW_FUNCTION(show_upstream_login);
SHOW_FUNCTION(show_tty);
SHOW_FUNCTION(show_interactive);
SHOW_FUNCTION(show_offline);
SHOW_FUNCTION(show_nothing);

#endif
