/* unixes: socket files of the room that lead to the gate: those of `unix:` rules.
 *
 * A socket is bound where the rule wants it, in files that are the room's own: before these are closed for writing, or,
 * below the scratch folders, when they are there. The listeners are handed to the supervisor, as those of the network.
 * Where rules may come while the room lives, a folder of the scratch file system is shown read-only, in which the
 * supervisor can make more of them.
 *
 * Lives in: the room's pid 1, while it builds. Trusts: the plan. Must not: malloc, stdio, create anything below a
 * bind. */
#include "policy/egress.h"
#include "room/steps.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { BACKLOG = 1024 }; /* the kernel takes what it grants of it */

static int listen_at(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const size_t len = strlen(path);
    if (len >= sizeof a.sun_path)
        return -ENAMETOOLONG;
    memcpy(a.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    const mode_t old = umask(0);
    const bool bound = bind(fd, (const struct sockaddr *)&a, sizeof a) == 0 && listen(fd, BACKLOG) == 0;
    const int code = -errno;
    (void)umask(old);
    if (!bound)
        fd_close(&fd);
    return bound ? fd : code;
}

int unixes_make(const struct room_plan *plan, struct room_state *s, bool late)
{
    for (size_t i = 0; i < plan->unix_count; i++) {
        const struct plan_unix *u = &plan->unixes[i];
        if (u->late != late)
            continue;
        int r = mounts_make_folders(u->dst);
        if (r < 0)
            return r;
        r = listen_at(u->dst);
        if (r < 0)
            return r;
        s->unixes[i] = r;
    }
    return 0;
}

/* From here on only the supervisor makes something there, through the scratch file system's own mount. */
static int close_folder(void)
{
    struct mount_attr a = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC};
    return kernel_mount_setattr(AT_FDCWD, PLAN_SOCKETS_DIR, 0, &a) < 0 ? -errno : 0;
}

int step_sockets(const struct room_plan *plan, struct room_state *s)
{
    int r = unixes_make(plan, s, true);
    if (r == 0 && plan->live_sockets)
        r = close_folder();
    if (r < 0 || plan->unix_count == 0)
        return r;
    s->report.type = REPORT_LISTENERS;
    s->report.fds = (uint32_t)plan->unix_count;
    s->report.status = 1;
    for (size_t i = 0; i < plan->unix_count; i++) {
        s->report.listeners[i] = ROOM_LISTEN_UNIX;
        s->report.numbers[i] = (uint16_t)plan->unixes[i].rule;
    }
    r = fd_frame_send(plan->ctl, &s->report, sizeof s->report, s->unixes, plan->unix_count, 0);
    for (size_t i = 0; i < plan->unix_count; i++)
        fd_close(&s->unixes[i]);
    s->report.fds = 0;
    s->report.status = 0;
    return r;
}
