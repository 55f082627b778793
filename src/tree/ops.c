/* ops: see ops.h.
 *
 * Lives in: strongroom-tree. Trusts: the journal, checked by form. Must not: overwrite or remove anything: what
 * goes, goes into the stage. */
#include "tree/ops.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "tree/copy.h"
#include "tree/stage.h"
#include "tree/step.h"

#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#define BESIDE_MAX 64
#define STAYS      "changed since, and stays as it is"
#define BESIDE     "changed since, and stays as it is; what was there before lies beside it (.before-ID)"
#define AT_TOP     "changed since, and stays as it is; what was there before lies in the workspace (.before-ID)"

static int move(int from, const char *name, int to, const char *to_name, unsigned flags)
{
    return syscall(SYS_renameat2, from, name, to, to_name, flags) < 0 ? -errno : 0;
}

static void stage_name(const struct ops *o, const struct journal_op *op, char ret[STAGE_PATH_MAX])
{
    stage_path(o->flat, op->number, ret);
}

static bool look(int dir, const char *name, struct stat *ret)
{
    return fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_made(const struct journal_op *op, const struct stat *s)
{
    return (uint64_t)s->st_dev == op->made.dev && s->st_ino == op->made.ino;
}

static bool unchanged(const struct fingerprint *f, const struct stat *s)
{
    return (uint64_t)s->st_size == f->size && s->st_mtim.tv_sec == f->mtime &&
           (uint32_t)s->st_mtim.tv_nsec == f->mtime_nsec && s->st_mode == f->mode;
}

/* As this journal left it. */
static bool as_made(const struct ops *o, const struct journal_op *op, int dir, const char *name,
                    const struct stat *s)
{
    return (is_made(op, s) && unchanged(&op->made, s)) ||
           (o->same && S_ISREG(s->st_mode) && op->file == TREE_REGULAR && o->same(o->path, dir, name));
}

/* As it was before; an undo from another file system brought back a copy, so it may be another inode. */
static bool is_old(const struct journal_op *op, const struct stat *s)
{
    return S_ISREG(s->st_mode) ? unchanged(&op->old, s)
                               : (s->st_mode & S_IFMT) == (op->old.mode & S_IFMT) &&
                                     (S_ISDIR(s->st_mode) || (uint64_t)s->st_size == op->old.size);
}

static int leave(struct ops *o, const char *why)
{
    o->tell(o->path, why);
    return 0;
}

/* What the stage has and the tree will not take goes beside it, or to the top when its folder is gone. */
static int put_beside(struct ops *o, const struct journal_op *op, int dir, const char *name)
{
    char number[STAGE_PATH_MAX], beside[256];
    int r = -EEXIST;

    stage_name(o, op, number);
    for (unsigned i = 0; i < BESIDE_MAX && r == -EEXIST; i++) {
        (void)snprintf(beside, sizeof beside, i ? "%.200s.before-%s.%u" : "%.200s.before-%s", name, o->id, i);
        r = move(o->stage, number, dir, beside, RENAME_NOREPLACE);
    }
    return r < 0 ? r : leave(o, dir == o->tree.root ? AT_TOP : BESIDE);
}

static int folder_empty(int dir, const char *name)
{
    char buf[4096];
    FD_AUTO fd = beneath_open(dir, name, O_RDONLY | O_DIRECTORY);
    long n, names = 0;

    if (fd < 0)
        return fd;
    while ((n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0)
        for (long at = 0; at < n; names++) {
            unsigned short len;
            memcpy(&len, buf + at + 16, sizeof len);
            at += len;
        }
    return n < 0 ? -errno : names > 2 ? -ENOTEMPTY : 0;
}

/* What was taken away must be what the journal expects; else it goes back at once. */
static int check_taken(struct ops *o, const struct journal_op *op, int dir, const char *name,
                       const char *number)
{
    struct stat s;
    int r = 0;

    if (!look(o->stage, number, &s))
        return -errno;
    if (op->file == TREE_FOLDER && op->what == OP_DELETE)
        r = folder_empty(o->stage, number);
    if (r == 0 && o->fresh && !fingerprint_same(&op->old, &s, false))
        r = -EBUSY;
    if (r == 0)
        return 0;
    o->why = r == -ENOTEMPTY ? "something new is in it" : r == -EBUSY ? "it changed at this moment" : NULL;
    int back = move(o->stage, number, dir, name, op->what == OP_REPLACE ? RENAME_EXCHANGE : RENAME_NOREPLACE);
    return back < 0 ? back : r;
}

/* Forward again, after a crash: false when what is there now is not what this operation may take. */
static bool may_go_forward(const struct ops *o, const struct journal_op *op, int dir, const char *name)
{
    char number[STAGE_PATH_MAX];
    struct stat s, staged;
    bool there = look(dir, name, &s);

    stage_name(o, op, number);
    switch (op->what) {
    case OP_DELETE:
        return look(o->stage, number, &staged) || (there && is_old(op, &s));
    case OP_ADD:
        return !there || !look(o->stage, number, &staged);
    case OP_REPLACE:
        return there && (is_made(op, &s) || as_made(o, op, dir, name, &s) ||
                         (look(o->stage, number, &staged) && is_old(op, &s) &&
                          (is_made(op, &staged) || as_made(o, op, o->stage, number, &staged))));
    case OP_MODE:
        return there &&
               ((s.st_mode & 07777) == op->new_mode || (s.st_mode & 07777) == (op->old.mode & 07777));
    default:
        return there && S_ISDIR(s.st_mode);
    }
}

static int forward_one(struct ops *o, const struct journal_op *op, int dir, const char *name)
{
    char number[STAGE_PATH_MAX];
    struct stat s;
    int r;

    if (o->tell && !may_go_forward(o, op, dir, name))
        return leave(o, STAYS);
    stage_name(o, op, number);
    switch (op->what) {
    case OP_DELETE:
        if (!o->fresh && look(o->stage, number, &s))
            return 0;
        r = move(dir, name, o->stage, number, RENAME_NOREPLACE);
        return r < 0 ? r : check_taken(o, op, dir, name, number);
    case OP_ADD:
        if (!o->fresh && !look(o->stage, number, &s))
            return 0;
        return move(o->stage, number, dir, name, RENAME_NOREPLACE);
    case OP_REPLACE:
        if (!o->fresh && look(dir, name, &s) && (is_made(op, &s) || as_made(o, op, dir, name, &s)))
            return 0;
        r = move(o->stage, number, dir, name, RENAME_EXCHANGE);
        return r < 0 ? r : check_taken(o, op, dir, name, number);
    case OP_MODE:
        return copy_mode(dir, name, op->new_mode);
    default: { /* OP_SETTLE */
        const struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {op->mtime, op->mtime_nsec}};
        r = copy_mode(dir, name, op->new_mode);
        return r < 0 ? r : utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    }
    }
}

static int delete_back(struct ops *o, const struct journal_op *op, int dir, const char *name)
{
    char number[STAGE_PATH_MAX];
    struct stat s;

    stage_name(o, op, number);
    if (!look(o->stage, number, &s))
        return 0;
    int r = move(o->stage, number, dir, name, RENAME_NOREPLACE);
    if (r != -EEXIST || !o->tell)
        return r;
    if (op->file == TREE_FOLDER && look(dir, name, &s) && S_ISDIR(s.st_mode))
        return 0; /* what was in it still fits in */
    return put_beside(o, op, dir, name);
}

static int add_back(struct ops *o, const struct journal_op *op, int dir, const char *name)
{
    char number[STAGE_PATH_MAX];
    struct stat s;

    stage_name(o, op, number);
    if (look(o->stage, number, &s))
        return 0;
    if (op->file != TREE_FOLDER) {
        if (o->tell && look(dir, name, &s) && !as_made(o, op, dir, name, &s))
            return leave(o, STAYS);
        return move(dir, name, o->stage, number, RENAME_NOREPLACE);
    }
    if (unlinkat(dir, name, AT_REMOVEDIR) < 0) {
        o->kept += errno == ENOTEMPTY || errno == EEXIST;
        return errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT ? 0 : -errno;
    }
    return mkdirat(o->stage, number, 0700) < 0 ? -errno : 0;
}

static int replace_back(struct ops *o, const struct journal_op *op, int dir, const char *name)
{
    char number[STAGE_PATH_MAX];
    struct stat s, staged;

    stage_name(o, op, number);
    const bool there = look(dir, name, &s), whole = there && as_made(o, op, dir, name, &s),
               made = whole || (there && is_made(op, &s));
    if (o->tell && !whole) /* staged is what was made: it was not done at all */
        return look(o->stage, number, &staged) && !is_made(op, &staged) ? put_beside(o, op, dir, name)
               : made                                                   ? leave(o, STAYS)
                                                                        : 0;
    return made ? move(o->stage, number, dir, name, RENAME_EXCHANGE) : 0;
}

static int backward_one(struct ops *o, const struct journal_op *op, int dir, const char *name)
{
    struct stat s;

    switch (op->what) {
    case OP_DELETE:
        return delete_back(o, op, dir, name);
    case OP_ADD:
        return add_back(o, op, dir, name);
    case OP_REPLACE:
        return replace_back(o, op, dir, name);
    case OP_MODE:
        if (o->tell && look(dir, name, &s) && (s.st_mode & 07777) != op->new_mode)
            return (s.st_mode & 07777) == (op->old.mode & 07777) ? 0 : leave(o, STAYS);
        return copy_mode(dir, name, op->old.mode & 07777);
    default: /* OP_SETTLE: writable again, so that what is in it can go; where it was made at all */
        return look(dir, name, &s) && S_ISDIR(s.st_mode) ? copy_mode(dir, name, op->new_mode | 0700) : 0;
    }
}

/* The folder around is gone since, and something is to go back into it. */
static int no_folder_back(struct ops *o, const struct journal_op *op, const char *path, int r)
{
    const char *slash = strrchr(path, '/');
    char number[STAGE_PATH_MAX];
    struct stat s;

    stage_name(o, op, number);
    if (op->what != OP_DELETE && op->what != OP_REPLACE)
        return r;
    if (!look(o->stage, number, &s) || is_made(op, &s) || S_ISDIR(s.st_mode))
        return 0;
    return put_beside(o, op, o->tree.root, slash ? slash + 1 : path);
}

static int each(struct ops *o, const struct journal_op *op, const char *path,
                int (*one)(struct ops *, const struct journal_op *, int, const char *))
{
    const char *name;
    int dir = beneath_parent(&o->tree, path, &name);
    o->path = path;
    int r = dir < 0 ? dir : one(o, op, dir, name);

    if (o->tell && (dir == -ENOENT || dir == -ENOTDIR || dir == -ELOOP)) {
        if (one == forward_one)
            r = 0; /* it went since; what would go into it stays in the stage */
        else if (one == backward_one)
            r = no_folder_back(o, op, path, r);
    }
    if (dir < 0 && one == forward_one &&
        op->what == OP_DELETE) { /* the folder around may have gone after it */
        char number[STAGE_PATH_MAX];
        struct stat s;
        stage_name(o, op, number);
        if (look(o->stage, number, &s))
            r = 0;
    }
    step_done();
    if (r < 0)
        o->failed = path;
    return r;
}

int ops_forward(struct ops *o, struct journal *j)
{
    const struct journal_op *op;
    const char *path;
    int r;

    o->flat = journal_flat(j);
    j->at = sizeof *j->head;
    while ((r = journal_next(j, &op, &path)) > 0)
        if ((r = each(o, op, path, forward_one)) < 0)
            return r;
    return r;
}

/* What could not be taken back does not keep the rest from it. */
int ops_backward(struct ops *o, struct journal *j)
{
    const struct journal_op *op;
    const char *path;
    int r, first = 0;

    o->id = j->head->id;
    o->flat = journal_flat(j);
    journal_to_end(j);
    while ((r = journal_back(j, &op, &path)) > 0) {
        r = each(o, op, path, backward_one);
        if ((r == -ENOENT || r == -ENOTDIR || r == -ELOOP) &&
            (op->what == OP_ADD || op->what == OP_MODE || op->what == OP_SETTLE))
            r = 0; /* its folder was not made yet */
        if (r < 0 && first == 0)
            first = r;
    }
    return r < 0 ? r : first;
}

static int restore_one(struct ops *o, const struct journal_op *op, int dir, const char *name)
{
    const struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {op->old_mtime, op->old_mtime_nsec}};
    FD_AUTO fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)o;
    (void)name;
    if (op->what == OP_MODE || op->what == OP_SETTLE || op->old_mtime_nsec == UTIME_OMIT)
        return 0;
    return fd < 0 || futimens(fd, t) < 0 ? -errno : 0;
}

int ops_restore_times(struct ops *o, struct journal *j)
{
    const struct journal_op *op;
    const char *path;
    int r;

    journal_to_end(j);
    while ((r = journal_back(j, &op, &path)) > 0)
        (void)each(o, op, path, restore_one); /* a folder that is not there again has no times */
    return r;
}

/* The root may be a mere name (O_PATH). */
static int sync_all(int root)
{
    FD_AUTO fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || syncfs(fd) < 0 ? -errno : 0;
}

int ops_sync(struct ops *o, struct journal *j, uint64_t few)
{
    const struct journal_op *op;
    const char *path, *name;
    int r;

    if (j->head->ops > few)
        return sync_all(o->tree.root);
    j->at = sizeof *j->head;
    while ((r = journal_next(j, &op, &path)) > 0) {
        int dir = beneath_parent(&o->tree, path, &name);
        FD_AUTO fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && fsync(fd) < 0)
            return -errno;
    }
    return r;
}

static const char *touched(const struct ops *o, const struct journal_op *op, int dir, const char *name)
{
    struct stat s;
    bool there = look(dir, name, &s);

    switch (op->what) {
    case OP_DELETE:
        return there && op->reserved[0] == 0 ? "is there again" : NULL;
    case OP_MODE:
        return !there ? "is gone" : (s.st_mode & 07777) != op->new_mode ? "has another mode since" : NULL;
    case OP_SETTLE:
        return NULL;
    default:
        if (!there)
            return "is gone";
        if (op->file == TREE_FOLDER)
            return S_ISDIR(s.st_mode) ? NULL : "is another file since";
        return as_made(o, op, dir, name, &s) ? NULL : "changed since";
    }
}

int ops_untouched(struct ops *o, struct journal *j, void (*tell)(const char *path, const char *why))
{
    const struct journal_op *op;
    const char *path, *name;
    int r, result = 0;

    j->at = sizeof *j->head;
    while ((r = journal_next(j, &op, &path)) > 0) {
        int dir = beneath_parent(&o->tree, path, &name);
        o->path = path;
        const char *why = dir >= 0 ? touched(o, op, dir, name) : op->what == OP_DELETE ? NULL : "is gone";
        if (!why)
            continue;
        tell(path, why);
        result = -EBUSY;
    }
    return r < 0 ? r : result;
}
