/* mkfilter: writes the bench's one system-call filter in the three forms that its contenders want.
 *
 * What: an allow-list of the calls that ordinary programs need (compilers, Python, Node, shells), as a
 * decision tree over intervals of call numbers. `header` is a C array for floor.c, `raw` the bytes that
 * `bwrap --seccomp FD` reads, `oci` the seccomp object of a container bundle (there the container engine
 * builds its own tree, at run time: that is part of what it costs). Lives in: the build, and in bench/run
 * while it prepares. Trusts: its own table. May: write to stdout. Must not: be taken for the product's
 * filter; it is only of the same size and shape. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#ifndef __x86_64__
#error "the bench's filter table is written for x86-64"
#endif

/* clang-format off */
#define CALLS(X)                                                                                                       \
    X(read) X(write) X(open) X(close) X(stat) X(fstat) X(lstat) X(poll) X(lseek) X(mmap) X(mprotect) X(munmap) X(brk)  \
    X(rt_sigaction) X(rt_sigprocmask) X(rt_sigreturn) X(pread64) X(pwrite64) X(readv) X(writev) X(access) X(pipe)      \
    X(select) X(sched_yield) X(mremap) X(msync) X(mincore) X(madvise) X(dup) X(dup2) X(pause) X(nanosleep)             \
    X(getitimer) X(alarm) X(setitimer) X(getpid) X(sendfile) X(connect) X(accept) X(sendto) X(recvfrom) X(sendmsg)     \
    X(recvmsg) X(shutdown) X(bind) X(listen) X(getsockname) X(getpeername) X(socketpair) X(setsockopt) X(getsockopt)   \
    X(fork) X(vfork) X(execve) X(exit) X(wait4) X(kill) X(uname) X(fcntl) X(flock) X(fsync) X(fdatasync)               \
    X(truncate) X(ftruncate) X(getdents) X(getcwd) X(chdir) X(fchdir) X(rename) X(mkdir) X(rmdir) X(creat) X(link)     \
    X(unlink) X(symlink) X(readlink) X(chmod) X(fchmod) X(chown) X(fchown) X(lchown) X(umask) X(gettimeofday)          \
    X(getrlimit) X(getrusage) X(sysinfo) X(times) X(getuid) X(getgid) X(geteuid) X(getegid) X(setpgid) X(getppid)      \
    X(getpgrp) X(setsid) X(getgroups) X(getresuid) X(getresgid) X(getpgid) X(getsid) X(rt_sigpending)                  \
    X(rt_sigtimedwait) X(rt_sigsuspend) X(sigaltstack) X(utime) X(statfs) X(fstatfs) X(getpriority) X(sched_getparam)  \
    X(sched_getscheduler) X(arch_prctl) X(gettid) X(tkill) X(time) X(futex) X(sched_setaffinity) X(sched_getaffinity)  \
    X(epoll_create) X(getdents64) X(set_tid_address) X(fadvise64) X(clock_gettime) X(clock_getres) X(clock_nanosleep)  \
    X(exit_group) X(epoll_wait) X(epoll_ctl) X(tgkill) X(waitid) X(inotify_add_watch) X(openat) X(mkdirat)             \
    X(newfstatat) X(unlinkat) X(renameat) X(linkat) X(symlinkat) X(readlinkat) X(fchmodat) X(faccessat) X(pselect6)    \
    X(ppoll) X(set_robust_list) X(splice) X(utimensat) X(epoll_pwait) X(timerfd_create) X(eventfd) X(fallocate)        \
    X(timerfd_settime) X(accept4) X(eventfd2) X(epoll_create1) X(dup3) X(pipe2) X(inotify_init1) X(preadv) X(pwritev)  \
    X(prlimit64) X(renameat2) X(getrandom) X(memfd_create) X(execveat) X(copy_file_range) X(statx) X(rseq)             \
    X(close_range) X(faccessat2) X(prctl)
/* clang-format on */

#define NEW_NAMESPACES                                                                                       \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |            \
     CLONE_NEWNET)
#define KNOWN_END 463 /* numbers from here on are unknown to the table: ENOSYS */
#define X32_BIT   0x40000000u
#define INSNS_MAX 256

enum verdict { ALLOW, REFUSE, UNKNOWN, KILL, CHECK_CLONE, CHECK_SOCKET, CHECK_IOCTL, VERDICT_COUNT };

static const struct call {
    const char *name;
    unsigned number;
} calls[] = {
#define X(n) {#n, SYS_##n},
    CALLS(X)
#undef X
};
#define CALL_COUNT (sizeof calls / sizeof calls[0])

/* An instruction whose jumps are still absolute: an index, or -1 - verdict. */
struct draft {
    struct sock_filter insn;
    int yes, no;
};
static struct draft draft[INSNS_MAX];
static struct sock_filter filter[INSNS_MAX];
static int used;
static int verdict_at[VERDICT_COUNT];

struct segment {
    unsigned from;
    enum verdict verdict;
};
static struct segment segments[2 * KNOWN_END];
static int segment_count;

static int put(uint16_t code, uint32_t k, int yes, int no)
{
    if (used >= INSNS_MAX)
        exit(1);
    draft[used] = (struct draft){.insn = {.code = code, .k = k}, .yes = yes, .no = no};
    return used++;
}

static int to(enum verdict v)
{
    return -1 - (int)v;
}

static enum verdict verdict_of(unsigned number)
{
    if (number >= KNOWN_END || number == SYS_clone3)
        return UNKNOWN;
    if (number == SYS_clone)
        return CHECK_CLONE;
    if (number == SYS_socket)
        return CHECK_SOCKET;
    if (number == SYS_ioctl)
        return CHECK_IOCTL;
    for (size_t i = 0; i < CALL_COUNT; i++)
        if (calls[i].number == number)
            return ALLOW;
    return REFUSE;
}

/* Depth is log2 of the table's own size. */
static int put_tree(int first, int last)
{
    if (first == last)
        return to(segments[first].verdict);
    int middle = (first + last + 1) / 2;
    int at = put(BPF_JMP | BPF_JGE | BPF_K, segments[middle].from, 0, 0);
    draft[at].no = put_tree(first, middle - 1);
    draft[at].yes = put_tree(middle, last);
    return at;
}

static void put_checks(void)
{
    const uint32_t argument0 = offsetof(struct seccomp_data, args[0]),
                   argument1 = offsetof(struct seccomp_data, args[1]);

    verdict_at[CHECK_CLONE] = put(BPF_LD | BPF_W | BPF_ABS, argument0, 0, 0);
    (void)put(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, to(REFUSE), to(ALLOW));

    verdict_at[CHECK_SOCKET] = put(BPF_LD | BPF_W | BPF_ABS, argument0, 0, 0);
    (void)put(BPF_JMP | BPF_JEQ | BPF_K, 1 /* AF_UNIX */, to(ALLOW), used + 1);
    (void)put(BPF_JMP | BPF_JEQ | BPF_K, 2 /* AF_INET */, to(ALLOW), used + 1);
    (void)put(BPF_JMP | BPF_JEQ | BPF_K, 10 /* AF_INET6 */, to(ALLOW), used + 1);
    (void)put(BPF_JMP | BPF_JEQ | BPF_K, 16 /* AF_NETLINK */, to(ALLOW), to(REFUSE));

    verdict_at[CHECK_IOCTL] = put(BPF_LD | BPF_W | BPF_ABS, argument1, 0, 0);
    (void)put(BPF_JMP | BPF_JEQ | BPF_K, 0x5412 /* TIOCSTI */, to(REFUSE), used + 1);
    (void)put(BPF_JMP | BPF_JEQ | BPF_K, 0x541c /* TIOCLINUX */, to(REFUSE), to(ALLOW));

    verdict_at[ALLOW] = put(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    verdict_at[REFUSE] = put(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    verdict_at[UNKNOWN] = put(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
    verdict_at[KILL] = put(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
}

static void build(void)
{
    for (unsigned n = 0; n <= KNOWN_END; n++)
        if (segment_count == 0 || segments[segment_count - 1].verdict != verdict_of(n))
            segments[segment_count++] = (struct segment){n, verdict_of(n)};

    (void)put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    (void)put(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, used + 1, to(KILL));
    (void)put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    (void)put(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, to(KILL), used + 1);
    (void)put_tree(0, segment_count - 1);
    put_checks();

    for (int i = 0; i < used; i++) {
        filter[i] = draft[i].insn;
        if (BPF_CLASS(filter[i].code) != BPF_JMP)
            continue;
        int yes = draft[i].yes < 0 ? verdict_at[-1 - draft[i].yes] : draft[i].yes;
        int no = draft[i].no < 0 ? verdict_at[-1 - draft[i].no] : draft[i].no;
        if (yes - i - 1 > 255 || no - i - 1 > 255)
            exit(1);
        filter[i].jt = (uint8_t)(yes - i - 1);
        filter[i].jf = (uint8_t)(no - i - 1);
    }
}

static void write_header(void)
{
    printf("/* made by mkfilter: %d instructions, %zu calls allowed, %d intervals */\n", used, CALL_COUNT,
           segment_count);
    printf("static const struct sock_filter room_filter[] = {\n");
    for (int i = 0; i < used; i++)
        printf("    {0x%02x, %u, %u, 0x%08x},\n", filter[i].code, filter[i].jt, filter[i].jf, filter[i].k);
    printf("};\n");
}

static void write_oci(void)
{
    printf("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 1, \"architectures\": "
           "[\"SCMP_ARCH_X86_64\"],\n");
    printf(" \"syscalls\": [\n  {\"names\": [");
    for (size_t i = 0; i < CALL_COUNT; i++)
        printf("%s\"%s\"", i ? ", " : "", calls[i].name);
    printf("], \"action\": \"SCMP_ACT_ALLOW\"},\n");
    printf(
        "  {\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0, \"value\": %u, "
        "\"valueTwo\": 0, \"op\": \"SCMP_CMP_MASKED_EQ\"}]},\n",
        (unsigned)NEW_NAMESPACES);
    for (int i = 0; i < 4; i++)
        printf("  {\"names\": [\"socket\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0, "
               "\"value\": %d, "
               "\"op\": \"SCMP_CMP_EQ\"}]},\n",
               (const int[]){1, 2, 10, 16}[i]);
    printf("  {\"names\": [\"ioctl\"], \"action\": \"SCMP_ACT_ALLOW\"},\n");
    printf("  {\"names\": [\"clone3\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38}\n ]}\n");
}

int main(int argc, char **argv)
{
    build();
    if (argc == 2 && !strcmp(argv[1], "header"))
        write_header();
    else if (argc == 2 && !strcmp(argv[1], "raw"))
        (void)fwrite(filter, sizeof filter[0], (size_t)used, stdout);
    else if (argc == 2 && !strcmp(argv[1], "oci"))
        write_oci();
    else
        return fputs("usage: mkfilter header|raw|oci\n", stderr), 2;
    return fflush(stdout) ? 1 : 0;
}
