/* import: see import.h.
 *
 * Lives in: strongroom-tree. Trusts: the journal by form; nothing of names and bytes: names are quoted, bytes are
 * counted. Must not: follow a link, read anything but what the journal names. */
#include "tree/import.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "tree/beneath.h"
#include "tree/diff.h"
#include "tree/journal.h"
#include "tree/session.h"
#include "tree/stage.h"

#include <string.h>
#include <strings.h>

#define TARGET_MAX 4096
#define BLOCK      65536

struct importing {
    struct beneath_parent upper, lower;
    int old;   /* what the apply took away (stage_path) */
    bool flat; /* see there */
};

static bool in_git(const char *path)
{
    for (const char *at = path; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL)
        if (strcspn(at, "/") == 4 && strncasecmp(at, ".git", 4) == 0)
            return true;
    return false;
}

static int put_bytes(int fd, uint64_t size)
{
    static char block[BLOCK];
    uint64_t at = 0;

    session_fmt("data %llu\n", (unsigned long long)size);
    while (at < size) {
        const size_t want = size - at < BLOCK ? (size_t)(size - at) : BLOCK;
        ssize_t n = pread(fd, block, want, (off_t)at);
        if (n <= 0)
            return n < 0 ? -errno : -ESTALE;
        session_bytes(block, (size_t)n);
        at += (uint64_t)n;
    }
    session_text("\n");
    return 0;
}

/* A file or link, as `path` in git. `ours`: not a tree of the host's. */
static int put_file(int dir, const char *name, bool ours, uint8_t file, uint32_t mode, const char *path)
{
    struct stat s;

    session_fmt("M %s inline ", file == TREE_LINK ? "120000" : mode & 0100 ? "100755" : "100644");
    diff_put_name("", path);
    session_text("\n");
    if (file == TREE_LINK) {
        char target[TARGET_MAX];
        ssize_t n = readlinkat(dir, name, target, sizeof target);
        if (n < 0)
            return -errno;
        session_fmt("data %zd\n", n);
        session_bytes(target, (size_t)n);
        session_text("\n");
        return 0;
    }
    FD_AUTO fd = (ours ? beneath_open_ours : beneath_open)(dir, name, O_RDONLY);
    if (fd < 0)
        return fd;
    if (fstat(fd, &s) < 0)
        return -errno;
    return S_ISREG(s.st_mode) ? put_bytes(fd, (uint64_t)s.st_size) : -ESTALE;
}

static void put_gone(const char *path)
{
    session_text("D ");
    diff_put_name("", path);
    session_text("\n");
}

static int put_at(struct beneath_parent *tree, bool ours, uint8_t file, uint32_t mode, const char *path)
{
    const char *name;
    int dir = beneath_parent(tree, path, &name);

    return dir < 0 ? dir : put_file(dir, name, ours, file, mode, path);
}

static int put_before(struct importing *m, const struct journal_op *op, const char *path)
{
    char number[STAGE_PATH_MAX];

    if (op->what == OP_ADD) {
        put_gone(path);
        return 0;
    }
    if (op->what == OP_MODE)
        return put_at(&m->lower, false, TREE_REGULAR, op->old.mode, path);
    stage_path(m->flat, op->number, number);
    return put_file(m->old, number, true, op->file, op->old.mode, path);
}

static int put_after(struct importing *m, const struct journal_op *op, const char *path)
{
    if (op->what == OP_DELETE) {
        put_gone(path);
        return 0;
    }
    if (op->what == OP_MODE)
        return put_at(&m->lower, false, TREE_REGULAR, op->new_mode, path);
    return put_at(&m->upper, true, op->file, op->new_mode, path);
}

/* The operations that git would speak of. */
static bool concerns(const struct journal_op *op, const char *path)
{
    const bool file =
        op->what == OP_MODE ? S_ISREG(op->old.mode) : op->file == TREE_REGULAR || op->file == TREE_LINK;

    return op->what != OP_SETTLE && file && !in_git(path);
}

/* What came is taken away before what went is put back: backwards, as an undo would. */
static int put_commit(struct importing *m, bool before)
{
    struct journal j = {0};
    const struct journal_op *op;
    const char *path;
    int r = journal_open(session.entry, &j);

    if (r < 0)
        return r;
    session_fmt("commit refs/strongroom/%s\ncommitter strongroom <> 0 +0000\ndata 0\n"
                "from refs/strongroom/old^0\n",
                before ? "before" : "new");
    m->flat = journal_flat(&j);
    if (before)
        journal_to_end(&j);
    while ((r = before ? journal_back(&j, &op, &path) : journal_next(&j, &op, &path)) > 0)
        if (concerns(op, path) && (r = before ? put_before(m, op, path) : put_after(m, op, path)) < 0)
            break;
    session_text("\n");
    journal_close(&j);
    return r;
}

int import_stream(void)
{
    struct importing m = {.upper = {.root = session.upper, .fd = session.upper},
                          .lower = {.root = session.lower, .fd = session.lower}};
    int r = session.upper < 0 || session.lower < 0 ? -EPROTO : 0;

    FD_AUTO old = openat(session.entry, STORE_OLD, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    m.old = old;
    if (r == 0 && old < 0)
        r = -errno;
    if (r == 0)
        r = put_commit(&m, true);
    if (r == 0)
        r = put_commit(&m, false);
    if (r == 0)
        session_text("done\n");
    beneath_parent_close(&m.upper);
    beneath_parent_close(&m.lower);
    return r;
}
