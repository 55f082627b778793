/* confine: what strongroom-intercept gives up: everything but the sockets that it is handed.
 *
 * The walls are the gate's; the list of calls is its own, for a library does more than our code does. What OpenSSL and
 * the C library may try and do without is refused, everything else ends the process.
 *
 * Lives in: strongroom-intercept, called once, when all that is read from files was read. Trusts: the kernel.
 * Must not: go on without the list of calls. */
#include "helpers/intercept/confine.h"
#include "gate/confine.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>

static int allow(scmp_filter_ctx c)
{
    static const int plain[] = {SCMP_SYS(read),        SCMP_SYS(write),         SCMP_SYS(recvmsg),
                                SCMP_SYS(sendmsg),     SCMP_SYS(epoll_wait),    SCMP_SYS(epoll_ctl),
                                SCMP_SYS(epoll_pwait), SCMP_SYS(close),         SCMP_SYS(shutdown),
                                SCMP_SYS(brk),         SCMP_SYS(munmap),        SCMP_SYS(mremap),
                                SCMP_SYS(madvise),     SCMP_SYS(futex),         SCMP_SYS(getrandom),
                                SCMP_SYS(getpid),      SCMP_SYS(exit_group),    SCMP_SYS(rt_sigreturn),
                                SCMP_SYS(exit),        SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday)};
    /* What a library may try, and does without. */
    static const int refused[] = {SCMP_SYS(openat),     SCMP_SYS(newfstatat), SCMP_SYS(fstat),
                                  SCMP_SYS(ioctl),      SCMP_SYS(socket),     SCMP_SYS(setsockopt),
                                  SCMP_SYS(getsockopt), SCMP_SYS(fcntl)};
    int r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                             SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));

    if (r == 0)
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    for (size_t i = 0; i < sizeof plain / sizeof *plain && r == 0; i++)
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, plain[i], 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused && r == 0; i++)
        r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    return r;
}

int intercept_confine_calls(void)
{
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int r = c != NULL ? allow(c) : -ENOMEM;

    if (r == 0)
        r = seccomp_load(c);
    seccomp_release(c);
    return r;
}

int intercept_confine(const char **ret_what)
{
    int r = confine_walls(ret_what);

    if (r < 0)
        return r;
    *ret_what = "the system-call filter";
    return intercept_confine_calls();
}
