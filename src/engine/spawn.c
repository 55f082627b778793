/* spawn: from a plan to a running pid 1.
 *
 * Order, and why: the control socket and pipes first (the child inherits them); the clone; then, while the child
 * already builds, the cgroup leaf (as root its slot names the room's host uid), the id maps, and GO.
 *
 * Lives in: the supervisor. Trusts: the kernel. Must not: leave the caller's descriptors to the child beyond FDS. */
#include "base/sbuf.h"
#include "engine/inner.h"
#include "room/init.h"
#include "sys/fault.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Host uids of rooms. systemd's documentation (Users, Groups, UIDs and GIDs on systemd systems) leaves this range free:
 * it begins where the container range of nspawn ends. */
#define SLOT_MIN 0x70000000u
#define SLOT_MAX 0x7ffeffffu

static bool is_null(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* stdin from /dev/null needs no relay; output to /dev/null still counts. */
static int make_pipes(struct room *r)
{
    for (int i = 0; i < 3; i++) {
        r->plan.stdio[i] = -1;
        const bool replies = i == 0 && r->req->reply_fd > 0;
        if (r->plan.tty || (i == 0 && !replies && is_null(0)))
            continue;
        if (replies ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r->pipes[0]) < 0
                    : pipe2(r->pipes[i], O_CLOEXEC) < 0)
            return -errno;
        r->plan.stdio[i] = r->pipes[i][i == 0 ? 0 : 1];
    }
    return 0;
}

/* Where to look for a free slot. Rooms that share a cgroup parent cannot collide, for the leaf claims the slot; those
 * that do not (containers of one host, each with process numbers of its own) are kept apart by chance: 2^28 to 1. */
static uint32_t slot_hint(void)
{
    uint32_t n;

    if (getrandom(&n, sizeof n, GRND_NONBLOCK) != sizeof n)
        n = (uint32_t)getpid();
    return SLOT_MIN + n % (SLOT_MAX - SLOT_MIN);
}

static int make_leaf(struct room *r, struct err *e)
{
    const uint32_t hint = slot_hint();
    if (r->place.version == LEAF_NONE) {
        r->plan.uid_outside = r->plan.gid_outside = hint;
        return 0;
    }
    int n = fault_at("call", "leaf");
    if (n < 0)
        return err_set(e, ERR_LIMIT, -n, "make the room's cgroup");
    n = leaf_make(&r->place, hint, SLOT_MIN, SLOT_MAX, r->policy->limits, &r->leaf, e);
    if (n < 0)
        return n;
    r->has_leaf = true;
    r->plan.uid_outside = r->plan.gid_outside = r->leaf.slot;
    return 0;
}

static bool shows_files(const struct room_plan *plan)
{
    for (size_t i = 0; i < plan->mount_count; i++) {
        if (plan->mounts[i].kind != MOUNT_TMPFS)
            return true;
    }
    return false;
}

/* Are we root over a user namespace wide enough to give rooms uids of their own? The host's files that a room shows
 * must then be mapped to it, which a container's root usually may not. */
static bool gives_uids(const struct room_plan *plan)
{
    char map[64];
    struct {
        uint32_t version;
        int pid;
    } head = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
    uint32_t data[6];
    if (geteuid() != 0 || syscall(SYS_capget, &head, data) < 0)
        return false;
    const uint32_t need = 1u << 6 /* CAP_SETGID */ | 1u << 7 /* CAP_SETUID */ |
                          (shows_files(plan) ? 1u << 21 /* CAP_SYS_ADMIN */ : 0);
    if ((data[0] & need) != need)
        return false;
    ssize_t n = fd_read_file(AT_FDCWD, "/proc/self/uid_map", map, sizeof map);
    return n > 0 && strstr(map, "4294967295") != NULL;
}

static int write_maps(struct room *r, struct err *e)
{
    char path[32], map[64], self[16] = "";
    struct sbuf p = SBUF(path);
    sbuf_fmt(&p, "%d", getpid());
    if (readlink("/proc/self", self, sizeof self - 1) < 0 || strcmp(self, path) != 0) {
        int n = err_set(e, ERR_ROOM, 0,
                        "write the room's id maps: /proc is missing or shows another pid namespace");
        err_hint(e, "mount a fresh /proc, as unshare --mount-proc does");
        return n;
    }
    p = SBUF(path);
    sbuf_fmt(&p, "/proc/%d", r->pid);
    FD_AUTO dir = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        int n = err_set(e, ERR_ROOM, errno, "write the room's id maps: %s", path);
        err_hint(e, "the host's /proc must be mounted");
        return n;
    }
    const bool root = r->plan.privileged;
    if (!root) {
        r->plan.uid_outside = geteuid();
        r->plan.gid_outside = getegid();
        int n = fd_write_file(dir, "setgroups", "deny");
        if (n < 0 && n != -ENOENT)
            return err_set(e, ERR_ROOM, -n, "give up supplementary groups: %s/setgroups", path);
    }
    struct sbuf m = SBUF(map);
    sbuf_fmt(&m, "%u %u 1", r->plan.uid, r->plan.uid_outside);
    int n = fault_at("call", "maps");
    if (n == 0)
        n = fd_write_file(dir, "uid_map", map);
    if (n < 0) {
        const bool lacks = n == -EPERM && r->plan.is_root_outside;
        n = err_set(e, ERR_ROOM, -n, "map the room's uid: \"%s\" into %s/uid_map", map, path);
        return lacks ? err_hint(e, "root lends its uid to a room by CAP_SETFCAP only: start as another user")
                     : n;
    }
    m = SBUF(map);
    sbuf_fmt(&m, "%u %u 1", r->plan.gid, r->plan.gid_outside);
    n = fd_write_file(dir, "gid_map", map);
    if (n < 0)
        return err_set(e, ERR_ROOM, -n, "map the room's gid: \"%s\" into %s/gid_map", map, path);
    return 0;
}

static int explain_clone(int code, struct err *e)
{
    int r = err_set(e, ERR_ROOM, code, "make the room's namespaces");
    switch (code) {
    case EPERM:
    case EACCES:
        err_hint(
            e, "unprivileged user namespaces are switched off here (sysctl kernel.unprivileged_userns_clone, "
               "kernel.apparmor_restrict_unprivileged_userns) or we run in a chroot; `strongroom doctor` "
               "knows more");
        break;
    case ENOSPC:
    case EUSERS:
        err_hint(e,
                 "no more namespaces may be made: raise sysctl user.max_user_namespaces (and its siblings)");
        break;
    case ENOSYS:
        err_hint(
            e, "a filter around us hides clone3, as docker's does unless told otherwise (`strongroom doctor` "
               "knows the remedy), or this kernel is older than 6.1");
        break;
    case EINVAL:
        err_hint(e, "this kernel lacks a namespace that a room needs; 6.1 or later is supported");
        break;
    default:
        break;
    }
    return r;
}

static pid_t clone_room(struct room *r, int *pidfd)
{
    struct kernel_clone_args args = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD,
        .pidfd = (uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
    };
    if (r->policy->net != NET_HOST)
        args.flags |= CLONE_NEWNET;
    if (r->has_leaf && r->place.version == LEAF_V2) {
        args.flags |= KERNEL_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)r->leaf.dir_fd[0];
    }
    return (pid_t)kernel_clone3(&args);
}

static int say_go(struct room *r, struct err *e)
{
    struct command go = {.type = COMMAND_GO};
    int fds[LEAF_HIERARCHIES];
    size_t n = 0;
    for (int i = 0; r->has_leaf && i < r->place.count; i++) {
        if (r->leaf.join_fd[i] >= 0)
            fds[n++] = r->leaf.join_fd[i];
    }
    int c = fault_at("call", "go");
    if (c == 0)
        c = fd_frame_send(r->ctl, &go, sizeof go, fds, n, 0);
    for (int i = 0; r->has_leaf && i < r->place.count; i++)
        fd_close(&r->leaf.join_fd[i]);
    return c < 0 ? err_set(e, ERR_ROOM, -c, "start the room's pid 1") : 0;
}

/* The program may open /dev/stdout and its like anew: that asks for the right to its pipe, which is ours by birth. */
static int give_pipes(const struct room *r)
{
    for (int i = 0; r->plan.privileged && i < 3; i++) {
        const int fd = r->pipes[i][i == 0 ? 1 : 0];
        if (fd >= 0 && fchown(fd, r->plan.uid_outside, r->plan.gid_outside) < 0)
            return -errno;
    }
    return 0;
}

/* Pid 1 speaks before GO only to say what failed: then that is the reason, and not that we found it dead. */
static bool has_spoken(const struct room *r)
{
    struct pollfd p = {.fd = r->ctl, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void close_childs_ends(struct room *r, int *ctl)
{
    fd_close(ctl);
    fd_close(&r->pipes[0][0]);
    fd_close(&r->pipes[1][1]);
    fd_close(&r->pipes[2][1]);
}

void room_choose_identity(struct room_plan *plan)
{
    plan->privileged = gives_uids(plan);
    plan->is_root_outside = !plan->privileged && geteuid() == 0;
}

int room_spawn(struct room *r, struct err *e)
{
    int ctl[2] = {-1, -1};
    if (!r->plan.privileged && r->policy->layers[LAYER_ID_UIDS] == LAYER_REQUIRE) {
        int n = err_set(e, ERR_ROOM, EPERM, "require the layer uids: a uid for this room alone");
        err_hint(e, r->plan.is_root_outside
                        ? "root without CAP_SYS_ADMIN cannot map the files that this room shows; accept the "
                          "caller's uid with --prefer uids"
                        : "only root gives rooms uids of their own; accept the caller's with --prefer uids");
        return n;
    }
    int n = fault_at("call", "pipes");
    if (n == 0)
        n = make_pipes(r);
    if (n == 0)
        n = fd_frame_pair(ctl);
    if (n < 0)
        return err_set(e, ERR_ROOM, -n, "make the room's pipes");
    r->ctl = ctl[0];
    r->plan.ctl = ctl[1];
    r->plan.ctl_outside = ctl[0];

    /* Born inside its cgroup (v2), or with trees mapped to the slot's uid, the child needs the leaf first;
     * otherwise the leaf is made while it builds. */
    const bool trees = r->plan.privileged && r->plan.mount_count > 0;
    const bool leaf_first = r->place.version == LEAF_V2 || trees;
    if (leaf_first)
        n = make_leaf(r, e);
    if (n == 0 && trees)
        n = trees_prepare(r, e);
    if (n < 0) {
        fd_close(&ctl[1]);
        return n;
    }
    if (r->plan.privileged)
        trees_prepare_skeleton(r);
    int code = -fault_at("call", "clone");
    r->pid = code ? -1 : clone_room(r, &r->pidfd);
    if (r->pid == 0)
        init_main(&r->plan);
    code = code ? code : errno;
    r->deadline_ms = engine_now_ms() + ENGINE_BUILD_MS;
    engine_phase(r, PHASE_CLONE);
    close_childs_ends(r, &ctl[1]);
    trees_close(r);
    if (r->pid < 0) {
        r->pid = 0;
        return explain_clone(code, e);
    }
    if (!leaf_first && (n = make_leaf(r, e)) < 0)
        return n;
    engine_phase(r, PHASE_LEAF);
    if ((n = fault_at("call", "give-pipes")) < 0 || (n = give_pipes(r)) < 0)
        return err_set(e, ERR_ROOM, -n, "give the room its pipes");
    if (((n = write_maps(r, e)) < 0 || (n = say_go(r, e)) < 0) && !has_spoken(r))
        return n;
    engine_phase(r, PHASE_GO);
    if ((n = gate_start(r, e)) < 0) /* while pid 1 builds */
        return n;
    r->result->uid_outside = r->plan.uid_outside;
    r->undertaker_ms = engine_now_ms() + ENGINE_UNDERTAKER_MS;
    if (r->has_leaf)
        (void)leaf_sweep(
            &r->place); /* while pid 1 builds; what a killed predecessor left is nobody's failure */
    return 0;
}
