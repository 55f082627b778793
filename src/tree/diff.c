/* diff: see diff.h.
 *
 * Lives in: strongroom-tree. Trusts: nothing of either side's bytes or names. Must not: follow a link, read more of
 * a file than DIFF_FILE_MAX. */
#include "tree/diff.h"
#include "base/utf8.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/alarms.h"
#include "tree/beneath.h"
#include "tree/binary_patch.h"
#include "tree/git_view.h"
#include "tree/show.h"

#include <string.h>

#define BINARY_IN  8000
#define SHOWN_MAX  500  /* lines of one file's difference that people are shown */
#define COLUMNS    2000 /* bytes of one line that people are shown */
#define TARGET_MAX 4096

static char *memory[2];
static struct beneath_parent parents[2];
static bool open_parents;

struct content {
    struct diff_text text;
    bool large, missing, closed, binary; /* closed: it is there, and may not be read */
};

/* The bytes of one side: a file's, a link's target, or none. */
static int load(int s, uint8_t file, const char *path, struct content *ret)
{
    const char *name;
    struct stat st;

    if (!open_parents) {
        parents[0] = (struct beneath_parent){.root = session.lower, .fd = session.lower};
        parents[1] = (struct beneath_parent){.root = session.upper, .fd = session.upper};
        open_parents = true;
    }
    if (!memory[s] && !(memory[s] = mem_reserve(DIFF_FILE_MAX)))
        return -ENOMEM;
    *ret = (struct content){.text = {memory[s], 0}};
    if (file != TREE_REGULAR && file != TREE_LINK)
        return 0;
    int dir = beneath_parent(&parents[s], path, &name);
    ret->missing = dir == -ENOENT;
    if (dir < 0)
        return ret->missing ? 0 : dir;
    if (file == TREE_LINK) {
        ssize_t n = readlinkat(dir, name, memory[s], TARGET_MAX);
        ret->missing = n < 0;
        ret->text.size = n < 0 ? 0 : (size_t)n;
        return 0;
    }
    FD_AUTO fd = (s ? beneath_open_ours : beneath_open)(dir, name, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        ret->closed = fd == -EACCES;
        ret->missing = true;
        return 0;
    }
    ret->large = (uint64_t)st.st_size > DIFF_FILE_MAX;
    ssize_t n = ret->large ? 0 : beneath_read(fd, memory[s], DIFF_FILE_MAX);
    if (n < 0)
        return (int)n;
    ret->text.size = (size_t)n;
    ret->binary = memchr(memory[s], '\0', ret->text.size < BINARY_IN ? ret->text.size : BINARY_IN) != NULL;
    return 0;
}

static int load_both(const struct index_row *row, const char *path, struct content c[2])
{
    int r = load(0, row->kind == TREE_ADDED ? 0 : row->old_file, path, &c[0]);

    return r < 0 ? r : load(1, row->kind == TREE_DELETED ? 0 : row->file, path, &c[1]);
}

void diff_put_name(const char *prefix, const char *path)
{
    static const char plain[] = "abtnvfr";
    bool quote = false;

    for (const char *p = path; *p && !quote; p++)
        quote = (unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f || *p == '"' || *p == '\\';
    session_text(quote ? "\"" : "");
    session_text(prefix);
    if (!quote) {
        session_text(path);
        return;
    }
    for (const char *p = path; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c >= 7 && c <= 13)
            session_fmt("\\%c", plain[c - 7]);
        else if (c < 0x20 || c >= 0x7f)
            session_fmt("\\%03o", c);
        else if (c == '"' || c == '\\')
            session_fmt("\\%c", c);
        else
            session_bytes(p, 1);
    }
    session_text("\"");
}

static unsigned git_mode(uint8_t file, uint32_t mode)
{
    return file == TREE_LINK ? 0120000u : mode & 0100 ? 0100755u : 0100644u;
}

static void put_to_session(void *ctx, const char *bytes, size_t size)
{
    (void)ctx;
    session_bytes(bytes, size);
}

/* What people see: one line at a time, escaped and bounded. */
struct shown {
    bool colours, cut;
    unsigned lines, max;
    size_t column;
    char first;
};

static void put_shown(void *ctx, const char *bytes, size_t size)
{
    struct shown *s = ctx;

    for (size_t at = 0; at < size;) {
        uint32_t code = 0;
        unsigned n = utf8_next(bytes + at, size - at, &code), take = n ? n : 1;
        if (bytes[at] == '\n') {
            if (s->lines <= s->max)
                session_text(s->colours && s->first != ' ' ? "\033[0m\n" : "\n");
            s->lines++;
            s->column = 0;
            at++;
            continue;
        }
        if (s->column == 0) {
            s->first = bytes[at];
            if (s->colours && s->lines <= s->max)
                session_text(s->first == '-'   ? "\033[31m"
                             : s->first == '+' ? "\033[32m"
                             : s->first == '@' ? "\033[36m"
                                               : "");
        }
        if (s->lines > s->max || s->column > COLUMNS) {
            s->cut = true;
        } else if (n && (!utf8_unsafe(code) || code == '\t')) {
            session_bytes(bytes + at, n);
        } else {
            for (unsigned i = 0; i < take; i++)
                session_fmt("\\x%02x", (unsigned char)bytes[at + i]);
        }
        s->column += take;
        at += take;
    }
}

static void put_header(const struct index_row *row, const char *path)
{
    const unsigned old_mode = git_mode(row->old_file, row->old.mode),
                   new_mode = git_mode(row->file, row->new_mode);

    session_text("diff --git ");
    diff_put_name("a/", path);
    session_text(" ");
    diff_put_name("b/", path);
    session_text("\n");
    if (row->kind == TREE_ADDED)
        session_fmt("new file mode %o\n", new_mode);
    else if (row->kind == TREE_DELETED)
        session_fmt("deleted file mode %o\n", old_mode);
    else if (old_mode != new_mode)
        session_fmt("old mode %o\nnew mode %o\n", old_mode, new_mode);
}

static void put_files(const struct index_row *row, const char *path)
{
    session_text("--- ");
    if (row->kind == TREE_ADDED)
        session_text("/dev/null");
    else
        diff_put_name("a/", path);
    session_text("\n+++ ");
    if (row->kind == TREE_DELETED)
        session_text("/dev/null");
    else
        diff_put_name("b/", path);
    session_text("\n");
}

static int put_patch(const struct index_row *row, const char *path)
{
    struct content c[2];
    long gone, come;

    if (row->file != TREE_REGULAR && row->file != TREE_LINK)
        return 0; /* git knows no folders */
    if (row->kind == TREE_MODIFIED && !(row->flags & ROW_CONTENT) &&
        git_mode(row->old_file, row->old.mode) == git_mode(row->file, row->new_mode))
        return 0;
    int r = load_both(row, path, c);
    if (r < 0)
        return r;
    if (c[0].large || c[1].large)
        return -EFBIG;
    if (c[0].missing || c[1].missing)
        return -ESTALE;
    put_header(row, path);
    if (c[0].binary || c[1].binary) {
        binary_patch(c[0].text, c[1].text, row->kind == TREE_ADDED, row->kind == TREE_DELETED);
        return 0;
    }
    if (c[0].text.size == c[1].text.size &&
        (c[0].text.size == 0 || memcmp(c[0].text.bytes, c[1].text.bytes, c[0].text.size) == 0))
        return 0; /* the mode only, or an empty file */
    put_files(row, path);
    (void)diff_hunks(c[0].text, c[1].text, put_to_session, NULL, &gone, &come);
    return 0;
}

static void put_title(const struct index_row *row, const char *path, bool colours)
{
    static const char *const words[] = {"", "deleted", "modified", "added"};
    static char text[COLUMNS];
    struct sbuf b = SBUF(text);

    sbuf_escaped(&b, path);
    session_text(colours ? "\033[1m" : "");
    session_text(text);
    session_fmt("%s (%s)%s\n", row->file == TREE_FOLDER ? "/" : "", words[row->kind],
                colours ? "\033[0m" : "");
    if (row->kind == TREE_MODIFIED && row->flags & ROW_MODE)
        session_fmt("mode %o -> %o\n", row->old.mode & 07777, row->new_mode);
}

static int put_people(const struct index_row *row, const char *path, unsigned how)
{
    struct shown s = {.colours = how & DIFF_COLOURS, .max = how & DIFF_WHOLE ? UINT32_MAX : SHOWN_MAX};
    struct content c[2];
    long gone, come;

    put_title(row, path, s.colours);
    int r = load_both(row, path, c);
    if (r < 0)
        return r;
    if (row->file == TREE_SPECIAL || row->flags & ROW_LEFT_OUT)
        session_text("left out\n");
    else if (c[0].closed || c[1].closed)
        session_text("cannot be read\n");
    else if (c[0].missing || c[1].missing)
        session_text("not there any more\n");
    else if (c[0].binary || c[1].binary || c[0].large || c[1].large)
        session_fmt("%s, %llu -> %llu bytes\n", c[0].large || c[1].large ? "too large to compare" : "binary",
                    (unsigned long long)row->old.size, (unsigned long long)row->new_size);
    else
        (void)diff_hunks(c[0].text, c[1].text, put_shown, &s, &gone, &come);
    if (s.lines > s.max)
        session_fmt("(%u more lines; --patch has all)\n", s.lines - s.max);
    else if (s.cut)
        session_text("(long lines were cut; --patch has all)\n");
    return 0;
}

int diff_one(const struct index_row *row, const char *path, unsigned how)
{
    return how & DIFF_PATCH ? put_patch(row, path) : put_people(row, path, how);
}

int diff_count(const struct index_row *row, const char *path, long *ret_gone, long *ret_come)
{
    struct content c[2];
    int r = load_both(row, path, c);

    *ret_gone = *ret_come = -1;
    if (r < 0 || c[0].large || c[1].large || c[0].binary || c[1].binary)
        return r;
    (void)diff_hunks(c[0].text, c[1].text, NULL, NULL, ret_gone, ret_come);
    return 0;
}

static int fail_at(const char *path, int r)
{
    char text[300];
    struct sbuf b = SBUF(text);

    sbuf_escaped(&b, path);
    if (r == -EFBIG)
        return session_fail(r,
                            "what was printed is not whole: name the paths that are to be in it, behind --",
                            "a patch of %s: it has more than %u MiB", text, (unsigned)(DIFF_FILE_MAX >> 20));
    return session_fail(r, NULL, "the difference of %s: %s", text, strerror(-r));
}

int diff_all(const struct index *x, const uint8_t *chosen, unsigned how)
{
    const bool patch = how & DIFF_PATCH;
    const struct index_row *row;
    const char *path, *detail;
    int r = session.upper < 0 || session.lower < 0 ? -EPROTO : 0;

    for (int group = 0; group < SHOW_GROUPS && r >= 0; group++) {
        size_t at = 0, n = 0;
        for (; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
            if (show_group_of(row, n) != (enum show_group)group || !select_has(chosen, n) ||
                group == SHOW_GIT || (patch && git_view_class(n) == GIT_INTERNAL)) /* git apply takes none */
                continue;
            if (!patch && row->file == TREE_FOLDER && !(row->flags & ROW_MODE))
                continue;
            r = diff_one(row, path, how);
            if (r < 0)
                return fail_at(path, r);
            if (!patch)
                session_text("\n");
        }
    }
    return r;
}
