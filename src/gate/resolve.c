/* resolve: the gate's own look-ups at the host's name servers.
 *
 * Lives in: strongroom-gate. Trusts: the host's list of servers; no byte of an answer. May: talk to these servers.
 * Must not: wait, ask for a name that no rule lists (the caller sees to it). */
#include "gate/resolve.h"
#include "base/num.h"
#include "gate/loop.h"
#include "sys/fd.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/random.h>

#define PORT        53
#define ROUNDS      2
#define WAIT_MS     1500 /* for one answer, in the first round; double in the second */
#define GRACE_MS    50   /* for the other family (RFC 8305 3) */
#define TTL_LEAST   1000
#define TTL_MOST    60000
#define TTL_FAILURE 2000
#define TCP_MAX     8
#define TCP_SIZE    (2 + 65535)
#define TICK_MS     50
#define STRAYS_MAX  32 /* packets that answer another question: then somebody guesses, or keeps us busy */

enum state { FREE, RUNNING, DONE };
enum half_state { HALF_UDP, HALF_TCP, HALF_DONE };

struct half {
    enum half_state state;
    int fd, tcp; /* tcp: index of its buffer, -1 */
    uint16_t id, type;
    bool mixed; /* the name's letters are in the case that `mix` says, and come back so */
    uint8_t mix[DNS_MIX_BYTES];
    unsigned tries, strays;
    uint64_t until;
    bool answered; /* DONE with a word of a server, and not because nobody could help */
    struct dns_result result;
};

struct lookup {
    enum state state;
    uint32_t generation;
    char name[DNS_NAME_MAX];
    char asked[DNS_NAME_MAX]; /* the name that it is looked up by now */
    size_t attempt;
    uint64_t expires, go_on; /* go_on: do not wait for the other half any longer, 0: not yet */
    struct half halves[2];   /* AAAA, A */
    struct resolve_answer answer;
};

static struct lookup lookups[RESOLVE_MAX];
static struct {
    bool used;
    size_t sent, got, query;
    uint8_t out[2 + DNS_PACKET_MAX];
    uint8_t in[TCP_SIZE];
} tcps[TCP_MAX];
static struct hosts_servers servers;
static uint32_t scopes[HOSTS_SERVERS_MAX]; /* of the servers: numbers of interfaces, 0: any */
static void (*on_done)(int, const struct resolve_answer *);
static unsigned running;

static uint32_t scope_of(const char *zone)
{
    uint64_t number;

    if (zone[0] == '\0')
        return 0;
    if (num_u64(zone, &number) == 0 && number <= UINT32_MAX)
        return (uint32_t)number;
    return if_nametoindex(zone); /* 0: there is none, so it cannot be asked */
}

void resolve_open(const struct hosts_servers *at, void (*done)(int, const struct resolve_answer *))
{
    servers = *at;
    on_done = done;
    for (size_t i = 0; i < servers.count; i++)
        scopes[i] = scope_of(servers.zone[i]);
}

static void half_close(struct half *h)
{
    fd_close(&h->fd);
    if (h->tcp >= 0)
        tcps[h->tcp].used = false;
    h->tcp = -1;
}

static void half_end(struct half *h, bool answered)
{
    half_close(h);
    h->state = HALF_DONE;
    h->answered = answered;
    if (!answered)
        h->result = (struct dns_result){.rcode = DNS_SERVFAIL};
}

static int open_socket(struct lookup *l, struct half *h, int type)
{
    struct sockaddr_storage to;
    const size_t server = h->tries % servers.count;
    socklen_t len = addr_to_sock(&servers.at[server], PORT, &to);
    int which = h == &l->halves[0] ? 0 : 1;

    if (scopes[server] != 0)
        addr_put_scope(&to, scopes[server]);
    h->fd = socket(to.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (h->fd < 0)
        return -errno;
    if (connect(h->fd, (const struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS)
        return -errno;
    return loop_add(h->fd, EPOLLIN | (type == SOCK_STREAM ? EPOLLOUT : 0u) | EPOLLET, LOOP_LOOKUP,
                    (uint32_t)(l - lookups) * 2 + (uint32_t)which, l->generation);
}

/* In the first round the name's letters are mixed. A server that does not keep them is asked over TCP, and when it does
 * not speak that, it is believed in the second round. */
static int write_query(const struct lookup *l, const struct half *h, uint8_t query[DNS_PACKET_MAX])
{
    int n = dns_query_write(h->id, l->asked, h->type, query);

    if (n >= 0 && h->mixed)
        dns_query_mix(query, h->mix);
    return n;
}

static int ask_udp(struct lookup *l, struct half *h)
{
    uint8_t query[DNS_PACKET_MAX];

    if (getrandom(&h->id, sizeof h->id, 0) != sizeof h->id ||
        getrandom(h->mix, sizeof h->mix, 0) != sizeof h->mix)
        return -EIO;
    h->mixed = h->tries < servers.count;
    h->strays = 0;
    int n = write_query(l, h, query);
    if (n < 0)
        return n;
    int r = open_socket(l, h, SOCK_DGRAM);
    if (r < 0)
        return r;
    return send(h->fd, query, (size_t)n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Asks the next server that takes the question, or gives up. */
static void half_next(struct lookup *l, struct half *h)
{
    while (h->tries < ROUNDS * servers.count) {
        half_close(h);
        h->state = HALF_UDP;
        h->until = loop_now() + (h->tries < servers.count ? WAIT_MS : 2 * WAIT_MS);
        int r = ask_udp(l, h);
        h->tries++;
        if (r == 0)
            return;
    }
    half_end(h, false);
}

static void half_over_tcp(struct lookup *l, struct half *h)
{
    int slot = 0;

    half_close(h);
    while (slot < TCP_MAX && tcps[slot].used)
        slot++;
    h->tries--; /* the same server once more */
    if (slot == TCP_MAX || open_socket(l, h, SOCK_STREAM) < 0) {
        h->tries++;
        half_next(l, h);
        return;
    }
    h->tries++;
    int n = write_query(l, h, tcps[slot].out + 2);
    tcps[slot].used = true;
    tcps[slot].sent = tcps[slot].got = 0;
    tcps[slot].query = 2 + (size_t)n; /* the name went over UDP already: it is one */
    tcps[slot].out[0] = (uint8_t)(n >> 8);
    tcps[slot].out[1] = (uint8_t)n;
    h->tcp = slot;
    h->state = HALF_TCP;
    h->until = loop_now() + 2 * WAIT_MS;
}

static void half_packet(struct lookup *l, struct half *h, const uint8_t *packet, size_t size)
{
    struct dns_result result;
    uint8_t query[DNS_PACKET_MAX];
    int r = dns_result_parse(packet, size, h->id, l->asked, h->type, &result);

    if (r == -EBADMSG && h->state == HALF_UDP) {
        if (++h->strays == STRAYS_MAX)
            half_over_tcp(l, h);
        return;
    }
    if (r != -EBADMSG && h->state == HALF_UDP && h->mixed &&
        (write_query(l, h, query) < 0 || !dns_result_repeats(packet, size, query))) {
        half_over_tcp(l, h);
        return;
    }
    if (r < 0 || (result.rcode != DNS_NOERROR && result.rcode != DNS_NXDOMAIN) ||
        (result.truncated && h->state == HALF_TCP)) {
        half_next(l, h);
        return;
    }
    if (result.truncated) {
        half_over_tcp(l, h);
        return;
    }
    h->result = result;
    half_end(h, true);
}

static void udp_event(struct lookup *l, struct half *h)
{
    uint8_t packet[4096];

    while (h->state == HALF_UDP && h->fd >= 0) {
        int fd = h->fd;
        ssize_t n = recv(fd, packet, sizeof packet, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            half_next(l, h); /* "nobody listens there" */
            return;
        }
        half_packet(l, h, packet, (size_t)n);
        if (h->fd != fd)
            return;
    }
}

static void tcp_event(struct lookup *l, struct half *h)
{
    while (tcps[h->tcp].sent < tcps[h->tcp].query) {
        ssize_t n = send(h->fd, tcps[h->tcp].out + tcps[h->tcp].sent, tcps[h->tcp].query - tcps[h->tcp].sent,
                         MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            half_next(l, h);
            return;
        }
        tcps[h->tcp].sent += (size_t)n;
    }
    for (;;) {
        uint8_t *in = tcps[h->tcp].in;
        size_t got = tcps[h->tcp].got;
        size_t want = got < 2 ? 2 : 2 + ((size_t)in[0] << 8 | in[1]);
        if (got >= 2 && got == want) {
            half_packet(l, h, in + 2, want - 2);
            return;
        }
        ssize_t n = recv(h->fd, in + got, want - got, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            half_next(l, h);
            return;
        }
        tcps[h->tcp].got += (size_t)n;
    }
}

static void answer_from(const struct half *v6, const struct half *v4, struct resolve_answer *a)
{
    size_t n6 = v6->state == HALF_DONE ? v6->result.count : 0;
    size_t n4 = v4->state == HALF_DONE ? v4->result.count : 0;

    *a = (struct resolve_answer){0};
    for (size_t i = 0; i < DNS_ADDRS_MAX; i++) {
        if (i < n6 && a->count < DNS_ADDRS_MAX)
            a->addrs[a->count++] = v6->result.addrs[i];
        if (i < n4 && a->count < DNS_ADDRS_MAX)
            a->addrs[a->count++] = v4->result.addrs[i];
    }
    if (a->count == 0)
        a->failed = v6->answered || v4->answered ? GATE_WHY_UNRESOLVED : GATE_WHY_RESOLVER;
}

/* Begins the next attempt; false: there is none. When nothing can be sent, resolve_tick() tells. */
static bool ask(struct lookup *l)
{
    if (!hosts_attempt(&servers, l->name, l->attempt, l->asked))
        return false;
    l->attempt++;
    l->go_on = 0;
    for (int i = 0; i < 2; i++)
        l->halves[i] = (struct half){.fd = -1, .tcp = -1, .type = i == 0 ? DNS_AAAA : DNS_A};
    for (int i = 0; i < 2; i++)
        half_next(l, &l->halves[i]);
    return true;
}

static void look_if_done(struct lookup *l)
{
    struct half *v6 = &l->halves[0], *v4 = &l->halves[1];
    bool both = v6->state == HALF_DONE && v4->state == HALF_DONE;
    bool some =
        (v6->state == HALF_DONE && v6->result.count > 0) || (v4->state == HALF_DONE && v4->result.count > 0);
    uint64_t ttl = TTL_MOST;

    if (l->state != RUNNING)
        return;
    if (some && l->go_on == 0)
        l->go_on = loop_now() + GRACE_MS;
    if (!both && !(some && loop_now() >= l->go_on))
        return;
    answer_from(v6, v4, &l->answer);
    if (l->answer.failed == GATE_WHY_UNRESOLVED && ask(l)) /* both halves are closed by now */
        return;
    for (int i = 0; i < 2; i++) {
        const struct half *h = &l->halves[i];
        if (h->state == HALF_DONE && h->result.count > 0 && h->result.ttl < TTL_MOST / 1000 &&
            (uint64_t)h->result.ttl * 1000 < ttl)
            ttl = (uint64_t)h->result.ttl * 1000;
        half_close(&l->halves[i]);
    }
    if (ttl < TTL_LEAST)
        ttl = TTL_LEAST;
    l->expires = loop_now() + (l->answer.failed ? TTL_FAILURE : ttl);
    l->state = DONE;
    l->generation++;
    running--;
    on_done((int)(l - lookups), &l->answer);
}

/* The row of `name` when it is there; otherwise a free one, or the one that expires first. NULL: all are running. */
static struct lookup *row_of(const char *name)
{
    struct lookup *best = NULL;

    for (size_t i = 0; i < RESOLVE_MAX; i++) {
        struct lookup *l = &lookups[i];
        if (l->state != FREE && strcmp(l->name, name) == 0)
            return l;
        if (l->state == RUNNING)
            continue;
        if (best == NULL || (best->state == DONE && (l->state == FREE || l->expires < best->expires)))
            best = l;
    }
    if (best != NULL)
        best->state = FREE;
    return best;
}

int resolve_start(const char *name, int *ret_lookup, struct resolve_answer *ret)
{
    *ret = (struct resolve_answer){0};
    ret->count = hosts_find(name, ret->addrs, DNS_ADDRS_MAX);
    if (ret->count > 0)
        return 1;
    struct lookup *l = row_of(name);
    if (l == NULL)
        return -EBUSY;
    *ret_lookup = (int)(l - lookups);
    if (l->state == DONE && loop_now() < l->expires) {
        *ret = l->answer;
        return 1;
    }
    if (l->state == RUNNING)
        return 0;
    uint32_t generation = l->generation + 1;
    *l = (struct lookup){.state = RUNNING, .generation = generation};
    memcpy(l->name, name, strlen(name) + 1);
    running++;
    (void)ask(l); /* there is one at least */
    return 0;
}

void resolve_event(uint32_t index, uint32_t generation, uint32_t events)
{
    struct lookup *l = &lookups[index / 2];
    struct half *h = &l->halves[index % 2];

    (void)events; /* reading and sending say it better */
    if (index / 2 >= RESOLVE_MAX || l->generation != generation || l->state != RUNNING)
        return;
    if (h->state == HALF_UDP)
        udp_event(l, h);
    else if (h->state == HALF_TCP)
        tcp_event(l, h);
    look_if_done(l);
}

int resolve_tick(void)
{
    for (size_t i = 0; running > 0 && i < RESOLVE_MAX; i++) {
        struct lookup *l = &lookups[i];
        for (int k = 0; l->state == RUNNING && k < 2; k++) {
            if (l->halves[k].state != HALF_DONE && loop_now() >= l->halves[k].until)
                half_next(l, &l->halves[k]);
        }
        look_if_done(l);
    }
    return running > 0 ? TICK_MS : -1;
}
