/* confine: what every helper program that reads hostile bytes gives up, once, before the first of them.
 *
 * An empty root in a mount namespace of its own where the host lets us have one; Landlock where the kernel has it, with
 * the directories that stay (one of the two must stand); no rights but those named, no new ones; bounds; and a list of
 * system calls, always. */
#ifndef SYS_CONFINE_H
#define SYS_CONFINE_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define CONFINE_DIRS_MAX 4

struct confine_bound {
    int what; /* RLIMIT_* */
    rlim_t value;
};

struct confinement {
    const struct sock_filter *filter;
    size_t filter_len;
    const struct confine_bound *bounds;
    size_t bound_count;
    uint64_t keep_caps; /* as root: bit n keeps capability n, and user 0 is kept; 0: root becomes nobody */
    uint64_t net;       /* LANDLOCK_ACCESS_NET_* that is refused, where the kernel knows it (ABI 4) */
    bool ends_with_parent;
    int dirs[CONFINE_DIRS_MAX];
    bool writable[CONFINE_DIRS_MAX];
    size_t dir_count;
};

/* 0, or -errno with *ret_what saying which wall could not be raised. */
int confine_process(const struct confinement *c, const char **ret_what);

/* Its two halves, for tests of what stands behind the list of system calls, and who brings a list of another making. */
int confine_process_walls(const struct confinement *c, const char **ret_what);
int confine_process_calls(const struct confinement *c);

/* For filters: each starts with CONFINE_HEAD and ends with CONFINE_NO. */
#if defined(__x86_64__)
#define CONFINE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CONFINE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no list of system calls for this architecture"
#endif
#define CONFINE_LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define CONFINE_YES         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define CONFINE_NO          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define CONFINE_CALL(nr)    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), CONFINE_YES
#define CONFINE_ARG(n)      CONFINE_LOAD(args[n]) /* the low half: for ints */
/* mmap or mprotect: memory, never to be executed */
#define CONFINE_NOT_EXEC(nr)                                                                                 \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4), CONFINE_ARG(2),                                           \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0), CONFINE_YES, CONFINE_NO
#define CONFINE_HEAD                                                                                         \
    CONFINE_LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CONFINE_ARCH, 1, 0), CONFINE_NO, CONFINE_LOAD(nr)

#endif
