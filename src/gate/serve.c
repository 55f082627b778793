/* serve: the sockets that take the room's questions.
 *
 * Lives in: strongroom-gate. Trusts: nobody in the room. May: answer from the address that was asked.
 * Must not: wait for a peer that does not read (its connection ends). */
#include "gate/serve.h"
#include "gate/answer.h"
#include "gate/loop.h"
#include "gate/tell.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#define PEERS_MAX 64
#define BATCH     64
#define PEER_MS   10000
#define QUERY_MAX 1024 /* a question is at most 12 + 255 + 4 bytes and an OPT record */

static struct peer {
    int fd; /* 0: free; a peer's descriptor is never 0 */
    uint32_t generation;
    uint64_t until;
    size_t got;
    uint8_t in[2 + QUERY_MAX];
} peers[PEERS_MAX];
static size_t peer_count;
static const struct egress_rules *rules;

void serve_open(const struct egress_rules *r)
{
    rules = r;
}

static size_t answer(const uint8_t *packet, size_t size, uint8_t *out)
{
    struct gate_report e = {
        .verdict = GATE_DENIED, .kind = GATE_KIND_DNS, .reason = GATE_WHY_NO_RULE, .rule = -1};
    enum answer_told told;
    size_t len = answer_make(rules, packet, size, out, &told, e.name);

    if (told == ANSWER_DENIED && (e.rule = egress_name_denied_by(rules, e.name)) >= 0)
        e.reason = GATE_WHY_RULE;
    if (told != ANSWER_QUIET)
        tell_event(&e);
    return len;
}

/* The control message that came says which address was asked; it goes back as the address to speak from. */
static void turn_round(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);

    if (c != NULL && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        info.ipi_spec_dst = info.ipi_addr;
        info.ipi_ifindex = 0;
        memcpy(CMSG_DATA(c), &info, sizeof info);
        msg->msg_controllen = (socklen_t)CMSG_SPACE(sizeof info);
    } else if (c != NULL && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        info.ipi6_ifindex = 0;
        memcpy(CMSG_DATA(c), &info, sizeof info);
        msg->msg_controllen = (socklen_t)CMSG_SPACE(sizeof info);
    } else {
        msg->msg_control = NULL;
        msg->msg_controllen = 0;
    }
}

void serve_udp(int listener)
{
    uint8_t in[QUERY_MAX], out[DNS_PACKET_MAX];
    union {
        struct cmsghdr align;
        char bytes[128];
    } control;

    for (int i = 0; i < BATCH; i++) {
        struct sockaddr_storage from;
        struct iovec iov = {.iov_base = in, .iov_len = sizeof in};
        struct msghdr msg = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
        ssize_t n = recvmsg(listener, &msg, MSG_DONTWAIT);
        if (n < 0)
            return;
        size_t len = msg.msg_flags & MSG_TRUNC ? 0 : answer(in, (size_t)n, out);
        if (len == 0)
            continue;
        iov = (struct iovec){.iov_base = out, .iov_len = len};
        turn_round(&msg);
        msg.msg_flags = 0;
        (void)sendmsg(listener, &msg, MSG_DONTWAIT | MSG_NOSIGNAL); /* a lost answer is asked for again */
    }
}

static void peer_close(struct peer *p)
{
    fd_close(&p->fd);
    p->fd = 0;
    p->generation++;
    peer_count--;
}

int serve_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return loop_is_short(errno) ? -errno : 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = &peers[i];
        if (p->fd != 0)
            continue;
        if (loop_add(fd, EPOLLIN, LOOP_DNS_PEER, i, p->generation) < 0)
            break;
        p->fd = fd;
        p->got = 0;
        p->until = loop_now() + PEER_MS;
        peer_count++;
        return 0;
    }
    fd_close(&fd);
    return 0;
}

void serve_peer_event(uint32_t index, uint32_t generation, uint32_t events)
{
    uint8_t out[2 + DNS_PACKET_MAX];

    (void)events;
    if (index >= PEERS_MAX || peers[index].fd == 0 || peers[index].generation != generation)
        return;
    struct peer *p = &peers[index];
    size_t want = p->got < 2 ? 2 : 2 + ((size_t)p->in[0] << 8 | p->in[1]);
    if (want > sizeof p->in) {
        peer_close(p);
        return;
    }
    ssize_t n = recv(p->fd, p->in + p->got, want - p->got, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        peer_close(p);
        return;
    }
    p->got += (size_t)n;
    if (p->got < 2 || p->got < 2 + ((size_t)p->in[0] << 8 | p->in[1]))
        return; /* level-triggered: what is there already comes with the next round */
    size_t len = answer(p->in + 2, p->got - 2, out + 2);
    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    p->got = 0;
    p->until = loop_now() + PEER_MS;
    if (len == 0 || send(p->fd, out, len + 2, MSG_NOSIGNAL) != (ssize_t)(len + 2))
        peer_close(p);
}

int serve_tick(void)
{
    for (size_t i = 0; peer_count > 0 && i < PEERS_MAX; i++) {
        if (peers[i].fd != 0 && loop_now() >= peers[i].until)
            peer_close(&peers[i]);
    }
    return peer_count > 0 ? 1000 : -1;
}
