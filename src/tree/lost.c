/* lost: COUNT: how many of the workspace's files a layer hides by now, while its room lives.
 *
 * Lives in: strongroom-tree. Trusts: nothing of the layer, which changes under it. Must not: change anything. */
#include "tree/layer.h"
#include "tree/session.h"
#include "tree/verbs.h"
#include "tree/walk.h"

#include <errno.h>
#include <string.h>

#define UPPER_BIT (1u << WALK_UPPER)
#define LOWER_BIT (1u << WALK_LOWER)
#define HIDES     1u

/* Goes into the folder at hand; what cannot be entered counts nothing. */
static void enter(struct walk *w, unsigned sides, unsigned list, uint64_t mark)
{
    if (w->path_len <= WALK_PATH_KEPT)
        (void)walk_enter(w, sides, list, mark);
}

static void look(struct walk *w, uint64_t *lost)
{
    const struct stat *l = &w->stat[WALK_LOWER];
    const bool covered = w->has[WALK_UPPER] && !layer_whiteout(&w->stat[WALK_UPPER]);

    if (!w->has[WALK_LOWER]) /* new */
        return;
    if (covered && S_ISDIR(w->stat[WALK_UPPER].st_mode) && S_ISDIR(l->st_mode)) {
        const bool hides = walk_mark(w) == HIDES || layer_opaque(w->dir[WALK_UPPER], w->name);
        enter(w, UPPER_BIT | LOWER_BIT, hides ? UPPER_BIT | LOWER_BIT : UPPER_BIT, hides ? HIDES : 0);
    } else if (S_ISDIR(l->st_mode)) {
        enter(w, LOWER_BIT, LOWER_BIT, 0);
    } else if (!covered) {
        ++*lost;
    }
}

void verb_count(const struct tree_command *c)
{
    struct walk w;
    uint64_t lost = 0;
    const bool all = c->flags & TREE_ALL;
    int r = walk_open(&w, all ? -1 : session.upper, session.lower, all ? LOWER_BIT : UPPER_BIT);

    w.ours[WALK_UPPER] = true;
    while (r == 0 && lost <= c->count && (r = walk_next(&w)) > 0) {
        if (r == WALK_ENTRY)
            look(&w, &lost);
        r = 0;
    }
    walk_close(&w);
    session.totals.deleted = lost;
    if (r < 0 && r != -ESTALE && r != -ENOENT) /* those: it changed meanwhile; there is a next time */
        (void)session_fail(r, NULL, "count what was deleted: %s", strerror(-r));
}
