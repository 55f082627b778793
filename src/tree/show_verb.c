/* show_verb: SHOW, ROWS and DIFF.
 *
 * Lives in: strongroom-tree. Trusts: the index by form. Must not: change anything. */
#include "base/sbuf.h"
#include "sys/mem.h"
#include "tree/alarms.h"
#include "tree/diff.h"
#include "tree/show.h"
#include "tree/verbs.h"

#include <errno.h>
#include <string.h>

static int show(const struct index *x, const uint8_t *chosen, const struct tree_command *c)
{
    const bool colours = c->flags & TREE_COLOUR;
    int r;

    show_totals(x, chosen, &session.totals);
    switch (c->what) {
    case TREE_LIST:
        return show_list(x, chosen, colours);
    case TREE_FULL:
        r = show_list(x, chosen, colours);
        if (r == 0)
            session_text("\n");
        return r < 0 ? r : diff_all(x, chosen, false, colours);
    case TREE_NAMES:
        return show_names(x, chosen);
    case TREE_STAT:
        return show_stat(x, chosen);
    case TREE_JSON:
        return show_json(x, chosen);
    case TREE_PATCH:
        return diff_all(x, chosen, true, false);
    default:
        return -EPROTO;
    }
}

void verb_show(const struct tree_command *c)
{
    struct index x = {0};
    uint8_t *chosen = NULL;
    int r = index_open(session.entry, &x);

    if (r == 0) {
        chosen = mem_reserve(select_bytes(&x));
        r = chosen ? select_rows(&x, chosen) : -ENOMEM;
    }
    if (r == 0)
        r = show(&x, chosen, c);
    if (r < 0)
        (void)session_fail(r, NULL, "read the changes: %s", strerror(-r));
    mem_release(chosen, chosen ? select_bytes(&x) : 0);
    index_close(&x);
}

static void send_row(const struct index_row *row, size_t n, const char *path, const char *detail)
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
    sbuf_escaped(&b, path);
    if (row->file == TREE_FOLDER)
        sbuf_char(&b, '/');
    r->size = (uint32_t)b.len;
    sbuf_fmt(&h, "%s%s%s", alarm_why(row->alarm), row->alarm && detail[0] ? ": " : "", detail);
    session_send(TREE_ROW);
}

void verb_rows(const struct tree_command *c)
{
    struct index x = {0};
    const struct index_row *row;
    const char *path, *detail;
    uint64_t seen = 0;
    int r = index_open(session.entry, &x);

    for (int group = 0; group < SHOW_GROUPS && r >= 0; group++) {
        size_t at = 0, n = 0;
        for (; (r = index_next(&x, &at, &row, &path, &detail)) > 0; n++) {
            if (show_group_of(row) != (enum show_group)group)
                continue;
            if (seen >= c->row && seen - c->row < c->count)
                send_row(row, n, path, detail);
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

void verb_diff(const struct tree_command *c)
{
    struct index x = {0};
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0;
    int r = index_open(session.entry, &x);

    for (uint64_t n = 0; r == 0 || r == 1; n++) {
        r = index_next(&x, &at, &row, &path, &detail);
        if (r == 1 && n == c->row) {
            r = diff_one(row, path, false, c->flags & TREE_COLOUR);
            break;
        }
        if (r == 0)
            r = -ENOENT;
    }
    if (r < 0)
        (void)session_fail(r, NULL, "compare: %s", strerror(-r));
    index_close(&x);
}
