/* sockets: see sockets.h. A socket belongs for ever to the network in which it was made, whoever holds it: so a process
 * outside can connect to a server inside without entering anything.
 *
 * Lives in: the room's pid 1, under all walls. Trusts: the control socket. Must not: malloc, stdio, keep one. */
#include "room/sockets.h"
#include "sys/fd.h"

#include <errno.h>
#include <sys/socket.h>

enum { SOCKETS_MAX = 64 };

static int make_one(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); /* reaches IPv4, too */
    if (fd < 0)
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

void sockets_make(const struct room_plan *plan, const struct command *c)
{
    size_t left = c->count < SOCKETS_MAX ? c->count : SOCKETS_MAX;
    int code = 0;
    while (left > 0 && code == 0) {
        struct report r = {.type = REPORT_SOCKETS};
        int fds[FD_FRAME_FDS_MAX];
        while (r.fds < FD_FRAME_FDS_MAX && r.fds < left) {
            int fd = make_one();
            if (fd < 0) {
                code = -fd;
                break;
            }
            fds[r.fds++] = fd;
        }
        if (r.fds > 0 && fd_frame_send(plan->ctl, &r, sizeof r, fds, r.fds, 0) < 0)
            code = EIO;
        left -= r.fds;
        while (r.fds > 0)
            fd_close(&fds[--r.fds]);
    }
    const struct report none = {.type = REPORT_SOCKETS, .code = code};
    if (code != 0)
        (void)fd_frame_send(plan->ctl, &none, sizeof none, NULL, 0, 0); /* the supervisor may be gone */
}
