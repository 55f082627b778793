/* via: goes out by an upstream proxy.
 *
 * Theory of operation. The verdict stands before the proxy is asked for anything. Then the proxy is looked up and
 * dialled as a peer would be, but for the judging of addresses: the caller named it. The proxy gets the peer's name and
 * looks it up itself, so what the name leads to cannot be judged here. Its answers are peeked at while they wait in the
 * kernel, and exactly an answer's bytes are taken out: what comes behind is the peer's. Names that a rule calls
 * internal, and private addresses that a rule lists, are not for the proxy and are dialled directly.
 *
 * A proxy may itself be spoken to by TLS. Then strongroom-intercept gets the connection and one end of a pair of
 * sockets, and everything is said, and later moved, at the other end, which takes the connection's place. That one
 * stays ours beside it, to be cut. A pair of sockets cannot say that what it stands for broke off, so its end counts
 * only with a word from there (hand.h).
 *
 * Lives in: strongroom-gate. Trusts: the rules; no byte of the proxy's. May: speak to the proxy.
 * Must not: tell the login to anybody else. */
#include "gate/via.h"
#include "gate/conn_row.h"
#include "gate/loop.h"
#include "sys/fd.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define STEPS_MAX 4 /* answers to one connection */

static struct upstream upstream;
static char proxy_name[GATE_NAME_MAX]; /* for its certificate */

void via_open(const struct upstream *u)
{
    struct sbuf b = SBUF(proxy_name);

    upstream = *u;
    if (u->is_addr)
        egress_addr_text(&u->addr, &b);
    else
        sbuf_text(&b, u->host);
}

uint16_t via_port(void)
{
    return upstream.port;
}

static struct gate_addr gate_addr_of(const struct egress_addr *e)
{
    struct gate_addr a = {.size = egress_addr_is_v4(e) ? 4 : 16};

    memcpy(a.bytes, e->bytes + (a.size == 4 ? 12 : 0), a.size);
    return a;
}

bool via_start(struct conn *c, const struct gate_addr *literal)
{
    struct resolve_answer answer;

    if (upstream.kind == UPSTREAM_NONE || c->internal)
        return false;
    if (literal != NULL) {
        struct egress_addr e = addr_egress(literal);
        if (egress_is_private(&e))
            return false;
        c->meant = *literal;
    }
    c->via = true;
    c->peer = (struct gate_addr){0};
    if (upstream.is_addr) {
        struct gate_addr a = gate_addr_of(&upstream.addr);
        dial_start(c, &a, 1);
        return true;
    }
    int r = resolve_start(upstream.host, &c->lookup, &answer);
    if (r < 0)
        conn_end_broken(c, GATE_WHY_TABLE_FULL);
    else if (r == 1 && answer.failed)
        conn_end_broken(c, answer.failed);
    else if (r == 1)
        dial_start(c, answer.addrs, answer.count);
    else
        conn_set_due(c, loop_now() + DIAL_MS); /* the state is RESOLVING */
    return true;
}

static bool say(struct conn *c)
{
    static uint8_t words[PROXY_SAY_MAX];
    struct egress_addr e = {{0}};

    if (c->meant.size != 0)
        e = addr_egress(&c->meant);
    size_t n = proxy_say(&upstream, &c->talk, c->name, &e, c->port, words);
    ssize_t sent =
        send(c->fd[1], words, n, MSG_NOSIGNAL | MSG_DONTWAIT); /* it is the first: all of it fits */
    explicit_bzero(words, sizeof words);
    return sent == (ssize_t)n;
}

/* Who speaks TLS to it may have said why. */
static void broke_off(struct conn *c)
{
    const uint32_t index = conn_index(c), generation = c->generation;

    if (c->wrapped >= 0)
        (void)hand_is_whole(c);
    if (conn_at(index, generation) == c)
        conn_end_proxy(c, "the upstream proxy broke the connection off");
}

static void begin(struct conn *c)
{
    c->talk = (struct proxy_talk){.step = upstream.kind == UPSTREAM_HTTP ? PROXY_CONNECT : PROXY_HELLO};
    if (!say(c))
        broke_off(c);
}

/* Puts the pair in the connection's place. -EAGAIN: strongroom-intercept has too much to do now. */
static int wrap(struct conn *c)
{
    static const int on = 1;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    c->wrapped = c->fd[1];
    int r = hand_wrap(c, proxy_name, pair[1]);
    fd_close(&pair[1]);
    if (r == 0)
        r = loop_add(pair[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, LOOP_UPSTREAM, conn_index(c),
                     c->generation);
    if (r < 0) {
        c->wrapped = -1;
        fd_close(&pair[0]);
        return r;
    }
    loop_remove(c->wrapped);
    c->fd[1] = pair[0];
    (void)setsockopt(c->wrapped, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* speed only */
    (void)setsockopt(c->wrapped, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); /* then it is found out later */
    return 0;
}

void via_due(struct conn *c)
{
    if (!upstream.tls || c->wrapped >= 0)
        return;
    int r = wrap(c);
    if (r == 0)
        begin(c);
    else if (r == -ENOTCONN)
        conn_end_proxy(c, "strongroom-intercept is not there to speak TLS with the upstream proxy");
    else if (r != -EAGAIN)
        conn_end_broken(c, GATE_WHY_TABLE_FULL);
}

void via_opened(struct conn *c)
{
    c->state = CONN_ASKING;
    if (upstream.tls)
        via_due(c);
    else
        begin(c);
}

static void refused(struct conn *c)
{
    char why[128];
    struct sbuf b = SBUF(why);

    if (c->talk.code == (upstream.kind == UPSTREAM_HTTP ? 407 : 255))
        sbuf_text(&b, upstream.user[0] ? "the upstream proxy does not take the login"
                                       : "the upstream proxy wants a login");
    else
        sbuf_fmt(&b, "the upstream proxy says no (%s %u)", upstream.kind == UPSTREAM_HTTP ? "HTTP" : "SOCKS",
                 c->talk.code);
    conn_end_proxy(c, why);
}

void via_event(struct conn *c)
{
    static uint8_t in[PROXY_HEAR_MAX];

    if (upstream.tls && c->wrapped < 0)
        return; /* it is not spoken to yet */
    for (int i = 0; i < STEPS_MAX; i++) {
        size_t used = 0;
        ssize_t n = recv(c->fd[1], in, sizeof in, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            broke_off(c);
            return;
        }
        enum proxy_heard heard = proxy_hear(&upstream, &c->talk, in, (size_t)n, &used);
        if (used > 0 && recv(c->fd[1], in, used, MSG_DONTWAIT) != (ssize_t)used)
            heard = PROXY_BAD;
        switch (heard) {
        case PROXY_MORE:
            return;
        case PROXY_SAY:
            if (say(c))
                continue;
            broke_off(c);
            return;
        case PROXY_OPEN:
            c->peer = (struct gate_addr){0};
            dial_opened(c);
            return;
        case PROXY_REFUSED:
            refused(c);
            return;
        case PROXY_BAD:
            conn_end_proxy(c, "what is there is no proxy of this kind");
            return;
        }
    }
    conn_end_proxy(c, "the upstream proxy does not come to an end");
}
