/* leaf: makes, reads, empties and removes the cgroup that holds one room (theory of operation: leaf.h).
 *
 * Lives in: the supervisor and its undertaker. Trusts: the place that leaf_find.c found, the cgroup file
 * systems. May: make and remove its own directories, write their control files, kill their members. Must not:
 * allocate, use stdio, touch a directory that is not its own. The directory fds carry a shared lock: it tells
 * a sweep (leaf_sweep.c) that somebody still answers for an empty leaf, and goes when the last process that
 * holds the fd is gone. */
#include "limits/leaf.h"

#include "limits/leaf_file.h"
#include "limits/leaf_find.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CPU_PERIOD_US                                                                                        \
    100000 /* the kernel's own default (both versions), so that v1 needs no write for it   \
                              */

enum form { FORM_NUMBER, FORM_QUOTA, FORM_QUOTA_PERIOD, FORM_ZERO, FORM_ONE };

/* One control file that a limit writes. */
struct setting {
    enum leaf_version version;
    unsigned controller;
    enum limit_id limit;
    const char *file;
    enum form form;
    bool optional;  /* a kernel may be built without it */
    bool otherwise; /* only when the row before it does not exist here */
};

static const struct setting settings[] = {
    {LEAF_V1, LEAF_HAS_PIDS, LIMIT_ID_PIDS, "pids.max", FORM_NUMBER, false, false},
    {LEAF_V1, LEAF_HAS_MEMORY, LIMIT_ID_MEMORY, "memory.limit_in_bytes", FORM_NUMBER, false, false},
    {LEAF_V1, LEAF_HAS_MEMORY, LIMIT_ID_MEMORY, "memory.memsw.limit_in_bytes", FORM_NUMBER, true, false},
    {LEAF_V1, LEAF_HAS_MEMORY, LIMIT_ID_MEMORY, "memory.swappiness", FORM_ZERO, true, true},
    {LEAF_V1, LEAF_HAS_CPU, LIMIT_ID_CPUS, "cpu.cfs_quota_us", FORM_QUOTA, false, false},
    {LEAF_V2, LEAF_HAS_PIDS, LIMIT_ID_PIDS, "pids.max", FORM_NUMBER, false, false},
    {LEAF_V2, LEAF_HAS_MEMORY, LIMIT_ID_MEMORY, "memory.max", FORM_NUMBER, false, false},
    {LEAF_V2, LEAF_HAS_MEMORY, LIMIT_ID_MEMORY, "memory.swap.max", FORM_ZERO, true, false},
    {LEAF_V2, LEAF_HAS_MEMORY, LIMIT_ID_MEMORY, "memory.oom.group", FORM_ONE, true, false},
    {LEAF_V2, LEAF_HAS_CPU, LIMIT_ID_CPUS, "cpu.max", FORM_QUOTA_PERIOD, false, false},
};

static size_t setting_text(enum form form, uint64_t limit, char buf[static 2 * LEAF_DIGITS_MAX])
{
    size_t n;

    switch (form) {
    case FORM_ZERO:
        return leaf_text_u64(0, buf);
    case FORM_ONE:
        return leaf_text_u64(1, buf);
    case FORM_QUOTA:
        return leaf_text_u64(limit * (CPU_PERIOD_US / 1000), buf);
    case FORM_QUOTA_PERIOD:
        n = leaf_text_u64(limit * (CPU_PERIOD_US / 1000), buf);
        buf[n++] = ' ';
        return n + leaf_text_u64(CPU_PERIOD_US, buf + n);
    case FORM_NUMBER:
        break;
    }
    return leaf_text_u64(limit, buf);
}

/* v1 refuses a quota above that of an ancestor. Then the ancestor bounds us already: true when one has a
 * quota that is not above ours. Walks up until the files end, that is at the mount point. */
static bool ancestor_has_quota(int parent_fd, uint64_t milli)
{
    char path[16 * 3 + 32] = "";
    size_t up = 0;

    for (int i = 0; i < 16; i++) {
        uint64_t quota, period;
        int r;

        memcpy(path + up, "cpu.cfs_quota_us", sizeof "cpu.cfs_quota_us");
        r = leaf_file_u64(parent_fd, path, &quota);
        if (r == -ENOENT)
            return false;
        memcpy(path + up, "cpu.cfs_period_us", sizeof "cpu.cfs_period_us");
        if (r == 0 && leaf_file_u64(parent_fd, path, &period) == 0 && period > 0)
            return quota * 1000 / period <= milli;
        memcpy(path + up, "../", 3);
        up += 3;
    }
    return false;
}

static int setting_failed(const struct setting *row, const char *name, int r, struct err *e)
{
    err_set(e, ERR_LIMIT, -r, "set limit %s: cgroup %s: %s", limit_rows[row->limit].name, name, row->file);
    if (r == -EINVAL || r == -ERANGE)
        err_hint(e, "choose a value that this kernel accepts, or a larger one");
    else if (r == -EACCES || r == -EPERM || r == -EROFS || r == -ENOENT)
        err_hint(e, "delegate controllers memory, pids and cpu to this user (strongroom doctor tells how)");
    return r;
}

static int write_settings(const struct leaf_place *p, const struct leaf *l, int h,
                          const uint64_t limits[LIMIT_ID_COUNT], struct err *e)
{
    char text[2 * LEAF_DIGITS_MAX];
    int r = 0;

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct setting *row = &settings[i];
        uint64_t limit = limits[row->limit];

        if (row->version != p->version || !(row->controller & p->controllers[h]) || limit == LIMIT_UNLIMITED)
            continue;
        if (row->otherwise && r != -ENOENT)
            continue;
        r = leaf_file_write(l->dir_fd[h], row->file, text, setting_text(row->form, limit, text));
        if (r == 0 || (r == -ENOENT && row->optional))
            continue;
        if (r == -EINVAL && row->form == FORM_QUOTA && ancestor_has_quota(p->parent_fd[h], limit))
            continue;
        return setting_failed(row, l->name, r, e);
    }
    return 0;
}

static int open_leaf(const struct leaf_place *p, struct leaf *l, int h)
{
    int fd = openat(p->parent_fd[h], l->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    l->dir_fd[h] = fd;
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return -errno;
    if (p->version == LEAF_V1) {
        fd = leaf_file_open(fd, "tasks", O_WRONLY);
        if (fd < 0)
            return fd;
        l->join_fd[h] = fd;
    }
    return 0;
}

void leaf_close_fds(struct leaf *l)
{
    for (int h = 0; h < LEAF_HIERARCHIES; h++) {
        if (l->join_fd[h] >= 0)
            (void)close(l->join_fd[h]); /* no write is pending */
        if (l->dir_fd[h] >= 0)
            (void)close(l->dir_fd[h]); /* a directory */
        l->join_fd[h] = l->dir_fd[h] = -1;
    }
}

/* Gives up the first `count` directories of a leaf that could not be completed. */
static void undo(const struct leaf_place *p, struct leaf *l, int count)
{
    for (int h = 0; h < count; h++)
        (void)unlinkat(p->parent_fd[h], l->name, AT_REMOVEDIR); /* empty: nobody has joined */
    leaf_close_fds(l);
}

static void set_name(struct leaf *l, uint32_t slot)
{
    memcpy(l->name, LEAF_PREFIX, sizeof LEAF_PREFIX);
    (void)leaf_text_u64(slot, l->name + sizeof LEAF_PREFIX - 1);
    l->slot = slot;
}

/* One attempt with one slot. -EEXIST: taken, try the next one. */
static int make_slot(const struct leaf_place *p, struct leaf *l, const uint64_t limits[LIMIT_ID_COUNT],
                     struct err *e)
{
    for (int h = 0; h < p->count; h++) {
        int r = mkdirat(p->parent_fd[h], l->name, 0755) < 0 ? -errno : 0;

        if (r < 0) {
            undo(p, l, h);
            return r == -EEXIST ? r : err_set(e, ERR_ROOM, -r, "make cgroup: %s", l->name);
        }
        r = open_leaf(p, l, h);
        if (r < 0)
            err_set(e, ERR_ROOM, -r, "open cgroup: %s", l->name);
        else
            r = write_settings(p, l, h, limits, e);
        if (r < 0) {
            undo(p, l, h + 1);
            return r;
        }
    }
    return 0;
}

int leaf_make(const struct leaf_place *p, uint32_t slot_hint, uint32_t slot_min, uint32_t slot_max,
              const uint64_t limits[LIMIT_ID_COUNT], struct leaf *ret, struct err *e)
{
    struct leaf l = {.place = p};
    uint64_t slots = (uint64_t)slot_max - slot_min + 1;
    uint32_t slot = slot_hint;

    CHECK(slot_min <= slot_max);
    if (p->version == LEAF_NONE || p->count == 0)
        return err_set(e, ERR_LIMIT, ENOTSUP, "make cgroup: %s", *p->why ? p->why : "no place for it");
    if (slot < slot_min || slot > slot_max)
        slot = slot_min + (uint32_t)(slot_hint % slots);
    for (int h = 0; h < LEAF_HIERARCHIES; h++)
        l.dir_fd[h] = l.join_fd[h] = -1;
    for (uint64_t tried = 0; tried < slots; tried++) {
        int r;

        set_name(&l, slot);
        r = make_slot(p, &l, limits, e);
        if (r == 0) {
            *ret = l;
            return 0;
        }
        if (r != -EEXIST)
            return r;
        slot = slot == slot_max ? slot_min : slot + 1;
    }
    err_set(e, ERR_ROOM, EBUSY, "make cgroup: %s%u to %u: every slot is taken", LEAF_PREFIX, slot_min,
            slot_max);
    return err_hint(e, "wait for other rooms to end");
}

/* The value behind `key` in a flat keyed file; unknown stays unknown. */
static void read_field(int dir_fd, const char *file, const char *key, uint64_t *ret)
{
    char text[LEAF_FILE_MAX];

    if (leaf_file_read(dir_fd, file, text, sizeof text) >= 0)
        (void)leaf_text_field(text, key, ret);
}

static void read_cpu(enum leaf_version version, int dir_fd, struct leaf_usage *u)
{
    char text[LEAF_FILE_MAX];
    uint64_t ns;

    if (leaf_file_read(dir_fd, "cpu.stat", text, sizeof text) < 0)
        return;
    (void)leaf_text_field(text, "nr_throttled", &u->throttled);
    if (version == LEAF_V2) {
        (void)leaf_text_field(text, "usage_usec", &u->cpu_us);
        (void)leaf_text_field(text, "throttled_usec", &u->throttled_us);
    } else if (leaf_text_field(text, "throttled_time", &ns)) {
        u->throttled_us = ns / 1000;
    }
}

static void read_hits(enum leaf_version version, unsigned controllers, int dir_fd, struct leaf_usage *u)
{
    if (controllers & LEAF_HAS_MEMORY)
        read_field(dir_fd, version == LEAF_V2 ? "memory.events" : "memory.oom_control", "oom_kill",
                   &u->oom_kills);
    if (controllers & LEAF_HAS_PIDS)
        read_field(dir_fd, "pids.events", "max", &u->pids_refused);
}

static void read_usage(enum leaf_version version, unsigned controllers, int dir_fd, struct leaf_usage *u)
{
    bool v2 = version == LEAF_V2;

    if (controllers & LEAF_HAS_MEMORY) {
        (void)leaf_file_u64(dir_fd, v2 ? "memory.peak" : "memory.max_usage_in_bytes", &u->memory_peak);
        (void)leaf_file_u64(dir_fd, v2 ? "memory.current" : "memory.usage_in_bytes", &u->memory_now);
    }
    if (controllers & LEAF_HAS_PIDS) {
        (void)leaf_file_u64(dir_fd, "pids.peak", &u->pids_peak);
        (void)leaf_file_u64(dir_fd, "pids.current", &u->pids_now);
    }
    if (controllers & LEAF_HAS_CPU)
        read_cpu(version, dir_fd, u);
    if (controllers & LEAF_HAS_CPUACCT && leaf_file_u64(dir_fd, "cpuacct.usage", &u->cpu_us) == 0)
        u->cpu_us /= 1000;
}

void leaf_read(struct leaf *l, struct leaf_usage *ret, bool usage)
{
    struct leaf_usage u;

    memset(&u, 0xff, sizeof u); /* UINT64_MAX: not known */
    for (int h = 0; h < l->place->count; h++) {
        if (l->dir_fd[h] < 0)
            continue;
        read_hits(l->place->version, l->place->controllers[h], l->dir_fd[h], &u);
        if (usage)
            read_usage(l->place->version, l->place->controllers[h], l->dir_fd[h], &u);
    }
    if (u.oom_kills != UINT64_MAX && u.oom_kills > 0)
        l->killed_oom = true;
    *ret = u;
}

void leaf_place_close(struct leaf_place *p)
{
    if (p->version == LEAF_V2)
        leaf_unified_leave(p);
    for (int h = 0; h < LEAF_HIERARCHIES; h++) {
        if (p->parent_fd[h] >= 0)
            (void)close(p->parent_fd[h]); /* O_PATH */
        p->parent_fd[h] = -1;
    }
    p->count = 0;
    p->limits = 0;
    p->version = LEAF_NONE;
}
