/* pack: a folder as a tar stream.
 *
 * Lives in: strongroom-tar, confined. Trusts: the folder's descriptor, nothing below it (walk.h).
 * Must not: follow a link, pass set-id bits or owners on. */
#include "helpers/tar/name.h"
#include "helpers/tar/work.h"
#include "sys/fd.h"
#include "tree/beneath.h"
#include "tree/handoff.h"
#include "tree/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((size_t)256 << 10)

struct archive *pack_writer(int fd, bool more)
{
    struct archive *a = archive_write_new();

    if (a && (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
              archive_write_add_filter_none(a) != ARCHIVE_OK ||
              (more && archive_write_set_bytes_per_block(a, 0) != ARCHIVE_OK) ||
              archive_write_open_fd(a, fd) != ARCHIVE_OK)) {
        (void)archive_write_free(a);
        return NULL;
    }
    return a;
}

static int broken(struct work *w, struct archive *a)
{
    const char *why = archive_error_string(a);
    const int code = archive_errno(a);
    return work_fail(w, code > 0 ? code : EIO, "write the tar stream: %s",
                     code == EPIPE ? "its reader went away"
                     : why         ? why
                                   : strerror(EIO));
}

/* As many bytes as its header said, whatever becomes of the file meanwhile. */
static int put_bytes(struct work *w, struct archive *to, int fd, uint64_t size)
{
    static char block[BLOCK];

    for (uint64_t at = 0; at < size;) {
        const size_t want = size - at < BLOCK ? (size_t)(size - at) : BLOCK;
        ssize_t n = pread(fd, block, want, (off_t)at);
        if (n < 0)
            return work_fail(w, errno, "read a file: %s", strerror(errno));
        if (n == 0) {
            memset(block, 0, want);
            n = (ssize_t)want;
        }
        if (archive_write_data(to, block, (size_t)n) < 0)
            return broken(w, to);
        at += (uint64_t)n;
    }
    return 0;
}

static int put_entry(struct work *w, const struct walk *walk, struct archive *to, struct archive_entry *e)
{
    const struct stat *seen = &walk->stat[WALK_UPPER];
    const char *top = w->order.name, *rest = w->order.only[0] ? strchr(walk->path, '/') : walk->path;
    char path[TAR_PATH_MAX], target[TAR_PATH_MAX];
    struct stat s = *seen;
    FD_AUTO fd = -1;
    int n;

    if (w->order.only[0])
        n = snprintf(path, sizeof path, "%s%s", top, rest ? rest : "");
    else
        n = snprintf(path, sizeof path, "%s%s%s", top, top[0] ? "/" : "", rest);
    if (n < 0 || n >= (int)sizeof path)
        return work_leave(w, path, "a name that is too long");
    if (!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode) && !S_ISLNK(s.st_mode))
        return work_leave(w, path, "neither file, folder nor link");
    if (S_ISREG(s.st_mode)) {
        fd = beneath_open(walk->dir[WALK_UPPER], walk->name, O_RDONLY);
        if (fd < 0 || fstat(fd, &s) < 0 || !S_ISREG(s.st_mode))
            return work_leave(w, path, "cannot be read");
    }
    archive_entry_clear(e);
    if (S_ISLNK(s.st_mode)) {
        const ssize_t len = readlinkat(walk->dir[WALK_UPPER], walk->name, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        const char *below = w->order.only[0] ? (rest ? rest + 1 : walk->path) : walk->path;
        if (len < 0 || (w->order.flags & TAR_STRICT && handoff_leaves(below, target)))
            return work_leave(w, path, "a link that leads out");
        archive_entry_set_symlink(e, target);
    }
    const uint64_t size = S_ISREG(s.st_mode) ? (uint64_t)s.st_size : 0;
    if (work_count(w, 1, size) < 0)
        return -E2BIG;
    archive_entry_set_pathname(e, path);
    archive_entry_set_mode(e, s.st_mode & (S_IFMT | 0777));
    archive_entry_set_size(e, (la_int64_t)size);
    archive_entry_set_mtime(e, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    if (archive_write_header(to, e) < ARCHIVE_WARN)
        return broken(w, to);
    w->files += !S_ISDIR(s.st_mode);
    return size ? put_bytes(w, to, fd, size) : 0;
}

static int put_tree(struct work *w, struct archive *to, struct archive_entry *e)
{
    struct walk walk;
    int r = walk_open(&walk, w->in, -1, 1 << WALK_UPPER);

    while (r == 0 && (r = walk_next(&walk)) > 0) {
        const bool other =
            w->order.only[0] && !strchr(walk.path, '/') && strcmp(walk.path, w->order.only) != 0;
        if (r == WALK_LEAVE || other) {
            r = 0;
            continue;
        }
        r = put_entry(w, &walk, to, e);
        if (r == 0 && S_ISDIR(walk.stat[WALK_UPPER].st_mode)) {
            r = walk_enter(&walk, 1 << WALK_UPPER, 1 << WALK_UPPER, 0);
            if (r == -EXDEV || r == -EACCES)
                r = work_leave(w, walk.path, r == -EXDEV ? "a mount point" : "cannot be read");
        }
    }
    walk_close(&walk);
    return r < 0 && !w->why[0] ? work_fail(w, -r, "read the folder: %s", strerror(-r)) : r;
}

/* The folder itself comes first, under its name. */
static int put_top(struct work *w, struct archive *to, struct archive_entry *e)
{
    struct stat s;

    if (!w->order.name[0] || w->order.only[0] || w->order.flags & TAR_BELOW)
        return 0;
    if (fstat(w->in, &s) < 0)
        return work_fail(w, errno, "read the folder: %s", strerror(errno));
    archive_entry_set_pathname(e, w->order.name);
    archive_entry_set_mode(e, S_IFDIR | (s.st_mode & 0777));
    archive_entry_set_mtime(e, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    return archive_write_header(to, e) < ARCHIVE_WARN ? broken(w, to) : 0;
}

int pack_all(struct work *w, struct archive *to)
{
    struct archive_entry *e = archive_entry_new();
    int r = e ? put_top(w, to, e) : work_fail(w, ENOMEM, "write a tar stream");

    if (r == 0)
        r = put_tree(w, to, e);
    archive_entry_free(e);
    return r;
}
