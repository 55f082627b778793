/* client: speaks to a room that has a name.
 *
 * Lives in: the command. Trusts: a socket in a folder that is the caller's alone; checks each frame all the same. */
#include "rooms/client.h"
#include "base/sbuf.h"
#include "rooms/place.h"
#include "sys/fd.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

int rooms_connect(const char *name, struct err *e)
{
    const struct timeval patience = {.tv_sec = ROOMS_PATIENCE_MS / 1000};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct sbuf b = SBUF(a.sun_path);
    FD_AUTO dir = rooms_find(name, e);

    if (dir < 0)
        return dir;
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return err_set(e, ERR_INTERNAL, errno, "make a socket");
    (void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience,
                     sizeof patience); /* else a hung room holds us */
    (void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sbuf_fmt(&b, "/proc/self/fd/%d/" ROOMS_CONTROL, dir);
    if (connect(sock, (struct sockaddr *)&a, sizeof a) < 0) {
        int r = err_set(e, ERR_ROOM, errno, "speak to the room %.64s", name);
        fd_close(&sock);
        return r;
    }
    return sock;
}

int rooms_call(int sock, enum rooms_frame_type type, int value, const char *text, struct rooms_frame *ret,
               struct err *e)
{
    rooms_frame_fill(ret, type, value, text);
    int r = fd_frame_send(sock, ret, sizeof *ret, NULL, 0, 0);
    if (r == 0)
        r = fd_frame_recv(sock, ret, sizeof *ret, NULL, 0, 0);
    if (r == -EPIPE)
        return err_set(e, ERR_ROOM, 0, "ask the room: it has ended");
    if (r == -EAGAIN)
        return err_set(e, ERR_ROOM, ETIMEDOUT, "ask the room");
    if (r == 0)
        r = rooms_frame_check(ret, ROOMS_ROOM);
    if (r < 0)
        return err_set(e, ERR_ROOM, 0, "ask the room: it is of another version of strongroom");
    return 0;
}
