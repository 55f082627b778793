/* decisions: see decisions.h.
 *
 * Lives in: strongroom-tree. Trusts: nothing of the file's form, though only we wrote it. */
#include "tree/decisions.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/beneath.h"
#include "tree/store.h"

#include <stdio.h>
#include <string.h>

#define VERSION 1
#define TMP     ".decisions"

static void describe(const struct index *x, struct decisions_header *ret)
{
    *ret = (struct decisions_header){.magic = DECISIONS_MAGIC,
                                     .version = VERSION,
                                     .rows = x->head->totals.rows,
                                     .index_ino = x->ino,
                                     .index_size = x->size,
                                     .index_ctime = x->ctime.tv_sec,
                                     .index_ctime_nsec = (uint64_t)x->ctime.tv_nsec};
}

static size_t bytes_of(const struct decisions *d)
{
    return sizeof *d->head + (size_t)d->rows;
}

int decisions_check(const void *bytes, size_t size, const struct decisions_header *wanted)
{
    const uint8_t *row = (const uint8_t *)bytes + sizeof *wanted;
    struct decisions_header h;

    if (size < sizeof h)
        return -EBADMSG;
    memcpy(&h, bytes, sizeof h);
    if (h.magic != DECISIONS_MAGIC || h.version != VERSION)
        return -EBADMSG;
    if (memcmp(&h, wanted, sizeof h) != 0)
        return -ESTALE;
    if (h.rows != size - sizeof h)
        return -EBADMSG;
    for (size_t i = 0; i < h.rows; i++)
        if (row[i] > TREE_REJECTED)
            return -EBADMSG;
    return 0;
}

int decisions_load(int entry, const struct index *x, struct decisions *ret)
{
    struct decisions d = {.rows = x->head->totals.rows};
    struct stat s;
    int r = 0;

    if (d.rows > x->size) /* each row has a record */
        return -EBADMSG;
    d.head = mem_reserve(bytes_of(&d));
    if (!d.head)
        return -ENOMEM;
    d.row = (uint8_t *)(d.head + 1);
    describe(x, d.head);
    const struct decisions_header wanted = *d.head;
    FD_AUTO fd = openat(entry, STORE_DECISIONS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        r = errno == ENOENT ? 0 : -errno;
    } else if (fstat(fd, &s) < 0) {
        r = -errno;
    } else {
        ssize_t n = beneath_read(fd, d.head, bytes_of(&d));
        r = n < 0 ? (int)n : decisions_check(d.head, (size_t)n, &wanted);
        if (r == 0 && (uint64_t)s.st_size != bytes_of(&d))
            r = -EBADMSG;
        d.any = true;
    }
    if (r < 0) {
        decisions_free(&d);
        return r;
    }
    *ret = d;
    return 0;
}

int decisions_keep(int entry, const struct decisions *d)
{
    bool any = false;
    int r = 0;

    for (uint64_t i = 0; i < d->rows && !any; i++)
        any = d->row[i] != TREE_UNDECIDED;
    if (!any) {
        r = unlinkat(entry, STORE_DECISIONS, 0) < 0 && errno != ENOENT ? -errno : 0;
        return r == 0 && fsync(entry) < 0 ? -errno : r;
    }
    FD_AUTO fd = openat(entry, TMP, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = fd < 0 ? -errno : fd_write_all(fd, d->head, bytes_of(d));
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && renameat(entry, TMP, entry, STORE_DECISIONS) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(entry, TMP, 0); /* it may never have been made */
    return r == 0 && fsync(entry) < 0 ? -errno : r;
}

void decisions_free(struct decisions *d)
{
    mem_release(d->head, d->head ? bytes_of(d) : 0);
    *d = (struct decisions){0};
}

enum tree_decision decision_of(const struct decisions *d, size_t row)
{
    return d && d->head && row < d->rows ? (enum tree_decision)d->row[row] : TREE_UNDECIDED;
}

void decisions_count(const struct decisions *d, const struct index *x, struct tree_decided *ret)
{
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0;

    *ret = (struct tree_decided){0};
    for (size_t n = 0; index_next(x, &at, &row, &path, &detail) > 0; n++) {
        if (row->flags & ROW_LEFT_OUT)
            continue;
        const enum tree_decision said = decision_of(d, n);
        ret->accepted += said == TREE_ACCEPTED;
        ret->rejected += said == TREE_REJECTED;
        ret->undecided += said == TREE_UNDECIDED;
    }
    if (ret->accepted + ret->rejected == 0)
        ret->undecided = 0;
}
