/* leaf_unified: finds the place for leaves in the unified hierarchy (cgroup v2).
 *
 * Theory of operation. A leaf below cgroup A is usable when A's directory and its cgroup.procs are writable
 * to us (so that we may move into the leaf from anywhere below A) and A's cgroup.subtree_control carries
 * memory, pids and cpu. Candidates are our own cgroup and its ancestors up to the mount point: nearest first,
 * but root begins at the top, so that all of root's rooms of a host share one directory and a slot is claimed
 * once. Four attempts, each weaker:
 *   1. a candidate that carries everything already: nothing is changed;
 *   2. one where the missing controllers can be enabled. Not in a unit of systemd that was not delegated: its
 * manager owns that file and may take the controller away again under a running room;
 *   3. our own delegated cgroup, when only the no-internal-process rule stands in the way and we are its sole
 * member: we move into a new child strongroom-sup-PID and enable there. Safe, because nobody else is moved or
 * bounded, and undone on failure. leaf_place_close undoes it too, when nobody else came to use the place;
 *   4. the candidate that carries most of the controllers; `why` tells what is missing.
 *
 * Lives in: the supervisor, before the room. Trusts: the cgroup file system. May: write
 * cgroup.subtree_control of a candidate, move its own process. Must not: move anybody else, disable a
 * controller that somebody else may use. */
#include "limits/leaf_file.h"
#include "limits/leaf_find.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX 32 /* ancestors that are looked at; systemd's deepest usual path has 7 */

struct search {
    const struct leaf_home *home;
    struct leaf_place *place;
    int top_fd;     /* the mount point */
    int best_fd;    /* -1 none */
    unsigned best;  /* controllers that best_fd carries */
    int writable;   /* candidates that we may write to */
    int last_errno; /* why the last one could not be used */
};

static unsigned list_of(int fd, const char *file)
{
    char text[LEAF_FILE_MAX];
    ssize_t n = leaf_file_read(fd, file, text, sizeof text);

    return n < 0 ? 0 : leaf_parse_controllers(text, (size_t)n) & LEAF_CONTROLLERS;
}

/* Writes e.g. "+memory +pids" into cgroup.subtree_control. */
static int switch_controllers(int fd, unsigned which, char sign)
{
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = {{"memory", LEAF_HAS_MEMORY}, {"pids", LEAF_HAS_PIDS}, {"cpu", LEAF_HAS_CPU}};
    char text[64];
    size_t n = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i].name);

        if (!(which & names[i].bit))
            continue;
        if (n > 0)
            text[n++] = ' ';
        text[n++] = sign;
        memcpy(text + n, names[i].name, len);
        n += len;
    }
    return n == 0 ? 0 : leaf_file_write(fd, "cgroup.subtree_control", text, n);
}

/* The candidate `up` levels above our own cgroup: O_PATH fd or -errno; -ENOENT above the mount point. */
static int open_level(const struct search *s, int up)
{
    char path[LEAF_PATH_MAX];
    size_t len = strlen(s->home->below);
    int fd;

    memcpy(path, s->home->below, len + 1);
    for (; up > 0; up--) {
        if (len == 0)
            return -ENOENT;
        while (len > 0 && path[len - 1] != '/')
            len--;
        while (len > 0 && path[len - 1] == '/')
            len--;
        path[len] = '\0';
    }
    fd = openat(s->top_fd, len == 0 ? "." : path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static bool is_writable(int fd)
{
    return faccessat(fd, ".", W_OK, 0) == 0 && faccessat(fd, "cgroup.procs", W_OK, 0) == 0;
}

/* Last component of the path of the candidate `up` levels above us. */
static const char *level_name(const struct search *s, int up, size_t *ret_len)
{
    const char *path = s->home->path;
    size_t end = strlen(path), start;

    for (start = end; start > 0 && path[start - 1] != '/'; start--)
        ;
    for (; up > 0 && start > 0; up--) {
        end = start - 1;
        for (start = end; start > 0 && path[start - 1] != '/'; start--)
            ;
    }
    *ret_len = end - start;
    return path + start;
}

static bool ends_with(const char *s, size_t len, const char *tail)
{
    size_t n = strlen(tail);

    return len >= n && memcmp(s + len - n, tail, n) == 0;
}

/* Whether somebody else gave us this directory: we own it, and not the one above. */
static bool is_handed_over(int fd)
{
    struct stat own, above;

    return fstatat(fd, ".", &own, 0) == 0 && fstatat(fd, "..", &above, 0) == 0 && own.st_uid == geteuid() &&
           above.st_uid != own.st_uid;
}

/* Whether enabling controllers here is ours to do: not in a unit of systemd's, unless that was delegated. A
 * user's manager marks that with an attribute; what the system's manager delegates changes its owner. */
static bool may_enable(const struct search *s, int fd, int up)
{
    char value[2] = "", path[LEAF_DIGITS_MAX + 16] = "/proc/self/fd/";
    size_t len;
    const char *name = level_name(s, up, &len);

    if (!ends_with(name, len, ".slice") && !ends_with(name, len, ".scope") &&
        !ends_with(name, len, ".service"))
        return true;
    if (is_handed_over(fd))
        return true;
    (void)leaf_text_u64((uint64_t)fd, path + strlen(path));
    return (getxattr(path, "user.delegate", value, 1) == 1 ||
            getxattr(path, "trusted.delegate", value, 1) == 1) &&
           *value == '1';
}

/* Keeps the better one of fd and the best so far, closes the other. Returns whether nothing is missing. */
static bool keep_best(struct search *s, int fd, unsigned have)
{
    if (s->best_fd >= 0 && __builtin_popcount(have) <= __builtin_popcount(s->best)) {
        (void)close(fd); /* O_PATH */
    } else {
        if (s->best_fd >= 0)
            (void)close(s->best_fd); /* O_PATH */
        s->best_fd = fd;
        s->best = have;
    }
    return s->best == LEAF_CONTROLLERS;
}

static bool try_level(struct search *s, int up, bool enable)
{
    int fd = open_level(s, up);
    unsigned have;

    if (fd < 0) {
        s->last_errno = -fd;
        return false;
    }
    if (!is_writable(fd)) {
        s->last_errno = errno;
        (void)close(fd); /* O_PATH */
        return false;
    }
    s->writable++;
    have = list_of(fd, "cgroup.subtree_control");
    if (enable && have != LEAF_CONTROLLERS && may_enable(s, fd, up)) {
        int r = switch_controllers(fd, list_of(fd, "cgroup.controllers") & ~have, '+');

        if (r < 0)
            s->last_errno = -r;
        else
            have = list_of(fd, "cgroup.subtree_control");
    }
    return keep_best(s, fd, have);
}

static int depth_of(const char *below)
{
    int n = *below ? 1 : 0;

    for (; *below; below++)
        n += *below == '/';
    return n < DEPTH_MAX ? n : DEPTH_MAX;
}

static bool try_levels(struct search *s, bool root, bool enable)
{
    int depth = depth_of(s->home->below);

    if (root && try_level(s, depth, enable))
        return true;
    for (int up = 0; up <= (root ? depth - 1 : depth); up++) {
        if (try_level(s, up, enable))
            return true;
    }
    return false;
}

/* Whether `text`, a cgroup.procs, holds our pid and nothing else. */
static bool is_alone(int fd)
{
    char text[64];
    const char *p = text;
    uint64_t pid;
    ssize_t n = leaf_file_read(fd, "cgroup.procs", text, sizeof text);

    return n > 0 && leaf_text_digits(&p, &pid) && pid == (uint64_t)getpid() && p[0] == '\n' && p[1] == '\0';
}

static void sup_name(char name[static 48])
{
    static const char prefix[] = LEAF_SUP_PREFIX;

    memcpy(name, prefix, sizeof prefix);
    (void)leaf_text_u64((uint64_t)getpid(), name + sizeof prefix - 1);
}

static int join(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r;

    if (fd < 0)
        return -errno;
    r = leaf_file_write(fd, "cgroup.procs", "0", 1);
    (void)close(fd); /* O_PATH */
    return r;
}

/* Attempt 3. */
static bool try_moving_ourselves(struct search *s)
{
    int fd = open_level(s, 0);
    unsigned offered, have = 0;

    if (fd < 0)
        return false;
    offered = list_of(fd, "cgroup.controllers");
    if (__builtin_popcount(offered) <= __builtin_popcount(s->best) || !is_writable(fd) || !is_alone(fd) ||
        !may_enable(s, fd, 0)) {
        (void)close(fd); /* O_PATH */
        return false;
    }
    sup_name(s->place->sup);
    if (mkdirat(fd, s->place->sup, 0755) == 0 || errno == EEXIST) {
        if (join(fd, s->place->sup) == 0 && switch_controllers(fd, offered, '+') == 0)
            have = list_of(fd, "cgroup.subtree_control");
        if (have == 0) {
            (void)leaf_file_write(fd, "cgroup.procs", "0", 1); /* back home; may fail when we never left */
            (void)unlinkat(fd, s->place->sup, AT_REMOVEDIR);
        }
    }
    if (have == 0)
        *s->place->sup = '\0';
    return keep_best(s, fd, have);
}

static void explain(struct search *s, const struct leaf_home *home)
{
    if (s->writable == 0)
        leaf_find_why(s->place, "write to our cgroup or one above it (nothing is delegated to us)",
                      home->path, s->last_errno);
    else if (s->last_errno == EBUSY)
        leaf_find_why(s->place, "enable controllers: our delegated cgroup has processes of its own",
                      home->path, 0);
    else
        leaf_find_why(s->place, "enable controllers memory, pids and cpu below", home->path, s->last_errno);
}

void leaf_find_unified(const struct leaf_host *host, struct leaf_home *home, struct leaf_place *p)
{
    struct search s = {.home = home, .place = p, .best_fd = -1};

    if (!home->mounted) {
        leaf_find_why(p, "find our cgroup: no mount shows it", home->path, 0);
        return;
    }
    s.top_fd = home->fd >= 0 ? home->fd : leaf_find_open(host, home->point, LEAF_V2);
    home->fd = -1; /* ours now */
    if (s.top_fd < 0) {
        leaf_find_why(p, "open the cgroup file system", home->point, -s.top_fd);
        return;
    }
    if (!try_levels(&s, host->root, false) && s.writable > 0 && !try_levels(&s, host->root, true))
        (void)try_moving_ourselves(&s); /* the answer is in s.best */
    (void)close(s.top_fd);              /* O_PATH */
    if (s.best != LEAF_CONTROLLERS)
        explain(&s, home);
    if (s.best == 0) {
        if (s.best_fd >= 0)
            (void)close(s.best_fd); /* O_PATH */
        return;
    }
    p->version = LEAF_V2;
    p->count = 1;
    p->parent_fd[0] = s.best_fd;
    p->controllers[0] = s.best;
}

/* Whether strongroom-sup-… is the only child of this cgroup. */
static bool is_only_child(int parent_fd)
{
    struct stat st;

    /* A cgroup directory has two links and one more per child. */
    return fstatat(parent_fd, ".", &st, 0) == 0 && st.st_nlink == 3;
}

void leaf_unified_leave(struct leaf_place *p)
{
    int parent = p->parent_fd[0], fd;
    bool alone;

    if (!*p->sup || parent < 0)
        return;
    fd = openat(parent, p->sup, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    alone = is_alone(fd);
    (void)close(fd); /* O_PATH */
    /* Whoever else uses this place sits in `sup` with us or in a child of its own: then it stays as it is,
     * and the last one to leave, systemd or the next sweep tidies up. */
    if (!alone || !is_only_child(parent) || switch_controllers(parent, p->controllers[0], '-') < 0)
        return;
    if (leaf_file_write(parent, "cgroup.procs", "0", 1) < 0)
        (void)switch_controllers(parent, p->controllers[0], '+'); /* as it was */
    else
        (void)unlinkat(parent, p->sup, AT_REMOVEDIR); /* a rest is swept by the next one */
    *p->sup = '\0';
}
