/* confine: gives up everything that serving does not need, before the first byte of the room's or the network's.
 *
 * Lives in: strongroom-gate, once. Trusts: the kernel. What a host cannot do (user namespaces, Landlock) is left out: each
 * is a wall behind another one. The system-call filter is not optional. */
#include "gate/confine.h"
#include "sys/kernel.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

#define NOBODY 65534
#define CALL   offsetof(struct seccomp_data, nr)
#define IS(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CALL),
    IS(SYS_splice),
    IS(SYS_epoll_pwait),
#ifdef SYS_epoll_wait
    IS(SYS_epoll_wait),
#endif
    IS(SYS_epoll_ctl),
    IS(SYS_accept4),
    IS(SYS_close),
    IS(SYS_shutdown),
    IS(SYS_connect),
    IS(SYS_getsockname),
    IS(SYS_getsockopt),
    IS(SYS_setsockopt),
    IS(SYS_recvfrom),
    IS(SYS_recvmsg),
    IS(SYS_sendto),
    IS(SYS_sendmsg),
    IS(SYS_pipe2),
    IS(SYS_clock_gettime),
    IS(SYS_getrandom),
    IS(SYS_prlimit64), /* reads our own bound once */
    IS(SYS_restart_syscall),
    IS(SYS_rt_sigreturn),
    IS(SYS_exit),
    IS(SYS_exit_group),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
             offsetof(struct seccomp_data, args[0])), /* little-endian: the low half */
    IS(AF_INET),
    IS(AF_INET6),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static void empty_root(void)
{
    int fs = kernel_fsopen("tmpfs", 1 /* FSOPEN_CLOEXEC */);
    if (fs < 0)
        return;
    if (kernel_fsconfig(fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) == 0) {
        int mnt =
            kernel_fsmount(fs, 1 /* FSMOUNT_CLOEXEC */,
                           MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        if (mnt >= 0 && fchdir(mnt) == 0)
            (void)!chroot("."); /* the descriptor stays open: the mount lives as long as it */
    }
    (void)close(fs);
}

static void drop_rights(void)
{
    struct {
        uint32_t version;
        int pid;
    } head = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
    uint32_t none[6] = {0};

    for (int cap = 0; cap < 64; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    (void)syscall(SYS_capset, &head, none);
}

static void close_files(void)
{
    const struct kernel_landlock_attr attr = {.handled_access_fs = (1u << 13) - 1};
    int rules = kernel_landlock_create(&attr, sizeof attr.handled_access_fs, 0);

    if (rules < 0)
        return;
    (void)kernel_landlock_restrict(rules);
    (void)close(rules);
}

static void bound(void)
{
    struct rlimit files;

    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, 0});
    (void)setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0});
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max = files.rlim_max < 65536 ? files.rlim_max : 65536;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int confine(const char **ret_what)
{
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

    bound();
    if (geteuid() == 0) { /* root's files are no business of ours */
        (void)setgroups(0, NULL);
        (void)!setresgid(NOBODY, NOBODY, NOBODY);
        (void)!setresuid(NOBODY, NOBODY, NOBODY);
    }
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) == 0)
        empty_root();
    drop_rights();
    *ret_what = "give up gaining rights";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    close_files();
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    *ret_what = "close system calls";
    return kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
