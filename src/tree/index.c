/* index: see index.h.
 *
 * Lives in: strongroom-tree. Trusts: nothing of the file's form, though only we wrote it. */
#include "tree/index.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/record.h"
#include "tree/store.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define VERSION   1
#define BUF_BYTES ((size_t)1 << 20)
#define TMP       ".index"

int index_create(int entry, struct index_writer *ret)
{
    *ret = (struct index_writer){.fd = -1, .head = {.magic = INDEX_MAGIC, .version = VERSION}};
    ret->buf = mem_reserve(BUF_BYTES);
    if (!ret->buf)
        return -ENOMEM;
    ret->fd = openat(entry, TMP, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ret->fd < 0)
        return -errno;
    return fd_write_all(ret->fd, &ret->head, sizeof ret->head);
}

static int flush(struct index_writer *x)
{
    int r = fd_write_all(x->fd, x->buf, x->used);

    x->used = 0;
    return r;
}

static int put(struct index_writer *x, const void *bytes, size_t n)
{
    if (n > BUF_BYTES - x->used) {
        int r = flush(x);
        if (r < 0 || n > BUF_BYTES)
            return r < 0 ? r : fd_write_all(x->fd, bytes, n);
    }
    memcpy(x->buf + x->used, bytes, n);
    x->used += n;
    return 0;
}

int index_add(struct index_writer *x, const struct index_row *row, const char *path, const char *detail)
{
    static const char zeros[8];
    struct index_row w = *row;
    size_t path_len = strlen(path), detail_len = strlen(detail);

    w.path_len = (uint32_t)path_len;
    w.detail_len = (uint32_t)detail_len;
    const size_t bytes = sizeof w + path_len + 1 + detail_len + 1, pad = -bytes & 7;
    w.size = (uint32_t)(bytes + pad);
    int r = put(x, &w, sizeof w);
    if (r == 0)
        r = put(x, path, path_len + 1);
    if (r == 0)
        r = put(x, detail, detail_len + 1);
    if (r == 0)
        r = put(x, zeros, pad);
    x->head.bytes += w.size;
    index_count(&x->head.totals, row);
    return r;
}

static void let_go(struct index_writer *x)
{
    fd_close(&x->fd);
    mem_release(x->buf, x->buf ? BUF_BYTES : 0);
    x->buf = NULL;
}

int index_finish(int entry, struct index_writer *x)
{
    int r = flush(x);

    if (r == 0 && pwrite(x->fd, &x->head, sizeof x->head, 0) != (ssize_t)sizeof x->head)
        r = -EIO;
    if (r == 0 && fsync(x->fd) < 0)
        r = -errno;
    if (r == 0 && renameat(entry, TMP, entry, STORE_INDEX) < 0)
        r = -errno;
    if (r == 0 && fsync(entry) < 0)
        r = -errno;
    if (r < 0)
        index_drop(entry, x);
    else
        let_go(x);
    return r;
}

void index_drop(int entry, struct index_writer *x)
{
    let_go(x);
    (void)unlinkat(entry, TMP, 0); /* it may never have been made */
}

int index_check(const void *bytes, size_t size)
{
    const struct index_header *h = bytes;

    if (size < sizeof *h || h->magic != INDEX_MAGIC || h->version != VERSION ||
        h->bytes != size - sizeof *h || h->mass_detail_len >= INDEX_DETAIL_MAX ||
        h->mass_detail[h->mass_detail_len] != '\0')
        return -EBADMSG;
    return 0;
}

int index_open(int entry, struct index *ret)
{
    FD_AUTO fd = openat(entry, STORE_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat s;

    if (fd < 0 || fstat(fd, &s) < 0)
        return -errno;
    if (!S_ISREG(s.st_mode) || s.st_size < (off_t)sizeof(struct index_header))
        return -EBADMSG;
    void *map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    if (index_check(map, (size_t)s.st_size) < 0) {
        (void)munmap(map, (size_t)s.st_size);
        return -EBADMSG;
    }
    *ret = (struct index){
        .head = map, .map = map, .size = (size_t)s.st_size, .ino = s.st_ino, .ctime = s.st_ctim};
    return 0;
}

void index_close(struct index *x)
{
    if (x->map)
        (void)munmap((void *)(uintptr_t)x->map, x->size);
    *x = (struct index){0};
}

int index_next(const struct index *x, size_t *at, const struct index_row **ret, const char **ret_path,
               const char **ret_detail)
{
    const char *here = x->map + sizeof *x->head + *at;
    const size_t left = x->size - sizeof *x->head - *at;
    const struct index_row *r = (const void *)here;

    if (left == 0)
        return 0;
    if (left < sizeof *r || r->size > left || r->size % 8 || r->path_len > r->size || r->detail_len > r->size)
        return -EBADMSG;
    if ((uint64_t)sizeof *r + r->path_len + 1 + r->detail_len + 1 > r->size || r->kind == 0 ||
        r->kind >= TREE_KIND_COUNT || r->file == 0 || r->file > TREE_SPECIAL)
        return -EBADMSG;
    const char *path = here + sizeof *r, *detail = path + r->path_len + 1;
    if (path[r->path_len] != '\0' || detail[r->detail_len] != '\0' || !record_good_path(path, r->path_len))
        return -EBADMSG;
    *at += r->size;
    *ret = r;
    *ret_path = path;
    *ret_detail = detail;
    return 1;
}

enum tree_file tree_file_of(mode_t mode)
{
    return S_ISREG(mode)   ? TREE_REGULAR
           : S_ISDIR(mode) ? TREE_FOLDER
           : S_ISLNK(mode) ? TREE_LINK
                           : TREE_SPECIAL;
}

void fingerprint_take(const struct stat *s, struct fingerprint *ret)
{
    *ret = (struct fingerprint){.dev = (uint64_t)s->st_dev,
                                .ino = s->st_ino,
                                .size = (uint64_t)s->st_size,
                                .mtime = s->st_mtim.tv_sec,
                                .ctime = s->st_ctim.tv_sec,
                                .mtime_nsec = (uint32_t)s->st_mtim.tv_nsec,
                                .ctime_nsec = (uint32_t)s->st_ctim.tv_nsec,
                                .mode = s->st_mode,
                                .links = (uint32_t)s->st_nlink};
}

/* Of a folder only identity and mode: what is in it has rows of its own. */
bool fingerprint_same(const struct fingerprint *f, const struct stat *s, bool with_ctime)
{
    struct fingerprint now;

    fingerprint_take(s, &now);
    if (f->dev != now.dev || f->ino != now.ino || f->mode != now.mode)
        return false;
    if (S_ISDIR(now.mode))
        return true;
    return f->size == now.size && f->mtime == now.mtime && f->mtime_nsec == now.mtime_nsec &&
           (!with_ctime || (f->ctime == now.ctime && f->ctime_nsec == now.ctime_nsec));
}

void index_count(struct tree_totals *t, const struct index_row *row)
{
    const bool bytes = row->kind != TREE_MODIFIED || row->flags & ROW_CONTENT;

    t->rows++;
    t->deleted += row->kind == TREE_DELETED;
    t->modified += row->kind == TREE_MODIFIED;
    t->added += row->kind == TREE_ADDED;
    if (bytes && row->kind != TREE_ADDED && S_ISREG(row->old.mode))
        t->bytes_deleted += row->old.size;
    if (bytes && row->kind != TREE_DELETED && row->file == TREE_REGULAR)
        t->bytes_added += row->new_size;
    t->alarms += row->alarm != 0;
    t->conflicts += (row->flags & ROW_CONFLICT) != 0;
    t->left_out += (row->flags & ROW_LEFT_OUT) != 0;
}
