/* trees: host paths prepared by a privileged supervisor.
 *
 * Theory of operation. As root, a room runs under a host uid of its own, which may not even walk to most
 * paths (/root is 0700) and owns none of the files. So the supervisor, which may, makes a detached copy of
 * each mount that the policy names and id-maps it: the owner of the named path appears as the room's user and
 * back. What the room creates there belongs to that owner; everybody else's files keep being somebody else's.
 *
 * On most hosts (systemd's) mounts are shared: a copy is of one group with its original, and what is mounted on the one
 * appears on the other. So each copy is made private before anything can be mounted on it.
 *
 * An id map is given to the kernel as a user namespace. One is made per distinct owner, by a child that only
 * exists to have it; the namespace lives on in the descriptor.
 *
 * Lives in: the supervisor, only when it is root. Must not: follow a path again after it was resolved,
 * unverified. */
#include "base/sbuf.h"
#include "engine/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define STACK_SIZE 4096

static int sleep_until_killed(void *arg)
{
    (void)arg;
    (void)kernel_raw(SYS_ppoll, 0, 0, 0, 0);
    return 0;
}

/* "inside outside 1" into /proc/PID/FILE */
static int write_map(int dir, const char *file, uint32_t from, uint32_t to)
{
    char text[64];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, "%u %u 1", from, to);
    return fd_write_file(dir, file, text);
}

/* A user namespace that maps `uid`, `gid` as found on disk to the room's. Returns its descriptor. */
static int make_map(const struct room *r, uint32_t uid, uint32_t gid)
{
    static char stack[STACK_SIZE] __attribute__((aligned(16)));
    char path[32];
    struct sbuf b = SBUF(path);
    pid_t pid = clone(sleep_until_killed, stack + sizeof stack, CLONE_NEWUSER | CLONE_VM | SIGCHLD, NULL);
    if (pid < 0)
        return -errno;
    sbuf_fmt(&b, "/proc/%d", pid);
    int n, fd = -1;
    FD_AUTO dir = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        n = -errno;
    else if ((n = write_map(dir, "uid_map", uid, r->plan.uid_outside)) == 0 &&
             (n = write_map(dir, "gid_map", gid, r->plan.gid_outside)) == 0) {
        fd = openat(dir, "ns/user", O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -errno : fd;
    }
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return n;
}

/* Maps the tree and takes from it what the room must not have, and what is mounted in it from the host, in one call. A
 * file system that cannot be id-mapped (or a mount below it) loses only the map. Returns 1 when mapped, 0 when not,
 * -errno. */
static int close_tree(int tree, enum mount_kind kind, int map)
{
    struct mount_attr attr = {.attr_set =
                                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                  (kind == MOUNT_RO || kind == MOUNT_WORKSPACE ? MOUNT_ATTR_RDONLY : 0),
                              .propagation = MS_PRIVATE};
    struct mount_attr mapped = attr;
    mapped.attr_set |= MOUNT_ATTR_IDMAP;
    mapped.userns_fd = (uint64_t)map;
    if (map >= 0 && kernel_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &mapped) == 0)
        return 1;
    return kernel_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr) < 0 ? -errno : 0;
}

/* What the room keeps on disk belongs to us there, and to the room's user here. */
static int prepare_upper(struct room *r, struct plan_mount *m)
{
    FD_AUTO map = make_map(r, geteuid(), getegid());
    if (map < 0)
        return map;
    m->upper_tree = kernel_open_tree(AT_FDCWD, m->upper_path, OPEN_TREE_CLONE | O_CLOEXEC);
    if (m->upper_tree < 0)
        return -errno;
    int n = close_tree(m->upper_tree, MOUNT_RW, map);
    return n == 0 ? -EOPNOTSUPP : n; /* unmapped, the room could write nothing */
}

static int prepare(struct room *r, struct plan_mount *m, int *map, uint32_t *of_uid, uint32_t *of_gid)
{
    struct stat st;
    /* An overlay takes one mount as a layer, and not what else is mounted in it. */
    const unsigned all = m->kind == MOUNT_WORKSPACE ? 0 : AT_RECURSIVE;
    m->tree =
        kernel_open_tree(AT_FDCWD, m->copy_path ? m->copy_path : m->src, OPEN_TREE_CLONE | all | O_CLOEXEC);
    if (m->tree < 0)
        return -errno;
    if (fstat(m->tree, &st) < 0)
        return -errno;
    if (m->copy_path ? st.st_dev != m->copy_dev || st.st_ino != m->copy_ino
                     : st.st_dev != m->dev || st.st_ino != m->ino)
        return -ESTALE;
    if (*map < 0 || *of_uid != st.st_uid || *of_gid != st.st_gid) {
        fd_close(map);
        *map = make_map(r, st.st_uid, st.st_gid);
        *of_uid = st.st_uid;
        *of_gid = st.st_gid;
    }
    int n = close_tree(m->tree, m->kind, *map);
    if (n >= 0 && m->upper_path)
        n = prepare_upper(r, m);
    if (n == 0) {
        struct sbuf b = SBUF(r->result->layer_note[LAYER_ID_ROOT]);
        sbuf_text(&b, "a bound path could not be id-mapped: the room is a stranger to its files");
    }
    return n < 0 ? n : 0;
}

int trees_prepare(struct room *r, struct err *e)
{
    FD_AUTO map = -1;
    uint32_t uid = 0, gid = 0;
    for (size_t i = 0; i < r->plan.mount_count; i++) {
        struct plan_mount *m = &r->plan.mounts[i];
        if (m->kind == MOUNT_TMPFS || m->kind == MOUNT_COPY_IN)
            continue;
        int n = prepare(r, m, &map, &uid, &gid);
        if (n < 0)
            return err_set(e, ERR_ROOM, -n, "show %s in the room as /%s", m->src, m->dst);
    }
    return 0;
}

void trees_prepare_skeleton(struct room *r)
{
    struct mount_attr private = {.propagation = MS_PRIVATE};
    /* Failing is fine: the child tries by path, and says so when it cannot. */
    if (r->plan.skeleton)
        r->plan.skeleton_tree = kernel_open_tree(AT_FDCWD, r->plan.skeleton, OPEN_TREE_CLONE | O_CLOEXEC);
    if (r->plan.skeleton_tree >= 0 &&
        kernel_mount_setattr(r->plan.skeleton_tree, "", AT_EMPTY_PATH, &private) < 0)
        fd_close(&r->plan.skeleton_tree);
}

void trees_close(struct room *r)
{
    fd_close(&r->plan.skeleton_tree);
    for (size_t i = 0; i < r->plan.mount_count; i++) {
        fd_close(&r->plan.mounts[i].tree);
        fd_close(&r->plan.mounts[i].upper_tree);
    }
}
