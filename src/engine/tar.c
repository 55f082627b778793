/* tar: see tar.h.
 *
 * Lives in: a verb, or the supervisor. Trusts: the program beside ours, its frames by size and bound only.
 * Must not: read a stream itself. */
#include "engine/tar.h"
#include "engine/helper.h"
#include "sys/fd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STOP_MS = 500 };
#if TAR_CONTROL_FD != HELPER_CONTROL_FD
#error "a helper finds its socket at one number"
#endif

int tar_start(struct tar_session *t, const struct tar_order *o, int first, int second, struct err *e)
{
    struct tar_order order = *o;
    const int fds[2] = {first, second};
    *t = (struct tar_session){.ctl = -1};
    int r = helper_start(TAR_PROGRAM, &t->ctl, &t->pid, e);
    if (r < 0)
        return r;
    order.version = TAR_FRAMES_VERSION;
    if (order.entries_max == 0)
        order.entries_max = TAR_ENTRIES_MAX;
    if (order.bytes_max == 0)
        order.bytes_max = TAR_BYTES_MAX;
    r = fd_frame_send(t->ctl, &order, sizeof order, fds, 2, MSG_NOSIGNAL);
    if (r == 0)
        return 0;
    fd_close(&t->ctl);
    helper_end(&t->pid, STOP_MS);
    return helper_missing(TAR_PROGRAM, e);
}

static void listen_to(int *noise, char *said, size_t size)
{
    char rest[4096];
    const size_t have = strlen(said), room = size - 1 - have;
    const ssize_t n = read(*noise, room ? said + have : rest, room ? room : sizeof rest);
    if (n > 0 && room)
        said[have + (size_t)n] = '\0';
    if (n <= 0)
        *noise = -1; /* poll() passes it over */
}

int tar_finish(struct tar_session *t, int noise, char *said, size_t size, tar_tell *tell, void *ctx,
               struct tar_report *ret, struct err *e)
{
    static struct tar_report report;
    int r = 0;
    bool heard = false;
    memset(&report, 0, sizeof report);
    while (r == 0 && report.type != TAR_DONE) {
        struct pollfd p[] = {{.fd = t->ctl, .events = POLLIN}, {.fd = noise, .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            r = -errno;
        if (r == 0 && p[1].revents)
            listen_to(&noise, said, size);
        if (r < 0 || !p[0].revents)
            continue;
        r = fd_frame_recv(t->ctl, &report, sizeof report, NULL, 0, 0);
        if (r == 0 && (report.version != TAR_FRAMES_VERSION || report.type == 0 || report.type > TAR_DONE))
            r = -EBADMSG;
        report.text[sizeof report.text - 1] = '\0';
        heard = heard || r == 0;
        if (r == 0 && report.type == TAR_TEXT && tell)
            tell(ctx, report.text);
    }
    fd_close(&t->ctl);
    helper_end(&t->pid, STOP_MS);
    if (r == 0 && report.code != 0) {
        (void)err_set(e, ERR_IO, 0, "%s", report.text);
        return report.code > 0 ? -report.code : -EIO;
    }
    if (r == 0 && ret)
        *ret = report;
    if (r == 0)
        return 0;
    if (!heard && (r == -EPIPE || r == -ECONNRESET))
        return helper_missing(TAR_PROGRAM, e);
    return err_set(e, ERR_INTERNAL, -r, "talk to " TAR_PROGRAM);
}
