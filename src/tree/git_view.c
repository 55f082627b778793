/* git_view: see git_view.h.
 *
 * Theory of operation. What git tracks stands in the index of the repository, and what it ignores in the .gitignore
 * files: both are read from the workspace on the host, never from the layer, so that a room cannot say of its own files
 * that they are nothing to look at. git itself is not asked: its configuration is full of words that run something.
 * Rows come in the order of the walk, so the ignore rules of the folders around the one at hand are a stack.
 *
 * Names in a .git that git itself writes and that run nothing are summed up in a review. They are a list of what may
 * be; everything else in there is shown one by one.
 *
 * Lives in: strongroom-tree. Trusts: nothing of either tree; the rows by form. Must not: change anything. */
#include "tree/git_view.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/beneath.h"
#include "tree/git_ignore.h"
#include "tree/git_index.h"

#include <string.h>
#include <sys/mman.h>

#define NAMES_MAX ((size_t)1 << 30) /* bytes of all tracked paths */
#define DEPTH_MAX 64 /* folders around a path whose rules count; what lies deeper is not ignored */
#define RULES_MAX 65536
#define TEXT_MAX  ((size_t)16 << 20) /* bytes of the ignore files around one path */
#define PATH_MAX_ 4096
#define SUMMED    0x80

/* The tracked paths, sorted: a byte that says whether it stands for a folder, the path, NUL. */
struct tracked {
    char *names;
    size_t used, count, room;
    uint32_t *at;
    bool folders;
};

struct level {
    size_t len; /* of the folder's path; the top: 0 */
    bool ignored;
    size_t rule, rules, text; /* where its rules begin, how many; where its text begins */
};

static struct view {
    uint8_t *class;
    size_t rows;
    bool aware, all;
    const char *note;
    uint64_t ino;
    struct timespec ctime;
    int lower;
    struct tracked tracked;
    struct level levels[DEPTH_MAX];
    size_t depth;
    char path[PATH_MAX_]; /* of the innermost level */
    struct git_ignore_rule *rule;
    char *text;
    struct level exclude; /* .git/info/exclude */
} view;

const char *git_class_name(enum git_class c)
{
    static const char *const names[] = {"", "tracked", "untracked", "ignored", "internal"};

    return names[c];
}

enum git_class git_view_class(size_t row)
{
    return row < view.rows ? (enum git_class)(view.class[row] & ~SUMMED) : GIT_NONE;
}

bool git_view_summed(size_t row)
{
    return row < view.rows && view.class[row] & SUMMED;
}

bool git_view_aware(void)
{
    return view.aware;
}

const char *git_view_note(void)
{
    return view.note ? view.note : "";
}

size_t git_internal(const char *path)
{
    for (const char *at = path; at; at = strchr(at, '/'), at = at ? at + 1 : NULL)
        if (strncmp(at, ".git", 4) == 0 && (at[4] == '/' || at[4] == '\0'))
            return (size_t)(at - path) + 4;
    return 0;
}

static bool hex(const char *s, size_t n)
{
    return strspn(s, "0123456789abcdef") >= n;
}

static bool known_object(const char *s)
{
    static const char *const ends[] = {".pack", ".idx", ".rev", ".mtimes", ".bitmap", ".keep", ".promisor"};
    const size_t n = strlen(s);

    if (*s == '\0' || strcmp(s, "pack") == 0 || strcmp(s, "info") == 0 || strcmp(s, "info/packs") == 0 ||
        strcmp(s, "info/commit-graph") == 0)
        return true;
    if (hex(s, 2) && (n == 2 || (s[2] == '/' && (n == 41 || n == 65) && hex(s + 3, n - 3))))
        return true;
    if (strncmp(s, "pack/pack-", 10) != 0 || !(hex(s + 10, 40)))
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(s + 10 + strspn(s + 10, "0123456789abcdef"), ends[i]) == 0)
            return true;
    return false;
}

bool git_known(const char *rest)
{
    static const char *const names[] = {
        "HEAD",       "ORIG_HEAD",      "FETCH_HEAD", "index",       "packed-refs",      "refs",
        "logs",       "COMMIT_EDITMSG", "MERGE_MSG",  "MERGE_HEAD",  "MERGE_MODE",       "AUTO_MERGE",
        "SQUASH_MSG", "objects",        "gc.log",     "REVERT_HEAD", "CHERRY_PICK_HEAD", "description",
        "info/refs",  "branches"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(rest, names[i]) == 0)
            return true;
    if (strncmp(rest, "objects/", 8) == 0)
        return known_object(rest + 8);
    return strncmp(rest, "refs/", 5) == 0 || strncmp(rest, "logs/", 5) == 0;
}

/* --- what is tracked ------------------------------------------------------------------------------------ */

static int keep_name(void *ctx, const char *path, size_t len, int folder)
{
    struct tracked *t = ctx;

    if (t->count && strcmp(t->names + t->at[t->count - 1] + 1, path) == 0)
        return 0; /* the same in another stage of a merge */
    if (t->count == t->room || len + 2 > NAMES_MAX - t->used)
        return -E2BIG;
    t->at[t->count++] = (uint32_t)t->used;
    t->names[t->used] = folder ? 1 : 0;
    memcpy(t->names + t->used + 1, path, len + 1);
    t->used += len + 2;
    t->folders |= folder != 0;
    return 0;
}

/* The first path that is not before `path`. */
static size_t bound_of(const struct tracked *t, const char *path, size_t len)
{
    size_t from = 0, to = t->count;

    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const char *s = t->names + t->at[middle] + 1;
        const int order = strncmp(s, path, len);
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool is_tracked(const struct tracked *t, const char *path, size_t len, bool folder)
{
    /* Paths that begin with these bytes lie together: the exact one, if any, first. */
    size_t i = bound_of(t, path, len);
    if (i < t->count) {
        const char *s = t->names + t->at[i] + 1;
        if (strncmp(s, path, len) == 0 && s[len] == '\0')
            return true;
    }
    if (folder && len + 1 < PATH_MAX_) {
        char text[PATH_MAX_];
        memcpy(text, path, len);
        text[len] = '/';
        i = bound_of(t, text, len + 1);
        if (i < t->count && strncmp(t->names + t->at[i] + 1, text, len + 1) == 0)
            return true;
    }
    for (const char *slash = t->folders ? memchr(path, '/', len) : NULL; slash;
         slash = memchr(slash + 1, '/', len - (size_t)(slash + 1 - path))) {
        const size_t n = (size_t)(slash - path);
        i = bound_of(t, path, n);
        const char *s = i < t->count ? t->names + t->at[i] : "";
        if (s[0] == 1 && strncmp(s + 1, path, n) == 0 && s[1 + n] == '\0')
            return true;
    }
    return false;
}

static void forget_tracked(struct tracked *t)
{
    mem_release(t->names, t->names ? NAMES_MAX : 0);
    mem_release(t->at, t->at ? t->room * sizeof *t->at : 0);
    *t = (struct tracked){0};
}

/* The index of the repository at the top. -ENOENT: none, nothing was ever added. */
static int read_tracked(int git, struct tracked *t)
{
    struct stat s;
    FD_AUTO fd = beneath_open(git, "index", O_RDONLY);

    if (fd < 0)
        return fd;
    if (fstat(fd, &s) < 0 || !S_ISREG(s.st_mode) || s.st_size <= 0 || (size_t)s.st_size > GIT_INDEX_MAX)
        return -EBADMSG;
    /* A copy: a file that is cut while it is mapped would end the process. */
    const size_t size = (size_t)s.st_size;
    uint8_t *bytes = mem_reserve(size);
    const ssize_t got = bytes ? beneath_read(fd, bytes, size) : 0;
    t->room = size / 62 + 1; /* no entry is shorter */
    t->names = mem_reserve(NAMES_MAX);
    t->at = mem_reserve(t->room * sizeof *t->at);
    int r = !bytes || !t->names || !t->at ? -ENOMEM
                                          : git_index_each(bytes, got > 0 ? (size_t)got : 0, keep_name, t);
    mem_release(bytes, size);
    return r;
}

/* --- what is ignored ------------------------------------------------------------------------------------ */

/* The rules of one file behind those that are there. What cannot be read, or is no file, has none. */
static void read_rules(int dir, const char *path, size_t len, struct level *l)
{
    const size_t left = TEXT_MAX - l->text, room = left < GIT_IGNORE_BYTES_MAX ? left : GIT_IGNORE_BYTES_MAX;
    struct stat s;
    FD_AUTO fd = beneath_open_path(dir, path, len, O_RDONLY);

    l->rules = 0;
    if (fd < 0 || fstat(fd, &s) < 0 || !S_ISREG(s.st_mode) || (uint64_t)s.st_size > room)
        return;
    ssize_t n = pread(fd, view.text + l->text, (size_t)s.st_size, 0);
    if (n > 0)
        l->rules = git_ignore_read(view.text + l->text, (size_t)n, view.rule + l->rule, RULES_MAX - l->rule);
}

/* Where the rules of the next level begin. */
static struct level behind(const struct level *l)
{
    struct level next = {.rule = l->rule + l->rules, .text = l->text};

    for (size_t i = 0; i < l->rules; i++) { /* the text goes as far as its last rule */
        const struct git_ignore_rule *r = &view.rule[l->rule + i];
        next.text = (size_t)(r->pattern - view.text) + r->len;
    }
    return next;
}

/* What the rules of the folders around say. */
static bool ignored_here(const char *path, size_t len, bool folder)
{
    const struct level *around = &view.levels[view.depth - 1];
    int says = -1;

    if (around->ignored)
        return true;
    for (size_t i = view.depth; i-- > 0 && says < 0;) {
        const struct level *l = &view.levels[i];
        const size_t skip = l->len ? l->len + 1 : 0;
        says = git_ignore_says(view.rule + l->rule, l->rules, path + skip, len - skip, folder);
    }
    if (says < 0)
        says = git_ignore_says(view.rule + view.exclude.rule, view.exclude.rules, path, len, folder);
    return says > 0;
}

/* Makes the levels those of the folder around `path`. False: too deep. */
static bool enter_around(const char *path, size_t len)
{
    static char name[PATH_MAX_ + sizeof "/.gitignore"];
    const char *slash = memrchr(path, '/', len);
    const size_t around = slash ? (size_t)(slash - path) : 0;

    if (around >= PATH_MAX_)
        return false;
    while (view.depth > 1) {
        const size_t n = view.levels[view.depth - 1].len;
        if (n <= around && memcmp(view.path, path, n) == 0 && (n == around || path[n] == '/'))
            break;
        view.depth--;
    }
    for (size_t at = view.levels[view.depth - 1].len; at < around;) {
        const char *next = memchr(path + at + 1, '/', around - at - 1);
        const size_t n = next ? (size_t)(next - path) : around;
        if (view.depth == DEPTH_MAX)
            return false;
        struct level l = behind(&view.levels[view.depth - 1]);
        l.len = n;
        l.ignored = ignored_here(path, n, true);
        memcpy(view.path, path, n);
        view.path[n] = '\0';
        memcpy(name, path, n);
        memcpy(name + n, "/.gitignore", sizeof "/.gitignore");
        if (!l.ignored)
            read_rules(view.lower, name, strlen(name), &l);
        view.levels[view.depth++] = l;
        at = n;
    }
    return true;
}

static bool is_ignored(const char *path, size_t len, bool folder)
{
    return enter_around(path, len) && ignored_here(path, len, folder);
}

/* --- both ----------------------------------------------------------------------------------------------- */

/* `gone`: what a deleted .git is in, whose loss is told as that of a folder. */
static bool sums_up(const struct index_row *row, const char *path, size_t internal, const char *gone)
{
    const bool itself = path[internal] == '\0';

    if (row->alarm || row->flags & (ROW_CONFLICT | ROW_LEFT_OUT | ROW_RETYPED | ROW_SETID) ||
        (row->file != TREE_REGULAR && row->file != TREE_FOLDER) ||
        (gone && strncmp(path, gone, internal) == 0))
        return false;
    return itself ? row->kind == TREE_ADDED && row->file == TREE_FOLDER : git_known(path + internal + 1);
}

static uint8_t class_of(const struct index_row *row, const char *path, const char **gone)
{
    const size_t internal = git_internal(path);

    if (internal && (path[internal] || row->file == TREE_FOLDER)) {
        if (!path[internal] && row->kind == TREE_DELETED)
            *gone = path;
        return (uint8_t)(GIT_INTERNAL | (!view.all && sums_up(row, path, internal, *gone) ? SUMMED : 0));
    }
    if (!view.aware)
        return GIT_NONE;
    const bool folder = row->file == TREE_FOLDER;
    return is_tracked(&view.tracked, path, row->path_len, folder) ? GIT_TRACKED
           : is_ignored(path, row->path_len, folder)              ? GIT_IGNORED
                                                                  : GIT_UNTRACKED;
}

/* What is to be known of the repository at the top. */
static int look_at_repository(int lower)
{
    static const char exclude[] = "info/exclude";
    FD_AUTO git = lower < 0 ? -ENOENT : beneath_open(lower, ".git", O_RDONLY | O_DIRECTORY);

    if (git < 0) {
        view.note = git == -ENOTDIR ? "its folder is elsewhere" : NULL;
        return 0;
    }
    const int r = read_tracked(git, &view.tracked);
    if (r < 0 && r != -ENOENT) {
        view.note = r == -ENOTSUP  ? "its index is split"
                    : r == -EACCES ? "its index may not be read"
                                   : "its index is of no known form";
        return 0;
    }
    view.rule = mem_reserve(RULES_MAX * sizeof *view.rule);
    view.text = mem_reserve(TEXT_MAX);
    if (!view.rule || !view.text)
        return -ENOMEM;
    view.exclude = (struct level){0};
    read_rules(git, exclude, sizeof exclude - 1, &view.exclude);
    view.levels[0] = behind(&view.exclude);
    view.depth = 1;
    view.lower = lower;
    read_rules(lower, ".gitignore", sizeof ".gitignore" - 1, &view.levels[0]);
    view.aware = true;
    return 0;
}

static void forget(void)
{
    forget_tracked(&view.tracked);
    mem_release(view.rule, view.rule ? RULES_MAX * sizeof *view.rule : 0);
    mem_release(view.text, view.text ? TEXT_MAX : 0);
    view.rule = NULL;
    view.text = NULL;
}

int git_view_load(const struct index *x, int lower, bool all)
{
    const struct index_row *row;
    const char *path, *detail, *gone = NULL;
    size_t at = 0, n = 0;

    if (view.class && view.ino == x->ino && view.ctime.tv_sec == x->ctime.tv_sec &&
        view.ctime.tv_nsec == x->ctime.tv_nsec && view.rows == x->head->totals.rows && view.all == all)
        return 0;
    mem_release(view.class, view.class ? view.rows + 1 : 0);
    view = (struct view){.ino = x->ino, .ctime = x->ctime, .all = all, .lower = -1};
    if (x->head->totals.rows > x->size)
        return -EBADMSG;
    view.rows = (size_t)x->head->totals.rows;
    view.class = mem_reserve(view.rows + 1);
    int r = view.class ? look_at_repository(lower) : -ENOMEM;
    for (; r == 0 && n < view.rows && (r = index_next(x, &at, &row, &path, &detail)) > 0; n++, r = 0)
        view.class[n] = class_of(row, path, &gone);
    forget();
    return r;
}
