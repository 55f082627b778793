/* conn: connections, from accept to their last byte.
 *
 * Theory of operation. A row of a fixed table goes RESOLVING -> DIALING -> OPEN -> FREE (any state may go to FREE).
 * The destination that the program meant says which name (a pin) or which address it is about; the rules decide; a
 * name
 * is looked up now, each address is judged again, and exactly the address that was judged is dialled. Dialling tries
 * the
 * addresses in order, the next one beside the one that is slow. Then bytes move by splice through a pipe that a
 * direction
 * holds only while there is something in it: an idle connection costs two sockets. A direction reads only when its
 * pipe
 * is empty, so a slow reader holds back the writer. The end of one direction is handed on alone (half-close).
 *
 * Lives in: strongroom-gate. Trusts: the rules. May: connect to what they allow. Must not: look at the bytes, wait. */
#include "gate/conn.h"
#include "gate/loop.h"
#include "gate/pins.h"
#include "gate/tell.h"
#include "sys/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define ACCEPT_MAX 64
#define PIPE_SIZE  (256 * 1024)
#define PIPES_KEPT 64
#define TURNS_MAX  16 /* moves of one direction before others get their turn */
#define DIAL_MS    20000
#define BESIDE_MS  250  /* then the next address is tried as well */
#define SILENT_MS  3000 /* then it is tried instead of the first one */
#define TICK_MS    50

enum conn_state { CONN_FREE, CONN_RESOLVING, CONN_DIALING, CONN_OPEN };

struct way { /* one direction: 0 from the room, 1 to the room */
    int pipe[2];
    size_t held; /* bytes in the pipe */
    bool ended, handed_on;
    uint64_t bytes;
};

struct conn {
    enum conn_state state;
    uint32_t generation;
    int fd[2]; /* room, upstream */
    struct way ways[2];
    bool again; /* is in the queue of those with more to do */
    uint16_t next_again, port;
    int rule, lookup, code, oldest; /* oldest: of two attempts */
    bool v6;                        /* how the program came: that family first */
    uint64_t since, beside;
    int dials[DIALS_MAX];
    struct gate_addr dialled[DIALS_MAX];
    size_t next_addr, addr_count;
    struct gate_addr addrs[DNS_ADDRS_MAX];
    struct gate_addr peer; /* judged and dialled, or refused */
    char name[DNS_NAME_MAX];
};

static struct conn conns[CONNS_MAX];
static uint64_t due[CONNS_MAX]; /* when an unfinished connection is to be looked at; 0: not */
static uint16_t free_list[CONNS_MAX];
static size_t free_count, used_high, most_conns, unfinished;
static int again_first = -1, again_last = -1;
static int pool[PIPES_KEPT][2];
static size_t pool_count;
static const struct egress_rules *rules;

static_assert(CONNS_MAX < UINT16_MAX, "a row fits its link");

void conn_open(const struct egress_rules *r, size_t most)
{
    rules = r;
    most_conns = most < CONNS_MAX ? most : CONNS_MAX;
    for (size_t i = 0; i < most_conns; i++)
        free_list[i] = (uint16_t)(most_conns - 1 - i);
    free_count = most_conns;
}

static uint32_t index_of(const struct conn *c)
{
    return (uint32_t)(c - conns);
}

static void set_due(struct conn *c, uint64_t when)
{
    uint64_t *d = &due[index_of(c)];

    unfinished += (size_t)(when != 0) - (size_t)(*d != 0);
    *d = when;
}

static struct egress_addr egress_of(const struct gate_addr *a)
{
    struct egress_addr e;

    if (a->size == 4)
        return egress_addr_v4(a->bytes);
    memcpy(e.bytes, a->bytes, sizeof e.bytes);
    return e;
}

static void tell(const struct conn *c, enum gate_verdict verdict, enum gate_reason reason)
{
    struct gate_report e = {
        .verdict = verdict,
        .kind = GATE_KIND_TCP,
        .reason = reason,
        .rule = c->rule,
        .code = verdict == GATE_BROKEN || verdict == GATE_ALLOWED ? c->code : 0,
        .port = c->port,
        .up = c->ways[0].bytes,
        .down = c->ways[1].bytes,
        .duration_ms = loop_now() - c->since,
    };

    memcpy(e.name, c->name, sizeof e.name);
    (void)addr_text(&c->peer, e.address);
    tell_event(&e);
}

static void close_hard(int *fd)
{
    const struct linger now = {.l_onoff = 1};

    if (*fd >= 0)
        (void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* otherwise it ends softly */
    fd_close(fd);
}

/* --- pipes --- */

static bool pipe_take(struct way *w)
{
    if (w->pipe[0] >= 0)
        return true;
    if (pool_count > 0) {
        pool_count--;
        w->pipe[0] = pool[pool_count][0];
        w->pipe[1] = pool[pool_count][1];
        return true;
    }
    if (pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        w->pipe[0] = w->pipe[1] = -1;
        return false;
    }
    (void)fcntl(w->pipe[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is only slower */
    return true;
}

static void pipe_give(struct way *w)
{
    if (w->pipe[0] < 0)
        return;
    if (w->held == 0 && pool_count < PIPES_KEPT) {
        pool[pool_count][0] = w->pipe[0];
        pool[pool_count][1] = w->pipe[1];
        pool_count++;
        w->pipe[0] = w->pipe[1] = -1;
        return;
    }
    fd_close(&w->pipe[0]);
    fd_close(&w->pipe[1]);
}

/* --- life --- */

static struct conn *conn_new(int fd)
{
    if (free_count == 0)
        return NULL;
    uint16_t at = free_list[--free_count];
    struct conn *c = &conns[at];
    bool again = c->again; /* its old life may still be queued */
    uint16_t next = c->next_again;

    *c = (struct conn){
        .generation = c->generation + 1, .again = again, .next_again = next, .rule = -1, .lookup = -1};
    c->fd[0] = fd;
    c->fd[1] = -1;
    for (int i = 0; i < 2; i++)
        c->ways[i].pipe[0] = c->ways[i].pipe[1] = -1;
    for (int i = 0; i < DIALS_MAX; i++)
        c->dials[i] = -1;
    c->since = loop_now();
    if (at >= used_high)
        used_high = at + 1u;
    return c;
}

static void conn_free(struct conn *c, bool hard)
{
    set_due(c, 0);
    for (int i = 0; i < 2; i++) {
        pipe_give(&c->ways[i]);
        if (hard)
            close_hard(&c->fd[i]);
        else
            fd_close(&c->fd[i]);
    }
    for (int i = 0; i < DIALS_MAX; i++)
        close_hard(&c->dials[i]);
    c->state = CONN_FREE;
    c->generation++;
    free_list[free_count++] = (uint16_t)index_of(c);
}

static void end_broken(struct conn *c, enum gate_reason reason)
{
    tell(c, GATE_BROKEN, reason);
    conn_free(c, true);
}

static void end_denied(struct conn *c, enum gate_reason reason)
{
    tell(c, GATE_DENIED, reason);
    conn_free(c, true);
}

static void queue_again(struct conn *c)
{
    if (c->again)
        return;
    c->again = true;
    c->next_again = UINT16_MAX;
    if (again_last >= 0)
        conns[again_last].next_again = (uint16_t)index_of(c);
    else
        again_first = (int)index_of(c);
    again_last = (int)index_of(c);
}

/* --- moving bytes --- */

enum moved { MOVED_ALL, MOVED_SOME, MOVED_BROKEN };

/* Moves until one side has no more to give or take, or its turn is over. */
static enum moved move(struct conn *c, int from)
{
    struct way *w = &c->ways[from];
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    int turn = 0;

    for (; turn < TURNS_MAX && !w->handed_on; turn++) {
        if (w->held == 0 && !w->ended) {
            if (!pipe_take(w))
                return MOVED_BROKEN;
            ssize_t n = splice(c->fd[from], NULL, w->pipe[1], NULL, PIPE_SIZE, flags);
            if (n < 0 && errno == EAGAIN)
                break;
            if (n < 0) {
                c->code = errno;
                return MOVED_BROKEN;
            }
            w->ended = n == 0;
            w->held = (size_t)n;
        }
        if (w->held > 0) {
            ssize_t n = splice(w->pipe[0], NULL, c->fd[1 - from], NULL, w->held, flags);
            if (n < 0 && errno == EAGAIN)
                break;
            if (n <= 0) {
                c->code = n < 0 ? errno : EIO;
                return MOVED_BROKEN;
            }
            w->held -= (size_t)n;
            w->bytes += (uint64_t)n;
        }
        if (w->held == 0 && w->ended) {
            (void)shutdown(c->fd[1 - from], SHUT_WR); /* a peer that is gone is seen by the other direction */
            w->handed_on = true;
        }
    }
    if (w->held == 0)
        pipe_give(w);
    return turn == TURNS_MAX ? MOVED_SOME : MOVED_ALL;
}

static void pump(struct conn *c)
{
    enum moved up = move(c, 0);
    enum moved down = up == MOVED_BROKEN ? MOVED_BROKEN : move(c, 1);

    if (down == MOVED_BROKEN) {
        tell(c, GATE_ALLOWED, GATE_WHY_RULE);
        conn_free(c, true);
    } else if (c->ways[0].handed_on && c->ways[1].handed_on) {
        tell(c, GATE_ALLOWED, GATE_WHY_RULE);
        conn_free(c, false);
    } else if (up == MOVED_SOME || down == MOVED_SOME) {
        queue_again(c);
    }
}

/* --- dialling --- */

/* A public address may be the host's own: then what listens there may rely on not being asked from outside. */
static bool is_own(const struct gate_addr *a)
{
    struct sockaddr_storage to, from;
    socklen_t len = addr_to_sock(a, 53, &to), from_len = sizeof from;
    FD_AUTO fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct gate_addr self;
    uint16_t port;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&from, &from_len) < 0 || addr_from_sock(&from, &self, &port) < 0)
        return false; /* no way there: the dial fails likewise */
    return addr_equal(&self, a);
}

/* Does a rule that lists addresses speak of this one? A wide range does not open the private ones in it. */
static bool listed(const struct egress_addr *a, uint16_t port, struct egress_verdict *ret)
{
    *ret = egress_verdict_addr(rules, a, port);
    if (ret->rule >= 0 && ret->allowed && egress_is_private(a) &&
        !egress_is_private(&rules->rules[ret->rule].addr))
        ret->allowed = false;
    return ret->rule >= 0;
}

static bool may_dial(const struct conn *c, const struct gate_addr *a)
{
    struct egress_addr e = egress_of(a);
    struct egress_verdict v;
    int pin;

    if (pins_find(a, &pin)) /* it would be ours */
        return false;
    if (listed(&e, c->port, &v))
        return v.allowed;
    return egress_may_dial(rules, c->rule, &e, c->port) && (rules->rules[c->rule].internal || !is_own(a));
}

static void opened(struct conn *c, int which)
{
    static const int on = 1;

    c->fd[1] = c->dials[which];
    c->dials[which] = -1;
    c->peer = c->dialled[which];
    for (int i = 0; i < DIALS_MAX; i++)
        close_hard(&c->dials[i]);
    c->state = CONN_OPEN;
    c->code = 0;
    set_due(c, 0);
    for (int i = 0; i < 2; i++)
        (void)setsockopt(c->fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* speed only */
    (void)setsockopt(c->fd[1], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (loop_change(c->fd[1], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, LOOP_UPSTREAM, index_of(c),
                    c->generation) < 0)
        end_broken(c, GATE_WHY_TABLE_FULL);
    else
        pump(c);
}

/* Starts one attempt in slot `which`. 0: under way; otherwise it failed. */
static int dial(struct conn *c, int which, const struct gate_addr *a)
{
    struct sockaddr_storage to;
    socklen_t len = addr_to_sock(a, c->port, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    c->dials[which] = fd;
    c->dialled[which] = *a;
    int r = connect(fd, (const struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS ? -errno : 0;
    if (r == 0)
        r = loop_add(fd, EPOLLOUT | EPOLLET, LOOP_DIAL, index_of(c) * DIALS_MAX + (uint32_t)which,
                     c->generation);
    if (r < 0)
        fd_close(&c->dials[which]);
    return r;
}

static bool dialling(const struct conn *c)
{
    return c->dials[0] >= 0 || c->dials[1] >= 0;
}

static bool dialling_both(const struct conn *c)
{
    return c->dials[0] >= 0 && c->dials[1] >= 0;
}

/* Tries the next address in a free slot, or instead of the attempt that has been silent for longest; ends the
 * connection
 * when nothing is left. */
static void dial_next(struct conn *c)
{
    if (dialling_both(c) && c->next_addr < c->addr_count)
        close_hard(&c->dials[c->oldest]);
    int which = c->dials[0] < 0 ? 0 : 1;
    c->beside = loop_now() + (c->dials[1 - which] < 0 ? BESIDE_MS : SILENT_MS);
    while (c->dials[which] < 0 && c->next_addr < c->addr_count) {
        const struct gate_addr *a = &c->addrs[c->next_addr++];
        int r = dial(c, which, a);
        if (r == 0) {
            c->oldest = dialling_both(c) ? 1 - which : which;
            return;
        }
        c->code = -r;
        c->peer = *a;
    }
    if (!dialling(c))
        end_broken(c, GATE_WHY_UNREACHABLE);
}

/* Of the addresses of one family that may be dialled, the next one from *at on; NULL: no more. */
static const struct gate_addr *next_of(struct conn *c, const struct gate_addr *addrs, size_t count, bool v6,
                                       size_t *at)
{
    while (*at < count) {
        const struct gate_addr *a = &addrs[(*at)++];
        if ((a->size == 16) != v6)
            continue;
        if (c->name[0] == '\0' || may_dial(c, a))
            return a;
        c->peer = *a;
    }
    return NULL;
}

/* The families take turns, so that one that leads nowhere costs one short wait. */
static void start_dialling(struct conn *c, const struct gate_addr *addrs, size_t count)
{
    size_t at[2] = {0, 0};
    bool more = true;

    while (more && c->addr_count < DNS_ADDRS_MAX) {
        more = false;
        for (int turn = 0; turn < 2 && c->addr_count < DNS_ADDRS_MAX; turn++) {
            const struct gate_addr *a = next_of(c, addrs, count, turn == 0 ? c->v6 : !c->v6, &at[turn]);
            if (a != NULL)
                c->addrs[c->addr_count++] = *a;
            more = more || a != NULL;
        }
    }
    if (c->addr_count == 0) {
        end_denied(c, GATE_WHY_PRIVATE);
        return;
    }
    c->state = CONN_DIALING;
    set_due(c, loop_now() + DIAL_MS);
    dial_next(c);
}

/* --- decisions --- */

static void use_answer(struct conn *c, const struct resolve_answer *answer)
{
    if (answer->failed)
        end_broken(c, answer->failed);
    else
        start_dialling(c, answer->addrs, answer->count);
}

static void go_by_name(struct conn *c, unsigned pin)
{
    struct resolve_answer answer;

    memcpy(c->name, pins_name(pin), sizeof c->name);
    struct egress_verdict v = egress_verdict_name(rules, c->name, c->port);
    c->rule = v.rule;
    if (!v.allowed) {
        end_denied(c, v.rule >= 0 ? GATE_WHY_RULE : GATE_WHY_NO_RULE);
        return;
    }
    int r = resolve_start(c->name, &c->lookup, &answer);
    if (r < 0) {
        end_broken(c, GATE_WHY_TABLE_FULL);
    } else if (r == 1) {
        use_answer(c, &answer);
    } else {
        c->state = CONN_RESOLVING;
        set_due(c, loop_now() + DIAL_MS);
    }
}

static void go_by_address(struct conn *c, const struct gate_addr *a)
{
    struct egress_addr e = egress_of(a);
    struct egress_verdict v;

    c->peer = *a;
    (void)listed(&e, c->port, &v);
    c->rule = v.rule;
    if (!v.allowed)
        end_denied(c, v.rule >= 0 && rules->rules[v.rule].deny ? GATE_WHY_RULE : GATE_WHY_LITERAL);
    else
        start_dialling(c, a, 1);
}

static void decide(int *fd)
{
    struct sockaddr_storage meant;
    socklen_t len = sizeof meant;
    struct gate_addr a;
    uint16_t port;
    int pin;

    if (getsockname(*fd, (struct sockaddr *)&meant, &len) < 0 || addr_from_sock(&meant, &a, &port) < 0) {
        close_hard(fd);
        return;
    }
    struct conn *c = conn_new(*fd);
    if (c == NULL ||
        loop_add(*fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, LOOP_ROOM, index_of(c), c->generation) < 0) {
        const struct gate_report full = {.verdict = GATE_BROKEN,
                                         .kind = GATE_KIND_TCP,
                                         .reason = GATE_WHY_TABLE_FULL,
                                         .rule = -1,
                                         .port = port};
        tell_event(&full);
        if (c != NULL)
            conn_free(c, true);
        else
            close_hard(fd);
        return;
    }
    c->state = CONN_RESOLVING; /* until it goes on or ends, all in this call or by the look-up */
    c->port = port;
    c->v6 = a.size == 16;
    if (!pins_find(&a, &pin))
        go_by_address(c, &a);
    else if (pin >= 0)
        go_by_name(c, (unsigned)pin);
    else {
        c->peer = a;
        end_denied(c, GATE_WHY_LITERAL);
    }
}

void conn_accept(int listener)
{
    for (int i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return; /* nothing there, or the program has left again */
        decide(&fd);
    }
}

void conn_resolved(int lookup, const struct resolve_answer *answer)
{
    for (size_t i = 0; i < used_high; i++) {
        struct conn *c = &conns[i];
        if (due[i] != 0 && c->state == CONN_RESOLVING && c->lookup == lookup)
            use_answer(c, answer);
    }
}

/* --- events --- */

static struct conn *conn_at(uint32_t index, uint32_t generation)
{
    if (index >= CONNS_MAX || conns[index].state == CONN_FREE || conns[index].generation != generation)
        return NULL;
    return &conns[index];
}

static void side_event(struct conn *c, int side, uint32_t events)
{
    int code = 0;
    socklen_t len = sizeof code;

    if ((events & EPOLLERR) && c->state == CONN_OPEN) {
        (void)getsockopt(c->fd[side], SOL_SOCKET, SO_ERROR, &code, &len); /* 0 when it cannot say */
        c->code = code;
        tell(c, GATE_ALLOWED, GATE_WHY_RULE);
        conn_free(c, true);
    } else if (c->state == CONN_OPEN) {
        pump(c);
    } else if (events & (EPOLLERR | EPOLLHUP)) { /* the program has gone before we got through */
        c->code = ECANCELED;
        end_broken(c, GATE_WHY_UNREACHABLE);
    }
}

void conn_room_event(uint32_t index, uint32_t generation, uint32_t events)
{
    struct conn *c = conn_at(index, generation);

    if (c != NULL)
        side_event(c, 0, events);
}

void conn_upstream_event(uint32_t index, uint32_t generation, uint32_t events)
{
    struct conn *c = conn_at(index, generation);

    if (c != NULL && c->state == CONN_OPEN)
        side_event(c, 1, events);
}

void conn_dial_event(uint32_t index, uint32_t generation, uint32_t events)
{
    struct conn *c = conn_at(index / DIALS_MAX, generation);
    int which = (int)(index % DIALS_MAX), code = 0;
    socklen_t len = sizeof code;

    (void)events;
    if (c == NULL || c->state != CONN_DIALING || c->dials[which] < 0)
        return;
    if (getsockopt(c->dials[which], SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code == 0) {
        opened(c, which);
        return;
    }
    c->code = code;
    c->peer = c->dialled[which];
    fd_close(&c->dials[which]);
    dial_next(c);
}

static void check_due(struct conn *c, uint64_t when)
{
    if (loop_now() >= when) {
        c->code = ETIMEDOUT;
        if (c->state == CONN_DIALING) {
            for (int i = 0; i < DIALS_MAX; i++) {
                if (c->dials[i] >= 0)
                    c->peer = c->dialled[i];
            }
        }
        end_broken(c, c->state == CONN_RESOLVING ? GATE_WHY_RESOLVER : GATE_WHY_UNREACHABLE);
    } else if (c->state == CONN_DIALING && loop_now() >= c->beside && c->next_addr < c->addr_count) {
        dial_next(c);
    }
}

int conn_tick(void)
{
    int stop = again_last;

    while (again_first >= 0 && stop >= 0) {
        struct conn *c = &conns[again_first];
        bool last = again_first == stop;
        again_first = c->next_again == UINT16_MAX ? -1 : c->next_again;
        if (again_first < 0)
            again_last = -1;
        c->again = false;
        if (c->state == CONN_OPEN)
            pump(c);
        if (last)
            break;
    }
    for (size_t i = 0; unfinished > 0 && i < used_high; i++) {
        if (due[i] != 0)
            check_due(&conns[i], due[i]);
    }
    if (again_first >= 0)
        return 0;
    return unfinished > 0 ? TICK_MS : -1;
}

void conn_close_all(void)
{
    for (size_t i = 0; i < used_high; i++) {
        struct conn *c = &conns[i];
        if (c->state == CONN_FREE)
            continue;
        c->code = c->state == CONN_OPEN ? 0 : ECANCELED;
        tell(c, c->state == CONN_OPEN ? GATE_ALLOWED : GATE_BROKEN,
             c->state == CONN_OPEN ? GATE_WHY_RULE : GATE_WHY_UNREACHABLE);
        conn_free(c, true);
    }
}
