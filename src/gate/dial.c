/* dial: from a verdict to an open connection.
 *
 * Theory of operation. Each address of a looked-up name is judged again, and exactly the address that was judged is
 * dialled. As RFC 8305 has it: the families take turns, beginning with the one that the program came by (it had its own
 * preference); an attempt that has not answered within 250 ms gets the next one beside it, one that fails at once; up
 * to DIALS_MAX run together, and then the newcomer takes the place of one that has been silent for 3 s. The first that
 * answers wins.
 *
 * Lives in: strongroom-gate. Trusts: the rules. May: connect to what they allow. Must not: wait, ask for names. */
#include "gate/budget.h"
#include "gate/conn_row.h"
#include "gate/loop.h"
#include "gate/own.h"
#include "gate/pins.h"
#include "sys/fd.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#define BESIDE_MS 250  /* "connection attempt delay": then the next address is tried as well */
#define SILENT_MS 3000 /* then, where all slots are taken, instead of the first one */

/* Is it one of the host's own public addresses, which the rule names only as one of many? The kernel is asked last. */
static bool own_among_many(const struct gate_addr *a, const struct egress_addr *e,
                           const struct egress_verdict *v)
{
    return v->allowed && conn_rules->rules[v->rule].bits < 128 && !egress_is_private(e) && own_is(a);
}

/* "All of the Internet" is said by people who do not think of what their own host serves to itself: such a network
 * opens that as little as it opens private addresses. */
bool dial_listed(const struct gate_addr *a, uint16_t port, struct egress_verdict *ret)
{
    struct egress_addr e = addr_egress(a);

    *ret = egress_verdict_addr(conn_rules, &e, port);
    if (own_among_many(a, &e, ret))
        *ret = (struct egress_verdict){.rule = -1};
    return ret->rule >= 0;
}

enum gate_reason dial_unlisted(const struct conn *c)
{
    struct egress_addr e = addr_egress(&c->peer);
    const struct egress_verdict v = egress_verdict_addr(conn_rules, &e, c->port);

    return v.allowed ? GATE_WHY_PRIVATE : GATE_WHY_LITERAL; /* allowed, but for its being the host's own */
}

bool dial_allowed(const struct conn *c, const struct gate_addr *a)
{
    struct egress_addr e = addr_egress(a);
    struct egress_verdict v;
    int pin;

    if (pins_find(a, &pin)) /* it would be ours */
        return false;
    if (dial_listed(a, c->port, &v))
        return v.allowed;
    return egress_may_dial(conn_rules, c->internal, &e, c->port) && (c->internal || !own_is(a));
}

void dial_opened(struct conn *c)
{
    c->state = CONN_OPEN;
    conn_set_due(c, 0);
    relay_open(c);
}

/* What nobody waits for: it is set when the first words have been handed on. A first segment is not held back anyway,
 * and one behind it goes out when this is said. */
static void set_quick(const struct conn *c)
{
    static const int on = 1;

    if (c->ways[1].handed_on) /* the peer has ended: it is watched more closely */
        return;
    for (int i = c->inbound ? 0 : 1; i < 2; i++) /* what the room's listeners took has it already */
        (void)setsockopt(c->fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* speed only */
    (void)setsockopt(c->fd[1], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static void opened(struct conn *c, int which)
{
    const uint32_t index = conn_index(c), generation = c->generation;

    c->fd[1] = c->dials[which];
    c->dials[which] = -1;
    c->peer = c->dialled[which];
    for (int i = 0; i < DIALS_MAX; i++)
        conn_close_hard(&c->dials[i]);
    c->code = 0;
    publish_release(c, false);
    if (c->inbound && publish_met_itself(c)) {
        c->code = ECONNREFUSED;
        conn_end_broken(c, GATE_WHY_UNREACHABLE);
        return;
    }
    c->won = (uint8_t)which;
    if (c->via)
        via_opened(c);
    else
        dial_opened(c);
    if (conn_at(index, generation) == c)
        set_quick(c);
}

/* Starts one attempt in slot `which`. 0: under way; otherwise it failed. */
static int dial(struct conn *c, int which, const struct gate_addr *a)
{
    struct sockaddr_storage to;
    socklen_t len = addr_to_sock(a, c->via ? via_port() : c->port, &to);
    int fd = c->inbound ? publish_dial(c, a, &to, &len)
                        : socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return c->inbound ? fd : -errno;
    c->dials[which] = fd;
    c->dialled[which] = *a;
    c->began[which] = loop_now();
    if (!c->inbound)
        budget_step();
    int r = connect(fd, (const struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS ? -errno : 0;
    if (r == 0)
        r = loop_add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, LOOP_DIAL,
                     conn_index(c) * DIALS_MAX + (uint32_t)which, c->generation);
    if (r < 0)
        fd_close(&c->dials[which]);
    return r;
}

/* Of the attempts that run the one that began first, -1: none; *ret_free becomes a slot for another, or stays. */
static int oldest_dial(const struct conn *c, int *ret_free)
{
    int oldest = -1;

    for (int i = 0; i < DIALS_MAX; i++) {
        if (c->dials[i] < 0)
            *ret_free = i;
        else if (oldest < 0 || c->began[i] < c->began[oldest])
            oldest = i;
    }
    return oldest;
}

/* Tries the next address in a free slot, or instead of the attempt that has been silent for longest; ends the
 * connection when nothing is left. */
static void dial_next(struct conn *c)
{
    int which = -1, oldest = oldest_dial(c, &which);

    if (which < 0 && c->next_addr < c->addr_count)
        conn_close_hard(&c->dials[which = oldest]);
    while (which >= 0 && c->dials[which] < 0 && c->next_addr < c->addr_count) {
        const struct gate_addr *a = &c->addrs[c->next_addr++];
        int r = dial(c, which, a);
        if (r < 0) {
            c->code = -r;
            c->peer = *a;
        }
    }
    which = -1;
    oldest = oldest_dial(c, &which);
    if (oldest < 0)
        conn_end_broken(c, GATE_WHY_UNREACHABLE);
    else
        c->beside = which >= 0 ? loop_now() + BESIDE_MS : c->began[oldest] + SILENT_MS;
}

/* Of the addresses of one family that may be dialled, the next one from *at on; NULL: no more. */
static const struct gate_addr *next_of(struct conn *c, const struct gate_addr *addrs, size_t count, bool v6,
                                       size_t *at)
{
    while (*at < count) {
        const struct gate_addr *a = &addrs[(*at)++];
        if ((a->size == 16) != v6)
            continue;
        if (c->via || c->name[0] == '\0' || dial_allowed(c, a))
            return a;
        c->peer = *a;
    }
    return NULL;
}

/* The families take turns, so that one that leads nowhere costs one short wait. */
void dial_start(struct conn *c, const struct gate_addr *addrs, size_t count)
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
        struct egress_verdict v;
        if (dial_listed(&c->peer, c->port, &v) && !v.allowed)
            conn_end_by_rule(c, v.rule);
        else
            conn_end_denied(c, GATE_WHY_PRIVATE);
        return;
    }
    c->state = CONN_DIALING;
    conn_set_due(c, loop_now() + DIAL_MS);
    dial_next(c);
}

void conn_dial_event(uint32_t index, uint32_t generation, uint32_t events)
{
    struct conn *c = conn_at(index / DIALS_MAX, generation);
    int which = (int)(index % DIALS_MAX), code = 0;
    socklen_t len = sizeof code;

    if (c != NULL && c->state > CONN_DIALING &&
        which == c->won) { /* it stays registered as the attempt that won */
        conn_upstream_event(index / DIALS_MAX, generation, events);
        return;
    }
    if (c == NULL || c->state != CONN_DIALING || c->dials[which] < 0)
        return;
    if ((events & (EPOLLERR | EPOLLHUP)) &&
        getsockopt(c->dials[which], SOL_SOCKET, SO_ERROR, &code, &len) < 0)
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

void dial_due(struct conn *c)
{
    if (loop_now() >= c->beside && c->next_addr < c->addr_count)
        dial_next(c);
}
