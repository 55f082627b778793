/* select: which rows of an index a verb is about, so that they make sense together.
 *
 * Theory of operation. Three things tie rows to one another. A new folder must be made for what is new in it; an
 * old one can only go with all that is in it; and where a name changed its type, the deletion of the old and the
 * addition of the new (which stand next to each other, the addition first) are one change.
 *
 * Lives in: strongroom-tree. Trusts: the index by form. */
#include "base/err.h"
#include "sys/mem.h"
#include "tree/session.h"
#include "tree/walk.h"

#include <errno.h>
#include <string.h>

size_t select_bytes(const struct index *x)
{
    return (size_t)x->head->totals.rows / 8 + 1;
}

static void set(uint8_t *bits, size_t row, bool on)
{
    if (on)
        bits[row / 8] |= (uint8_t)(1u << row % 8);
    else
        bits[row / 8] &= (uint8_t) ~(1u << row % 8);
}

/* A folder that comes or goes, while the rows in it pass by. */
struct open_folder {
    size_t row, len;
    const char *path;
    uint8_t kind;
    bool retyped, forced;
};

struct pass {
    const struct index *x;
    uint8_t *bits;
    struct open_folder *open;
    size_t depth, at, n; /* n: the row at hand */
    const struct index_row *row, *last;
    const char *path, *last_path, *detail;
};

/* The folder itself counts: the deletion of what was in its place comes right after it. */
static bool within(const struct open_folder *f, const char *path)
{
    return strncmp(f->path, path, f->len) == 0 && (path[f->len] == '/' || path[f->len] == '\0');
}

/* The next row, with the folders around it open. */
static int next(struct pass *p)
{
    p->last = p->row;
    p->last_path = p->path;
    p->n += p->row != NULL;
    int r = index_next(p->x, &p->at, &p->row, &p->path, &p->detail);
    while (r > 0 && p->depth && !within(&p->open[p->depth - 1], p->path))
        p->depth--;
    return r;
}

static void open_folder(struct pass *p, bool forced)
{
    if (p->row->file == TREE_FOLDER && p->row->kind != TREE_MODIFIED && p->depth < WALK_LEVELS_MAX)
        p->open[p->depth++] = (struct open_folder){
            p->n, p->row->path_len, p->path, p->row->kind, p->row->flags & ROW_RETYPED, forced};
}

/* The deletion of which the row before is the addition. */
static bool is_second(const struct pass *p)
{
    return p->last && p->row && p->row->kind == TREE_DELETED && p->row->flags & ROW_RETYPED &&
           p->last->kind == TREE_ADDED && p->last->flags & ROW_RETYPED && strcmp(p->path, p->last_path) == 0;
}

/* What is chosen brings along what it needs. */
static int bring_along(struct pass *p)
{
    int r;

    while ((r = next(p)) > 0) {
        bool forced = false;
        const uint8_t kind = p->row ? p->row->kind : 0;
        CHECK(p->row != NULL && (p->depth == 0 || p->open != NULL));
        if (p->row->flags & ROW_LEFT_OUT)
            set(p->bits, p->n, false);
        if (is_second(p) && (p->row->flags | p->last->flags) & ROW_LEFT_OUT) {
            set(p->bits, p->n, false); /* what stands in its place is never made: so it stays */
            set(p->bits, p->n - 1, false);
        } else if (is_second(p) && (select_has(p->bits, p->n) || select_has(p->bits, p->n - 1))) {
            set(p->bits, p->n, true);
            set(p->bits, p->n - 1, true);
            forced = true;
        }
        const struct open_folder *top = p->depth ? &p->open[p->depth - 1] : NULL;
        if (top && top->forced && kind == TREE_DELETED) {
            set(p->bits, p->n, true);
            forced = true;
        }
        for (size_t i = p->depth; kind == TREE_ADDED && select_has(p->bits, p->n) && i-- > 0;) {
            if (p->open[i].kind != TREE_ADDED || select_has(p->bits, p->open[i].row))
                break; /* then those around it are chosen already */
            set(p->bits, p->open[i].row, true);
            if (p->open[i].retyped)
                set(p->bits, p->open[i].row + 1, true);
        }
        open_folder(p, forced);
    }
    return r;
}

/* What is not chosen keeps back what needs it: deletions. */
static int keep_folders(struct pass *p)
{
    int r;

    while ((r = next(p)) > 0) {
        if (p->row->kind == TREE_DELETED && !select_has(p->bits, p->n))
            for (size_t i = p->depth;
                 i-- > 0 && p->open[i].kind == TREE_DELETED && select_has(p->bits, p->open[i].row);)
                set(p->bits, p->open[i].row, false);
        open_folder(p, false);
    }
    return r;
}

/* The same: pairs, and what is new in a new folder. */
static int keep_new(struct pass *p)
{
    int r;

    while ((r = next(p)) > 0) {
        if (is_second(p) && select_has(p->bits, p->n) != select_has(p->bits, p->n - 1)) {
            set(p->bits, p->n, false);
            set(p->bits, p->n - 1, false);
        }
        for (size_t i = p->depth; i-- > 0;)
            if (p->open[i].kind == TREE_ADDED && p->row->kind == TREE_ADDED &&
                !select_has(p->bits, p->open[i].row))
                set(p->bits, p->n, false);
        open_folder(p, false);
    }
    return r;
}

static int run(const struct index *x, uint8_t *bits, int (*what)(struct pass *))
{
    struct pass p = {.x = x, .bits = bits, .open = mem_reserve(WALK_LEVELS_MAX * sizeof *p.open)};
    int r = p.open ? what(&p) : -ENOMEM;

    mem_release(p.open, WALK_LEVELS_MAX * sizeof *p.open);
    return r;
}

int select_settle(const struct index *x, uint8_t *bits)
{
    int r = run(x, bits, keep_folders);

    if (r == 0)
        r = run(x, bits, keep_new);
    /* A pair that was kept back may have been the last that held a folder. */
    return r == 0 ? run(x, bits, keep_folders) : r;
}

/* Only with a good word from whoever looked, where somebody did. */
static bool allowed(const struct index_row *row, const char *path, const struct decisions *d, size_t n)
{
    if (row->flags & ROW_LEFT_OUT || session_excepted(path))
        return false;
    const enum tree_decision said = decision_of(d, n);
    return d && d->any && !session.paths_len && !session.pick_bytes ? said == TREE_ACCEPTED
                                                                    : said != TREE_REJECTED;
}

/* What was brought along without such a word goes again; a new folder may be needed, and is nothing by itself. */
static int only_allowed(const struct index *x, const struct decisions *d, uint8_t *bits)
{
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0, n = 0;
    int r;

    for (; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++)
        if (!allowed(row, path, d, n) && !(row->kind == TREE_ADDED && row->file == TREE_FOLDER))
            set(bits, n, false);
    return r;
}

int select_rows(const struct index *x, const struct decisions *d, uint8_t *bits)
{
    const struct index_row *row;
    const char *path, *detail;
    const uint64_t rows = x->head->totals.rows;
    size_t at = 0, n = 0;
    int r;

    for (; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
        if (n >= rows)
            return -EBADMSG;
        if (!session.pick_bytes && session_named(path) && allowed(row, path, d, n))
            set(bits, n, true);
    }
    if (r < 0 || n != rows)
        return r < 0 ? r : -EBADMSG;
    for (size_t i = 0; i < session.pick_bytes / sizeof *session.picks; i++)
        if (session.picks[i] < rows)
            set(bits, session.picks[i], true);
    r = run(x, bits, bring_along);
    if (r == 0)
        r = only_allowed(x, d, bits);
    return r == 0 ? select_settle(x, bits) : r;
}
