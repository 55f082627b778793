/* leaf_find: looks for the cgroup below which rooms may get their leaves.
 *
 * Theory of operation. /proc/self/cgroup names our cgroup in each hierarchy, /proc/self/mountinfo tells where
 * that hierarchy can be seen and which of its cgroups the mount point shows; the difference of the two paths
 * leads from the mount point to us. Both files are read as a stream of lines with one buffer; reading stops
 * as soon as every hierarchy that we use is known. When memory, pids or cpu is carried by a v1 hierarchy, v1
 * is used (also on a hybrid host, whose v2 tree carries none of them); else the unified hierarchy
 * (leaf_unified.c).
 *
 * On v1 a leaf is made below our own cgroup, so that bounds on us bound the room too. One exception: the
 * hierarchy that claims the slot (the first: pids) is used from its mount point on when we are root, because
 * a slot is a host uid range then and two callers in different cgroups must not get the same one.
 *
 * Lives in: the supervisor, before the room. Trusts: /proc, the cgroup file systems. May: open directories
 * O_PATH. Must not: write anything (leaf_unified.c may), allocate, fail: what is missing is said in `why`. */
#include "limits/leaf_find.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/sbuf.h"

/* Enough for two paths of LEAF_PATH_MAX; a longer line (an overlay with many layers) is not ours and passed
 * over. */
#define LINE_BUFFER 8192

struct lines {
    int fd;
    size_t start, end;
    bool skipping; /* inside a line that is longer than the buffer */
    char buf[LINE_BUFFER];
};

/* The next line (without its newline) or false at the end. */
static bool next_line(struct lines *in, const char **ret_line, size_t *ret_len)
{
    for (;;) {
        char *line = in->buf + in->start;
        char *stop = memchr(line, '\n', in->end - in->start);
        ssize_t n;

        if (stop) {
            bool skip = in->skipping;

            in->skipping = false;
            in->start += (size_t)(stop - line) + 1;
            if (skip)
                continue;
            *ret_line = line;
            *ret_len = (size_t)(stop - line);
            return true;
        }
        memmove(in->buf, line, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
        if (in->end == sizeof in->buf) {
            in->skipping = true;
            in->end = 0;
        }
        n = read(in->fd, in->buf + in->end, sizeof in->buf - in->end);
        if (n <= 0)
            return false;
        in->end += (size_t)n;
    }
}

struct homes {
    int count;
    struct leaf_home v1[LEAF_HIERARCHIES];
    bool has_unified;
    struct leaf_home unified;
};

static int open_lines(const char *file, struct lines *in)
{
    in->fd = open(file, O_RDONLY | O_CLOEXEC);
    in->start = in->end = 0;
    in->skipping = false;
    return in->fd < 0 ? -errno : 0;
}

/* The hierarchy that claims the slot comes first. */
static unsigned rank(unsigned controllers)
{
    return controllers & LEAF_HAS_PIDS ? 0 : controllers & LEAF_HAS_MEMORY ? 1 : 2;
}

static void add_home(struct homes *h, const struct leaf_member *m)
{
    struct leaf_home *home = &h->unified;

    if (m->version == LEAF_V2) {
        h->has_unified = true;
    } else {
        int at = h->count;

        if (!(m->controllers & LEAF_CONTROLLERS) || h->count == LEAF_HIERARCHIES)
            return;
        for (; at > 0 && rank(h->v1[at - 1].controllers) > rank(m->controllers); at--)
            h->v1[at] = h->v1[at - 1];
        h->count++;
        home = &h->v1[at];
    }
    home->controllers = m->controllers;
    home->fd = -1;
    home->mounted = false;
    memcpy(home->path, m->path, sizeof home->path);
}

static int read_members(const struct leaf_host *host, struct homes *h, struct lines *in)
{
    struct leaf_member m;
    const char *line;
    size_t len;
    int r = open_lines(host->member_file, in);

    if (r < 0)
        return r;
    while (next_line(in, &line, &len)) {
        if (leaf_parse_member(line, len, &m) == 0)
            add_home(h, &m);
    }
    (void)close(in->fd); /* read-only */
    return 0;
}

/* Whether this mount shows `home`, and then where. */
static bool mount_shows(struct leaf_home *home, const struct leaf_mount *m)
{
    const char *below = leaf_parse_below(home->path, m->root);

    if (home->mounted || !below)
        return false;
    home->mounted = true;
    home->below = below;
    memcpy(home->point, m->point, sizeof home->point);
    return true;
}

static int read_mounts(const struct leaf_host *host, struct homes *h, struct lines *in)
{
    int missing = h->count > 0 ? h->count : 1;
    struct leaf_mount m;
    const char *line;
    size_t len;
    int r = open_lines(host->mount_file, in);

    if (r < 0)
        return r;
    while (missing > 0 && next_line(in, &line, &len)) {
        if (leaf_parse_mount(line, len, &m) < 0)
            continue;
        if (h->count == 0) {
            if (m.version == LEAF_V2 && mount_shows(&h->unified, &m))
                missing--;
            continue;
        }
        for (int i = 0; i < h->count && m.version == LEAF_V1; i++) {
            if ((m.controllers & h->v1[i].controllers & LEAF_CONTROLLERS) && mount_shows(&h->v1[i], &m))
                missing--;
        }
    }
    (void)close(in->fd); /* read-only */
    return 0;
}

/* Where nearly every host mounts a hierarchy. Our own cgroup must be seen there: in a container that shows
 * only a part of the tree it is not, and the mount table has to tell. */
static bool is_usual(struct leaf_home *home, const char *point, unsigned long magic)
{
    struct statfs fs;
    bool seen;
    int fd = openat(AT_FDCWD, point, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return false;
    seen = fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == magic &&
           (strcmp(home->path, "/") == 0 || faccessat(fd, home->path + 1, F_OK, 0) == 0);
    if (!seen) {
        (void)close(fd); /* O_PATH */
        return false;
    }
    home->fd = fd;
    home->mounted = true;
    home->below = home->path + 1;
    memcpy(home->point, point, strlen(point) + 1);
    return true;
}

static bool all_usual(struct homes *h)
{
    static const struct {
        unsigned controller;
        const char *point;
    } rows[] = {{LEAF_HAS_PIDS, "/sys/fs/cgroup/pids"},
                {LEAF_HAS_MEMORY, "/sys/fs/cgroup/memory"},
                {LEAF_HAS_CPU, "/sys/fs/cgroup/cpu"}};
    int found = 0;

    if (h->count == 0)
        return h->has_unified && is_usual(&h->unified, "/sys/fs/cgroup", CGROUP2_SUPER_MAGIC);
    for (int i = 0; i < h->count; i++) {
        for (size_t k = 0; k < sizeof rows / sizeof *rows && !h->v1[i].mounted; k++) {
            if (h->v1[i].controllers & rows[k].controller)
                found += is_usual(&h->v1[i], rows[k].point, CGROUP_SUPER_MAGIC);
        }
    }
    return found == h->count;
}

int leaf_find_open(const struct leaf_host *host, const char *point, enum leaf_version version)
{
    struct statfs fs;
    int fd = open(point, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    long magic = version == LEAF_V2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC;

    if (fd < 0)
        return -errno;
    if (!host->any_fs && (fstatfs(fd, &fs) < 0 || (long)fs.f_type != magic)) {
        (void)close(fd); /* something else was mounted on top */
        return -ENOENT;
    }
    return fd;
}

void leaf_find_why(struct leaf_place *p, const char *text, const char *object, int code)
{
    struct sbuf b;

    if (*p->why)
        return;
    b = SBUF(p->why);
    sbuf_text(&b, text);
    if (*object) {
        sbuf_text(&b, ": ");
        sbuf_escaped(&b, object);
    }
    if (code != 0) {
        sbuf_text(&b, ": ");
        sbuf_text(&b, strerror(code));
    }
}

/* The directory of one v1 hierarchy in which leaves are made. O_PATH fd or -errno. */
static int open_parent(const struct leaf_host *host, struct leaf_home *home, bool at_top)
{
    int fd;

    if (home->fd < 0 && (home->fd = leaf_find_open(host, home->point, LEAF_V1)) < 0)
        return home->fd;
    if (!at_top && *home->below) {
        fd = openat(home->fd, home->below, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    fd = home->fd; /* handed over */
    home->fd = -1;
    return fd;
}

static int open_writable(const struct leaf_host *host, struct leaf_home *home, bool at_top)
{
    int fd = open_parent(host, home, at_top);

    if (fd >= 0 && faccessat(fd, ".", W_OK, 0) < 0) {
        int r = -errno;

        (void)close(fd); /* O_PATH */
        return r;
    }
    return fd;
}

static void find_v1(const struct leaf_host *host, struct homes *h, struct leaf_place *p)
{
    for (int i = 0; i < h->count; i++) {
        struct leaf_home *home = &h->v1[i];
        int fd = -ENOENT;

        if (!home->mounted) {
            leaf_find_why(p, "find our cgroup: no mount shows it", home->path, 0);
            continue;
        }
        if (host->root && p->count == 0)
            fd = open_writable(host, home, true);
        if (fd < 0)
            fd = open_writable(host, home, false);
        if (home->fd >= 0)
            (void)close(home->fd); /* O_PATH */
        if (fd < 0) {
            leaf_find_why(p, "make a cgroup below ours", home->point, -fd);
            continue;
        }
        p->parent_fd[p->count] = fd;
        p->controllers[p->count] = home->controllers;
        p->count++;
    }
    if (p->count > 0)
        p->version = LEAF_V1;
}

static void count_limits(struct leaf_place *p)
{
    unsigned have = 0;

    for (int i = 0; i < p->count; i++)
        have |= p->controllers[i];
    if (have & LEAF_HAS_MEMORY)
        p->limits |= 1u << LIMIT_ID_MEMORY;
    if (have & LEAF_HAS_PIDS)
        p->limits |= 1u << LIMIT_ID_PIDS;
    if (have & LEAF_HAS_CPU)
        p->limits |= 1u << LIMIT_ID_CPUS;
    if (p->version == LEAF_NONE)
        leaf_find_why(p, "find a cgroup for the room: this kernel has none in use", "", 0);
    if (!(have & LEAF_HAS_MEMORY))
        leaf_find_why(p, "controller memory: not available to us", "", 0);
    if (!(have & LEAF_HAS_PIDS))
        leaf_find_why(p, "controller pids: not available to us", "", 0);
    if (!(have & LEAF_HAS_CPU))
        leaf_find_why(p, "controller cpu: not available to us", "", 0);
}

void leaf_find_in(const struct leaf_host *host, struct leaf_place *ret)
{
    struct homes h;
    struct lines in;
    int r;

    *ret = (struct leaf_place){.version = LEAF_NONE};
    for (int i = 0; i < LEAF_HIERARCHIES; i++)
        ret->parent_fd[i] = -1;
    h.count = 0;
    h.has_unified = false;
    r = read_members(host, &h, &in);
    if (r < 0)
        leaf_find_why(ret, "read our cgroup", host->member_file, -r);
    if ((h.count > 0 || h.has_unified) && !(host->usual && all_usual(&h))) {
        r = read_mounts(host, &h, &in);
        if (r < 0)
            leaf_find_why(ret, "read the mounts", host->mount_file, -r);
    }
    if (h.count > 0)
        find_v1(host, &h, ret);
    else if (h.has_unified)
        leaf_find_unified(host, &h.unified, ret);
    count_limits(ret);
}

void leaf_find_place(struct leaf_place *ret)
{
    const struct leaf_host host = {.member_file = "/proc/self/cgroup",
                                   .mount_file = "/proc/self/mountinfo",
                                   .root = geteuid() == 0,
                                   .usual = true};

    leaf_find_in(&host, ret);
}
