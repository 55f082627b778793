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
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
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

/* An empty folder of our own as root, in namespaces of our own. */
static int empty_root(int spaces)
{
    if (unshare(spaces) < 0)
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
    if (abi >= 4)
        attr.handled_access_net =
            KERNEL_LANDLOCK_BIND_TCP; /* connecting is our work; to which ports changes */
    if (abi >= 5)
        attr.handled_access_fs |= KERNEL_LANDLOCK_IOCTL_DEV;
    if (abi >= 6)
        attr.scoped = KERNEL_LANDLOCK_SCOPE_ABSTRACT_UNIX | KERNEL_LANDLOCK_SCOPE_SIGNAL;
    size_t size = abi >= 6   ? sizeof attr
                  : abi >= 4 ? offsetof(struct kernel_landlock_attr, scoped)
                             : offsetof(struct kernel_landlock_attr, handled_access_net);
    FD_AUTO rules = kernel_landlock_create(&attr, size, 0);
    if (rules < 0)
        return -errno;
    return kernel_landlock_restrict(rules) < 0 ? -errno : 0;
}

static void no_new_rights(void)
{
    int cap = 0;

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* none without rights */
    while (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
        cap++;
}

static int no_rights(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];

    no_new_rights();
    memset(none, 0, sizeof none);
    return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

/* Root of the host becomes nobody: files that only root may open stay shut even if all other walls fell. 1: root of a
 * user namespace without a nobody, which is some other user of the host's already. */
static int no_root(void)
{
    no_new_rights(); /* while we may */
    bool groups = setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0;
    if (setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return errno == EINVAL ? 1 : -errno;
    return groups ? 0 : -EPERM;
}

/* Root steps into the empty root by its own right, and only then becomes nobody: the other way round, in a user
 * namespace without ids, it would look like nobody and be root still. */
static int leave(bool *ret_walled)
{
    const int spaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
    bool root = geteuid() == 0;
    int r = root ? empty_root(spaces) : -EPERM;

    *ret_walled = r == 0;
    if (root && (r = no_root()) < 0)
        return r;
    if (!*ret_walled || r == 1)
        *ret_walled = empty_root(CLONE_NEWUSER | spaces) == 0 || *ret_walled;
    return 0;
}

static int bounds(void)
{
    static const struct {
        int what;
        rlim_t value;
    } rows[] = {
        {RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_NPROC, 0}, {RLIMIT_AS, 256 << 20}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct rlimit l = {.rlim_cur = rows[i].value, .rlim_max = rows[i].value};
        if (setrlimit(rows[i].what, &l) < 0)
            return -errno;
    }
    return 0;
}

#define LOAD(field)          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define YES                  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define NO                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define JUMP(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define ARG(n)               LOAD(args[n]) /* the low half: these are ints */
#define CALL(name)           JUMP(SYS_##name, 0, 1), YES
/* The next `len` rows are about this call only, and decide. */
#define ONLY(name, len)       JUMP(SYS_##name, 0, len)
#define EXACT(name, n, value) ONLY(name, 4), ARG(n), JUMP(value, 0, 1), YES, NO

/* Each row says what for; tests/gate/confined.c compares the whole list with its own. */
static const struct sock_filter filter[] = {
    LOAD(arch),
    JUMP(NATIVE_ARCH, 1, 0),
    NO,
    LOAD(nr),
    CALL(splice), /* bytes of a connection */
    CALL(write),  /* the words that were looked at, into their pipe */
    CALL(epoll_pwait),
#ifdef SYS_epoll_wait
    CALL(epoll_wait),
#endif
    CALL(epoll_ctl),
    EXACT(accept4, 3, SOCK_NONBLOCK | SOCK_CLOEXEC), /* from the room's listeners */
    CALL(connect),                                   /* to peers and name servers */
    CALL(close),
    CALL(recvmsg), /* the room's questions, the supervisor's frames */
    CALL(sendmsg),
    CALL(recvfrom), /* name servers, the routing table */
    CALL(sendto),
    CALL(shutdown),                          /* half of a connection ends */
    CALL(getsockname),                       /* which peer was meant */
    EXACT(pipe2, 1, O_CLOEXEC | O_NONBLOCK), /* what splice goes through */
    EXACT(fcntl, 1, F_SETPIPE_SZ),           /* speed */
    CALL(getrandom),                         /* ids of questions */
    CALL(clock_gettime),                     /* where the vDSO cannot tell */
    CALL(exit_group),
    /* Only TCP and UDP of the two families, by their default protocols. */
    ONLY(socket, 10),
    ARG(0),
    JUMP(AF_INET, 1, 0),
    JUMP(AF_INET6, 0, 6),
    ARG(1),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SOCK_DGRAM, 3, 0), /* SOCK_STREAM is 1, SOCK_DGRAM 2 */
    ARG(2),
    JUMP(0, 0, 1),
    YES,
    NO,
    /* How a connection ends, small packets at once, who is gone. No upper-layer protocols, filters, multicast. */
    ONLY(setsockopt, 11),
    ARG(1),
    JUMP(SOL_SOCKET, 0, 3),
    ARG(2),
    JUMP(SO_LINGER, 6, 0),
    JUMP(SO_KEEPALIVE, 5, 4),
    JUMP(IPPROTO_TCP, 0, 3),
    ARG(2),
    JUMP(TCP_NODELAY, 2, 0),
    JUMP(TCP_KEEPIDLE, 1, 0),
    NO,
    YES,
    ONLY(getsockopt, 6), /* why a connection failed */
    ARG(1),
    JUMP(SOL_SOCKET, 0, 2),
    ARG(2),
    JUMP(SO_ERROR, 1, 0),
    NO,
    YES,
    NO,
};

int confine_calls(void)
{
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter,
                                       .filter = (struct sock_filter *)(uintptr_t)filter};

    return kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

int confine_walls(const char **ret_what)
{
    bool walled;
    int r;

    *ret_what = "giving up root";
    if ((r = leave(&walled)) < 0)
        return r;
    /* The death signal is forgotten when ids change. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -errno;
    *ret_what = "an empty root or Landlock";
    r = no_files();
    if (!walled && r < 0)
        return r;
    *ret_what = "capabilities";
    if ((r = no_rights()) < 0)
        return r;
    *ret_what = "limits";
    return bounds();
}

int confine(const char **ret_what)
{
    int r = confine_walls(ret_what);

    if (r < 0)
        return r;
    *ret_what = "the system-call filter";
    return confine_calls();
}
