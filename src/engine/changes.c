/* changes: what a room needs for its workspaces, and the decision about what it changed there. Between the two:
 * keep.c.
 *
 * Theory of operation. A workspace's changes lie in a tmpfs that lives as long as we hold its folder open, or, with
 * `--upper disk`, in the store already. When the room is over, strongroom-tree copies the former into an entry of the
 * store and writes down what each change is; we never walk what the room wrote. The verbs open an entry, lock it and
 * speak with a strongroom-tree of their own about it.
 *
 * Locks (flock, so that the kernel gives them back whatever happens): the run holds its entry while it fills it; a
 * reader shares it; who applies, undoes or discards has it alone, and to write to any workspace takes the store's own
 * lock too. A state of "applying" or "undoing" without a lock means that the command was killed: what it did is
 * taken back before anything else is written or forgotten. Readers leave it: to look is not to write.
 *
 * Lives in: the supervisor, and the verbs. Trusts: the store, which nobody else can write to. */
#include "engine/changes.h"
#include "base/sbuf.h"
#include "engine/helper.h"
#include "engine/inherited.h"
#include "engine/inner.h"
#include "engine/layers.h"
#include "engine/tar.h"
#include "room/steps.h"
#include "sys/fault.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CLIMB_MAX 4096 /* folders around one another that are looked at */

/* --- the room's side ------------------------------------------------------------------------------------ */

void changes_meta(const struct room *r, const struct plan_mount *m, struct store_meta *meta)
{
    const struct result_workspace *w = &r->result->workspaces[m->slot];
    memset(meta, 0, sizeof *meta);
    struct sbuf dir = SBUF(meta->dir), at = SBUF(meta->at), upper = SBUF(meta->upper),
                command = SBUF(meta->command);
    sbuf_text(&dir, w->dir);
    sbuf_fmt(&at, "/%s", m->dst);
    sbuf_text(&upper, m->copy_path ? "copy" : r->plan.upper == UPPER_DISK ? "disk" : "tmpfs");
    for (size_t i = 0; r->plan.argv && r->plan.argv[i]; i++) {
        sbuf_text(&command, i ? " " : "");
        sbuf_escaped(&command, r->plan.argv[i]);
    }
    meta->dev = m->dev;
    meta->ino = m->ino;
    uint64_t since = r->result->report.changes_ns ? r->result->report.changes_ns : r->plan.command_ns;
    if (r->from_ns && r->from_ns < since)
        since = r->from_ns;
    if (m->copy_path) /* what the host changed since the copy began is not in it */
        since = r->copied_ns;
    meta->started_sec = (int64_t)(since / 1000000000);
    meta->started_nsec = (int64_t)(since % 1000000000);
}

/* A new entry for this workspace, and its path below the state folder. */
static int make_entry(const struct room *r, const struct plan_mount *m, int store, int *ret_entry,
                      char ret_id[STORE_ID_SIZE], char path[STORE_PATH_MAX], struct stat *ret_st,
                      struct err *e)
{
    static struct store_meta meta;
    char below[STORE_ID_SIZE + 16];
    *ret_st = (struct stat){0};
    changes_meta(r, m, &meta);
    int fd = *ret_entry = store_new(store, &meta, e);
    if (fd < 0)
        return fd;
    struct sbuf b = SBUF(below);
    sbuf_fmt(&b, "changes/%s", meta.id);
    int n = store_path(below, path, STORE_PATH_MAX);
    if (n == 0 && fstat(fd, ret_st) < 0)
        n = -errno;
    if (n < 0)
        return err_set(e, ERR_IO, -n, "make a place for the changes of %s", m->src);
    memcpy(ret_id, meta.id, STORE_ID_SIZE);
    return 0;
}

/* With --upper disk the room writes into the store itself, so its places are made beforehand. */
static int prepare_disk(struct room *r, struct plan_mount *m, int store, struct err *e)
{
    static char paths[POLICY_WORKSPACES_MAX][STORE_PATH_MAX];
    struct stat st;
    struct statfs fs;
    int n = make_entry(r, m, store, &r->entries[m->slot], r->result->workspaces[m->slot].id, paths[m->slot],
                       &st, e);
    if (n < 0)
        return n;
    if (r->policy->from && !m->fleeting) {
        n = layers_begin_with(r->policy->from, r->lowers[m->slot], r->entries[m->slot], &r->from_ns, e);
        if (n < 0)
            return n;
    }
    m->upper_path = paths[m->slot];
    m->upper_dev = st.st_dev;
    m->upper_ino = st.st_ino;
    if (r->disk_ms == 0 && fstatfs(r->entries[m->slot], &fs) == 0) {
        r->disk_free = (uint64_t)fs.f_bfree * (uint64_t)fs.f_bsize;
        r->disk_ms = engine_now_ms() + ENGINE_DISK_MS;
    }
    return 0;
}

uint64_t changes_on_disk(const struct room *r)
{
    struct statfs fs;
    for (size_t i = 0; i < POLICY_WORKSPACES_MAX; i++) {
        if (r->entries[i] < 0 || fstatfs(r->entries[i], &fs) < 0)
            continue;
        const uint64_t left = (uint64_t)fs.f_bfree * (uint64_t)fs.f_bsize;
        return left < r->disk_free ? r->disk_free - left : 0;
    }
    return 0;
}

/* Where no overlay can lie over the folder itself: over a copy, in an entry of its own that is gone afterwards. */
static int fill_copy(struct room *r, const struct plan_mount *m, int to, struct err *e)
{
    struct tree_session tree;
    struct tree_totals t;
    const struct tree_command c = {.type = TREE_COPY};
    const struct tree_dirs dirs = {
        .upper = r->lowers[m->slot], .lower = to, .entry = -1, .lower_writable = true};
    int n = tree_open(&tree, &dirs, e);
    if (n < 0)
        return n;
    n = tree_call(&tree, &c, NULL, NULL, &t, e);
    tree_close(&tree);
    return n;
}

static void say_left_out(void *ctx, const char *line)
{
    char text[TAR_TEXT_MAX + 64];
    struct sbuf b = SBUF(text);
    (void)ctx;
    sbuf_text(&b, "strongroom: --copy-in -: ");
    sbuf_escaped(&b, line);
    sbuf_char(&b, '\n');
    (void)!write(STDERR_FILENO, text, b.len); /* nobody may be there to read it */
}

/* The stream on stdin, within the bounds that hold in the room. */
static int fill_from_stream(const struct room *r, int to, struct err *e)
{
    const uint64_t disk = r->policy->limits[LIMIT_ID_DISK], inodes = r->policy->limits[LIMIT_ID_INODES];
    const struct tar_order o = {.what = TAR_EXTRACT,
                                .bytes_max = disk < TAR_BYTES_MAX ? disk : TAR_BYTES_MAX,
                                .entries_max = inodes < TAR_ENTRIES_MAX ? inodes : TAR_ENTRIES_MAX};
    struct tar_session t;
    char said[2] = "";
    int n = tar_start(&t, &o, STDIN_FILENO, to, e);
    return n < 0 ? n : tar_finish(&t, -1, said, sizeof said, say_left_out, NULL, NULL, e);
}

static int prepare_copy(struct room *r, struct plan_mount *m, int store, struct err *e)
{
    static char paths[POLICY_WORKSPACES_MAX][STORE_PATH_MAX];
    struct stat st;
    int n = make_entry(r, m, store, &r->copies[m->slot], r->copy_ids[m->slot], paths[m->slot], &st, e);
    if (n < 0)
        return n;
    struct sbuf b = {.text = paths[m->slot], .size = STORE_PATH_MAX, .len = strlen(paths[m->slot])};
    sbuf_text(&b, "/" STORE_UPPER);
    if (mkdirat(r->copies[m->slot], STORE_UPPER, 0755) < 0)
        return err_set(e, ERR_IO, errno, "make a place for a copy of %s", m->src);
    FD_AUTO to = openat(r->copies[m->slot], STORE_UPPER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b.full || to < 0 || fstat(to, &st) < 0)
        return err_set(e, ERR_IO, errno, "make a place for a copy of %s", m->src);
    if (!r->copied_ns)
        r->copied_ns = workspace_since(&r->plan);
    n = m->stream ? fill_from_stream(r, to, e) : fill_copy(r, m, to, e);
    m->copy_path = paths[m->slot];
    m->copy_dev = st.st_dev;
    m->copy_ino = st.st_ino;
    return n;
}

/* Can a tmpfs of this kernel hold the marks of a layer (since Linux 6.6)? Asked of the kernel's own. */
static bool tmpfs_takes_layers(void)
{
    if (fault_at("call", "tmpfs-layers") < 0)
        return false;
    FD_AUTO fd = memfd_create("strongroom", MFD_CLOEXEC);
    return fd >= 0 && fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) == 0;
}

static void note_workspace(struct room *r, const char *text)
{
    struct sbuf b = SBUF(r->result->layer_note[LAYER_ID_WORKSPACE]);
    sbuf_text(&b, text);
}

static int settle_upper(struct room *r, struct err *e)
{
    if (r->policy->from)
        r->plan.upper = UPPER_DISK; /* the layer is copied to where the room will write */
    if (r->plan.upper != UPPER_DISK && !tmpfs_takes_layers()) {
        r->plan.upper = UPPER_DISK;
        note_workspace(r, "changes are on disk and only watched: this kernel's tmpfs cannot hold them");
    } else if (r->plan.upper == UPPER_DISK) {
        note_workspace(r, "changes are on disk: their size is watched, not bounded");
    }
    if (r->policy->copy_workspaces)
        note_workspace(r, "workspaces are copied: changes of the host's are not seen by the room");
    if (r->policy->layers[LAYER_ID_WORKSPACE] == LAYER_REQUIRE &&
        r->result->layer_note[LAYER_ID_WORKSPACE][0]) {
        int n = err_set(e, ERR_ROOM, 0, "require the layer workspace: %s",
                        r->result->layer_note[LAYER_ID_WORKSPACE]);
        err_hint(e, "accept it with --prefer workspace");
        return n;
    }
    const uint64_t disk = r->policy->limits[LIMIT_ID_DISK];
    r->disk_cap = r->policy->upper_size ? r->policy->upper_size : disk;
    if (r->plan.upper == UPPER_DISK) {
        r->result->limits[LIMIT_ID_DISK].by |= LIMIT_BY_WATCH;
        r->result->upper_cap = r->policy->upper_size;
    }
    return 0;
}

/* A file that is to be copied into the room. */
static int prepare_file(struct plan_mount *m, struct err *e)
{
    struct stat st;
    m->file = open(m->src, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (m->file < 0 || fstat(m->file, &st) < 0)
        return err_set(e, ERR_IO, errno, "copy into the room: %s", m->src);
    if (st.st_dev != m->dev || st.st_ino != m->ino)
        return err_set(e, ERR_IO, ESTALE, "copy into the room: %s", m->src);
    if (S_ISREG(st.st_mode))
        return 0;
    int n = err_set(e, ERR_IO, 0, "copy into the room: %s: neither a file nor a folder", m->src);
    err_hint(e, "pipes and devices of the host stay outside; the program's stdin takes a stream");
    return n;
}

/* Is `fd` the folder `top`, or somewhere in it? */
static bool lies_in(int fd, const struct stat *top)
{
    struct stat here, above;
    FD_AUTO at = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; at >= 0 && i < CLIMB_MAX && fstat(at, &here) == 0; i++) {
        if (here.st_dev == top->st_dev && here.st_ino == top->st_ino)
            return true;
        int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (up < 0 || fstat(up, &above) < 0 || (above.st_dev == here.st_dev && above.st_ino == here.st_ino)) {
            fd_close(&up);
            return false;
        }
        fd_close(&at);
        at = up;
    }
    return at < 0; /* it cannot be told: as if it did */
}

/* A room that sees the changes of others, or can leave some that look like ours, could have them applied. */
static int keep_off_store(const struct plan_mount *m, int dir, const struct stat *st, int store,
                          struct err *e)
{
    struct stat top;
    FD_AUTO above = openat(store, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (above >= 0 && fstat(above, &top) == 0 && !lies_in(store, st) && !lies_in(dir, &top))
        return 0;
    int n = err_set(e, ERR_POLICY, 0, "open the workspace %s: strongroom keeps its changes in there", m->src);
    err_hint(e, "choose a folder below it, or set XDG_STATE_HOME to a place outside of it");
    return n;
}

static int prepare(struct room *r, struct plan_mount *m, int store, struct err *e)
{
    struct result_workspace *w = &r->result->workspaces[m->slot];
    struct stat st;
    w->dir = m->stream ? "/dev/stdin" : m->src; /* in the store it is a path */
    w->at = m->dst;
    w->fleeting = m->fleeting;
    if (m->stream) {
        int n = prepare_copy(r, m, store, e);
        if (n == 0)
            r->lowers[m->slot] = open(m->copy_path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return n == 0 && r->plan.upper == UPPER_DISK ? prepare_disk(r, m, store, e) : n;
    }
    int fd = r->lowers[m->slot] = open(m->src, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, ERR_IO, errno, "open the workspace %s", m->src);
    if (st.st_dev != m->dev || st.st_ino != m->ino)
        return err_set(e, ERR_IO, ESTALE, "open the workspace %s", m->src);
    if (faccessat(fd, ".", R_OK | X_OK, AT_EACCESS) < 0) {
        int n = err_set(e, ERR_IO, errno, "read the workspace %s", m->src);
        err_hint(e, "this user may not look into it; choose a folder of your own");
        return n;
    }
    if (keep_off_store(m, fd, &st, store, e) < 0)
        return -EPERM;
    if (!w->foreign && geteuid() != 0 && st.st_uid != geteuid())
        w->foreign = true;
    int n = r->policy->copy_workspaces ? prepare_copy(r, m, store, e) : 0;
    return n == 0 && r->plan.upper == UPPER_DISK ? prepare_disk(r, m, store, e) : n;
}

int changes_prepare(struct room *r, struct err *e)
{
    FD_AUTO store = -1;
    r->result->workspace_count = r->plan.workspace_count;
    for (size_t i = 0; i < r->plan.mount_count; i++) {
        int n = r->plan.mounts[i].kind == MOUNT_COPY_IN ? prepare_file(&r->plan.mounts[i], e) : 0;
        if (n < 0)
            return n;
    }
    if (r->plan.workspace_count == 0)
        return 0;
    int n = inherited_check_workspaces(&r->plan, e);
    if (n == 0)
        n = helper_hold(TREE_PROGRAM, e);
    if (n == 0)
        n = settle_upper(r, e);
    if (n == 0) /* now, for afterwards it would be too late */
        n = store = store_open(e);
    for (size_t i = 0; n >= 0 && i < r->plan.mount_count; i++) {
        if (r->plan.mounts[i].kind == MOUNT_WORKSPACE)
            n = prepare(r, &r->plan.mounts[i], store, e);
    }
    return n < 0 ? n : 0;
}

void changes_close_room(struct room *r)
{
    for (size_t i = 0; i < r->plan.mount_count; i++) {
        if (r->plan.mounts[i].kind == MOUNT_COPY_IN)
            fd_close(&r->plan.mounts[i].file);
    }
    for (size_t i = 0; i < POLICY_WORKSPACES_MAX; i++) {
        fd_close(&r->lowers[i]);
        fd_close(&r->entries[i]);
        fd_close(&r->copies[i]);
    }
}

/* --- the verbs' side ------------------------------------------------------------------------------------ */

static int lock_entry(struct changes *c, enum changes_use use, struct err *e)
{
    if (flock(c->entry, (use == CHANGES_READ ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
        int r = err_set(e, ERR_IO, 0, "changes %s: in use by another strongroom", c->id);
        err_hint(e, "wait until it has ended");
        return r;
    }
    if (use == CHANGES_WRITE && flock(c->store, LOCK_EX) < 0) /* others are done in a moment */
        return err_set(e, ERR_IO, errno, "wait for another apply or undo");
    return 0;
}

static int open_lower(struct changes *c, struct err *e)
{
    struct stat st;
    c->lower = open(c->meta.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->lower < 0) {
        int r = err_set(e, ERR_IO, errno, "open the workspace %s", c->meta.dir);
        err_hint(e, "put it back, or forget the changes: strongroom discard %s", c->id);
        return r;
    }
    if (fstat(c->lower, &st) == 0 && st.st_dev == c->meta.dev && st.st_ino == c->meta.ino)
        return 0;
    fd_close(&c->lower);
    int r = err_set(e, ERR_IO, 0, "open the workspace %s: it is another folder now than the room saw",
                    c->meta.dir);
    err_hint(e, "put that one back, or forget the changes: strongroom discard %s", c->id);
    return r;
}

static int begin(struct changes *c, bool writable, struct err *e)
{
    FD_AUTO upper = openat(c->entry, STORE_UPPER, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const struct tree_dirs dirs = {
        .upper = upper, .lower = c->lower, .entry = c->entry, .lower_writable = writable};
    return tree_open(&c->tree, &dirs, e);
}

/* What recovery did not do, because somebody wrote there since. It is said wherever this happens. */
static int say_left(void *ctx, const struct tree_report *rep)
{
    (void)ctx;
    return rep->type == TREE_TEXT && write(STDERR_FILENO, rep->text, rep->size) < 0 ? -errno : 0;
}

/* What a killed command left. */
static int recover(struct changes *c, struct err *e)
{
    const struct tree_command say = {.type = TREE_RECOVER};
    int r = lock_entry(c, CHANGES_WRITE, e);
    if (r == 0)
        r = begin(c, true, e);
    if (r == 0)
        r = tree_call(&c->tree, &say, say_left, NULL, NULL, e);
    tree_close(&c->tree);
    if (r == 0 && (r = store_get_state(c->entry, &c->state)) < 0)
        r = err_set(e, ERR_IO, -r, "read the state of the changes %s", c->id);
    return r;
}

/* What was kept whole when the list of it could not be made. */
static int list_again(struct changes *c, struct err *e)
{
    struct tree_totals totals;
    FD_AUTO upper = openat(c->entry, STORE_UPPER, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const struct tree_dirs dirs = {.upper = upper, .lower = c->lower, .entry = c->entry};
    if (flock(c->entry, LOCK_EX | LOCK_NB) < 0) {
        int r = err_set(e, ERR_IO, 0, "changes %s: in use by another strongroom", c->id);
        err_hint(e, "wait until it has ended");
        return r;
    }
    int r = tree_store(&dirs, false, c->meta.started_sec, c->meta.started_nsec, &totals, e);
    if (r == 0 && (r = store_get_state(c->entry, &c->state)) < 0)
        r = err_set(e, ERR_IO, -r, "read the state of the changes %s", c->id);
    return r;
}

static int open_all(struct changes *c, const char *word, enum changes_use use, struct err *e)
{
    c->store = store_open(e);
    if (c->store < 0)
        return c->store;
    c->entry = store_find(c->store, word, c->id, e);
    if (c->entry < 0)
        return c->entry;
    int r = lock_entry(c, use, e);
    if (r == 0)
        r = store_read_meta(c->entry, &c->meta, e);
    if (r < 0)
        return r;
    if ((r = store_get_state(c->entry, &c->state)) < 0)
        return err_set(e, ERR_IO, -r, "read the state of the changes %s", c->id);
    const struct tree_dirs alone = {.upper = -1, .lower = -1, .entry = c->entry};
    const bool half = c->state == STORE_APPLYING || c->state == STORE_UNDOING;
    if ((use != CHANGES_REMOVE || half) && (r = open_lower(c, e)) < 0) {
        if (half)
            err_hint(e, "put it back: these changes were half made real when strongroom was killed");
        return r;
    }
    if (half && use != CHANGES_READ)
        r = recover(c, e);
    if (use == CHANGES_REMOVE) /* whatever else it is, it goes */
        return r < 0 ? r : tree_open(&c->tree, &alone, e);
    if (r == 0 && c->state == STORE_UNLISTED)
        r = list_again(c, e);
    if (r == 0 && c->state == STORE_RUNNING) {
        r = err_set(e, ERR_IO, 0, "changes %s: the room was killed before they were all kept", c->id);
        err_hint(e, "forget them: strongroom discard %s", c->id);
    }
    return r == 0 ? begin(c, use == CHANGES_WRITE, e) : r;
}

int changes_open(struct changes *c, const char *word, enum changes_use use, struct err *e)
{
    memset(c, 0, sizeof *c);
    c->store = c->entry = c->lower = c->tree.ctl = -1;
    int r = open_all(c, word, use, e);
    if (r < 0)
        changes_close(c);
    return r;
}

void changes_close(struct changes *c)
{
    tree_close(&c->tree);
    fd_close(&c->lower);
    fd_close(&c->entry);
    fd_close(&c->store);
}

int changes_say(struct changes *c, const struct tree_command *say, tree_sink *sink, void *ctx,
                struct tree_totals *ret, struct err *e)
{
    return tree_call(&c->tree, say, sink, ctx, ret, e);
}

int changes_hold(struct changes *c, bool alone, struct err *e)
{
    enum store_state now = c->state;
    int r = lock_entry(c, alone ? CHANGES_REMOVE : CHANGES_READ, e);
    if (r == 0 && alone && (store_get_state(c->entry, &now) < 0 || now != c->state))
        r = err_set(e, ERR_IO, 0, "changes %s: they are %s now", c->id, store_state_name(now));
    return r;
}

int changes_discard(struct changes *c, struct err *e)
{
    const struct tree_command say = {.type = TREE_DISCARD};
    int r = tree_call(&c->tree, &say, NULL, NULL, NULL, e);
    if (r == 0)
        r = store_remove(c->store, c->id, e);
    changes_close(c);
    return r;
}
