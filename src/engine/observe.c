/* observe: what a program met that was not in its room, and the option that would have let it in.
 *
 * Theory of operation. Where somebody will read an explanation, the filter tells us about each call that names a file
 * or a peer before the kernel performs it. We let every one of them go on: nothing is decided here, so it does not
 * matter that the room could change the name behind our back; a lie would only spoil the liar's own record. We look at
 * the name the way the kernel will, inside the room's root, and note what cannot succeed: a file that the host has and
 * the room has not, a change in a read-only place, a peer behind no network.
 *
 * Lives in: the supervisor. Trusts: nothing it reads from the room; reads are bounded, paths are looked up beneath the
 * room's root. Must not: wait for a file system of the host, open anything but O_PATH, answer anything but "go on". */
#include "base/sbuf.h"
#include "engine/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

enum how { READS, CHANGES, BY_FLAGS, CONNECTS };

/* Which argument names the file, and how the call means it. */
static const struct watched {
    int nr;
    const char *what;
    enum how how;
    unsigned path, dir, flags; /* argument numbers; dir 6: the path is relative to the working directory */
} watched[] = {
#ifdef SYS_open
    {SYS_open, "open", BY_FLAGS, 0, 6, 1},           {SYS_creat, "create", CHANGES, 0, 6, 0},
    {SYS_unlink, "delete", CHANGES, 0, 6, 0},        {SYS_rmdir, "delete", CHANGES, 0, 6, 0},
    {SYS_rename, "rename", CHANGES, 0, 6, 0},        {SYS_mkdir, "create", CHANGES, 0, 6, 0},
    {SYS_chmod, "change mode of", CHANGES, 0, 6, 0},
#endif
    {SYS_openat, "open", BY_FLAGS, 1, 0, 2},         {SYS_unlinkat, "delete", CHANGES, 1, 0, 0},
    {SYS_renameat2, "rename", CHANGES, 1, 0, 0},     {SYS_mkdirat, "create", CHANGES, 1, 0, 0},
    {SYS_truncate, "write", CHANGES, 0, 6, 0},       {SYS_fchmodat, "change mode of", CHANGES, 1, 0, 0},
    {SYS_connect, "connect to", CONNECTS, 1, 6, 0},
};

static const struct watched *find(int nr)
{
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        if (watched[i].nr == nr)
            return &watched[i];
    }
    return NULL;
}

/* A NUL-terminated text of the room's, page by page, for the next page may not be there. */
static bool read_text(pid_t pid, uint64_t at, char *out, size_t size)
{
    size_t have = 0;
    while (have < size - 1) {
        size_t step = 4096 - (size_t)((at + have) & 4095);
        if (step > size - 1 - have)
            step = size - 1 - have;
        struct iovec to = {out + have, step}, from = {(void *)(uintptr_t)(at + have), step};
        if (process_vm_readv(pid, &to, 1, &from, 1, 0) != (ssize_t)step)
            return false;
        if (memchr(out + have, '\0', step))
            return true;
        have += step;
    }
    return false; /* longer than any path we would show */
}

static int look(int root, const char *path)
{
    return fd_resolve(root, path, 0x10 | 0x02 /* RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS */);
}

/* Does the host have it? The name is the program's to choose, and the look is ours: it must neither wait for a file
 * system that does not answer nor make an automounter ask another machine for it. So: what the kernel knows without
 * asking anybody, else what lies in the root's own file system. */
static bool host_has(const char *path)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
             .resolve = 0x20 | 0x02 /* RESOLVE_CACHED | RESOLVE_NO_MAGICLINKS */};
    int fd = (int)syscall(437 /* openat2 */, AT_FDCWD, path, &how, sizeof how);
    if (fd < 0 && errno == EAGAIN) {
        how.resolve = 0x01 | 0x02; /* RESOLVE_NO_XDEV */
        fd = (int)syscall(437, AT_FDCWD, path, &how, sizeof how);
    }
    if (fd < 0)
        return false;
    fd_close(&fd);
    return true;
}

static bool is_read_only(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_flags & ST_RDONLY);
}

/* The folder that a new entry would be made in. */
static int look_at_parent(int root, const char *path)
{
    char parent[OBSERVED_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof parent)
        return -ENAMETOOLONG;
    memcpy(parent, path, len);
    parent[len] = '\0';
    return look(root, parent);
}

static void note(struct denials *d, const char *what, const char *object, enum observed_why why)
{
    for (size_t i = 0; i < d->observed_count; i++) {
        struct observed *o = &d->observed[i];
        if (o->why == why && strcmp(o->object, object) == 0 && strcmp(o->what, what) == 0) {
            o->count++;
            return;
        }
    }
    if (d->observed_count == DENIALS_MAX) {
        d->other++;
        return;
    }
    struct observed *o = &d->observed[d->observed_count++];
    struct sbuf b = SBUF(o->object);
    sbuf_text(&b, object);
    o->what = what;
    o->why = why;
    o->count = 1;
}

/* What these lead to depends on who asks, and we are somebody else, who is not even seen in the room. */
static bool means_the_asker(const char *path)
{
    static const char *const names[] = {"/proc/self",   "/proc/thread-self", "/proc/net",
                                        "/proc/mounts", "/dev/fd",           "/dev/stdin",
                                        "/dev/stdout",  "/dev/stderr",       "/etc/mtab"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t len = strlen(names[i]);
        if (strncmp(path, names[i], len) == 0 && (path[len] == '\0' || path[len] == '/'))
            return true;
    }
    return false;
}

static void observe_file(struct room *r, const struct watched *w, const char *path, bool changes)
{
    struct denials *d = &r->result->denials;
    struct stat st;
    if (means_the_asker(path))
        return;
    FD_AUTO fd = look(r->root, path);
    if (fd < 0 && fd != -ENOENT && fd != -EACCES)
        return;
    if (fd >= 0) {
        if (changes && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
            is_read_only(fd))
            note(d, w->what, path, OBSERVED_READ_ONLY);
        return;
    }
    if (host_has(path)) {
        note(d, w->what, path, OBSERVED_ABSENT);
        return;
    }
    FD_AUTO parent = changes ? look_at_parent(r->root, path) : -1;
    if (parent >= 0 && is_read_only(parent))
        note(d, w->what, path, OBSERVED_NO_PLACE);
}

static bool is_loopback(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
    if (a->ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127 || v4->sin_addr.s_addr == 0;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

/* Is what we read the caller's? If it was killed meanwhile, its number may be another process's by now. */
static bool still_asks(const struct room *r, const struct seccomp_notif *n)
{
    return ioctl(r->notify, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) == 0;
}

static void observe_peer(struct room *r, const struct seccomp_notif *n)
{
    const pid_t pid = (pid_t)n->pid;
    const uint64_t at = n->data.args[1], size = n->data.args[2];
    struct sockaddr_storage a = {0};
    char host[INET6_ADDRSTRLEN], object[INET6_ADDRSTRLEN + 16];
    struct sbuf b = SBUF(object);
    if (r->policy->net != NET_NONE || size < sizeof(struct sockaddr_in))
        return;
    struct iovec to = {&a, size < sizeof a ? size : sizeof a}, from = {(void *)(uintptr_t)at, to.iov_len};
    if (process_vm_readv(pid, &to, 1, &from, 1, 0) != (ssize_t)to.iov_len || !still_asks(r, n))
        return;
    if ((a.ss_family != AF_INET && a.ss_family != AF_INET6) || is_loopback(&a))
        return;
    const bool v6 = a.ss_family == AF_INET6;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a;
    if (!inet_ntop(a.ss_family, v6 ? (const void *)&in6->sin6_addr : (const void *)&in->sin_addr, host,
                   sizeof host))
        return;
    sbuf_fmt(&b, v6 ? "[%s]:%u" : "%s:%u", host, ntohs(v6 ? in6->sin6_port : in->sin_port));
    note(&r->result->denials, "connect to", object, OBSERVED_NO_NETWORK);
}

void observe_call(struct room *r, const struct seccomp_notif *n)
{
    char path[OBSERVED_MAX];
    const struct watched *w = find(n->data.nr);
    if (!w)
        return;
    if (w->how == CONNECTS) {
        observe_peer(r, n);
        return;
    }
    if (r->root < 0 || !read_text((pid_t)n->pid, n->data.args[w->path], path, sizeof path) ||
        path[0] != '/' || !still_asks(r, n))
        return;
    uint64_t flags = n->data.args[w->flags];
    bool changes = w->how == CHANGES ||
                   (w->how == BY_FLAGS && ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC))));
    observe_file(r, w, path, changes);
}
