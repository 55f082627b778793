/* show_verb: SHOW, ROWS and DIFF.
 *
 * Lives in: strongroom-tree. Trusts: the index by form. Must not: change anything. */
#include "base/sbuf.h"
#include "sys/mem.h"
#include "tree/alarms.h"
#include "tree/diff.h"
#include "tree/git_view.h"
#include "tree/import.h"
#include "tree/items.h"
#include "tree/show.h"
#include "tree/verbs.h"

#include <errno.h>
#include <string.h>

static int show(const struct index *x, const struct decisions *d, const uint8_t *chosen,
                const struct tree_command *c)
{
    const bool colours = c->flags & TREE_COLOUR;
    int r;

    show_totals(x, chosen, &session.totals);
    switch (c->what) {
    case TREE_LIST:
        return show_list(x, d, chosen, colours);
    case TREE_FULL:
        r = show_list(x, d, chosen, colours);
        if (r == 0)
            session_text("\n");
        return r < 0 ? r : diff_all(x, chosen, colours ? DIFF_COLOURS : 0);
    case TREE_NAMES:
        return show_names(x, chosen);
    case TREE_STAT:
        return show_stat(x, chosen);
    case TREE_JSON:
        return show_json(x, d, chosen);
    case TREE_IMPORT:
        return import_stream();
    case TREE_PATCH:
        return diff_all(x, chosen, DIFF_PATCH);
    default:
        return -EPROTO;
    }
}

void verb_show(const struct tree_command *c)
{
    struct index x = {0};
    struct decisions d = {0};
    uint8_t *chosen = NULL;
    int r = index_open(session.entry, &x);

    show_width(c->count);
    if (r == 0)
        r = decisions_load(session.entry, &x, &d);
    if (r == -ESTALE && !(c->flags & TREE_DECIDED))
        r = 0; /* about another list: as if nothing had been said */
    if (r == 0) {
        decisions_count(&d, &x, &session.decided);
        chosen = mem_reserve(select_bytes(&x));
        r = chosen ? select_rows(&x, c->flags & TREE_DECIDED ? &d : NULL, chosen) : -ENOMEM;
    }
    if (r == 0)
        r = git_view_load(&x, session.lower, c->flags & TREE_ALL);
    if (r == 0)
        r = show(&x, &d, chosen, c);
    if (r < 0 && session.code == 0)
        (void)session_fail(r, NULL, "read the changes: %s", strerror(-r));
    mem_release(chosen, chosen ? select_bytes(&x) : 0);
    decisions_free(&d);
    index_close(&x);
}

static void send_row(const struct index_row *row, size_t n, const char *path, const char *detail,
                     const struct inside *in, enum tree_decision said, bool git)
{
    struct tree_report *r = &session.report;
    struct sbuf b = {.text = r->text, .size = TREE_TEXT_MAX}, h = {.text = r->hint, .size = TREE_HINT_MAX};

    session_flush();
    r->row = n;
    r->kind = row->kind;
    r->file = row->file;
    r->alarm = row->alarm;
    r->conflict = (row->flags & ROW_CONFLICT) != 0;
    r->old_mode = row->old.mode & 07777;
    r->new_mode = row->new_mode;
    r->old_size = S_ISREG(row->old.mode) ? row->old.size : 0;
    r->new_size = row->new_size;
    r->left_out = (row->flags & ROW_LEFT_OUT) != 0;
    r->decision = said;
    r->git = git;
    r->inside = in ? in->count : 0;
    if (in && in->count && !git)
        *(row->kind == TREE_DELETED ? &r->old_size : &r->new_size) = in->bytes;
    sbuf_escaped(&b, path);
    if (row->file == TREE_FOLDER)
        sbuf_char(&b, '/');
    r->size = (uint32_t)b.len;
    sbuf_fmt(&h, "%s%s%s", alarm_why(row->alarm), row->alarm && detail[0] ? ": " : "", detail);
    session_send(TREE_ROW);
}

struct sending {
    const struct tree_command *c;
    const struct decisions *d;
    uint64_t seen;
};

static int send_item(void *ctx, const struct item *i)
{
    struct sending *s = ctx;

    if (s->seen >= s->c->row && s->seen - s->c->row < s->c->count)
        send_row(i->row, i->n, i->path, i->detail, &i->inside,
                 i->inside.count ? i->inside.said : decision_of(s->d, i->n), i->git);
    s->seen++;
    return 0;
}

static void send_items(const struct tree_command *c)
{
    struct index x = {0};
    struct decisions d = {0};
    struct sending s = {.c = c, .d = &d};
    int r = index_open(session.entry, &x);

    if (r == 0)
        r = decisions_load(session.entry, &x, &d);
    if (r == 0)
        r = git_view_load(&x, session.lower, c->flags & TREE_ALL);
    if (r == 0)
        r = items_each(&x, &d, c->what, send_item, &s);
    if (r == 0)
        decisions_count(&d, &x, &session.decided);
    session.totals.rows = s.seen;
    if (r < 0)
        (void)session_fail(r, r == -ESTALE ? "strongroom review --anew forgets what was decided" : NULL,
                           r == -ESTALE ? "read the changes: the decisions are about another list"
                                        : "read the changes: %s",
                           strerror(-r));
    decisions_free(&d);
    index_close(&x);
}

void verb_rows(const struct tree_command *c)
{
    if (c->flags & TREE_FOLDED) {
        send_items(c);
        return;
    }
    struct index x = {0};
    const struct index_row *row;
    const char *path, *detail;
    uint64_t seen = 0;
    int r = index_open(session.entry, &x);

    if (r == 0)
        r = git_view_load(&x, session.lower, false);
    for (int group = 0; group < SHOW_GROUPS && r >= 0; group++) {
        size_t at = 0, n = 0;
        for (; (r = index_next(&x, &at, &row, &path, &detail)) > 0; n++) {
            if (show_group_of(row, n) != (enum show_group)group)
                continue;
            if (seen >= c->row && seen - c->row < c->count)
                send_row(row, n, path, detail, NULL, TREE_UNDECIDED, false);
            seen++;
        }
    }
    session.totals.rows = seen;
    if (x.head)
        session.totals = x.head->totals;
    if (r < 0)
        (void)session_fail(r, NULL, "read the changes: %s", strerror(-r));
    index_close(&x);
}

#define FOLDED_SHOWN 200 /* entries of a folder whose differences are shown at once */

/* The row, and with TREE_FOLDED all that lies in its folder. */
static int diff_from(const struct index *x, const struct tree_command *c)
{
    const unsigned how = DIFF_WHOLE | (c->flags & TREE_COLOUR ? DIFF_COLOURS : 0);
    const struct index_row *row;
    const char *path, *detail, *folder = NULL;
    size_t at = 0, len = 0;
    uint64_t more = 0;
    int r;

    for (uint64_t n = 0; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
        const bool in = folder && strncmp(path, folder, len) == 0 && path[len] == '/';
        if (folder && !in)
            break;
        if (n != c->row && !in)
            continue;
        if (in && ++more > FOLDED_SHOWN)
            continue;
        if (in)
            session_text("\n");
        r = diff_one(row, path, how);
        if (r < 0 || !(c->flags & TREE_FOLDED))
            return r;
        if (!folder) {
            folder = path;
            len = row->path_len;
        }
    }
    if (r >= 0 && more > FOLDED_SHOWN)
        session_fmt("\n(%llu more entries; the list has them all, opening the folder shows each)\n",
                    (unsigned long long)(more - FOLDED_SHOWN));
    return r < 0 || folder ? r : -ENOENT;
}

void verb_diff(const struct tree_command *c)
{
    struct index x = {0};
    int r = index_open(session.entry, &x);

    if (r == 0 && c->flags & TREE_GIT) {
        r = git_view_load(&x, session.lower, false);
        if (r == 0)
            show_git(&x, NULL, c->flags & TREE_COLOUR);
    } else if (r == 0) {
        r = diff_from(&x, c);
    }
    if (r < 0)
        (void)session_fail(r, NULL, "compare: %s", strerror(-r));
    index_close(&x);
}
