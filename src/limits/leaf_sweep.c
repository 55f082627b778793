/* leaf_sweep: removes what a killed predecessor left behind.
 *
 * Theory of operation. A leaf is left over when its name is one of ours, nobody is in it and nobody answers
 * for it: its maker holds a shared lock on the directory as long as it (or its undertaker) lives, also for a
 * leaf made ahead of its room. Between making and locking lie microseconds; a directory younger than
 * AGE_MIN_S is passed over for that reason. Only one sweeper works on a parent at a time (an exclusive lock
 * on the parent): so nobody but us removes an unlocked leaf, and the name that we unlink is still the
 * directory that we looked at. A populated directory cannot be removed (EBUSY), whatever we believe.
 *
 * Lives in: the supervisor. Trusts: the cgroup file systems. May: remove empty directories named LEAF_PREFIX
 * + digits or LEAF_SUP_PREFIX + digits. Must not: wait, follow links, allocate. */
#include "limits/leaf.h"

#include "limits/leaf_file.h"
#include "limits/leaf_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define AGE_MIN_S   5
#define ENTRIES_MAX 65536 /* of one parent that are looked at */

struct entry { /* struct linux_dirent64 of getdents64(2) */
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

static bool is_ours(const char *name)
{
    static const char sup[] = LEAF_SUP_PREFIX;
    const char *p = name + sizeof sup - 1;
    uint64_t pid;

    if (leaf_parse_leaf_name(name))
        return true;
    return strncmp(name, sup, sizeof sup - 1) == 0 && leaf_text_digits(&p, &pid) && *p == '\0';
}

static bool is_old(const struct stat *st)
{
    struct timespec now;
    time_t newest = st->st_ctim.tv_sec > st->st_mtim.tv_sec ? st->st_ctim.tv_sec : st->st_mtim.tv_sec;

    return clock_gettime(CLOCK_REALTIME, &now) == 0 && now.tv_sec - newest > AGE_MIN_S;
}

/* Removes one candidate if it is old and nobody answers for it; first its namesakes of the other hierarchies,
 * so that what remains can still be found. Returns how many directories went. */
static int sweep_one(const struct leaf_place *p, const char *name)
{
    struct stat st;
    int removed = 0, kept = 0, fd;

    if (fstatat(p->parent_fd[0], name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) || !is_old(&st))
        return 0;
    fd = openat(p->parent_fd[0], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        for (int h = p->count - 1; h >= 0 && (h > 0 || kept == 0); h--) {
            if (unlinkat(p->parent_fd[h], name, AT_REMOVEDIR) == 0)
                removed++;
            else
                kept += errno != ENOENT;
        }
    }
    (void)close(fd); /* a directory */
    return removed;
}

static int sweep_parent(const struct leaf_place *p, int fd)
{
    _Alignas(struct entry) char buf[4096];
    int removed = 0, seen = 0;
    long n;

    while (seen < ENTRIES_MAX && (n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0) {
        for (long at = 0; at < n; seen++) {
            const struct entry *d = (const struct entry *)(const void *)(buf + at);

            at += d->reclen;
            if (is_ours(d->name))
                removed += sweep_one(p, d->name);
        }
    }
    return removed;
}

/* A sweeper of another place may share our first hierarchy and not this one: it took the leaf there and could
 * not know of this part. Looked at now and then only; each part carries its maker's lock. */
static void sweep_rest(const struct leaf_place *p, int h)
{
    const struct leaf_place one = {.count = 1, .parent_fd = {p->parent_fd[h]}};
    int fd = openat(p->parent_fd[h], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        (void)sweep_parent(&one, fd);
    (void)close(fd); /* a directory */
}

/* A leaf is made in the first hierarchy first and removed there last: what is not in its parent is nowhere, as far as
 * sweepers of this place are concerned. */
int leaf_sweep(const struct leaf_place *p)
{
    int removed = 0, fd;

    if (p->count == 0)
        return 0;
    fd = openat(p->parent_fd[0], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) /* another sweeper is as good */
        removed = sweep_parent(p, fd);
    (void)close(fd); /* a directory */
    int other = 1 + getpid() % 8;
    if (other < p->count)
        sweep_rest(p, other);
    return removed;
}
