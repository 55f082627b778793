/* items: see items.h.
 *
 * Lives in: strongroom-tree. Trusts: the index by form. */
#include "tree/items.h"
#include "tree/git_view.h"
#include "tree/session.h"
#include "tree/show.h"

#include <errno.h>
#include <string.h>

static bool below(const char *path, const char *folder, size_t len)
{
    return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* Of a set of decisions, one bit each. */
static enum tree_decision said_of(unsigned seen)
{
    return seen & 1u << TREE_UNDECIDED   ? TREE_UNDECIDED
           : seen == 1u << TREE_ACCEPTED ? TREE_ACCEPTED
           : seen == 1u << TREE_REJECTED ? TREE_REJECTED
                                         : TREE_MIXED;
}

void folder_inside(const struct index *x, size_t at, size_t n, const struct index_row *folder,
                   const char *path, const uint8_t *chosen, const struct decisions *d, struct inside *ret)
{
    const struct index_row *row;
    const char *here, *detail;
    const enum show_group group = show_group_of(folder, n);
    unsigned seen = 1u << decision_of(d, n);
    struct inside in = {0};

    *ret = (struct inside){0};
    while (index_next(x, &at, &row, &here, &detail) > 0 && below(here, path, folder->path_len)) {
        n++;
        if (row->kind != folder->kind || show_group_of(row, n) != group || row->alarm ||
            row->flags & (ROW_CONFLICT | ROW_LEFT_OUT) || (chosen && !select_has(chosen, n)))
            return;
        seen |= 1u << decision_of(d, n);
        in.count++;
        in.unkept += row->file != TREE_FOLDER &&
                     (git_view_class(n) == GIT_UNTRACKED || git_view_class(n) == GIT_IGNORED);
        if (row->file == TREE_REGULAR)
            in.bytes += row->kind == TREE_DELETED ? row->old.size : row->new_size;
    }
    in.agreed = (seen & (seen - 1)) == 0;
    in.said = said_of(seen);
    *ret = in;
}

/* The path of a row that is an opened folder. */
static int find_opened(const struct index *x, uint64_t opened, const char **ret_path, size_t *ret_len)
{
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0;
    int r;

    for (uint64_t n = 1; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++)
        if (n == opened && row->file == TREE_FOLDER) {
            *ret_path = path;
            *ret_len = row->path_len;
            return 0;
        }
    return r < 0 ? r : -ENOENT;
}

/* What is summed up of a .git, as one. */
static int sum_item(const struct index *x, const struct decisions *d, item_fn *each, void *ctx)
{
    struct item i = {.git = true, .inside = {.agreed = true}}, sum = {0};
    unsigned seen = 0;
    size_t at = 0;
    int r;

    for (; (r = index_next(x, &at, &i.row, &i.path, &i.detail)) > 0; i.n++) {
        if (!git_view_summed(i.n) || !session_named(i.path))
            continue;
        if (seen == 0)
            sum = i;
        seen |= 1u << decision_of(d, i.n);
        sum.inside.count++;
    }
    sum.inside.said = said_of(seen);
    return r < 0 || sum.inside.count == 0 ? r : each(ctx, &sum);
}

int items_each(const struct index *x, const struct decisions *d, uint64_t opened, item_fn *each, void *ctx)
{
    const char *top = NULL, *folded = NULL;
    size_t top_len = 0, folded_len = 0;
    const bool sum = opened == TREE_SUM;
    int r = opened && !sum ? find_opened(x, opened, &top, &top_len) : 0;

    for (int group = sum ? SHOW_GIT : 0; group < (sum ? SHOW_GROUPS : SHOW_GIT) && r == 0; group++) {
        struct item i = {0};
        size_t at = 0;
        for (i.n = 0; r == 0 && (r = index_next(x, &at, &i.row, &i.path, &i.detail)) > 0; i.n++) {
            r = 0;
            if (show_group_of(i.row, i.n) != (enum show_group)group || i.row->flags & ROW_LEFT_OUT ||
                !session_named(i.path) || (top && !below(i.path, top, top_len)))
                continue;
            if (folded && below(i.path, folded, folded_len))
                continue;
            i.inside = (struct inside){0};
            if (!sum && i.row->file == TREE_FOLDER && i.row->kind != TREE_MODIFIED && !i.row->alarm &&
                !(i.row->flags & ROW_CONFLICT))
                folder_inside(x, at, i.n, i.row, i.path, NULL, d, &i.inside);
            folded = i.inside.count ? i.path : NULL;
            folded_len = i.row->path_len;
            r = each(ctx, &i);
        }
        folded = NULL;
    }
    return r == 0 && opened == 0 ? sum_item(x, d, each, ctx) : r;
}
