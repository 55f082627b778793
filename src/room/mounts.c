/* mounts: the steps that build the room's files.
 *
 * Theory of operation. The new root is stacked on top of "/" in a private mount namespace: a bind of the
 * skeleton, a folder laid out when the program was built, or, when the room needs other places than that has,
 * a tmpfs. The process keeps its old root and makes the new one its working directory, so that absolute paths
 * still mean the host and relative paths mean the room, at once and without a place to park the old root.
 * Every folder and file that something will be mounted on is made first, while the room is nothing but that
 * tmpfs: later, nothing is ever created below a bind, where it would land in the host's own folders. All
 * binds of the read-only kind are then closed by one recursive mount_setattr; what must stay writable comes
 * after it. pivot_root puts the room below us and the host away.
 *
 * Lives in: the cloned child that becomes pid 1; has capabilities in the room's user namespace only.
 * Trusts: the plan. Must not: malloc, log, follow a link that the room's files contain. */
#include "base/num.h"
#include "policy/notice.h"
#include "room/seat.h"
#include "room/steps.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <termios.h>

#define EMPTY_FILE "run/strongroom/empty"
#define EMPTY_DIR  "run/strongroom/nothing"
#define BOOT_ID    "run/strongroom/boot_id" /* its text is one of the plan's files */

/* What masks are made of. The policy may mount something over these names (a tmpfs on /run). */
static const char *const mask_sources[MASK_SOURCES] = {
    [MASK_EMPTY_FILE] = EMPTY_FILE, [MASK_EMPTY_DIR] = EMPTY_DIR, [MASK_BOOT_ID] = BOOT_ID};

#define ATTR_CLOSED (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

static int set_attr(int dir, const char *path, unsigned flags, uint64_t set)
{
    struct mount_attr attr = {.attr_set = set};
    return kernel_mount_setattr(dir, path, flags, &attr) < 0 ? -errno : 0;
}

/* The n-th decimal digits of v, for fsconfig values. Returns the start of the text inside buf. */
const char *mounts_decimal(uint64_t v, char buf[24])
{
    char *p = buf + 23;
    *p = '\0';
    do {
        *--p = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    return p;
}

int mounts_attach(int mnt, const char *where)
{
    return kernel_move_mount(mnt, "", AT_FDCWD, where, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Onto what is open, wherever its name leads by now. */
int mounts_attach_onto(int mnt, int target)
{
    const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    return kernel_move_mount(mnt, "", target, "", flags) < 0 ? -errno : 0;
}

static int make_last(int dir, const char *path, bool is_dir)
{
    if (is_dir)
        return mkdirat(dir, path, 0755) < 0 && errno != EEXIST ? -errno : 0;
    return mknodat(dir, path, S_IFREG | 0444, 0) < 0 && errno != EEXIST ? -errno : 0;
}

/* Makes a relative path's last component as a folder or an empty file, and the folders before it where they are
 * missing. The room is still nothing but our own tmpfs, so every component is ours. */
static int make_target(int dir, const char *path, bool is_dir)
{
    char part[POLICY_PATH_MAX];
    size_t len = strlen(path);
    int r = make_last(dir, path, is_dir);
    if (r != -ENOENT)
        return r;
    if (len >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, len + 1);
    for (char *slash = strchr(part, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(dir, part, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return make_last(dir, path, is_dir);
}

/* Where something will be mounted. Nobody writes to what a mount covers, so one empty file can be many of them: a
 * link costs less than one more, to make and to free. *file: the last one, or NULL. Nothing may be mounted on it
 * yet, for then its name would mean what is mounted there. */
static int make_point(int dir, const char *path, bool is_dir, const char **file)
{
    if (!is_dir && *file && (linkat(dir, *file, dir, path, 0) == 0 || errno == EEXIST))
        return 0;
    int r = make_target(dir, path, is_dir);
    if (r == 0 && !is_dir)
        *file = path;
    return r;
}

int mounts_make_folders(const char *path)
{
    char part[POLICY_PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t len = slash ? (size_t)(slash - path) : 0;
    if (len == 0)
        return 0;
    if (len >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, len);
    part[len] = '\0';
    return make_target(AT_FDCWD, part, true);
}

/* Only the scratch folders are ours to create in; anything else must have its mount points already. */
static bool below_scratch(const char *dst)
{
    return strncmp(dst, "work/", 5) == 0 || strncmp(dst, "tmp/", 4) == 0 || strncmp(dst, "dev/shm/", 8) == 0;
}

/* What lies at `path` or shall be mounted there, in the folders that cover some of the system's. */
static const char *cover_name(const char *path, char out[POLICY_PATH_MAX])
{
    const size_t len = strlen(path);
    if (len + sizeof PLAN_COVER_DIR > POLICY_PATH_MAX)
        return NULL;
    memcpy(out, PLAN_COVER_DIR, sizeof PLAN_COVER_DIR - 1);
    memcpy(out + sizeof PLAN_COVER_DIR - 1, path, len + 1);
    return out;
}

static int make_cover(int dir, const char *path, bool is_dir)
{
    char name[POLICY_PATH_MAX];
    return cover_name(path, name) ? make_target(dir, name, is_dir) : -ENAMETOOLONG;
}

static int make_file(const struct plan_file *f)
{
    if (f->is_link)
        return symlinkat(f->text, AT_FDCWD, f->path) < 0 && errno != EEXIST ? -errno : 0;
    int fd = openat(AT_FDCWD, f->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (fd < 0)
        return errno == EEXIST ? 0 : -errno; /* the policy binds something here */
    int r = fd_write_all(fd, f->text, strlen(f->text));
    fd_close(&fd);
    return r;
}

int step_private(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

static const char *const room_dirs[] = {"dev",  "dev/pts", "dev/shm",        "etc",
                                        "proc", "run",     "run/strongroom", "tmp",
                                        "usr",  "var",     "work",           EMPTY_DIR};
static const char *const dev_nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};

/* In memory, piece by piece: for a room that the skeleton does not fit. */
static int build_root(const struct room_plan *plan, struct room_state *s)
{
    const char *file = EMPTY_FILE;
    int r = 0;
    for (size_t i = 0; i < sizeof room_dirs / sizeof *room_dirs; i++) {
        if (mkdir(room_dirs[i], 0755) < 0)
            return -errno;
    }
    for (size_t i = 0; i < sizeof dev_nodes / sizeof *dev_nodes; i++) {
        char path[16] = "dev/";
        memcpy(path + 4, dev_nodes[i], strlen(dev_nodes[i]) + 1);
        if ((r = make_target(s->root, path, false)) < 0)
            return r;
    }
    if ((r = make_target(s->root, EMPTY_FILE, false)) < 0)
        return r;
    for (size_t i = 0; r >= 0 && i < plan->system_count; i++)
        r = make_target(s->root, plan->system[i].dst, plan->system[i].is_dir);
    for (size_t i = 0; r >= 0 && i < plan->mount_count; i++) {
        s->item = (int)i;
        if (plan_is_covered(plan, plan->mounts[i].dst))
            r = make_cover(s->root, plan->mounts[i].dst, plan->mounts[i].is_dir);
        if (!plan->mounts[i].nested && !below_scratch(plan->mounts[i].dst))
            r = make_point(s->root, plan->mounts[i].dst, plan->mounts[i].is_dir, &file);
    }
    if (r >= 0 && plan->trust_bundle)
        r = make_target(s->root, "etc/ssl/certs", true);
    if (r >= 0 && plan->live_sockets)
        r = make_target(s->root, PLAN_SOCKETS_DIR, true);
    for (size_t i = 0; r >= 0 && i < plan->file_count; i++)
        r = make_file(&plan->files[i]);
    for (int i = 0; r >= 0 && i < MASK_SOURCES; i++) {
        s->masks[i] = openat(AT_FDCWD, mask_sources[i], O_PATH | O_NOFOLLOW | O_CLOEXEC);
        r = s->masks[i] < 0 ? -errno : 0;
    }
    return r;
}

int mounts_write_skeleton(const struct room_plan *plan, int dir)
{
    struct room_state s = {.root = dir};
    if (fchdir(dir) < 0)
        return -errno;
    (void)umask(022); /* cannot fail */
    return build_root(plan, &s);
}

/* Rules may change: the supervisor will write it anew, through a mount that stays writable. */
static int open_notice(struct room_state *s)
{
    FD_AUTO tree = kernel_open_tree(s->root, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | O_CLOEXEC);
    if (tree < 0)
        return -errno;
    s->notice = openat(tree, NOTICE_PATH, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    return s->notice < 0 ? -errno : 0;
}

int step_root(const struct room_plan *plan, struct room_state *s)
{
    static const char *const options[] = {"source", "strongroom", "size", "1m", "nr_inodes",
                                          "8k",     "mode",       "0755", NULL};
    int r = plan->skeleton ? 0 : steps_become_user(plan, s); /* only somebody can own files */
    if (r < 0)
        return r;
    if (plan->skeleton_tree >= 0)
        s->root = fcntl(plan->skeleton_tree, F_DUPFD_CLOEXEC, 3);
    else if (plan->skeleton)
        s->root = kernel_open_tree(AT_FDCWD, plan->skeleton, OPEN_TREE_CLONE | O_CLOEXEC);
    else
        s->root = fd_new_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (s->root < 0)
        return plan->skeleton ? -errno : s->root;
    if ((r = mounts_attach(s->root, "/")) < 0)
        return r;
    if (fchdir(s->root) < 0)
        return -errno;
    r = plan->skeleton ? 0 : build_root(plan, s);
    if (r == 0)
        r = unixes_make(plan, s, false);
    return r == 0 && plan->gate_open_ports && plan->policy->net == NET_GATE ? open_notice(s) : r;
}

int mounts_verify(int dir, const char *path, int flags, const struct plan_mount *m)
{
    struct stat st;
    if (fstatat(dir, path, &st, flags) < 0)
        return -errno;
    return st.st_dev == m->dev && st.st_ino == m->ino ? 0 : -ESTALE;
}

/* A path that may lead through what others can write: its links are followed inside the room's root. */
int mounts_open_inside(const struct room_state *s, const char *path)
{
    return fd_resolve(s->root, path, 0x10 | 0x02 /* RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS */);
}

static uint64_t attrs_of(const struct plan_mount *m)
{
    return m->kind == MOUNT_RO ? ATTR_CLOSED : MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
}

/* Why a bind was refused, where a file cannot be shown in the place of a folder, nor a folder in that of a file. */
static int bind_error(const struct room_state *s, const struct plan_mount *m, int r)
{
    struct stat st;
    if (r != -EINVAL && r != -ENOTDIR)
        return r;
    FD_AUTO target = mounts_open_inside(s, m->dst);
    if (target < 0 || fstat(target, &st) < 0 || S_ISDIR(st.st_mode) == m->is_dir)
        return r;
    return m->is_dir ? -ENOTDIR : -EISDIR;
}

/* The target lies below another mount: resolve it inside the room's root and mount onto the descriptor. */
static int bind_nested(const struct room_state *s, const struct plan_mount *m)
{
    FD_AUTO target = mounts_open_inside(s, m->dst);
    if (target < 0)
        return target;
    FD_AUTO tree = m->tree >= 0
                       ? fcntl(m->tree, F_DUPFD_CLOEXEC, 3)
                       : kernel_open_tree(AT_FDCWD, m->src, OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);
    if (tree < 0)
        return -errno;
    int r = mounts_verify(tree, "", AT_EMPTY_PATH, m);
    if (r == 0 && m->late)
        r = set_attr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, attrs_of(m));
    return r < 0 ? r : mounts_attach_onto(tree, target);
}

/* Out of the copy of its folder, whose attributes and id map it inherits. No link is followed there and nothing is
 * mounted, so that it is a file of that folder without another look. */
static int bind_beside(const struct plan_mount *m)
{
    char path[POLICY_PATH_MAX] = PLAN_FOLDER_SEAT;
    const char *name = strrchr(m->src, '/');
    const size_t size = strlen(name) + 1;
    int r = m->tree >= 0 ? mounts_attach(m->tree, PLAN_FOLDER_SEAT) : 0;
    if (r < 0)
        return r;
    if (size > sizeof path - sizeof PLAN_FOLDER_SEAT)
        return -ENAMETOOLONG;
    memcpy(path + sizeof PLAN_FOLDER_SEAT - 1, name, size);
    return mount(path, m->dst, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

/* The usual case, in one system call: the target is a folder or file of our own tmpfs. */
static int bind_plain(const struct plan_mount *m)
{
    if (m->beside)
        return bind_beside(m);
    if (m->tree >= 0)
        return mounts_attach(m->tree, m->dst);
    if (mount(m->src, m->dst, NULL, MS_BIND | MS_REC, NULL) < 0)
        return -errno;
    return mounts_verify(AT_FDCWD, m->dst, AT_SYMLINK_NOFOLLOW, m);
}

int step_system(const struct room_plan *plan, struct room_state *s)
{
    (void)s;
    for (size_t i = 0; i < plan->system_count; i++) {
        const struct plan_mount *m = &plan->system[i];
        const bool checked =
            m->ino != 0; /* a rootfs: found by the plan, so it must be there, and be the same */
        if (mount(m->src, m->dst, NULL, MS_BIND | MS_REC, NULL) < 0 &&
            (checked || !m->optional || errno != ENOENT))
            return -errno;
        int r = checked ? mounts_verify(AT_FDCWD, m->dst, AT_SYMLINK_NOFOLLOW, m) : 0;
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < plan->cover_count; i++) {
        char name[POLICY_PATH_MAX];
        const struct plan_cover *c = &plan->covers[i];
        const char *with = c->own ? cover_name(c->path, name) : EMPTY_DIR;
        if (!with)
            return -ENAMETOOLONG;
        if (mount(with, c->path, NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

int step_binds(const struct room_plan *plan, struct room_state *s)
{
    for (size_t i = 0; i < plan->mount_count; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        if (m->late)
            continue;
        s->item = (int)i;
        int r = m->nested ? bind_nested(s, m) : bind_plain(m);
        if (r < 0)
            return bind_error(s, m, r);
    }
    return 0;
}

int step_readonly(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    return set_attr(s->root, "", AT_EMPTY_PATH | AT_RECURSIVE, ATTR_CLOSED);
}

/* Read-only, as the root that it is a copy of. */
static int mask_tree(const struct room_state *s, enum mask_source with)
{
    int tree = s->masks[with] < 0
                   ? kernel_open_tree(AT_FDCWD, mask_sources[with], OPEN_TREE_CLONE | O_CLOEXEC)
                   : kernel_open_tree(s->masks[with], "", AT_EMPTY_PATH | OPEN_TREE_CLONE | O_CLOEXEC);
    return tree < 0 ? -errno : tree;
}

/* What is not there needs no mask; a mask that cannot be laid is a failure. */
static int mask(const struct room_state *s, enum mask_source with, const char *path)
{
    if (mount(mask_sources[with], path, NULL, MS_BIND, NULL) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    if (faccessat(AT_FDCWD, path, F_OK, 0) < 0)
        return errno == ENOENT ? 0 : -errno;
    FD_AUTO tree = mask_tree(s, with); /* so it is the source that is covered */
    if (tree < 0)
        return tree;
    return mounts_attach(tree, path);
}

/* Facts of the host that /proc shows to everybody. */
static const struct {
    enum mask_source with;
    const char *path;
    bool of_root; /* readable by the host's root only: no mask needed for another uid */
} proc_masks[] = {
    {MASK_BOOT_ID, "proc/sys/kernel/random/boot_id", false},
    {MASK_EMPTY_FILE, "proc/cmdline", false},
    {MASK_EMPTY_FILE, "proc/config.gz", false},
    {MASK_EMPTY_FILE, "proc/keys", false},
    {MASK_EMPTY_FILE, "proc/key-users", false},
    {MASK_EMPTY_FILE, "proc/timer_list", true},
    {MASK_EMPTY_FILE, "proc/kpagecount", true},
    {MASK_EMPTY_FILE, "proc/kpageflags", true},
    {MASK_EMPTY_FILE, "proc/kpagecgroup", true},
    {MASK_EMPTY_FILE, "proc/slabinfo", true},
    {MASK_EMPTY_FILE, "proc/vmallocinfo", true},
    {MASK_EMPTY_FILE, "proc/pagetypeinfo", true},
    {MASK_EMPTY_DIR, "proc/acpi", false},
    {MASK_EMPTY_DIR, "proc/scsi", false},
    {MASK_EMPTY_DIR, "proc/asound", false},
};

/* Watches of files are counted by the kernel against whoever made the room, too, and none of a cgroup's bounds holds
 * them: a room that took all of them would leave none for the services of that user (of root, they are 128). It gets a
 * quarter of what the host grants one user. */
static void bound_watches(int proc)
{
    static const struct {
        const char *of_host, *of_room;
    } rows[] = {{"sys/fs/inotify/max_user_instances", "sys/user/max_inotify_instances"},
                {"sys/fs/inotify/max_user_watches", "sys/user/max_inotify_watches"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[24];
        uint64_t most;
        ssize_t n = fd_read_file(proc, rows[i].of_host, text, sizeof text);
        if (n > 0 && text[n - 1] == '\n')
            text[n - 1] = '\0';
        if (n <= 0 || num_u64(text, &most) < 0)
            continue; /* the kernel was built without */
        /* Else the host's bound holds alone. */
        (void)fd_write_file(proc, rows[i].of_room, mounts_decimal(most / 4, text));
    }
}

int step_proc(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    static const char *const options[] = {"source", "proc", NULL};
    FD_AUTO mnt = fd_new_mount("proc", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (mnt < 0)
        return mnt;
    int r = mounts_attach(mnt, "proc");
    if (r < 0)
        return r;
    s->proc = openat(AT_FDCWD, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->proc < 0)
        return -errno;
    /* ENOENT: the kernel was built without. The layer's probe tells whether nesting is really impossible. */
    r = fd_write_file(s->proc, "sys/user/max_user_namespaces", "0");
    if (r < 0 && r != -ENOENT)
        steps_degrade(s, LAYER_ID_NESTING, LAYER_STATE_DEGRADED, -r);
    bound_watches(s->proc);
    if (plan->oom_first)
        (void)fd_write_file(AT_FDCWD, "proc/self/oom_score_adj", "500"); /* a preference, not a wall */
    for (size_t i = 0; i < sizeof proc_masks / sizeof *proc_masks; i++) {
        if (proc_masks[i].of_root && !plan->is_root_outside)
            continue;
        if ((r = mask(s, proc_masks[i].with, proc_masks[i].path)) < 0)
            return r;
    }
    return set_attr(mnt, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY);
}

int step_dev(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    /* Terminals are counted over the whole host and their buffers by nobody; who runs 64 at once is no program. */
    static const char *const options[] = {"source", "devpts", "ptmxmode", "0666", "mode",
                                          "0620",   "max",    "64",       NULL};
    int r = 0;
    for (size_t i = 0; i < sizeof dev_nodes / sizeof *dev_nodes; i++) {
        char src[16] = "/dev/";
        memcpy(src + 5, dev_nodes[i], strlen(dev_nodes[i]) + 1);
        if (mount(src, src + 1, NULL, MS_BIND, NULL) < 0)
            return -errno;
        /* Devices are written to all the same; but who owns the node (root without CAP_SETUID does) cannot
         * change it. */
        if ((r = set_attr(AT_FDCWD, src + 1, 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)) <
            0)
            return r;
    }
    FD_AUTO mnt = fd_new_mount("devpts", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    if (mnt < 0)
        return mnt;
    if ((r = mounts_attach(mnt, "dev/pts")) < 0)
        return r;
    s->null = openat(AT_FDCWD, "dev/null", O_RDWR | O_CLOEXEC);
    if (s->null < 0)
        return -errno;
    return 0;
}

int step_terminal(const struct room_plan *plan, struct room_state *s)
{
    return plan->tty ? seat_terminal("dev/pts/ptmx", plan->rows, plan->cols, &s->tty, &s->tty_slave)
                     : 0; /* it belongs to who opens it */
}

int step_masks(const struct room_plan *plan, struct room_state *s)
{
    for (size_t i = 0; i < plan->mask_count; i++) {
        s->item = (int)i;
        int r = plan->masks[i].named ? 0 : mask(s, MASK_EMPTY_FILE, plan->masks[i].path);
        if (r < 0)
            return r;
    }
    return 0;
}

int step_scratch(const struct room_plan *plan, struct room_state *s)
{
    char bytes[24], inodes[24];
    const char *const options[] = {"source",    "scratch",
                                   "size",      mounts_decimal(plan->scratch_bytes, bytes),
                                   "nr_inodes", mounts_decimal(plan->scratch_inodes, inodes),
                                   "mode",      "0755",
                                   NULL};
    s->scratch = fd_new_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (s->scratch < 0)
        return s->scratch;
    mode_t old = umask(0);
    bool made = mkdirat(s->scratch, "work", 0755) == 0 && mkdirat(s->scratch, "tmp", 01777) == 0 &&
                mkdirat(s->scratch, "shm", 01777) == 0;
    int code = -errno;
    (void)umask(old);
    if (!made)
        return code;
    /* The file system's own root is stacked under its `work` folder and so out of sight. */
    int r = mounts_attach(s->scratch, "work");
    if (r < 0)
        return r;
    if (plan->live_sockets && (mkdirat(s->scratch, SCRATCH_SOCKETS, 0755) < 0 ||
                               mount("work/" SCRATCH_SOCKETS, PLAN_SOCKETS_DIR, NULL, MS_BIND, NULL) < 0))
        return -errno;
    if (mount("work/tmp", "tmp", NULL, MS_BIND, NULL) < 0 ||
        mount("work/shm", "dev/shm", NULL, MS_BIND, NULL) < 0 ||
        mount("work/work", "work", NULL, MS_BIND, NULL) < 0)
        return -errno;
    return set_attr(AT_FDCWD, "dev/shm", 0, MOUNT_ATTR_NOEXEC);
}

static int new_tmpfs(const struct room_plan *plan, const struct room_state *s, const struct plan_mount *m)
{
    char bytes[24], inodes[24];
    const char *const options[] = {"source",    "tmpfs",
                                   "size",      mounts_decimal(m->size, bytes),
                                   "nr_inodes", mounts_decimal(plan->scratch_inodes, inodes),
                                   "mode",      "0755",
                                   NULL};
    FD_AUTO mnt = fd_new_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (mnt < 0 || !m->nested)
        return mnt < 0 ? mnt : mounts_attach(mnt, m->dst);
    FD_AUTO target = mounts_open_inside(s, m->dst);
    return target < 0 ? target : mounts_attach_onto(mnt, target);
}

/* Is its place ours to make, in a scratch folder or in a tmpfs of the policy's? */
static bool is_ours(const struct room_plan *plan, const struct plan_mount *m)
{
    return !m->nested &&
           (below_scratch(m->dst) || (m->parent >= 0 && plan->mounts[m->parent].kind == MOUNT_TMPFS));
}

/* The target is an empty file of our own. */
static int copy_in(const struct plan_mount *m)
{
    static char buf[65536];
    struct stat st;
    FD_AUTO to = openat(AT_FDCWD, m->dst, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0 || fstat(m->file, &st) < 0)
        return -errno;
    for (;;) {
        ssize_t n = read(m->file, buf, sizeof buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 || fchmod(to, 0644 | (st.st_mode & 0111)) < 0 ? -errno : 0;
        int r = fd_write_all(to, buf, (size_t)n);
        if (r < 0)
            return r;
    }
}

/* All that the scratch folders need, before anything covers it. */
static int make_points(const struct room_plan *plan, struct room_state *s)
{
    const char *file = NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < plan->mount_count; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        s->item = (int)i;
        if (!m->late || m->parent >= 0 || !is_ours(plan, m))
            continue;
        r = m->kind == MOUNT_COPY_IN ? make_target(AT_FDCWD, m->dst, m->is_dir)
                                     : make_point(AT_FDCWD, m->dst, m->is_dir, &file);
    }
    return r;
}

int step_writable(const struct room_plan *plan, struct room_state *s)
{
    int r = make_points(plan, s);
    for (size_t i = 0; r == 0 && i < plan->mount_count; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        if (!m->late)
            continue;
        s->item = (int)i;
        if (m->parent >= 0 && is_ours(plan, m)) /* in a tmpfs, which was mounted just now */
            r = make_target(AT_FDCWD, m->dst, m->is_dir);
        if (r == 0 && m->kind == MOUNT_TMPFS)
            r = new_tmpfs(plan, s, m);
        else if (r == 0 && m->kind == MOUNT_WORKSPACE)
            r = workspace_mount(s, m);
        else if (r == 0 && m->kind == MOUNT_COPY_IN)
            r = m->nested ? -EROFS : copy_in(m);
        else if (r == 0 && m->nested)
            r = bind_nested(s, m);
        else if (r == 0 && (r = bind_plain(m)) == 0 && m->tree < 0 &&
                 !m->beside) /* a tree came with its attributes */
            r = set_attr(AT_FDCWD, m->dst, AT_RECURSIVE, attrs_of(m));
        if (r < 0)
            r = bind_error(s, m, r);
    }
    return r;
}

/* What the policy hides may lie in a bind, behind links: only the room's own view tells what and where it is. */
static int mask_inside(const struct room_state *s, const char *path)
{
    struct stat st;
    FD_AUTO target = mounts_open_inside(s, path);
    if (target < 0)
        return target == -ENOENT || target == -ENOTDIR ? 0 : target;
    if (fstat(target, &st) < 0)
        return -errno;
    FD_AUTO tree = mask_tree(s, S_ISDIR(st.st_mode) ? MASK_EMPTY_DIR : MASK_EMPTY_FILE);
    if (tree < 0)
        return tree;
    return mounts_attach_onto(tree, target);
}

int step_hide(const struct room_plan *plan, struct room_state *s)
{
    for (size_t i = 0; i < plan->mask_count; i++) {
        s->item = (int)i;
        int r = plan->masks[i].named ? mask_inside(s, plan->masks[i].path) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int step_pivot(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    if (kernel_pivot_root(".", ".") < 0)
        return -errno;
    return umount2(".", MNT_DETACH) < 0 ? -errno : 0;
}

int step_conceal(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    int copy = kernel_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);
    if (copy < 0)
        return -errno;
    fd_close(&s->root);
    s->root = copy; /* stays open: the copy lives as long as this descriptor */
    if (fchdir(copy) < 0 || chroot(".") < 0)
        return -errno;
    /* What is not in our mount table cannot be unmounted: EINVAL. MNT_EXPIRE would at most mark it. */
    s->concealed = umount2("/", MNT_EXPIRE) < 0 && errno == EINVAL;
    return s->concealed ? 0 : -EPROTO;
}

int step_workdir(const struct room_plan *plan, struct room_state *s)
{
    (void)s;
    return chdir(plan->workdir) < 0 ? -errno : 0;
}
