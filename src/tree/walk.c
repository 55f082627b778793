/* walk: see walk.h.
 *
 * Lives in: strongroom-tree. Trusts: nothing of the trees but that the roots are folders.
 * Must not: recurse, follow a link, leave a root, hold more than the named bounds. */
#include "tree/walk.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"
#include "tree/beneath.h"

#include <stdlib.h>
#include <string.h>

#define DIRENTS_BYTES 65536

struct walk_level {
    int fd[WALK_SIDES];
    bool has[WALK_SIDES];
    uint64_t dev[WALK_SIDES], ino[WALK_SIDES];
    size_t names_start, names_end, names_at; /* in the arena */
    size_t path_len;                         /* of the folder */
    uint64_t mark;
};

static char dirents[DIRENTS_BYTES];

/* Appends the names of a folder, just opened, to the arena, each with its NUL. */
static int list_names(struct walk *w, int fd)
{
    long n;

    while ((n = syscall(SYS_getdents64, fd, dirents, sizeof dirents)) > 0)
        for (long at = 0; at < n;) {
            const char *name = dirents + at + 19; /* struct linux_dirent64: u64, s64, u16, u8, name */
            unsigned short len;
            memcpy(&len, dirents + at + 16, sizeof len);
            at += len;
            if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                continue;
            size_t size = strlen(name) + 1;
            if (strchr(name, '/') || size == 1)
                return -EBADMSG; /* a broken file system */
            if (size > WALK_NAMES_MAX - w->names_used)
                return -E2BIG;
            memcpy(w->names + w->names_used, name, size);
            w->names_used += size;
        }
    return n < 0 ? -errno : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts the names from `start` on and drops those that are there twice (both sides have them). */
static int sort_names(struct walk *w, size_t start)
{
    size_t count = 0, bytes = w->names_used - start, i = 0, used = 0;

    for (size_t at = start; at < w->names_used; at += strlen(w->names + at) + 1)
        count++;
    if (count < 2)
        return 0;
    const size_t size = count * sizeof(char *) + bytes;
    const char **list = mem_reserve(size);
    if (!list)
        return -ENOMEM;
    char *copy = (char *)(list + count);
    memcpy(copy, w->names + start, bytes);
    for (size_t at = 0; at < bytes; at += strlen(copy + at) + 1)
        list[i++] = copy + at;
    qsort(list, count, sizeof *list, by_name);
    for (i = 0; i < count; i++) {
        if (i > 0 && strcmp(list[i - 1], list[i]) == 0)
            continue;
        size_t n = strlen(list[i]) + 1;
        memcpy(w->names + start + used, list[i], n);
        used += n;
    }
    w->names_used = start + used;
    mem_release(list, size);
    return 0;
}

/* Makes `fd` (taken over, also on failure) the new innermost level. */
static int push(struct walk *w, int fd[WALK_SIDES], unsigned list, uint64_t mark)
{
    struct walk_level *l = &w->levels[w->depth];
    int r = w->depth == WALK_LEVELS_MAX ? -ELOOP : 0;

    if (r == 0)
        memset(l, 0, sizeof *l);
    for (int side = 0; side < WALK_SIDES && r == 0; side++) {
        struct stat s;
        l->has[side] = fd[side] >= 0;
        if (!l->has[side])
            continue;
        r = fstat(fd[side], &s) < 0 ? -errno : 0;
        l->dev[side] = (uint64_t)s.st_dev;
        l->ino[side] = s.st_ino;
    }
    const size_t start = w->names_used;
    for (int side = 0; side < WALK_SIDES && r == 0; side++)
        if (fd[side] >= 0 && list >> side & 1)
            r = list_names(w, fd[side]);
    if (r == 0)
        r = sort_names(w, start);
    if (r < 0) {
        w->names_used = start;
        fd_close(&fd[WALK_UPPER]);
        fd_close(&fd[WALK_LOWER]);
        return r;
    }
    l->names_start = l->names_at = start;
    l->names_end = w->names_used;
    l->path_len = w->path_len;
    l->mark = mark;
    memcpy(l->fd, fd, sizeof l->fd);
    w->depth++;
    if (w->depth > WALK_FDS_KEPT + 1) { /* the root keeps its own */
        struct walk_level *old = &w->levels[w->depth - WALK_FDS_KEPT - 1];
        fd_close(&old->fd[WALK_UPPER]);
        fd_close(&old->fd[WALK_LOWER]);
    }
    return 0;
}

int walk_open(struct walk *w, int upper, int lower, unsigned list)
{
    int fd[WALK_SIDES] = {-1, -1};
    const int roots[WALK_SIDES] = {upper, lower};

    *w = (struct walk){.dir = {-1, -1}};
    w->levels = mem_reserve(WALK_LEVELS_MAX * sizeof *w->levels);
    w->names = mem_reserve(WALK_NAMES_MAX);
    w->path = mem_reserve(WALK_PATH_MAX);
    if (!w->levels || !w->names || !w->path)
        return -ENOMEM;
    for (int side = 0; side < WALK_SIDES; side++)
        if (roots[side] >= 0 && (fd[side] = beneath_open(roots[side], ".", O_RDONLY | O_DIRECTORY)) < 0) {
            int r = fd[side];
            fd[side] = -1;
            fd_close(&fd[WALK_UPPER]);
            return r;
        }
    return push(w, fd, list, 0);
}

void walk_close(struct walk *w)
{
    for (size_t i = 0; i < w->depth; i++) {
        fd_close(&w->levels[i].fd[WALK_UPPER]);
        fd_close(&w->levels[i].fd[WALK_LOWER]);
    }
    mem_release(w->levels, WALK_LEVELS_MAX * sizeof *w->levels);
    mem_release(w->names, WALK_NAMES_MAX);
    mem_release(w->path, WALK_PATH_MAX);
    memset(w, 0, sizeof *w);
}

/* Leaves the innermost level. Its folder is then the entry at hand again, without its stat. */
static int pop(struct walk *w)
{
    struct walk_level *l = &w->levels[w->depth - 1], *up = l - 1;
    int r = 0;

    for (int side = 0; side < WALK_SIDES; side++) {
        if (up->has[side] && up->fd[side] < 0 && l->has[side] && r == 0) {
            struct stat s;
            up->fd[side] = openat(l->fd[side], "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
            if (up->fd[side] < 0 || fstat(up->fd[side], &s) < 0)
                r = -errno;
            else if ((uint64_t)s.st_dev != up->dev[side] || s.st_ino != up->ino[side])
                r = -ESTALE;
        }
        w->has[side] = l->has[side];
    }
    fd_close(&l->fd[WALK_UPPER]);
    fd_close(&l->fd[WALK_LOWER]);
    w->names_used = l->names_start;
    w->path_len = l->path_len;
    w->path[w->path_len] = '\0';
    w->mark = l->mark;
    w->depth--;
    const char *slash = strrchr(w->path, '/');
    w->name = slash ? slash + 1 : w->path;
    memcpy(w->dir, up->fd, sizeof w->dir);
    return r;
}

/* A side whose folder was not entered has no descriptor to climb from: its levels above must have kept theirs. They
 * do: a side that ends at some level is opened again below no deeper one, so its innermost WALK_FDS_KEPT may be
 * closed while the other side goes on. Such a side is reached from the root instead. */
static int side_again(struct walk *w, struct walk_level *l, int side)
{
    const int root = w->levels[0].fd[side];
    int fd = beneath_open_path(root, w->path, l->path_len, O_PATH | O_DIRECTORY);
    struct stat s;

    if (fd < 0)
        return fd;
    if (fstat(fd, &s) < 0 || (uint64_t)s.st_dev != l->dev[side] || s.st_ino != l->ino[side]) {
        fd_close(&fd);
        return -ESTALE;
    }
    l->fd[side] = fd;
    return 0;
}

static int see_sides(struct walk *w, struct walk_level *l)
{
    for (int side = 0; side < WALK_SIDES; side++) {
        w->has[side] = false;
        if (l->has[side] && l->fd[side] < 0) {
            int r = side_again(w, l, side);
            if (r < 0)
                return r;
        }
        w->dir[side] = l->fd[side];
        if (!l->has[side])
            continue;
        if (fstatat(l->fd[side], w->name, &w->stat[side], AT_SYMLINK_NOFOLLOW) == 0)
            w->has[side] = true;
        else if (errno != ENOENT)
            return -errno;
    }
    return 0;
}

int walk_next(struct walk *w)
{
    for (;;) {
        struct walk_level *l = &w->levels[w->depth - 1];
        if (l->names_at == l->names_end) {
            if (w->depth == 1)
                return WALK_END;
            int r = pop(w);
            return r < 0 ? r : WALK_LEAVE;
        }
        w->name = w->names + l->names_at;
        size_t n = strlen(w->name), at = l->path_len;
        l->names_at += n + 1;
        if (n + 2 > WALK_PATH_MAX - at)
            return -ENAMETOOLONG;
        w->path[at] = '\0';
        int r = see_sides(w, l);
        if (r < 0)
            return r;
        if (at)
            w->path[at++] = '/';
        memcpy(w->path + at, w->name, n + 1);
        w->path_len = at + n;
        if (w->has[WALK_UPPER] || w->has[WALK_LOWER]) /* else it went away meanwhile */
            return WALK_ENTRY;
    }
}

uint64_t walk_mark(const struct walk *w)
{
    return w->levels[w->depth - 1].mark;
}

bool walk_folder(const struct walk *w, enum walk_side side, uint64_t *ret_dev, uint64_t *ret_ino)
{
    const struct walk_level *l = &w->levels[w->depth - 1];

    if (!l->has[side])
        return false;
    *ret_dev = l->dev[side];
    *ret_ino = l->ino[side];
    return true;
}

int walk_enter(struct walk *w, unsigned sides, unsigned list, uint64_t mark)
{
    int fd[WALK_SIDES] = {-1, -1}, r = 0;

    for (int side = 0; side < WALK_SIDES && r == 0; side++) {
        if (!(sides >> side & 1) || !w->has[side])
            continue;
        struct stat s;
        fd[side] =
            (w->ours[side] ? beneath_open_ours : beneath_open)(w->dir[side], w->name, O_RDONLY | O_DIRECTORY);
        if (fd[side] < 0)
            r = fd[side];
        else if (fstat(fd[side], &s) < 0 || s.st_ino != w->stat[side].st_ino ||
                 s.st_dev != w->stat[side].st_dev)
            r = -ESTALE;
    }
    if (r < 0) {
        fd_close(&fd[WALK_UPPER]);
        fd_close(&fd[WALK_LOWER]);
        return r;
    }
    return push(w, fd, list, mark);
}
