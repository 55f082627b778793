/* confine: the tree program gives up everything but the directories at hand.
 *
 * Lives in: strongroom-tree, called once, after the directories arrived and before the first name in them is read.
 * Trusts: the kernel. Must not: go on without the list of calls.
 *
 * As root it keeps the rights over files that root needs to read a room's files and to give the applied ones to the
 * owner of the workspace, and no other. */
#include "tree/confine.h"
#include "sys/confine.h"
#include "sys/kernel.h"
#include "tree/session.h"

#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/mman.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#define CAP(n) (1ull << (n))

static const struct sock_filter filter[] = {
    CONFINE_HEAD,
    /* looking */
    CONFINE_CALL(SYS_openat),
    CONFINE_CALL(SYS_openat2),
    CONFINE_CALL(SYS_close),
    CONFINE_CALL(SYS_fstat),
    CONFINE_CALL(SYS_newfstatat),
    CONFINE_CALL(SYS_statx),
    CONFINE_CALL(SYS_getdents64),
    CONFINE_CALL(SYS_readlinkat),
    CONFINE_CALL(SYS_read),
    CONFINE_CALL(SYS_pread64),
    CONFINE_CALL(SYS_lseek),
    CONFINE_CALL(SYS_fgetxattr),
    CONFINE_CALL(SYS_flistxattr),
    CONFINE_CALL(SYS_fstatfs),
    /* writing */
    CONFINE_CALL(SYS_write),
    CONFINE_CALL(SYS_writev),
    CONFINE_CALL(SYS_pwrite64),
    CONFINE_CALL(SYS_ftruncate),
    CONFINE_CALL(SYS_fsync),
    CONFINE_CALL(SYS_syncfs),
    CONFINE_CALL(SYS_fsetxattr),
    CONFINE_CALL(SYS_fchmod),
    CONFINE_CALL(SYS_fchmodat),
    CONFINE_CALL(SYS_fchmodat2),
    CONFINE_CALL(SYS_fchown),
    CONFINE_CALL(SYS_fchownat),
    CONFINE_CALL(SYS_utimensat),
    CONFINE_CALL(SYS_mkdirat),
    CONFINE_CALL(SYS_symlinkat),
    CONFINE_CALL(SYS_linkat),
    CONFINE_CALL(SYS_unlinkat),
    CONFINE_CALL(SYS_renameat),
    CONFINE_CALL(SYS_renameat2),
    /* the process itself */
    CONFINE_CALL(SYS_sendmsg),
    CONFINE_CALL(SYS_recvmsg),
    CONFINE_CALL(SYS_munmap),
    CONFINE_CALL(SYS_madvise),
    CONFINE_CALL(SYS_brk),
    CONFINE_CALL(SYS_geteuid),
    CONFINE_CALL(SYS_getegid),
    CONFINE_CALL(SYS_clock_gettime),
    CONFINE_CALL(SYS_restart_syscall),
    CONFINE_CALL(SYS_rt_sigreturn),
    CONFINE_CALL(SYS_exit_group),
    /* Overlay's mark for "deleted", no other device. */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mknodat, 0, 7),
    CONFINE_ARG(3),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 4),
    CONFINE_ARG(2),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0170000),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0020000, 0, 1), /* S_IFCHR */
    CONFINE_YES,
    CONFINE_NO,
    /* Sharing blocks. */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4),
    CONFINE_ARG(1),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FICLONE, 0, 1),
    CONFINE_YES,
    CONFINE_NO,
    CONFINE_NOT_EXEC(SYS_mmap),
    CONFINE_NO,
};

static const struct confine_bound bounds[] = {
    {RLIMIT_CORE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_AS, (rlim_t)4 << 30}, {RLIMIT_NOFILE, 256}};

int tree_confine(const char **ret_what)
{
    struct confinement c = {.filter = filter,
                            .filter_len = sizeof filter / sizeof *filter,
                            .bounds = bounds,
                            .bound_count = sizeof bounds / sizeof *bounds,
                            .keep_caps = CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_DAC_READ_SEARCH) |
                                         CAP(CAP_FOWNER)};
    const struct {
        int fd;
        bool writable;
    } rows[] = {{session.upper, false}, {session.lower, session.lower_writable}, {session.entry, true}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].fd >= 0) {
            c.dirs[c.dir_count] = rows[i].fd;
            c.writable[c.dir_count++] = rows[i].writable;
        }
    return confine_process(&c, ret_what);
}
