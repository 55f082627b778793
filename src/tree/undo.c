/* undo: see undo.h.
 *
 * Theory of operation. An undo is the journal backwards, with what was taken away brought back into the stage
 * first. One that did not end is done forwards again, so that the tree is what the apply had made of it; an apply
 * that did not end is done backwards. Either way a crash leaves one of the two trees that somebody wanted.
 *
 * Lives in: strongroom-tree. Trusts: the journal by form. Must not: take back what somebody changed since. */
#include "tree/undo.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/beneath.h"
#include "tree/git_index.h"
#include "tree/git_view.h"
#include "tree/ops.h"
#include "tree/restored.h"
#include "tree/session.h"
#include "tree/step.h"
#include "tree/verbs.h"

#include <stdio.h>
#include <string.h>

#define SYNC_EACH 64

static void tell(const char *path, const char *why)
{
    char text[2048];
    struct sbuf b = SBUF(text);

    sbuf_escaped(&b, path);
    session_fmt("  %s: %s\n", text, why);
}

static int set_state(enum store_state s)
{
    int r = store_set_state(session.entry, s);

    step_done();
    return r;
}

/* The workspace's own times: the stage coming and going stamps them. */
static void restore_root(const struct journal_header *h)
{
    const struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {h->old_mtime, h->old_mtime_nsec}};

    FD_AUTO fd = openat(session.lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)futimens(fd, t); /* a time that is off hurts nothing */
}

/* From here on the journal's operations are not looked at again: what is in the stage is no sign any more of what
 * was done when it is being emptied. */
static int close_journal(void)
{
    int r = renameat(session.entry, STORE_JOURNAL, session.entry, JOURNAL_BEGUN) < 0 ? -errno : 0;

    if (r == 0 && fsync(session.entry) < 0)
        r = -errno;
    step_done();
    return r;
}

/* Everything is as before: the stage goes, the workspace gets its times back, the entry its state. */
static int tidy(struct stage *s, enum store_state state)
{
    struct journal_header begun;
    int r = restored_take(session.entry);

    step_done();
    if (r == 0)
        r = stage_remove(s);
    if (r == 0 && journal_begun(session.entry, &begun) == 0)
        restore_root(&begun);
    if (r == 0)
        r = remove_tree(session.entry, STORE_OLD);
    if (r == 0)
        r = remove_tree(session.entry, ".old");
    step_done();
    if (r == 0)
        r = set_state(state);
    if (r == 0 && unlinkat(session.entry, JOURNAL_BEGUN, 0) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

/* The bytes of a file, copied; NULL: none, or too many. mem_release(bytes, *ret_size). */
static uint8_t *load(int dir, const char *name, bool ours, size_t *ret_size)
{
    FD_AUTO fd = (ours ? beneath_open_ours : beneath_open)(dir, name, O_RDONLY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
        (uint64_t)st.st_size > GIT_INDEX_MAX)
        return NULL;
    uint8_t *bytes = mem_reserve((size_t)st.st_size);
    if (bytes)
        (void)beneath_read(fd, bytes, (size_t)st.st_size); /* what is missing is zeros, and no index */
    *ret_size = (size_t)st.st_size;
    return bytes;
}

/* git writes the index of a repository anew whenever it looks at the files. What counts of it is what it says of
 * them, as the layer has it that was applied. */
static bool same_index(const char *path, int dir, const char *name)
{
    const size_t internal = git_internal(path);
    const char *last;
    size_t a_size = 0, b_size = 0;
    bool same = false;

    if (internal == 0 || strcmp(path + internal, "/index") != 0)
        return false;
    FD_AUTO upper = beneath_open(session.entry, STORE_UPPER, O_PATH | O_DIRECTORY);
    struct beneath_parent layer = {.root = upper, .fd = upper};
    const int around = upper < 0 ? upper : beneath_parent(&layer, path, &last);
    uint8_t *a = around < 0 ? NULL : load(around, last, true, &a_size), *b = load(dir, name, false, &b_size);
    if (a && b)
        same = git_index_same(a, a_size, b, b_size);
    mem_release(a, a_size);
    mem_release(b, b_size);
    beneath_parent_close(&layer);
    return same;
}

static int backwards(struct stage *s, struct journal *j, uint64_t *ret_kept)
{
    struct ops o = {.tree = {.root = session.lower, .fd = session.lower},
                    .stage = s->fd,
                    .tell = tell,
                    .same = same_index};
    int r = ops_backward(&o, j);

    if (r == 0)
        r = ops_restore_times(&o, j);
    if (r == 0)
        r = ops_sync(&o, j, SYNC_EACH);
    if (r < 0 && o.failed)
        tell(o.failed, strerror(-r));
    *ret_kept = o.kept;
    beneath_parent_close(&o.tree);
    return r;
}

/* The stage is where it should be, wherever the crash left it. -ENOENT: nowhere. */
static int find_stage(struct stage *s, const char *id)
{
    int r = stage_open(s, id);

    return r == -ENOENT ? stage_bring_back(s, id) : r;
}

int recover_apply(const char *id, enum store_state before)
{
    struct journal j = {0};
    struct stage s = {.fd = -1};
    uint64_t kept = 0;
    int r = journal_open(session.entry, &j);

    if (r == 0) {
        r = find_stage(&s, id);
        if (r == 0)
            r = backwards(&s, &j, &kept);
        if (r == 0)
            r = close_journal();
        before = STORE_UNDONE;
    } else if (r == -ENOENT) {
        r = stage_open(&s, id);
        r = r == -ENOENT ? 0 : r;
    }
    journal_close(&j);
    if (r == 0)
        r = tidy(&s, before);
    stage_close(&s);
    if (r < 0)
        session_fmt("  what was done could not be taken back: %s; strongroom undo tries again\n",
                    strerror(-r));
    return r;
}

void tidy_applied(struct stage *s)
{
    struct journal j;

    (void)stage_remove(s); /* only where old/ is a copy is there anything left; UNDO and RECOVER try again */
    if (journal_open(session.entry, &j) == 0) {
        if (!j.head->stamps_root)
            restore_root(j.head);
        journal_close(&j);
    }
}

/* An undo that did not end: the tree becomes again what the apply had made, unless all was taken back already. */
static int recover_undo(const char *id)
{
    struct ops o = {.tree = {.root = session.lower, .fd = session.lower}, .tell = tell, .same = same_index};
    struct journal j = {0};
    struct stage s = {.fd = -1};
    int found = stage_open(&s, id), r = journal_open(session.entry, &j);

    if (r == -ENOENT) {
        r = tidy(&s, STORE_UNDONE);
    } else if (r == 0) {
        o.stage = s.fd;
        restored_drop(session.entry);
        if (found == 0) {
            r = ops_forward(&o, &j);
            if (r == 0)
                r = ops_sync(&o, &j, SYNC_EACH);
            if (r == 0)
                r = stage_keep(&s);
            if (r < 0 && o.failed)
                tell(o.failed, strerror(-r));
        } else if (found != -ENOENT) { /* that: it had not begun */
            r = found;
        }
        if (r == 0)
            r = set_state(STORE_APPLIED);
        if (r == 0)
            tidy_applied(&s);
    }
    journal_close(&j);
    stage_close(&s);
    beneath_parent_close(&o.tree);
    return r;
}

static int undo(const char *id)
{
    struct ops o = {.tree = {.root = session.lower, .fd = session.lower}, .same = same_index};
    struct journal j;
    struct stage s = {.fd = -1};
    uint64_t kept = 0;
    int r = journal_open(session.entry, &j);

    if (r < 0)
        return session_fail(r, NULL, "undo %s: read the journal: %s", id, strerror(-r));
    r = stage_open(&s, id); /* left by an apply across file systems that ended in a crash */
    if (r == 0)
        (void)stage_remove(&s);
    r = ops_untouched(&o, &j, tell);
    beneath_parent_close(&o.tree);
    if (r == -EBUSY)
        (void)session_fail(EBUSY, "put these files back as they were applied, or leave it",
                           "undo %s: the workspace changed since; nothing was changed", id);
    else if (r < 0)
        (void)session_fail(r, NULL, "undo %s: %s", id, strerror(-r));
    if (r == 0)
        session.totals = j.head->totals;
    if (r == 0 && (r = set_state(STORE_UNDOING)) == 0) {
        r = stage_bring_back(&s, id);
        if (r == 0)
            r = backwards(&s, &j, &kept);
        if (r == 0)
            r = restored_keep(session.entry, session.lower, &j);
        step_done();
        if (r == 0)
            r = close_journal();
        if (r == 0)
            r = tidy(&s, STORE_UNDONE);
        if (r < 0) {
            stage_close(&s);
            int again = recover_undo(id);
            r = session_fail(r, again < 0 ? "try once more when the cause is mended" : NULL,
                             "undo %s: %s; %s", id, strerror(-r),
                             again < 0 ? "it is undone in part" : "nothing was changed");
        }
    }
    journal_close(&j);
    stage_close(&s);
    return r;
}

/* What the verb is about; the caller's lock keeps others away meanwhile. */
static int begin(struct store_meta **ret, enum store_state *ret_state)
{
    struct store_meta *m = mem_reserve(sizeof *m);
    int r = m ? store_read_meta(session.entry, m, NULL) : -ENOMEM;

    if (r == 0)
        r = store_get_state(session.entry, ret_state);
    if (r < 0) {
        mem_release(m, sizeof *m);
        return session_fail(r, NULL, "read what the changes are about: %s", strerror(-r));
    }
    *ret = m;
    return 0;
}

void verb_undo(const struct tree_command *c)
{
    struct store_meta *m = NULL;
    enum store_state state = STORE_RUNNING;

    (void)c;
    if (begin(&m, &state) < 0)
        return;
    if (state != STORE_APPLIED)
        (void)session_fail(ENOENT, "only what was applied can be undone", "undo %s: it is %s", m->id,
                           store_state_name(state));
    else
        (void)undo(m->id);
    mem_release(m, sizeof *m);
}

void verb_recover(const struct tree_command *c)
{
    struct store_meta *m = NULL;
    enum store_state state = STORE_RUNNING;
    int r = 0;

    (void)c;
    if (begin(&m, &state) < 0)
        return;
    if (state == STORE_APPLYING)
        r = recover_apply(m->id, STORE_UNDONE);
    else if (state == STORE_UNDOING)
        r = recover_undo(m->id);
    if (r < 0)
        (void)session_fail(r, NULL, "recover %s: %s", m->id, strerror(-r));
    mem_release(m, sizeof *m);
}

void verb_discard(const struct tree_command *c)
{
    static const char *const names[] = {STORE_UPPER, STORE_HALF, STORE_WORK, STORE_OLD, ".old"};
    int r = 0;

    (void)c;
    for (size_t i = 0; i < sizeof names / sizeof *names && r == 0; i++)
        r = remove_tree(session.entry, names[i]);
    if (r < 0)
        (void)session_fail(r, NULL, "discard: %s", strerror(-r));
}
