/* options: the words of a command line. Every setting of the room comes from the policy's field table; what concerns
 * only this one invocation (where the result goes, how much is said) has a small table of its own in options.c. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/sbuf.h"
#include "policy/policy.h"

struct run_options {
    struct policy *policy; /* checked; freed by options_free */
    char **command;        /* in argv, NULL-terminated; NULL only with `help`, or `detach` and no command */
    bool help;
    bool dry_run;
    bool detach;
    bool ask;
    bool json;
    bool quiet;
    bool explain;
    bool trace_steps;
    const char *result_path; /* in argv; NULL: none */
    int result_fd;           /* the caller's; -1: none */
    int reply_fd;            /* likewise */
    const char *events;      /* in argv: a file, or fd:N; NULL: none */
    char notes[1024];        /* what policy_check() wants said, one line each; empty: nothing */
};

/* argv[0] is the verb ("run"), which messages use; argv ends with NULL. Loads profiles, policy files, settings,
 * environment files and the project's policy; applies the options; checks the whole. On failure nothing is left to
 * free. -errno with e (ERR_USAGE for words of the command line, ERR_POLICY for those of a file). */
int options_parse(int argc, char **argv, struct run_options *ret, struct err *e);
void options_free(struct run_options *o);

/* Like options_parse(), but a command is neither needed nor allowed: `policy show|explain [options]`. */
int options_parse_policy(int argc, char **argv, struct run_options *ret, struct err *e);

/* Texts made from the tables. */
void options_help(struct sbuf *out); /* the options, grouped, at most 80 columns */
void options_man(struct sbuf *out);  /* the OPTIONS section in man(7) macros */
void options_completion_bash(const char *const *verbs, size_t verb_count, struct sbuf *out);

/* One row of either table, for whoever lists them all. */
struct option_view {
    const char *name, *alias, *arg, *group, *help;
    char letter, letter2;
    bool repeat;
};
bool options_view(size_t index, struct option_view *ret); /* false: past the end */

#endif
