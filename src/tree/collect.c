/* collect: see collect.h.
 *
 * Theory of operation. The layer and the tree are walked side by side. Where the layer hides what is below (a
 * whiteout, an opaque folder, another type), the tree's part is walked alone and each entry in it is a deletion;
 * where the tree has nothing, the layer's part is an addition; where both have a file, the bytes decide. A file
 * that was only touched is no change.
 *
 * A folder that the host put in another's place while the room ran shows by its times: one made meanwhile was born
 * then, one moved there was stamped then (ctime) without a change of what is in it (mtime). All rows in it are in
 * conflict. What the host does in a folder stamps both, and is no conflict. A folder moved there and then worked in
 * is not told from that.
 *
 * Lives in: strongroom-tree. Trusts: nothing of either tree. Must not: write anywhere but to the index. */
#include "tree/collect.h"
#include "sys/fd.h"
#include "tree/alarms.h"
#include "tree/beneath.h"
#include "tree/index.h"
#include "tree/layer.h"
#include "tree/store.h"
#include "tree/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BLOCK      ((size_t)64 << 10)
#define BINARY_IN  8000 /* bytes in which a NUL makes a file binary, as git has it */
#define TARGET_MAX 4096
/* walk_mark() */
#define HIDES   1 /* the layer shows nothing of the folder below */
#define SWAPPED 2 /* the folder below may be another than the room saw */

enum { UPPER_BIT = 1 << WALK_UPPER, LOWER_BIT = 1 << WALK_LOWER };

struct collecting {
    struct walk w;
    struct index_writer out;
    struct collect_since since;
    struct alarms_total mass;
    uint64_t marks; /* of the folder around the entry at hand, and SWAPPED if that is such a folder itself */
};

static char block[WALK_SIDES][BLOCK];

static bool has_nul(const char *p, size_t n)
{
    return memchr(p, '\0', n < BINARY_IN ? n : BINARY_IN) != NULL;
}

/* ROW_CONTENT, ROW_BINARY, ROW_WAS_BINARY as they apply. What cannot be read counts as changed. */
static uint32_t compare_bytes(int a, int b, bool same_size)
{
    uint32_t flags = same_size ? 0 : ROW_CONTENT;
    off_t at = 0;

    for (;;) {
        ssize_t n = pread(a, block[0], BLOCK, at), m = pread(b, block[1], BLOCK, at);
        if (n < 0 || m < 0)
            return flags | ROW_CONTENT;
        if (at == 0 && has_nul(block[0], (size_t)n))
            flags |= ROW_BINARY;
        if (at == 0 && has_nul(block[1], (size_t)m))
            flags |= ROW_WAS_BINARY;
        if (n != m || memcmp(block[0], block[1], (size_t)n) != 0)
            return flags | ROW_CONTENT;
        if (n == 0 || !same_size)
            return flags;
        at += n;
    }
}

static uint32_t compare_files(struct collecting *c, struct index_row *row)
{
    const struct walk *w = &c->w;
    FD_AUTO upper = beneath_open_ours(w->dir[WALK_UPPER], w->name, O_RDONLY);
    FD_AUTO lower = beneath_open(w->dir[WALK_LOWER], w->name, O_RDONLY);

    if (upper >= 0 && layer_redirected(upper)) {
        row->flags |= ROW_LEFT_OUT;
        return ROW_CONTENT;
    }
    if (upper < 0 || lower < 0)
        return ROW_CONTENT;
    return compare_bytes(upper, lower, w->stat[WALK_UPPER].st_size == w->stat[WALK_LOWER].st_size);
}

static uint32_t compare_links(const struct walk *w)
{
    static char target[WALK_SIDES][TARGET_MAX];
    ssize_t n[WALK_SIDES];

    for (int side = 0; side < WALK_SIDES; side++)
        n[side] = readlinkat(w->dir[side], w->name, target[side], TARGET_MAX);
    return n[0] < 0 || n[0] != n[1] || memcmp(target[0], target[1], (size_t)n[0]) != 0 ? ROW_CONTENT : 0;
}

static bool since(const struct collecting *c, int64_t sec, int64_t nsec)
{
    return sec > c->since.sec || (sec == c->since.sec && nsec >= c->since.nsec);
}

static bool changed_since(const struct collecting *c, const struct stat *s)
{
    return since(c, s->st_ctim.tv_sec, s->st_ctim.tv_nsec);
}

/* The folder of the host at hand. */
static bool swapped(const struct collecting *c)
{
    const struct walk *w = &c->w;
    const struct stat *s = &w->stat[WALK_LOWER];
    struct timespec born;

    if (!changed_since(c, s))
        return false;
    return !since(c, s->st_mtim.tv_sec, s->st_mtim.tv_nsec) ||
           (beneath_born(w->dir[WALK_LOWER], w->name, &born) == 0 && since(c, born.tv_sec, born.tv_nsec));
}

static int put(struct collecting *c, struct index_row *row, const char *detail)
{
    char text[INDEX_DETAIL_MAX];
    struct sbuf b = SBUF(text);

    if (c->marks & SWAPPED) {
        row->flags |= ROW_CONFLICT;
        detail = "its folder was replaced, moved or given other rights on the host while the room ran";
    }
    sbuf_text(&b, detail);
    if (strncmp(c->w.path, STORE_STAGE, sizeof STORE_STAGE - 1) == 0)
        row->flags |= ROW_LEFT_OUT; /* a name that an apply needs itself */
    alarms_row(&c->mass, &c->w, row, &b);
    return index_add(&c->out, row, c->w.path, text);
}

static void fill_new(struct index_row *row, const struct stat *s)
{
    row->file = (uint8_t)tree_file_of(s->st_mode);
    row->new_mode = s->st_mode & 0777;
    row->new_size = S_ISREG(s->st_mode) ? (uint64_t)s->st_size : 0;
    row->new_ino = s->st_ino;
    row->new_links = (uint32_t)s->st_nlink;
    if (!S_ISDIR(s->st_mode) && s->st_mode & (S_ISUID | S_ISGID))
        row->flags |= ROW_SETID;
    if (row->file == TREE_SPECIAL)
        row->flags |= ROW_LEFT_OUT;
}

static void fill_old(const struct collecting *c, struct index_row *row, const struct stat *s)
{
    fingerprint_take(s, &row->old);
    row->old_file = (uint8_t)tree_file_of(s->st_mode);
    if (!S_ISDIR(s->st_mode) && changed_since(c, s))
        row->flags |= ROW_CONFLICT;
}

/* Everything of the tree at this place goes. */
static int on_deleted(struct collecting *c, uint32_t flags)
{
    struct walk *w = &c->w;
    struct index_row row = {.kind = TREE_DELETED, .flags = flags};

    fill_old(c, &row, &w->stat[WALK_LOWER]);
    row.file = row.old_file;
    if (row.file == TREE_SPECIAL) { /* could not be brought back */
        row.flags |= ROW_LEFT_OUT;
        return put(c, &row, "a pipe, socket or device of the host: stays");
    }
    if (!S_ISDIR(w->stat[WALK_LOWER].st_mode))
        return put(c, &row, "");
    int r = w->path_len > WALK_PATH_KEPT ? -ELOOP : walk_enter(w, LOWER_BIT, LOWER_BIT, c->marks & SWAPPED);
    if (r == -EXDEV || r == -EACCES || r == -ELOOP) {
        row.flags |= ROW_CONFLICT;
        return put(c, &row,
                   r == -EXDEV   ? "a mount point of the host"
                   : r == -ELOOP ? "nested too deep"
                                 : "cannot be read");
    }
    if (r < 0)
        return r;
    /* The path is still the folder's: a walk moves it only with walk_next(). */
    return put(c, &row, "");
}

static int on_added(struct collecting *c, uint32_t flags)
{
    struct index_row row = {.kind = TREE_ADDED, .flags = flags};
    const struct stat *s = &c->w.stat[WALK_UPPER];

    fill_new(&row, s);
    (void)walk_folder(&c->w, WALK_LOWER, &row.old.dev, &row.old.ino); /* none: it is new as well */
    if (row.file == TREE_REGULAR) {
        FD_AUTO fd = beneath_open_ours(c->w.dir[WALK_UPPER], c->w.name, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : pread(fd, block[0], BINARY_IN, 0);
        if (fd < 0 || layer_redirected(fd))
            row.flags |= ROW_LEFT_OUT;
        if (n > 0 && has_nul(block[0], (size_t)n))
            row.flags |= ROW_BINARY;
    }
    const bool deep = row.file == TREE_FOLDER && c->w.path_len > WALK_PATH_KEPT;
    if (deep)
        row.flags |= ROW_LEFT_OUT;
    const char *why = deep                                                   ? "nested too deep"
                      : row.flags & ROW_LEFT_OUT && row.file == TREE_REGULAR ? "its bytes are not here"
                                                                             : "";
    int r = put(c, &row, why);
    return r < 0 || deep || row.file != TREE_FOLDER
               ? r
               : walk_enter(&c->w, UPPER_BIT, UPPER_BIT, c->marks & SWAPPED);
}

static int on_both(struct collecting *c)
{
    struct walk *w = &c->w;
    const struct stat *u = &w->stat[WALK_UPPER], *l = &w->stat[WALK_LOWER];
    struct index_row row = {.kind = TREE_MODIFIED};

    if (tree_file_of(u->st_mode) != tree_file_of(l->st_mode)) {
        int r = on_added(c, ROW_RETYPED);
        if (r < 0 || S_ISDIR(u->st_mode)) {
            /* The walk has gone into the new folder; what it replaces is no folder, so it is one row. */
            struct index_row old = {.kind = TREE_DELETED, .flags = ROW_RETYPED};
            fill_old(c, &old, l);
            old.file = old.old_file;
            return r < 0 ? r : put(c, &old, "");
        }
        return on_deleted(c, ROW_RETYPED);
    }
    fill_new(&row, u);
    fill_old(c, &row, l);
    if (S_ISREG(u->st_mode))
        row.flags |= compare_files(c, &row);
    else if (S_ISLNK(u->st_mode))
        row.flags |= compare_links(w);
    else if (!S_ISDIR(u->st_mode))
        row.flags |= ROW_CONTENT;
    if (!S_ISLNK(u->st_mode) && (u->st_mode & 0777) != (l->st_mode & 0777))
        row.flags |= ROW_MODE;
    int r = row.flags & (ROW_CONTENT | ROW_MODE | ROW_SETID) ? put(c, &row, "") : 0;
    if (r < 0 || !S_ISDIR(u->st_mode))
        return r;
    /* What an opaque folder hides stays hidden at any depth: below it nothing is marked any more. */
    const bool opaque = c->marks & HIDES || layer_opaque(w->dir[WALK_UPPER], w->name);
    r = walk_enter(w, UPPER_BIT | LOWER_BIT, opaque ? UPPER_BIT | LOWER_BIT : UPPER_BIT,
                   (c->marks & SWAPPED) | (opaque ? HIDES : 0));
    if (r == -EXDEV ||
        r == -EACCES) { /* the room saw what is below the mount point: nothing of it can be said */
        row.flags |= ROW_CONFLICT;
        return put(c, &row, r == -EXDEV ? "a mount point of the host" : "cannot be read");
    }
    return r;
}

static int on_entry(struct collecting *c)
{
    struct walk *w = &c->w;

    c->marks = walk_mark(w);
    if (w->has[WALK_LOWER] && S_ISDIR(w->stat[WALK_LOWER].st_mode) && swapped(c))
        c->marks |= SWAPPED;
    if (!w->has[WALK_UPPER])
        return on_deleted(c, 0);
    if (layer_whiteout(&w->stat[WALK_UPPER]))
        return w->has[WALK_LOWER] ? on_deleted(c, 0) : 0;
    return w->has[WALK_LOWER] ? on_both(c) : on_added(c, 0);
}

int collect(int upper, int lower, int entry, struct collect_since since, struct tree_totals *ret)
{
    static struct collecting c;

    memset(&c, 0, sizeof c);
    c.since = since;
    int r = index_create(entry, &c.out);
    if (r == 0)
        r = walk_open(&c.w, upper, lower, UPPER_BIT);
    if (r == 0)
        r = alarms_begin(&c.mass, lower);
    c.w.ours[WALK_UPPER] = true;
    while (r == 0 && (r = walk_next(&c.w)) > 0)
        r = r == WALK_ENTRY ? on_entry(&c) : 0;
    walk_close(&c.w);
    if (r == 0) {
        alarms_end(&c.mass, &c.out.head);
        *ret = c.out.head.totals;
        r = index_finish(entry, &c.out);
    } else {
        index_drop(entry, &c.out);
    }
    return r;
}
