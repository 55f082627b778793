/* wall_rights: probes of what a process may: capabilities, filters, pid 1, sessions, descriptors, bounds.
 *
 * Lives in: a child of the room's program. Trusts: what the host told. Must not: do harm where there is no
 * room. Calls are made with arguments that no kernel acts upon. */
#include "policy/limit.h"
#include "probe/wall_inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

static bool refused(long r)
{
    return r < 0 && (errno == EPERM || errno == ENOSYS || errno == EACCES);
}

void wall_caps_sets(const struct wall_ask *a, struct wall_verdict *v)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct have[2];
    struct wall_tries t = {0};
    (void)a;
    if (syscall(SYS_capget, &head, have) < 0) {
        wall_skip(v, "cannot be asked for");
        return;
    }
    wall_tried(&t, have[0].effective | have[1].effective, "effective");
    wall_tried(&t, have[0].permitted | have[1].permitted, "permitted");
    wall_tried(&t, have[0].inheritable | have[1].inheritable, "inheritable");
    bool bounding = false, ambient = false;
    for (int cap = 0; cap < 64; cap++) {
        bounding |= prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
        ambient |= prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1;
    }
    wall_tried(&t, bounding, "bounding");
    wall_tried(&t, ambient, "ambient");
    wall_sum(v, &t, "not empty", "all empty");
}

void wall_caps_regain(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    const uid_t other = getuid() == 65534 ? 65533 : 65534;
    (void)a;
    int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
    wall_tried(&t, bits >= 0 && !(bits & SECBIT_NOROOT_LOCKED), "securebits unlocked");
    wall_tried(&t, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) == 0, "ambient");
    wall_tried(&t, setpriority(PRIO_PROCESS, 0, -1) == 0, "priority");
    wall_tried(&t, syscall(SYS_setresuid, other, other, other) == 0, "setresuid");
    wall_tried(&t, getuid() != 0 && syscall(SYS_setresuid, 0, 0, 0) == 0, "setresuid 0");
    wall_sum(v, &t, "gained", "nothing gained");
}

void wall_nnp(const struct wall_ask *a, struct wall_verdict *v)
{
    (void)a;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        wall_held(v, "set");
    else
        wall_broke(v, "not set");
}

/* --- namespaces and system calls ------------------------------------------------------------------------ */

void wall_nesting(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    struct kernel_clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    (void)a;
    long pid = kernel_clone3(&args);
    if (pid == 0)
        _exit(0);
    wall_tried(&t, pid > 0, "clone3");
    pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL); /* 0 in any order */
    if (pid == 0)
        _exit(0);
    wall_tried(&t, pid > 0, "clone");
    wall_tried(&t, unshare(CLONE_NEWUSER) == 0, "unshare");
    wall_sum(v, &t, "made one by", "refused");
}

/* Arguments: at worst an invalid request; errors that say "not permitted" or "no such call" mean that a wall
 * answered. */
static const struct {
    const char *name;
    long nr, arg[4];
} calls[] = {
    {"bpf", SYS_bpf, {0, 0, 0, 0}},
    {"io_uring_setup", 425, {0, 0, 0, 0}},
    {"keyctl", SYS_keyctl, {0, -3, 0, 0}},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1, 0, 0, 0}},
    {"perf_event_open", SYS_perf_event_open, {0, 0, -1, -1}},
    {"pidfd_getfd", 438, {-1, 0, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {1, 0, 0, 0}},
    {"ptrace", SYS_ptrace, {0x4206 /* PTRACE_SEIZE */, -1, 0, 0}},
    {"setns", SYS_setns, {-1, 0, 0, 0}},
    {"userfaultfd", SYS_userfaultfd, {-1, 0, 0, 0}},
    {"personality", SYS_personality, {0x0040000 /* ADDR_NO_RANDOMIZE */, 0, 0, 0}},
    {"fanotify_init", SYS_fanotify_init, {-1, 0, 0, 0}},
    {"init_module", SYS_init_module, {0, 0, 0, 0}},
    {"finit_module", SYS_finit_module, {-1, 0, 0, 0}},
    {"memfd_secret", 447, {-1, 0, 0, 0}},
    {"kcmp", SYS_kcmp, {-1, -1, 0, 0}},
    {"mbind", SYS_mbind, {0, 0, -1, 0}},
    {"move_pages", SYS_move_pages, {-1, 0, 0, 0}},
    {"quotactl_fd", 443, {-1, 0, 0, 0}},
    {"vmsplice", SYS_vmsplice, {-1, 0, 0, 0}},
    {"clone3", 435, {0, 0, 0, 0}},
    {"sched_setattr", SYS_sched_setattr, {-1, 0, 0, 0}},
    {"adjtimex", SYS_adjtimex, {0, 0, 0, 0}},
#ifdef SYS_iopl
    {"iopl", SYS_iopl, {99, 0, 0, 0}},
#endif
};

void wall_seccomp_calls(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        long r = syscall(calls[i].nr, calls[i].arg[0], calls[i].arg[1], calls[i].arg[2], calls[i].arg[3], 0);
        wall_tried(&t, !refused(r), calls[i].name);
    }
    wall_sum(v, &t, "reachable", "all refused");
}

#ifdef __x86_64__
/* getpid by the i386 entry, and by x32's numbers. */
static void foreign_i386(void)
{
    long r = 20;
    __asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
    _exit(r > 0 ? 1 : 0);
}

static void foreign_x32(void)
{
    _exit(kernel_raw(0x40000000 | 39, 0, 0, 0, 0) > 0 ? 1 : 0);
}

#elif defined(__aarch64__)
/* A program of the 32-bit ABI, for a process cannot change over: an ELF file whose whole code asks for its pid and then
 * ends with 1. Its first call is the one that must not be answered. */
static void foreign_arm(void)
{
    static const uint32_t file[] = {
        0x464c457f, 0x00010101, 0,          0,          0x00280002, 1, 0x00010054, /* EM_ARM, entry */
        52,         0,          0x05000000, 0x00200034, 1,          0, 1,          /* EABI 5, PT_LOAD */
        0,          0x00010000, 0x00010000, 104,        104,        5, 0x00010000, /* all of it, at 64 KiB */
        0xe3a07014, 0xef000000,                                                    /* mov r7, #20; svc 0 */
        0xe3a00001, 0xe3a07001, 0xef000000,                                        /* exit(1) */
    };
    static char name[] = "foreign";
    char *const words[] = {name, NULL}, *const none[] = {NULL};
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd >= 0 && fd_write_all(fd, file, sizeof file) == 0)
        (void)syscall(SYS_execveat, fd, "", words, none, AT_EMPTY_PATH);
    _exit(2);
}
#endif

/* The child's status, when it ended by itself: 1 for an answer. */
static int foreign_end(void (*entry)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core of one that dies as it should */
        entry();
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void wall_seccomp_foreign(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    (void)a;
#ifdef __x86_64__
    wall_tried(&t, foreign_end(foreign_i386) == 1, "i386");
    wall_tried(&t, foreign_end(foreign_x32) == 1, "x32");
#elif defined(__aarch64__)
    int end = foreign_end(foreign_arm);
    if (end == 2) {
        wall_skip(v, "this kernel or processor starts no 32-bit programs");
        return;
    }
    wall_tried(&t, end == 1, "32-bit ARM");
#endif
    wall_sum(v, &t, "answer", "dead");
}

void wall_seccomp_ioctl(const struct wall_ask *a, struct wall_verdict *v)
{
    static const unsigned long type_in = 0x5412 /* TIOCSTI */;
    struct wall_tries t = {0};
    (void)a;
    /* Not a terminal: without a filter the answer is ENOTTY. The high half of the number is nothing to the
     * kernel. */
    FD_AUTO null = open("/dev/null", O_RDWR | O_CLOEXEC);
    wall_tried(&t, !refused(syscall(SYS_ioctl, null, type_in, "x")), "TIOCSTI");
    wall_tried(&t, !refused(syscall(SYS_ioctl, null, type_in | 1ul << 32, "x")), "TIOCSTI with high bits");
    wall_tried(&t, !refused(syscall(SYS_ioctl, null, 0x541c /* TIOCLINUX */, "x")), "TIOCLINUX");
    wall_sum(v, &t, "not refused", "refused");
}

/* The kernel stacks at most 16 layers of Landlock: each that is on us already makes one less of ours. */
void wall_landlock(const struct wall_ask *a, struct wall_verdict *v)
{
    const struct kernel_landlock_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK};
    int layers = 0;
    (void)a;
    FD_AUTO ruleset =
        kernel_landlock_create(&attr, offsetof(struct kernel_landlock_attr, handled_access_net), 0);
    if (ruleset < 0) {
        wall_skip(v, "cannot be counted: %s", strerror(errno));
        return;
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* fails only where it is set */
    while (layers < 17 && kernel_landlock_restrict(ruleset) == 0)
        layers++;
    if (layers >= 16)
        wall_broke(v, "none on us");
    else
        wall_held(v, "%d on us", 16 - layers);
}

/* --- pid 1, session, keyring ---------------------------------------------------------------------------- */

void wall_init_read(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const files[] = {"environ", "mem",   "maps",    "exe", "auxv",
                                        "syscall", "stack", "pagemap", "io"};
    static const char *const links[] = {"cwd", "root", "exe", "fd/0", "ns/net"};
    struct wall_tries t = {0};
    char path[32], byte[8];
    (void)a;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct sbuf b = SBUF(path);
        sbuf_fmt(&b, "/proc/1/%s", files[i]);
        FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
        wall_tried(&t, fd >= 0 && pread(fd, byte, sizeof byte, 0) > 0, files[i]);
    }
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        struct sbuf b = SBUF(path);
        sbuf_fmt(&b, "/proc/1/%s", links[i]);
        wall_tried(&t, readlink(path, byte, sizeof byte) >= 0, links[i]);
    }
    wall_sum(v, &t, "readable", "nothing of it");
}

void wall_init_trace(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    char byte = 0;
    struct iovec here = {&byte, 1}, there = {(void *)(uintptr_t)0x400000, 1};
    (void)a;
    wall_tried(&t, syscall(SYS_ptrace, 0x4206 /* PTRACE_SEIZE */, 1, 0, 0) == 0, "ptrace");
    wall_tried(&t, syscall(SYS_process_vm_readv, 1, &here, 1, &there, 1, 0) == 1, "process_vm_readv");
    wall_tried(&t, syscall(SYS_process_vm_writev, 1, &here, 1, &there, 1, 0) == 1, "process_vm_writev");
    FD_AUTO mem = open("/proc/1/mem", O_RDWR | O_CLOEXEC);
    wall_tried(&t, mem >= 0, "/proc/1/mem");
    FD_AUTO exe = open("/proc/1/exe", O_WRONLY | O_CLOEXEC);
    wall_tried(&t, exe >= 0, "/proc/1/exe");
    FD_AUTO pidfd = kernel_pidfd_open(1, 0);
    wall_tried(&t, pidfd >= 0 && syscall(438 /* pidfd_getfd */, pidfd, 0, 0) >= 0, "pidfd_getfd");
    struct rlimit none = {0, 0};
    wall_tried(&t, syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, &none, NULL) == 0, "prlimit");
    wall_sum(v, &t, "done to pid 1", "all refused");
}

void wall_session_own(const struct wall_ask *a, struct wall_verdict *v)
{
    (void)a;
    FD_AUTO tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty >= 0)
        wall_broke(v, "/dev/tty opens");
    else if (getsid(0) == 0)
        wall_broke(v, "the session's leader is outside");
    else
        wall_held(v, "none: %s", strerror(errno));
}

void wall_keyring(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    (void)a;
    wall_tried(&t, !refused(syscall(SYS_keyctl, 0 /* id of */, -3 /* the session's */, 0, 0, 0)), "keyctl");
    wall_tried(&t, !refused(syscall(SYS_add_key, "user", NULL, NULL, 0, -3)), "add_key");
    wall_tried(&t, !refused(syscall(SYS_request_key, NULL, NULL, NULL, 0)), "request_key");
    wall_sum(v, &t, "not refused", "refused");
}

/* --- what is inherited ---------------------------------------------------------------------------------- */

void wall_env(const struct wall_ask *a, struct wall_verdict *v)
{
    extern char **environ;
    unsigned count = 0;
    for (char **e = environ; e && *e; e++, count++) {
        if (a->token && strstr(*e, a->token)) {
            wall_broke(v, "%.*s is there", (int)strcspn(*e, "="), *e);
            return;
        }
    }
    wall_held(v, "%u variables, not the planted one", count);
}

void wall_fds(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    (void)a;
    for (int fd = 3; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        char number[16];
        struct sbuf b = SBUF(number);
        sbuf_fmt(&b, "%d", fd);
        wall_tried(&t, true, number);
    }
    t.tried = 1021;
    wall_sum(v, &t, "open", "none above 2");
}

void wall_fds_stdio(const struct wall_ask *a, struct wall_verdict *v)
{
    (void)a;
    for (int fd = 0; fd < 3; fd++) {
        struct stat st;
        if (fstat(fd, &st) == 0 && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)) {
            wall_broke(v, "descriptor %d is a file or socket of the caller's", fd);
            return;
        }
        if (isatty(fd)) {
            wall_broke(v, "descriptor %d is a terminal", fd);
            return;
        }
    }
    wall_held(v, "pipes and /dev/null");
}

void wall_uids(const struct wall_ask *a, struct wall_verdict *v)
{
    char map[128], wanted[32];
    struct sbuf b = SBUF(wanted);
    if (fd_read_file(AT_FDCWD, "/proc/self/uid_map", map, sizeof map) <= 0) {
        wall_skip(v, "cannot be read");
        return;
    }
    sbuf_fmt(&b, " %llu ", (unsigned long long)a->uid);
    char *one = map; /* "    inside    outside    1": blanks squeezed */
    for (const char *p = map; *p; p++) {
        if (*p != ' ' || one == map || one[-1] != ' ')
            *one++ = *p;
    }
    *one = '\0';
    if (strstr(map, "4294967295"))
        wall_broke(v, "the host's ids");
    else if (a->uid != 0 && strstr(map, wanted))
        wall_skip(v, "shared: not started by root");
    else if (strstr(map, wanted))
        wall_broke(v, "root's");
    else
        wall_held(v, "an own one");
}

void wall_rlimits(const struct wall_ask *a, struct wall_verdict *v)
{
    static const struct {
        const char *name;
        int resource;
        uint64_t most;
    } rows[] = {{"nofile", RLIMIT_NOFILE, 1024},
                {"nproc", RLIMIT_NPROC, 257},
                {"core", RLIMIT_CORE, 1},
                {"fsize", RLIMIT_FSIZE, 512ull << 20},
                {"memlock", RLIMIT_MEMLOCK, 8 << 20},
                {"rtprio", RLIMIT_RTPRIO, 0},
                {"msgqueue", RLIMIT_MSGQUEUE, 0},
                {"cpu", RLIMIT_CPU, 660}};
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rlimit have;
        if (getrlimit(rows[i].resource, &have) == 0)
            wall_tried(&t, have.rlim_max > rows[i].most, rows[i].name);
    }
    wall_sum(v, &t, "higher than the defaults", "all bounded");
}
