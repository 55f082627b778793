/* steps: the table of the litany, and the steps that concern the process itself.
 *
 * Lives in: the cloned child that becomes pid 1. Trusts: the plan.
 * May: everything that its capabilities in the room's own user namespace allow.
 * Must not: malloc, stdio, locks, look-ups on the host. */
#include "room/steps.h"
#include "base/sbuf.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/title.h"

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

const struct step_row step_rows[STEP_COUNT] = {
#define X(id, name, layer, what) {name, LAYER_ID_##layer, what},
    STEP_TABLE(X)
#undef X
};

step_fn *const step_functions[STEP_COUNT] = {
    [STEP_SIGNALS] = step_signals,   [STEP_SESSION] = step_session,   [STEP_KEYRING] = step_keyring,
    [STEP_NETWORK] = step_network,   [STEP_GATE] = step_gate,         [STEP_GO] = step_go,
    [STEP_CGROUP] = step_cgroup,     [STEP_TIME] = step_time,         [STEP_HOSTNAME] = step_hostname,
    [STEP_PRIVATE] = step_private,   [STEP_ROOT] = step_root,         [STEP_SYSTEM] = step_system,
    [STEP_BINDS] = step_binds,       [STEP_READONLY] = step_readonly, [STEP_PROC] = step_proc,
    [STEP_DEV] = step_dev,           [STEP_SCRATCH] = step_scratch,   [STEP_WRITABLE] = step_writable,
    [STEP_SOCKETS] = step_sockets,   [STEP_HIDE] = step_hide,         [STEP_MASKS] = step_masks,
    [STEP_TERMINAL] = step_terminal, [STEP_PIVOT] = step_pivot,       [STEP_CONCEAL] = step_conceal,
    [STEP_WORKDIR] = step_workdir,   [STEP_NESTING] = step_nesting,   [STEP_RLIMITS] = step_rlimits,
    [STEP_CAPS] = step_caps,         [STEP_NNP] = step_nnp,           [STEP_INIT] = step_init,
    [STEP_LANDLOCK] = step_landlock, [STEP_FDS] = step_fds,           [STEP_PROBES] = step_probes,
    [STEP_SERVED] = step_served,     [STEP_UPPER] = step_upper,       [STEP_SECCOMP] = step_seccomp,
    [STEP_PROGRAM] = step_program,
};

void steps_degrade(struct room_state *s, enum layer_id layer, enum layer_state state, int code)
{
    struct report_layer *l = &s->report.layers[layer];
    if (l->state > state)
        l->state = (uint8_t)state;
    l->code = (int16_t)code;
}

int step_signals(const struct room_plan *plan, struct room_state *s)
{
    /* From here on we go when the supervisor goes: our copy of its end would keep us waiting for a word of the dead. */
    (void)kernel_raw(SYS_close, plan->ctl_outside, 0, 0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -errno;
    /* The kernel's own struct and call: the C library keeps a few signals to itself, and those are inherited too. */
    struct {
        unsigned long handler, flags, restorer, mask;
    } old = {0}, by_default = {0};
    sigset_t mine;
    for (int n = 1; n <= 64; n++) {
        if (kernel_raw(SYS_rt_sigaction, n, 0, (long)&old, 8) == 0 && old.handler != 0)
            (void)kernel_raw(SYS_rt_sigaction, n, (long)&by_default, 0,
                             8); /* SIGKILL and SIGSTOP refuse, and need nothing */
    }
    sigemptyset(&mine);
    sigaddset(&mine, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &mine, NULL) < 0)
        return -errno;
    s->signals = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? -errno : 0;
}

int step_session(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    return setsid() < 0 ? -errno : 0;
}

int step_keyring(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    return kernel_keyctl_join_session(NULL) < 0 ? -errno : 0;
}

int step_network(const struct room_plan *plan, struct room_state *s)
{
    if (plan->policy->net == NET_HOST)
        return 0;
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    s->sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s->sock < 0)
        return -errno;
    return ioctl(s->sock, SIOCSIFFLAGS, &lo) < 0 ? -errno : 0;
}

/* The supervisor has written the id maps and made the cgroup leaf meanwhile. */
int steps_become_user(const struct room_plan *plan, struct room_state *s)
{
    struct command go;
    if (s->is_user)
        return 0;
    int n = fd_frame_recv(plan->ctl, &go, sizeof go, s->join, sizeof s->join / sizeof *s->join, 0);
    if (n < 0)
        return n;
    if (go.type != COMMAND_GO)
        return -EBADMSG;
    /* The kernel's own calls: a C library's would look for other threads and take locks. */
    if (plan->privileged && syscall(SYS_setgroups, 0, NULL) < 0)
        return -errno;
    if (syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid) < 0 ||
        syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid) < 0)
        return -errno;
    /* Changing ids made the kernel forget the death signal. If the supervisor died just before, our report
     * will not reach anybody, which ends us too. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -errno;
    /* It also made the process unreadable, also to itself below /proc; the init step does that for good. */
    s->is_user = prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
    return s->is_user ? 0 : -errno;
}

int step_go(const struct room_plan *plan, struct room_state *s)
{
    return steps_become_user(plan, s);
}

int step_cgroup(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    for (size_t i = 0; i < sizeof s->join / sizeof *s->join; i++) {
        if (s->join[i] < 0)
            continue;
        if (write(s->join[i], "0", 1) != 1)
            return -errno;
        fd_close(&s->join[i]);
    }
    return unshare(CLONE_NEWCGROUP) < 0 ? -errno : 0;
}

/* "<clock> -<seconds> 0\n" */
static void offset_line(struct sbuf *b, const char *clock, int64_t seconds)
{
    char digits[24], *d = digits + sizeof digits - 1;
    *d = '\0';
    do {
        *--d = (char)('0' + seconds % 10);
        seconds /= 10;
    } while (seconds > 0);
    sbuf_text(b, clock);
    sbuf_text(b, " -");
    sbuf_text(b, d);
    sbuf_text(b, " 0\n");
}

/* The host's uptime is a fact of the host. Whole seconds are taken off, so that both clocks start near zero. */
int step_time(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    char text[96];
    struct timespec mono, boot;
    if (unshare(CLONE_NEWTIME) < 0)
        return -errno;
    (void)clock_gettime(CLOCK_MONOTONIC, &mono); /* cannot fail: both clocks always exist */
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    struct sbuf b = SBUF(text);
    offset_line(&b, "monotonic", mono.tv_sec);
    offset_line(&b, "boottime", boot.tv_sec);
    int r = fd_write_file(AT_FDCWD, "/proc/self/timens_offsets", text);
    if (r < 0)
        return r;
    FD_AUTO ns = openat(AT_FDCWD, "/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (ns < 0)
        return -errno;
    if (setns(ns, CLONE_NEWTIME) < 0)
        return -errno;
    s->boot_offset_ns = (int64_t)mono.tv_sec * 1000000000;
    return 0;
}

int step_hostname(const struct room_plan *plan, struct room_state *s)
{
    (void)s;
    if (sethostname(plan->hostname, strlen(plan->hostname)) < 0)
        return -errno;
    return setdomainname("", 0) < 0 ? -errno : 0;
}

int step_rlimits(const struct room_plan *plan, struct room_state *s)
{
    (void)s;
    for (size_t i = 0; i < plan->rlimit_count; i++) {
        const struct plan_rlimit *l = &plan->rlimits[i];
        struct rlimit have;
        if (getrlimit(l->resource, &have) < 0)
            return -errno;
        rlim_t value = have.rlim_max < l->value ? have.rlim_max : l->value;
        if (setrlimit(l->resource, &(struct rlimit){value, value}) < 0)
            return -errno;
    }
    /* Never up: who runs lower already has said so, and none may raise it. */
    if (plan->nice > getpriority(PRIO_PROCESS, 0) && setpriority(PRIO_PROCESS, 0, plan->nice) < 0)
        return -errno;
    umask(022);
    return 0;
}

/* Order matters to the kernel, not to us: the death signal is forgotten when ids change, so it comes after them. */
int step_init(const struct room_plan *plan, struct room_state *s)
{
    (void)s;
    /* everybody may read a command line, and ours names paths of the host */
    title_set("room", plan->argv ? plan->argv[0] : "");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -errno;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int step_fds(const struct room_plan *plan, struct room_state *s)
{
    int keep[] = {plan->ctl, plan->stdio[0], plan->stdio[1], plan->stdio[2], s->root, s->scratch, s->proc,
                  s->tty,    s->tty_slave,   s->null,        s->signals,     s->sock, s->upper,   s->notice};
    int r = fd_close_all_but(keep, sizeof keep / sizeof *keep);
    if (r < 0)
        return r;
    for (int i = 0; i < 3; i++) {
        if (dup2(s->null, i) < 0)
            return -errno;
    }
    return 0;
}
