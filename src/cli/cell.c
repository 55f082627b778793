/* cell: `strongroom exec --interpreter LANGUAGE ROOM`: one cell for an interpreter that lives in a room.
 *
 * Theory of operation. The room's keeper lends us the interpreter: its channel, and what reads its stdout and
 * stderr. From then on everything that comes is written by hostile code, so before the first byte is read this
 * process gives up all but its descriptors. The cell goes to the interpreter; what it prints is passed on; values
 * and the end come over the channel (runtimes/cells.h). At the time limit, when it prints too much, or when our
 * caller wants the end, the cell is interrupted, which keeps the state; if that does not help within a moment, or
 * what comes makes no sense, the interpreter is of no use any more: the keeper ends it.
 *
 * Lives in: the command. Trusts: the keeper; nothing that comes out of the room. Must not: wait for the room for
 * ever. */
#include "cli/cell.h"
#include "base/num.h"
#include "cli/say.h"
#include "engine/relay.h"
#include "rooms/client.h"
#include "sys/fd.h"
#include "sys/ignored.h"
#include "sys/mem.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    GRACE_MS = 2000, /* from an interrupt to the end of the interpreter */
    HURRY_MS = 450,  /* the same when our caller wants to end */
    SETTLE_MS = 50,  /* after an interrupt: a signal that is still on its way must not meet the next cell */
    FAREWELL_MS = 3000, /* for the interpreter's end to be told */
    TIMED_OUT = 124,
    INTERRUPTED = 130,
};

enum phase { AWAITS_GO, SENDS, RUNS, OVER, SPOILT };

struct cell {
    const struct cell_order *o;
    int sock, channel, signals;
    uint32_t handle;
    enum phase phase;
    char *code;
    size_t code_len, sent;
    char head[CELLS_SAY_SIZE];
    struct cells_head h;
    size_t have; /* bytes of the head, and behind it of the data */
    char *data;
    int from[2]; /* its stdout and stderr */
    struct relay out[2];
    bool drops[2], shut[2];    /* what comes there is only counted; nothing comes there any more */
    const char *why;           /* it was interrupted */
    uint64_t start_ms, end_ms; /* end_ms: 0: never */
    struct cell_result result;
    struct cell_end end;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- before --------------------------------------------------------------------------------------------- */

static int read_code(struct cell *c, struct err *e)
{
    c->code = mem_reserve(CELLS_CODE_MAX + 1);
    c->data = mem_reserve(CELLS_VALUE_MAX);
    if (!c->code || !c->data)
        return err_set(e, ERR_INTERNAL, ENOMEM, "read the cell");
    while (c->code_len <= CELLS_CODE_MAX) {
        const ssize_t n = read(0, c->code + c->code_len, CELLS_CODE_MAX + 1 - c->code_len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, ERR_IO, errno, "read the cell from standard input");
        if (n == 0)
            break;
        c->code_len += (size_t)n;
    }
    if (c->code_len > CELLS_CODE_MAX)
        return err_set(e, ERR_USAGE, 0, "exec: the cell is longer than %u bytes", CELLS_CODE_MAX);
    if (memchr(c->code, '\0', c->code_len))
        return err_set(e, ERR_USAGE, 0, "exec: the cell holds a zero byte, which no language takes");
    return 0;
}

static int take_signals(struct cell *c)
{
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        sigaddset(&set, ours[i]);
    ignored_hangup_leaves(&set);
    c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    sigaddset(&set, SIGPIPE); /* a closed reader is an error value, not an end */
    return c->signals < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

/* "CELL new|kept|lost STATUS" */
static bool read_lease(struct cell *c, const struct rooms_frame *f)
{
    char text[ROOMS_TEXT_MAX + 1];
    uint64_t number;

    rooms_frame_text(f, text);
    char *state = strchr(text, ' ');
    if (!state)
        return false;
    *state++ = '\0';
    if (num_u64(text, &number) < 0 || number > UINT32_MAX)
        return false;
    c->handle = (uint32_t)f->value;
    c->end.number = (uint32_t)number;
    c->end.began_new = strcmp(state, "new") == 0;
    c->end.lost_before = strncmp(state, "lost ", 5) == 0;
    return true;
}

/* Waits for our turn, as long as it takes; a signal ends that. */
static int lease(struct cell *c, struct err *e)
{
    static struct rooms_frame f;
    char what[160];
    struct sbuf b = SBUF(what);
    int fds[ROOMS_FDS_MAX];

    sbuf_fmt(&b, "run a cell of %s in the room %.64s", c->o->language->name, c->o->room);
    rooms_frame_fill(&f, ROOMS_LEASE, 0, runtimes[c->o->language->runtime].name);
    if (fd_frame_send(c->sock, &f, sizeof f, NULL, 0, 0) < 0)
        return err_set(e, ERR_ROOM, 0, "%s: the room has ended", what);
    struct pollfd p[] = {{.fd = c->sock, .events = POLLIN}, {.fd = c->signals, .events = POLLIN}};
    while (poll(p, 2, -1) < 0 && errno == EINTR) {
    }
    if (!p[0].revents)
        return err_set(e, ERR_ROOM, EINTR, "%s", what);
    int n = fd_frame_recv(c->sock, &f, sizeof f, fds, ROOMS_FDS_MAX, 0);
    if (n < 0)
        return err_set(e, ERR_ROOM, 0, "%s: the room has ended", what);
    const bool fits = rooms_frame_check(&f, ROOMS_ROOM, n) == 0;
    if (fits && f.type == ROOMS_LEASED && n == 3 && read_lease(c, &f)) {
        c->channel = fds[0];
        c->from[0] = fds[1];
        c->from[1] = fds[2];
        return 0;
    }
    while (n > 0)
        fd_close(&fds[--n]);
    if (fits && f.type == ROOMS_REFUSED)
        return rooms_refused(&f, what, e);
    return err_set(e, ERR_ROOM, 0, "ask the room: it is of another version of strongroom");
}

/* --- speaking to it ------------------------------------------------------------------------------------- */

static void spoil(struct cell *c)
{
    c->phase = SPOILT;
}

/* A head; the socket has room for it, for nothing was sent that was not taken. */
static void ask(struct cell *c, char kind, size_t size)
{
    char head[CELLS_ASK_SIZE];

    cells_ask(head, kind, c->end.number, (uint32_t)size);
    if (send(c->channel, head, sizeof head, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof head)
        spoil(c);
}

/* With its state kept, if it does what it is told. */
static void interrupt(struct cell *c, const char *why, uint64_t grace)
{
    static struct rooms_frame f;
    char text[32];
    struct sbuf b = SBUF(text);
    struct err e = {0};

    if (c->why || c->phase > RUNS)
        return;
    c->why = why;
    c->end_ms = now_ms() + grace;
    if (c->phase == RUNS)
        ask(c, 'i', 0);
    sbuf_fmt(&b, "group %u", c->handle);
    if (rooms_call(c->sock, ROOMS_SIGNAL, SIGINT, text, &f, &e) < 0)
        spoil(c);
}

static void send_code(struct cell *c)
{
    while (c->sent < c->code_len) {
        const ssize_t n =
            send(c->channel, c->code + c->sent, c->code_len - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            spoil(c);
            return;
        }
        c->sent += (size_t)n;
    }
    c->phase = RUNS;
}

static bool is_expected(const struct cell *c)
{
    if (c->h.number != c->end.number)
        return false;
    return c->h.kind == 'G' ? c->phase == AWAITS_GO : c->phase == RUNS;
}

static void pass_on(struct cell *c, int which);

static void take_value(struct cell *c)
{
    struct cells_value v;

    if (cells_value(c->h.kind, c->data, c->h.size, &v) < 0) {
        spoil(c);
        return;
    }
    if (c->result.fd < 0)
        pass_on(c, 0); /* what was printed before it stands before it */
    cell_result_value(&c->result, c->h.kind, &v);
}

static void take_message(struct cell *c)
{
    switch (c->h.kind) {
    case 'G':
        c->phase = SENDS;
        send_code(c);
        return;
    case 'D':
        c->phase = cells_done(c->data, c->h.size, &c->end.done) < 0 ? SPOILT : OVER;
        return;
    default:
        take_value(c);
        return;
    }
}

static void take_bytes(struct cell *c)
{
    while (c->phase <= RUNS) {
        const size_t head = sizeof c->head;
        const bool in_head = c->have < head;
        char *to = in_head ? c->head + c->have : c->data + (c->have - head);
        const size_t want = in_head ? head - c->have : c->h.size - (c->have - head);
        const ssize_t n = want ? recv(c->channel, to, want, MSG_DONTWAIT) : 0;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (want && n <= 0) {
            spoil(c);
            return;
        }
        c->have += (size_t)n;
        if (c->have == head && in_head && (cells_head(c->head, &c->h) < 0 || !is_expected(c)))
            spoil(c);
        else if (c->have >= head && c->have - head == c->h.size) {
            c->have = 0;
            take_message(c);
        }
    }
}

/* --- what it prints ------------------------------------------------------------------------------------- */

static void drop(struct cell *c, int which)
{
    static char nowhere[65536];
    const ssize_t n = read(c->from[which], nowhere, sizeof nowhere);

    if (n > 0)
        c->end.printed[which] += (uint64_t)n;
    c->shut[which] = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

static void pass_on(struct cell *c, int which)
{
    struct relay *x = &c->out[which];
    const uint64_t most = c->o->output_max ? c->o->output_max : UINT64_MAX,
                   sum = c->end.printed[0] + c->end.printed[1];
    const uint64_t left = sum < most ? most - sum : 0;

    if (c->drops[which]) {
        drop(c, which);
        return;
    }
    c->end.printed[which] += left ? relay_move(x, left) : 0;
    if (x->ended) {
        c->drops[which] = true; /* the reader has gone, or nothing comes any more: the next read tells */
    } else if (c->end.printed[0] + c->end.printed[1] >= most && relay_has_more(x)) {
        for (int i = 0; i < 2; i++) {
            c->end.printed[i] += c->out[i].have - c->out[i].at;
            c->drops[i] = true;
        }
        interrupt(c, "output", GRACE_MS);
    }
}

/* What it wrote before its end; others may hold the pipes open, and are not waited for. */
static void drain(struct cell *c)
{
    for (int i = 0; i < 2; i++) {
        int there = 0;
        if (c->shut[i] || ioctl(c->from[i], FIONREAD, &there) < 0)
            continue;
        const uint64_t stop =
            c->end.printed[i] + (uint64_t)there + (c->drops[i] ? 0 : c->out[i].have - c->out[i].at);
        while (!c->shut[i] && c->end.printed[i] < stop) {
            struct pollfd p[] = {{.fd = c->drops[i] ? -1 : c->out[i].to, .events = POLLOUT},
                                 {.fd = c->signals, .events = POLLIN}};
            if (!c->drops[i])
                (void)poll(p, 2, -1); /* a slow reader is waited for, until somebody asks us to end */
            if (p[1].revents)
                break;
            pass_on(c, i);
        }
    }
}

/* --- until it is over ----------------------------------------------------------------------------------- */

static void look_at_clock(struct cell *c)
{
    const uint64_t now = now_ms();

    if (c->phase > RUNS || !c->end_ms || now < c->end_ms)
        return;
    if (c->why)
        spoil(c); /* it does not hear */
    else
        interrupt(c, "timeout", GRACE_MS);
}

static void take_signal(struct cell *c)
{
    struct signalfd_siginfo info;

    if (read(c->signals, &info, sizeof info) != sizeof info)
        return;
    if (c->why && c->end_ms > now_ms() + HURRY_MS)
        c->end_ms = now_ms() + HURRY_MS;
    interrupt(c, "interrupted", HURRY_MS);
}

static int until(const struct cell *c)
{
    const uint64_t now = now_ms();

    if (!c->end_ms)
        return -1;
    return c->end_ms <= now ? 0 : c->end_ms - now > 60000 ? 60000 : (int)(c->end_ms - now);
}

static void attend(struct cell *c)
{
    ask(c, c->o->language->kind, c->code_len);
    while (c->phase <= RUNS) {
        struct pollfd p[] = {{.fd = c->channel, .events = c->phase == SENDS ? POLLIN | POLLOUT : POLLIN},
                             {.fd = c->signals, .events = POLLIN},
                             {.fd = c->sock, .events = POLLIN},
                             {.fd = -1},
                             {.fd = -1}};
        for (int i = 0; i < 2; i++) {
            if (!c->shut[i])
                p[3 + i] = c->drops[i] ? (struct pollfd){.fd = c->from[i], .events = POLLIN}
                                       : relay_poll(&c->out[i]);
        }
        if (poll(p, 5, until(c)) < 0 && errno != EINTR)
            spoil(c);
        for (int i = 0; i < 2; i++) {
            if (p[3 + i].revents)
                pass_on(c, i);
        }
        if (p[1].revents)
            take_signal(c);
        if (p[2].revents)
            spoil(c); /* it does not speak unasked: the room has ended */
        if (c->phase == SENDS && (p[0].revents & POLLOUT))
            send_code(c);
        if (c->phase <= RUNS && (p[0].revents & (POLLIN | POLLHUP | POLLERR)))
            take_bytes(c);
        look_at_clock(c);
    }
    drain(c);
}

/* Gives it back; a spoilt one is ended, and its exit status, 128+n for a signal, is told: -1: nobody knows. */
static int release(struct cell *c)
{
    static struct rooms_frame f;
    const bool spoilt = c->phase == SPOILT;
    struct pollfd p = {.fd = c->sock, .events = POLLIN};

    if (c->why && !spoilt)
        (void)poll(NULL, 0, SETTLE_MS); /* it only has to pass */
    rooms_frame_fill(&f, ROOMS_RELEASE, spoilt, "");
    if (fd_frame_send(c->sock, &f, sizeof f, NULL, 0, 0) < 0 || poll(&p, 1, FAREWELL_MS) != 1 ||
        fd_frame_recv(c->sock, &f, sizeof f, NULL, 0, MSG_DONTWAIT) < 0 ||
        rooms_frame_check(&f, ROOMS_ROOM, 0) < 0 || f.type != ROOMS_ENDED)
        return -1;
    return WIFEXITED(f.value) ? WEXITSTATUS(f.value) : 128 + WTERMSIG(f.value);
}

static void say_gone(const struct cell *c)
{
    char text[256];
    struct sbuf b = SBUF(text);

    if (c->o->result_fd >= 0)
        return;
    sbuf_fmt(&b, "strongroom: the interpreter %s of the room %.64s ended; its state is gone\n",
             runtimes[c->o->language->runtime].name, c->o->room);
    sbuf_text(&b, "strongroom: hint: the next cell starts anew\n");
    say_stderr(&b);
}

static int finish(struct cell *c)
{
    struct cell_end *end = &c->end;
    const int status = release(c);

    end->gone = c->phase == SPOILT;
    end->outcome = c->why ? c->why : end->gone ? "ended" : "exited";
    end->exit_status = !c->why ? (end->gone ? (status < 0 ? 128 + SIGKILL : status) : end->done.status)
                       : c->why[0] == 't' ? TIMED_OUT
                       : c->why[0] == 'i' ? INTERRUPTED
                                          : 128 + SIGXFSZ;
    end->ms = now_ms() - c->start_ms;
    cell_result_end(&c->result, end);
    if (end->gone)
        say_gone(c);
    return end->exit_status;
}

static int prepare(struct cell *c, struct err *e)
{
    static char buffers[2][RELAY_BUFFER];
    const char *what;

    int r = read_code(c, e);
    if (r < 0)
        return r;
    c->sock = rooms_connect(c->o->room, e);
    if (c->sock < 0)
        return c->sock;
    if ((r = take_signals(c)) < 0)
        return err_set(e, ERR_INTERNAL, -r, "take over signals");
    if ((r = lease(c, e)) < 0)
        return r;
    for (int i = 0; i < 2; i++)
        relay_init(&c->out[i], c->from[i], 1 + i, false, false, buffers[i]);
    if ((r = cell_confine(&what)) < 0)
        return err_set(e, ERR_ROOM, -r, "run a cell: give up %s before hostile bytes are read", what);
    return 0;
}

int cell_run(const struct cell_order *o)
{
    static struct cell c;
    struct err e = {0};

    c.o = o;
    c.result.fd = o->result_fd;
    if (prepare(&c, &e) < 0)
        return say_error(&e);
    c.start_ms = now_ms();
    c.end_ms = o->timeout_ms ? c.start_ms + o->timeout_ms : 0;
    cell_result_begin(&c.result);
    attend(&c);
    return finish(&c);
}
