/* confine: gives up everything but the network and the descriptors at hand.
 *
 * An empty root in a mount namespace of its own where the host lets us have one, Landlock where the kernel has it
 * (one of
 * the two must stand), no rights, no new ones, and a short list of system calls that is always there.
 *
 * Lives in: strongroom-gate, called once, before the first byte from the room is read. Trusts: the kernel.
 * Must not: go on without the list of calls. */
#include "gate/confine.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no list of system calls for this architecture"
#endif

#define NOBODY 65534

static int empty_root(void)
{
    const int spaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
    if (unshare(CLONE_NEWUSER | spaces) < 0 && unshare(spaces) < 0)
        return -errno;
    FD_AUTO root = fd_new_mount("tmpfs", (const char *const[]){"size", "4096", NULL},
                                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (root < 0 || fchdir(root) < 0 || chroot(".") < 0)
        return -errno;
    return chdir("/") < 0 ? -errno : 0;
}

static int no_files(void)
{
    int abi = kernel_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct kernel_landlock_attr attr = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};

    if (abi < 0)
        return -errno;
    if (abi >= 2)
        attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        attr.handled_access_fs |= KERNEL_LANDLOCK_TRUNCATE;
    if (abi >= 5)
        attr.handled_access_fs |= KERNEL_LANDLOCK_IOCTL_DEV;
    if (abi >= 6)
        attr.scoped = KERNEL_LANDLOCK_SCOPE_ABSTRACT_UNIX | KERNEL_LANDLOCK_SCOPE_SIGNAL;
    size_t size = abi >= 6 ? sizeof attr : offsetof(struct kernel_landlock_attr, handled_access_net);
    FD_AUTO rules = kernel_landlock_create(&attr, size, 0);
    if (rules < 0)
        return -errno;
    return kernel_landlock_restrict(rules) < 0 ? -errno : 0;
}

static int no_rights(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    int cap = 0;

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* none without rights */
    while (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
        cap++;
    memset(none, 0, sizeof none);
    return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

/* Root of the host becomes nobody: files that only root may open stay shut even if all other walls fell. */
static int no_root(void)
{
    if (geteuid() != 0)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return -errno;
    return 0;
}

static int bounds(void)
{
    static const struct {
        int what;
        rlim_t value;
    } rows[] = {{RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_AS, 256 << 20}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct rlimit l = {.rlim_cur = rows[i].value, .rlim_max = rows[i].value};
        if (setrlimit(rows[i].what, &l) < 0)
            return -errno;
    }
    return 0;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define YES         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define NO          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define CALL(name)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), YES
#define ARG(n)      LOAD(args[n]) /* the low half: these are ints */

static const struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
    NO,
    LOAD(nr),
    CALL(splice),
    CALL(write),
    CALL(epoll_pwait),
#ifdef SYS_epoll_wait
    CALL(epoll_wait),
#endif
    CALL(epoll_ctl),
    CALL(accept4),
    CALL(connect),
    CALL(close),
    CALL(recvmsg),
    CALL(sendmsg),
    CALL(recvfrom),
    CALL(sendto),
    CALL(shutdown),
    CALL(getsockname),
    CALL(getsockopt),
    CALL(pipe2),
    CALL(getrandom),
    CALL(clock_gettime),
    CALL(restart_syscall),
    CALL(rt_sigreturn),
    CALL(exit_group),
    /* Only TCP and UDP of the two families. */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 8),
    ARG(0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 4),
    ARG(1),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SOCK_DGRAM, 1, 0), /* SOCK_STREAM is 1, SOCK_DGRAM 2 */
    YES,
    NO,
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 5),
    ARG(1),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOL_SOCKET, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 1),
    YES,
    NO,
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 3),
    ARG(1),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETPIPE_SZ, 0, 1),
    YES,
    NO,
};

static int few_calls(void)
{
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter,
                                       .filter = (struct sock_filter *)(uintptr_t)filter};

    return kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

int confine(const char **ret_what)
{
    bool walled;
    int r;

    *ret_what = "an empty root or Landlock";
    int root = empty_root();
    if ((r = no_root()) < 0) {
        *ret_what = "giving up root";
        return r;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    int files = no_files();
    walled = root == 0 || files == 0;
    if (!walled)
        return root;
    *ret_what = "capabilities";
    if ((r = no_rights()) < 0)
        return r;
    *ret_what = "limits";
    if ((r = bounds()) < 0)
        return r;
    *ret_what = "the system-call filter";
    return few_calls();
}
