/* link: one connection that is opened up.
 *
 * Theory of operation. Both handshakes run at once: to the room as the server, with a certificate that the room's own
 * authority gives to the name; to the server as a client that insists on the name and on the host's trust
 * store. Nothing
 * is passed on before both stand. Then bytes are read into one buffer a direction, flow.c says how many of them may go
 * on, heads are changed by edit.c, and the rest is written to the other side. A direction reads only while its buffer
 * has room, so a slow reader holds back the writer. ALPN says http/1.1 to both, so HTTP/2 clients fall back.
 * The end of what the room says goes on when it is answered. A server that takes nothing more may still have said
 * something; a room that takes nothing more is gone. Where a rule bounds bytes, the gate lends them in pieces.
 *
 * Lives in: strongroom-intercept. Trusts: the gate, for who the connection is for. Must not: wait, log what passes. */
#include "helpers/intercept/link.h"
#include "gate/edit.h"
#include "helpers/intercept/ca.h"
#include "sys/fd.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define BUFFER   (FLOW_LOOK_MAX + 16384)
#define FIRST_MS 30000 /* to the first request */
#define TURNS    32    /* moves before others get their turn */
#define TICK_MS  250

struct side {
    int fd;
    SSL *ssl;
    bool shook, ended, clean; /* ended: no more will come; clean: and the other side said so itself */
    uint8_t *bytes;           /* what came and has not gone on: [at, len) */
    size_t at, len;
    char *edited; /* goes before it */
    size_t edited_at, edited_len;
    uint64_t pass, sent;
    bool handed_on;
};

struct link {
    bool used, again;
    bool asked;    /* the gate for more bytes */
    uint64_t lent; /* bytes that may still pass; UINT64_MAX: no bound */
    uint32_t generation;
    uint32_t index, gate_generation; /* the gate's */
    uint64_t due;
    struct side side[2];
    struct flow flow;
    struct flow_rules rules;
    char name[GATE_NAME_MAX];
    char *http;
};

static struct link links[LINKS_MAX];
static size_t used_high;
static int epoll_fd = -1, gate_fd = -1;
static SSL_CTX *to_room, *to_server;
static bool any_again;

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- contexts --- */

static const unsigned char http1[] = "\x08http/1.1";

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg)
{
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, http1, sizeof http1 - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* The gate has compared the first hello's name; a second hello may not change it. */
static int check_name(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct link *l = SSL_get_app_data(ssl);
    char clean[EGRESS_NAME_MAX];

    (void)arg;
    if (name != NULL && egress_name_clean(name, strlen(name), clean) == 0 && strcmp(clean, l->name) == 0)
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *c = SSL_CTX_new(method);

    if (c == NULL || !SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION))
        return NULL;
    (void)SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* Records without data (tickets) must not look like the end of what waits: the next event may never come. */
    (void)SSL_CTX_set_mode(c, SSL_MODE_AUTO_RETRY | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return c;
}

int link_open(int epoll, int gate, const char *trust)
{
    epoll_fd = epoll;
    gate_fd = gate;
    to_room = new_context(TLS_server_method());
    to_server = new_context(TLS_client_method());
    if (to_room == NULL || to_server == NULL)
        return -1;
    /* An end without a word, as many clients make it, is an end: the answer still goes there. Requests have lengths of
     * their own, so nothing is lost by it. A server that ends so is not trusted to have said all. */
    (void)SSL_CTX_set_options(to_room, SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* A ticket saves the next handshake's signature, and acknowledges this one's end at once: a client whose first
     * request waits for that (Nagle) would else lose 40 ms. */
    (void)SSL_CTX_set_num_tickets(to_room, 1);
    SSL_CTX_set_alpn_select_cb(to_room, choose_alpn, NULL);
    (void)SSL_CTX_set_tlsext_servername_callback(to_room, check_name);
    SSL_CTX_set_verify(to_server, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_alpn_protos(to_server, http1, sizeof http1 - 1) != 0) /* 0 is good here */
        return -1;
    (void)SSL_CTX_load_verify_locations(to_server, trust, NULL); /* without it no server is believed */
    ERR_clear_error();
    return 0;
}

void link_why(const SSL *ssl, const char *who, char ret[FLOW_WHY_MAX])
{
    const char *said = ERR_reason_error_string(ERR_peek_last_error());
    long verdict = SSL_get_verify_result(ssl);

    if (verdict != X509_V_OK)
        (void)snprintf(ret, FLOW_WHY_MAX, "%s's certificate is not good: %s", who,
                       X509_verify_cert_error_string(verdict));
    else
        (void)snprintf(ret, FLOW_WHY_MAX, "no TLS with %s: %s", who, said != NULL ? said : "it has ended");
}

SSL_CTX *link_client(void)
{
    return to_server;
}

/* --- life --- */

static void drop_edited(struct side *s)
{
    if (s->edited != NULL)
        OPENSSL_cleanse(s->edited, s->edited_len);
    free(s->edited);
    s->edited = NULL;
}

static void side_free(struct side *s)
{
    SSL_free(s->ssl);
    free(s->bytes);
    drop_edited(s);
    fd_close(&s->fd);
}

static void end(struct link *l, enum flow_fault fault, const char *why)
{
    struct hand_done d = {.type = HAND_DONE,
                          .version = GATE_FRAMES_VERSION,
                          .index = l->index,
                          .generation = l->gate_generation,
                          .fault = fault,
                          .up = l->side[0].sent,
                          .down = l->side[1].sent,
                          .left = l->lent};

    (void)snprintf(d.why, sizeof d.why, "%s", why);
    for (int i = 0; i < 2; i++)
        side_free(&l->side[i]);
    free(l->http);
    l->http = NULL;
    l->used = false;
    l->generation++;
    /* A full socket holds us up until the gate reads, which it always does. */
    if (fd_frame_send(gate_fd, &d, sizeof d, NULL, 0, 0) < 0)
        gate_fd = -1; /* it is gone, and so are we soon */
}

static int begin_side(struct link *l, int i)
{
    struct side *s = &l->side[i];
    const uint32_t at = (uint32_t)(l - links);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                            .data.u64 = (uint64_t)(at * 2 + (uint32_t)i) << 32 | l->generation};

    s->ssl = SSL_new(i == 0 ? to_room : to_server);
    s->bytes = malloc(BUFFER);
    if (s->ssl == NULL || s->bytes == NULL || !SSL_set_fd(s->ssl, s->fd) || !SSL_set_app_data(s->ssl, l))
        return -1;
    if (i == 0) {
        X509 *leaf = ca_leaf(l->name);
        if (leaf == NULL || !SSL_use_certificate(s->ssl, leaf) || !SSL_use_PrivateKey(s->ssl, ca_leaf_key()))
            return -1;
        SSL_set_accept_state(s->ssl);
    } else {
        SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (!SSL_set1_host(s->ssl, l->name) || !SSL_set_tlsext_host_name(s->ssl, l->name))
            return -1;
        SSL_set_connect_state(s->ssl);
    }
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &e);
}

static void run(struct link *l);

void link_take(const struct hand_take *t, int fds[2])
{
    size_t at = 0;

    while (at < LINKS_MAX && links[at].used)
        at++;
    if (at == LINKS_MAX) {
        const struct hand_done full = {.type = HAND_DONE,
                                       .version = GATE_FRAMES_VERSION,
                                       .index = t->index,
                                       .generation = t->generation,
                                       .fault = FLOW_FAULT_UPSTREAM,
                                       .why = "too many connections are open to be looked into"};
        fd_close(&fds[0]);
        fd_close(&fds[1]);
        (void)fd_frame_send(gate_fd, &full, sizeof full, NULL, 0, 0); /* it may be gone */
        return;
    }
    struct link *l = &links[at];
    *l = (struct link){.used = true,
                       .generation = l->generation + 1,
                       .index = t->index,
                       .gate_generation = t->generation,
                       .lent = t->bytes,
                       .due = now_ms() + FIRST_MS};
    used_high = at + 1 > used_high ? at + 1 : used_high;
    memcpy(l->name, t->name, sizeof l->name);
    l->http = t->http[0] ? strdup(t->http) : NULL;
    l->rules = (struct flow_rules){.takes = FLOW_HTTP,
                                   .name = l->name,
                                   .port = (uint16_t)t->port,
                                   .http = l->http,
                                   .secret = secret_for(l->name, (uint16_t)t->port, SECRET_BY_TLS)};
    (void)flow_begin(&l->flow, FLOW_HTTP);
    for (int i = 0; i < 2; i++)
        l->side[i].fd = fds[i];
    if ((t->http[0] && l->http == NULL) || begin_side(l, 0) < 0 || begin_side(l, 1) < 0)
        end(l, FLOW_FAULT_UPSTREAM, "no memory to look into it");
    else
        run(l);
}

/* --- handshakes --- */

enum step { STUCK, MOVED, OVER };

static enum step shake(struct link *l, int i)
{
    struct side *s = &l->side[i];
    char why[FLOW_WHY_MAX];

    ERR_clear_error();
    int r = SSL_do_handshake(s->ssl);
    if (r == 1) {
        s->shook = true;
        return MOVED;
    }
    int e = SSL_get_error(s->ssl, r);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return STUCK;
    link_why(s->ssl, i == 1 ? "the server" : "the room", why);
    end(l, FLOW_FAULT_UPSTREAM, why);
    return OVER;
}

/* --- bytes --- */

/* Reads as much as there is room for. */
static enum step fill(struct side *s)
{
    if (s->at > 0) {
        memmove(s->bytes, s->bytes + s->at, s->len - s->at);
        s->len -= s->at;
        s->at = 0;
    }
    if (s->ended || s->len == BUFFER)
        return STUCK;
    ERR_clear_error();
    int n = SSL_read(s->ssl, s->bytes + s->len, (int)(BUFFER - s->len));
    if (n > 0) {
        s->len += (size_t)n;
        return MOVED;
    }
    int e = SSL_get_error(s->ssl, n);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return STUCK;
    s->ended = true;
    s->clean = e == SSL_ERROR_ZERO_RETURN;
    return MOVED;
}

/* The rule's bytes are used up as far as we know. When the gate has none, it ends the connection. */
static void ask_for_bytes(struct link *l)
{
    const struct hand_done d = {.type = HAND_MORE,
                                .version = GATE_FRAMES_VERSION,
                                .index = l->index,
                                .generation = l->gate_generation,
                                .link = (uint32_t)(l - links),
                                .up = l->side[0].sent,
                                .down = l->side[1].sent};

    if (!l->asked && fd_frame_send(gate_fd, &d, sizeof d, NULL, 0, 0) == 0)
        l->asked = true;
}

void link_grant(const struct hand_take *t)
{
    struct link *l = t->link < LINKS_MAX ? &links[t->link] : NULL;

    if (l == NULL || !l->used || l->index != t->index || l->gate_generation != t->generation || !l->asked)
        return; /* it has ended meanwhile */
    l->asked = false;
    l->lent = t->bytes;
    run(l);
}

/* The bytes of that direction that were written, 0: not now, -1: who is to have them takes nothing more. */
static int write_some(struct link *l, int dir, const void *bytes, size_t size)
{
    struct side *from = &l->side[dir], *to = &l->side[1 - dir];

    if (l->lent == 0) {
        ask_for_bytes(l);
        return 0;
    }
    size = size < 1 << 20 ? size : 1 << 20;
    ERR_clear_error();
    int n = SSL_write(to->ssl, bytes, (int)(size < l->lent ? size : l->lent));
    if (n > 0) {
        from->sent += (uint64_t)n;
        l->lent -= l->lent == UINT64_MAX ? 0 : (uint64_t)n;
        return n;
    }
    int e = SSL_get_error(to->ssl, n);
    return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static enum step gone(struct link *l)
{
    if (!l->flow.awaiting)
        (void)SSL_shutdown(l->side[0].ssl); /* all was said; the answer is not waited for */
    end(l, 0, "");
    return OVER;
}

/* Is there nothing more to come? Both sides are let go after an upgrade only. */
static bool is_over(const struct link *l)
{
    const struct side *up = &l->side[0], *down = &l->side[1];

    if (down->handed_on)
        return up->handed_on || up->pass != FLOW_ALL;
    return up->handed_on && !l->flow.awaiting && up->pass != FLOW_ALL;
}

/* Nothing more can be said to that side. */
static enum step lost(struct link *l, int to)
{
    struct side *up = &l->side[0];

    if (to == 0)
        return gone(l);
    if (up->handed_on)
        return STUCK;
    drop_edited(up);
    up->at = up->len;
    up->handed_on = true;
    return is_over(l) ? gone(l) : MOVED;
}

/* What a server would have said, had it been asked. It is due now, for nothing is on its way to the room. */
static void say_go_on(struct side *down)
{
    static const char words[] = FLOW_GO_ON;

    if (down->edited == NULL && (down->edited = malloc(sizeof words - 1)) != NULL) {
        memcpy(down->edited, words, sizeof words - 1);
        down->edited_len = sizeof words - 1;
        down->edited_at = 0;
    }
}

static bool take_edited(struct link *l, int dir, const struct flow_verdict *v)
{
    static char out[EDIT_MAX];
    struct side *from = &l->side[dir];
    size_t n = edit_head((const char *)from->bytes + from->at, &l->rules, (enum flow_side)dir, SECRET_BY_TLS,
                         v, out);

    from->edited = n > 0 ? malloc(n) : NULL;
    if (from->edited == NULL)
        return false;
    memcpy(from->edited, out, n);
    OPENSSL_cleanse(out, n);
    from->edited_len = n;
    from->edited_at = 0;
    from->at += v->head;
    from->pass -= from->pass == FLOW_ALL ? 0 : v->head;
    if (v->go_on)
        say_go_on(&l->side[1]);
    return true;
}

/* Asks how much may go on. */
static enum step look(struct link *l, int dir)
{
    static struct flow_verdict v;
    struct side *from = &l->side[dir];

    flow_next(&l->flow, &l->rules, (enum flow_side)dir, from->bytes + from->at, from->len - from->at, &v);
    if (v.step == FLOW_BAD) {
        end(l, v.fault, v.why);
        return OVER;
    }
    if (v.step != FLOW_PASS) {
        if (v.step == FLOW_MORE && from->ended && from->len > from->at) {
            end(l, FLOW_FAULT_FORM, "it ends too early");
            return OVER;
        }
        return STUCK;
    }
    l->due = 0;
    from->pass = v.count;
    if (edit_wanted(&l->rules, &v) && !take_edited(l, dir, &v)) {
        end(l, FLOW_FAULT_UPSTREAM, "no memory to look into it");
        return OVER;
    }
    return MOVED;
}

static enum step drain_edited(struct link *l, int dir)
{
    struct side *from = &l->side[dir];
    int n = write_some(l, dir, from->edited + from->edited_at, from->edited_len - from->edited_at);

    if (n < 0)
        return lost(l, 1 - dir);
    from->edited_at += (size_t)n;
    if (from->edited_at == from->edited_len)
        drop_edited(from);
    return n > 0 ? MOVED : STUCK;
}

/* The end of one direction goes on when all before it has. */
static enum step hand_on(struct link *l, int dir)
{
    struct side *from = &l->side[dir], *to = &l->side[1 - dir];

    if (from->clean)
        (void)SSL_shutdown(to->ssl); /* our half; the answer is not waited for */
    (void)shutdown(to->fd, SHUT_WR); /* a peer that is gone is seen by the other direction */
    from->handed_on = true;
    return is_over(l) ? gone(l) : MOVED;
}

static enum step move(struct link *l, int dir)
{
    struct side *from = &l->side[dir];
    enum step done = STUCK;

    if (from->handed_on)
        return STUCK;
    if (from->edited != NULL)
        return drain_edited(l, dir);
    if (fill(from) == MOVED)
        done = MOVED;
    if (from->ended && from->len == from->at && !(dir == 0 && l->flow.awaiting && from->pass != FLOW_ALL))
        return hand_on(l, dir);
    if (from->pass == 0) {
        enum step s = look(l, dir);
        return s == STUCK ? done : s;
    }
    size_t here = from->len - from->at;
    here = here < from->pass ? here : (size_t)from->pass;
    if (here == 0)
        return done;
    int n = write_some(l, dir, from->bytes + from->at, here);
    if (n < 0)
        return lost(l, 1 - dir);
    from->at += (size_t)n;
    from->pass -= from->pass == FLOW_ALL ? 0 : (uint64_t)n;
    return n > 0 ? MOVED : done;
}

static void run(struct link *l)
{
    for (int turn = 0; turn < TURNS; turn++) {
        bool moved = false;
        for (int i = 1; i >= 0; i--) { /* what the end of an answer sets free goes up in the same turn */
            enum step s = STUCK;
            if (!l->side[i].shook)
                s = shake(l, i);
            else if (l->side[1 - i].shook)
                s = move(l, i);
            if (s == OVER)
                return;
            moved = moved || s == MOVED;
        }
        if (!moved)
            return;
    }
    l->again = any_again = true;
}

/* A side that broke off has no more to say than what waits. */
static void broken(struct link *l, int i)
{
    if (!l->side[0].shook || !l->side[1].shook)
        end(l, FLOW_FAULT_UPSTREAM,
            i == 0 ? "no TLS with the room: it has ended" : "no TLS with the server: it has ended");
    else
        (void)lost(l, i);
}

void link_event(uint64_t tag, uint32_t events)
{
    const uint32_t at = (uint32_t)(tag >> 32) / 2;
    struct link *l = at < LINKS_MAX ? &links[at] : NULL;

    if (l == NULL || !l->used || l->generation != (uint32_t)tag)
        return;
    run(l);
    if ((events & EPOLLERR) && l->used && l->generation == (uint32_t)tag)
        broken(l, (int)(tag >> 32 & 1));
}

int link_tick(void)
{
    const uint64_t now = now_ms();
    bool waits = false, again = any_again;

    any_again = false;
    for (size_t i = 0; i < used_high; i++) {
        struct link *l = &links[i];
        if (!l->used)
            continue;
        if (again && l->again) {
            l->again = false;
            run(l);
        }
        if (l->used && l->due != 0 && now >= l->due)
            end(l, FLOW_FAULT_FORM, "no request came within 30 s");
        waits = waits || (l->used && l->due != 0);
    }
    return any_again ? 0 : waits ? TICK_MS : -1;
}
