/* keep: what a room changed in its workspaces, from its end to an entry of the store.
 *
 * Theory of operation. strongroom-tree copies the layer into an entry (with `--upper disk` it lies there already) and
 * lists what each change is. The room's work must not be lost because that fails: bytes that are there without their
 * list stay, as "unlisted", and are listed when somebody asks for them; what the store cannot take goes, as a
 * whole entry, to the first of a few other places that takes it, and the result says where.
 *
 * Lives in: the supervisor, when every process of the room is dead. Trusts: the store. Must not: walk a
 * layer itself. */
#include "base/sbuf.h"
#include "engine/inner.h"
#include "engine/tree.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "tree/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Is there anything in the layer? One look at the folder, whose names we need not know. */
static bool is_empty(int upper)
{
    char buf[512];
    FD_AUTO fd = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    unsigned entries = 0;
    for (;;) {
        long n = syscall(SYS_getdents64, fd, buf, sizeof buf);
        if (n == 0)
            return entries <= 2; /* "." and ".." */
        if (n < 0)
            return false;
        for (long at = 0; at < n; entries++) {
            unsigned short len;
            memcpy(&len, buf + at + 16, sizeof len); /* struct linux_dirent64: u64, s64, u16, u8, name */
            at += len;
        }
        if (entries > 2)
            return false;
    }
}

int changes_open_upper(const struct room *r, const struct plan_mount *m)
{
    char path[32];
    struct sbuf b = SBUF(path);
    if (r->plan.upper == UPPER_DISK)
        sbuf_text(&b, STORE_UPPER);
    else
        sbuf_fmt(&b, "%u/upper", m->slot);
    int dir = r->plan.upper == UPPER_DISK ? r->entries[m->slot] : r->upper;
    int fd = dir < 0 ? -1 : openat(dir, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int list_changes(const struct room *r, const struct plan_mount *m, int entry, int upper, bool copy,
                        struct err *e)
{
    static struct store_meta meta;
    changes_meta(r, m, &meta);
    const struct tree_dirs dirs = {.upper = upper, .lower = r->lowers[m->slot], .entry = entry};
    return tree_store(&dirs, copy, meta.started_sec, meta.started_nsec,
                      &r->result->workspaces[m->slot].totals, e);
}

static int store_changes(struct room *r, const struct plan_mount *m, int upper, struct err *e)
{
    static struct store_meta meta;
    struct result_workspace *w = &r->result->workspaces[m->slot];
    FD_AUTO store = store_open(e);
    if (store < 0)
        return store;
    int n = 0, *entry = &r->entries[m->slot];
    changes_meta(r, m, &meta);
    if (*entry < 0) {
        n = *entry = store_new(store, &meta, e);
    } else { /* the program's start is only known now */
        memcpy(meta.id, w->id, sizeof meta.id);
        n = store_write_meta(*entry, &meta, e);
    }
    if (n < 0)
        return n;
    memcpy(w->id, meta.id, sizeof meta.id);
    return list_changes(r, m, *entry, upper, r->plan.upper != UPPER_DISK, e);
}

/* Empties an entry of ours and removes it. `strongroom prune` removes what is left of one that resists. */
static void forget(int *entry, char id[STORE_ID_SIZE])
{
    struct tree_session tree;
    struct err e = {0};
    const struct tree_dirs dirs = {.upper = -1, .lower = -1, .entry = *entry};
    FD_AUTO store = *entry >= 0 ? store_open(&e) : -1;
    if (store >= 0 && tree_open(&tree, &dirs, &e) == 0) {
        const struct tree_command c = {.type = TREE_DISCARD};
        if (tree_call(&tree, &c, NULL, NULL, NULL, &e) == 0)
            (void)store_remove(store, id, &e);
        tree_close(&tree);
    }
    fd_close(entry);
    id[0] = '\0';
}

/* The layer is in the entry, whole: it gets its name when it is. */
static bool has_bytes(int entry)
{
    return entry >= 0 && faccessat(entry, STORE_UPPER, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* An entry as the store has them, in a folder of its own in `place`. */
static int keep_at(const struct room *r, const struct plan_mount *m, int upper, const char *place,
                   char ret_path[STORE_PATH_MAX], struct err *e)
{
    static struct store_meta meta;
    changes_meta(r, m, &meta);
    int n = store_draw_id(meta.id);
    const int len = snprintf(ret_path, STORE_PATH_MAX, "%s/strongroom-%s", place, meta.id);
    if (n < 0 || len < 0 || len >= STORE_PATH_MAX)
        return -ENAMETOOLONG;
    if (place[0] != '/' || mkdir(ret_path, 0700) < 0) /* ours, or not at all */
        return -ENOENT;
    FD_AUTO entry = open(ret_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    n = entry < 0 ? -errno : store_write_meta(entry, &meta, e);
    if (n == 0)
        n = store_set_state(entry, STORE_UNLISTED);
    if (n == 0)
        n = list_changes(r, m, entry, upper, true, e);
    if (n == 0 || has_bytes(entry))
        return 0;
    struct tree_session tree;
    struct err ignored = {0};
    const struct tree_dirs dirs = {.upper = -1, .lower = -1, .entry = entry};
    const struct tree_command c = {.type = TREE_DISCARD};
    FD_AUTO above = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (entry >= 0 && tree_open(&tree, &dirs, &ignored) == 0) { /* half a layer is none */
        (void)tree_call(&tree, &c, NULL, NULL, NULL, &ignored);
        tree_close(&tree);
    }
    if (above >= 0)
        (void)store_remove(above, ret_path + strlen(place) + 1, &ignored);
    return n;
}

/* The store did not take what the room did. */
static void rescue(struct room *r, const struct plan_mount *m, int upper, const struct err *why)
{
    static char path[STORE_PATH_MAX];
    const char *const places[] = {getenv("TMPDIR"), "/var/tmp", "/tmp", "/dev/shm"};
    struct result_workspace *w = &r->result->workspaces[m->slot];
    struct sbuf b = SBUF(w->failed);
    for (size_t i = 0; i < sizeof places / sizeof *places && upper >= 0; i++) {
        struct err e = {0};
        if (!places[i] || keep_at(r, m, upper, places[i], path, &e) < 0)
            continue;
        sbuf_fmt(&b, "the changes are in %s (in the store as changes/%s they can be reviewed): %s", path,
                 strrchr(path, '-') + 1, why->text);
        return;
    }
    w->lost = true;
    sbuf_fmt(&b, "the changes are lost: %s", why->text);
}

static void keep(struct room *r, const struct plan_mount *m)
{
    struct err e = {0};
    struct result_workspace *w = &r->result->workspaces[m->slot];
    int *entry = &r->entries[m->slot];
    FD_AUTO upper = r->started ? changes_open_upper(r, m) : -ENOENT;
    const bool empty = m->fleeting || upper < 0 || is_empty(upper);
    const int n = empty ? 0 : store_changes(r, m, upper, &e);
    if (n < 0 && has_bytes(*entry)) {
        struct sbuf b = SBUF(w->failed);
        sbuf_fmt(&b, "kept as %s, but not listed (strongroom review tries again): %s", w->id, e.text);
        (void)store_set_state(*entry,
                              STORE_UNLISTED); /* else it is "lost" there, which prune alone removes */
        w->state = STORE_UNLISTED;
    } else if (n < 0) {
        rescue(r, m, upper, &e);
        forget(entry, w->id);
    } else if (empty || w->totals.rows == 0) {
        forget(entry, w->id);
    } else {
        w->state = STORE_PENDING;
    }
    forget(&r->copies[m->slot], r->copy_ids[m->slot]);
}

void changes_keep(struct room *r)
{
    for (size_t i = 0; i < r->plan.mount_count; i++) {
        if (r->plan.mounts[i].kind == MOUNT_WORKSPACE)
            keep(r, &r->plan.mounts[i]);
    }
}
