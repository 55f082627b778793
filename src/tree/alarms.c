/* alarms: see alarms.h.
 *
 * Lives in: strongroom-tree, while the index is written. Trusts: nothing of the layer. Must not: change anything. */
#include "tree/alarms.h"
#include "sys/fd.h"
#include "tree/beneath.h"
#include "tree/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MASS_FILES 100 /* from so many deleted files on it is told, whatever their share */
#define MASS_SHARE 50  /* percent of a folder of the top from which on it is */
#define TARGET_MAX 4096

static const struct {
    const char *name, *why;
} table[ALARM_COUNT] = {
#define ALARM_ROW(id, name, why) [ALARM_##id] = {name, why},
    ALARM_TABLE(ALARM_ROW)
#undef ALARM_ROW
};

const char *alarm_name(unsigned alarm)
{
    return alarm > 0 && alarm < ALARM_COUNT ? table[alarm].name : "";
}

const char *alarm_why(unsigned alarm)
{
    return alarm > 0 && alarm < ALARM_COUNT ? table[alarm].why : "";
}

int alarms_begin(struct alarms_total *t, int lower)
{
    *t = (struct alarms_total){.lower = lower};
    return 0;
}

static void look_at_link(const struct walk *w, struct index_row *row, struct sbuf *detail)
{
    char target[TARGET_MAX];
    ssize_t n = readlinkat(w->dir[WALK_UPPER], w->name, target, sizeof target - 1);

    target[n > 0 ? n : 0] = '\0';
    if (n > 0 && !handoff_leaves(w->path, target))
        return;
    row->alarm = ALARM_LINK_OUT;
    sbuf_text(detail, "-> ");
    sbuf_escaped(detail, target);
}

/* The beginning of a file, as far as it is looked at. */
static struct handoff_text load(const struct walk *w, enum walk_side side)
{
    static char memory[WALK_SIDES][HANDOFF_READ_MAX];
    struct handoff_text t = {memory[side], 0};

    if (!w->has[side] || !S_ISREG(w->stat[side].st_mode))
        return t;
    FD_AUTO fd = (side == WALK_UPPER ? beneath_open_ours : beneath_open)(w->dir[side], w->name, O_RDONLY);
    const ssize_t n = fd < 0 ? 0 : beneath_read(fd, memory[side], HANDOFF_READ_MAX);
    t.size = n > 0 ? (size_t)n : 0;
    return t;
}

/* What would run outside. A file that is longer than what is looked at, is told in any case. */
static void look_at_handoff(const struct walk *w, struct index_row *row, struct sbuf *detail)
{
    const unsigned alarm = handoff_path(w->path);

    if (alarm == ALARM_NONE || row->file == TREE_FOLDER)
        return;
    if (row->file == TREE_REGULAR && row->kind == TREE_MODIFIED && !(row->flags & ROW_CONTENT)) {
        if (row->new_mode & ~row->old.mode & 0111) { /* a hook that only lacked this */
            row->alarm = (uint8_t)alarm;
            sbuf_text(detail, "made executable");
        }
        return;
    }
    if (row->file == TREE_REGULAR) {
        const struct handoff_text new = load(w, WALK_UPPER);
        struct handoff_text old = load(w, WALK_LOWER);
        if (row->kind == TREE_ADDED)
            old.size = 0;
        if (!handoff_line(alarm, w->path, old, new, detail) && new.size < HANDOFF_READ_MAX)
            return;
    }
    row->alarm = (uint8_t)alarm;
}

/* How much of what is deleted lies in which folder of the top: the walk comes by them one after the other. */
static void count_deleted(struct alarms_total *t, const char *path)
{
    const char *slash = strchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) : 0;

    t->deleted_files++;
    if (n >= sizeof t->at)
        return;
    if (strncmp(t->at, path, n) != 0 || t->at[n] != '\0') {
        memcpy(t->at, path, n);
        t->at[n] = '\0';
        t->in_at = 0;
    }
    if (++t->in_at > t->in_folder) {
        t->in_folder = t->in_at;
        memcpy(t->folder, t->at, n + 1);
    }
}

void alarms_row(struct alarms_total *t, const struct walk *w, struct index_row *row, struct sbuf *detail)
{
    if (row->kind == TREE_DELETED) {
        if (row->file != TREE_FOLDER)
            count_deleted(t, w->path);
        return;
    }
    if (row->file == TREE_SPECIAL)
        row->alarm = ALARM_SPECIAL;
    else if (row->flags & ROW_LEFT_OUT)
        row->alarm = ALARM_UNREADABLE;
    else if (row->flags & ROW_SETID)
        row->alarm = ALARM_SETID;
    else
        look_at_handoff(w, row, detail);
    if (row->alarm == 0 && row->file == TREE_LINK)
        look_at_link(w, row, detail);
    if (row->alarm == 0 && row->kind == TREE_MODIFIED && row->file == TREE_REGULAR &&
        row->flags & ROW_CONTENT && row->flags & ROW_WAS_BINARY && row->old.mode & 0111)
        row->alarm = ALARM_BINARY_REPLACED;
}

/* Files that are left in a folder of the workspace, up to `enough`. */
static uint64_t count_files(int lower, const char *folder, uint64_t enough)
{
    struct walk w;
    uint64_t n = 0;
    FD_AUTO fd = folder[0] ? beneath_open(lower, folder, O_RDONLY | O_DIRECTORY)
                           : beneath_open(lower, ".", O_RDONLY | O_DIRECTORY);

    if (fd < 0 || walk_open(&w, fd, -1, 1 << WALK_UPPER) < 0)
        return 0;
    while (n < enough) {
        int r = walk_next(&w);
        if (r <= 0)
            break;
        if (r == WALK_LEAVE)
            continue;
        if (S_ISDIR(w.stat[WALK_UPPER].st_mode))
            (void)walk_enter(&w, 1 << WALK_UPPER, 1 << WALK_UPPER,
                             0); /* what cannot be entered counts nothing */
        else
            n++;
    }
    walk_close(&w);
    return n;
}

void alarms_end(struct alarms_total *t, struct index_header *head)
{
    const uint64_t enough = t->in_folder * 100 / MASS_SHARE + 1;

    if (t->deleted_files < ALARMS_MASS_LEAST)
        return;
    const uint64_t there = count_files(t->lower, t->folder, enough);
    if (t->deleted_files < MASS_FILES && there >= enough)
        return;
    struct sbuf b = SBUF(head->mass_detail);
    char name[4 * sizeof t->folder];
    struct sbuf n = SBUF(name);
    sbuf_escaped(&n, t->folder);
    if (n.len > 60)
        n.text[60] = '\0';
    sbuf_fmt(&b, "%llu files", (unsigned long long)t->deleted_files);
    if (there && there < enough)
        sbuf_fmt(&b, "; in %s %llu of %llu (%llu%%)", name[0] ? name : "the top folder",
                 (unsigned long long)t->in_folder, (unsigned long long)there,
                 (unsigned long long)(t->in_folder * 100 / there));
    head->mass_detail_len = (uint32_t)b.len;
    head->mass = ALARM_MASS_DELETION;
    head->totals.alarms++;
}
