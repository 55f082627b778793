/* confine: what strongroom-tar gives up: everything but its two ends.
 *
 * Lives in: strongroom-tar, called once, before the first byte of a stream is read. Trusts: the kernel.
 * Must not: go on without the list of calls. */
#include "sys/confine.h"
#include "helpers/tar/work.h"

#include <linux/capability.h>
#include <sys/mman.h>

#define CAP(n) (1ull << (n))

static const struct sock_filter filter[] = {
    CONFINE_HEAD,
    CONFINE_CALL(SYS_read),
    CONFINE_CALL(SYS_write),
    CONFINE_CALL(SYS_writev),
    CONFINE_CALL(SYS_pread64),
    CONFINE_CALL(SYS_pwrite64),
    CONFINE_CALL(SYS_lseek),
    CONFINE_CALL(SYS_openat),
    CONFINE_CALL(SYS_openat2),
    CONFINE_CALL(SYS_close),
    CONFINE_CALL(SYS_fcntl),
    CONFINE_CALL(SYS_fstat),
    CONFINE_CALL(SYS_newfstatat),
    CONFINE_CALL(SYS_getdents64),
    CONFINE_CALL(SYS_readlinkat),
    CONFINE_CALL(SYS_ftruncate),
    CONFINE_CALL(SYS_fchmod),
    CONFINE_CALL(SYS_fchownat),
    CONFINE_CALL(SYS_utimensat),
    CONFINE_CALL(SYS_mkdirat),
    CONFINE_CALL(SYS_symlinkat),
    CONFINE_CALL(SYS_linkat),
    CONFINE_CALL(SYS_unlinkat),
#ifdef SYS_poll
    CONFINE_CALL(SYS_poll),
#else
    CONFINE_CALL(SYS_ppoll),
#endif
    CONFINE_CALL(SYS_sendmsg),
    CONFINE_CALL(SYS_brk),
    CONFINE_CALL(SYS_munmap),
    CONFINE_CALL(SYS_mremap),
    CONFINE_CALL(SYS_madvise),
    CONFINE_CALL(SYS_futex),
    CONFINE_CALL(SYS_getrandom),
    CONFINE_CALL(SYS_getpid),
    CONFINE_CALL(SYS_geteuid),
    CONFINE_CALL(SYS_clock_gettime),
    CONFINE_CALL(SYS_sysinfo), /* glibc's qsort, before it sorts more than a kilobyte */
    CONFINE_CALL(SYS_restart_syscall),
    CONFINE_CALL(SYS_rt_sigreturn),
    CONFINE_CALL(SYS_exit_group),
    CONFINE_NOT_EXEC(SYS_mmap),
    CONFINE_NOT_EXEC(SYS_mprotect),
    CONFINE_NO,
};

static const struct confine_bound bounds[] = {
    {RLIMIT_CORE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_AS, (rlim_t)4 << 30}, {RLIMIT_NOFILE, 256}};

int tar_confine(const struct work *w, const char **ret_what)
{
    struct confinement c = {.filter = filter,
                            .filter_len = sizeof filter / sizeof *filter,
                            .bounds = bounds,
                            .bound_count = sizeof bounds / sizeof *bounds,
                            .keep_caps = CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_DAC_READ_SEARCH) |
                                         CAP(CAP_FOWNER),
                            .ends_with_parent = true};

    if (w->order.what == TAR_FILTER) {
        c.keep_caps = 0;
    } else {
        c.dirs[0] = w->order.what == TAR_EXTRACT ? w->out : w->in;
        c.writable[0] = w->order.what == TAR_EXTRACT;
        c.dir_count = 1;
    }
    return confine_process(&c, ret_what);
}
