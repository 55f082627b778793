/* confine: gives up everything that reading a file from a pipe does not need.
 *
 * Lives in: strongroom-policy, called once, before the first byte from outside is read. Trusts: the kernel.
 * May: set limits and load a filter. Must not: go on when one of them fails. */
#include "helpers/policy/out.h"
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int bounds(void)
{
    static const struct {
        int what;
        rlim_t value;
    } rows[] = {
        {RLIMIT_CPU, 3}, {RLIMIT_AS, 256 << 20}, {RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 3}, {RLIMIT_FSIZE, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rlimit l;
        if (getrlimit(rows[i].what, &l) < 0)
            return -errno;
        l.rlim_max = l.rlim_max < rows[i].value ? l.rlim_max : rows[i].value; /* the caller may have less */
        l.rlim_cur = l.rlim_max;
        if (setrlimit(rows[i].what, &l) < 0)
            return -errno;
    }
    return 0;
}

static int filter_rules(scmp_filter_ctx c)
{
    static const int plain[] = {SCMP_SYS(exit_group),  SCMP_SYS(exit),   SCMP_SYS(brk),
                                SCMP_SYS(munmap),      SCMP_SYS(mremap), SCMP_SYS(madvise),
                                SCMP_SYS(rt_sigreturn)};
    int r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_EQ, 0));

    if (r == 0)
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, 1));
    if (r == 0) /* memory of its own, never executable */
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                             SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    if (r == 0)
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    for (size_t i = 0; i < sizeof plain / sizeof *plain && r == 0; i++)
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, plain[i], 0);
    return r;
}

int confine(void)
{
    if (close_range(3, UINT32_MAX, 0) < 0 && errno != ENOSYS)
        return -errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -errno;
    int r = bounds();
    if (r < 0)
        return r;
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!c)
        return -ENOMEM;
    r = filter_rules(c);
    if (r == 0)
        r = seccomp_load(c);
    seccomp_release(c);
    return r;
}
