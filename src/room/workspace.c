/* workspace: folders of the host under a layer that takes what the room changes.
 *
 * Theory of operation. The upper layer lies in a tmpfs of the room's own: the scratch file system, beside /work and
 * /tmp and under the same caps, or one of its own size; or in a folder of the host's. Its folder is handed to the
 * supervisor, and a tmpfs lives as long as somebody holds a piece of it open: the changes outlive the room until
 * somebody has decided. The lower layer is the host's folder itself, looked up again and compared with what the plan
 * saw; as root, an id-mapped copy of its mount, attached first where the overlay will cover it (the kernel wants a
 * layer to be somewhere in the mount table). The overlay belongs to the room's user namespace, hence "userxattr".
 * Nothing is copied and nothing is walked, so the cost does not depend on the folder.
 *
 * When did the host change a file? The kernel stamps a change (ctime) with a clock that no user can set for one file.
 * So pid 1 has a file of its own stamped last thing before the program starts, and until that stamp is later than the
 * time at which the command began. What was changed before the command has an earlier stamp, what was changed after
 * the program's start has this one or a later; both for certain, without a look at any file. Before Linux 6.13 all
 * stamps come from a clock that ticks every 1 to 10 ms, and the room waits for its next tick; since then none waits.
 *
 * Lives in: the cloned child that becomes pid 1. Trusts: the plan. Must not: malloc, create anything in the lower. */
#include "base/sbuf.h"
#include "room/steps.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#define OVERLAYFS   0x794c7630 /* linux/magic.h */
#define CHANGES_DIR "changes"  /* of the scratch file system, whose root no program sees */

/* "PREFIX/N" */
static const char *numbered(const char *prefix, uint64_t n, char out[64])
{
    char digits[24];
    const char *d = mounts_decimal(n, digits);
    struct sbuf b = {.text = out, .size = 64};
    sbuf_text(&b, prefix);
    sbuf_text(&b, d);
    return out;
}

static int own_tmpfs(const struct room_plan *plan)
{
    char bytes[24], inodes[24];
    const char *const options[] = {"source",    "changes",
                                   "size",      mounts_decimal(plan->upper_bytes, bytes),
                                   "nr_inodes", mounts_decimal(plan->scratch_inodes, inodes),
                                   "mode",      "0700",
                                   NULL};
    return fd_new_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

int step_upper(const struct room_plan *plan, struct room_state *s)
{
    if (plan->workspace_count == 0 || plan->upper == UPPER_DISK)
        return 0;
    if (plan->upper == UPPER_TMPFS) {
        s->upper = own_tmpfs(plan);
        s->upper_detached = true;
        return s->upper < 0 ? s->upper : 0;
    }
    if (mkdirat(s->scratch, CHANGES_DIR, 0700) == 0)
        s->upper = openat(s->scratch, CHANGES_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return s->upper < 0 ? -errno : 0;
}

/* What is in the room at the workspace's place, on top of all mounts there. */
static int open_place(const struct room_state *s, const struct plan_mount *m)
{
    if (m->nested)
        return mounts_open_inside(s, m->dst);
    int fd = openat(AT_FDCWD, m->dst, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Layers must be in our mount table. One that is not yet is put where the overlay will cover it for good. */
static int put_below(const struct room_state *s, const struct plan_mount *m, int mnt)
{
    FD_AUTO place = open_place(s, m);
    return place < 0 ? place : mounts_attach_onto(mnt, place);
}

/* The folder that is to hold the layer: a new one for the slot, or the host's. */
static int open_slot(const struct room_state *s, const struct plan_mount *m)
{
    char name[64];
    const char *slot = numbered("", m->slot, name);
    int fd, r;
    if (!m->upper_path) {
        if (mkdirat(s->upper, slot, 0700) < 0)
            return -errno;
        fd = openat(s->upper, slot, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    if (m->upper_tree >= 0 && (r = put_below(s, m, m->upper_tree)) < 0)
        return r;
    fd = m->upper_tree >= 0
             ? openat(m->upper_tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
             : openat(AT_FDCWD, m->upper_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const struct plan_mount seen = {.dev = m->upper_dev, .ino = m->upper_ino};
    if ((r = mounts_verify(fd, "", AT_EMPTY_PATH, &seen)) < 0)
        fd_close(&fd);
    return r < 0 ? r : fd;
}

/* In it a folder for the layer, with the mode that the workspace has, and one for the kernel. */
static int make_layer(const struct room_state *s, const struct plan_mount *m, int lower, int *ret_upper,
                      int *ret_work)
{
    struct stat st;
    if (fstat(lower, &st) < 0)
        return -errno;
    FD_AUTO dir = open_slot(s, m);
    if (dir < 0)
        return dir;
    if ((mkdirat(dir, "upper", 0700) < 0 && errno != EEXIST) ||
        (mkdirat(dir, "work", 0700) < 0 && errno != EEXIST) ||
        fchmodat(dir, "upper", st.st_mode & 0777, 0) < 0)
        return -errno;
    *ret_upper = openat(dir, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    *ret_work = openat(dir, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret_upper < 0 || *ret_work < 0 ? -errno : 0;
}

static int overlay(int lower, int upper, int work)
{
    char names[3][64];
    static const char fds[] =
        "/proc/self/fd/"; /* names would need escaping, and could lead elsewhere by now */
    const char *const options[] = {"source",   "workspace",
                                   "lowerdir", numbered(fds, (uint64_t)lower, names[0]),
                                   "upperdir", numbered(fds, (uint64_t)upper, names[1]),
                                   "workdir",  numbered(fds, (uint64_t)work, names[2]),
                                   "xino",     "auto",
                                   NULL};
    FD_AUTO fs = kernel_fsopen("overlay", FSOPEN_CLOEXEC);
    if (fs < 0)
        return -errno;
    for (size_t i = 0; options[i]; i += 2) {
        if (kernel_fsconfig(fs, FSCONFIG_SET_STRING, options[i], options[i + 1], 0) < 0)
            return -errno;
    }
    if (kernel_fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0 ||
        kernel_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int mnt = kernel_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    return mnt < 0 ? -errno : mnt;
}

/* The folder of the host, from where the kernel takes it as a layer. */
static int open_lower(const struct room_state *s, const struct plan_mount *m)
{
    if (m->tree < 0) {
        int fd = openat(AT_FDCWD, m->copy_path ? m->copy_path : m->src,
                        O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    int r = put_below(s, m, m->tree);
    return r < 0 ? r : open_place(s, m);
}

int workspace_mount(struct room_state *s, const struct plan_mount *m)
{
    int r = s->upper_detached ? put_below(s, m, s->upper) : 0;
    if (r < 0)
        return r;
    s->upper_detached = false;
    FD_AUTO lower = open_lower(s, m);
    if (lower < 0)
        return lower;
    const struct plan_mount copy = {.dev = m->copy_dev, .ino = m->copy_ino};
    r = mounts_verify(lower, "", AT_EMPTY_PATH, m->copy_path ? &copy : m);
    if (r < 0)
        return r;
    FD_AUTO upper = -1;
    FD_AUTO work = -1;
    if ((r = make_layer(s, m, lower, &upper, &work)) < 0)
        return r;
    FD_AUTO mnt = overlay(lower, upper, work);
    if (mnt < 0)
        return mnt;
    return put_below(s, m, mnt);
}

bool workspace_holds(const struct room_plan *plan, struct room_state *s)
{
    (void)s;
    for (size_t i = 0; i < plan->mount_count; i++) {
        struct statfs fs;
        char path[POLICY_PATH_MAX + 1] = "/";
        const struct plan_mount *m = &plan->mounts[i];
        if (m->kind != MOUNT_WORKSPACE)
            continue;
        if (strlen(m->dst) >= POLICY_PATH_MAX)
            return false;
        memcpy(path + 1, m->dst, strlen(m->dst) + 1);
        if (statfs(path, &fs) < 0 || fs.f_type != OVERLAYFS)
            return false;
    }
    return true;
}

/* A stamp of the kernel's, fresh: what it stamps from now on, on whatever file, is not earlier. Where it knows a finer
 * clock than the coarse one (since Linux 6.13), a file gets it whose last stamp was looked at. 0: none to be had. */
static uint64_t fresh_stamp(int file)
{
    struct stat st;
    if (fstat(file, &st) < 0 || fchmod(file, st.st_mode & 0777) < 0 || fstat(file, &st) < 0)
        return 0;
    return (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec;
}

uint64_t workspace_since(const struct room_plan *plan)
{
    enum { TRIES = 1000 }; /* of 50 us: the slowest kernel ticks a hundred times a second */
    const struct timespec nap = {.tv_nsec = 50000};
    FD_AUTO file = memfd_create("stamp", MFD_CLOEXEC);
    uint64_t ns = 0;
    for (int i = 0; i < TRIES; i++) {
        ns = fresh_stamp(file);
        if (ns == 0) {
            struct timespec now;
            (void)clock_gettime(CLOCK_REALTIME_COARSE, &now); /* cannot fail */
            ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
        }
        if (ns > plan->command_ns)
            break;
        (void)nanosleep(&nap, NULL);
    }
    return ns;
}
