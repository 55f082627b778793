/* wrap: one connection to a proxy that is spoken to by TLS.
 *
 * Theory of operation. The handshake insists on the proxy's name, or address, and on the host's trust store, as with
 * any server; only then is anything said. Bytes go through one buffer a direction, which is there while something is
 * in it, and a direction reads only when its buffer is empty. What they mean is the gate's business.
 * Ends go on one by one: the gate's as an end of TLS (close_notify), the proxy's as the end of the pair, after a word
 * that it was one. Where the proxy breaks off, a fault is told instead. Where the gate lets go of the pair before the
 * proxy has ended, it is a break: nothing is said to the proxy any more, and the gate, which has the connection too,
 * decides how it ends.
 *
 * Lives in: strongroom-intercept. Trusts: the gate, for who the proxy is. Must not: wait, look at what passes, log. */
#include "helpers/intercept/wrap.h"
#include "helpers/intercept/link.h"
#include "sys/fd.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 16384 /* a record of TLS */
#define TURNS 32    /* moves before others get their turn */

#define NO_MEMORY "no memory to speak TLS with the upstream proxy"

enum side { PROXY, GATE }; /* in the order of the descriptors; also: bytes that come from there */

struct way {
    uint8_t *bytes; /* [at, len); NULL: none are here */
    uint32_t at, len;
    bool handed_on; /* the end; nothing more is taken from there */
};

struct wrap {
    bool used, again, shook;
    uint32_t life;
    uint32_t index, generation; /* the gate's */
    int fd[2];
    SSL *ssl;
    struct way way[2];
};

static struct wrap wraps[WRAPS_MAX];
static size_t used_high;
static int epoll_fd = -1, gate_fd = -1;
static SSL_CTX *context;
static uint32_t first;
static bool any_again;

void wrap_open(int epoll, int gate, SSL_CTX *client, uint32_t first_tag)
{
    epoll_fd = epoll;
    gate_fd = gate;
    context = client;
    first = first_tag;
}

static void tell(uint32_t index, uint32_t generation, enum flow_fault fault, const char *why)
{
    struct hand_done d = {.type = HAND_WRAPPED_END,
                          .version = GATE_FRAMES_VERSION,
                          .index = index,
                          .generation = generation,
                          .fault = fault};

    (void)snprintf(d.why, sizeof d.why, "%s", why);
    /* A full socket holds us up until the gate reads, which it always does. */
    if (fd_frame_send(gate_fd, &d, sizeof d, NULL, 0, 0) < 0)
        gate_fd = -1; /* it is gone, and so are we soon */
}

static void let_go(struct wrap *w)
{
    SSL_free(w->ssl);
    for (int i = 0; i < 2; i++) {
        free(w->way[i].bytes);
        fd_close(&w->fd[i]);
    }
    w->used = false;
    w->life++;
}

enum step { STUCK, MOVED, OVER };

/* why: told as a fault; NULL: it is over for both, or the gate broke it off. */
static enum step end(struct wrap *w, const char *why)
{
    if (why != NULL)
        tell(w->index, w->generation, FLOW_FAULT_UPSTREAM, why);
    let_go(w);
    return OVER;
}

static int watch(const struct wrap *w, enum side i)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                            .data.u64 = (uint64_t)(first + (uint32_t)(w - wraps) * 2 + i) << 32 | w->life};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, w->fd[i], &e);
}

/* An address stands in a certificate as such, and is not named in a hello. */
static bool expect(SSL *ssl, const char *name)
{
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name))
        return true;
    return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
}

static void run(struct wrap *w);

void wrap_take(const struct hand_take *t, int fds[2])
{
    size_t at = 0;

    while (at < WRAPS_MAX && wraps[at].used)
        at++;
    if (at == WRAPS_MAX) {
        tell(t->index, t->generation, FLOW_FAULT_UPSTREAM, "too many connections go by the upstream proxy");
        fd_close(&fds[0]);
        fd_close(&fds[1]);
        return;
    }
    struct wrap *w = &wraps[at];
    *w = (struct wrap){.used = true,
                       .life = w->life + 1,
                       .index = t->index,
                       .generation = t->generation,
                       .fd = {fds[0], fds[1]},
                       .ssl = SSL_new(context)};
    used_high = at + 1 > used_high ? at + 1 : used_high;
    if (w->ssl == NULL || !SSL_set_fd(w->ssl, w->fd[PROXY]) || !expect(w->ssl, t->name) ||
        watch(w, PROXY) < 0 || watch(w, GATE) < 0) {
        (void)end(w, NO_MEMORY);
        return;
    }
    SSL_set_connect_state(w->ssl);
    run(w);
}

static bool is_later(int error)
{
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static enum step shake(struct wrap *w)
{
    char why[FLOW_WHY_MAX];

    ERR_clear_error();
    int r = SSL_do_handshake(w->ssl);
    if (r == 1) {
        w->shook = true;
        return MOVED;
    }
    if (is_later(SSL_get_error(w->ssl, r)))
        return STUCK;
    link_why(w->ssl, "the upstream proxy", why);
    return end(w, why);
}

/* --- bytes: n > 0: so many, 0: not now; the rest is an end --- */

enum { ENDED = -1, BROKEN = -2 };

static int take_from(struct wrap *w, enum side from, uint8_t *bytes)
{
    ERR_clear_error();
    ssize_t n = from == GATE ? read(w->fd[GATE], bytes, PIECE) : SSL_read(w->ssl, bytes, PIECE);
    if (n > 0)
        return (int)n;
    if (from == GATE)
        return n == 0 ? ENDED : errno == EAGAIN || errno == EINTR ? 0 : BROKEN;
    int e = SSL_get_error(w->ssl, (int)n);
    return is_later(e) ? 0 : e == SSL_ERROR_ZERO_RETURN ? ENDED : BROKEN;
}

static int give_to(struct wrap *w, enum side to, const uint8_t *bytes, uint32_t size)
{
    ERR_clear_error();
    ssize_t n = to == GATE ? write(w->fd[GATE], bytes, size) : SSL_write(w->ssl, bytes, (int)size);
    if (n > 0)
        return (int)n;
    if (to == GATE)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : BROKEN;
    return is_later(SSL_get_error(w->ssl, (int)n)) ? 0 : BROKEN;
}

static void forget(struct way *way)
{
    if (way->bytes != NULL)
        OPENSSL_cleanse(way->bytes, way->len);
    free(way->bytes);
    way->bytes = NULL;
}

static bool keep(struct way *way, const uint8_t *bytes, size_t size)
{
    way->at = 0;
    way->len = (uint32_t)size;
    if (size > 0 && (way->bytes = malloc(size)) != NULL)
        memcpy(way->bytes, bytes, size);
    return size == 0 || way->bytes != NULL;
}

static enum step done(struct wrap *w, enum side from)
{
    w->way[from].handed_on = true;
    return w->way[1 - from].handed_on ? end(w, NULL) : MOVED;
}

static enum step hand_on(struct wrap *w, enum side from)
{
    if (from == GATE) {
        (void)SSL_shutdown(w->ssl);            /* our half; the answer is not waited for */
        (void)shutdown(w->fd[PROXY], SHUT_WR); /* a proxy that is gone is seen by the other direction */
    } else {
        tell(w->index, w->generation, 0, "");
        (void)shutdown(w->fd[GATE], SHUT_WR);
    }
    return done(w, from);
}

/* Who should have them takes no more. What a proxy had said before that still comes. */
static enum step refused(struct wrap *w, enum side from)
{
    if (from == PROXY)
        return end(w, NULL);
    forget(&w->way[GATE]);
    return done(w, GATE);
}

static enum step drain(struct wrap *w, enum side from)
{
    struct way *way = &w->way[from];
    int gone = give_to(w, 1 - from, way->bytes + way->at, way->len - way->at);

    if (gone == BROKEN)
        return refused(w, from);
    way->at += (uint32_t)gone;
    if (way->at == way->len)
        forget(way);
    return gone > 0 ? MOVED : STUCK;
}

static enum step move(struct wrap *w, enum side from)
{
    static uint8_t fresh[PIECE];

    if (w->way[from].handed_on)
        return STUCK;
    if (w->way[from].bytes != NULL)
        return drain(w, from);
    int n = take_from(w, from, fresh);
    if (n == 0)
        return STUCK;
    if (n == ENDED)
        return hand_on(w, from);
    if (n == BROKEN)
        return end(w, from == PROXY ? "the upstream proxy broke the connection off" : NULL);
    int gone = give_to(w, 1 - from, fresh, (uint32_t)n);
    if (gone == BROKEN)
        return refused(w, from);
    bool kept = keep(&w->way[from], fresh + gone, (size_t)(n - gone));
    OPENSSL_cleanse(fresh, (size_t)n);
    return kept ? MOVED : end(w, NO_MEMORY);
}

static void run(struct wrap *w)
{
    for (int turn = 0; turn < TURNS; turn++) {
        enum step s = w->shook ? move(w, PROXY) : shake(w);
        if (s == OVER)
            return;
        enum step t = w->shook ? move(w, GATE) : STUCK;
        if (t == OVER)
            return;
        if (s == STUCK && t == STUCK)
            return;
    }
    w->again = any_again = true;
}

void wrap_event(uint64_t tag, uint32_t events)
{
    const uint32_t at = ((uint32_t)(tag >> 32) - first) / 2, side = ((uint32_t)(tag >> 32) - first) % 2;
    struct wrap *w = at < WRAPS_MAX ? &wraps[at] : NULL;

    if (w == NULL || !w->used || w->life != (uint32_t)tag)
        return;
    if (side == GATE && (events & EPOLLHUP) && !w->way[PROXY].handed_on)
        let_go(w); /* both halves at once, before the proxy's end: a break */
    else
        run(w);
}

bool wrap_turns(void)
{
    bool again = any_again;

    any_again = false;
    for (size_t i = 0; again && i < used_high; i++) {
        if (!wraps[i].used || !wraps[i].again)
            continue;
        wraps[i].again = false;
        run(&wraps[i]);
    }
    return any_again;
}
