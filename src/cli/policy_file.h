/* policy_file: the files that a command line names, and the ones that are found. */
#ifndef CLI_POLICY_FILE_H
#define CLI_POLICY_FILE_H

#include "policy/policy.h"

#define POLICY_FILES_MAX    16 /* --policy, --settings and --env-file together */
#define POLICY_EXTENDS_MAX  4  /* files that one may be laid over, one after the other */
#define POLICY_PROJECT_FILE ".strongroom.yaml"

struct policy_files {
    size_t count;
    struct policy_file_word {
        const char *option; /* the field's name: "policy", "settings", "env-file" */
        const char *value;  /* in argv */
    } words[POLICY_FILES_MAX];
};

/* Who is told what is not an error; `note` may be NULL. */
struct policy_notes {
    void (*note)(void *ctx, const char *text);
    void *ctx;
};

/* Notes one for later; -errno with e when there are too many or the value is empty. */
int policy_files_add(struct policy_files *files, const char *option, const char *value, struct err *e);

/* Applies them in rising order of source: profiles, files and settings, the project's own policy when there is one in
 * the current directory, environment files. `cwd` and `home` may be NULL. -errno with e. */
int policy_files_apply(const struct policy_files *files, struct policy *p, const char *cwd, const char *home,
                       const struct policy_notes *notes, struct err *e);

/* Reads one file (settings when it ends in .json, a project's policy when it is called so) or profile into a policy of
 * its own and checks that: what `strongroom policy check` does. -errno with e. */
int policy_file_check(const char *word, const struct policy_notes *notes, struct err *e);

/* Whether a value of --policy is a file (has a slash, or ends in .yaml or .yml) rather than a profile's name. */
bool policy_word_is_file(const char *word);

#endif
