/* seccomp_rules: the verdicts of the room's filter, and the tables for those system calls whose arguments
 * decide.
 *
 * Read by the generator (seccomp_gen.c), which compiles them to BPF, and by the unit test, which evaluates
 * them row by row and compares. Only the low 32 bits of an argument are looked at: every argument named here
 * is an int, a pid_t or an unsigned int to the kernel, which drops the high half as well (clone masks its
 * flags to 32 bits itself). Where it matters that a pointer is NULL, both halves are (WORD_HIGH).
 *
 * A rule is a switch over `argument & mask`: the first row whose range holds the value gives the outcome,
 * else `otherwise`. An outcome may be another rule. Numbers are those of <asm-generic/ioctls.h>,
 * <linux/prctl.h>, … and the same on all architectures that the table of system calls serves; the unit test
 * compares them with the headers. */
#ifndef POLICY_SECCOMP_RULES_H
#define POLICY_SECCOMP_RULES_H

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* Outcomes: kind in the high half, detail in the low half. */
#define OUT_ALLOW      0x00010000u
#define OUT_DENY       0x00020000u /* EPERM, or a notification to the supervisor */
#define OUT_KILL       0x00030000u
#define OUT_ERRNO_KIND 0x00040000u
#define OUT_RULE_KIND  0x00050000u
#define OUT_WATCH      0x00060000u /* allowed; told to the supervisor where it wants to watch */
#define OUT_ERRNO(e)   (OUT_ERRNO_KIND | (uint32_t)(e))
#define OUT_RULE(id)   (OUT_RULE_KIND | (uint32_t)RULE_##id)
#define OUT_NOSYS      OUT_ERRNO(ENOSYS)
#define OUT_DONE       OUT_ERRNO(0) /* says that it was done, and does nothing */
#define OUT_KIND(o)    ((o)&0xffff0000u)
#define OUT_DATA(o)    ((o)&0x0000ffffu)

enum seccomp_rule_id {
    RULE_CLONE,
    RULE_IOCTL,
    RULE_IFREQ,
    RULE_FCNTL,
    RULE_MMAP,
    RULE_MEMFD,
    RULE_MADVISE,
    RULE_PRCTL,
    RULE_PRCTL_SECCOMP,
    RULE_PRCTL_AMBIENT,
    RULE_PERSONALITY,
    RULE_PRLIMIT64,
    RULE_PRLIMIT64_WHAT,
    RULE_PRLIMIT64_CORE,
    RULE_PRLIMIT64_CORE_HIGH,
    RULE_PRLIMIT64_OLD,
    RULE_SETRLIMIT,
    RULE_SCHEDULER,
    RULE_SCHEDULER_CLASS,
    RULE_NOT_FIRST,
    RULE_PRIORITY,
    RULE_PRIORITY_WHO,
    RULE_SECCOMP,
    RULE_SECCOMP_FLAGS,
    RULE_MKNOD,
    RULE_MKNODAT,
    RULE_MKNOD_MODE,
    RULE_MKNODAT_MODE,
    RULE_CHMOD,
    RULE_CHMODAT,
    RULE_CREAT,
    RULE_OPEN,
    RULE_OPEN_MODE,
    RULE_OPENAT,
    RULE_OPENAT_MODE,
    RULE_SOCKET,
    RULE_INET_TYPE,
    RULE_TCP,
    RULE_UDP,
    RULE_NETLINK_TYPE,
    RULE_NETLINK_PROTOCOL,
    RULE_SOCKETPAIR,
    RULE_VSYSCALL,
    RULE_COUNT,
};

struct seccomp_case {
    uint32_t lo, hi; /* inclusive */
    uint32_t outcome;
    const char *what;
};

/* Beside the six arguments: the high half of the address that the call comes from, and those of the arguments. */
#define WORD_CALLER    6u
#define WORD_HIGH(arg) (8u + (arg))

struct seccomp_rule {
    unsigned arg;  /* index of the argument, WORD_CALLER or WORD_HIGH */
    uint32_t mask; /* applied to its low half first */
    uint32_t otherwise;
    const struct seccomp_case *cases;
    size_t count;
};

#define ONE(v, out, what)                                                                                    \
    {                                                                                                        \
        (v), (v), (out), (what)                                                                              \
    }
#define RANGE(lo, hi, out, what)                                                                             \
    {                                                                                                        \
        (lo), (hi), (out), (what)                                                                            \
    }
#define RULE_ROW(arg, mask, otherwise, cases)                                                                \
    {                                                                                                        \
        (arg), (mask), (otherwise), (cases), sizeof(cases) / sizeof((cases)[0])                              \
    }
#define ALL_BITS 0xffffffffu

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. CLONE_NEWTIME shares its bit with the exit
 * signal and means nothing to clone(2). */
#define CLONE_NEW_ANY 0x7e020000u
static const struct seccomp_case clone_cases[] = {
    ONE(0, OUT_ALLOW, "no new namespace"),
};

/* ioctl: an allow-list of what terminals, sockets and file copies need; the dangerous are refused by name so
 * that an attempt is seen; what is left is answered like a device that does not know it. */
static const struct seccomp_case ioctl_cases[] = {
    RANGE(0x1200, 0x12ff, OUT_DENY, "BLK*: block devices"),
    RANGE(0x4b00, 0x4bff, OUT_DENY, "KD*: the console's keyboard and screen"),
    RANGE(0x5401, 0x5411, OUT_ALLOW, "TCGETS .. TIOCSPGRP, TIOCOUTQ"),
    ONE(0x5412, OUT_DENY, "TIOCSTI: types into the terminal"),
    RANGE(0x5413, 0x5414, OUT_ALLOW, "TIOCGWINSZ, TIOCSWINSZ"),
    ONE(0x541b, OUT_ALLOW, "FIONREAD"),
    RANGE(0x541c, 0x541d, OUT_DENY, "TIOCLINUX, TIOCCONS: the console"),
    RANGE(0x5420, 0x5422, OUT_ALLOW, "TIOCPKT, FIONBIO, TIOCNOTTY"),
    ONE(0x5423, OUT_DENY, "TIOCSETD: loads line disciplines"),
    RANGE(0x5424, 0x5429, OUT_ALLOW, "TIOCGETD, TCSBRKP, TIOCSBRK, TIOCCBRK, TIOCGSID"),
    ONE(0x5437, OUT_DENY, "TIOCVHANGUP"),
    ONE(0x5441, OUT_ALLOW, "TIOCGPTPEER"),
    RANGE(0x5450, 0x5452, OUT_ALLOW, "FIONCLEX, FIOCLEX, FIOASYNC"),
    ONE(0x5460, OUT_ALLOW, "FIOQSIZE"),
    RANGE(0x5600, 0x56ff, OUT_DENY, "VT_*: the console's screens"),
    RANGE(0x8901, 0x8905, OUT_ALLOW, "FIOSETOWN .. SIOCATMARK"),
    RANGE(0x8910, 0x8912, OUT_ALLOW, "SIOCGIFNAME, SIOCGIFCONF"),
    RANGE(0x8913, 0x8922, OUT_RULE(IFREQ), "SIOCGIFFLAGS .. SIOCSIFMTU"),
    RANGE(0x8923, 0x8926, OUT_DENY, "SIOCSIFNAME, SIOCSIFHWADDR: changes an interface"),
    ONE(0x8927, OUT_ALLOW, "SIOCGIFHWADDR"),
    ONE(0x8933, OUT_ALLOW, "SIOCGIFINDEX"),
    ONE(0x8942, OUT_ALLOW, "SIOCGIFTXQLEN"),
    ONE(0x8946, OUT_DENY, "SIOCETHTOOL"),
    ONE(0x894b, OUT_ALLOW, "SIOCOUTQNSD"),
    RANGE(0xb701, 0xb7ff, OUT_DENY, "NS_GET_*: other namespaces"),
    RANGE(0xff01, 0xff0a, OUT_DENY, "PIDFD_GET_*_NAMESPACE"),
    ONE(0x40045431u, OUT_ALLOW, "TIOCSPTLCK"),
    ONE(0x40045436u, OUT_ALLOW, "TIOCSIG"),
    ONE(0x40049409u, OUT_ALLOW, "FICLONE"),
    ONE(0x40086602u, OUT_DENY, "FS_IOC_SETFLAGS"),
    ONE(0x401c5820u, OUT_DENY, "FS_IOC_FSSETXATTR"),
    ONE(0x4020940du, OUT_ALLOW, "FICLONERANGE"),
    RANGE(0x402c542bu, 0x402c542du, OUT_ALLOW, "TCSETS2, TCSETSW2, TCSETSF2"),
    ONE(0x80045430u, OUT_ALLOW, "TIOCGPTN"),
    RANGE(0x80045438u, 0x80045440u, OUT_ALLOW, "TIOCGPKT, TIOCGPTLCK, TIOCGEXCL"),
    ONE(0x80086601u, OUT_ALLOW, "FS_IOC_GETFLAGS"),
    ONE(0x802c542au, OUT_ALLOW, "TCGETS2"),
    RANGE(0xc0045877u, 0xc0045878u, OUT_DENY, "FIFREEZE, FITHAW"),
    ONE(0xc0185879u, OUT_DENY, "FITRIM"),
};

/* In this stretch the even numbers set and the odd ones get (SIOCGIFFLAGS 0x8913, SIOCSIFFLAGS 0x8914, …). */
static const struct seccomp_case ifreq_cases[] = {
    ONE(0, OUT_DENY, "SIOCSIF*: changes an interface"),
};

/* Huge pages that the host has set aside (vm.nr_hugepages) are counted against no bound of a room, and whoever they are
 * meant for does not start without them. Answered as where none are left, or where the kernel was built without. The
 * huge pages that programs get by themselves (THP) are others. */
#define MAP_HUGE 0x40000u
#define MFD_HUGE 4u
static const struct seccomp_case no_huge_cases[] = {
    ONE(0, OUT_ALLOW, "ordinary pages"),
};

/* The same as prctl's SET_MEMORY_MERGE, for a stretch of memory; answered as by a kernel that was built without. */
static const struct seccomp_case madvise_cases[] = {
    ONE(12, OUT_ERRNO(EINVAL), "MADV_MERGEABLE: merging pages tells what others have in memory"),
};

/* A lease is given on a file that one owns and may read. Who opens it outside then waits for its holder, up to 45 s and
 * each time anew: a folder that a room only reads would be closed to the host's own programs. */
static const struct seccomp_case fcntl_cases[] = {
    ONE(1024, OUT_DENY, "F_SETLEASE"),
    ONE(1026, OUT_ERRNO(EINVAL),
        "F_NOTIFY: as if the kernel were built without; inotify does, and is counted"),
    ONE(1040, OUT_DENY, "F_SETDELEG: a lease on a folder"),
};

static const struct seccomp_case prctl_cases[] = {
    RANGE(1, 4, OUT_ALLOW, "PDEATHSIG, DUMPABLE"),
    ONE(7, OUT_ALLOW, "GET_KEEPCAPS"),
    ONE(8, OUT_DENY, "SET_KEEPCAPS"),
    RANGE(13, 16, OUT_ALLOW, "TIMING, NAME"),
    ONE(21, OUT_ALLOW, "GET_SECCOMP"),
    ONE(22, OUT_RULE(PRCTL_SECCOMP), "SET_SECCOMP"),
    ONE(23, OUT_ALLOW, "CAPBSET_READ"),
    ONE(24, OUT_DENY, "CAPBSET_DROP"),
    ONE(25, OUT_ALLOW, "GET_TSC"),
    ONE(26, OUT_DENY, "SET_TSC"),
    ONE(27, OUT_ALLOW, "GET_SECUREBITS"),
    ONE(28, OUT_DENY, "SET_SECUREBITS"),
    RANGE(29, 30, OUT_ALLOW, "TIMERSLACK"),
    RANGE(31, 33, OUT_DENY, "TASK_PERF_EVENTS_*, MCE_KILL"),
    ONE(34, OUT_ALLOW, "MCE_KILL_GET"),
    ONE(35, OUT_DENY, "SET_MM: moves the process's own map marks, its /proc/self/exe among them"),
    RANGE(36, 42, OUT_ALLOW, "CHILD_SUBREAPER, NO_NEW_PRIVS, GET_TID_ADDRESS, THP_DISABLE"),
    ONE(47, OUT_RULE(PRCTL_AMBIENT), "CAP_AMBIENT"),
    RANGE(50, 56, OUT_ALLOW, "SVE, SPECULATION_CTRL, PAC_RESET_KEYS, TAGGED_ADDR_CTRL"),
    RANGE(57, 59, OUT_DENY, "IO_FLUSHER, SET_SYSCALL_USER_DISPATCH"),
    RANGE(60, 61, OUT_ALLOW, "PAC_ENABLED_KEYS"),
    ONE(62, OUT_DENY, "SCHED_CORE"),
    RANGE(63, 66, OUT_ALLOW, "SME, MDWE"),
    ONE(67, OUT_DENY, "SET_MEMORY_MERGE: merging pages tells what others have in memory"),
    ONE(68, OUT_ALLOW, "GET_MEMORY_MERGE"),
    ONE(0x41555856u, OUT_ALLOW, "GET_AUXV"),
    ONE(0x53564d41u, OUT_ALLOW, "SET_VMA"),
    ONE(0x59616d61u, OUT_ALLOW, "SET_PTRACER"),
};
static const struct seccomp_case prctl_seccomp_cases[] = {
    ONE(2, OUT_ALLOW, "SECCOMP_MODE_FILTER"),
};
static const struct seccomp_case prctl_ambient_cases[] = {
    ONE(2, OUT_DENY, "PR_CAP_AMBIENT_RAISE"),
};

static const struct seccomp_case personality_cases[] = {
    ONE(0, OUT_ALLOW, "PER_LINUX"),
    ONE(0xffffffffu, OUT_ALLOW, "ask"),
};

static const struct seccomp_case prlimit64_cases[] = {
    ONE(0, OUT_RULE(PRLIMIT64_WHAT), "the caller's own"),
};
/* Where the host gives cores to a program (core_pattern with a pipe), a room's RLIMIT_CORE is 1, not 0: 1 is the one
 * value with which the kernel does not start that program, as root, outside of any room. So it cannot be lowered. Who
 * wants no cores is told that it is so; who wants the old value in the same call as well would be told nothing by that,
 * and is refused. */
static const struct seccomp_case prlimit64_what_cases[] = {
    ONE(4, OUT_RULE(PRLIMIT64_CORE), "RLIMIT_CORE"),
};
static const struct seccomp_case prlimit64_core_cases[] = {
    ONE(0, OUT_RULE(PRLIMIT64_CORE_HIGH), "the low half of NULL"),
};
static const struct seccomp_case prlimit64_core_high_cases[] = {
    ONE(0, OUT_ALLOW, "it only asks"),
};
static const struct seccomp_case prlimit64_old_cases[] = {
    ONE(0, OUT_DONE, "the old one is not asked for"),
};
static const struct seccomp_case setrlimit_cases[] = {
    ONE(4, OUT_DONE, "RLIMIT_CORE"),
};

/* SCHED_RESET_ON_FORK (0x40000000) only weakens, so it is masked out. */
static const struct seccomp_case scheduler_cases[] = {
    ONE(0, OUT_ALLOW, "SCHED_OTHER"),
    ONE(3, OUT_ALLOW, "SCHED_BATCH"),
    ONE(5, OUT_ALLOW, "SCHED_IDLE"),
};

/* pid 1 has the program's uid. Put into the idle class, onto a processor that is kept busy, it needs seconds
 * to die, and the room with it. Inside, its number is always 1, and so is its process group's. */
static const struct seccomp_case not_first_cases[] = {
    ONE(1, OUT_DENY, "the room's own pid 1"),
};
static const struct seccomp_case priority_cases[] = {
    RANGE(0, 1, OUT_RULE(PRIORITY_WHO), "PRIO_PROCESS, PRIO_PGRP"),
    ONE(2, OUT_DENY, "PRIO_USER: every process of the room, pid 1 among them"),
};

static const struct seccomp_case seccomp_cases[] = {
    ONE(0, OUT_DENY, "SECCOMP_SET_MODE_STRICT"),
    ONE(1, OUT_RULE(SECCOMP_FLAGS), "SECCOMP_SET_MODE_FILTER"),
    ONE(2, OUT_ALLOW, "SECCOMP_GET_ACTION_AVAIL"),
    ONE(3, OUT_DENY, "SECCOMP_GET_NOTIF_SIZES"),
};
static const struct seccomp_case seccomp_flags_cases[] = {
    ONE(0, OUT_ALLOW, "without a listener"),
};

/* The type bits of a mode (S_IFMT): FIFO, plain (0 means plain too), socket. */
/* A set-user-ID or set-group-ID file is harmless in the room and not outside it: in a folder that --rw shows,
 * it would be a program of the folder's owner's for everybody on the host. No file of a room gets these bits. */
#define SETID_BITS 06000u
static const struct seccomp_case no_setid_cases[] = {
    ONE(0, OUT_WATCH, "neither bit"),
};
/* O_CREAT and the bit of O_TMPFILE that is not O_DIRECTORY; without them the mode is not looked at and may be
 * anything. */
#define OPEN_CREATES 020000100u
static const struct seccomp_case no_creation_cases[] = {
    ONE(0, OUT_WATCH, "makes nothing"),
};
static const struct seccomp_case mknod_cases[] = {
    ONE(0x0000, OUT_RULE(MKNOD_MODE), "plain file"),
    ONE(0x1000, OUT_ALLOW, "S_IFIFO"),
    ONE(0x8000, OUT_RULE(MKNOD_MODE), "S_IFREG"),
    ONE(0xc000, OUT_ALLOW, "S_IFSOCK"),
};
static const struct seccomp_case mknodat_cases[] = {
    ONE(0x0000, OUT_RULE(MKNODAT_MODE), "plain file"),
    ONE(0x1000, OUT_ALLOW, "S_IFIFO"),
    ONE(0x8000, OUT_RULE(MKNODAT_MODE), "S_IFREG"),
    ONE(0xc000, OUT_ALLOW, "S_IFSOCK"),
};

/* socket: a family that is not listed looks as if the kernel did not have it, so that programs fall back;
 * those that reach past the room are refused by name, so that an attempt is seen. AF_NETLINK is open for
 * NETLINK_ROUTE in the variants that say so. */
static const struct seccomp_case socket_cases[] = {
    ONE(1, OUT_ALLOW, "AF_UNIX"),
    ONE(2, OUT_RULE(INET_TYPE), "AF_INET"),
    ONE(10, OUT_RULE(INET_TYPE), "AF_INET6"),
    ONE(16, OUT_RULE(NETLINK_TYPE), "AF_NETLINK"),
    ONE(17, OUT_DENY, "AF_PACKET: raw packets"),
    ONE(38, OUT_DENY, "AF_ALG: the kernel's ciphers"),
    ONE(40, OUT_DENY, "AF_VSOCK: knows no namespaces, reaches the machine's host"),
    ONE(44, OUT_DENY, "AF_XDP: raw packets"),
};
/* SOCK_TYPE_MASK is 0xf; the flags above it (SOCK_NONBLOCK, SOCK_CLOEXEC) are judged by the kernel. */
static const struct seccomp_case inet_type_cases[] = {
    ONE(1, OUT_RULE(TCP), "SOCK_STREAM"),
    ONE(2, OUT_RULE(UDP), "SOCK_DGRAM"),
    ONE(3, OUT_DENY, "SOCK_RAW"),
};
/* Anything but TCP (MPTCP, SCTP, SMC, …) is answered so that runtimes fall back to TCP. */
static const struct seccomp_case tcp_cases[] = {
    ONE(0, OUT_ALLOW, "default"),
    ONE(6, OUT_ALLOW, "IPPROTO_TCP"),
};
static const struct seccomp_case udp_cases[] = {
    ONE(0, OUT_ALLOW, "default"),
    ONE(17, OUT_ALLOW, "IPPROTO_UDP"),
    ONE(1, OUT_DENY, "IPPROTO_ICMP"),
    ONE(58, OUT_DENY, "IPPROTO_ICMPV6"),
};
static const struct seccomp_case netlink_type_cases[] = {
    RANGE(2, 3, OUT_RULE(NETLINK_PROTOCOL), "SOCK_DGRAM, SOCK_RAW"),
};
static const struct seccomp_case netlink_protocol_cases[] = {
    ONE(0, OUT_ALLOW, "NETLINK_ROUTE"),
};
static const struct seccomp_case socketpair_cases[] = {
    ONE(1, OUT_ALLOW, "AF_UNIX"),
};

/* The vsyscall page (time, gettimeofday and getcpu at fixed addresses near the top, emulated by the kernel; nothing
 * built since 2011 calls it) is the only caller with such a high half. Killed like any foreign entry: an error number
 * would be taken for the time. */
static const struct seccomp_case vsyscall_cases[] = {
    ONE(0xffffffffu, OUT_KILL, "the vsyscall page"),
};

static const struct seccomp_rule seccomp_rules[RULE_COUNT] = {
    [RULE_CLONE] = RULE_ROW(0, CLONE_NEW_ANY, OUT_DENY, clone_cases),
    [RULE_IOCTL] = RULE_ROW(1, ALL_BITS, OUT_ERRNO(ENOTTY), ioctl_cases),
    [RULE_IFREQ] = RULE_ROW(1, 1, OUT_ALLOW, ifreq_cases),
    [RULE_FCNTL] = RULE_ROW(1, ALL_BITS, OUT_ALLOW, fcntl_cases),
    [RULE_MMAP] = RULE_ROW(3, MAP_HUGE, OUT_ERRNO(ENOMEM), no_huge_cases),
    [RULE_MEMFD] = RULE_ROW(1, MFD_HUGE, OUT_ERRNO(EINVAL), no_huge_cases),
    [RULE_MADVISE] = RULE_ROW(2, ALL_BITS, OUT_ALLOW, madvise_cases),
    [RULE_PRCTL] = RULE_ROW(0, ALL_BITS, OUT_ERRNO(EINVAL), prctl_cases),
    [RULE_PRCTL_SECCOMP] = RULE_ROW(1, ALL_BITS, OUT_DENY, prctl_seccomp_cases),
    [RULE_PRCTL_AMBIENT] = RULE_ROW(1, ALL_BITS, OUT_ALLOW, prctl_ambient_cases),
    [RULE_PERSONALITY] = RULE_ROW(0, ALL_BITS, OUT_DENY, personality_cases),
    [RULE_PRLIMIT64] = RULE_ROW(0, ALL_BITS, OUT_DENY, prlimit64_cases),
    [RULE_PRLIMIT64_WHAT] = RULE_ROW(1, ALL_BITS, OUT_ALLOW, prlimit64_what_cases),
    [RULE_PRLIMIT64_CORE] = RULE_ROW(2, ALL_BITS, OUT_RULE(PRLIMIT64_OLD), prlimit64_core_cases),
    [RULE_PRLIMIT64_CORE_HIGH] =
        RULE_ROW(WORD_HIGH(2), ALL_BITS, OUT_RULE(PRLIMIT64_OLD), prlimit64_core_high_cases),
    [RULE_PRLIMIT64_OLD] = RULE_ROW(3, ALL_BITS, OUT_DENY, prlimit64_old_cases),
    [RULE_SETRLIMIT] = RULE_ROW(0, ALL_BITS, OUT_ALLOW, setrlimit_cases),
    [RULE_SCHEDULER] = RULE_ROW(0, ALL_BITS, OUT_RULE(SCHEDULER_CLASS), not_first_cases),
    [RULE_SCHEDULER_CLASS] = RULE_ROW(1, ~0x40000000u, OUT_DENY, scheduler_cases),
    [RULE_NOT_FIRST] = RULE_ROW(0, ALL_BITS, OUT_ALLOW, not_first_cases),
    [RULE_PRIORITY] = RULE_ROW(0, ALL_BITS, OUT_ERRNO(EINVAL), priority_cases),
    [RULE_PRIORITY_WHO] = RULE_ROW(1, ALL_BITS, OUT_ALLOW, not_first_cases),
    [RULE_SECCOMP] = RULE_ROW(0, ALL_BITS, OUT_ERRNO(EINVAL), seccomp_cases),
    [RULE_SECCOMP_FLAGS] = RULE_ROW(1, 8, OUT_DENY, seccomp_flags_cases),
    [RULE_MKNOD] = RULE_ROW(1, 0xf000, OUT_DENY, mknod_cases),
    [RULE_MKNODAT] = RULE_ROW(2, 0xf000, OUT_DENY, mknodat_cases),
    [RULE_MKNOD_MODE] = RULE_ROW(1, SETID_BITS, OUT_DENY, no_setid_cases),
    [RULE_MKNODAT_MODE] = RULE_ROW(2, SETID_BITS, OUT_DENY, no_setid_cases),
    [RULE_CHMOD] = RULE_ROW(1, SETID_BITS, OUT_DENY, no_setid_cases),
    [RULE_CHMODAT] = RULE_ROW(2, SETID_BITS, OUT_DENY, no_setid_cases),
    [RULE_CREAT] = RULE_ROW(1, SETID_BITS, OUT_DENY, no_setid_cases),
    [RULE_OPEN] = RULE_ROW(1, OPEN_CREATES, OUT_RULE(OPEN_MODE), no_creation_cases),
    [RULE_OPEN_MODE] = RULE_ROW(2, SETID_BITS, OUT_DENY, no_setid_cases),
    [RULE_OPENAT] = RULE_ROW(2, OPEN_CREATES, OUT_RULE(OPENAT_MODE), no_creation_cases),
    [RULE_OPENAT_MODE] = RULE_ROW(3, SETID_BITS, OUT_DENY, no_setid_cases),
    [RULE_SOCKET] = RULE_ROW(0, ALL_BITS, OUT_ERRNO(EAFNOSUPPORT), socket_cases),
    [RULE_INET_TYPE] = RULE_ROW(1, 0xf, OUT_ERRNO(ESOCKTNOSUPPORT), inet_type_cases),
    [RULE_TCP] = RULE_ROW(2, ALL_BITS, OUT_ERRNO(EPROTONOSUPPORT), tcp_cases),
    [RULE_UDP] = RULE_ROW(2, ALL_BITS, OUT_ERRNO(EPROTONOSUPPORT), udp_cases),
    [RULE_NETLINK_TYPE] = RULE_ROW(1, 0xf, OUT_ERRNO(ESOCKTNOSUPPORT), netlink_type_cases),
    [RULE_NETLINK_PROTOCOL] = RULE_ROW(2, ALL_BITS, OUT_ERRNO(EPROTONOSUPPORT), netlink_protocol_cases),
    [RULE_SOCKETPAIR] = RULE_ROW(0, ALL_BITS, OUT_ERRNO(EAFNOSUPPORT), socketpair_cases),
    [RULE_VSYSCALL] = RULE_ROW(WORD_CALLER, ALL_BITS, OUT_ALLOW, vsyscall_cases),
};

static inline uint32_t seccomp_word(const struct seccomp_data *d, unsigned arg)
{
    return arg == WORD_CALLER    ? (uint32_t)(d->instruction_pointer >> 32)
           : arg >= WORD_HIGH(0) ? (uint32_t)(d->args[arg - WORD_HIGH(0)] >> 32)
                                 : (uint32_t)d->args[arg];
}

/* An outcome as a variant sees it: without `netlink` the family AF_NETLINK is one of the unlisted. */
static inline uint32_t seccomp_outcome(uint32_t outcome, int netlink)
{
    return outcome == OUT_RULE(NETLINK_TYPE) && !netlink ? OUT_ERRNO(EAFNOSUPPORT) : outcome;
}

#endif
