/* unixes: the supervisor's side of `unix:` rules, which let programs of the room speak to a socket file of the host's.
 *
 * Theory of operation. The folder of each socket is opened before there is a room, and kept; the socket is looked up in
 * it by name for each connection, so that its server may be started anew, and only a socket will do, no link to one.
 * The gate has neither files nor local sockets: it asks, we connect without waiting, and hand it what is connected.
 *
 * The server sees the room's own user: as root that is a user of the room's alone, for whom a child connects, because
 * root's name opens more than a file's mode does.
 *
 * A rule that comes while the room lives gets its socket in one folder of the room's, which programs see read-only: of
 * the scratch file system, whose own mount we hold. It is made by a child that became the room's user, for files there
 * can belong to nobody else. Landlock's rules cannot change any more, and need not: to connect is no right of theirs.
 *
 * Lives in: the supervisor. Trusts: the policy; nothing of a frame but its size. Must not: wait. */
#include "engine/unixes.h"
#include "engine/inner.h"
#include "gate/frames.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BACKLOG = 1024 }; /* the kernel takes what it grants of it */

/* Its last part, "" when it has none. */
static const char *name_of(const struct egress_rule *x)
{
    return strrchr(x->name, '/') + 1; /* egress_read() wants a slash in front */
}

static int open_folder(const struct egress_rule *x)
{
    char path[EGRESS_NAME_MAX];
    struct sbuf b = SBUF(path);
    const size_t len = (size_t)(name_of(x) - x->name);

    sbuf_bytes(&b, x->name, len);
    return fd_resolve(AT_FDCWD, path, 0x02 /* RESOLVE_NO_MAGICLINKS */);
}

/* The socket itself, O_PATH; -ENOTSOCK, -ELOOP for a link. */
static int find(int folder, const struct egress_rule *x)
{
    struct stat st;
    int fd = openat(folder, name_of(x), O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0) {
        const int code = -errno;
        fd_close(&fd);
        return code;
    }
    if (!S_ISSOCK(st.st_mode)) {
        fd_close(&fd);
        return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTSOCK;
    }
    return fd;
}

static int explain(const struct egress_rule *x, int code, struct err *e)
{
    const bool link = code == ELOOP;
    int n = link ? err_set(e, ERR_IO, 0, "open the socket for the room: %s: it is a symbolic link", x->name)
                 : err_set(e, ERR_IO, code, "open the socket for the room: %s", x->name);

    err_hint(e, link
                    ? "name the socket that it leads to"
                    : "its server must have made it already; a rule is unix:/PATH/OF/SOCKET[=/PATH/IN/ROOM]");
    return n;
}

int unixes_open(struct room *r, struct err *e)
{
    const struct egress_rules *rules = &r->policy->egress;

    for (size_t i = 0, at = 0; i < rules->count; i++) {
        const struct egress_rule *x = &rules->rules[i];
        if (x->kind != EGRESS_UNIX || x->deny)
            continue;
        int folder = open_folder(x);
        if (folder < 0)
            return explain(x, -folder, e);
        r->unixes[at].rule = (uint32_t)i;
        r->unixes[at++].folder = folder;
        FD_AUTO fd = find(folder, x);
        if (fd < 0)
            return explain(x, -fd, e);
    }
    return 0;
}

static int join(int s, int fd)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct sbuf b = SBUF(a.sun_path);

    sbuf_fmt(&b, "/proc/self/fd/%d", fd);
    return connect(s, (const struct sockaddr *)&a, sizeof a) < 0 ? errno : 0;
}

static bool become(const struct room *r)
{
    const uid_t uid = r->plan.uid_outside;
    const gid_t gid = r->plan.gid_outside;

    return !r->plan.privileged ||
           (setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0);
}

/* Binds `s` as `name` in a folder that may be written as the room's user only. */
static int settle(int s, int folder, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct sbuf b = SBUF(a.sun_path);

    sbuf_text(&b, name);
    (void)umask(0);
    return b.full || fchdir(folder) < 0 || bind(s, (const struct sockaddr *)&a, sizeof a) < 0 ||
                   listen(s, BACKLOG) < 0
               ? errno
               : 0;
}

/* As the room's user, in a child, connects `s` to the socket `fd`, or binds it as `name` in the folder `fd`: 0 or
 * errno, which must fit an exit status. */
static int as_user(const struct room *r, int s, int fd, const char *name)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(!become(r) ? EPERM : name ? settle(s, fd, name) : join(s, fd));
    if (pid < 0)
        return errno;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* -errno; never waits for the server: one whose queue is full says EAGAIN. */
static int dial(const struct room *r, int folder, const struct egress_rule *x)
{
    FD_AUTO fd = find(folder, x);

    if (fd < 0)
        return fd;
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0)
        return -errno;
    const int code = r->plan.privileged ? as_user(r, s, fd, NULL) : join(s, fd);
    if (code != 0)
        fd_close(&s);
    return code != 0 ? -code : s;
}

/* --- while the room lives ---------------------------------------------------------------------------------- */

static int slot_of(const struct room *r, uint32_t rule)
{
    for (int i = 0; i < EGRESS_UNIX_MAX; i++) {
        if (r->unixes[i].folder >= 0 && r->unixes[i].rule == rule)
            return i;
    }
    return -1;
}

bool unixes_has(const struct room *r, uint32_t rule)
{
    return slot_of(r, rule) >= 0;
}

/* The name of a place in the one folder; NULL: it is elsewhere. */
static const char *name_in_folder(const char *path)
{
    static const char folder[] = "/" PLAN_SOCKETS_DIR "/";
    const size_t n = sizeof folder - 1;

    return strncmp(path, folder, n) == 0 && path[n] != '\0' && !strchr(path + n, '/') ? path + n : NULL;
}

static int open_sockets(const struct room *r)
{
    int fd = openat(r->scratch, SCRATCH_SOCKETS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* What listens in the room at `name`. */
static int listen_in(const struct room *r, const char *name, struct err *e)
{
    FD_AUTO folder = open_sockets(r);
    int s = folder < 0 ? folder : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int code = folder < 0 ? -folder : s < 0 ? errno : as_user(r, s, folder, name);

    if (code == 0)
        return s;
    fd_close(&s);
    if (code == EADDRINUSE)
        err_set(e, ERR_USAGE, 0, "the room has a socket /" PLAN_SOCKETS_DIR "/%s already", name);
    else
        err_set(e, ERR_ROOM, code, "make the socket in the room: /" PLAN_SOCKETS_DIR "/%s", name);
    return -1;
}

/* Why not, before anything is made; `name` is where it would be. */
static int refuse(const struct room *r, const struct egress_rule *x, const char *name, int at, struct err *e)
{
    if (r->plan.live_sockets && !name) {
        err_set(e, ERR_USAGE, 0, "in a room that lives, a socket can appear in /" PLAN_SOCKETS_DIR " only");
        return err_hint(e, "name its place there: unix:%s=/" PLAN_SOCKETS_DIR "/%.60s", x->name, name_of(x));
    }
    if (!r->plan.live_sockets || r->scratch < 0)
        err_set(e, ERR_USAGE, 0, "this room has no place for sockets that come while it lives");
    else if (at == EGRESS_UNIX_MAX)
        err_set(e, ERR_USAGE, 0, "this room has %d sockets, which is all that may be", EGRESS_UNIX_MAX);
    else
        return 0;
    return err_hint(e, "start another room with --allow unix:%s", x->name);
}

int unixes_add(struct room *r, const struct egress_rule *x, uint32_t rule, struct err *e)
{
    const char *name = name_in_folder(x->path);
    int at = 0, s = -1;

    while (at < EGRESS_UNIX_MAX && r->unixes[at].folder >= 0)
        at++;
    if (refuse(r, x, name, at, e) < 0)
        return -1;
    int folder = open_folder(x);
    FD_AUTO fd = folder < 0 ? folder : find(folder, x);
    if (fd < 0)
        (void)explain(x, -fd, e);
    else
        s = listen_in(r, name, e);
    if (s < 0) {
        fd_close(&folder);
        return -1;
    }
    r->unixes[at].folder = folder;
    r->unixes[at].rule = rule;
    r->unixes[at].live = true;
    return s;
}

void unixes_remove(struct room *r, uint32_t rule)
{
    const int at = slot_of(r, rule);
    const char *name = name_in_folder(live_rules(r)->rules[rule].path);

    if (at < 0 || !r->unixes[at].live)
        return;
    FD_AUTO folder = open_sockets(r);
    if (name && folder >= 0)
        (void)unlinkat(folder, name, 0); /* what stays leads nowhere: the gate has let go of it */
    fd_close(&r->unixes[at].folder);
    r->unixes[at].live = false;
}

void unixes_dial(struct room *r, uint32_t rule, uint32_t index, uint32_t generation)
{
    static struct gate_command c;
    int fd = -ENOENT;

    const int at = slot_of(r, rule);
    if (at >= 0)
        fd = dial(r, r->unixes[at].folder, &live_rules(r)->rules[rule]);
    c = (struct gate_command){.type = GATE_DIALLED,
                              .version = GATE_FRAMES_VERSION,
                              .number = index,
                              .generation = generation,
                              .size = fd < 0 ? (uint32_t)-fd : 0,
                              .count = fd >= 0};
    if (r->gate_ctl >= 0)
        (void)fd_frame_send(r->gate_ctl, &c, sizeof c, &fd, fd >= 0,
                            MSG_DONTWAIT); /* else the gate gives up in time */
    if (fd >= 0)
        fd_close(&fd);
}

void unixes_close(struct room *r)
{
    for (size_t i = 0; i < EGRESS_UNIX_MAX; i++)
        fd_close(&r->unixes[i].folder);
}
