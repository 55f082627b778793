/* flow: what may pass through one connection.
 *
 * Theory of operation. Nobody keeps bytes here: they wait in the kernel, are peeked at, and pass by count. A side that
 * was let go (FLOW_ALL) is never asked about again. Until the room has said something that may pass, nothing passes in
 * either direction.
 *   TLS: the hello must name the connection's name. Then the room is held until the server's first message is seen, for
 *   if that asks for a second hello, the second one is read like the first; then both sides are let go.
 *   HTTP/1: each head is read, bodies pass by their length. A request waits for the answer to the one before, so that
 *   it is always known what an answer answers; an answer 101 to a request that asked for it lets both sides go.
 *   A body where none has a meaning (GET with one) may stay unread, and then be taken for the next request, which we
 *   never saw: so such a request says that it is the last one of its connection.
 *   Where a client waits with its body for the server's word (Expect), it gets that word from us and the server does
 *   not hear of it: what a server takes for the next request must not depend on whether it wanted the body.
 *
 * Lives in: strongroom-gate, strongroom-intercept. Trusts: the rules. May: compute. Must not: allocate. */
#include "gate/flow.h"
#include "base/sbuf.h"
#include "gate/head.h"
#include "gate/hello.h"
#include "policy/egress_http.h"

#include <errno.h>
#include <string.h>

enum up_state {
    UP_FIRST, /* nothing was said yet */
    UP_HELD,  /* a hello was; the server's answer is awaited */
    UP_AGAIN, /* a second hello must come */
    UP_REQUEST,
    UP_CHUNK,
    UP_TRAILER,
    UP_FREE,
};
enum down_state {
    DOWN_SHUT,
    DOWN_HELLO,
    DOWN_ANSWER,
    DOWN_CHUNK,
    DOWN_TRAILER,
    DOWN_LAST, /* what was let pass last ends an answer: when we are asked again, it has passed */
    DOWN_FREE
};

#define WORDS_SHOWN 79

bool flow_begin(struct flow *f, unsigned takes)
{
    *f = (struct flow){.up = UP_FIRST, .down = DOWN_SHUT};
    if ((takes & (FLOW_TLS | FLOW_HTTP)) != 0)
        return true;
    f->up = UP_FREE;
    f->down = DOWN_FREE;
    f->begun = true;
    return false;
}

static void pass(struct flow_verdict *v, uint64_t count)
{
    v->step = FLOW_PASS;
    v->count = count;
}

static void refuse(struct flow_verdict *v, enum flow_fault fault, const char *words, const char *what,
                   size_t len)
{
    struct sbuf b = SBUF(v->why);

    v->step = FLOW_BAD;
    v->fault = fault;
    sbuf_text(&b, words);
    if (len > 0) {
        sbuf_char(&b, ' ');
        sbuf_bytes(&b, what, len < WORDS_SHOWN ? len : WORDS_SHOWN);
    }
}

/* --- TLS --- */

static void second_hello(struct flow *f, struct flow_verdict *v, size_t size)
{
    if (f->up == UP_AGAIN) {
        f->up = UP_FREE;
        pass(v, FLOW_ALL);
        return;
    }
    f->up = UP_HELD;
    f->down = DOWN_HELLO;
    f->begun = true;
    pass(v, size);
}

static void see_hello(struct flow *f, const struct flow_rules *r, const uint8_t *bytes, size_t size,
                      struct flow_verdict *v)
{
    struct hello h;
    int got = hello_parse(bytes, size, &h);

    if (got == -EAGAIN)
        v->step = FLOW_MORE;
    else if (got < 0)
        refuse(v, FLOW_FAULT_FORM, "what it says is no TLS hello", NULL, 0);
    else if (h.hidden && !r->deep && (r->takes & FLOW_HIDDEN) == 0)
        refuse(v, FLOW_FAULT_HIDDEN, "its TLS hello has a second, encrypted one, which may name another host",
               NULL, 0);
    else if (r->name[0] != '\0' && !h.named)
        refuse(v, FLOW_FAULT_FORM, "its TLS hello names no host", NULL, 0);
    else if (r->name[0] != '\0' && strcmp(h.name, r->name) != 0)
        refuse(v, FLOW_FAULT_NAME, "its TLS hello names", h.name, strlen(h.name));
    else if (r->deep)
        v->step = FLOW_HAND;
    else
        second_hello(f, v, h.size);
}

static void await_second(struct flow *f, const struct flow_rules *r, const uint8_t *bytes, size_t size,
                         struct flow_verdict *v)
{
    int n = hello_skip(bytes, size);

    if (n > 0)
        pass(v, (uint64_t)n);
    else if (n == -EAGAIN)
        v->step = FLOW_MORE;
    else
        see_hello(f, r, bytes, size, v);
}

static void see_server(struct flow *f, const uint8_t *bytes, size_t size, struct flow_verdict *v)
{
    int again = hello_asks_again(bytes, size);

    if (again == -EAGAIN) {
        v->step = FLOW_MORE;
        return;
    }
    f->up = again == 1 ? UP_AGAIN : UP_FREE;
    f->down = DOWN_FREE;
    pass(v, FLOW_ALL);
}

/* --- HTTP --- */

/* NAME or NAME:PORT, and none other's. */
static bool is_for(const struct flow_rules *r, const char *bytes, struct head_part host)
{
    char name[EGRESS_NAME_MAX];
    size_t len = host.len, digits = 0;
    unsigned port = 0;

    if (r->name[0] == '\0')
        return true;
    while (digits < len && bytes[host.at + len - 1 - digits] >= '0' &&
           bytes[host.at + len - 1 - digits] <= '9')
        digits++;
    if (digits < len && bytes[host.at + len - 1 - digits] == ':') {
        for (size_t i = 0; i < digits; i++)
            port = port * 10 + (unsigned)(bytes[host.at + len - digits + i] - '0');
        if (digits > 5 || (digits > 0 && port != r->port))
            return false;
        len -= digits + 1;
    }
    return egress_name_clean(bytes + host.at, len, name) == 0 && strcmp(name, r->name) == 0;
}

static bool names_match(const struct flow_rules *r, const char *bytes, const struct head *h,
                        struct flow_verdict *v)
{
    if (h->has_authority && !is_for(r, bytes, h->authority)) {
        refuse(v, FLOW_FAULT_NAME, "its request is for", bytes + h->authority.at, h->authority.len);
        return false;
    }
    if (h->has_host && !is_for(r, bytes, h->host)) {
        refuse(v, FLOW_FAULT_NAME, "its request has the Host", bytes + h->host.at, h->host.len);
        return false;
    }
    if (!h->has_host && h->minor == 1) { /* before that nobody could be meant but who is there */
        refuse(v, FLOW_FAULT_FORM, "its request has no Host", NULL, 0);
        return false;
    }
    return true;
}

/* METHOD /path, for people. */
static void refuse_request(const char *bytes, const struct head *h, const char *why, struct flow_verdict *v)
{
    char line[FLOW_REQUEST_SHOWN + 1];
    struct sbuf b = SBUF(line);

    sbuf_bytes(&b, bytes + h->method.at, h->method.len);
    sbuf_char(&b, ' ');
    size_t most = sizeof line - 1 - b.len;
    sbuf_bytes(&b, bytes + h->path.at, h->path.len < most ? h->path.len : most);
    refuse(v, FLOW_FAULT_REQUEST, why, line, b.len);
}

static bool may_ask(const struct flow_rules *r, const char *bytes, const struct head *h,
                    struct flow_verdict *v)
{
    const char *why = "";

    if (head_is(bytes, h->method, "CONNECT"))
        refuse_request(bytes, h, "behind it nothing could be judged:", v);
    else if (r->secret && (head_is(bytes, h->method, "TRACE") || head_is(bytes, h->method, "TRACK")))
        refuse_request(bytes, h, "with it a server says back what it was sent:", v);
    else if (r->http == NULL && !r->secret)
        return true;
    else if (h->odd)
        refuse_request(bytes, h, "it has a field that may change the method or the path:", v);
    else if (r->http == NULL)
        return true;
    else if (!egress_http_matches(r->http, bytes + h->method.at, h->method.len, bytes + h->path.at,
                                  h->path.len, &why))
        refuse_request(bytes, h, why, v);
    else
        return true;
    return false;
}

/* RFC 9110, 9.3: what a body of these means is not defined; servers that read bodies only where they want them leave
 * it. */
static bool has_odd_body(const char *bytes, const struct head *h)
{
    static const char *const methods[] = {"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (head_is(bytes, h->method, methods[i]))
            return h->chunked || h->length > 0;
    }
    return false;
}

static void see_request(struct flow *f, const struct flow_rules *r, const char *bytes, size_t size,
                        struct flow_verdict *v)
{
    const char *why = "";
    struct head h;

    if (f->awaiting) {
        v->step = FLOW_HOLD;
        return;
    }
    if (f->begun && size >= 2 && memcmp(bytes, "\r\n", 2) == 0) { /* some clients end a body so */
        pass(v, 2);
        return;
    }
    int got = size == 0 ? -EAGAIN : head_request(bytes, size, &h, &why);
    if (got == -EAGAIN) {
        v->step = FLOW_MORE;
        return;
    }
    if (got < 0) {
        refuse(v, FLOW_FAULT_FORM,
               !f->begun && (r->takes & FLOW_TLS) ? "what it says is neither TLS nor HTTP:"
                                                  : "what it says cannot be read as HTTP:",
               why, strlen(why));
        return;
    }
    if (!names_match(r, bytes, &h, v) || !may_ask(r, bytes, &h, v))
        return;
    f->begun = f->awaiting = true;
    /* Exactly: a server that compares exactly answers `head` with a body. */
    f->head_only = h.method.len == 4 && memcmp(bytes + h.method.at, "HEAD", 4) == 0;
    f->had_head = f->had_head || f->head_only;
    v->last = has_odd_body(bytes, &h);
    v->without_upgrade = h.h2c || (v->last && h.upgrade);
    f->upgrading = h.upgrade && !v->without_upgrade && !f->had_head;
    f->down = f->down == DOWN_SHUT ? DOWN_ANSWER : f->down;
    f->up = h.chunked ? UP_CHUNK : UP_REQUEST;
    f->next_follows = false;
    f->trailers[FLOW_UP] = 0;
    v->without_expect = h.expects;
    v->go_on = h.continues && h.minor == 1 && (h.chunked || h.length > 0);
    v->head = h.size;
    pass(v, h.size + (h.has_length ? h.length : 0));
}

static void see_answer(struct flow *f, const char *bytes, size_t size, struct flow_verdict *v)
{
    const char *why = "";
    struct head h;
    int got = size == 0 ? -EAGAIN : head_response(bytes, size, &h, &why);

    if (got == -EAGAIN) {
        v->step = FLOW_MORE;
        return;
    }
    if (got < 0 || (h.status == 101 && !(f->awaiting && f->upgrading))) {
        refuse(v, FLOW_FAULT_UPSTREAM, "the server sends",
               got < 0 ? why : "another protocol than was asked for", got < 0 ? strlen(why) : 35);
        return;
    }
    if (!f->awaiting) {
        refuse(v, FLOW_FAULT_UPSTREAM, "the server answers what was not asked", NULL, 0);
        return;
    }
    v->head = h.size;
    pass(v, h.size);
    if (h.status == 101) {
        f->up = UP_FREE;
        f->down = DOWN_FREE;
        v->count = FLOW_ALL;
    } else if (h.status < 200) {
        return;
    } else if (f->head_only || h.status == 204 || h.status == 304) {
        f->down = DOWN_LAST;
    } else if (h.chunked) {
        f->down = DOWN_CHUNK;
        f->down_follows = false;
        f->trailers[FLOW_DOWN] = 0;
    } else if (h.has_length) {
        f->down = DOWN_LAST;
        v->count = h.size + h.length;
    } else {
        f->down = DOWN_FREE; /* until the end of the connection, which no second request can share */
        v->count = FLOW_ALL;
    }
    f->head_only = false;
}

/* The next chunk's line passes with its chunk; the last one's leads to the trailer. */
static bool see_chunk(const char *bytes, size_t size, bool *follows, struct flow_verdict *v)
{
    size_t line;
    uint64_t length;
    int got = head_chunk(bytes, size, !*follows, &line, &length);

    if (got == -EAGAIN) {
        v->step = FLOW_MORE;
        return false;
    }
    if (got < 0) {
        refuse(v, FLOW_FAULT_FORM, "a chunk cannot be read", NULL, 0);
        return false;
    }
    *follows = true;
    pass(v, line + length);
    return length == 0;
}

/* Some servers put the fields of a trailer to those of the head, so these may say nothing that those may not. */
static bool may_trail(const struct flow_rules *r, const char *bytes, size_t line, struct flow_verdict *v)
{
    enum head_steers steers = head_trailer_steers(bytes, line);

    if (steers == HEAD_STEERS_NOT || (steers == HEAD_STEERS_ODD && r->http == NULL && !r->secret))
        return true;
    refuse(v, steers == HEAD_STEERS_ODD ? FLOW_FAULT_REQUEST : FLOW_FAULT_FORM,
           "behind its body stands a field that belongs before it:", bytes, strcspn(bytes, ":"));
    return false;
}

static bool see_trailer(struct flow *f, const struct flow_rules *r, enum flow_side side, const char *bytes,
                        size_t size, struct flow_verdict *v)
{
    size_t line;
    int got = head_trailer(bytes, size, &line);

    if (got == -EAGAIN) {
        v->step = FLOW_MORE;
        return false;
    }
    if (got < 0 || f->trailers[side]++ == HEAD_LINES) {
        refuse(v, FLOW_FAULT_FORM, "a trailer cannot be read", NULL, 0);
        return false;
    }
    if (side == FLOW_UP && !may_trail(r, bytes, line, v))
        return false;
    pass(v, line);
    v->head = side == FLOW_DOWN ? line : 0; /* a secret is hidden there as in a head; a mark stays a mark */
    return line == 2;
}

/* --- both --- */

static void first_bytes(struct flow *f, const struct flow_rules *r, const uint8_t *bytes, size_t size,
                        struct flow_verdict *v)
{
    const bool tls =
        (r->takes & FLOW_TLS) != 0 && ((r->takes & FLOW_HTTP) == 0 || (size > 0 && bytes[0] == 22));

    if (size == 0) {
        v->step = FLOW_MORE;
    } else if (tls) {
        see_hello(f, r, bytes, size, v);
    } else {
        see_request(f, r, (const char *)bytes, size, v);
    }
}

static void next_up(struct flow *f, const struct flow_rules *r, const uint8_t *bytes, size_t size,
                    struct flow_verdict *v)
{
    const char *text = (const char *)bytes;

    switch ((enum up_state)f->up) {
    case UP_FIRST:
        first_bytes(f, r, bytes, size, v);
        break;
    case UP_HELD:
        v->step = FLOW_HOLD;
        break;
    case UP_AGAIN:
        await_second(f, r, bytes, size, v);
        break;
    case UP_REQUEST:
        see_request(f, r, text, size, v);
        break;
    case UP_CHUNK:
        if (see_chunk(text, size, &f->next_follows, v))
            f->up = UP_TRAILER;
        break;
    case UP_TRAILER:
        if (see_trailer(f, r, FLOW_UP, text, size, v))
            f->up = UP_REQUEST;
        break;
    case UP_FREE:
        pass(v, FLOW_ALL);
        break;
    }
}

static void next_down(struct flow *f, const struct flow_rules *r, const uint8_t *bytes, size_t size,
                      struct flow_verdict *v)
{
    const char *text = (const char *)bytes;

    switch ((enum down_state)f->down) {
    case DOWN_SHUT:
        v->step = FLOW_HOLD;
        break;
    case DOWN_HELLO:
        see_server(f, bytes, size, v);
        break;
    case DOWN_ANSWER:
        see_answer(f, text, size, v);
        break;
    case DOWN_CHUNK:
        if (see_chunk(text, size, &f->down_follows, v))
            f->down = DOWN_TRAILER;
        break;
    case DOWN_TRAILER:
        if (see_trailer(f, r, FLOW_DOWN, text, size, v))
            f->down = DOWN_LAST;
        break;
    case DOWN_LAST:
        f->down = DOWN_ANSWER;
        f->awaiting = false;
        see_answer(f, text, size, v);
        break;
    case DOWN_FREE:
        pass(v, FLOW_ALL);
        break;
    }
    if (v->step == FLOW_BAD)
        v->fault = FLOW_FAULT_UPSTREAM;
}

void flow_next(struct flow *f, const struct flow_rules *r, enum flow_side side, const uint8_t *bytes,
               size_t size, struct flow_verdict *ret)
{
    ret->step = FLOW_MORE;
    ret->fault = 0;
    ret->count = 0;
    ret->without_upgrade = ret->without_expect = ret->last = ret->go_on = false;
    ret->head = 0;
    ret->why[0] = '\0';
    if (size > FLOW_LOOK_MAX)
        size = FLOW_LOOK_MAX;
    if (side == FLOW_UP)
        next_up(f, r, bytes, size, ret);
    else
        next_down(f, r, bytes, size, ret);
}
