/* asks: answers the room's questions for names. A listed name has the address that stands for it; every other name does
 * not exist. Nothing is asked outside here.
 *
 * Lives in: strongroom-gate. Trusts: no byte of a question. May: answer. Must not: wait, allocate. */
#include "gate/asks.h"
#include "gate/answer.h"
#include "gate/tell.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { PEERS_MAX = 64, PEER_MS = 5000, QUESTION_MAX = 1232, ROUND = 64 };

static struct egress_rules rules;

void asks_open(const struct egress_rules *r)
{
    rules = *r;
}

static void tell_unlisted(const char *name, bool bad)
{
    struct gate_report r = {
        .verdict = GATE_DENIED, .kind = GATE_KIND_DNS, .reason = GATE_WHY_NO_RULE, .rule = -1};

    if (!bad) {
        struct egress_verdict v = egress_verdict_name(&rules, name, 443);
        r.reason = v.rule >= 0 ? GATE_WHY_RULE : GATE_WHY_NO_RULE;
        r.rule = v.rule;
    }
    memcpy(r.name, name, strlen(name) + 1); /* at most DNS_NAME_MAX */
    tell_event(&r);
}

/* The answer's length, 0 for none. */
static size_t answer(const uint8_t *packet, size_t size, uint8_t out[DNS_PACKET_MAX])
{
    char name[DNS_NAME_MAX];
    enum answer_told told;
    size_t len = answer_make(&rules, packet, size, out, &told, name);

    if (told != ANSWER_QUIET)
        tell_unlisted(name, told == ANSWER_BAD_NAME);
    return len;
}

void asks_datagrams(int fd)
{
    uint8_t packet[QUESTION_MAX], out[DNS_PACKET_MAX];
    _Alignas(struct cmsghdr) char control[256];
    struct sockaddr_storage peer;

    for (int i = 0; i < ROUND; i++) {
        struct iovec io = {packet, sizeof packet};
        struct msghdr m = {.msg_name = &peer,
                           .msg_namelen = sizeof peer,
                           .msg_iov = &io,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
        if (n < 0)
            return;
        if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
            continue;
        size_t len = answer(packet, (size_t)n, out);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (len == 0 || !c)
            continue;
        /* From the address that was asked, by whatever way the kernel finds. */
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            info.ipi_spec_dst = info.ipi_addr;
            info.ipi_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof info);
        }
        io = (struct iovec){out, len};
        m.msg_flags = 0;
        (void)sendmsg(fd, &m, MSG_DONTWAIT); /* a program that asks again gets another answer */
    }
}

static struct peer {
    int fd; /* + 1; 0: free */
    uint32_t generation;
    uint64_t until;
    size_t have;
    uint8_t in[2 + QUESTION_MAX];
} peers[PEERS_MAX];

static void drop(struct peer *p)
{
    int fd = p->fd - 1;

    fd_close(&fd);
    p->fd = 0;
    p->generation++;
}

void asks_accept(int listener)
{
    for (int i = 0; i < ROUND; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct peer *p = &peers[0];
        if (fd < 0)
            return;
        for (size_t k = 0; k < PEERS_MAX && p->fd; k++)
            if (!peers[k].fd || peers[k].until < p->until)
                p = &peers[k];
        if (p->fd)
            drop(p); /* the one that has been silent for longest */
        p->fd = fd + 1;
        p->have = 0;
        p->until = loop_now() + PEER_MS;
        if (loop_add(fd, EPOLLIN, LOOP_DNS_PEER, (uint32_t)(p - peers), p->generation) < 0)
            drop(p);
    }
}

void asks_peer(const struct loop_event *e)
{
    struct peer *p = &peers[e->index % PEERS_MAX];
    uint8_t out[2 + DNS_PACKET_MAX];

    if (!p->fd || p->generation != e->generation)
        return;
    ssize_t n = recv(p->fd - 1, p->in + p->have, sizeof p->in - p->have, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(p);
        return;
    }
    p->have += (size_t)n;
    p->until = loop_now() + PEER_MS;
    while (p->have >= 2) {
        size_t size = (size_t)p->in[0] << 8 | p->in[1];
        if (size > QUESTION_MAX || size == 0) {
            drop(p);
            return;
        }
        if (p->have < 2 + size)
            return;
        size_t len = answer(p->in + 2, size, out + 2);
        out[0] = (uint8_t)(len >> 8);
        out[1] = (uint8_t)len;
        if (len == 0 || send(p->fd - 1, out, len + 2, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)(len + 2)) {
            drop(p); /* a program that does not read its answers */
            return;
        }
        p->have -= 2 + size;
        memmove(p->in, p->in + 2 + size, p->have);
    }
}

int asks_tick(void)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < PEERS_MAX; i++) {
        if (!peers[i].fd)
            continue;
        if (loop_now() >= peers[i].until)
            drop(&peers[i]);
        else if (peers[i].until < next)
            next = peers[i].until;
    }
    return next == UINT64_MAX ? -1 : (int)(next - loop_now());
}
