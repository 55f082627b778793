/* host: the table of facilities, and the process in which one is tried.
 *
 * Lives in: the command, for `doctor`. Each trial lives in a child in a session of its own, which is killed
 * when its time is over; the answer comes back through a shared page. Trusts: that page no further than its
 * size. */
#include "probe/host.h"
#include "limits/leaf.h"
#include "probe/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

const struct facility_row facility_rows[FACILITY_COUNT] = {
#define X(id, name, need, layers, limits, tried, lost) {name, NEED_##need, layers, limits, tried, lost},
    FACILITY_TABLE(X)
#undef X
};

host_try *const host_tries[FACILITY_COUNT] = {
    [FACILITY_KERNEL] = try_kernel,
    [FACILITY_PROC] = try_proc,
    [FACILITY_DEV] = try_dev,
    [FACILITY_CLONE3] = try_clone3,
    [FACILITY_USERNS] = try_userns,
    [FACILITY_USERS] = try_users,
    [FACILITY_NS_MOUNT] = try_ns_mount,
    [FACILITY_NS_PID] = try_ns_pid,
    [FACILITY_NS_NET] = try_ns_net,
    [FACILITY_NS_IPC] = try_ns_ipc,
    [FACILITY_NS_UTS] = try_ns_uts,
    [FACILITY_NS_CGROUP] = try_ns_cgroup,
    [FACILITY_NS_TIME] = try_ns_time,
    [FACILITY_IDMAP] = try_idmap,
    [FACILITY_MOUNT_API] = try_mount_api,
    [FACILITY_PROC_MOUNT] = try_proc_mount,
    [FACILITY_DEVPTS] = try_devpts,
    [FACILITY_TMPFS] = try_tmpfs,
    [FACILITY_PIVOT] = try_pivot,
    [FACILITY_SECCOMP] = try_seccomp,
    [FACILITY_NOTIFY] = try_notify,
    [FACILITY_LANDLOCK] = try_landlock,
    [FACILITY_KEYRING] = try_keyring,
    [FACILITY_CGROUP] = try_cgroup,
    [FACILITY_RLIMITS] = try_rlimits,
    [FACILITY_HELPERS] = try_helpers,
    [FACILITY_OVERLAY] = try_overlay,
    [FACILITY_KVM] = try_kvm,
};

const char *facility_state_name(enum facility_state s)
{
    switch (s) {
    case FACILITY_OK:
        return "ok";
    case FACILITY_DEGRADED:
        return "degraded";
    case FACILITY_MISSING:
        return "missing";
    case FACILITY_SKIPPED:
        break;
    }
    return "-";
}

static struct leaf_place place;

void host_begin(void)
{
    leaf_find_place(&place);
}

void host_end(void)
{
    leaf_place_close(&place);
}

void answer_ok(struct facility_answer *a, const char *fmt, ...)
{
    va_list ap;
    struct sbuf b = SBUF(a->detail);
    a->state = FACILITY_OK;
    a->code = 0;
    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
}

void answer_not(struct facility_answer *a, enum facility_state state, int code, const char *fmt, ...)
{
    va_list ap;
    struct sbuf b = SBUF(a->detail);
    a->state = state;
    a->code = code;
    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
    if (code)
        sbuf_fmt(&b, "%s%s", b.len ? ": " : "", strerror(code));
}

int host_enter(int flags)
{
    char map[48];
    struct sbuf b = SBUF(map);
    const unsigned uid = geteuid(), gid = getegid();
    if (unshare(CLONE_NEWUSER | flags) < 0)
        return -errno;
    (void)fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny"); /* see the header for these three */
    sbuf_fmt(&b, "0 %u 1", uid);
    (void)fd_write_file(AT_FDCWD, "/proc/self/uid_map", map);
    b = SBUF(map);
    sbuf_fmt(&b, "0 %u 1", gid);
    (void)fd_write_file(AT_FDCWD, "/proc/self/gid_map", map);
    return 0;
}

__attribute__((noreturn)) static void trial(enum facility id, const struct host_facts *h,
                                            struct facility_answer *a)
{
    const struct rlimit no_core = {0, 0};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* the parent's clock ends us otherwise */
    (void)setsid();                                  /* a fresh child leads no group: cannot fail */
    (void)setrlimit(RLIMIT_CORE, &no_core);
    host_tries[id](h, a);
    _exit(0);
}

/* Waits for the trial's end; false when its time ran out. No pidfd: this must work on any kernel. */
static bool await(pid_t pid, int *ret_status)
{
    struct timespec begin, now;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin); /* cannot fail */
    for (;;) {
        const struct timespec nap = {.tv_nsec = 200000};
        pid_t got = waitpid(pid, ret_status, WNOHANG);
        if (got == pid)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 > HOST_PROBE_MS)
            return false;
        (void)nanosleep(&nap, NULL);
    }
}

void host_probe(enum facility id, const struct host_facts *h, struct facility_answer *ret)
{
    int status = 0;
    *ret = (struct facility_answer){.state = FACILITY_MISSING};
    struct facility_answer *a =
        mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (a == MAP_FAILED) {
        answer_not(ret, FACILITY_MISSING, errno, "no memory to try it");
        return;
    }
    *a = (struct facility_answer){.state = FACILITY_SKIPPED};
    pid_t pid = fork();
    if (pid == 0)
        trial(id, h, a);
    if (pid < 0) {
        answer_not(ret, FACILITY_MISSING, errno, "no process to try it in");
    } else if (!await(pid, &status)) {
        (void)kill(-pid, SIGKILL); /* its children; ESRCH when it leads no group */
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        answer_not(ret, FACILITY_MISSING, ETIMEDOUT, "the trial was ended after %d ms", HOST_PROBE_MS);
    } else if (WIFSIGNALED(status)) {
        answer_not(ret, FACILITY_MISSING, 0, "the trial was killed by signal %d", WTERMSIG(status));
    } else {
        *ret = *a;
        ret->detail[sizeof ret->detail - 1] = '\0';
    }
    (void)munmap(a, sizeof *a);
}
