/* stdio: one message a line.
 *
 * Lives in: strongroom-mcp. Trusts: nothing that comes in. May: read fd 0, write fd 1. Must not: block on either while
 * calls run, hold more than a bounded number of bytes, outlive its client by more than two seconds. */
#include "mcp/stdio.h"
#include "mcp/job.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_STEP 65536
#define GRACE_MS  1000 /* after the end of stdin: for answers that are nearly there */
#define END_MS    1800 /* and until everything is ended by force */

struct stdio {
    struct server *server;
    char *line; /* what came and was not taken yet */
    size_t len, size;
    size_t looked; /* so much of it holds no line's end */
    bool skipping; /* the line is too long: its rest is thrown away */
    char *out;     /* what was not taken yet */
    size_t out_len, out_size;
    bool reading, writing; /* watched */
    bool ended, broken;    /* stdin is at its end; stdout takes no more */
    bool listening;        /* not reading: only its end is watched for */
    bool left;             /* the client will say no more than what was not read yet */
    int64_t moved_ms;      /* when it last took something; counts once it left */
};

/* Room for `more` bytes behind `len`. */
static bool grow(char **p, size_t *size, size_t len, size_t more)
{
    size_t want = *size ? *size : READ_STEP;

    while (want - len < more)
        want *= 2;
    char *bigger = want == *size ? *p : realloc(*p, want);
    if (!bigger)
        return false;
    *p = bigger;
    *size = want;
    return true;
}

static void flush(void *ctx, int fd)
{
    struct stdio *io = ctx;
    size_t at = 0;

    while (at < io->out_len && !io->broken) {
        const ssize_t n = write(fd, io->out + at, io->out_len - at);
        if (n >= 0) {
            at += (size_t)n;
            io->moved_ms = loop_now_ms();
        } else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            io->broken = true;
    }
    if (io->broken)
        at = io->out_len;
    memmove(io->out, io->out + at, io->out_len - at);
    io->out_len -= at;
    io->server->unsent = io->out_len;
    const bool want = io->out_len > 0;
    if (want && !io->writing)
        (void)loop_watch(&io->server->loop, fd, POLLOUT, flush, io); /* its place is ours since the start */
    else if (!want && io->writing)
        loop_forget(&io->server->loop, fd, POLLOUT);
    io->writing = want;
}

static void send_line(void *ctx, const char *text, size_t len)
{
    struct stdio *io = ctx;

    if (io->broken)
        return;
    if (!grow(&io->out, &io->out_size, io->out_len, len + 1)) {
        io->broken = true; /* a client that lost one answer would wait for ever */
        return;
    }
    memcpy(io->out + io->out_len, text, len);
    io->out_len += len;
    io->out[io->out_len++] = '\n';
    io->server->unsent = io->out_len;
    if (!io->writing)
        flush(io, STDOUT_FILENO);
}

static void take_line(struct stdio *io, char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (io->skipping)
        rpc_too_long(io->server->rpc);
    else if (len > 0)
        rpc_take(io->server->rpc, line, len);
    io->skipping = false;
}

static bool may_take(const struct stdio *io)
{
    return io->server->unsent <= UNSENT_HIGH && !io->broken;
}

/* Takes each whole line, while the client takes its answers: one line may ask for a thousand times what it is long. */
static void take_lines(struct stdio *io)
{
    size_t start = 0;

    while (may_take(io)) {
        const char *end =
            io->looked < io->len ? memchr(io->line + io->looked, '\n', io->len - io->looked) : NULL;
        if (!end) {
            io->looked = io->len;
            break;
        }
        const size_t at = (size_t)(end - io->line);
        take_line(io, io->line + start, at - start);
        start = io->looked = at + 1;
    }
    if (start > 0)
        memmove(io->line, io->line + start, io->len - start);
    io->len -= start;
    io->looked -= start;
    if (io->looked < io->len)
        return;
    if (io->len > RPC_MESSAGE_MAX)
        io->skipping = true;
    if (io->ended && io->len > 0 && may_take(io)) { /* a last line without its end */
        take_line(io, io->line, io->len);
        io->len = io->looked = 0;
    }
    if (io->skipping)
        io->len = io->looked = 0;
}

/* Whether a line may be there that was not looked at. */
static bool lines_wait(const struct stdio *io)
{
    return io->looked < io->len;
}

static void input(void *ctx, int fd)
{
    struct stdio *io = ctx;

    if (!grow(&io->line, &io->size, io->len, READ_STEP)) {
        io->ended = true;
        return;
    }
    const ssize_t n = read(fd, io->line + io->len, READ_STEP);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0)
        io->len += (size_t)n;
    else
        io->ended = true;
}

static void hung_up(void *ctx, int fd)
{
    struct stdio *io = ctx;

    loop_forget(&io->server->loop, fd, POLLRDHUP);
    io->listening = false;
    io->left = true;
    io->moved_ms = loop_now_ms();
}

/* Reads while the client takes its answers; else only looks whether it is still there. */
static void watch_input(struct stdio *io)
{
    const bool want = !io->ended && may_take(io), listen = !io->ended && !want && !io->left;

    if (listen && !io->listening)
        (void)loop_watch(&io->server->loop, STDIN_FILENO, POLLRDHUP, hung_up, io);
    else if (!listen && io->listening)
        loop_forget(&io->server->loop, STDIN_FILENO, POLLRDHUP);
    io->listening = listen;

    if (want && !io->reading)
        (void)loop_watch(&io->server->loop, STDIN_FILENO, POLLIN, input, io);
    else if (!want && io->reading)
        loop_forget(&io->server->loop, STDIN_FILENO, POLLIN);
    io->reading = want;
}

static int least(int a, int b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* After the end of stdin: calls that are nearly done may answer, then all is ended. */
static int serve_end(struct stdio *io)
{
    struct server *s = io->server;
    const int64_t began = loop_now_ms();
    int n = 0;

    take_lines(io);
    while (n == 0 && (rpc_pending(s->rpc) > 0 || lines_wait(io)) && !io->broken &&
           loop_now_ms() - began < GRACE_MS) {
        n = loop_once(&s->loop, least(jobs_look(s), 50));
        take_lines(io);
    }
    s->closing = true;
    rpc_close(s->rpc);
    while (n == 0 && (s->jobs || (io->out_len > 0 && !io->broken)) && loop_now_ms() - began < END_MS)
        n = loop_once(&s->loop, least(jobs_look(s), 50));
    jobs_kill_all(s);
    return n;
}

int stdio_serve(struct server *s)
{
    struct stdio io = {.server = s};
    int n = 0;

    const int flags = fcntl(STDOUT_FILENO, F_GETFL);
    /* A terminal or a file is shared with others: only what is ours alone is made not to block. */
    if (flags >= 0)
        (void)fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
    s->rpc = rpc_new(&s->host, send_line, &io);
    if (!s->rpc)
        return -ENOMEM;
    while (n == 0 && !io.ended && !io.broken) {
        watch_input(&io);
        const bool waits = io.left && !may_take(&io);
        n = loop_once(&s->loop, waits ? least(jobs_look(s), 50) : jobs_look(s));
        take_lines(&io);
        if (waits && !may_take(&io) && loop_now_ms() - io.moved_ms >= GRACE_MS)
            io.broken = true; /* it neither speaks nor listens any more */
    }
    watch_input(&io);
    const int last = serve_end(&io);
    if (flags >= 0)
        (void)fcntl(STDOUT_FILENO, F_SETFL, flags);
    free(io.line);
    free(io.out);
    return n < 0 ? n : last;
}
