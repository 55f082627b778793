/* policy_file: the files that a command line names, and the ones that are found. */
#ifndef CLI_POLICY_FILE_H
#define CLI_POLICY_FILE_H

#include "policy/policy.h"

#define POLICY_FILES_MAX 16 /* --policy, --settings and --env-file together */

struct policy_files {
    size_t count;
    struct policy_file_word {
        const char *option; /* the field's name: "policy", "settings", "env-file" */
        const char *value;  /* in argv */
    } words[POLICY_FILES_MAX];
};

/* Notes one for later; -errno with e when there are too many or the value is empty. */
int policy_files_add(struct policy_files *files, const char *option, const char *value, struct err *e);

/* Applies them in rising order of source: profiles, files and settings, the project's own policy when there is one in
 * the current directory, environment files. -errno with e. */
int policy_files_apply(const struct policy_files *files, struct policy *p, struct err *e);

#endif
