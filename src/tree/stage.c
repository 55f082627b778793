/* stage: see stage.h.
 *
 * Lives in: strongroom-tree. Trusts: the workspace's owner not to meddle with the stage; what is in a layer, not at
 * all. Must not: pass set-id bits on, follow a link of the layer. */
#include "tree/stage.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/beneath.h"
#include "tree/copy.h"
#include "tree/session.h"
#include "tree/step.h"
#include "tree/walk.h"

#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#define LINKS_MAX  65536 /* files with several names that are kept one file */
#define TARGET_MAX 4096
#define HANG_DEPTH 64 /* levels of a tree that is removed without hanging up what is below */
#define OLD_TMP    ".old"

struct stage_links {
    struct {
        uint64_t ino;
        uint32_t number, used;
    } at[LINKS_MAX];
};

void stage_path(bool flat, uint32_t number, char ret[STAGE_PATH_MAX])
{
    if (flat)
        (void)snprintf(ret, STAGE_PATH_MAX, "%u", number);
    else
        (void)snprintf(ret, STAGE_PATH_MAX, "s%u/%u", number / STAGE_SHELF, number);
}

static void set_name(struct stage *s, const char *id)
{
    *s = (struct stage){.fd = -1, .upper = {.root = session.upper, .fd = session.upper}};
    (void)snprintf(s->name, sizeof s->name, "%s%s", STORE_STAGE, id);
}

static int open_it(struct stage *s)
{
    int fd = beneath_open(session.lower, s->name, O_RDONLY | O_DIRECTORY);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid()) {
        fd_close(&fd);
        return -EPERM;
    }
    s->fd = fd;
    return 0;
}

int stage_create(struct stage *s, const char *id)
{
    set_name(s, id);
    if (fstat(session.lower, &s->root) < 0 || mkdirat(session.lower, s->name, 0700) < 0)
        return -errno;
    s->links = mem_reserve(sizeof *s->links);
    return s->links ? open_it(s) : -ENOMEM;
}

int stage_open(struct stage *s, const char *id)
{
    set_name(s, id);
    return fstat(session.lower, &s->root) < 0 ? -errno : open_it(s);
}

void stage_close(struct stage *s)
{
    fd_close(&s->fd);
    beneath_parent_close(&s->upper);
    mem_release(s->links, s->links ? sizeof *s->links : 0);
    s->links = NULL;
}

int stage_shelf(struct stage *s, uint32_t number)
{
    char name[STAGE_PATH_MAX];

    for (; s->shelves <= number / STAGE_SHELF; s->shelves++) {
        (void)snprintf(name, sizeof name, "s%u", s->shelves);
        if (mkdirat(s->fd, name, 0700) < 0)
            return -errno;
    }
    return 0;
}

/* A file with several names in the layer stays one file. 1: linked. */
static int link_known(struct stage *s, const struct index_row *row, const char *number, uint32_t n)
{
    size_t at = (size_t)(row->new_ino * 0x9e3779b97f4a7c15u >> 48) % LINKS_MAX;

    if (row->new_links < 2 || row->kind != TREE_ADDED)
        return 0;
    for (size_t i = 0; i < 64; i++, at = (at + 1) % LINKS_MAX) {
        char old[STAGE_PATH_MAX];
        if (!s->links->at[at].used) {
            s->links->at[at].ino = row->new_ino;
            s->links->at[at].number = n;
            s->links->at[at].used = 1;
            return 0;
        }
        if (s->links->at[at].ino != row->new_ino)
            continue;
        stage_path(false, s->links->at[at].number, old);
        return linkat(s->fd, old, s->fd, number, 0) < 0 ? -errno : 1;
    }
    return 0;
}

static int own(struct stage *s, const char *number, const struct stat *like)
{
    const struct stat *whose = like ? like : &s->root;

    if (geteuid() != 0)
        return 0;
    return fchownat(s->fd, number, whose->st_uid, whose->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* A file that was just made has its owner and mode already, as a rule: only what differs (by access lists that the
 * workspace's folder passes on, or because it belongs to somebody else) is set. *ret: as it is then. */
static int settle_file(struct stage *s, int fd, mode_t mode, const struct stat *like, struct stat *ret)
{
    const struct stat *whose = like ? like : &s->root;

    if (fstat(fd, ret) < 0)
        return -errno;
    const bool owner = ret->st_uid == whose->st_uid && ret->st_gid == whose->st_gid;
    if ((owner || geteuid() != 0) && (ret->st_mode & 07777) == mode)
        return 0;
    if (!owner && geteuid() == 0 && fchown(fd, whose->st_uid, whose->st_gid) < 0)
        return -errno;
    return fchmod(fd, mode) < 0 || fstat(fd, ret) < 0 ? -errno : 0;
}

static int fill_file(struct stage *s, const struct index_row *row, int dir, const char *name,
                     const char *number, const struct stat *like, int like_fd, struct stat *ret)
{
    const mode_t mode = row->new_mode & 0777;
    FD_AUTO from = beneath_open_ours(dir, name, O_RDONLY);
    struct stat st;

    if (from < 0)
        return from;
    if (fstat(from, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != row->new_size)
        return -ESTALE;
    FD_AUTO fd = openat(s->fd, number, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    int r = copy_bytes(from, fd, &st);
    const struct timespec t[2] = {st.st_atim, st.st_mtim};
    if (r == 0 && like_fd >= 0)
        r = copy_xattrs(like_fd, fd);
    if (r == 0 && futimens(fd, t) < 0)
        r = -errno;
    return r < 0 ? r : settle_file(s, fd, mode, like, ret);
}

static int fill_link(struct stage *s, int dir, const char *name, const char *number, const struct stat *like)
{
    char target[TARGET_MAX];
    struct stat st;
    ssize_t n = readlinkat(dir, name, target, sizeof target - 1);

    if (n < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    target[n] = '\0';
    if (symlinkat(target, s->fd, number) < 0)
        return -errno;
    const struct timespec t[2] = {st.st_atim, st.st_mtim};
    int r = own(s, number, like);
    return r < 0 ? r : utimensat(s->fd, number, t, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int stage_fill(struct stage *s, const struct index_row *row, const char *path, struct journal_op *op,
               const struct stat *like, int like_fd)
{
    char number[STAGE_PATH_MAX];
    const char *name;
    struct stat st;
    int dir = beneath_parent(&s->upper, path, &name), r = dir;

    stage_path(false, op->number, number);
    step_done();
    if (r >= 0 && row->file == TREE_REGULAR) {
        r = link_known(s, row, number, op->number);
        if (r == 0) {
            r = fill_file(s, row, dir, name, number, like, like_fd, &st);
            if (r == 0)
                fingerprint_take(&st, &op->made);
            return r;
        }
    } else if (r >= 0 && row->file == TREE_LINK) {
        r = fill_link(s, dir, name, number, like);
    } else if (r >= 0 && row->file != TREE_FOLDER) {
        r = -EINVAL; /* never made real */
    } else if (r >= 0) {
        r = mkdirat(s->fd, number, 0700) < 0 ? -errno : own(s, number, like);
        if (r == 0 &&
            fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) { /* for the times, when it is full */
            op->mtime = st.st_mtim.tv_sec;
            op->mtime_nsec = (uint32_t)st.st_mtim.tv_nsec;
        }
    }
    if (r < 0)
        return r;
    if (fstatat(s->fd, number, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    fingerprint_take(&st, &op->made);
    return 0;
}

static int rename_dir(int from, const char *name, int to, const char *to_name)
{
    return syscall(SYS_renameat2, from, name, to, to_name, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

static bool there(int dir, const char *name)
{
    struct stat s;

    return fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) == 0;
}

/* To another file system: a full copy, under its name only when it is whole and on the disk. */
static int copy_whole(int from, int to, const char *tmp, const char *name)
{
    struct copy_count count = {0};
    int r = remove_tree(to, tmp);

    if (r == 0 && mkdirat(to, tmp, 0700) < 0)
        r = -errno;
    if (r < 0)
        return r;
    FD_AUTO fd = openat(to, tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    r = fd < 0 ? -errno : copy_tree(from, fd, NULL, COPY_BACKUP, -1, NULL, &count);
    if (r == 0 && syncfs(fd) < 0)
        r = -errno;
    return r < 0 ? r : rename_dir(to, tmp, to, name);
}

int stage_keep(struct stage *s)
{
    if (there(session.entry, STORE_OLD))
        return 0; /* kept before; an undo that came to nothing left it there */
    int r = rename_dir(session.lower, s->name, session.entry, STORE_OLD);
    step_done();
    if (r == 0)
        fd_close(&s->fd); /* it is old/ now, and nothing of it is to be removed */
    return r == -EXDEV ? copy_whole(s->fd, session.entry, OLD_TMP, STORE_OLD) : r;
}

int stage_bring_back(struct stage *s, const char *id)
{
    char tmp[STAGE_NAME_MAX + 4];

    set_name(s, id);
    if (fstat(session.lower, &s->root) < 0)
        return -errno;
    int r = rename_dir(session.entry, STORE_OLD, session.lower, s->name);
    step_done();
    if (r == -EXDEV) {
        FD_AUTO old = openat(session.entry, STORE_OLD, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        (void)snprintf(tmp, sizeof tmp, "%s.tmp", s->name);
        r = old < 0 ? -errno : copy_whole(old, session.lower, tmp, s->name);
    }
    return r < 0 ? r : open_it(s);
}

/* Everything of one folder that is no folder with something in it. */
static int empty_flat(int dir)
{
    static char buf[32768];
    long n;
    int kept;

    do { /* until a look from the start finds nothing more to remove: removing may shake the order */
        FD_AUTO fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        long removed = 0;
        kept = 0;
        if (fd < 0)
            return -errno;
        while ((n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0)
            for (long at = 0; at < n;) {
                const char *name = buf + at + 19;
                unsigned short len;
                memcpy(&len, buf + at + 16, sizeof len);
                at += len;
                if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                    continue;
                bool gone = unlinkat(dir, name, 0) == 0 ||
                            (errno == EISDIR && unlinkat(dir, name, AT_REMOVEDIR) == 0);
                removed += gone;
                kept += !gone;
            }
        if (n < 0 || removed == 0)
            return n < 0 ? -errno : kept ? -ENOTEMPTY : 0;
    } while (1);
}

/* What lies on the shelves. What cannot go keeps its shelf, and so the stage, from going. */
static void empty_shelves(int stage)
{
    static char buf[32768];
    FD_AUTO fd = openat(stage, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long n;

    while (fd >= 0 && (n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0)
        for (long at = 0; at < n;) {
            const char *name = buf + at + 19;
            unsigned short len;
            memcpy(&len, buf + at + 16, sizeof len);
            at += len;
            if (name[0] != 's')
                continue;
            FD_AUTO shelf = beneath_open(stage, name, O_RDONLY | O_DIRECTORY);
            if (shelf >= 0)
                (void)empty_flat(shelf);
        }
}

int stage_remove(struct stage *s)
{
    if (s->fd >= 0)
        empty_shelves(s->fd);
    int r = s->fd < 0 ? 0 : empty_flat(s->fd);

    step_done();
    if (r == 0 && s->fd >= 0 && unlinkat(session.lower, s->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    fd_close(&s->fd);
    return r;
}

/* A folder of a tree that is being removed. One far down is hung up at the top first: the kernel's check of each call
 * goes all the way up (Landlock), which makes the square of the depth. 1: hung up, for a later walk. */
static int enter_or_hang(struct walk *w, int top, unsigned *hung)
{
    const int dir = w->dir[WALK_UPPER];
    char name[32];
    int r = -EEXIST;

    if ((w->stat[WALK_UPPER].st_mode & 0700) != 0700)
        (void)copy_mode(dir, w->name, 0700); /* what it keeps from us shows below */
    if (w->depth <= HANG_DEPTH)
        return walk_enter(w, 1 << WALK_UPPER, 1 << WALK_UPPER, 0);
    while (r == -EEXIST && *hung < UINT_MAX) {
        (void)snprintf(name, sizeof name, "hung.%u", ++*hung);
        r = rename_dir(dir, w->name, top, name);
    }
    return r < 0 ? r : 1;
}

/* Everything in the folder `top`, but what was hung up meanwhile. 1: something was. */
static int remove_inside(int top, unsigned *hung)
{
    const unsigned before = *hung;
    struct walk w;
    int r = walk_open(&w, top, -1, 1 << WALK_UPPER);

    w.ours[WALK_UPPER] = true;
    while (r == 0 && (r = walk_next(&w)) > 0) {
        step_done();
        if (r == WALK_LEAVE)
            r = unlinkat(w.dir[WALK_UPPER], w.name, AT_REMOVEDIR) < 0 ? -errno : 0;
        else if (S_ISDIR(w.stat[WALK_UPPER].st_mode))
            r = enter_or_hang(&w, top, hung);
        else
            r = unlinkat(w.dir[WALK_UPPER], w.name, 0) < 0 ? -errno : 0;
        r = r > 0 ? 0 : r;
    }
    walk_close(&w);
    return r < 0 ? r : *hung != before;
}

int remove_tree(int dir, const char *name)
{
    FD_AUTO fd = beneath_open_ours(dir, name, O_RDONLY | O_DIRECTORY);
    unsigned hung = 0;
    int r;

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    do
        r = remove_inside(fd, &hung);
    while (r > 0);
    return r < 0 ? r : unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}
