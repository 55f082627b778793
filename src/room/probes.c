/* probes: tries each wall from inside, before the program runs.
 *
 * One row a layer. A probe tries what must fail, or reads back what must be so; one that finds the wall
 * missing ends the room (EPROTO, with the layer as item). Walls that only the program's own seat can try (the
 * filter, descriptors, its session) are tried in init.c; the listener and the cgroup by the supervisor, who
 * holds their other ends.
 *
 * Lives in: the room's pid 1, after capabilities are gone and Landlock is on, before the system-call filter:
 * what fails here fails without its help. Must not: malloc, stdio, leave anything behind. */
#include "room/steps.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>

typedef bool probe_fn(const struct room_plan *plan, struct room_state *s);

static bool nesting_holds(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    return unshare(CLONE_NEWUSER) < 0;
}

static bool caps_hold(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0 || sethostname("x", 1) == 0)
        return false;
    /* step_caps dropped each and looked at every answer; here the ones that matter most are asked for once more. */
    static const int worst[] = {CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SETUID, CAP_SYS_PTRACE, CAP_DAC_OVERRIDE};
    for (size_t i = 0; i < sizeof worst / sizeof *worst; i++) {
        if (prctl(PR_CAPBSET_READ, worst[i], 0, 0, 0) == 1)
            return false;
    }
    return walls_caps_are_empty();
}

static bool root_holds(const struct room_plan *plan, struct room_state *s)
{
    static const char *const closed[] = {"/strongroom-probe", "/usr/strongroom-probe",
                                         "/etc/strongroom-probe"};
    (void)plan;
    (void)s;
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        FD_AUTO fd = openat(AT_FDCWD, closed[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0)
            return false;
    }
    return true;
}

/* The root of the scratch file system is ours and writable by every other rule: only Landlock stands before it. */
static bool landlock_holds(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    FD_AUTO fd = openat(s->scratch, "landlock-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0;
}

/* 192.0.2.1 is reserved for documentation (RFC 5737). Connecting a UDP socket sends nothing; it asks for a route. */
static bool net_holds(const struct room_plan *plan, struct room_state *s)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000201)};
    if (plan->policy->net == NET_HOST)
        return true;
    bool reached = connect(s->sock, (struct sockaddr *)&to, sizeof to) == 0;
    struct sockaddr_in from = {0};
    socklen_t len = sizeof from;
    /* With a gate every address is this room's own, and the kernel says so by the source that it chose. */
    bool to_gate = reached && plan->policy->net == NET_GATE &&
                   getsockname(s->sock, (struct sockaddr *)&from, &len) == 0 &&
                   from.sin_addr.s_addr == htonl(0xc6120001);
    fd_close(&s->sock);
    return !reached || to_gate;
}

static bool init_holds(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static bool nnp_holds(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static bool pid_holds(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    return getpid() == 1;
}

static bool user_holds(const struct room_plan *plan, struct room_state *s)
{
    uid_t r, e, saved;
    (void)s;
    return getresuid(&r, &e, &saved) == 0 && r == plan->uid && e == plan->uid && saved == plan->uid &&
           syscall(SYS_setuid, plan->uid + 1) < 0;
}

/* step_conceal asked the kernel whether our root is in the mount table, while it still had the right to ask. */
static bool mount_holds(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    return s->concealed;
}

/* A new IPC namespace holds no segment. */
static bool ipc_holds(const struct room_plan *plan, struct room_state *s)
{
    struct shm_info info;
    (void)plan;
    (void)s;
    return shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) < 0 || info.used_ids == 0;
}

static bool uts_holds(const struct room_plan *plan, struct room_state *s)
{
    struct utsname name;
    (void)s;
    return uname(&name) == 0 && strcmp(name.nodename, plan->hostname) == 0;
}

/* Every line of the file ends in the root, "…:/". */
static bool cgroup_ns_holds(const struct room_plan *plan, struct room_state *s)
{
    char text[4096];
    (void)plan;
    ssize_t n = s->proc < 0 ? 0 : fd_read_file(s->proc, "self/cgroup", text, sizeof text);
    for (ssize_t i = 2; i < n; i++) {
        if (text[i] == '\n' && (text[i - 1] != '/' || text[i - 2] != ':'))
            return false;
    }
    return true;
}

/* The room has just been born, and so has its clock. */
static bool time_holds(const struct room_plan *plan, struct room_state *s)
{
    struct timespec boot;
    (void)plan;
    (void)s;
    return clock_gettime(CLOCK_BOOTTIME, &boot) == 0 && boot.tv_sec < 60;
}

static bool proc_holds(const struct room_plan *plan, struct room_state *s)
{
    struct statfs fs;
    char byte;
    (void)plan;
    FD_AUTO facts = openat(s->proc, "cmdline", O_RDONLY | O_CLOEXEC);
    return fstatfs(s->proc, &fs) == 0 && (fs.f_flags & ST_RDONLY) &&
           (facts < 0 || read(facts, &byte, 1) == 0);
}

static bool dev_holds(const struct room_plan *plan, struct room_state *s)
{
    struct stat st;
    (void)plan;
    return fstat(s->null, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) &&
           faccessat(AT_FDCWD, "/dev/kmsg", F_OK, 0) < 0;
}

static bool scratch_holds(const struct room_plan *plan, struct room_state *s)
{
    struct statfs fs;
    (void)s;
    if (!plan->scratch_bytes || statfs("/tmp", &fs) < 0)
        return !plan->scratch_bytes;
    return (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize <= plan->scratch_bytes + (uint64_t)fs.f_bsize;
}

/* The new session keyring holds no key. */
static bool keyring_holds(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    return syscall(SYS_keyctl, 11 /* KEYCTL_READ */, -3 /* KEY_SPEC_SESSION_KEYRING */, NULL, 0, 0) <= 0;
}

static const struct {
    enum layer_id layer;
    probe_fn *holds;
} probes[] = {
    {LAYER_ID_USER, user_holds},
    {LAYER_ID_PID, pid_holds},
    {LAYER_ID_MOUNT, mount_holds},
    {LAYER_ID_NET, net_holds},
    {LAYER_ID_IPC, ipc_holds},
    {LAYER_ID_UTS, uts_holds},
    {LAYER_ID_CGROUP_NS, cgroup_ns_holds},
    {LAYER_ID_TIME, time_holds},
    {LAYER_ID_ROOT, root_holds},
    {LAYER_ID_PROC, proc_holds},
    {LAYER_ID_DEV, dev_holds},
    {LAYER_ID_SCRATCH, scratch_holds},
    {LAYER_ID_WORKSPACE, workspace_holds},
    {LAYER_ID_CAPS, caps_hold},
    {LAYER_ID_NNP, nnp_holds},
    {LAYER_ID_NESTING, nesting_holds},
    {LAYER_ID_LANDLOCK, landlock_holds},
    {LAYER_ID_INIT, init_holds},
    {LAYER_ID_KEYRING, keyring_holds},
};

int step_probes(const struct room_plan *plan, struct room_state *s)
{
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        struct report_layer *l = &s->report.layers[probes[i].layer];
        if (l->state == LAYER_STATE_OFF)
            continue;
        if (!probes[i].holds(plan, s)) {
            s->item = (int)probes[i].layer;
            return -EPROTO;
        }
        l->probed = 1;
    }
    return 0;
}
