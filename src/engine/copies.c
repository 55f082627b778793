/* copies: what is brought out of a room when it has ended.
 *
 * Theory of operation. The room's root is a detached tree of mounts that lives as long as its descriptor, so when every
 * process is dead its files are still there and stand still. A path that is to come out is looked up in that root once,
 * links refused; strongroom-tree copies from there into a folder that was opened before the room began.
 *
 * Lives in: the supervisor. Trusts: the policy. Must not: walk what the room wrote, follow a link of its. */
#include "engine/inner.h"
#include "engine/tree.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int copies_prepare(struct room *r, struct err *e)
{
    r->result->copy_count = r->policy->copy_count;
    for (size_t i = 0; i < r->policy->copy_count; i++) {
        r->result->copies[i].src = r->policy->copies[i].src;
        r->result->copies[i].dst = r->policy->copies[i].dst;
        const char *dst = r->policy->copies[i].dst;
        if (mkdir(dst, 0755) < 0 && errno != EEXIST) {
            int n = err_set(e, ERR_IO, errno, "make the folder to copy out to: %s", dst);
            err_hint(e, "the folder that it lies in must be there");
            return n;
        }
        r->outs[i] = open(dst, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r->outs[i] < 0 || faccessat(r->outs[i], ".", W_OK | X_OK, AT_EACCESS) < 0)
            return err_set(e, ERR_IO, errno, "open the folder to copy out to: %s", dst);
    }
    return 0;
}

/* The folder `path`, or the one that holds the file `path`, whose name is then *ret_name. */
static int open_source(const struct room *r, const char *path, const char **ret_name)
{
    const unsigned closed =
        0x10 | 0x04 | 0x02; /* RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS */
    char dir[POLICY_PATH_MAX];
    struct stat st;
    *ret_name = NULL;
    if (r->root < 0)
        return -ENOENT;
    int fd = fd_resolve(r->root, path, closed);
    if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
        return fd;
    fd_close(&fd);
    const char *slash = strrchr(path, '/');
    struct sbuf b = SBUF(dir);
    sbuf_bytes(&b, path, slash == path ? 1 : (size_t)(slash - path));
    *ret_name = slash + 1;
    return fd_resolve(r->root, dir, closed);
}

static int take(struct room *r, size_t i, struct err *e)
{
    const struct policy_copy *c = &r->policy->copies[i];
    const struct tree_command say = {.type = TREE_COPY, .flags = TREE_STRICT};
    struct tree_session tree;
    const char *name;
    FD_AUTO from = open_source(r, c->src, &name);
    if (from < 0) {
        int n = err_set(e, ERR_IO, -from, "copy out %s", c->src);
        if (from == -ELOOP)
            err_hint(e, "it is or leads through a link that the program made; name what the link means");
        return n;
    }
    const struct tree_dirs dirs = {.upper = from, .lower = r->outs[i], .entry = -1, .lower_writable = true};
    int n = tree_open(&tree, &dirs, e);
    if (n < 0)
        return n;
    char *const paths[] = {(char *)(uintptr_t)name};
    if (name)
        n = tree_paths(&tree, paths, 1, e);
    if (n == 0)
        n = tree_call(&tree, &say, NULL, NULL, &r->result->copies[i].totals, e);
    tree_close(&tree);
    return n;
}

void copies_take(struct room *r)
{
    for (size_t i = 0; i < r->policy->copy_count && r->started; i++) {
        struct err e = {0};
        if (take(r, i, &e) == 0)
            continue;
        struct sbuf b = SBUF(r->result->copies[i].failed);
        sbuf_text(&b, e.text);
        if (r->result->exit_status == 0)
            r->result->exit_status = err_exit_status(e.kind);
    }
}

void copies_close(struct room *r)
{
    for (size_t i = 0; i < POLICY_COPIES_MAX; i++)
        fd_close(&r->outs[i]);
}
