/* egress_http: which HTTP requests a rule lets through. Patterns are METHOD:PATH, parted by blanks; METHOD may be *, a
 * star in PATH stands for anything; GET means HEAD too. The query is not looked at. */
#ifndef POLICY_EGRESS_HTTP_H
#define POLICY_EGRESS_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define EGRESS_HTTP_MAX  256  /* the patterns of one rule, with the NUL */
#define EGRESS_HTTPS_MAX 2048 /* those of all rules for one host, with the NUL */
#define EGRESS_PATH_MAX  8192

/* What egress_http_matches() says of a request that nothing else is wrong with. */
#define EGRESS_HTTP_UNLISTED "no http word of the rule has its request:"

/* Appends one pattern. -EINVAL: *ret_why and *ret_hint say what is wrong. */
int egress_http_add(char list[EGRESS_HTTP_MAX], const char *pattern, const char **ret_why,
                    const char **ret_hint);

/* Is the request in the list? `path` is what the request says, with its query. False, and *ret_why, also for paths that
 * servers read in different ways: empty and dotted parts, encoded slashes, backslashes. */
bool egress_http_matches(const char *list, const char *method, size_t method_len, const char *path,
                         size_t path_len, const char **ret_why);

#endif
