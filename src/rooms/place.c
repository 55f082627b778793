/* place: where rooms that have a name can be found while they live.
 *
 * Theory of operation. A claim, a release and a sweep hold a lock on the folder of all rooms, so that each sees whole
 * ones only. Within that, a room's folder is alive when somebody holds the lock on its identity file, which a killed
 * supervisor cannot keep.
 *
 * Lives in: the supervisor, before the clone and at the end; clients look only. Trusts: folders that belong to the
 * caller and that nobody else may write. Must not: follow a link below HOME, remove what it does not know. */
#include "rooms/place.h"
#include "base/num.h"
#include "base/sbuf.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define IDENTITY_MADE ".identity" /* until it is whole and locked */

enum { HOMES_MAX = 4, PATH_SIZE = 512, SWEEP_MAX = 4096, LOCK_TRIES = 5000, LOCK_PAUSE_MS = 1 };

/* --- HOME ----------------------------------------------------------------------------------------------- */

static size_t homes(char paths[HOMES_MAX][PATH_SIZE])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    size_t n = 0;
    struct sbuf b;

    for (int i = 0; i < HOMES_MAX; i++) {
        b = (struct sbuf){.text = paths[n], .size = PATH_SIZE};
        paths[n][0] = '\0';
        if (i == 0 && geteuid() == 0)
            sbuf_text(&b, "/run/strongroom");
        else if (i == 1 && runtime && runtime[0] == '/')
            sbuf_fmt(&b, "%s/strongroom", runtime);
        else if (i == 2)
            sbuf_fmt(&b, "/run/user/%u/strongroom", geteuid());
        else if (i == 3)
            sbuf_fmt(&b, "/tmp/strongroom-%u", geteuid());
        n += b.len > 0 && !b.full;
    }
    return n;
}

/* A folder that is the caller's alone: a descriptor, or -errno. */
static int own_folder(int dir, const char *name, bool make)
{
    struct stat st;

    if (make && mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)))
        return fd;
    fd_close(&fd);
    return -EPERM;
}

/* HOME/rooms at one of the places: a descriptor, or -errno. */
static int open_rooms(const char *home, bool make)
{
    FD_AUTO dir = own_folder(AT_FDCWD, home, make);
    return dir < 0 ? dir : own_folder(dir, "rooms", make);
}

/* Another one works on the folder for moments only. */
static int lock_rooms(int rooms)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};

    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(rooms, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        (void)nanosleep(&pause, NULL); /* a shorter one only tries sooner */
    }
    return -EBUSY;
}

/* --- one room's folder ---------------------------------------------------------------------------------- */

enum life { DEAD, ALIVE, UNKNOWN };

/* UNKNOWN: it could not be asked (too many open files, say). Such a room is neither spoken to nor swept away. */
static enum life life_of(int dir)
{
    FD_AUTO identity = openat(dir, ROOMS_IDENTITY, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (identity < 0)
        return errno == ENOENT ? DEAD : UNKNOWN;
    if (flock(identity, LOCK_SH | LOCK_NB) == 0)
        return DEAD;
    return errno == EWOULDBLOCK ? ALIVE : UNKNOWN;
}

static bool remove_room(int rooms, int dir, const char *name)
{
    static const char *const files[] = {ROOMS_CONTROL, ROOMS_IDENTITY, IDENTITY_MADE};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        (void)unlinkat(dir, files[i], 0);            /* absent where a room died while it was made */
    return unlinkat(rooms, name, AT_REMOVEDIR) == 0; /* else somebody put something there: it is in the way */
}

struct list {
    char (*names)[POLICY_NAME_MAX];
    size_t max, count;
    unsigned swept;
};

/* Removes what killed rooms left, and takes the names of the others. */
static void sweep(int rooms, struct list *l)
{
    int copy = openat(rooms, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *x;

    if (!d) {
        fd_close(&copy);
        return;
    }
    for (int i = 0; i < SWEEP_MAX && (x = readdir(d)) != NULL; i++) {
        if (x->d_name[0] == '.')
            continue;
        FD_AUTO dir = own_folder(rooms, x->d_name, false);
        if (dir < 0)
            continue;
        const enum life life = life_of(dir);
        if (life == DEAD) {
            l->swept += remove_room(rooms, dir, x->d_name);
        } else if (life == ALIVE && l->count < l->max && strlen(x->d_name) < POLICY_NAME_MAX) {
            struct sbuf b = {.text = l->names[l->count], .size = POLICY_NAME_MAX};
            l->names[l->count][0] = '\0';
            sbuf_text(&b, x->d_name);
            l->count++;
        }
    }
    (void)closedir(d);
}

/* When a process began, in clock ticks since the boot (proc(5), field 22 of stat); 0: not known. */
static uint64_t start_time(pid_t pid)
{
    char path[32], text[1024];
    struct sbuf b = SBUF(path);
    uint64_t v = 0;

    sbuf_fmt(&b, "/proc/%d/stat", pid);
    if (fd_read_file(AT_FDCWD, path, text, sizeof text) < 0)
        return 0;
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    for (at = at ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
        v = v * 10 + (uint64_t)(*at - '0');
    return v;
}

static int write_identity(struct rooms_place *p)
{
    uint8_t random[16];
    char text[128];
    struct sbuf id = SBUF(p->id), b = SBUF(text);

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return -EIO;
    for (size_t i = 0; i < sizeof random; i++)
        sbuf_fmt(&id, "%02x", random[i]);
    /* Who looks for the room holds the lock for an instant, so it gets its name only when it is ours. */
    p->lock = openat(p->dir, IDENTITY_MADE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->lock < 0 || flock(p->lock, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    sbuf_fmt(&b, "%d %llu %s\n", getpid(), (unsigned long long)start_time(getpid()), p->id);
    int r = fd_write_all(p->lock, b.text, b.len);
    return r < 0 ? r : renameat(p->dir, IDENTITY_MADE, p->dir, ROOMS_IDENTITY) < 0 ? -errno : 0;
}

static int take(struct rooms_place *p)
{
    int r = lock_rooms(p->rooms);

    if (r < 0)
        return r;
    struct list none = {0};
    sweep(p->rooms, &none);
    r = mkdirat(p->rooms, p->name, 0700) < 0 ? -errno : 0;
    if (r == 0 && (p->dir = own_folder(p->rooms, p->name, false)) < 0)
        r = p->dir;
    if (r == 0 && (r = write_identity(p)) < 0)
        (void)remove_room(p->rooms, p->dir, p->name); /* a later one sweeps it */
    (void)flock(p->rooms, LOCK_UN);                   /* cannot fail */
    return r;
}

static void let_go(struct rooms_place *p)
{
    fd_close(&p->lock);
    fd_close(&p->dir);
    fd_close(&p->rooms);
}

int rooms_claim(const char *name, struct rooms_place *ret, struct err *e)
{
    char paths[HOMES_MAX][PATH_SIZE];
    struct rooms_place p = {.rooms = -1, .dir = -1, .lock = -1};
    const size_t n = homes(paths);
    struct sbuf b = SBUF(p.name);
    int r = -ENOENT;

    sbuf_text(&b, name);
    for (size_t i = 0; i < n && p.rooms < 0; i++) {
        p.rooms = open_rooms(paths[i], true);
        r = p.rooms < 0 ? p.rooms : 0;
    }
    if (p.rooms < 0) {
        err_set(e, ERR_ROOM, -r, "make a place for the room's name in %s",
                n ? paths[n - 1] : "the runtime folder");
        return err_hint(e, "set XDG_RUNTIME_DIR to a folder that is yours alone, or leave out --name");
    }
    r = take(&p);
    if (r < 0) {
        let_go(&p);
        if (r == -EEXIST) {
            err_set(e, ERR_USAGE, 0, "name the room %s: a room of that name is there already", name);
            err_hint(e, "choose another --name, or end that room first");
        } else {
            err_set(e, ERR_ROOM, -r, "take the room's name %s", name);
        }
        return r;
    }
    *ret = p;
    return 0;
}

void rooms_release(struct rooms_place *p)
{
    if (p->rooms < 0)
        return;
    if (lock_rooms(p->rooms) == 0)                    /* else a later room sweeps it away */
        (void)remove_room(p->rooms, p->dir, p->name); /* see there */
    let_go(p);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static size_t without_doubles(char (*names)[POLICY_NAME_MAX], size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (n > 0 && strcmp(names[n - 1], names[i]) == 0)
            continue;
        memmove(names[n++], names[i], sizeof *names);
    }
    return n;
}

int rooms_list(char (*names)[POLICY_NAME_MAX], size_t max, unsigned *ret_swept)
{
    char paths[HOMES_MAX][PATH_SIZE];
    const size_t n = homes(paths);
    struct list l = {.names = names, .max = max};

    for (size_t i = 0; i < n; i++) {
        FD_AUTO rooms = open_rooms(paths[i], false);
        if (rooms < 0)
            continue;
        int r = lock_rooms(rooms);
        if (r < 0)
            return r;
        sweep(rooms, &l);
    }
    if (l.count > 0)
        qsort(names, l.count, sizeof *names, by_name);
    l.count = without_doubles(names, l.count); /* two of the homes may be one folder */
    if (ret_swept)
        *ret_swept = l.swept;
    return (int)l.count;
}

int rooms_find(const char *name, struct err *e)
{
    char paths[HOMES_MAX][PATH_SIZE];
    const size_t n = homes(paths);

    for (size_t i = 0; i < n && name[0] != '.' && name[0] != '\0' && !strchr(name, '/'); i++) {
        FD_AUTO rooms = open_rooms(paths[i], false);
        int dir = rooms < 0 ? -1 : own_folder(rooms, name, false);
        if (dir >= 0 && life_of(dir) == ALIVE)
            return dir;
        fd_close(&dir);
    }
    err_set(e, ERR_NOT_FOUND, 0, "find the room %.64s: no room of that name runs", name);
    err_hint(
        e,
        "strongroom ps lists those that do; a room ends with its program, its --timeout, or strongroom rm");
    return -ENOENT;
}

int rooms_supervisor(const char *name, struct err *e)
{
    char text[128], *words[3] = {NULL}, *rest = NULL;
    uint64_t pid = 0, began = 0;
    FD_AUTO dir = rooms_find(name, e);

    if (dir < 0)
        return dir;
    if (fd_read_file(dir, ROOMS_IDENTITY, text, sizeof text) > 0) {
        for (size_t i = 0; i < 3; i++)
            words[i] = strtok_r(i == 0 ? text : NULL, " \n", &rest);
    }
    if (!words[2] || num_u64(words[0], &pid) < 0 || num_u64(words[1], &began) < 0 || pid > INT32_MAX)
        pid = 0;
    int fd = pid > 0 ? kernel_pidfd_open((pid_t)pid, 0) : -1;
    /* Held first, looked at then: the number means nobody else from here on. */
    if (fd >= 0 && began != 0 && start_time((pid_t)pid) == began && life_of(dir) == ALIVE)
        return fd;
    fd_close(&fd);
    return err_set(e, ERR_ROOM, 0, "find the supervisor of the room %.64s", name);
}
