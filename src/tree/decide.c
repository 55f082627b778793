/* decide: DECIDE: keeps what somebody said about single changes.
 *
 * Lives in: strongroom-tree. Trusts: the caller for what was said; the index by form. May: write the decisions of the
 * entry. Must not: touch a tree. */
#include "sys/kernel.h"
#include "tree/git_view.h"
#include "tree/session.h"
#include "tree/store.h"
#include "tree/verbs.h"

#include <errno.h>
#include <string.h>

static bool below(const char *path, const char *folder, size_t len)
{
    return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* One row, the other half of its pair where its name changed its type, and with `folded` all that lies in them. */
static int decide_one(const struct index *x, struct decisions *d, uint64_t wanted, uint8_t said, bool folded)
{
    const struct index_row *row, *last = NULL;
    const char *path, *detail, *found = NULL, *last_path = NULL;
    size_t at = 0, len = 0;
    bool pair = false;
    int r;

    for (uint64_t n = 0; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
        const bool second = last && row->flags & ROW_RETYPED && last->flags & ROW_RETYPED &&
                            last->kind == TREE_ADDED && row->kind == TREE_DELETED &&
                            strcmp(path, last_path) == 0;
        if (n == wanted) {
            found = path;
            len = row->path_len;
            if (second) {
                d->row[n - 1] = said;
                pair = true;
            }
        } else if (found && second && n == wanted + 1) {
            pair = true;
        } else if (!(found && (folded || pair) && below(path, found, len))) {
            if (found && !below(path, found, len))
                break;
            last = row;
            last_path = path;
            continue;
        }
        d->row[n] = said;
        last = row;
        last_path = path;
    }
    return r < 0 ? r : found ? 0 : -ENOENT;
}

static int decide_named(const struct index *x, struct decisions *d, const struct tree_command *c)
{
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0;
    int r;

    for (size_t n = 0; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
        if (!session_named(path) || session_excepted(path) || (c->flags & TREE_GIT && !git_view_summed(n)) ||
            (c->flags & TREE_REST && d->row[n] != TREE_UNDECIDED) ||
            (c->flags & TREE_ONLY_CLEAN && row->alarm))
            continue;
        d->row[n] = (uint8_t)c->what;
    }
    return r;
}

void verb_decide(const struct tree_command *c)
{
    struct index x = {0};
    struct decisions d = {0};
    int r = index_open(session.entry, &x);

    if (r == 0)
        r = decisions_load(session.entry, &x, &d);
    if ((r == -ESTALE || r == -EBADMSG) && c->what == TREE_UNDECIDED &&
        !(c->flags & (TREE_ONE | TREE_REST))) {
        r = unlinkat(session.entry, STORE_DECISIONS, 0) < 0 ? -errno : 0; /* forgotten, whatever it was */
        if (r == 0)
            r = decisions_load(session.entry, &x, &d);
    }
    if (r == 0 && c->what > TREE_REJECTED)
        r = -EPROTO;
    if (r == 0 && c->flags & TREE_GIT)
        r = git_view_load(&x, session.lower, false);
    if (r == 0)
        r = c->flags & TREE_ONE ? decide_one(&x, &d, c->row, (uint8_t)c->what, c->flags & TREE_FOLDED)
                                : decide_named(&x, &d, c);
    if (r == 0)
        r = decisions_keep(session.entry, &d);
    if (r == 0)
        decisions_count(&d, &x, &session.decided);
    else
        (void)session_fail(r, r == -ESTALE ? "strongroom review --anew forgets them" : NULL,
                           r == -ESTALE ? "keep the decision: those that are kept are about another list"
                                        : "keep the decision: %s",
                           strerror(-r));
    decisions_free(&d);
    index_close(&x);
}
