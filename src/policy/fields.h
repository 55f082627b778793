/* fields: a setting is described in one row. From the row come the option, its letter, the policy-file key, the help
 * text, the manual page, the shell completion and the merge rule. */
#ifndef POLICY_FIELDS_H
#define POLICY_FIELDS_H

#include "policy/policy.h"

enum field_merge {
    MERGE_LAST,   /* the later source wins */
    MERGE_MIN,    /* a number: the later source wins, a project file only when smaller */
    MERGE_APPEND, /* a list: all sources add up; a project file may not add (unless FIELD_TIGHTENS) */
};

enum {
    FIELD_FLAG = 1,   /* takes no value ("true"/"false" in files) */
    FIELD_REPEAT = 2, /* may be given several times */
    FIELD_TIGHTENS =
        4, /* adding it can only make the room smaller: allowed from a project file (hide, require) */
    FIELD_CLI_ONLY =
        8, /* no meaning in a file (env-file, policy, settings are handled by the command line) */
    FIELD_NO_PROJECT = 16, /* never from a project file */
    FIELD_BARE = 32 /* on the command line a path may begin with a name: it is below the current directory */
};

struct field {
    const char *name;  /* long option without dashes, and policy key */
    char letter;       /* short option, or 0 */
    char letter2;      /* a second one (another tool's habit), or 0; not shown in help */
    const char *alias; /* second long name, or NULL */
    const char *arg;   /* name of the value in help ("SIZE"), NULL for FIELD_FLAG */
    unsigned flags;
    enum field_merge merge;
    /* parses `value` into p; -errno with e filled (kind ERR_USAGE on the command line, ERR_POLICY in a file) */
    int (*set)(struct policy *p, const struct field *f, enum policy_source source, const char *value,
               struct err *e);
    /* writes the canonical "name: value" line(s); with `explain` each ends in a comment that names its source */
    void (*show)(const struct policy *p, const struct field *f, struct sbuf *out, bool explain);
    size_t row;         /* index into limit_rows for limits; free for the set function otherwise */
    const char *group;  /* heading in help: "files", "limits", "identity", "walls", "network", "terminal" */
    const char *help;   /* one line, <= 50 columns */
    const char *alias2; /* a third long name, or NULL */
};

extern const struct field fields[];
extern const size_t field_count;

#define FIELD_COUNT_MAX 64 /* rows in the table, at most */

const struct field *field_find(const char *name); /* by name or alias; NULL */
const struct field *field_find_n(const char *name, size_t len);
const struct field *field_by_letter(char letter); /* NULL */
const char *field_nearest(const char *name);      /* for "did you mean"; NULL when nothing is near */

#endif
