/* confine: what the server of `strongroom mcp` gives up: everything but the descriptors that it has and memory.
 *
 * Lives in: strongroom-mcp, in the process that reads what a client and what rooms say, before the first byte of it.
 * Trusts: the kernel. Must not: go on without the list of calls. */
#include "mcp/confine.h"
#include "sys/confine.h"

#include <fcntl.h>

static const struct sock_filter filter[] = {
    CONFINE_HEAD,
    CONFINE_CALL(SYS_ppoll),
#ifdef SYS_poll
    CONFINE_CALL(SYS_poll),
#endif
    CONFINE_CALL(SYS_read),
    CONFINE_CALL(SYS_write),
    CONFINE_CALL(SYS_pread64),
    CONFINE_CALL(SYS_pwrite64),
    CONFINE_CALL(SYS_lseek),
    CONFINE_CALL(SYS_recvmsg), /* the launcher */
    CONFINE_CALL(SYS_sendmsg),
    CONFINE_CALL(SYS_memfd_create),
    CONFINE_CALL(SYS_ftruncate),
    CONFINE_CALL(SYS_close),
    CONFINE_CALL(SYS_brk),
    CONFINE_CALL(SYS_munmap),
    CONFINE_CALL(SYS_mremap),
    CONFINE_CALL(SYS_madvise),
    CONFINE_CALL(SYS_futex),
    CONFINE_CALL(SYS_getrandom),
    CONFINE_CALL(SYS_clock_gettime), /* where the vDSO cannot tell */
    CONFINE_CALL(SYS_rt_sigreturn),
    CONFINE_CALL(SYS_restart_syscall),
    CONFINE_CALL(SYS_exit_group),
    CONFINE_NOT_EXEC(SYS_mmap),
    CONFINE_LOAD(nr),
    CONFINE_NOT_EXEC(SYS_mprotect),
    CONFINE_LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fstat, 0, 1),
    CONFINE_YES,
    /* fstat of the C library: of a descriptor, without a name */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_newfstatat, 0, 4),
    CONFINE_ARG(3),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AT_EMPTY_PATH, 0, 1),
    CONFINE_YES,
    CONFINE_NO,
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 6),
    CONFINE_ARG(1),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_GETFL, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETFL, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_ADD_SEALS, 1, 0),
    CONFINE_NO,
    CONFINE_YES,
    CONFINE_NO,
};

static const struct confine_bound bounds[] = {{RLIMIT_CORE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_NPROC, 0}};

static const struct confinement walls = {.filter = filter,
                                         .filter_len = sizeof filter / sizeof *filter,
                                         .bounds = bounds,
                                         .bound_count = sizeof bounds / sizeof *bounds,
                                         .ends_with_parent = true};

int server_confine_walls(const char **ret_what)
{
    return confine_process_walls(&walls, ret_what);
}

int server_confine_calls(void)
{
    return confine_process_calls(&walls);
}

int server_confine(const char **ret_what)
{
    return confine_process(&walls, ret_what);
}
