/* copies: what is brought out of a room when it has ended.
 *
 * Theory of operation. The room's root is a detached tree of mounts that lives as long as its descriptor, so when every
 * process is dead its files are still there and stand still. A path that is to come out is looked up in that root once,
 * links refused; strongroom-tree copies from there into a folder that was opened before the room began.
 *
 * Lives in: the supervisor. Trusts: the policy. Must not: walk what the room wrote, follow a link of its. */
#include "engine/helper.h"
#include "engine/inner.h"
#include "engine/tar.h"
#include "engine/tree.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* stdout is for the stream alone: from here on what the program prints goes where errors go. */
static int take_stdout(int *ret, struct err *e)
{
    if (isatty(STDOUT_FILENO)) {
        err_set(e, ERR_USAGE, 0, "copy out to stdout: a tar stream is nothing for a terminal");
        return err_hint(e, "send it into a file or to tar -x");
    }
    *ret = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (*ret < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return err_set(e, ERR_IO, errno, "copy out to stdout");
    return 0;
}

int copies_prepare(struct room *r, struct err *e)
{
    r->result->copy_count = r->policy->copy_count;
    for (size_t i = 0; i < r->policy->copy_count; i++) {
        r->result->copies[i].src = r->policy->copies[i].src;
        r->result->copies[i].dst = r->policy->copies[i].dst;
        const char *dst = r->policy->copies[i].dst;
        const bool stream = strcmp(dst, "-") == 0;
        int n = helper_hold(stream ? TAR_PROGRAM : TREE_PROGRAM, e); /* now, for afterwards is too late */
        if (n == 0 && stream)
            n = take_stdout(&r->outs[i], e);
        if (n < 0)
            return n;
        if (stream)
            continue;
        if (mkdir(dst, 0755) < 0 && errno != EEXIST) {
            n = err_set(e, ERR_IO, errno, "make the folder to copy out to: %s", dst);
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

/* Is it mounted below that path of the room? The rest of its own; NULL: it is not. */
static const char *below(const char *path, const struct plan_mount *m)
{
    const char *at = m->dst;
    for (path++; *path && *path == *at; path++)
        at++;
    return *path == '\0' && *at == '/' ? at + 1 : NULL;
}

static bool is_hosts(const struct plan_mount *m)
{
    return m->kind == MOUNT_RO || m->kind == MOUNT_RW;
}

/* What is the host's is there already, and nobody misses it. */
static void forget_hosts(const struct room *r, size_t i)
{
    struct tree_totals *all = &r->result->copies[i].totals;
    for (size_t k = 0; k < r->plan.mount_count; k++) {
        const struct plan_mount *m = &r->plan.mounts[k];
        if (is_hosts(m) && below(r->policy->copies[i].src, m) && all->left_out > 0)
            all->left_out--;
    }
}

/* What is in the folder `from`, or with `name` that file in it, into the folder `to`. */
static int take_tree(int from, int to, const char *name, struct tree_totals *ret, struct err *e)
{
    const struct tree_command say = {.type = TREE_COPY, .flags = TREE_STRICT};
    const struct tree_dirs dirs = {.upper = from, .lower = to, .entry = -1, .lower_writable = true};
    struct tree_session tree;
    int n = tree_open(&tree, &dirs, e);
    if (n < 0)
        return n;
    char *const paths[] = {(char *)(uintptr_t)name};
    if (name)
        n = tree_paths(&tree, paths, 1, e);
    if (n == 0)
        n = tree_call(&tree, &say, NULL, NULL, ret, e);
    tree_close(&tree);
    return n;
}

/* A mount of the room's own below what is copied out, still at its place; `ret_rest`: where there. <0: none. */
static int open_mount(const struct room *r, size_t i, size_t k, const char **ret_rest)
{
    const struct plan_mount *m = &r->plan.mounts[k];
    const char *rest = below(r->policy->copies[i].src, m), *name;
    char path[POLICY_PATH_MAX + 1] = "";
    struct sbuf b = SBUF(path);
    if (!rest || is_hosts(m) || m->kind == MOUNT_COPY_IN) /* a file that was copied in is an ordinary one */
        return -1;
    sbuf_fmt(&b, "/%s", m->dst);
    int from = open_source(r, path, &name);
    if (from >= 0 && name) /* the program renamed what it lies in, and may have put a file there */
        fd_close(&from);
    *ret_rest = rest;
    return from;
}

/* Mount points were left out. Those of the room's own files come now, parents first. */
static int take_mounts(struct room *r, size_t i, struct err *e)
{
    struct tree_totals *all = &r->result->copies[i].totals;
    int n = 0;
    for (size_t k = 0; n == 0 && k < r->plan.mount_count; k++) {
        struct tree_totals part = {0};
        const char *rest;
        FD_AUTO from = open_mount(r, i, k, &rest);
        FD_AUTO to = from < 0 ? -1
                              : fd_resolve(r->outs[i], rest,
                                           0x08 | 0x04 | 0x02 /* BENEATH, NO_SYMLINKS, NO_MAGICLINKS */);
        if (to < 0)
            continue;
        n = take_tree(from, to, NULL, &part, e);
        all->added += part.added;
        all->bytes_added += part.bytes_added;
        all->left_out += part.left_out;
        all->left_out -= all->left_out > 0;
    }
    return n;
}

/* The folder `from`, or with `name` that file in it, into the tar stream, where its top is called `top`. */
static int pack(struct room *r, size_t i, int from, unsigned flags, const char *top, const char *name,
                struct err *e)
{
    struct tar_order o = {.what = TAR_PACK, .flags = TAR_STRICT | flags};
    struct sbuf t = SBUF(o.name), only = SBUF(o.only);
    struct tree_totals *all = &r->result->copies[i].totals;
    struct tar_session session;
    struct tar_report report;
    char said[2] = "";
    sbuf_text(&t, top);
    sbuf_text(&only, name ? name : "");
    if (t.full)
        return 0; /* as every name that is too long: it stays left out */
    int n = tar_start(&session, &o, r->outs[i], from, e);
    if (n == 0)
        n = tar_finish(&session, -1, said, sizeof said, NULL, NULL, &report, e);
    if (n == 0) {
        all->added += report.files;
        all->bytes_added += report.bytes;
        all->left_out += report.left_out;
        all->left_out -= flags & TAR_BELOW && all->left_out > 0; /* the mount point, before */
    }
    return n;
}

/* As a tar stream, and behind it what is mounted in it, parents first. */
static int take_as_stream(struct room *r, size_t i, int from, const char *name, struct err *e)
{
    static const char end[TAR_END_BYTES];
    const char *top = strrchr(r->policy->copies[i].src, '/') + 1, *rest;
    char path[POLICY_PATH_MAX];
    int n = pack(r, i, from, TAR_MORE, top, name, e);
    for (size_t k = 0; n == 0 && !name && k < r->plan.mount_count; k++) {
        FD_AUTO mount = open_mount(r, i, k, &rest);
        struct sbuf b = SBUF(path);
        if (mount < 0)
            continue;
        sbuf_fmt(&b, "%s%s%s", top, top[0] ? "/" : "", rest);
        n = pack(r, i, mount, TAR_MORE | TAR_BELOW, path, NULL, e);
    }
    if (n == 0 && (n = fd_write_all(r->outs[i], end, sizeof end)) < 0)
        n = err_set(e, ERR_IO, -n, "write the tar stream");
    forget_hosts(r, i);
    return n;
}

static int take(struct room *r, size_t i, struct err *e)
{
    const struct policy_copy *c = &r->policy->copies[i];
    const char *name;
    FD_AUTO from = open_source(r, c->src, &name);
    if (from < 0) {
        int n = err_set(e, ERR_IO, -from, "copy out %s", c->src);
        if (from == -ELOOP)
            err_hint(e, "it is or leads through a link that the program made; name what the link means");
        return n;
    }
    if (strcmp(c->dst, "-") == 0)
        return take_as_stream(r, i, from, name, e);
    int n = take_tree(from, r->outs[i], name, &r->result->copies[i].totals, e);
    if (n == 0 && !name)
        n = take_mounts(r, i, e);
    forget_hosts(r, i);
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
