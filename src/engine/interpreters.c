/* interpreters: those of a room, which keep their state from one cell of code to the next (runtimes/).
 *
 * Theory of operation. The first who asks for an interpreter has it started, as a program of the room whose stdin is
 * one end of a socket; the other end and what reads its stdout and stderr stay here. It is lent to one client at a
 * time, who gets copies of those descriptors and speaks to it without us (cli/cell.c); others wait in line. A client
 * that is done gives it back. One that goes without a word may have left half a message behind, so the interpreter
 * is ended; so it is when the client says that it is of no use any more. When the interpreter ends by itself, its
 * channel is shut: whoever reads it must not wait for a child of the cell that holds it open.
 *
 * Lives in: the supervisor of a room that has a name. Trusts: its user; no byte of a frame. Must not: wait, read or
 * write the channel. */
#include "engine/inner.h"
#include "sys/fd.h"
#include "sys/words.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OWN_END_MS                                                                                           \
    100 /* one whose channel has closed may be about to end by itself, with a status that says more */

static void let_go(struct keeper_interpreter *i)
{
    if (i->channel >= 0)
        (void)shutdown(i->channel, SHUT_RDWR); /* the other end may be gone */
    fd_close(&i->channel);
    fd_close(&i->out);
    fd_close(&i->err);
    i->handle = 0;
    i->runs = i->ended = i->closing = false;
}

void interpreters_init(struct keeper *k)
{
    for (size_t n = 0; n < RUNTIME_COUNT; n++)
        k->interpreters[n] = (struct keeper_interpreter){.channel = -1, .out = -1, .err = -1};
}

void interpreters_close(struct room *r)
{
    for (size_t n = 0; n < RUNTIME_COUNT; n++)
        let_go(&r->keeper.interpreters[n]);
}

static struct keeper_interpreter *of_handle(struct room *r, uint32_t handle)
{
    for (size_t n = 0; n < RUNTIME_COUNT && handle; n++) {
        if (r->keeper.interpreters[n].handle == handle)
            return &r->keeper.interpreters[n];
    }
    return NULL;
}

static struct keeper_interpreter *held_by(struct room *r, uint32_t client)
{
    for (size_t n = 0; n < RUNTIME_COUNT; n++) {
        struct keeper_interpreter *i = &r->keeper.interpreters[n];
        if (i->lent && i->holder == client)
            return i;
    }
    return NULL;
}

/* The socket and the pipes: ours into *i, the program's into `theirs`. */
static int make_ends(struct keeper_interpreter *i, int theirs[3])
{
    int pair[2], out[2], err[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    i->channel = pair[0];
    theirs[0] = pair[1];
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    i->out = out[0];
    theirs[1] = out[1];
    if (pipe2(err, O_CLOEXEC) < 0)
        return -errno;
    i->err = err[0];
    theirs[2] = err[1];
    return 0;
}

static bool start(struct room *r, struct keeper_interpreter *i, const char **ret_why)
{
    const struct runtime *what = &runtimes[i - r->keeper.interpreters];
    char *none = NULL;
    const struct words words = {.workdir = "", .args = (char **)(uintptr_t)what->args, .vars = &none};
    int theirs[3] = {-1, -1, -1};

    *ret_why = "there is no memory for its descriptors";
    if (make_ends(i, theirs) == 0)
        i->handle = execs_start_interpreter(r, &words, theirs, ret_why);
    for (int k = 0; k < 3; k++)
        fd_close(&theirs[k]);
    if (!i->handle)
        let_go(i);
    return i->handle != 0;
}

static void hand_over(struct room *r, struct keeper_interpreter *i)
{
    char text[64];
    struct sbuf b = SBUF(text);
    const int fds[3] = {i->channel, i->out, i->err};

    i->cells++;
    sbuf_fmt(&b, "%u ", i->cells);
    if (i->lost)
        sbuf_fmt(&b, "lost %d", i->status);
    else
        sbuf_text(&b, i->cells == 1 ? "new" : "kept");
    i->lost = false;
    rooms_reply_fds(&r->live.server, i->holder, ROOMS_LEASED, (int)i->handle, text, fds, 3);
}

/* The next in line, if nobody has it. */
static void serve(struct room *r, struct keeper_interpreter *i)
{
    while (!i->lent && i->queued > 0) {
        const char *why;
        i->holder = i->queue[0];
        memmove(i->queue, i->queue + 1, --i->queued * sizeof *i->queue);
        if (i->handle || start(r, i, &why)) {
            i->lent = true;
            if (i->runs)
                hand_over(r, i);
            return;
        }
        keeper_refuse(r, i->holder, 125, why, r->keeper.paused ? "strongroom resume ROOM" : NULL);
    }
}

void interpreters_lend(struct room *r, uint32_t client, const struct rooms_frame *f)
{
    char text[ROOMS_TEXT_MAX + 1];

    rooms_frame_text(f, text);
    const struct runtime *what = runtime_find(text);
    if (!what || held_by(r, client)) {
        keeper_refuse(r, client, 125, "the request makes no sense", NULL);
        return;
    }
    struct keeper_interpreter *i = &r->keeper.interpreters[what - runtimes];
    if (i->queued == INTERPRETER_QUEUE) {
        keeper_refuse(r, client, 125, "too many wait for it already", "wait for their end, then ask again");
        return;
    }
    i->queue[i->queued++] = client;
    serve(r, i);
}

static void take_back(struct room *r, struct keeper_interpreter *i)
{
    i->lent = false;
    if (i->ended) {
        let_go(i);
        i->cells = 0;
    }
    serve(r, i);
}

/* It is of no use: ended, and whoever asks meanwhile gets a new one. */
static void discard(struct room *r, struct keeper_interpreter *i)
{
    execs_end(r, i->handle, 0);
    let_go(i);
    i->cells = 0;
    i->lent = false;
    serve(r, i);
}

void interpreters_release(struct room *r, uint32_t client, bool spoilt)
{
    struct keeper_interpreter *i = held_by(r, client);

    if (!i || i->closing) {
        keeper_refuse(r, client, 0, "you have no interpreter", NULL);
    } else if (!spoilt) {
        rooms_reply(&r->live.server, client, ROOMS_DONE, 0, "");
        take_back(r, i);
    } else if (i->ended) {
        rooms_reply(&r->live.server, client, ROOMS_ENDED, i->status, "exited 0 0 0");
        take_back(r, i);
    } else {
        i->closing = true;
        execs_end(r, i->handle, OWN_END_MS);
    }
}

void interpreters_farewell(struct room *r, uint32_t client)
{
    struct keeper_interpreter *i;

    for (size_t n = 0; n < RUNTIME_COUNT; n++) {
        i = &r->keeper.interpreters[n];
        size_t kept = 0;
        for (size_t k = 0; k < i->queued; k++) {
            if (i->queue[k] != client)
                i->queue[kept++] = i->queue[k];
        }
        i->queued = kept;
    }
    i = held_by(r, client);
    if (!i)
        return;
    i->lost = !i->ended && !i->closing; /* then somebody else's state is gone with it */
    i->status = i->lost ? SIGKILL : i->status;
    discard(r, i);
}

void interpreters_started(struct room *r, uint32_t handle)
{
    struct keeper_interpreter *i = of_handle(r, handle);

    if (!i)
        return;
    i->runs = true;
    if (i->lent)
        hand_over(r, i);
}

void interpreters_failed(struct room *r, uint32_t handle, int status, const char *why)
{
    struct keeper_interpreter *i = of_handle(r, handle);

    if (!i)
        return;
    if (i->lent)
        keeper_refuse(r, i->holder, status, why, NULL);
    let_go(i);
    i->lent = false;
    serve(r, i);
}

void interpreters_exited(struct room *r, uint32_t handle, int status)
{
    struct keeper_interpreter *i = of_handle(r, handle);

    if (!i)
        return;
    i->ended = true;
    i->status = status;
    if (i->lent && !i->closing) {
        (void)shutdown(i->channel, SHUT_RDWR); /* its holder sees the end, whoever still has the other side */
        return;
    }
    if (i->lent)
        rooms_reply(&r->live.server, i->holder, ROOMS_ENDED, status, "exited 0 0 0");
    else
        i->lost = true;
    i->lent = false;
    let_go(i);
    i->cells = 0;
    serve(r, i);
}
