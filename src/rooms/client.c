/* client: speaks to a room that has a name.
 *
 * Lives in: the command. Trusts: a socket in a folder that is the caller's alone; checks each frame all the same. */
#include "rooms/client.h"
#include "base/sbuf.h"
#include "rooms/place.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Connects to the socket in `dir`, whatever the folder's name is by now and however long. From inside the folder, if we
 * can come back: the way through /proc costs some 20 us more. */
static int connect_in(int sock, int dir)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = ROOMS_CONTROL};
    FD_AUTO here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const bool inside = here >= 0 && fchdir(dir) == 0;
    if (!inside) {
        struct sbuf b = SBUF(a.sun_path);
        sbuf_fmt(&b, "/proc/self/fd/%d/" ROOMS_CONTROL, dir);
    }
    int r = connect(sock, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
    if (inside && fchdir(here) < 0)
        r = -errno;
    return r;
}

int rooms_connect(const char *name, struct err *e)
{
    const struct timeval patience = {.tv_sec = ROOMS_PATIENCE_MS / 1000};
    FD_AUTO dir = rooms_find(name, e);

    if (dir < 0)
        return dir;
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return err_set(e, ERR_INTERNAL, errno, "make a socket");
    (void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience,
                     sizeof patience); /* else a hung room holds us */
    (void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int r = connect_in(sock, dir);
    if (r < 0) {
        /* The name is given back before the last client is let go. */
        r = r == -ECONNREFUSED || r == -ENOENT
                ? err_set(e, ERR_NOT_FOUND, 0, "find the room %.64s: no room of that name runs", name)
                : err_set(e, ERR_ROOM, -r, "speak to the room %.64s", name);
        fd_close(&sock);
        return r;
    }
    return sock;
}

int rooms_call_fds(int sock, enum rooms_frame_type type, int value, const char *text, struct rooms_fds *fds,
                   struct rooms_frame *ret, struct err *e)
{
    for (size_t i = 0; i < ROOMS_FDS_MAX; i++)
        fds->got[i] = -1;
    rooms_frame_fill(ret, type, value, text);
    int r = fd_frame_send(sock, ret, sizeof *ret, fds->send, fds->n_send, 0);
    if (r == 0)
        r = fd_frame_recv(sock, ret, sizeof *ret, fds->got, ROOMS_FDS_MAX, 0);
    if (r == -EPIPE || r == -ECONNRESET)
        return err_set(e, ERR_ROOM, 0, "ask the room: it has ended");
    if (r == -EAGAIN)
        return err_set(e, ERR_ROOM, ETIMEDOUT, "ask the room");
    if (r >= 0)
        r = rooms_frame_check(ret, ROOMS_ROOM, r);
    if (r == 0)
        return 0;
    (void)err_set(e, ERR_ROOM, 0, "ask the room: it is of another version of strongroom");
    if (r == -EPROTO) /* only that is known to be a strongroom */
        (void)err_hint(e, "strongroom rm and kill end it all the same");
    return r;
}

int rooms_call(int sock, enum rooms_frame_type type, int value, const char *text, struct rooms_frame *ret,
               struct err *e)
{
    struct rooms_fds none = {.n_send = 0};
    int r = rooms_call_fds(sock, type, value, text, &none, ret, e);
    for (size_t i = 0; i < ROOMS_FDS_MAX; i++)
        fd_close(&none.got[i]);
    return r;
}

void rooms_be_patient(int sock)
{
    const struct timeval forever = {0};
    (void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &forever,
                     sizeof forever); /* else we only give up sooner */
}

int rooms_refused(const struct rooms_frame *f, const char *what, struct err *e)
{
    char text[ROOMS_TEXT_MAX + 1];
    rooms_frame_text(f, text);
    char *hint = strchr(text, '\n');
    if (hint)
        *hint++ = '\0';
    int r = err_set(e,
                    f->value == 127   ? ERR_NOT_FOUND
                    : f->value == 126 ? ERR_EXEC
                                      : ERR_POLICY,
                    0, "%s: %s", what, text);
    return hint && hint[0] ? err_hint(e, "%s", hint) : r;
}
