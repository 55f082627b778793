/* conn: the room's connections, from the moment they are taken to the record of their end.
 *
 * Theory of operation. An accepted socket knows the address that the program meant. If that is a pin, the pin's name is
 * judged, resolved now, and each address found is judged again before it is dialled; otherwise the address itself is
 * judged. Two dials may be under way, the second begins when the first fails or is slow. What is refused is closed with a
 * reset at once, as a closed port does.
 *
 * Lives in: strongroom-gate. Trusts: the rules. May: accept in the room, dial outside. Must not: dial an address that was
 * not judged, wait, allocate. */
#include "gate/conn.h"
#include "gate/pins.h"
#include "gate/tell.h"
#include "sys/fd.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum { ROUND = 64, DIAL_MS = 30000, STAGGER_MS = 250 };

static struct conn conns[CONN_MAX];
static struct egress_rules rules;
static size_t conn_max, high; /* rows in use are below `high` */

void conn_open(const struct egress_rules *r, size_t max)
{
    rules = *r;
    conn_max = max < CONN_MAX ? max : CONN_MAX;
}

static struct egress_addr to_rule(const struct gate_addr *a)
{
    struct egress_addr e;

    if (a->size == 4)
        return egress_addr_v4(a->bytes);
    memcpy(e.bytes, a->bytes, sizeof e.bytes);
    return e;
}

/* --- the end ---------------------------------------------------------------------------------------------- */

static void reset(int *fd)
{
    const struct linger now = {.l_onoff = 1};

    if (*fd >= 0)
        (void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    fd_close(fd);
}

static void tell(const struct conn *c, enum gate_verdict verdict, enum gate_reason why, int code)
{
    struct gate_report r = {.verdict = verdict,
                            .kind = GATE_KIND_TCP,
                            .reason = why,
                            .rule = c->rule,
                            .code = code,
                            .port = c->port,
                            .up = c->ways[0].bytes,
                            .down = c->ways[1].bytes,
                            .duration_ms = loop_now() - c->since};

    memcpy(r.name, c->name, sizeof r.name);
    (void)addr_text(&c->peer, r.address);
    tell_event(&r);
}

static void release(struct conn *c)
{
    fd_close(&c->room);
    fd_close(&c->up);
    for (size_t i = 0; i < CONN_DIALS; i++)
        fd_close(&c->dials[i]);
    relay_close(c);
    c->state = CONN_FREE;
    c->again = false;
    c->generation++;
    while (high > 0 && conns[high - 1].state == CONN_FREE)
        high--;
}

static void refuse(struct conn *c, enum gate_verdict verdict, enum gate_reason why, int code)
{
    tell(c, verdict, why, code);
    reset(&c->room);
    release(c);
}

/* Passed on for as long as it went; an error on one side is an error on the other. */
static void finish(struct conn *c)
{
    const bool whole = c->ways[0].told_end && c->ways[1].told_end;

    tell(c, GATE_ALLOWED, GATE_WHY_RULE, 0);
    if (!whole) {
        reset(&c->room);
        reset(&c->up);
    }
    release(c);
}

/* --- dialling --------------------------------------------------------------------------------------------- */

static size_t index_of(const struct conn *c)
{
    return (size_t)(c - conns);
}

/* Is it an address of this very host? The kernel would send from it. */
static bool is_ours(const struct gate_addr *a)
{
    struct sockaddr_storage to, from = {0};
    socklen_t len = addr_to_sock(a, 9, &to), got = sizeof from;
    struct gate_addr source;
    uint16_t port;
    FD_AUTO fd = socket(a->size == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&from, &got) < 0)
        return false; /* no way there: dialling will say why */
    return addr_from_sock(&from, &source, &port) == 0 && addr_equal(&source, a);
}

static bool may_dial(const struct conn *c, const struct gate_addr *a)
{
    struct egress_addr e = to_rule(a);

    if (!egress_may_dial(&rules, c->rule, &e, c->port))
        return false;
    /* An address that a rule lists, or a name that may be internal, may be here. */
    if (egress_verdict_addr(&rules, &e, c->port).allowed || rules.rules[c->rule].internal)
        return true;
    return !is_ours(a);
}

static void set_nodelay(int fd)
{
    const int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void connected(struct conn *c, size_t dial)
{
    c->up = c->dials[dial];
    c->dials[dial] = -1;
    c->peer = c->addrs[c->dialled[dial]];
    for (size_t i = 0; i < CONN_DIALS; i++)
        fd_close(&c->dials[i]);
    set_nodelay(c->up);
    set_nodelay(c->room);
    c->state = CONN_RELAYS;
    const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, i = (uint32_t)index_of(c);
    if (loop_change(c->up, events, LOOP_UPSTREAM, i, c->generation) < 0 ||
        loop_add(c->room, events, LOOP_ROOM, i, c->generation) < 0 || !relay_move(c))
        finish(c);
}

/* Starts the next candidate in a free place; what cannot even start is passed over. True while a dial is under way. */
static bool dial_next(struct conn *c, size_t place)
{
    while (c->next_addr < c->addr_count) {
        const struct gate_addr *a = &c->addrs[c->next_addr];
        struct sockaddr_storage to;
        socklen_t len = addr_to_sock(a, c->port, &to);
        c->dialled[place] = (uint8_t)c->next_addr++;
        int fd = socket(a->size == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && (connect(fd, (struct sockaddr *)&to, len) == 0 || errno == EINPROGRESS) &&
            loop_add(fd, EPOLLOUT | EPOLLET, LOOP_DIAL, (uint32_t)(index_of(c) * CONN_DIALS + place),
                     c->generation) == 0) {
            c->dials[place] = fd;
            c->peer = *a;
            c->next_dial = loop_now() + STAGGER_MS;
            return true;
        }
        c->code = errno;
        fd_close(&fd);
    }
    for (size_t i = 0; i < CONN_DIALS; i++)
        if (c->dials[i] >= 0)
            return true;
    return false;
}

/* Keeps of what was found only what may be dialled. */
static void dial(struct conn *c, const struct gate_addr *found, size_t count)
{
    struct gate_addr bad = {0};

    c->addr_count = c->next_addr = 0;
    for (size_t i = 0; i < count && c->addr_count < DNS_ADDRS_MAX; i++) {
        if (may_dial(c, &found[i]))
            c->addrs[c->addr_count++] = found[i];
        else
            bad = found[i];
    }
    if (c->addr_count == 0) {
        c->peer = bad;
        refuse(c, GATE_DENIED, GATE_WHY_PRIVATE, 0);
        return;
    }
    c->state = CONN_DIALS_UP;
    c->until = loop_now() + DIAL_MS;
    if (!dial_next(c, 0))
        refuse(c, GATE_BROKEN, GATE_WHY_UNREACHABLE, c->code);
}

static void dial_event(struct conn *c, size_t place)
{
    int code = 0;
    socklen_t len = sizeof code;

    if (c->state != CONN_DIALS_UP || c->dials[place] < 0)
        return;
    if (getsockopt(c->dials[place], SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code == 0) {
        connected(c, place);
        return;
    }
    c->code = code;
    fd_close(&c->dials[place]);
    if (!dial_next(c, place))
        refuse(c, GATE_BROKEN, GATE_WHY_UNREACHABLE, code);
}

static void take_answer(struct conn *c, const struct resolve_answer *a)
{
    c->lookup = -1;
    if (a->failed)
        refuse(c, GATE_BROKEN, a->failed, 0);
    else
        dial(c, a->addrs, a->count);
}

void conn_resolved(int lookup, const struct resolve_answer *answer)
{
    for (size_t i = 0; i < high; i++)
        if (conns[i].state == CONN_RESOLVES && conns[i].lookup == lookup)
            take_answer(&conns[i], answer);
}

/* --- the beginning ---------------------------------------------------------------------------------------- */

static void judge_name(struct conn *c, const char *name)
{
    struct resolve_answer answer;

    memcpy(c->name, name, strlen(name) + 1); /* pins hold names that fit */
    struct egress_verdict v = egress_verdict_name(&rules, c->name, c->port);
    c->rule = v.rule;
    if (!v.allowed) {
        refuse(c, GATE_DENIED, v.rule >= 0 ? GATE_WHY_RULE : GATE_WHY_NO_RULE, 0);
        return;
    }
    c->state = CONN_RESOLVES;
    int r = resolve_start(c->name, &c->lookup, &answer);
    if (r == 1)
        take_answer(c, &answer);
    else if (r < 0)
        refuse(c, GATE_BROKEN, GATE_WHY_TABLE_FULL, 0);
}

static void judge(struct conn *c, const struct gate_addr *to)
{
    struct egress_addr e = to_rule(to);
    int pin = -1;

    if (pins_find(to, &pin) && pin >= 0) {
        judge_name(c, pins_name((unsigned)pin));
        return;
    }
    c->peer = *to;
    struct egress_verdict v = egress_verdict_addr(&rules, &e, c->port);
    c->rule = v.rule;
    if (v.allowed)
        dial(c, to, 1);
    else
        refuse(c, GATE_DENIED, v.rule >= 0 ? GATE_WHY_RULE : GATE_WHY_LITERAL, 0);
}

static bool is_loopback(const struct gate_addr *a)
{
    static const struct gate_addr six = {.size = 16, .bytes = {[15] = 1}};

    return a->size == 4 ? a->bytes[0] == 127 : addr_equal(a, &six);
}

static struct conn *find_free(void)
{
    for (size_t i = 0; i < conn_max; i++)
        if (conns[i].state == CONN_FREE) {
            high = i + 1 > high ? i + 1 : high;
            return &conns[i];
        }
    return NULL;
}

static void begin(int fd)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    struct gate_addr to;
    uint16_t port;

    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0 || addr_from_sock(&name, &to, &port) < 0 ||
        is_loopback(&to)) {
        reset(&fd); /* the listener's own address is nobody's destination */
        return;
    }
    struct conn *c = find_free();
    if (!c) {
        struct gate_report r = {.verdict = GATE_BROKEN,
                                .kind = GATE_KIND_TCP,
                                .reason = GATE_WHY_TABLE_FULL,
                                .rule = -1,
                                .port = port};
        (void)addr_text(&to, r.address);
        tell_event(&r);
        reset(&fd);
        return;
    }
    const uint32_t generation = c->generation;
    memset(c, 0, offsetof(struct conn, addrs));
    memset(c->ways, 0, sizeof c->ways);
    memset(c->name, 0, sizeof c->name);
    c->generation = generation;
    c->room = fd;
    c->up = c->dials[0] = c->dials[1] = c->lookup = -1;
    c->ways[0].pipe[0] = c->ways[0].pipe[1] = c->ways[1].pipe[0] = c->ways[1].pipe[1] = -1;
    c->rule = -1;
    c->port = port;
    c->since = loop_now();
    judge(c, &to);
}

void conn_accept(int listener)
{
    for (int i = 0; i < ROUND; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        begin(fd);
    }
}

void conn_event(const struct loop_event *e)
{
    const bool is_dial = e->kind == LOOP_DIAL;
    struct conn *c = &conns[(is_dial ? e->index / CONN_DIALS : e->index) % CONN_MAX];

    if (c->state == CONN_FREE || c->generation != e->generation)
        return;
    if (is_dial)
        dial_event(c, e->index % CONN_DIALS);
    else if (c->state == CONN_RELAYS && !relay_move(c))
        finish(c);
}

static void dial_late(struct conn *c)
{
    if (loop_now() >= c->until) {
        refuse(c, GATE_BROKEN, GATE_WHY_UNREACHABLE, ETIMEDOUT);
        return;
    }
    for (size_t i = 0; i < CONN_DIALS && loop_now() >= c->next_dial; i++) {
        if (c->dials[i] < 0 && c->next_addr < c->addr_count) {
            if (!dial_next(c, i))
                refuse(c, GATE_BROKEN, GATE_WHY_UNREACHABLE, c->code);
            return;
        }
    }
}

int conn_tick(void)
{
    int wait = -1;

    for (size_t i = 0; i < high; i++) {
        struct conn *c = &conns[i];
        if (c->state == CONN_DIALS_UP)
            dial_late(c);
        if (c->state == CONN_RELAYS && c->again && !relay_move(c))
            finish(c);
        if (c->state == CONN_RELAYS && c->again)
            wait = 0;
        else if (c->state == CONN_DIALS_UP && wait < 0)
            wait = STAGGER_MS / 2;
    }
    return wait;
}

void conn_end_all(void)
{
    for (size_t i = CONN_MAX; i > 0; i--) {
        struct conn *c = &conns[i - 1];
        if (c->state == CONN_RELAYS)
            finish(c);
        else if (c->state != CONN_FREE)
            release(c);
    }
}
