/* alarms: see alarms.h.
 *
 * Lives in: strongroom-tree, while the index is written. Trusts: nothing of the layer. Must not: change anything. */
#include "tree/alarms.h"
#include "tree/beneath.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MASS_FILES 50 /* from so many deleted files on it is told, whatever their share */
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

/* Whether a link at `path` with this target leaves the tree, by words: nothing is looked up. */
static bool leaves(const char *path, const char *target)
{
    long depth = 0;

    if (target[0] == '/')
        return true;
    for (const char *at = strchr(path, '/'); at; at = strchr(at + 1, '/'))
        depth++;
    while (*target) {
        const char *slash = strchr(target, '/');
        size_t n = slash ? (size_t)(slash - target) : strlen(target);
        if (n == 2 && target[0] == '.' && target[1] == '.') {
            if (--depth < 0)
                return true;
        } else if (n && !(n == 1 && target[0] == '.')) {
            depth++;
        }
        target += n + (slash != NULL);
    }
    return false;
}

static void look_at_link(const struct walk *w, struct index_row *row, struct sbuf *detail)
{
    char target[TARGET_MAX];
    ssize_t n = readlinkat(w->dir[WALK_UPPER], w->name, target, sizeof target - 1);

    target[n > 0 ? n : 0] = '\0';
    if (n > 0 && !leaves(w->path, target))
        return;
    row->alarm = ALARM_LINK_OUT;
    sbuf_text(detail, "-> ");
    sbuf_escaped(detail, target);
}

void alarms_row(struct alarms_total *t, const struct walk *w, struct index_row *row, struct sbuf *detail)
{
    if (row->kind == TREE_DELETED) {
        t->deleted_files += row->file != TREE_FOLDER;
        return;
    }
    if (row->file == TREE_SPECIAL)
        row->alarm = ALARM_SPECIAL;
    else if (row->flags & ROW_LEFT_OUT)
        row->alarm = ALARM_UNREADABLE;
    else if (row->flags & ROW_SETID)
        row->alarm = ALARM_SETID;
    else if (row->file == TREE_LINK)
        look_at_link(w, row, detail);
    else if (row->kind == TREE_MODIFIED && row->flags & ROW_CONTENT && row->flags & ROW_WAS_BINARY &&
             row->old.mode & 0111)
        row->alarm = ALARM_BINARY_REPLACED;
}

void alarms_end(struct alarms_total *t, struct index_header *head)
{
    if (t->deleted_files < MASS_FILES)
        return;
    struct sbuf b = SBUF(head->mass_detail);
    sbuf_fmt(&b, "%llu files", (unsigned long long)t->deleted_files);
    head->mass_detail_len = (uint32_t)b.len;
    head->mass = ALARM_MASS_DELETION;
    head->totals.alarms++;
}
