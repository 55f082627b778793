/* policy_reader: asks strongroom-policy what is in a file. */
#ifndef CLI_POLICY_READER_H
#define CLI_POLICY_READER_H

#include "base/err.h"
#include <stddef.h>

/* Looks for `name` at the places `tails` (relative to the directory of this very program, or absolute), NULL at the
 * end. 0 with the path in ret (size bytes), or -ENOENT. */
int beside_program(const char *const *tails, const char *name, char *ret, size_t size);

/* Hands the open file to the reader: format "yaml", or "srt" with cwd and home (NULL: not known). The answer
 * (policy/records.h) is malloc'ed. Takes a bounded time. -errno with e; `where` names the file in messages. */
int policy_reader_ask(const char *where, int fd, const char *format, const char *cwd, const char *home,
                      char **ret_answer, size_t *ret_len, struct err *e);

#endif
