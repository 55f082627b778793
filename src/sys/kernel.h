/* kernel: system calls and constants that the C library does not have yet, one inline line each.
 * Source of numbers and structures: the kernel's UAPI headers (linux/mount.h, linux/landlock.h, linux/sched.h). */
#ifndef SYS_KERNEL_H
#define SYS_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#define KERNEL_CLONE_INTO_CGROUP 0x200000000ull

/* Rights of Landlock that Debian 12's headers do not name: ABI 3, 5; network: ABI 4; scopes: ABI 6. */
#define KERNEL_LANDLOCK_TRUNCATE            (1ull << 14)
#define KERNEL_LANDLOCK_IOCTL_DEV           (1ull << 15)
#define KERNEL_LANDLOCK_BIND_TCP            (1ull << 0)
#define KERNEL_LANDLOCK_SCOPE_ABSTRACT_UNIX (1ull << 0)
#define KERNEL_LANDLOCK_SCOPE_SIGNAL        (1ull << 1)

struct kernel_landlock_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

struct kernel_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
        cgroup;
};

/* struct statx of linux/stat.h, which does not go together with the C library's own sys/stat.h */
struct kernel_statx {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, pad;
    uint64_t ino, size, blocks, attributes_mask;
    struct {
        int64_t sec;
        uint32_t nsec;
        int32_t reserved;
    } atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t rest[14];
};
_Static_assert(sizeof(struct kernel_statx) == 256, "as the kernel has it");
#define KERNEL_STATX_BASIC      0x7ffu
#define KERNEL_STATX_BTIME      0x800u
#define KERNEL_STATX_MOUNT_ROOT 0x2000u /* among the attributes; Linux 5.8 */

/* A system call that does not touch errno: for a process that shares its memory with another one. Returns -errno. */
static inline long kernel_raw(long nr, long a, long b, long c, long d)
{
#if defined(__x86_64__)
    long ret;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return ret;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#else
#error "kernel_raw: not written for this architecture"
#endif
}

static inline long kernel_clone3(struct kernel_clone_args *args)
{
    return syscall(435, args, sizeof *args);
}
static inline int kernel_statx(int dir, const char *path, int flags, unsigned want, struct kernel_statx *ret)
{
    return (int)syscall(SYS_statx, dir, path, flags, want, ret);
}
static inline int kernel_open_tree(int dir, const char *path, unsigned flags)
{
    return (int)syscall(428, dir, path, flags);
}
static inline int kernel_move_mount(int from, const char *from_path, int to, const char *to_path,
                                    unsigned flags)
{
    return (int)syscall(429, from, from_path, to, to_path, flags);
}
static inline int kernel_fsopen(const char *type, unsigned flags)
{
    return (int)syscall(430, type, flags);
}
static inline int kernel_fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
    return (int)syscall(431, fd, cmd, key, value, aux);
}
static inline int kernel_fsmount(int fd, unsigned flags, unsigned attrs)
{
    return (int)syscall(432, fd, flags, attrs);
}
static inline int kernel_pidfd_open(pid_t pid, unsigned flags)
{
    return (int)syscall(434, pid, flags);
}
static inline int kernel_pidfd_send_signal(int pidfd, int sig)
{
    return (int)syscall(424, pidfd, sig, NULL, 0);
}
static inline int kernel_close_range(unsigned first, unsigned last, unsigned flags)
{
    return (int)syscall(436, first, last, flags);
}
static inline int kernel_mount_setattr(int dir, const char *path, unsigned flags, struct mount_attr *attr)
{
    return (int)syscall(442, dir, path, flags, attr, sizeof *attr);
}
static inline int kernel_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}
static inline int kernel_landlock_create(const struct kernel_landlock_attr *attr, size_t size, uint32_t flags)
{
    return (int)syscall(444, attr, size, flags);
}
static inline int kernel_landlock_add(int ruleset, const struct landlock_path_beneath_attr *attr)
{
    return (int)syscall(445, ruleset, LANDLOCK_RULE_PATH_BENEATH, attr, 0);
}
static inline int kernel_landlock_restrict(int ruleset)
{
    return (int)syscall(446, ruleset, 0);
}
static inline int kernel_seccomp(unsigned op, unsigned flags, const void *args)
{
    return (int)syscall(SYS_seccomp, op, flags, args);
}
static inline long kernel_keyctl_join_session(const char *name)
{
    return syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, name, 0, 0, 0);
}

#endif
