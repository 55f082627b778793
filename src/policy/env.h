/* env: the one format of variables that is not ours. */
#ifndef POLICY_ENV_H
#define POLICY_ENV_H

#include "policy/policy.h"

/* Applies docker's env-file format: one NAME=VALUE (taken verbatim, no quoting) or NAME (the caller's value) a line,
 * "#" starts a comment line, blank lines are skipped. `where` names the file. -errno with e. */
int env_file_apply(struct policy *p, const char *where, const char *text, size_t len, struct err *e);

#endif
