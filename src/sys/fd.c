/* fd: descriptors and frames.
 * Lives in: every program of the project, also in a cloned child before exec (no malloc, no stdio).
 * Trusts: nothing that comes through a socket; a record of the wrong shape is dropped with everything it carried.
 * Must not: log, retry for ever, leave a received descriptor open on failure. */
#include "sys/fd.h"
#include "sys/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define RESOLVE_TRIES 1000 /* about a millisecond */

void fd_close(int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    (void)close(*fd); /* nothing can be done about a failing close of these */
    *fd = -1;
    errno = saved;
}

int fd_fill_stdio(void)
{
    for (;;) {
        int fd = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0) { /* no /dev/null is no matter when none is needed */
            int n = -errno;
            return fcntl(0, F_GETFD) < 0 || fcntl(1, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0 ? n : 0;
        }
        if (fd > 2) {
            fd_close(&fd);
            return 0;
        }
        if (fcntl(fd, F_SETFD, 0) < 0)
            return -errno;
    }
}

int fd_close_all_but(int *keep, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        for (size_t j = i; j > 0 && keep[j - 1] > keep[j]; j--) {
            int t = keep[j];
            keep[j] = keep[j - 1];
            keep[j - 1] = t;
        }
    }
    long from = 3, r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (keep[i] < from)
            continue;
        if (keep[i] > from)
            r = kernel_raw(436 /* close_range */, from, keep[i] - 1, 0, 0);
        from = (long)keep[i] + 1;
    }
    return (int)(r == 0 ? kernel_raw(436, from, ~0u, 0, 0) : r);
}

int fd_frame_pair(int ret[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
        return -errno;
    return 0;
}

int fd_frame_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * FD_FRAME_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (n_fds > FD_FRAME_FDS_MAX)
        return -EINVAL;
    if (n_fds > 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = control.bytes;
        msg.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    for (;;) {
        ssize_t n = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
        if (n >= 0)
            return (size_t)n == size ? 0 : -EMSGSIZE;
        if (errno != EINTR)
            return -errno;
    }
}

int fd_frame_recv(int sock, void *data, size_t size, int *ret_fds, size_t max_fds, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * FD_FRAME_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    int got[FD_FRAME_FDS_MAX];
    size_t n_got = 0;
    ssize_t n;

    /* A peer that closes with something of ours unread makes one ECONNRESET, in front of what it said before. */
    bool reset = false;
    for (;;) {
        n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
        if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
            break;
        reset = errno == ECONNRESET;
    }
    if (n < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && n_got < FD_FRAME_FDS_MAX; i++)
            memcpy(&got[n_got++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    if (n == 0 && n_got == 0)
        return -EPIPE;
    if ((size_t)n != size || n_got > max_fds || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        for (size_t i = 0; i < n_got; i++)
            fd_close(&got[i]);
        return -EBADMSG;
    }
    if (n_got > 0)
        memcpy(ret_fds, got, n_got * sizeof(int));
    return (int)n_got;
}

int fd_resolve(int dir, const char *path, unsigned long long resolve)
{
    struct {
        unsigned long long flags, mode, resolve;
    } how = {.flags = O_PATH | O_CLOEXEC, .resolve = resolve};
    int fd = -1;
    for (int i = 0; i < RESOLVE_TRIES; i++) {
        fd = (int)syscall(437 /* openat2 */, dir, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 ? -errno : fd;
}

int fd_new_mount(const char *type, const char *const *options, unsigned attrs)
{
    FD_AUTO fs = kernel_fsopen(type, FSOPEN_CLOEXEC);
    if (fs < 0)
        return -errno;
    for (; options && options[0]; options += 2) {
        if (kernel_fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0) < 0)
            return -errno;
    }
    if (kernel_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int mnt = kernel_fsmount(fs, FSMOUNT_CLOEXEC, attrs);
    return mnt < 0 ? -errno : mnt;
}

int fd_write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int fd_write_file(int dir, const char *path, const char *text)
{
    int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    size_t size = strlen(text);
    ssize_t n = write(fd, text, size); /* one write: these files take a value whole or not at all */
    int r = n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
    fd_close(&fd);
    return r;
}

ssize_t fd_read_file(int dir, const char *path, char *buf, size_t size)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, buf + len, size - len)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            n = -errno;
            break;
        }
        len += (size_t)n;
        if (len == size) {
            n = -EFBIG;
            break;
        }
    }
    fd_close(&fd);
    if (n < 0)
        return n;
    buf[len] = '\0';
    return (ssize_t)len;
}
