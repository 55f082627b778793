/* fd: descriptors and the frames that carry them. Thin: returns -errno, never logs, knows no policy. */
#ifndef SYS_FD_H
#define SYS_FD_H

#include <stddef.h>
#include <sys/types.h>

#define FD_FRAME_FDS_MAX 8 /* descriptors in one frame */

/* Closes *fd unless it is -1 and sets it to -1. errno is preserved. */
void fd_close(int *fd);

/* For __attribute__((cleanup)). */
#define FD_AUTO __attribute__((cleanup(fd_close))) int

/* Makes sure that 0, 1 and 2 are open (on /dev/null), so that no later descriptor lands there. */
int fd_fill_stdio(void);

/* Closes every descriptor from 3 up but those in `keep` (sorted here; -1 and duplicates are fine). Does not
 * touch errno: usable in a process that shares memory. Returns 0 or -errno. */
int fd_close_all_but(int *keep, size_t n);

/* A connected pair of SOCK_SEQPACKET sockets, CLOEXEC: one frame is one record. */
int fd_frame_pair(int ret[2]);

/* Sends one record with n_fds descriptors (not closed here). -EAGAIN only when flags has MSG_DONTWAIT. */
int fd_frame_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds, int flags);

/* Receives one record of exactly `size` bytes and at most max_fds descriptors (CLOEXEC). Returns the number of
 * descriptors; -EPIPE: the peer is gone; -EBADMSG: wrong length, too many descriptors or a truncated record (anything
 * that came with it has been closed). */
int fd_frame_recv(int sock, void *data, size_t size, int *ret_fds, size_t max_fds, int flags);

/* Opens `path` below `dir` as O_PATH under the rules `resolve` (RESOLVE_* of linux/openat2.h). With a scope and "..",
 * the kernel answers EAGAIN whenever anything of the host was renamed or mounted meanwhile: tried again, a bounded
 * number of times. -errno, also in errno. */
int fd_resolve(int dir, const char *path, unsigned long long resolve);

/* A new file system of `type` that is attached nowhere yet, as a mount with `attrs` (MOUNT_ATTR_*). `options` is key,
 * value, key, value, NULL, or NULL for none. Returns the mount's descriptor, which the caller closes, or -errno. */
int fd_new_mount(const char *type, const char *const *options, unsigned attrs);

/* Writes all of it; retries EINTR. */
int fd_write_all(int fd, const void *data, size_t size);

/* Opens `path`, writes `text`, closes: for /proc and cgroup files. `dir` may be AT_FDCWD. */
int fd_write_file(int dir, const char *path, const char *text);

/* Reads a small file whole; NUL-terminates; returns its length, -EFBIG when it does not fit. */
ssize_t fd_read_file(int dir, const char *path, char *buf, size_t size);

#endif
