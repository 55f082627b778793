/* host_walls: trials of filters, Landlock, cgroups, bounds and what else lies beside the namespaces.
 *
 * Lives in: a child that is thrown away. Trusts: nothing. May: make a cgroup leaf, which it removes again. */
#include "limits/leaf.h"
#include "probe/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <linux/filter.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Refuses getpriority with `action`, allows all else. The number alone is looked at: this is a trial, not a
 * wall. */
static int load_filter(unsigned action, unsigned flags)
{
    struct sock_filter insns[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof insns / sizeof *insns, .filter = insns};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    int r = kernel_seccomp(SECCOMP_SET_MODE_FILTER, flags, &program);
    return r < 0 ? -errno : r;
}

static int refused(void)
{
    errno = 0;
    return syscall(SYS_getpriority, PRIO_PROCESS, 0) < 0 ? errno : 0;
}

void try_seccomp(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    int n = load_filter(SECCOMP_RET_ERRNO | EXDEV, 0);
    if (n < 0)
        answer_not(a, FACILITY_MISSING, -n, "load a filter");
    else if (refused() != EXDEV)
        answer_not(a, FACILITY_MISSING, 0, "loaded, but it does not filter");
    else
        answer_ok(a, "it filters");
}

/* Answers one notification with EXDEV. */
static int answer_one(int listener)
{
    union {
        struct seccomp_notif n;
        char bytes[256]; /* the kernel's structure may have grown */
    } ask;
    union {
        struct seccomp_notif_resp r;
        char bytes[128];
    } answer;
    memset(&ask, 0, sizeof ask);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0)
        return -errno;
    memset(&answer, 0, sizeof answer);
    answer.r.id = ask.n.id;
    answer.r.error = -EXDEV;
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 ? -errno : 0;
}

void try_notify(const struct host_facts *h, struct facility_answer *a)
{
    int sock[2], status = 0, code = 0;
    (void)h;
    if (fd_frame_pair(sock) < 0) {
        answer_not(a, FACILITY_MISSING, errno, "make a socket pair");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int listener = load_filter(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
        code = listener < 0 ? listener : 0;
        if (fd_frame_send(sock[1], &code, sizeof code, &listener, listener < 0 ? 0 : 1, 0) < 0 || code < 0)
            _exit(1);
        _exit(refused() == EXDEV ? 0 : 2);
    }
    FD_AUTO theirs = sock[1];
    FD_AUTO ours = sock[0];
    fd_close(&theirs);
    int listener = -1;
    int n = pid < 0 ? -errno : fd_frame_recv(ours, &code, sizeof code, &listener, 1, 0);
    FD_AUTO mine = n > 0 ? listener : -1;
    if (n >= 0)
        n = code < 0 ? code : answer_one(mine);
    if (n < 0)
        answer_not(a, FACILITY_MISSING, -n, n == -EBUSY ? "an outer sandbox listens already" : "listen");
    else if (waitpid(pid, &status, 0) < 0 || status != 0)
        answer_not(a, FACILITY_MISSING, 0, "the answer did not arrive");
    else
        answer_ok(a, "asked and answered");
}

/* What the ABI of this kernel lacks: the first ABI that has it (linux/landlock.h). */
static const struct {
    int abi;
    const char *right;
} landlock_steps[] = {{2, "moving between folders"},
                      {3, "truncating"},
                      {5, "device controls"},
                      {6, "signals and abstract sockets"}};

void try_landlock(const struct host_facts *h, struct facility_answer *a)
{
    char lacks[160];
    struct sbuf b = SBUF(lacks);
    (void)h;
    int abi = kernel_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0) {
        answer_not(a, FACILITY_MISSING, errno, "%s",
                   errno == EOPNOTSUPP ? "built into the kernel, but switched off at boot" : "not built in");
        return;
    }
    const struct kernel_landlock_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE};
    FD_AUTO ruleset =
        kernel_landlock_create(&attr, offsetof(struct kernel_landlock_attr, handled_access_net), 0);
    if (ruleset < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || kernel_landlock_restrict(ruleset) < 0) {
        answer_not(a, FACILITY_MISSING, errno, "restrict ourselves");
        return;
    }
    FD_AUTO fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        answer_not(a, FACILITY_MISSING, 0, "restricted, but files stay open to us");
        return;
    }
    for (size_t i = 0; i < sizeof landlock_steps / sizeof *landlock_steps; i++) {
        if (abi < landlock_steps[i].abi)
            sbuf_fmt(&b, "%s%s", b.len ? ", " : "", landlock_steps[i].right);
    }
    if (b.len)
        answer_ok(a, "ABI %d; not yet ruled by it: %s", abi, lacks);
    else
        answer_ok(a, "ABI %d", abi);
}

void try_keyring(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    if (kernel_keyctl_join_session(NULL) < 0)
        answer_not(a, FACILITY_MISSING, errno, "join a new one");
    else
        answer_ok(a, "joined");
}

/* --- cgroup --------------------------------------------------------------------------------------------- */

void try_cgroup(const struct host_facts *h, struct facility_answer *a)
{
    static const unsigned all = LEAF_HAS_MEMORY | LEAF_HAS_PIDS | LEAF_HAS_CPU;
    static struct leaf_place place;
    static struct leaf leaf;
    uint64_t limits[LIMIT_ID_COUNT];
    unsigned have = 0;
    struct err e = {0};
    (void)h;
    for (int i = 0; i < LIMIT_ID_COUNT; i++)
        limits[i] = limit_rows[i].preset;
    leaf_find_place(&place);
    if (place.version == LEAF_NONE) {
        answer_not(a, FACILITY_DEGRADED, 0, "%s", place.why);
        return;
    }
    for (int i = 0; i < place.count; i++)
        have |= place.controllers[i];
    /* The range of slots, from where rooms begin to count (engine/spawn.c). */
    if (leaf_make(&place, 0x70000000u + (uint32_t)getpid(), 0x70000000u, 0x7ffeffffu, limits, &leaf, &e) <
        0) {
        answer_not(a, FACILITY_DEGRADED, 0, "%s", e.text);
    } else {
        int left = leaf_remove(&leaf, 1000);
        if (left != 0)
            answer_not(a, FACILITY_DEGRADED, 0, "made, but not to be removed");
        else if ((have & all) != all)
            answer_not(a, FACILITY_DEGRADED, 0, "v%d, %s", place.version == LEAF_V2 ? 2 : 1, place.why);
        else
            answer_ok(a, "v%d: memory, pids, cpu", place.version == LEAF_V2 ? 2 : 1);
    }
    leaf_place_close(&place);
}

/* --- bounds of this process, which a room inherits ------------------------------------------------------ */

static bool lower(struct sbuf *out, const char *what, int resource, uint64_t wanted)
{
    struct rlimit have;
    if (getrlimit(resource, &have) < 0 || have.rlim_max == RLIM_INFINITY || have.rlim_max >= wanted)
        return false;
    sbuf_fmt(out, "%s%s %llu of %llu", out->len ? ", " : "", what, (unsigned long long)have.rlim_max,
             (unsigned long long)wanted);
    return true;
}

void try_rlimits(const struct host_facts *h, struct facility_answer *a)
{
    char low[160];
    struct sbuf b = SBUF(low);
    (void)h;
    bool any = lower(&b, "nofile", RLIMIT_NOFILE, limit_rows[LIMIT_ID_FILES].preset);
    any |= lower(&b, "nproc", RLIMIT_NPROC, limit_rows[LIMIT_ID_PIDS].preset);
    any |= lower(&b, "fsize", RLIMIT_FSIZE, limit_rows[LIMIT_ID_FILE_SIZE].preset);
    any |= lower(&b, "cpu", RLIMIT_CPU, limit_rows[LIMIT_ID_CPU_TIME].preset / 1000);
    any |= lower(&b, "as", RLIMIT_AS, limit_rows[LIMIT_ID_MEMORY].preset);
    if (any)
        answer_not(a, FACILITY_DEGRADED, 0, "hard limit %s", low);
    else
        answer_ok(a, "above the room's defaults");
}

/* --- programs and machines ------------------------------------------------------------------------------ */

void try_helpers(const struct host_facts *h, struct facility_answer *a)
{
    /* Where cli/policy_reader.c looks, in its order. */
    static const char *const places[] = {".", "../libexec/strongroom", "../build-host/src/helpers/policy",
                                         STRONGROOM_LIBEXECDIR};
    size_t dir = strlen(h->exe);
    while (dir > 0 && h->exe[dir - 1] != '/')
        dir--;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[1024];
        struct sbuf b = SBUF(path);
        if (places[i][0] != '/')
            sbuf_bytes(&b, h->exe, dir);
        sbuf_fmt(&b, "%s/strongroom-policy", places[i]);
        if (b.full || access(path, X_OK) < 0)
            continue;
        answer_ok(a, "strongroom-policy");
        return;
    }
    answer_not(a, FACILITY_DEGRADED, 0, "strongroom-policy: not installed");
}

void try_kvm(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    FD_AUTO kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) {
        answer_not(a, FACILITY_MISSING, errno, "/dev/kvm");
        return;
    }
    int version = ioctl(kvm, 0xae00 /* KVM_GET_API_VERSION */, 0);
    FD_AUTO vm = ioctl(kvm, 0xae01 /* KVM_CREATE_VM */, 0);
    if (vm < 0)
        answer_not(a, FACILITY_MISSING, errno, "make a virtual machine");
    else
        answer_ok(a, "API %d", version);
}
