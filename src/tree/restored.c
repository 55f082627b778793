/* restored: see restored.h.
 *
 * Lives in: strongroom-tree. Trusts: nothing of the file's form, though only we wrote it. */
#include "tree/restored.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/beneath.h"
#include "tree/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION  1
#define TMP      ".restored"
#define ROWS_MAX ((size_t)1 << 23)

struct header {
    uint32_t magic, version;
    uint64_t rows;
};

static int compare(uint64_t a_dev, uint64_t a_ino, uint64_t b_dev, uint64_t b_ino)
{
    return a_dev != b_dev ? (a_dev > b_dev) - (a_dev < b_dev) : (a_ino > b_ino) - (a_ino < b_ino);
}

static int by_then(const void *a, const void *b)
{
    const struct restored_row *x = a, *y = b;
    const int order = compare(x->dev, x->ino, y->dev, y->ino);

    return order ? order : compare(x->now_dev, x->now_ino, y->now_dev, y->now_ino);
}

static int by_now(const void *a, const void *b)
{
    const struct restored_row *x = a, *y = b;

    return compare(x->now_dev, x->now_ino, y->now_dev, y->now_ino);
}

int restored_check(const void *bytes, size_t size)
{
    const struct restored_row *row = (const void *)((const char *)bytes + sizeof(struct header));
    struct header h;

    if (size < sizeof h)
        return -EBADMSG;
    memcpy(&h, bytes, sizeof h);
    if (h.magic != RESTORED_MAGIC || h.version != VERSION || h.rows > ROWS_MAX ||
        size - sizeof h != h.rows * sizeof *row)
        return -EBADMSG;
    for (size_t i = 1; i < h.rows; i++)
        if (by_then(&row[i - 1], &row[i]) > 0)
            return -EBADMSG;
    return 0;
}

static int read_whole(int fd, void *to, size_t size)
{
    const ssize_t got = beneath_read(fd, to, size);

    return got < 0 ? (int)got : (size_t)got == size ? restored_check(to, size) : -EBADMSG;
}

/* With room for `more`. */
static int load(int entry, size_t more, struct restored *ret)
{
    FD_AUTO fd = openat(entry, STORE_RESTORED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat s = {0};

    *ret = (struct restored){0};
    if (fd < 0 && errno != ENOENT)
        return -errno;
    if (fd >= 0 && (fstat(fd, &s) < 0 || s.st_size < (off_t)sizeof(struct header)))
        return -EBADMSG;
    const size_t bytes = fd < 0 ? sizeof(struct header) : (size_t)s.st_size;
    const size_t rows = (bytes - sizeof(struct header)) / sizeof *ret->row;
    if (rows > ROWS_MAX || more > ROWS_MAX - rows)
        return -E2BIG;
    if (rows + more == 0)
        return 0;
    struct restored r = {.count = rows, .room = rows + more};
    char *memory = mem_reserve(sizeof(struct header) + r.room * sizeof *r.row);
    if (!memory)
        return -ENOMEM;
    r.row = (void *)(memory + sizeof(struct header));
    const int n = fd < 0 ? 0 : read_whole(fd, memory, bytes);
    if (n < 0)
        restored_free(&r);
    *ret = r;
    return n;
}

int restored_load(int entry, struct restored *ret)
{
    return load(entry, 0, ret);
}

void restored_free(struct restored *r)
{
    if (r->row)
        mem_release((char *)r->row - sizeof(struct header), sizeof(struct header) + r->room * sizeof *r->row);
    *r = (struct restored){0};
}

struct fingerprint restored_as(const struct restored *r, const struct fingerprint *f, const struct stat *s)
{
    const struct restored_row wanted = {f->dev, f->ino, (uint64_t)s->st_dev, s->st_ino};
    struct fingerprint now = *f;

    if (r->count && bsearch(&wanted, r->row, r->count, sizeof wanted, by_then)) {
        now.dev = (uint64_t)s->st_dev;
        now.ino = s->st_ino;
    }
    return now;
}

static int write_out(int entry, const struct restored *r)
{
    struct header *h = (void *)((char *)r->row - sizeof *h);
    FD_AUTO fd = openat(entry, TMP, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    *h = (struct header){RESTORED_MAGIC, VERSION, r->count};
    int n = fd < 0 ? -errno : fd_write_all(fd, h, sizeof *h + r->count * sizeof *r->row);
    if (n == 0 && fsync(fd) < 0)
        n = -errno;
    if (n < 0)
        restored_drop(entry);
    return n;
}

int restored_take(int entry)
{
    if (renameat(entry, TMP, entry, STORE_RESTORED) < 0)
        return errno == ENOENT ? 0 : -errno; /* nothing was kept, or it is taken */
    return fsync(entry) < 0 ? -errno : 0;
}

void restored_drop(int entry)
{
    (void)unlinkat(entry, TMP, 0); /* it may never have been made */
}

/* What is another inode than the journal says: behind the `known` rows, which are sorted by now. Of those, the ones
 * that this makes stale are marked in `stale`: their inode is free, and may come to be another file's. */
static int note_all(int lower, struct journal *j, struct restored *r, size_t known, uint8_t *stale)
{
    struct beneath_parent tree = {.root = lower, .fd = lower};
    const struct journal_op *op;
    const char *path, *name;
    struct stat s;
    int n;

    j->at = sizeof *j->head;
    while ((n = journal_next(j, &op, &path)) > 0) {
        if (op->what != OP_DELETE && op->what != OP_REPLACE)
            continue;
        int dir = beneath_parent(&tree, path, &name);
        if (dir < 0 || fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) < 0 ||
            compare(op->old.dev, op->old.ino, (uint64_t)s.st_dev, s.st_ino) == 0)
            continue;
        const struct restored_row was = {.now_dev = op->old.dev, .now_ino = op->old.ino};
        const struct restored_row *before = known ? bsearch(&was, r->row, known, sizeof was, by_now) : NULL;
        if (r->count == r->room) {
            n = -EBADMSG; /* more operations than the journal says */
            break;
        }
        if (before)
            stale[before - r->row] = 1;
        r->row[r->count++] =
            (struct restored_row){before ? before->dev : op->old.dev, before ? before->ino : op->old.ino,
                                  (uint64_t)s.st_dev, s.st_ino};
    }
    beneath_parent_close(&tree);
    return n;
}

int restored_keep(int entry, int lower, struct journal *j)
{
    struct restored r;
    int n = load(entry, (size_t)j->head->ops, &r);
    const size_t known = r.count;
    size_t kept = 0;

    if (n < 0 || !r.row)
        return n;
    uint8_t *stale = mem_reserve(known + 1);
    qsort(r.row, known, sizeof *r.row, by_now);
    n = stale ? note_all(lower, j, &r, known, stale) : -ENOMEM;
    if (n == 0 && r.count > known) {
        for (size_t i = 0; i < r.count; i++)
            if (i >= known || !stale[i])
                r.row[kept++] = r.row[i];
        r.count = kept;
        qsort(r.row, r.count, sizeof *r.row, by_then);
        n = write_out(entry, &r);
    }
    mem_release(stale, known + 1);
    restored_free(&r);
    return n;
}
