/* beneath: see beneath.h.
 *
 * Lives in: strongroom-tree. Trusts: the root descriptors that it was handed, no name below them.
 * Must not: follow a link, cross into another file system. */
#include "tree/beneath.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"

#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>

#define PIECE_MAX 3000 /* bytes of a path that go to the kernel at once */
#define WAYS      (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
#define CACHE_MAX ((size_t)64 << 20)

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

void beneath_parent_close(struct beneath_parent *p)
{
    if (p->fd != p->root)
        fd_close(&p->fd);
    mem_release(p->path, p->path ? CACHE_MAX : 0);
    p->path = NULL;
    p->fd = p->root;
    p->len = 0;
}

/* Up from the folder at hand to one above it. */
static int climb(struct beneath_parent *p, size_t len)
{
    int at = p->fd;

    for (size_t n = p->len; n > len; n--) {
        if (p->path[n - 1] != '/')
            continue;
        int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int code = errno;
        if (at != p->fd)
            fd_close(&at);
        if (up < 0)
            return -code;
        at = up;
    }
    return at;
}

int beneath_parent(struct beneath_parent *p, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    if (!p->path) {
        p->path = mem_reserve(CACHE_MAX);
        if (!p->path)
            return -ENOMEM;
        p->fd = p->root;
        p->len = 0;
    }
    if (len >= CACHE_MAX)
        return -ENAMETOOLONG;
    *ret_name = slash ? slash + 1 : path;
    if (len == p->len && memcmp(p->path, path, len) == 0)
        return p->fd;
    bool below = len > p->len && memcmp(p->path, path, p->len) == 0 && (p->len == 0 || path[p->len] == '/');
    size_t skip = below && p->len ? p->len + 1 : 0;
    bool above =
        p->climbs && len > 0 && len < p->len && memcmp(p->path, path, len) == 0 && p->path[len] == '/';
    int fd = len == 0 ? p->root
             : above
                 ? climb(p, len)
                 : beneath_open_path(below ? p->fd : p->root, path + skip, len - skip, O_PATH | O_DIRECTORY);
    if (fd < 0)
        return fd;
    if (p->fd != p->root)
        fd_close(&p->fd);
    p->fd = fd;
    memcpy(p->path, path, len);
    p->len = len;
    return fd;
}
