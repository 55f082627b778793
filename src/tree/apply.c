/* apply: makes changes real, all of them or none.
 *
 * Theory of operation.
 *   check    each chosen row against the host as it is now: what the index says was there must still be there
 *   stage    new files are made whole in DIR/.strongroom-ID, on the workspace's own file system, and put on the disk
 *   journal  every operation, with what was there before; on the disk before the first is done
 *   do       renames only: what goes away goes into the stage; each taken file is looked at once more
 *   keep     the stage, now holding what was taken away, moves to the entry, for undo
 *   last     all of that is put on the disk, and then the state says "applied"
 * Before the journal is there a crash has changed nothing; after it, recovery does all operations backwards. Both
 * take the state APPLYING as their sign.
 *
 * Lives in: strongroom-tree. Trusts: the index by form. Must not: write into a file that is there. */
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/alarms.h"
#include "tree/ops.h"
#include "tree/restored.h"
#include "tree/session.h"
#include "tree/stage.h"
#include "tree/step.h"
#include "tree/undo.h"
#include "tree/verbs.h"
#include "tree/walk.h"

#include <assert.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#define TOLD_MAX 20 /* conflicts that are told one by one */
#define SYNC_EACH                                                                                            \
    64 /* up to so many operations are put on the disk one by one, more with their file system */

struct applying {
    struct index index;
    uint8_t *chosen;
    struct decisions decisions;
    struct restored restored;
    struct beneath_parent lower;
    struct journal_writer out;
    struct stage stage;
    enum store_state before;
    uint64_t conflicts, alarms, deleted_files;
    struct tree_totals totals;
    bool nothing_done;
    char first[256]; /* conflict */
    char alarm[256]; /* the first one that nobody accepted */
};

/* Folders that go, while the rows in them pass by. */
struct going_folder {
    size_t row, len;
    const char *path;
    uint64_t inside; /* entries that go with it */
};
struct going {
    struct going_folder *open;
    size_t depth;
};

static void tell_path(const char *path, const char *why)
{
    char text[2048];
    struct sbuf b = SBUF(text);

    sbuf_escaped(&b, path);
    session_fmt("  %s: %s\n", text, why);
}

/* The folder around is not there (yet): it is new itself, in the place of nothing, a file or a link. */
static bool no_folder(int dir)
{
    return dir == -ENOENT || dir == -ENOTDIR || dir == -ELOOP;
}

static bool same_folder(const struct applying *a, int dir, const struct fingerprint *seen)
{
    struct stat s;

    if (dir < 0 || fstat(dir, &s) < 0)
        return false;
    const struct fingerprint f = restored_as(&a->restored, seen, &s);
    return (uint64_t)s.st_dev == f.dev && s.st_ino == f.ino;
}

/* NULL: nothing speaks against it. */
static const char *conflict(struct applying *a, const struct index_row *row, const char *path,
                            const char *detail)
{
    const char *name;
    struct stat s;
    int dir = beneath_parent(&a->lower, path, &name);

    if (row->flags & ROW_CONFLICT)
        return detail[0] ? detail : "changed on the host while the room ran";
    if (dir < 0 && !no_folder(dir))
        return dir == -EXDEV ? "on another file system than the workspace" : strerror(-dir);
    if (row->kind == TREE_ADDED && row->old.ino && !same_folder(a, dir, &row->old))
        return dir < 0 ? "its folder is gone from the host"
                       : "another folder is in this place on the host since";
    bool there = dir >= 0 && fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) == 0;
    if (row->kind == TREE_ADDED)
        return there && !(row->flags & ROW_RETYPED) ? "the host has a file of this name now" : NULL;
    if (!there)
        return "gone from the host";
    const struct fingerprint f = restored_as(&a->restored, &row->old, &s);
    return fingerprint_same(&f, &s, a->before == STORE_PENDING) ? NULL : "changed on the host since";
}

/* One that stands in the way of --only-clean. */
static void note_alarm(struct applying *a, unsigned alarm, const char *path)
{
    if (session_accepted(alarm_name(alarm), path))
        return;
    if (a->alarms++ == 0) {
        struct sbuf b = SBUF(a->alarm);
        sbuf_text(&b, alarm_name(alarm));
        sbuf_text(&b, path ? ":" : "");
        sbuf_escaped(&b, path ? path : "");
    }
}

static void refuse(struct applying *a, size_t n, const char *path, const char *why)
{
    a->chosen[n / 8] &= (uint8_t) ~(1u << n % 8);
    if (a->conflicts++ < TOLD_MAX)
        tell_path(path, why);
    if (a->conflicts == 1) {
        struct sbuf b = SBUF(a->first);
        sbuf_escaped(&b, path);
        sbuf_fmt(&b, ": %s", why);
    }
}

/* Leaves the folders that `path` is not in (NULL: all): one can only go if nothing has come into it meanwhile. */
static void leave_folders(struct applying *a, struct going *g, const char *path)
{
    for (; g->depth; g->depth--) {
        const struct going_folder *f = &g->open[g->depth - 1];
        if (path && strncmp(f->path, path, f->len) == 0 && path[f->len] == '/')
            return;
        if (select_has(a->chosen, f->row) && beneath_entries(&a->lower, f->path, f->inside) > f->inside)
            refuse(a, f->row, f->path, "the host has something new in it");
    }
}

static void note_going(struct going *g, const struct index_row *row, size_t n, const char *path)
{
    const struct going_folder *top = g->depth ? &g->open[g->depth - 1] : NULL;

    if (row->kind != TREE_DELETED)
        return;
    if (top && !strchr(path + top->len + 1, '/'))
        g->open[g->depth - 1].inside++;
    if (row->file == TREE_FOLDER && g->depth < WALK_LEVELS_MAX)
        g->open[g->depth++] = (struct going_folder){.row = n, .path = path, .len = row->path_len};
}

/* Goes through the chosen rows; those with a conflict are told, and not chosen any more. */
static int check_rows(struct applying *a)
{
    struct going g = {.open = mem_reserve(WALK_LEVELS_MAX * sizeof *g.open)};
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0, n = 0;
    int r = g.open ? 0 : -ENOMEM;

    for (; r >= 0 && (r = index_next(&a->index, &at, &row, &path, &detail)) > 0; n++) {
        leave_folders(a, &g, path);
        const char *why = select_has(a->chosen, n) ? conflict(a, row, path, detail) : NULL;
        if (why)
            refuse(a, n, path, why);
        note_going(&g, row, n, path);
    }
    leave_folders(a, &g, NULL);
    mem_release(g.open, WALK_LEVELS_MAX * sizeof *g.open);
    if (a->conflicts > TOLD_MAX)
        session_fmt("  and %llu more\n", (unsigned long long)(a->conflicts - TOLD_MAX));
    if (r == 0 && a->conflicts)
        r = select_settle(&a->index, a->chosen);
    for (at = n = 0; r == 0 && index_next(&a->index, &at, &row, &path, &detail) > 0; n++) {
        if (row->flags & ROW_LEFT_OUT && session_named(path) && !session_excepted(path)) {
            a->totals.left_out++; /* never made real: who applies is told each time, or looks first */
            if (row->alarm && !a->decisions.any)
                note_alarm(a, row->alarm, path);
        }
        if (!select_has(a->chosen, n))
            continue;
        index_count(&a->totals, row);
        a->deleted_files += row->kind == TREE_DELETED && row->file != TREE_FOLDER;
        if (row->alarm)
            note_alarm(a, row->alarm, path);
    }
    if (a->index.head->mass && a->deleted_files >= ALARMS_MASS_LEAST) {
        note_alarm(a, a->index.head->mass, NULL);
        a->totals.alarms++;
    }
    return r;
}

static int nothing_chosen(const struct applying *a)
{
    if (a->decisions.any)
        return session_fail(ENOENT, "strongroom review changes decisions; --all does not ask for them",
                            "apply: nothing of this was accepted");
    return session_fail(ENOENT, session.paths_len ? "the paths are those that strongroom review shows" : NULL,
                        session.paths_len ? "apply: no change of this name"
                                          : "apply: there is nothing to apply");
}

static int refuse_alarms(const struct applying *a)
{
    char hint[TREE_HINT_MAX];
    struct sbuf b = SBUF(hint);

    sbuf_fmt(&b, "look with strongroom review; who has looked says --accept %s", a->alarm);
    return session_fail(EPERM, hint, "apply: alarm %s%s; nothing was changed", a->alarm,
                        a->alarms > 1 ? ", and more alarms" : "");
}

static int choose(struct applying *a, const struct tree_command *c)
{
    int r = index_open(session.entry, &a->index);

    if (r == 0)
        r = restored_load(session.entry, &a->restored);
    if (r < 0)
        return session_fail(r, NULL, "read the list of changes: %s", strerror(-r));
    if (c->flags & TREE_DECIDED && (r = decisions_load(session.entry, &a->index, &a->decisions)) < 0)
        return session_fail(r, "strongroom review --anew forgets them; --all does not ask for them",
                            "apply: the decisions that are kept are about another list");
    decisions_count(&a->decisions, &a->index, &session.decided);
    a->chosen = mem_reserve(select_bytes(&a->index));
    r = a->chosen ? select_rows(&a->index, &a->decisions, a->chosen) : -ENOMEM;
    if (r == 0)
        r = check_rows(a);
    if (r < 0)
        return session_fail(r, NULL, "check the changes: %s", strerror(-r));
    if (a->conflicts && !(c->flags & TREE_SKIP_CONFLICTS))
        return session_fail(EBUSY, "--skip-conflicts applies the others; or name paths",
                            "apply: %s%s; nothing was changed", a->first,
                            a->conflicts > 1 ? ", and more conflicts with the host" : "");
    if (c->flags & TREE_ONLY_CLEAN && a->alarms)
        return refuse_alarms(a);
    return a->totals.rows ? 0 : nothing_chosen(a);
}

/* What an operation needs to know of the folder around: its times. Returns the folder; -ENOENT: it is not there. */
static int look_around(struct applying *a, const char *path, struct journal_op *op, const char **ret_name)
{
    struct stat s;
    int dir = beneath_parent(&a->lower, path, ret_name);

    op->old_mtime_nsec = UTIME_OMIT;
    if (dir < 0)
        return no_folder(dir) ? -ENOENT : dir;
    if (fstat(dir, &s) < 0)
        return -errno;
    const struct timespec *t = strchr(path, '/') ? &s.st_mtim : &a->stage.root.st_mtim;
    op->old_mtime = t->tv_sec;
    op->old_mtime_nsec = (uint32_t)t->tv_nsec;
    return dir;
}

static int plan_content(struct applying *a, const struct index_row *row, const char *path,
                        struct journal_op *op)
{
    const bool replaces = row->kind == TREE_MODIFIED;
    const char *name;
    struct stat like;
    int r = stage_shelf(&a->stage, op->number);

    if (r < 0)
        return r;
    int dir = look_around(a, path, op, &name);
    op->what = replaces ? OP_REPLACE : OP_ADD;
    op->new_mode = row->new_mode;
    if (dir < 0 && (replaces || dir != -ENOENT))
        return dir;
    FD_AUTO like_fd =
        replaces && row->file == TREE_REGULAR ? beneath_open(dir, name, O_RDONLY) : -1; /* if we may */
    if (replaces &&
        (like_fd >= 0 ? fstat(like_fd, &like) : fstatat(dir, name, &like, AT_SYMLINK_NOFOLLOW)) < 0)
        return -errno;
    return stage_fill(&a->stage, row, path, op, replaces ? &like : NULL, like_fd);
}

enum pass { PASS_OPEN, PASS_DELETE, PASS_CONTENT, PASS_CLOSE, PASS_COUNT };

/* Modes that let us in come first, those that shut come last. */
static bool opens(const struct index_row *row)
{
    return (row->new_mode & ~row->old.mode & 0700) != 0;
}

/* What an operation may take away. */
static struct fingerprint old_of(struct applying *a, const struct index_row *row, const char *path)
{
    const char *name;
    struct stat s;

    if (a->restored.count == 0 || row->kind == TREE_ADDED)
        return row->old;
    const int dir = beneath_parent(&a->lower, path, &name);
    return dir >= 0 && fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) == 0
               ? restored_as(&a->restored, &row->old, &s)
               : row->old;
}

static int plan_row(struct applying *a, enum pass pass, const struct index_row *row, const char *path)
{
    struct journal_op op = {
        .file = row->file, .number = (uint32_t)a->out.head.ops, .old = old_of(a, row, path)};
    const bool content = row->kind == TREE_ADDED || (row->kind == TREE_MODIFIED && row->flags & ROW_CONTENT);
    const bool mode = row->kind == TREE_MODIFIED && !content && row->flags & ROW_MODE;
    const char *name;
    int r = 0;

    if (pass == PASS_DELETE && row->kind == TREE_DELETED) {
        op.what = OP_DELETE;
        op.reserved[0] = (row->flags & ROW_RETYPED) != 0;
        r = stage_shelf(&a->stage, op.number);
        if (r == 0)
            r = look_around(a, path, &op, &name);
        r = r == -ENOENT || r > 0 ? 0 : r;
    } else if (pass == PASS_CONTENT && content) {
        r = plan_content(a, row, path, &op);
    } else if (mode && pass == (opens(row) ? PASS_OPEN : PASS_CLOSE)) {
        op.what = OP_MODE;
        op.old_mtime_nsec = UTIME_OMIT;
        op.new_mode = (row->old.mode & 01000) | row->new_mode;
    } else if (pass == PASS_CLOSE && row->kind == TREE_ADDED && row->file == TREE_FOLDER) {
        struct stat s;
        int dir = beneath_parent(&a->stage.upper, path, &name);
        r = dir < 0 ? dir : fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        op.what = OP_SETTLE;
        op.new_mode = row->new_mode;
        op.mtime = r == 0 ? s.st_mtim.tv_sec : 0;
        op.mtime_nsec = r == 0 ? (uint32_t)s.st_mtim.tv_nsec : UTIME_OMIT;
    }
    if (op.what && !strchr(path, '/') && op.what != OP_MODE && op.what != OP_SETTLE)
        a->out.head.stamps_root = 1;
    if (r == 0 && op.what)
        r = journal_add(&a->out, &op, path);
    if (r < 0)
        tell_path(path, strerror(-r));
    return r;
}

/* Folders are deleted after what is in them, and settled so too: the rows are then taken backwards. */
static int plan_pass(struct applying *a, enum pass pass, const size_t *offsets, size_t rows)
{
    const bool backwards = pass == PASS_DELETE || pass == PASS_CLOSE;
    int r = 0;

    for (size_t i = 0; i < rows && r >= 0; i++) {
        const size_t n = backwards ? rows - 1 - i : i;
        size_t at = offsets[n];
        const struct index_row *row;
        const char *path, *detail;
        if (!select_has(a->chosen, n))
            continue;
        r = index_next(&a->index, &at, &row, &path, &detail);
        if (r > 0)
            r = plan_row(a, pass, row, path);
    }
    return r < 0 ? r : 0;
}

static int plan_all(struct applying *a)
{
    const size_t rows = (size_t)a->index.head->totals.rows;
    size_t *offsets = mem_reserve((rows + 1) * sizeof *offsets), at = 0;
    const struct index_row *row;
    const char *path, *detail;
    int r = offsets ? 0 : -ENOMEM;

    for (size_t n = 0; r == 0 && n < rows; n++) {
        offsets[n] = at;
        r = index_next(&a->index, &at, &row, &path, &detail) > 0 ? 0 : -EBADMSG;
    }
    for (int pass = 0; pass < PASS_COUNT && r == 0; pass++)
        r = plan_pass(a, (enum pass)pass, offsets, rows);
    mem_release(offsets, (rows + 1) * sizeof *offsets);
    return r;
}

static int sync_stage(struct applying *a)
{
    if (a->out.head.ops > SYNC_EACH)
        return syncfs(a->stage.fd) < 0 ? -errno : 0;
    for (uint64_t i = 0; i < a->out.head.ops; i++) {
        char number[STAGE_PATH_MAX];
        stage_path(false, (uint32_t)i, number);
        FD_AUTO fd = openat(a->stage.fd, number, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && fsync(fd) < 0)
            return -errno;
    }
    static_assert(SYNC_EACH <= STAGE_SHELF, "all of it lies on the first shelf");
    FD_AUTO shelf = openat(a->stage.fd, "s0", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (shelf >= 0 && fsync(shelf) < 0)
        return -errno;
    return fsync(a->stage.fd) < 0 ? -errno : 0;
}

/* What mends a refusal of the workspace's file system. NULL: nothing known. */
static const char *way_out(int r)
{
    static const struct {
        int error;
        const char *hint;
    } rows[] = {
        {EROFS, "the file system is read-only: mount it writable; the changes are kept"},
        {EACCES, "the folder must be yours to write to: apply as its owner; the changes are kept"},
        {EPERM, "the folder must be yours to write to: apply as its owner; the changes are kept"},
        {ENOSPC, "free space where the workspace lies; the changes are kept"},
        {EDQUOT, "free space where the workspace lies; the changes are kept"},
        {EEXIST, "something of this name is there; it is not ours"},
        {EINVAL, "an access list (ACL) that names others is only root's to copy: apply as root, or --except "
                 "the file"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (r == -rows[i].error)
            return rows[i].hint;
    return NULL;
}

/* Everything up to the journal. What fails here has changed nothing. */
static int prepare(struct applying *a, const char *id)
{
    int r = store_set_state(session.entry, STORE_APPLYING);

    step_done();
    if (r < 0)
        return session_fail(r, NULL, "apply: keep the state: %s", strerror(-r));
    r = fstat(session.lower, &a->stage.root) < 0 ? -errno
                                                 : journal_create(session.entry, &a->stage.root, &a->out);
    step_done();
    if (r == 0)
        r = stage_create(&a->stage, id);
    step_done();
    if (r < 0) {
        journal_drop(session.entry, &a->out);
        (void)store_set_state(session.entry, a->before); /* else RECOVER does it */
        a->nothing_done = true;
        return session_fail(r, way_out(r), "apply: make %s%s in the workspace: %s; nothing was changed",
                            STORE_STAGE, id, strerror(-r));
    }
    r = plan_all(a);
    if (r == 0)
        r = sync_stage(a);
    a->out.head.totals = a->totals;
    memcpy(a->out.head.id, id, STORE_ID_SIZE);
    step_done();
    if (r == 0)
        r = journal_finish(session.entry, &a->out);
    else
        journal_leave(&a->out); /* what was before is read from it once more */
    step_done();
    return r < 0 ? session_fail(r, way_out(r), "apply: get ready: %s; nothing was changed", strerror(-r)) : 0;
}

/* All of it on the disk, and then the word that it is. The word is written before, so that where the entry is on the
 * workspace's file system one wait for the disk serves both. */
static int make_last(struct ops *o, struct journal *j)
{
    struct stat entry;
    int r = fstat(session.entry, &entry) < 0 ? -errno : 0;

    if (r == 0)
        r = store_get_ready(session.entry, STORE_APPLIED,
                            (uint64_t)entry.st_dev != j->head->dev || j->head->ops <= SYNC_EACH);
    step_done();
    if (r == 0)
        r = ops_sync(o, j, SYNC_EACH);
    step_done();
    if (r == 0)
        r = store_take_ready(session.entry);
    step_done();
    return r;
}

static int carry_out(struct applying *a)
{
    struct ops o = {
        .tree = {.root = session.lower, .fd = session.lower}, .stage = a->stage.fd, .fresh = true};
    struct journal j;
    char text[2048];
    struct sbuf b = SBUF(text);
    int r = journal_open(session.entry, &j);

    if (r == 0)
        r = ops_forward(&o, &j);
    if (r == 0)
        r = stage_keep(&a->stage);
    step_done();
    if (r == 0)
        r = make_last(&o, &j);
    sbuf_escaped(&b, o.failed ? o.failed : "the workspace");
    if (r < 0)
        (void)session_fail(r, way_out(r), "apply: %s: %s; all was put back", text,
                           o.why ? o.why : strerror(-r));
    journal_close(&j);
    beneath_parent_close(&o.tree);
    return r;
}

static int apply(struct applying *a, const struct tree_command *c)
{
    struct store_meta *m = mem_reserve(sizeof *m);
    int r = m ? store_read_meta(session.entry, m, NULL) : -ENOMEM;

    if (r < 0)
        return session_fail(r, NULL, "read what the changes are about: %s", strerror(-r));
    r = store_get_state(session.entry, &a->before);
    if (r == 0 && a->before != STORE_PENDING && a->before != STORE_UNDONE)
        r = session_fail(EALREADY, a->before == STORE_APPLIED ? "strongroom undo takes it back" : NULL,
                         "apply %s: it is %s", m->id, store_state_name(a->before));
    if (r == 0)
        r = choose(a, c);
    if (r == 0) {
        r = prepare(a, m->id);
        if (r == 0)
            r = carry_out(a);
        if (r < 0 && !a->nothing_done)
            (void)recover_apply(m->id, a->before); /* tells by itself when it cannot */
        if (r == 0)
            tidy_applied(&a->stage);
    }
    mem_release(m, sizeof *m);
    return r;
}

void verb_apply(const struct tree_command *c)
{
    static struct applying a;

    memset(&a, 0, sizeof a);
    a.lower = (struct beneath_parent){.root = session.lower, .fd = session.lower};
    a.stage.fd = -1;
    if (apply(&a, c) == 0)
        session_flush();
    session.totals = a.totals;
    session.totals.conflicts = a.conflicts;
    stage_close(&a.stage);
    mem_release(a.chosen, a.index.head ? select_bytes(&a.index) : 0);
    decisions_free(&a.decisions);
    restored_free(&a.restored);
    index_close(&a.index);
    beneath_parent_close(&a.lower);
}
