/* unixes: the supervisor's side of `unix:` rules, which let programs of the room speak to a socket file of the host's.
 *
 * Theory of operation. The folder of each socket is opened before there is a room, and kept; the socket is looked up in
 * it by name for each connection, so that its server may be started anew, and only a socket will do, no link to one.
 * The gate has neither files nor local sockets: it asks, we connect without waiting, and hand it what is connected.
 *
 * The server sees the room's own user: as root that is a user of the room's alone, for whom a child connects, because
 * root's name opens more than a file's mode does.
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

/* The same as the room's user, in a child: 0 or errno, which must fit an exit status. */
static int join_as(uint32_t uid, uint32_t gid, int s, int fd)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0
                  ? EPERM
                  : join(s, fd));
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
    const int code =
        r->plan.privileged ? join_as(r->plan.uid_outside, r->plan.gid_outside, s, fd) : join(s, fd);
    if (code != 0)
        fd_close(&s);
    return code != 0 ? -code : s;
}

void unixes_dial(struct room *r, uint32_t rule, uint32_t index, uint32_t generation)
{
    static struct gate_command c;
    int fd = -ENOENT;

    for (size_t i = 0; i < EGRESS_UNIX_MAX; i++) {
        if (r->unixes[i].folder >= 0 && r->unixes[i].rule == rule)
            fd = dial(r, r->unixes[i].folder, &live_rules(r)->rules[rule]);
    }
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
