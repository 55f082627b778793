/* git_index: which paths a git repository tracks, as its index file says. Pure: bytes in, paths out. */
#ifndef TREE_GIT_INDEX_H
#define TREE_GIT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GIT_INDEX_MAX      ((size_t)256 << 20) /* bytes of an index that is read */
#define GIT_INDEX_PATH_MAX 4095u

/* One path, as git has it, NUL-terminated; `folder`: it stands for all below it (a submodule, a folder that a sparse
 * index does not list). Not 0 ends the reading and is returned. */
typedef int git_index_fn(void *ctx, const char *path, size_t len, int folder);

/* Versions 2 to 4, with SHA-1 or SHA-256; the paths come in the order of their bytes. -EBADMSG: no such file;
 * -ENOTSUP: a split index, whose paths are elsewhere. `each` is called for nothing before all of it was checked. */
int git_index_each(const uint8_t *bytes, size_t size, git_index_fn *each, void *ctx);

/* Whether both say the same of the same paths: what the files hold, their modes and stages; not when they were last
 * looked at, which git writes anew whenever it likes. False for what is no index, or a split one. */
bool git_index_same(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);

#endif
