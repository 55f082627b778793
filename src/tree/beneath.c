/* beneath: see beneath.h.
 *
 * Lives in: strongroom-tree. Trusts: the root descriptors that it was handed, no name below them.
 * Must not: follow a link, cross into another file system. */
#include "tree/beneath.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"

#include <assert.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>

#define PIECE_MAX 3000 /* bytes of a path that go to the kernel at once */
#define WAYS      (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
#define CACHE_MAX ((size_t)64 << 20)
#define SEEN_MAX  ((size_t)1 << 16) /* folders around one another that are remembered */
#define STEPS_MAX 16                /* up by "..": farther is shorter from the root */

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static int open_once(int dir, const char *name, int flags)
{
    const int quiet = flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY; /* with O_PATH openat2 takes neither */
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | quiet | O_CLOEXEC | O_NOFOLLOW),
                           .resolve = WAYS};
    long fd = syscall(SYS_openat2, dir, name, &how, sizeof how);

    return fd < 0 ? -errno : (int)fd;
}

/* The room may take every right off its own files; the owner can give them back for a moment. */
static int open_against_mode(int dir, const char *name, int flags)
{
    FD_AUTO at = open_once(dir, name, O_PATH);
    struct stat s;
    const mode_t need = flags & O_DIRECTORY ? 0700 : 0400;

    if (at < 0 || fstat(at, &s) < 0 || (!S_ISDIR(s.st_mode) && !S_ISREG(s.st_mode)))
        return -EACCES;
    if (syscall(SYS_fchmodat2, at, "", (s.st_mode & 07777) | need, AT_EMPTY_PATH) < 0 &&
        (errno != ENOSYS || fchmodat(dir, name, (s.st_mode & 07777) | need, 0) < 0))
        return -EACCES;
    int fd = open_once(dir, name, flags);
    if (fd >= 0 && !S_ISDIR(s.st_mode))
        (void)fchmod(fd, s.st_mode & 07777); /* it was ours a moment ago */
    return fd;
}

int beneath_open(int dir, const char *name, int flags)
{
    return open_once(dir, name, flags);
}

int beneath_open_ours(int dir, const char *name, int flags)
{
    int fd = open_once(dir, name, flags);

    return fd == -EACCES ? open_against_mode(dir, name, flags) : fd;
}

ssize_t beneath_read(int fd, void *to, size_t size)
{
    size_t got = 0;
    ssize_t n = 1;

    while (got < size && n > 0) {
        n = pread(fd, (char *)to + got, size - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            got += (size_t)n;
    }
    return n < 0 ? -errno : (ssize_t)got;
}

int beneath_born(int dir, const char *name, struct timespec *ret)
{
    struct kernel_statx x;
    if (kernel_statx(dir, name, AT_SYMLINK_NOFOLLOW, KERNEL_STATX_BTIME, &x) < 0)
        return -errno;
    if (!(x.mask & KERNEL_STATX_BTIME))
        return -ENODATA;
    *ret = (struct timespec){.tv_sec = x.btime.sec, .tv_nsec = (long)x.btime.nsec};
    return 0;
}

int beneath_open_path(int root, const char *path, size_t len, int flags)
{
    char piece[PIECE_MAX + 1];
    int at = root;

    while (len > PIECE_MAX) {
        size_t n = PIECE_MAX;
        while (n > 0 && path[n] != '/')
            n--;
        if (n == 0)
            break;
        memcpy(piece, path, n);
        piece[n] = '\0';
        int next = open_once(at, piece, O_PATH | O_DIRECTORY);
        if (at != root)
            fd_close(&at);
        if (next < 0)
            return next;
        at = next;
        path += n + 1;
        len -= n + 1;
    }
    if (len > PIECE_MAX)
        return -ENAMETOOLONG;
    memcpy(piece, path, len);
    piece[len] = '\0';
    int fd = open_once(at, len ? piece : ".", flags);
    if (at != root)
        fd_close(&at);
    return fd;
}

struct beneath_seen {
    size_t len; /* of its path */
    uint64_t dev, ino;
};

void beneath_parent_close(struct beneath_parent *p)
{
    if (p->fd != p->root)
        fd_close(&p->fd);
    mem_release(p->path, p->path ? CACHE_MAX : 0);
    mem_release(p->seen, p->seen ? SEEN_MAX * sizeof *p->seen : 0);
    p->path = NULL;
    p->seen = NULL;
    p->fd = p->root;
    p->len = p->seen_count = 0;
}

static int begin(struct beneath_parent *p)
{
    if (p->path)
        return 0;
    p->path = mem_reserve(CACHE_MAX);
    p->seen = mem_reserve(SEEN_MAX * sizeof *p->seen);
    p->fd = p->root;
    p->len = p->seen_count = 0;
    return p->path && p->seen ? 0 : -ENOMEM;
}

/* Bytes of the longest path of a folder that both are in or are. */
static size_t common(const struct beneath_parent *p, const char *path, size_t len)
{
    size_t n = 0, at = 0;

    while (n < p->len && n < len && p->path[n] == path[n])
        if (p->path[n++] == '/')
            at = n - 1;
    const bool ends = (n == p->len || p->path[n] == '/') && (n == len || path[n] == '/');
    return ends ? n : at;
}

/* From the folder at hand up to the innermost one that was passed and is around `path`: its length in *ret_len.
 * -ENOENT: better from the root. */
static int climb(struct beneath_parent *p, size_t shared, size_t *ret_len)
{
    size_t steps = 0;
    struct stat s;

    while (p->seen_count && p->seen[p->seen_count - 1].len > shared)
        p->seen_count--;
    if (p->seen_count == 0)
        return -ENOENT;
    const struct beneath_seen *to = &p->seen[p->seen_count - 1];
    for (size_t n = p->len; n > to->len; n--)
        steps += p->path[n - 1] == '/' || n - 1 == to->len;
    if (to->len == 0 || steps > STEPS_MAX)
        return -ENOENT;
    int at = p->fd;
    for (; steps; steps--) {
        int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (at != p->fd)
            fd_close(&at);
        if (up < 0)
            return -ENOENT;
        at = up;
    }
    if (at != p->fd && (fstat(at, &s) < 0 || (uint64_t)s.st_dev != to->dev || s.st_ino != to->ino)) {
        fd_close(&at);
        return -ENOENT;
    }
    *ret_len = to->len;
    return at;
}

static void note(struct beneath_parent *p)
{
    struct stat s;

    if (p->seen_count < SEEN_MAX && fstat(p->fd, &s) == 0)
        p->seen[p->seen_count++] = (struct beneath_seen){p->len, (uint64_t)s.st_dev, s.st_ino};
}

int beneath_parent(struct beneath_parent *p, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0, from = 0;
    int r = begin(p);

    if (r < 0)
        return r;
    if (len >= CACHE_MAX)
        return -ENAMETOOLONG;
    *ret_name = slash ? slash + 1 : path;
    if (len == p->len && memcmp(p->path, path, len) == 0)
        return p->fd;
    int at = len && p->fd != p->root ? climb(p, common(p, path, len), &from) : -ENOENT;
    if (at < 0) {
        at = p->root;
        from = p->seen_count = 0;
    }
    const size_t skip = from ? from + 1 : 0;
    int fd = len == 0      ? p->root
             : from == len ? at
                           : beneath_open_path(at, path + skip, len - skip, O_PATH | O_DIRECTORY);
    if (at != fd && at != p->fd && at != p->root)
        fd_close(&at);
    if (fd < 0) {
        p->seen_count = 0;
        return fd;
    }
    if (p->fd != p->root && p->fd != fd)
        fd_close(&p->fd);
    p->fd = fd;
    memcpy(p->path, path, len);
    p->len = len;
    if (len && from != len)
        note(p);
    return fd;
}

uint64_t beneath_entries(struct beneath_parent *p, const char *path, uint64_t enough)
{
    static char buf[32768];
    const char *name;
    uint64_t found = 0;
    long n;
    const int dir = beneath_parent(p, path, &name);
    FD_AUTO fd = dir < 0 ? -1 : beneath_open(dir, name, O_RDONLY | O_DIRECTORY);

    while (fd >= 0 && found <= enough && (n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0)
        for (long at = 0; at < n;) {
            unsigned short len;
            memcpy(&len, buf + at + 16, sizeof len);
            found += strcmp(buf + at + 19, ".") != 0 && strcmp(buf + at + 19, "..") != 0;
            at += len;
        }
    return found;
}
