/* verbs: what the command can do, one row each. From the row come dispatch, help and completion. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include <stddef.h>

/* argv[0] is the verb. Returns the exit status. */
typedef int verb_fn(int argc, char **argv);

struct verb {
    const char *name;
    const char *args;
    const char *help; /* one line */
    verb_fn *run;
};
extern const struct verb verbs[];
extern const size_t verb_count;

verb_fn verb_apply, verb_completion, verb_cp, verb_discard, verb_doctor, verb_exec, verb_help, verb_hook,
    verb_job, verb_learn, verb_logs, verb_ls, verb_mcp, verb_policy, verb_prune, verb_review, verb_rooms,
    verb_rules, verb_run, verb_save, verb_selftest, verb_skeleton, verb_undo, verb_version, verb_why;

#endif
