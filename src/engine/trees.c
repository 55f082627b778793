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
 * Of many files that lie side by side their folder is copied once, and pid 1 binds them out of that, in the part of
 * its tree that it leaves: bound mounts inherit the id map. Nothing of the folder but those files is ever in the room.
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
#define FOLDER_MIN 3 /* so many files of a folder, and one copy of it is less work than a copy of each */

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
static int close_tree(int tree, uint64_t more, int map)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | more,
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
    int n = close_tree(m->upper_tree, 0, map);
    return n == 0 ? -EOPNOTSUPP : n; /* unmapped, the room could write nothing */
}

/* The last map that was made: what lies side by side mostly has one owner. */
struct owner_map {
    int fd; /* -1: none, or it could not be made */
    uint32_t uid, gid;
};

static int map_of(const struct room *r, struct owner_map *map, uint32_t uid, uint32_t gid)
{
    if (map->fd < 0 || map->uid != uid || map->gid != gid) {
        fd_close(&map->fd);
        *map = (struct owner_map){.fd = make_map(r, uid, gid), .uid = uid, .gid = gid};
    }
    return map->fd;
}

static int prepare(struct room *r, struct plan_mount *m, struct owner_map *map)
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
    const bool shown_only = m->kind == MOUNT_RO || m->kind == MOUNT_WORKSPACE;
    int n = close_tree(m->tree, shown_only ? MOUNT_ATTR_RDONLY : 0, map_of(r, map, st.st_uid, st.st_gid));
    if (n >= 0 && m->upper_path)
        n = prepare_upper(r, m);
    if (n == 0) {
        struct sbuf b = SBUF(r->result->layer_note[LAYER_ID_ROOT]);
        sbuf_text(&b, "a bound path could not be id-mapped: the room is a stranger to its files");
    }
    return n < 0 ? n : 0;
}

static bool anybody_may_walk(const char *folder)
{
    struct stat st;
    return stat(folder, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & S_IXOTH);
}

/* How many mounts from `m` on are read-only files of one folder and one owner. */
static size_t side_by_side(const struct plan_mount *m, size_t count)
{
    const size_t folder = (size_t)(strrchr(m->src, '/') - m->src);
    size_t n = 0;
    while (n < count && m[n].kind == MOUNT_RO && m[n].plain && !m[n].nested && m[n].parent < 0 &&
           m[n].late == m->late && m[n].uid == m->uid && m[n].gid == m->gid &&
           strncmp(m[n].src, m->src, folder + 1) == 0 && !strchr(m[n].src + folder + 1, '/'))
        n++;
    return n;
}

/* One copy of the folder for all of them. Pid 1 walks into it as the room's user. Returns how many were prepared so: 0
 * where each needs a copy of its own. */
static size_t prepare_folder(struct room *r, struct plan_mount *m, size_t count, struct owner_map *map)
{
    char folder[POLICY_PATH_MAX];
    struct sbuf b = SBUF(folder);
    const size_t n = m->plain ? side_by_side(m, count) : 0;
    if (n < FOLDER_MIN)
        return 0;
    sbuf_bytes(&b, m->src, (size_t)(strrchr(m->src, '/') - m->src));
    if (b.len == 0 || !anybody_may_walk("/") || !anybody_may_walk(folder) ||
        !anybody_may_walk(PLAN_FOLDER_SEAT))
        return 0;
    int tree = kernel_open_tree(AT_FDCWD, folder, OPEN_TREE_CLONE | O_CLOEXEC);
    if (tree < 0 ||
        close_tree(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW, map_of(r, map, m->uid, m->gid)) != 1) {
        fd_close(&tree);
        return 0;
    }
    m->tree = tree;
    for (size_t i = 0; i < n; i++)
        m[i].beside = true;
    return n;
}

int trees_prepare(struct room *r, struct err *e)
{
    struct owner_map map = {.fd = -1};
    int n = 0;
    for (size_t i = 0, done; n >= 0 && i < r->plan.mount_count; i += done) {
        struct plan_mount *m = &r->plan.mounts[i];
        done = prepare_folder(r, m, r->plan.mount_count - i, &map);
        if (done > 0)
            continue;
        done = 1;
        if (m->kind == MOUNT_TMPFS || m->kind == MOUNT_COPY_IN)
            continue;
        n = prepare(r, m, &map);
        if (n < 0)
            err_set(e, ERR_ROOM, -n, "show %s in the room as /%s", m->src, m->dst);
    }
    fd_close(&map.fd);
    return n;
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
