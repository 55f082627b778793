/* seccomp_test: the compiled filter against the tables it was made of, against what is expected by hand, and
 * in the kernel.
 *
 * Lives in: a test program; some tests fork a child that locks itself in. May: compute, fork, filter its
 * children. */
#include "policy/seccomp.h"
#include "policy/seccomp_rules.h"
#include "policy/syscall_nr.h"
#include "seccomp_short.h"
#include "unit.h"
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_LIBSECCOMP
#include <seccomp.h>
#endif

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif
#define X32      0x40000000
#define ROOM_LEN 304 /* the most instructions that the filter may have */
#define HOT_PATH 14  /* the most that a call which real programs make all the time may take */

static const struct row {
    int nr;
    uint32_t outcome;
    const char *name, *why;
} rows[] = {
#define ALLOW                            OUT_ALLOW
#define DENY                             OUT_DENY
#define NOSYS                            OUT_NOSYS
#define WATCH                            OUT_WATCH
#define RULE(id)                         OUT_RULE(id)
#define SYSCALL(call, verdict, why_text) {__NR_##call, verdict, #call, why_text},
#include "policy/syscalls.def"
#undef ALLOW
#undef DENY
#undef NOSYS
#undef WATCH
#undef RULE
};

/* ---- a BPF machine ---- */

struct ran {
    uint32_t value;
    unsigned steps;
    bool saw_arguments;
};

static struct ran run_program(const struct seccomp_program *p, const struct seccomp_data *d)
{
    struct ran r = {0};
    uint32_t a = 0;
    for (unsigned pc = 0;; pc++) {
        assert_true(pc < p->len);
        const struct sock_filter *f = &p->insns[pc];
        r.steps++;
        switch (f->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(f->k % 4 == 0 && f->k + 4 <= sizeof(*d));
            memcpy(&a, (const char *)d + f->k, 4);
            r.saw_arguments |= f->k >= offsetof(struct seccomp_data, instruction_pointer);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= f->k;
            break;
        case BPF_JMP | BPF_JA:
            pc += f->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == f->k ? f->jt : f->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= f->k ? f->jt : f->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            pc += a & f->k ? f->jt : f->jf;
            break;
        case BPF_RET | BPF_K:
            r.value = f->k;
            return r;
        default:
            fail_msg("instruction %u: code 0x%x is not one that the kernel's dry run knows", pc, f->code);
        }
    }
}

static struct ran run(enum seccomp_variant variant, const struct seccomp_data *d)
{
    return run_program(seccomp_program(variant), d);
}

/* Made with short jumps, as if the tables had grown: the same verdicts by way of detours. */
static uint32_t run_short(enum seccomp_variant variant, const struct seccomp_data *d)
{
    static const struct seccomp_program programs[SECCOMP_VARIANT_COUNT] = {
        [SECCOMP_ROOM] = {seccomp_room, COUNT(seccomp_room)},
        [SECCOMP_ROOM_NOTIFY] = {seccomp_room_notify, COUNT(seccomp_room_notify)},
        [SECCOMP_ROOM_NETLINK] = {seccomp_room_netlink, COUNT(seccomp_room_netlink)},
        [SECCOMP_ROOM_NETLINK_NOTIFY] = {seccomp_room_netlink_notify, COUNT(seccomp_room_netlink_notify)},
        [SECCOMP_ROOM_WATCH] = {seccomp_room_watch, COUNT(seccomp_room_watch)},
        [SECCOMP_ROOM_NETLINK_WATCH] = {seccomp_room_netlink_watch, COUNT(seccomp_room_netlink_watch)},
    };
    assert_true(programs[variant].len > seccomp_program(variant)->len);
    return run_program(&programs[variant], d).value;
}

/* ---- the tables, row by row ---- */

static bool is_notify(enum seccomp_variant v)
{
    return v == SECCOMP_ROOM_NOTIFY || v == SECCOMP_ROOM_NETLINK_NOTIFY || v >= SECCOMP_ROOM_WATCH;
}

static bool is_watch(enum seccomp_variant v)
{
    return v == SECCOMP_ROOM_WATCH || v == SECCOMP_ROOM_NETLINK_WATCH;
}

static bool is_netlink(enum seccomp_variant v)
{
    return v == SECCOMP_ROOM_NETLINK || v == SECCOMP_ROOM_NETLINK_NOTIFY || v == SECCOMP_ROOM_NETLINK_WATCH;
}

static uint32_t expected(enum seccomp_variant variant, const struct seccomp_data *d)
{
    if (d->arch != NATIVE)
        return SECCOMP_RET_KILL_PROCESS;
    uint32_t out = OUT_NOSYS;
#if defined(__x86_64__)
    if (d->nr != -1 && (uint32_t)d->nr >= X32)
        return SECCOMP_RET_KILL_PROCESS;
#endif
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].nr == d->nr)
            out = rows[i].outcome;
    while (OUT_KIND(out) == OUT_RULE_KIND) {
        const struct seccomp_rule *r = &seccomp_rules[OUT_DATA(out)];
        uint32_t v = seccomp_word(d, r->arg) & r->mask;
        out = r->otherwise;
        for (size_t i = r->count; i-- > 0;)
            if (v >= r->cases[i].lo && v <= r->cases[i].hi)
                out = r->cases[i].outcome;
        out = seccomp_outcome(out, is_netlink(variant));
    }
    switch (OUT_KIND(out)) {
    case OUT_ALLOW:
        return SECCOMP_RET_ALLOW;
    case OUT_WATCH:
        return is_watch(variant) ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
    case OUT_DENY:
        return is_notify(variant) ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | EPERM;
    case OUT_KILL:
        return SECCOMP_RET_KILL_PROCESS;
    default:
        return SECCOMP_RET_ERRNO | OUT_DATA(out);
    }
}

static void compare(const struct seccomp_data *d)
{
    for (int v = 0; v < SECCOMP_VARIANT_COUNT; v++) {
        struct ran r = run((enum seccomp_variant)v, d);
        uint32_t want = expected((enum seccomp_variant)v, d);
        assert_int_equal(run_short((enum seccomp_variant)v, d), want);
        if (is_watch((enum seccomp_variant)v) && want == SECCOMP_RET_USER_NOTIF)
            assert_int_equal(seccomp_is_watched(d), expected(SECCOMP_ROOM, d) == SECCOMP_RET_ALLOW);
        if (r.value != want)
            fail_msg("variant %d nr %d args %llx %llx %llx: 0x%08x instead of 0x%08x", v, d->nr,
                     (unsigned long long)d->args[0], (unsigned long long)d->args[1],
                     (unsigned long long)d->args[2], r.value, want);
    }
}

static uint64_t noise(void)
{
    static uint64_t x = 0x9e3779b97f4a7c15u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* ---- tests ---- */

static void every_number(void **state)
{
    (void)state;
    for (int nr = -600; nr <= 600; nr++) {
        struct seccomp_data d = {.nr = nr, .arch = NATIVE};
        compare(&d);
        d.nr = (int)((unsigned)nr | X32);
        compare(&d);
        for (int i = 0; i < 6; i++)
            d.args[i] = noise();
        d.nr = nr;
        compare(&d);
        d.arch = AUDIT_ARCH_I386;
        compare(&d);
        d.arch = AUDIT_ARCH_ARM;
        compare(&d);
    }
    for (int i = 0; i < 20000; i++) {
        struct seccomp_data d = {.nr = (int)noise(), .arch = NATIVE};
        compare(&d);
    }
}

/* Every edge of every case of every rule, with noise in the high half of each argument. */
static void every_argument(void **state)
{
    (void)state;
    static uint32_t samples[1024];
    size_t n = 0;
    for (size_t r = 0; r < RULE_COUNT; r++) {
        for (size_t i = 0; i < seccomp_rules[r].count; i++) {
            const struct seccomp_case *c = &seccomp_rules[r].cases[i];
            assert_true(n + 4 < COUNT(samples));
            samples[n++] = c->lo - 1;
            samples[n++] = c->lo;
            samples[n++] = c->hi;
            samples[n++] = c->hi + 1;
        }
    }
    for (size_t row = 0; row < COUNT(rows); row++) {
        if (OUT_KIND(rows[row].outcome) != OUT_RULE_KIND)
            continue;
        for (size_t i = 0; i < n; i++) {
            for (int round = 0; round < 24; round++) {
                struct seccomp_data d = {.nr = rows[row].nr, .arch = NATIVE};
                for (int a = 0; a < 6; a++)
                    d.args[a] = (round % 4 == 0 ? 0 : noise() << 32) | samples[noise() % n];
                unsigned arg = seccomp_rules[OUT_DATA(rows[row].outcome)].arg;
                if (arg == WORD_CALLER)
                    d.instruction_pointer = (uint64_t)samples[i] << 32 | (noise() & 0xffffffffu);
                else
                    d.args[arg] = noise() << 32 | samples[i];
                compare(&d);
            }
        }
        for (int round = 0; round < 4000; round++) {
            struct seccomp_data d = {.nr = rows[row].nr, .arch = NATIVE};
            for (int a = 0; a < 6; a++)
                d.args[a] = round & 1 ? noise() % 64 : noise();
            compare(&d);
        }
    }
}

#define ROW_E(nr, a0, a1, a2, e)                                                                             \
    {                                                                                                        \
        nr, a0, a1, a2, SECCOMP_RET_ERRNO | (e)                                                              \
    }
#define ROW_OK(nr, a0, a1, a2)                                                                               \
    {                                                                                                        \
        nr, a0, a1, a2, SECCOMP_RET_ALLOW                                                                    \
    }
#define GARBAGE 0xdeadbeef00000000u

static const struct {
    int nr;
    uint64_t a0, a1, a2;
    uint32_t want;
} by_hand[] = {
    ROW_OK(__NR_read, 0, 0, 0),
    ROW_E(__NR_openat2, 0, 0, 0, ENOSYS),
    ROW_OK(__NR_futex_waitv, 0, 0, 0),
    ROW_OK(__NR_clone, SIGCHLD, 0, 0),
    ROW_OK(__NR_clone, 0x3d0f00, 0, 0), /* a thread of glibc */
    ROW_OK(__NR_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0),
    ROW_E(__NR_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, EPERM),
    ROW_E(__NR_clone, CLONE_NEWNS, 0, 0, EPERM),
    ROW_E(__NR_clone, CLONE_NEWPID, 0, 0, EPERM),
    ROW_E(__NR_clone, GARBAGE | CLONE_NEWNET | SIGCHLD, 0, 0, EPERM),
    ROW_E(__NR_clone, CLONE_NEWCGROUP, 0, 0, EPERM),
    ROW_E(__NR_clone, CLONE_NEWIPC, 0, 0, EPERM),
    ROW_E(__NR_clone, CLONE_NEWUTS, 0, 0, EPERM),
    ROW_E(__NR_clone3, 0, 0, 0, ENOSYS),
    ROW_E(__NR_unshare, 0, 0, 0, EPERM),
    ROW_E(__NR_setns, 0, 0, 0, EPERM),
    ROW_E(__NR_mount, 0, 0, 0, EPERM),
    ROW_E(__NR_bpf, 0, 0, 0, EPERM),
    ROW_E(__NR_io_uring_setup, 0, 0, 0, EPERM),
    ROW_E(470, 0, 0, 0, ENOSYS),
    ROW_E(400, 0, 0, 0, ENOSYS),
    ROW_OK(__NR_ioctl, 0, TCGETS, 0),
    ROW_OK(__NR_ioctl, 0, GARBAGE | TIOCGWINSZ, 0),
    ROW_OK(__NR_ioctl, 0, TIOCSCTTY, 0),
    ROW_OK(__NR_ioctl, 0, SIOCGIFFLAGS, 0),
    ROW_OK(__NR_ioctl, 0, SIOCGIFMTU, 0),
    ROW_E(__NR_ioctl, 0, SIOCSIFFLAGS, 0, EPERM),
    ROW_E(__NR_ioctl, 0, SIOCSIFMTU, 0, EPERM),
    ROW_E(__NR_ioctl, 0, TIOCSTI, 0, EPERM),
    ROW_E(__NR_ioctl, 0, GARBAGE | TIOCSTI, 0, EPERM),
    ROW_E(__NR_ioctl, 0, 0x100000000u | TIOCLINUX, 0, EPERM),
    ROW_E(__NR_ioctl, 0, FIFREEZE, 0, EPERM),
    ROW_E(__NR_ioctl, 0, FITHAW, 0, EPERM),
    ROW_E(__NR_ioctl, 0, FS_IOC_FSSETXATTR, 0, EPERM),
    ROW_E(__NR_ioctl, 0, 0xb702, 0, EPERM),
    ROW_E(__NR_ioctl, 0, 0xae00, 0, ENOTTY),
    ROW_E(__NR_ioctl, 0, 0xffffffffffffffffu, 0, ENOTTY),
    ROW_OK(__NR_fcntl, 0, F_SETLK, 0),
    ROW_E(__NR_fcntl, 0, F_SETLEASE, 1, EPERM),
    ROW_OK(__NR_prctl, PR_SET_NAME, 0, 0),
    ROW_OK(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0),
    ROW_OK(__NR_prctl, PR_SET_VMA, 0, 0),
    ROW_OK(__NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0),
    ROW_E(__NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, EPERM),
    ROW_E(__NR_prctl, PR_SET_SECCOMP, 0, 0, EPERM),
    ROW_E(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, EPERM),
    ROW_OK(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 21),
    ROW_E(__NR_prctl, PR_SET_MM, 0, 0, EPERM),
    ROW_E(__NR_prctl, PR_SET_KEEPCAPS, 1, 0, EPERM),
    ROW_E(__NR_prctl, 9999, 0, 0, EINVAL),
    ROW_OK(__NR_personality, 0xffffffff, 0, 0),
    ROW_OK(__NR_personality, 0, 0, 0),
    ROW_E(__NR_personality, 0x0040000, 0, 0, EPERM),
    ROW_OK(__NR_prlimit64, 0, 7, 1),
    ROW_OK(__NR_prlimit64, 0, RLIMIT_CORE, 0),
    ROW_E(__NR_prlimit64, 0, RLIMIT_CORE, 0x700000000000, 0), /* no NULL, though its low half is */
    ROW_E(__NR_setrlimit, RLIMIT_CORE, 8, 0, 0),
    ROW_E(__NR_prlimit64, 1, 7, 1, EPERM),
    ROW_E(__NR_prlimit64, 0xffffffff, 7, 1, EPERM),
    ROW_OK(__NR_sched_setscheduler, 0, SCHED_OTHER, 0),
    ROW_OK(__NR_sched_setscheduler, 2, SCHED_IDLE, 0),
    ROW_E(__NR_sched_setscheduler, 1, SCHED_IDLE, 0, EPERM),
    ROW_E(__NR_sched_setparam, 1, 0, 0, EPERM),
    ROW_OK(__NR_sched_setaffinity, 0, 8, 0),
    ROW_OK(__NR_sched_setaffinity, 7, 8, 0),
    ROW_E(__NR_sched_setaffinity, 1, 8, 0, EPERM),
    ROW_OK(__NR_setpriority, 0, 0, 10),
    ROW_OK(__NR_setpriority, 1, 0, 10),
    ROW_E(__NR_setpriority, 0, 1, 19, EPERM),
    ROW_E(__NR_setpriority, 1, 1, 19, EPERM),
    ROW_E(__NR_setpriority, 2, 0, 19, EPERM),
    ROW_E(__NR_setpriority, 3, 0, 19, EINVAL),
    ROW_OK(__NR_sched_setscheduler, 0, SCHED_BATCH | 0x40000000, 0),
    ROW_E(__NR_sched_setscheduler, 0, SCHED_FIFO, 0, EPERM),
    ROW_E(__NR_sched_setscheduler, 0, SCHED_RR | 0x40000000, 0, EPERM),
    ROW_E(__NR_sched_setattr, 0, 0, 0, EPERM),
    ROW_OK(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, 0),
    ROW_OK(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, 0),
    ROW_E(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0, EPERM),
    ROW_E(__NR_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0, EPERM),
    ROW_OK(__NR_mknodat, AT_FDCWD, 0, S_IFIFO | 0600),
    ROW_OK(__NR_mknodat, AT_FDCWD, 0, 0600),
    ROW_E(__NR_mknodat, AT_FDCWD, 0, 04600, EPERM),
    ROW_E(__NR_mknodat, AT_FDCWD, 0, S_IFREG | 02600, EPERM),
    ROW_OK(__NR_fchmod, 3, 01755, 0),
    ROW_E(__NR_fchmod, 3, 04755, 0, EPERM),
    ROW_E(__NR_fchmodat, AT_FDCWD, 0, 02755, EPERM),
    ROW_E(__NR_fchmodat2, AT_FDCWD, 0, 06755, EPERM),
    ROW_OK(__NR_openat, AT_FDCWD, 0, O_RDONLY),
    ROW_OK(__NR_openat, AT_FDCWD, 0, O_WRONLY | O_CREAT),
    ROW_E(__NR_mknodat, AT_FDCWD, 0, S_IFCHR | 0600, EPERM),
    ROW_E(__NR_mknodat, AT_FDCWD, 0, S_IFBLK | 0600, EPERM),
    ROW_OK(__NR_socket, AF_UNIX, SOCK_SEQPACKET, 0),
    ROW_OK(__NR_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP),
    ROW_OK(__NR_socket, AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP),
    ROW_E(__NR_socket, AF_INET, SOCK_STREAM, 262, EPROTONOSUPPORT),
    ROW_E(__NR_socket, AF_INET, SOCK_STREAM, 132, EPROTONOSUPPORT),
    ROW_E(__NR_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP, EPERM),
    ROW_E(__NR_socket, AF_INET, SOCK_RAW, IPPROTO_RAW, EPERM),
    ROW_E(__NR_socket, AF_INET, SOCK_SEQPACKET, 132, ESOCKTNOSUPPORT),
    ROW_E(__NR_socket, AF_PACKET, SOCK_RAW, 0, EPERM),
    ROW_E(__NR_socket, AF_VSOCK, SOCK_STREAM, 0, EPERM),
    ROW_E(__NR_socket, AF_ALG, SOCK_SEQPACKET, 0, EPERM),
    ROW_E(__NR_socket, AF_BLUETOOTH, SOCK_RAW, 0, EAFNOSUPPORT),
    ROW_E(__NR_socket, AF_NETLINK, SOCK_RAW, 0, EAFNOSUPPORT),
    ROW_OK(__NR_socketpair, AF_UNIX, SOCK_STREAM, 0),
    ROW_E(__NR_socketpair, AF_INET, SOCK_STREAM, 0, EAFNOSUPPORT),
};

static void what_a_person_expects(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(by_hand); i++) {
        struct seccomp_data d = {
            .nr = by_hand[i].nr, .arch = NATIVE, .args = {by_hand[i].a0, by_hand[i].a1, by_hand[i].a2}};
        uint32_t got = run(SECCOMP_ROOM, &d).value;
        if (got != by_hand[i].want)
            fail_msg("row %zu (%s): 0x%08x instead of 0x%08x", i, syscall_name(d.nr), got, by_hand[i].want);
        uint32_t deny = SECCOMP_RET_ERRNO | EPERM;
        got = run(SECCOMP_ROOM_NOTIFY, &d).value;
        assert_int_equal(got, by_hand[i].want == deny ? SECCOMP_RET_USER_NOTIF : by_hand[i].want);
    }
    /* The mode is an argument only where the call makes a file; without, it is whatever was in the register. */
    struct seccomp_data make = {.nr = __NR_openat, .arch = NATIVE, .args = {0, 0, O_WRONLY | O_CREAT, 04755}};
    assert_int_equal(run(SECCOMP_ROOM, &make).value, SECCOMP_RET_ERRNO | EPERM);
    make.args[2] = O_WRONLY | O_TMPFILE;
    assert_int_equal(run(SECCOMP_ROOM, &make).value, SECCOMP_RET_ERRNO | EPERM);
    make.args[2] = O_WRONLY | O_DIRECTORY;
    assert_int_equal(run(SECCOMP_ROOM, &make).value, SECCOMP_RET_ALLOW);
    struct seccomp_data d = {
        .nr = __NR_socket, .arch = NATIVE, .args = {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0}};
    assert_int_equal(run(SECCOMP_ROOM_NETLINK, &d).value, SECCOMP_RET_ALLOW);
    d.args[2] = 16; /* NETLINK_GENERIC */
    assert_int_equal(run(SECCOMP_ROOM_NETLINK, &d).value, SECCOMP_RET_ERRNO | EPROTONOSUPPORT);
}

static void small_and_shallow(void **state)
{
    (void)state;
    static const int hot[] = {__NR_read,        __NR_write,    __NR_openat,        __NR_close,
                              __NR_futex,       __NR_mmap,     __NR_munmap,        __NR_newfstatat,
                              __NR_epoll_pwait, __NR_recvfrom, __NR_fstat,         __NR_sendmsg,
                              __NR_getppid,     __NR_ppoll,    __NR_rt_sigprocmask};
    unsigned sum = 0, allowed = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct seccomp_data d = {.nr = rows[i].nr, .arch = NATIVE};
        struct ran r = run(SECCOMP_ROOM, &d);
        if (rows[i].outcome != OUT_ALLOW)
            continue;
        /* else the kernel would have to run the filter at each such call */
        assert_false(r.saw_arguments);
        sum += r.steps;
        allowed++;
    }
    for (size_t i = 0; i < COUNT(hot); i++) {
        struct seccomp_data d = {.nr = hot[i], .arch = NATIVE};
        unsigned steps = run(SECCOMP_ROOM, &d).steps;
        if (steps > HOT_PATH)
            fail_msg("%s takes %u instructions", syscall_name(hot[i]), steps);
    }
    print_message("# %u instructions; %u calls always allowed at %.1f instructions on average\n",
                  seccomp_program(SECCOMP_ROOM)->len, allowed, (double)sum / allowed);
    for (int v = 0; v < SECCOMP_VARIANT_COUNT; v++)
        assert_true(seccomp_program((enum seccomp_variant)v)->len <= ROOM_LEN);
    assert_null(seccomp_program(SECCOMP_VARIANT_COUNT));
}

static void names_and_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_string_equal(syscall_name(rows[i].nr), rows[i].name);
        const char *why = syscall_why_denied(rows[i].nr);
        const bool allowed = rows[i].outcome == OUT_ALLOW || rows[i].outcome == OUT_WATCH;
        if (allowed)
            assert_null(why);
        else
            assert_string_equal(why, rows[i].why);
        /* every refusal has its reason */
        assert_true(allowed == (rows[i].why[0] == '\0'));
    }
    assert_null(syscall_name(-1));
    assert_null(syscall_name(337));
    assert_null(syscall_name(470));
    assert_null(syscall_name(100000));
    assert_non_null(syscall_why_denied(100000));
}

/* libseccomp has its own table; what it knows must agree. */
static void numbers_agree_with_libseccomp(void **state)
{
    (void)state;
#ifdef HAVE_LIBSECCOMP
    int known = 0;
    for (int nr = 0; nr < 512; nr++) {
        char *theirs = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
        if (theirs != NULL) {
            assert_non_null(syscall_name(nr));
            assert_string_equal(syscall_name(nr), theirs);
            known++;
        }
        free(theirs);
    }
    assert_true(known > 340);
#else
    skip();
#endif
}

/* The numbers in seccomp_rules.h are written out; these are the headers' own. */
static void numbers_agree_with_headers(void **state)
{
    (void)state;
    static const struct {
        unsigned long request;
        uint32_t want;
    } requests[] = {
        {TCGETS, OUT_ALLOW},          {TCSETSF, OUT_ALLOW},        {TCSBRK, OUT_ALLOW},
        {TCFLSH, OUT_ALLOW},          {TCXONC, OUT_ALLOW},         {TIOCEXCL, OUT_ALLOW},
        {TIOCSCTTY, OUT_ALLOW},       {TIOCGPGRP, OUT_ALLOW},      {TIOCSPGRP, OUT_ALLOW},
        {TIOCOUTQ, OUT_ALLOW},        {TIOCSTI, OUT_DENY},         {TIOCGWINSZ, OUT_ALLOW},
        {TIOCSWINSZ, OUT_ALLOW},      {FIONREAD, OUT_ALLOW},       {TIOCLINUX, OUT_DENY},
        {TIOCCONS, OUT_DENY},         {TIOCPKT, OUT_ALLOW},        {FIONBIO, OUT_ALLOW},
        {TIOCNOTTY, OUT_ALLOW},       {TIOCSETD, OUT_DENY},        {TIOCGETD, OUT_ALLOW},
        {TIOCGSID, OUT_ALLOW},        {TIOCGPTN, OUT_ALLOW},       {TIOCSPTLCK, OUT_ALLOW},
        {TIOCSIG, OUT_ALLOW},         {TIOCVHANGUP, OUT_DENY},     {TIOCGPKT, OUT_ALLOW},
        {TIOCGPTLCK, OUT_ALLOW},      {TIOCGEXCL, OUT_ALLOW},      {TIOCGPTPEER, OUT_ALLOW},
        {FIONCLEX, OUT_ALLOW},        {FIOCLEX, OUT_ALLOW},        {FIOASYNC, OUT_ALLOW},
        {FIOQSIZE, OUT_ALLOW},        {FICLONE, OUT_ALLOW},        {FICLONERANGE, OUT_ALLOW},
        {FIFREEZE, OUT_DENY},         {FITHAW, OUT_DENY},          {FITRIM, OUT_DENY},
        {FS_IOC_GETFLAGS, OUT_ALLOW}, {FS_IOC_SETFLAGS, OUT_DENY}, {FS_IOC_FSSETXATTR, OUT_DENY},
        {BLKROSET, OUT_DENY},         {SIOCGIFNAME, OUT_ALLOW},    {SIOCGIFCONF, OUT_ALLOW},
        {SIOCSIFNAME, OUT_DENY},      {SIOCSIFHWADDR, OUT_DENY},   {SIOCGIFHWADDR, OUT_ALLOW},
        {SIOCGIFINDEX, OUT_ALLOW},    {SIOCGIFTXQLEN, OUT_ALLOW},  {SIOCETHTOOL, OUT_DENY},
        {SIOCOUTQNSD, OUT_ALLOW},     {SIOCATMARK, OUT_ALLOW},
    };
    for (size_t i = 0; i < COUNT(requests); i++) {
        struct seccomp_data d = {.nr = __NR_ioctl, .arch = NATIVE, .args = {0, requests[i].request}};
        uint32_t want = requests[i].want == OUT_ALLOW ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM;
        if (run(SECCOMP_ROOM, &d).value != want)
            fail_msg("request 0x%lx, row %zu", requests[i].request, i);
    }
    static const int options[] = {PR_SET_PDEATHSIG,       PR_GET_DUMPABLE,     PR_SET_NAME,
                                  PR_CAPBSET_READ,        PR_GET_SECUREBITS,   PR_SET_TIMERSLACK,
                                  PR_SET_NO_NEW_PRIVS,    PR_GET_NO_NEW_PRIVS, PR_SET_THP_DISABLE,
                                  PR_SET_CHILD_SUBREAPER, PR_SET_PTRACER,      PR_SET_VMA};
    for (size_t i = 0; i < COUNT(options); i++) {
        struct seccomp_data d = {.nr = __NR_prctl, .arch = NATIVE, .args = {(unsigned)options[i]}};
        assert_int_equal(run(SECCOMP_ROOM, &d).value, SECCOMP_RET_ALLOW);
    }
}

/* ---- in the kernel ---- */

static int install(enum seccomp_variant variant, unsigned flags)
{
    const struct seccomp_program *p = seccomp_program(variant);
    struct sock_fprog prog = {.len = p->len, .filter = (struct sock_filter *)(uintptr_t)p->insns};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* Runs `body` under the filter; 0 or the line that failed, or -signal. */
static int in_child(enum seccomp_variant variant, int (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (install(variant, 0) != 0)
            _exit(255);
        _exit(body());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define WANT(n, cond)                                                                                        \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            return (n);                                                                                      \
    } while (0)
#define REFUSED(call, e) (errno = 0, (call) == -1 && errno == (e))

static int ordinary_life(void)
{
    WANT(1, getppid() > 0);
    WANT(2, REFUSED(syscall(SYS_unshare, CLONE_NEWUSER), EPERM));
    WANT(3, REFUSED(syscall(SYS_clone3, NULL, 0), ENOSYS));
    WANT(4, REFUSED(syscall(500), ENOSYS));
    WANT(5, REFUSED(syscall(-1), ENOSYS));
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    WANT(6, fd >= 0 && write(fd, "x", 1) == 1);
    WANT(7, REFUSED(ioctl(fd, TIOCSTI, "x"), EPERM));
    WANT(8, REFUSED(syscall(SYS_ioctl, fd, GARBAGE | TIOCSTI, "x"), EPERM));
    WANT(9, REFUSED(ioctl(fd, 0xae01), ENOTTY));
    WANT(10, REFUSED(socket(AF_VSOCK, SOCK_STREAM, 0), EPERM));
    WANT(11, REFUSED(socket(AF_INET, SOCK_STREAM, 262), EPROTONOSUPPORT));
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    WANT(12, s >= 0);
    WANT(13, REFUSED(syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0), EPERM));
    pid_t pid = fork();
    WANT(14, pid >= 0);
    if (pid == 0)
        _exit(7);
    int status = 0;
    WANT(15, waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    WANT(16, close(fd) == 0 && close(s) == 0);
    /* a further filter of the program's own is fine */
    WANT(17, install(SECCOMP_ROOM, 0) == 0);
    WANT(18, REFUSED(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, NULL),
                     EPERM));
    return 0;
}

static void in_the_kernel(void **state)
{
    (void)state;
    assert_int_equal(in_child(SECCOMP_ROOM, ordinary_life), 0);
    assert_int_equal(in_child(SECCOMP_ROOM_NETLINK, ordinary_life), 0);
}

#if defined(__x86_64__)
static int by_int80(void)
{
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return 1;
}

/* time() of the vsyscall page; where the page is absent, a segmentation fault ends the child all the same. */
static int by_vsyscall(void)
{
    (void)signal(SIGSEGV, SIG_DFL); /* the sanitizer has its own */
    long (*old_time)(long *) = (long (*)(long *))0xffffffffff600400u;
    return old_time(NULL) > 0 ? 1 : 2;
}

static int by_x32(void)
{
    (void)syscall(X32 + __NR_getpid);
    return 1;
}
#endif

static void foreign_entries_kill(void **state)
{
    (void)state;
#if defined(__x86_64__)
    assert_int_equal(in_child(SECCOMP_ROOM, by_int80), -SIGSYS);
    assert_int_equal(in_child(SECCOMP_ROOM, by_x32), -SIGSYS);
    int how = in_child(SECCOMP_ROOM, by_vsyscall);
    assert_true(how == -SIGSYS || how == -SIGSEGV);
#else
    skip();
#endif
}

/* The child shares our descriptors, so the listener that it gets is ours too. */
static void denials_are_notified(void **state)
{
    (void)state;
    volatile int *listener = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(listener, MAP_FAILED);
    *listener = -2;
    int done[2];
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    assert_true(pid >= 0);
    if (pid == 0) {
        *listener = install(SECCOMP_ROOM_NOTIFY, SECCOMP_FILTER_FLAG_NEW_LISTENER);
        if (write(done[1], "x", 1) != 1)
            _exit(1);
        _exit(REFUSED(syscall(SYS_mount, "none", "/", NULL, 0, NULL), EPERM) ? 0 : 2);
    }
    char x;
    assert_int_equal(read(done[0], &x, 1), 1);
    assert_true(*listener >= 0);
    struct pollfd pf = {.fd = *listener, .events = POLLIN};
    assert_int_equal(poll(&pf, 1, 5000), 1);
    struct seccomp_notif n = {0};
    assert_int_equal(ioctl(*listener, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
    assert_int_equal(n.data.nr, __NR_mount);
    assert_string_equal(syscall_name(n.data.nr), "mount");
    assert_non_null(syscall_why_denied(n.data.nr));
    struct seccomp_notif_resp answer = {.id = n.id, .error = -EPERM};
    assert_int_equal(ioctl(*listener, SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(close(*listener) + close(done[0]) + close(done[1]), 0);
    assert_int_equal(munmap((void *)(uintptr_t)listener, 4096), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number),
        cmocka_unit_test(every_argument),
        cmocka_unit_test(what_a_person_expects),
        cmocka_unit_test(small_and_shallow),
        cmocka_unit_test(names_and_reasons),
        cmocka_unit_test(numbers_agree_with_libseccomp),
        cmocka_unit_test(numbers_agree_with_headers),
        cmocka_unit_test(in_the_kernel),
        cmocka_unit_test(foreign_entries_kill),
        cmocka_unit_test(denials_are_notified),
    };
    return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}
