/* refused: tells what the kernel refused by itself, in the room or at the far end of its link.
 *
 * Theory of operation. The rules inside the room (room/gate_rule.c) reset connections that no rule could open, and send
 * the head of each such packet to a netlink socket that was made there. The head says the address and the port; what
 * the rules say of these is what the gate would have said. Nothing hangs on it but the record. Without nftables the
 * first packet of each connection is seen at the link (room/gate_link.c); who asks for a port that has a listener is
 * judged there, and of the others at most SEEN_RATE a second are told.
 *
 * Lives in: strongroom-gate, its tests and fuzzers. Trusts: the kernel's frame; no byte of the packet. May: read, tell.
 * Must not: wait. */
#include "gate/refused.h"
#include "gate/loop.h"
#include "gate/pins.h"
#include "gate/tell.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <string.h>

#define BATCH     64
#define FRAME_MAX 8192
#define SEEN_RATE 200

static const struct egress_rules *rules;
static uint8_t listened[65536 / 8]; /* a bit for each port */
static uint64_t second;             /* in which so many were told */
static unsigned told;

void refused_open(const struct egress_rules *r)
{
    rules = r;
}

int seen_read(const uint8_t *b, size_t size, struct gate_addr *ret, uint16_t *ret_port)
{
    struct gate_addr a = {.size = 4};
    size_t head;

    if (size >= 20 && b[0] >> 4 == 4 && b[9] == IPPROTO_TCP) {
        head = (size_t)(b[0] & 15) * 4;
        memcpy(a.bytes, b + 16, 4);
    } else if (size >= 40 && b[0] >> 4 == 6 && b[6] == IPPROTO_TCP) {
        head = 40;
        a.size = 16;
        memcpy(a.bytes, b + 24, 16);
    } else {
        return 0;
    }
    if (head < 20 || size < head + 4)
        return 0;
    *ret = a;
    *ret_port = (uint16_t)(b[head + 2] << 8 | b[head + 3]);
    return 1;
}

/* The packet within one message. */
static int read_message(const uint8_t *b, size_t size, struct gate_addr *ret, uint16_t *ret_port)
{
    size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));

    while (size >= NLA_HDRLEN && at <= size - NLA_HDRLEN) {
        struct nlattr attr;
        memcpy(&attr, b + at, sizeof attr);
        if (attr.nla_len < NLA_HDRLEN || attr.nla_len > size - at)
            return 0;
        if ((attr.nla_type & NLA_TYPE_MASK) == NFULA_PAYLOAD)
            return seen_read(b + at + NLA_HDRLEN, attr.nla_len - (size_t)NLA_HDRLEN, ret, ret_port);
        at += NLA_ALIGN(attr.nla_len);
    }
    return 0;
}

int refused_next(const uint8_t *bytes, size_t size, size_t *at, struct gate_addr *ret, uint16_t *ret_port)
{
    while (*at < size && size - *at >= NLMSG_HDRLEN) {
        struct nlmsghdr h;
        const uint8_t *b = bytes + *at;
        memcpy(&h, b, sizeof h);
        if (h.nlmsg_len < NLMSG_HDRLEN || h.nlmsg_len > size - *at)
            return 0;
        *at += NLMSG_ALIGN(h.nlmsg_len);
        if (h.nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) &&
            read_message(b, h.nlmsg_len, ret, ret_port))
            return 1;
    }
    return 0;
}

static void tell_refused(const struct gate_addr *a, uint16_t port)
{
    struct gate_report e = {.verdict = GATE_DENIED, .kind = GATE_KIND_TCP, .rule = -1, .port = port};
    struct egress_verdict v;
    int pin;

    if (pins_find(a, &pin) && pin >= 0) {
        memcpy(e.name, pins_name((unsigned)pin), sizeof e.name);
        v = egress_verdict_name(rules, e.name, port);
        e.reason = v.rule >= 0 ? GATE_WHY_RULE : GATE_WHY_NO_RULE;
    } else {
        struct egress_addr address = addr_egress(a);
        v = egress_verdict_addr(rules, &address, port);
        e.reason = v.rule >= 0 && rules->rules[v.rule].deny ? GATE_WHY_RULE : GATE_WHY_LITERAL;
        (void)addr_text(a, e.address);
    }
    e.rule = v.rule;
    tell_event(&e);
}

void refused_take(int fd)
{
    static uint8_t bytes[FRAME_MAX];
    struct gate_addr a;
    uint16_t port;

    for (int i = 0; i < BATCH; i++) {
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0)
            return; /* nothing there, or some were lost */
        for (size_t at = 0; refused_next(bytes, (size_t)n, &at, &a, &port) != 0;)
            tell_refused(&a, port);
    }
}

void seen_listener(int fd)
{
    struct sockaddr_storage own;
    socklen_t len = sizeof own;
    struct gate_addr a;
    uint16_t port;

    if (getsockname(fd, (struct sockaddr *)&own, &len) == 0 && addr_from_sock(&own, &a, &port) == 0)
        listened[port / 8] |= (uint8_t)(1u << port % 8);
}

/* An IPv6 packet comes without its IP header, and the address beside it. */
static int read_behind(const struct msghdr *msg, const uint8_t *b, size_t size, struct gate_addr *ret,
                       uint16_t *ret_port)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    struct in6_pktinfo info;

    if (c == NULL)
        return seen_read(b, size, ret, ret_port);
    if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO || size < 4)
        return 0;
    memcpy(&info, CMSG_DATA(c), sizeof info);
    *ret = (struct gate_addr){.size = 16};
    memcpy(ret->bytes, &info.ipi6_addr, 16);
    *ret_port = (uint16_t)(b[2] << 8 | b[3]);
    return 1;
}

/* May one more be told? */
static bool has_room(void)
{
    if (second != loop_now() / 1000) {
        second = loop_now() / 1000;
        told = 0;
    }
    return told++ < SEEN_RATE;
}

void seen_take(int fd)
{
    uint8_t bytes[128];
    union {
        struct cmsghdr align;
        char bytes[128];
    } control;
    struct gate_addr a;
    uint16_t port;

    for (int i = 0; i < BATCH; i++) {
        struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
        ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
        if (n < 0)
            return;
        if (read_behind(&msg, bytes, (size_t)n, &a, &port) && !(listened[port / 8] >> port % 8 & 1) &&
            has_room())
            tell_refused(&a, port);
    }
}
