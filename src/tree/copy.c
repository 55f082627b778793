/* copy: see copy.h.
 *
 * Lives in: strongroom-tree. Trusts: the two roots. Must not: follow a link, make a device (but overlay's own mark
 * 0:0), a pipe or a socket, pass set-id bits on (but for a backup). */
#include "tree/copy.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/alarms.h"
#include "tree/beneath.h"
#include "tree/handoff.h"
#include "tree/layer.h"
#include "tree/step.h"
#include "tree/walk.h"

#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#define BUF_BYTES  ((size_t)256 << 10)
#define XATTRS_MAX 4096
#define VALUE_MAX  65536
#define TARGET_MAX 4096
#define TOLD_MAX   20               /* left out, and told one by one */
#define STRICT_MAX ((off_t)4 << 30) /* apparent bytes of a file that comes out unasked */
#define LINKS_MAX  65536            /* files with several names that are remembered */

static char buf[BUF_BYTES];

static int pump(int from, int to, off_t at, off_t end)
{
    while (at < end) {
        size_t want = end - at < (off_t)BUF_BYTES ? (size_t)(end - at) : BUF_BYTES;
        ssize_t n = pread(from, buf, want, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0; /* it became shorter */
        for (ssize_t done = 0; done < n;) {
            ssize_t w = pwrite(to, buf + done, (size_t)(n - done), at + done);
            if (w < 0 && errno == EINTR)
                continue;
            if (w <= 0)
                return w < 0 ? -errno : -EIO;
            done += w;
        }
        at += n;
    }
    return 0;
}

int copy_bytes(int from, int to, const struct stat *s)
{
    const off_t size = s->st_size;

    if (size == 0)
        return 0;
    if (s->st_blocks * 512 >= size) { /* no holes */
        if (size > (off_t)BUF_BYTES && ioctl(to, FICLONE, from) == 0)
            return 0;
        return pump(from, to, 0, size);
    }
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    for (off_t at = 0; at < size;) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        if (data < 0)
            return errno == EINVAL ? pump(from, to, at, size) : -errno;
        off_t hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0 || hole > size)
            hole = size;
        int r = pump(from, to, data, hole);
        if (r < 0)
            return r;
        at = hole;
    }
    return ftruncate(to, size) < 0 ? -errno : 0;
}

int copy_mode(int dir, const char *name, mode_t mode)
{
    if (syscall(SYS_fchmodat2, dir, name, mode, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (errno != ENOSYS)
        return -errno;
    struct stat s;
    if (fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISLNK(s.st_mode))
        return -ELOOP;
    return fchmodat(dir, name, mode, 0) < 0 ? -errno : 0;
}

static bool kept_xattr(const char *name)
{
    return (strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0) ||
           strncmp(name, "system.posix_acl_", 17) == 0;
}

/* What a folder passes on to files that are made in it: not before they are. */
static bool passed_on(const char *name)
{
    return strcmp(name, "system.posix_acl_default") == 0;
}

enum xattrs { XATTRS_ALL, XATTRS_OWN, XATTRS_PASSED_ON };

static int copy_some_xattrs(int from, int to, enum xattrs which)
{
    static char names[XATTRS_MAX], value[VALUE_MAX];
    ssize_t n = flistxattr(from, names, sizeof names);

    for (const char *at = names; n > 0 && at < names + n; at += strlen(at) + 1) {
        if (!kept_xattr(at) || (which != XATTRS_ALL && passed_on(at) != (which == XATTRS_PASSED_ON)))
            continue;
        ssize_t size = fgetxattr(from, at, value, sizeof value);
        if (size >= 0 && fsetxattr(to, at, value, (size_t)size, 0) < 0 && errno != EOPNOTSUPP)
            return -errno;
    }
    return 0; /* a file system without any, or a file with more than we carry, has none to lose for us */
}

int copy_xattrs(int from, int to)
{
    return copy_some_xattrs(from, to, XATTRS_ALL);
}

struct job {
    enum copy_kind kind;
    bool owned; /* by uid, gid */
    uid_t uid;
    gid_t gid;
    struct copy_count *count;
    copy_tell *tell;
    bool strict;
    struct beneath_parent to;
    struct known {
        uint64_t ino;
        char *path; /* NULL: free */
    } * known;
    char *paths; /* of known */
    size_t paths_used;
};

/* The name under which this file was copied before, or where to remember the one that it gets now; NULL: no room. */
static struct known *find_known(struct job *j, const struct stat *s)
{
    size_t at = (size_t)(s->st_ino * 0x9e3779b97f4a7c15u >> 48) % LINKS_MAX;

    for (size_t i = 0; i < 64; i++, at = (at + 1) % LINKS_MAX)
        if (!j->known[at].path || j->known[at].ino == s->st_ino)
            return &j->known[at];
    return NULL;
}

static void remember(struct job *j, struct known *k, const struct stat *s, const char *path)
{
    size_t n = strlen(path) + 1;

    if (!k || n > WALK_PATH_MAX - j->paths_used)
        return;
    k->ino = s->st_ino;
    k->path = memcpy(j->paths + j->paths_used, path, n);
    j->paths_used += n;
}

static int leave_out(const struct job *j, const char *path, const char *why)
{
    if (j->count->left_out++ < TOLD_MAX && j->tell)
        j->tell(path, why);
    return 0;
}

static int set_times(int dir, const char *name, const struct stat *s)
{
    const struct timespec t[2] = {s->st_atim, s->st_mtim};

    return (name[0] ? utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW) : futimens(dir, t)) < 0 ? -errno : 0;
}

static int set_owner(const struct job *j, int dir, const char *name, const struct stat *s)
{
    const bool backup = j->kind == COPY_BACKUP;

    if (geteuid() != 0 || (!backup && !j->owned))
        return 0;
    return fchownat(dir, name, backup ? s->st_uid : j->uid, backup ? s->st_gid : j->gid,
                    AT_SYMLINK_NOFOLLOW | (name[0] ? 0 : AT_EMPTY_PATH)) < 0
               ? -errno
               : 0;
}

static mode_t mode_of(const struct job *j, const struct stat *s)
{
    if (j->kind == COPY_BACKUP)
        return s->st_mode & 07777;
    const mode_t mode = s->st_mode & (j->strict ? 0775 : 0777);
    return S_ISDIR(s->st_mode) ? mode | 0700 : mode;
}

static int copy_one_file(struct job *j, const struct walk *w, int to, const char *name)
{
    const struct stat *seen = &w->stat[WALK_UPPER];
    struct known *k = seen->st_nlink > 1 && j->kind != COPY_BACKUP ? find_known(j, seen) : NULL;
    struct stat s;
    int r;

    if (k && k->path) {
        const char *old;
        struct beneath_parent from = {.root = j->to.root, .fd = j->to.root};
        int dir = beneath_parent(&from, k->path, &old);
        r = dir < 0 ? dir : linkat(dir, old, to, name, 0) < 0 ? -errno : 0;
        beneath_parent_close(&from);
        if (r == 0)
            return 0;
    }
    FD_AUTO from =
        (w->ours[WALK_UPPER] ? beneath_open_ours : beneath_open)(w->dir[WALK_UPPER], w->name, O_RDONLY);
    if ((from == -EACCES || from == -EXDEV) && j->kind == COPY_OUT)
        return leave_out(j, w->path, from == -EXDEV ? "a mount point" : "cannot be read");
    if (from < 0)
        return from;
    if (fstat(from, &s) < 0)
        return -errno;
    if (!S_ISREG(s.st_mode))
        return -ESTALE;
    FD_AUTO fd = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    r = copy_bytes(from, fd, &s);
    if (r == 0 && j->kind == COPY_BACKUP)
        r = copy_xattrs(from, fd);
    if (r == 0)
        r = set_owner(j, fd, "",
                      &s); /* not by name: another user's folder may hold another file there by now */
    if (r == 0 && fchmod(fd, mode_of(j, &s)) < 0)
        r = -errno;
    if (r == 0)
        r = set_times(fd, "", &s);
    if (r == 0)
        remember(j, k, &s, w->path);
    j->count->bytes += (uint64_t)s.st_size;
    return r;
}

static int copy_link(const struct job *j, const struct walk *w, int to, const char *name)
{
    char target[TARGET_MAX];
    ssize_t n = readlinkat(w->dir[WALK_UPPER], w->name, target, sizeof target - 1);

    if (n < 0)
        return -errno;
    target[n] = '\0';
    if (symlinkat(target, to, name) < 0)
        return -errno;
    int r = set_owner(j, to, name, &w->stat[WALK_UPPER]);
    return r < 0 ? r : set_times(to, name, &w->stat[WALK_UPPER]);
}

/* What is there already keeps its owner, mode and times: it is the host's. NOT_ENTERED: it is no folder. */
enum { NOT_ENTERED = 1 };

/* Of the folder at hand, to the one that was made for it. */
static int keep_xattrs(const struct walk *w, int to, const char *name, enum xattrs which)
{
    FD_AUTO from = beneath_open_ours(w->dir[WALK_UPPER], w->name, O_RDONLY | O_DIRECTORY);
    FD_AUTO made = from < 0 ? from : beneath_open_ours(to, name, O_RDONLY | O_DIRECTORY);

    return made < 0 ? made : copy_some_xattrs(from, made, which);
}

/* Everything in it was copied. */
static int leave_folder(struct job *j, const struct walk *w)
{
    const char *name;
    int to = j->kind == COPY_BACKUP ? beneath_parent(&j->to, w->path, &name) : 0;

    return j->kind != COPY_BACKUP ? 0 : to < 0 ? to : keep_xattrs(w, to, name, XATTRS_PASSED_ON);
}

static int copy_folder(const struct job *j, const struct walk *w, int to, const char *name)
{
    const struct stat *s = &w->stat[WALK_UPPER];
    struct stat there;

    if (mkdirat(to, name, 0700) < 0) {
        if (errno != EEXIST || j->kind != COPY_OUT)
            return -errno;
        if (fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
        if (S_ISDIR(there.st_mode))
            return 0;
        (void)leave_out(j, w->path, "something else has its name"); /* always 0 */
        return NOT_ENTERED;
    }
    int r = set_owner(j, to, name, s);
    if (r == 0 && j->kind == COPY_BACKUP)
        r = keep_xattrs(w, to, name, XATTRS_OWN);
    if (r == 0)
        r = copy_mode(to, name, mode_of(j, s));
    if (r == 0 && j->kind == COPY_STORE && layer_opaque(w->dir[WALK_UPPER], w->name))
        r = layer_mark_opaque(to, name);
    return r < 0 ? r : set_times(to, name, s);
}

/* What must not come out of a room into a folder of the host's unasked. */
static const char *unwanted(const struct walk *w)
{
    const struct stat *s = &w->stat[WALK_UPPER];
    char target[TARGET_MAX];

    for (const char *p = w->name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return "a control character in its name";
    if (S_ISREG(s->st_mode) && s->st_size > STRICT_MAX)
        return "more than 4 GiB";
    if (S_ISLNK(s->st_mode)) {
        ssize_t n = readlinkat(w->dir[WALK_UPPER], w->name, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        return n < 0 || handoff_leaves(w->path, target) ? "a link that leads out" : NULL;
    }
    return S_ISDIR(s->st_mode) ? NULL : handoff_path(w->path) ? alarm_why(handoff_path(w->path)) : NULL;
}

static int copy_entry(struct job *j, struct walk *w)
{
    const struct stat *s = &w->stat[WALK_UPPER];
    const char *name;
    int to = beneath_parent(&j->to, w->path, &name), r;

    if (to < 0)
        return to;
    step_done();
    const char *no = j->strict ? unwanted(w) : NULL;
    if (no)
        return leave_out(j, w->path, no);
    if (S_ISDIR(s->st_mode)) {
        r = copy_folder(j, w, to, name);
        if (r == NOT_ENTERED)
            return 0;
        if (r == 0 && w->path_len > WALK_PATH_KEPT && j->kind != COPY_BACKUP)
            return leave_out(j, w->path, "nested too deep");
        if (r == 0)
            r = walk_enter(w, 1 << WALK_UPPER, 1 << WALK_UPPER, 0);
        if (j->kind == COPY_OUT && (r == -EXDEV || r == -EACCES))
            r = leave_out(j, w->path, r == -EXDEV ? "a mount point" : "cannot be read");
        return r;
    }
    if (layer_whiteout(s)) {
        if (j->kind != COPY_STORE)
            return 0;
        return mknodat(to, name, S_IFCHR | 0600, makedev(0, 0)) < 0 ? -errno : 0;
    }
    if (S_ISREG(s->st_mode))
        r = copy_one_file(j, w, to, name);
    else if (S_ISLNK(s->st_mode))
        r = copy_link(j, w, to, name);
    else
        return leave_out(j, w->path, "neither file, folder nor link");
    j->count->files += r == 0;
    return r;
}

int copy_tree(int from, int to, const char *only, enum copy_kind kind, int owner, copy_tell *tell,
              struct copy_count *ret)
{
    struct job j = {.kind = kind == COPY_STRICT ? COPY_OUT : kind,
                    .strict = kind == COPY_STRICT,
                    .tell = tell,
                    .count = ret,
                    .to = {.root = to, .fd = to}};
    struct walk w;
    int r = walk_open(&w, from, -1, 1 << WALK_UPPER);

    struct stat o;
    w.ours[WALK_UPPER] = j.kind != COPY_OUT;
    if (owner >= 0 && fstat(owner, &o) == 0) {
        j.owned = true;
        j.uid = o.st_uid;
        j.gid = o.st_gid;
    }
    j.known = mem_reserve(LINKS_MAX * sizeof *j.known);
    j.paths = mem_reserve(WALK_PATH_MAX);
    if (!j.known || !j.paths)
        r = -ENOMEM;
    while (r == 0 && (r = walk_next(&w)) > 0) {
        if (r == WALK_LEAVE)
            r = leave_folder(&j, &w);
        else if (only && !strchr(w.path, '/') && strcmp(w.path, only) != 0)
            r = 0;
        else if ((r = copy_entry(&j, &w)) < 0) {
            struct sbuf b = SBUF(ret->failed);
            sbuf_escaped(&b, w.path);
        }
    }
    walk_close(&w);
    beneath_parent_close(&j.to);
    mem_release(j.known, LINKS_MAX * sizeof *j.known);
    mem_release(j.paths, WALK_PATH_MAX);
    return r;
}
