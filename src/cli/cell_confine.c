/* cell_confine: what the command gives up before it reads the first byte of an interpreter.
 *
 * Lives in: the command, once its descriptors are there. Trusts: the kernel. Must not: go on without the list of
 * calls. */
#include "cli/cell.h"
#include "sys/confine.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

static const struct sock_filter filter[] = {
    CONFINE_HEAD,
    CONFINE_CALL(SYS_ppoll),
#ifdef SYS_poll
    CONFINE_CALL(SYS_poll),
#endif
    CONFINE_CALL(SYS_read),
    CONFINE_CALL(SYS_write),
    CONFINE_CALL(SYS_splice),   /* from its pipes to stdout and stderr */
    CONFINE_CALL(SYS_recvfrom), /* the channel */
    CONFINE_CALL(SYS_sendto),
    CONFINE_CALL(SYS_recvmsg), /* the room's keeper */
    CONFINE_CALL(SYS_sendmsg),
    CONFINE_CALL(SYS_timer_settime), /* a write that waits is woken */
    CONFINE_CALL(SYS_rt_sigreturn),
    CONFINE_CALL(SYS_clock_gettime), /* where the vDSO cannot tell */
    CONFINE_CALL(SYS_close),
    CONFINE_CALL(SYS_restart_syscall),
    CONFINE_CALL(SYS_exit_group),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3), /* how much is left to read */
    CONFINE_ARG(1),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FIONREAD, 0, 1),
    CONFINE_YES,
    CONFINE_NO,
};

int cell_confine(const char **ret_what)
{
    static const struct confine_bound bounds[] = {
        {RLIMIT_CORE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_AS, (rlim_t)64 << 20}, {RLIMIT_NOFILE, 16}};
    const struct confinement c = {.filter = filter,
                                  .filter_len = sizeof filter / sizeof *filter,
                                  .bounds = bounds,
                                  .bound_count = sizeof bounds / sizeof *bounds};
    int wake = 0;

    /* The death signal that a parent arranged for is forgotten when ids change. */
    const pid_t parent = getppid();
    (void)prctl(PR_GET_PDEATHSIG, &wake, 0, 0, 0); /* then there is none */
    int r = confine_process_walls(&c, ret_what);
    if (r < 0)
        return r;
    *ret_what = "the signal of its parent's death";
    if (wake && prctl(PR_SET_PDEATHSIG, wake, 0, 0, 0) < 0)
        return -errno;
    if (wake && getppid() != parent)
        (void)raise(wake); /* that came too early */
    *ret_what = "the system-call filter";
    return confine_process_calls(&c);
}
