/* journal: see journal.h.
 *
 * Lives in: strongroom-tree. Trusts: nothing of the file's form, though only we wrote it. */
#include "tree/journal.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/record.h"
#include "tree/store.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define VERSION   2 /* 1: the stage was one flat folder */
#define BUF_BYTES ((size_t)1 << 20)
#define TAIL      8

int journal_create(int entry, const struct stat *root, struct journal_writer *ret)
{
    *ret = (struct journal_writer){.fd = -1,
                                   .head = {.magic = JOURNAL_MAGIC,
                                            .version = VERSION,
                                            .dev = (uint64_t)root->st_dev,
                                            .ino = root->st_ino,
                                            .old_mtime = root->st_mtim.tv_sec,
                                            .old_mtime_nsec = (uint32_t)root->st_mtim.tv_nsec}};
    ret->buf = mem_reserve(BUF_BYTES);
    if (!ret->buf)
        return -ENOMEM;
    ret->fd = openat(entry, JOURNAL_BEGUN, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ret->fd < 0)
        return -errno;
    return fd_write_all(ret->fd, &ret->head, sizeof ret->head);
}

static int flush(struct journal_writer *j)
{
    int r = fd_write_all(j->fd, j->buf, j->used);

    j->used = 0;
    return r;
}

static int put(struct journal_writer *j, const void *bytes, size_t n)
{
    if (n > BUF_BYTES - j->used) {
        int r = flush(j);
        if (r < 0 || n > BUF_BYTES)
            return r < 0 ? r : fd_write_all(j->fd, bytes, n);
    }
    memcpy(j->buf + j->used, bytes, n);
    j->used += n;
    return 0;
}

int journal_add(struct journal_writer *j, const struct journal_op *op, const char *path)
{
    static const char zeros[8];
    struct journal_op w = *op;
    size_t path_len = strlen(path), bytes = sizeof w + path_len + 1, pad = -bytes & 7;

    w.path_len = (uint32_t)path_len;
    w.size = (uint32_t)(bytes + pad + TAIL);
    const uint32_t tail[2] = {w.size, w.size};
    int r = put(j, &w, sizeof w);
    if (r == 0)
        r = put(j, path, path_len + 1);
    if (r == 0)
        r = put(j, zeros, pad);
    if (r == 0)
        r = put(j, tail, sizeof tail);
    j->head.bytes += w.size;
    j->head.ops++;
    return r;
}

static void let_go(struct journal_writer *j)
{
    fd_close(&j->fd);
    mem_release(j->buf, j->buf ? BUF_BYTES : 0);
    j->buf = NULL;
}

int journal_finish(int entry, struct journal_writer *j)
{
    int r = flush(j);

    if (r == 0 && pwrite(j->fd, &j->head, sizeof j->head, 0) != (ssize_t)sizeof j->head)
        r = -EIO;
    if (r == 0 && fsync(j->fd) < 0)
        r = -errno;
    if (r == 0 && renameat(entry, JOURNAL_BEGUN, entry, STORE_JOURNAL) < 0)
        r = -errno;
    if (r == 0 && fsync(entry) < 0)
        r = -errno;
    if (r < 0)
        journal_drop(entry, j);
    else
        let_go(j);
    return r;
}

void journal_drop(int entry, struct journal_writer *j)
{
    let_go(j);
    (void)unlinkat(entry, JOURNAL_BEGUN, 0); /* it may never have been made */
}

void journal_leave(struct journal_writer *j)
{
    let_go(j);
}

int journal_check(const void *bytes, size_t size)
{
    const struct journal_header *h = bytes;

    return size < sizeof *h || h->magic != JOURNAL_MAGIC || h->version < 1 || h->version > VERSION ||
                   h->bytes != size - sizeof *h || memchr(h->id, '\0', sizeof h->id) == NULL
               ? -EBADMSG
               : 0;
}

int journal_begun(int entry, struct journal_header *ret)
{
    FD_AUTO fd = openat(entry, JOURNAL_BEGUN, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -errno;
    return read(fd, ret, sizeof *ret) == (ssize_t)sizeof *ret && ret->magic == JOURNAL_MAGIC ? 0 : -EBADMSG;
}

int journal_open(int entry, struct journal *ret)
{
    FD_AUTO fd = openat(entry, STORE_JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat s;

    if (fd < 0 || fstat(fd, &s) < 0)
        return -errno;
    if (!S_ISREG(s.st_mode) || s.st_size < (off_t)sizeof(struct journal_header))
        return -EBADMSG;
    void *map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    if (journal_check(map, (size_t)s.st_size) < 0) {
        (void)munmap(map, (size_t)s.st_size);
        return -EBADMSG;
    }
    *ret = (struct journal){
        .head = map, .map = map, .size = (size_t)s.st_size, .at = sizeof(struct journal_header)};
    return 0;
}

bool journal_flat(const struct journal *j)
{
    return j->head->version < 2;
}

void journal_close(struct journal *j)
{
    if (j->map)
        (void)munmap((void *)(uintptr_t)j->map, j->size);
    *j = (struct journal){0};
}

void journal_to_end(struct journal *j)
{
    j->at = j->size;
}

/* The record at `at`, of which `size` bytes are there at most. */
static int take(const struct journal *j, size_t at, size_t left, const struct journal_op **ret,
                const char **ret_path)
{
    const struct journal_op *op = (const void *)(j->map + at);

    if (left < sizeof *op || op->size > left || op->size % 8 || op->path_len > op->size ||
        (uint64_t)sizeof *op + op->path_len + 1 + TAIL > op->size || op->what == 0 ||
        op->what >= OP_WHAT_COUNT || op->file == 0 || op->file > TREE_SPECIAL)
        return -EBADMSG;
    const char *path = j->map + at + sizeof *op;
    if (path[op->path_len] != '\0' || !record_good_path(path, op->path_len))
        return -EBADMSG;
    *ret = op;
    *ret_path = path;
    return 1;
}

int journal_next(struct journal *j, const struct journal_op **ret, const char **ret_path)
{
    if (j->at == j->size)
        return 0;
    int r = take(j, j->at, j->size - j->at, ret, ret_path);
    if (r > 0)
        j->at += (*ret)->size;
    return r;
}

int journal_back(struct journal *j, const struct journal_op **ret, const char **ret_path)
{
    uint32_t size;

    if (j->at <= sizeof *j->head)
        return 0;
    memcpy(&size, j->map + j->at - sizeof size, sizeof size);
    if (size > j->at - sizeof *j->head)
        return -EBADMSG;
    int r = take(j, j->at - size, size, ret, ret_path);
    if (r > 0 && (*ret)->size != size)
        return -EBADMSG;
    if (r > 0)
        j->at -= size;
    return r;
}
