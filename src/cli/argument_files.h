/* argument_files: `strongroom run -- python3 script.py data.csv` means those files. */
#ifndef CLI_ARGUMENT_FILES_H
#define CLI_ARGUMENT_FILES_H

#include "policy/policy.h"

#define ARGUMENT_FILES_MAX 64 /* words of the command that are looked at */

/* Adds a read-only mount below /work for every word of `command` that is a relative path to a regular file below `cwd`.
 * Not looked at: words with ".." or a component that begins with a dot (settings and secrets live there), paths that
 * leave cwd through a link, a bare command name, anything when the policy says `args: none` or names a working
 * directory of its own. 0, or -errno with e. */
int argument_files_add(struct policy *p, char *const *command, const char *cwd, struct err *e);

#endif
