/* take: what a tar stream holds, beneath a folder or into another stream.
 *
 * Theory of operation. libarchive reads headers and bytes; it never sees the file system. Each name is checked as text
 * (name.h), its folder is opened beneath the target with no link followed (openat2), and the file is made new there:
 * nothing that exists is opened for writing or followed, so neither a link in the stream nor one that lies in the
 * target leads anywhere. Devices, pipes, sockets and links that lead out stay behind; set-id bits are cleared.
 *
 * Lives in: strongroom-tar, confined. Trusts: the target's descriptor. Must not: use a path of the stream without
 * beneath_*. */
#include "base/sbuf.h"
#include "helpers/tar/name.h"
#include "helpers/tar/work.h"
#include "sys/fd.h"
#include "tree/beneath.h"
#include "tree/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE_MASK 0775 /* of what comes out of a room: as --copy-out */
#define TIMES     2

struct archive *take_reader(void)
{
    struct archive *a = archive_read_new();

    if (!a)
        return NULL;
    (void)archive_read_support_format_tar(a); /* what cannot be had is not understood later */
    (void)archive_read_support_format_gnutar(a);
    (void)archive_read_support_format_empty(a);
    (void)archive_read_support_filter_gzip(a);
    (void)archive_read_support_filter_bzip2(a);
    (void)archive_read_support_filter_xz(a);
    (void)archive_read_support_filter_zstd(a);
    return a;
}

static int broken(struct work *w, struct archive *a, const char *what)
{
    const char *why = archive_error_string(a);
    return work_fail(w, EBADMSG, "%s: %s", what, why ? why : "not a tar stream");
}

/* The folder that is to hold `path`, made where it is missing. */
static int open_parent(const struct work *w, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    int at = fcntl(w->out, F_DUPFD_CLOEXEC, 3);

    *ret_name = slash ? slash + 1 : path;
    while (at >= 0 && slash && path < *ret_name) {
        char part[256]; /* the longest that name.h lets through */
        const size_t n = strcspn(path, "/");
        memcpy(part, path, n);
        part[n] = '\0';
        int next = beneath_open(at, part, O_PATH | O_DIRECTORY);
        if (next == -ENOENT && mkdirat(at, part, 0755) == 0)
            next = beneath_open(at, part, O_PATH | O_DIRECTORY);
        fd_close(&at);
        at = next;
        path += n + 1;
    }
    return at;
}

/* As root what is made belongs to whom the target belongs. */
static int give(const struct work *w, int dir, const char *name)
{
    struct stat s;

    if (geteuid() != 0)
        return 0;
    return fstat(w->out, &s) < 0 || fchownat(dir, name, s.st_uid, s.st_gid,
                                             AT_SYMLINK_NOFOLLOW | (name[0] ? 0 : AT_EMPTY_PATH)) < 0
               ? -errno
               : 0;
}

/* A stream has no holes: what lies between is zeros. */
static int put_bytes(struct work *w, struct archive *to, const void *bytes, size_t size, uint64_t at,
                     uint64_t *put)
{
    static const char zeros[64 << 10];

    if (at < *put)
        return work_fail(w, EBADMSG, "read the tar stream: a file goes backwards");
    if (work_count(w, 0, at - *put) < 0)
        return -E2BIG;
    while (*put < at) {
        const size_t n = at - *put < sizeof zeros ? (size_t)(at - *put) : sizeof zeros;
        if (archive_write_data(to, zeros, n) < 0)
            return broken(w, to, "write a tar stream");
        *put += n;
    }
    *put += size;
    return size && archive_write_data(to, bytes, size) < 0 ? broken(w, to, "write a tar stream") : 0;
}

static int pour(struct work *w, struct archive *from, int fd, struct archive *to)
{
    const void *bytes;
    size_t size;
    la_int64_t at, end = 0;
    uint64_t put = 0;
    int r;

    while ((r = archive_read_data_block(from, &bytes, &size, &at)) == ARCHIVE_OK) {
        if (work_count(w, 0, size) < 0)
            return -E2BIG;
        end = at + (la_int64_t)size;
        for (size_t done = 0; fd >= 0 && done < size;) {
            const ssize_t n = pwrite(fd, (const char *)bytes + done, size - done, at + (la_int64_t)done);
            if (n < 0)
                return work_fail(w, errno, "write what the stream holds: %s", strerror(errno));
            done += (size_t)n;
        }
        if (to && (r = put_bytes(w, to, bytes, size, (uint64_t)at, &put)) < 0)
            return r;
    }
    if (r != ARCHIVE_EOF)
        return broken(w, from, "read the tar stream");
    return fd >= 0 && ftruncate(fd, end) < 0 ? work_fail(w, errno, "write what the stream holds") : 0;
}

static int take_file(struct work *w, struct archive *from, struct archive_entry *e, int dir, const char *name)
{
    FD_AUTO fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    const struct timespec t[TIMES] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e) % 1000000000}};

    if (fd < 0)
        return -errno;
    int r = pour(w, from, fd, NULL);
    if (r == 0 && archive_entry_size(e) > 0 &&
        ftruncate(fd, archive_entry_size(e)) < 0) /* a hole at its end */
        r = work_fail(w, errno, "write what the stream holds: %s", strerror(errno));
    if (r == 0)
        r = give(w, fd, "");
    if (r == 0 && (fchmod(fd, archive_entry_perm(e) & MODE_MASK) < 0 ||
                   (archive_entry_mtime_is_set(e) && futimens(fd, t) < 0)))
        r = -errno;
    return r;
}

/* Makes way for what is no folder: 0, or why it stays behind. */
static const char *make_way(int dir, const char *name)
{
    struct stat s;

    if (fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
        return NULL;
    if (S_ISDIR(s.st_mode))
        return "a folder has its name";
    return unlinkat(dir, name, 0) < 0 ? strerror(errno) : NULL;
}

static const char *path_of(const struct work *w, const char *raw, char ret[TAR_PATH_MAX])
{
    return w->order.flags & (TAR_MEMBER | TAR_FILE) ? tar_member(raw, w->order.name, ret)
                                                    : tar_name(raw, ret);
}

/* Whether a link leads out of what is being copied. */
static bool leads_out(const struct work *w, const char *path, const char *target)
{
    const char *slash = w->order.flags & TAR_MEMBER ? strchr(path, '/') : NULL;
    return handoff_leaves(slash ? slash + 1 : path, target);
}

static int take_link(struct work *w, int dir, const char *name, const char *target)
{
    return symlinkat(target, dir, name) < 0 ? -errno : give(w, dir, name);
}

/* One more name of a file that came before. */
static int take_name(struct work *w, const char *raw, int dir, const char *name)
{
    char path[TAR_PATH_MAX];
    const char *why = path_of(w, raw, path), *old;
    struct stat s;

    if (why || path[0] == '\0')
        return work_leave(w, raw, "another name of what stays behind");
    FD_AUTO parent = open_parent(w, path, &old);
    if (parent < 0 || fstatat(parent, old, &s, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(s.st_mode))
        return work_leave(w, path, "another name of what is not there");
    return linkat(parent, old, dir, name, 0) < 0 ? -errno : 0;
}

static int take_folder(struct work *w, struct archive_entry *e, int dir, const char *name)
{
    FD_AUTO fd = -1;

    if (mkdirat(dir, name, 0700) < 0) {
        fd = errno == EEXIST ? beneath_open(dir, name, O_PATH | O_DIRECTORY) : -errno;
        return fd < 0 ? fd : 0; /* it keeps its mode: it is the host's */
    }
    fd = beneath_open(dir, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd;
    const int r = give(w, fd, "");
    return r < 0 ? r : fchmod(fd, (archive_entry_perm(e) & MODE_MASK) | 0700) < 0 ? -errno : 0;
}

static int put(struct work *w, struct archive *from, struct archive_entry *e, const char *path)
{
    const char *name, *hard = archive_entry_hardlink(e), *link = archive_entry_symlink(e);
    const mode_t type = archive_entry_filetype(e);
    FD_AUTO dir = open_parent(w, path, &name);

    if (dir < 0)
        return work_leave(w, path,
                          dir == -EXDEV ? "a mount point is in the way" : "what holds it is no folder");
    const char *why = type == AE_IFDIR && !hard ? NULL : make_way(dir, name);
    if (why)
        return work_leave(w, path, why);
    int r = hard               ? take_name(w, hard, dir, name)
            : type == AE_IFDIR ? take_folder(w, e, dir, name)
            : type == AE_IFLNK ? take_link(w, dir, name, link)
                               : take_file(w, from, e, dir, name);
    w->files += r == 0 && type != AE_IFDIR;
    if (r == -ENOTDIR || r == -ELOOP || r == -EEXIST)
        return work_leave(w, path, "something else has its name");
    return r < 0 && !w->why[0] ? work_fail(w, -r, "extract %s: %s", path, strerror(-r)) : r;
}

/* Into the other stream, with the name that it would have here. */
static int pass(struct work *w, struct archive *from, struct archive_entry *e, const char *path,
                struct archive *to)
{
    struct archive_entry *copy = archive_entry_new();
    char hard[TAR_PATH_MAX];
    int r = copy ? 0 : work_fail(w, ENOMEM, "copy a tar stream");

    if (r == 0) {
        archive_entry_set_pathname(copy, path[0] ? path : ".");
        archive_entry_set_mode(copy, archive_entry_filetype(e) | (archive_entry_perm(e) & 0777));
        archive_entry_set_size(copy, archive_entry_size(e));
        archive_entry_set_mtime(copy, archive_entry_mtime(e), archive_entry_mtime_nsec(e));
        if (archive_entry_symlink(e))
            archive_entry_set_symlink(copy, archive_entry_symlink(e));
        if (archive_entry_hardlink(e)) {
            if (path_of(w, archive_entry_hardlink(e), hard) || hard[0] == '\0')
                r = work_leave(w, path, "another name of what stays behind") == 0;
            archive_entry_set_hardlink(copy, hard);
            archive_entry_set_size(copy, 0);
        }
    }
    if (r == 0 && archive_write_header(to, copy) < ARCHIVE_WARN)
        r = broken(w, to, "write a tar stream");
    if (r == 0 && archive_entry_size(copy) > 0)
        r = pour(w, from, -1, to);
    w->files += r == 0 && archive_entry_filetype(e) != AE_IFDIR;
    archive_entry_free(copy);
    return r > 0 ? 0 : r;
}

static int take_one(struct work *w, struct archive *from, struct archive_entry *e, struct archive *to)
{
    char path[TAR_PATH_MAX];
    const char *raw = archive_entry_pathname(e), *link = archive_entry_symlink(e);
    const mode_t type = archive_entry_filetype(e);
    const char *why = raw ? path_of(w, raw, path) : "no name that can be read";

    if (work_count(w, 1, 0) < 0)
        return -E2BIG;
    if (why)
        return work_leave(w, raw ? raw : "?", why);
    if (!archive_entry_hardlink(e) && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
        return work_leave(w, path, "neither file, folder nor link");
    if (w->order.flags & TAR_FILE && (strchr(path, '/') || type == AE_IFDIR || archive_entry_hardlink(e)))
        return work_leave(w, path, "only one file was asked for");
    if (type == AE_IFLNK && (!link || leads_out(w, path, link)))
        return work_leave(w, path, "a link that leads out");
    if (path[0] == '\0') /* the top itself is there */
        return type == AE_IFDIR ? 0 : work_leave(w, ".", "something else has its name");
    return to ? pass(w, from, e, path, to) : put(w, from, e, path);
}

int take_all(struct work *w, struct archive *from, struct archive *to)
{
    struct archive_entry *e;
    int r;

    while ((r = archive_read_next_header(from, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
        r = take_one(w, from, e, to);
        if (r < 0)
            return r;
    }
    return r == ARCHIVE_EOF ? 0 : broken(w, from, "read the tar stream");
}
