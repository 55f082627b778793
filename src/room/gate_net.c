/* gate_net: makes the room's network such that every peer is the gate.
 *
 * Theory of operation. The room's network namespace has nothing but loopback. Two routes of the type "local" make every
 * address of both families this machine's own, so that a connection to anywhere arrives here; an nftables rule (TPROXY)
 * gives each new one to one listening socket, whose accepted sockets still know the address that was meant. Questions
 * for names arrive at port 53 of any address in the same way. The listeners are handed to the supervisor, which gives
 * them to the gate, a process outside: it accepts in here, decides, and dials from there. What goes to loopback
 * addresses and to the room's own address is left alone, so servers inside the room work as ever.
 *
 * Without a preferred source both ends of a connection could get the same address and meet themselves.
 *
 * Where nftables is missing, one listener for each allowed port stands in, and the layer counts as degraded.
 *
 * Lives in: the room's pid 1, while it has every capability over its own namespaces. Trusts: the plan.
 * Must not: malloc, stdio, leave a listener behind for the program. */
#include "policy/egress.h"
#include "room/netlink.h"
#include "room/steps.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Constants that musl's headers lack (linux/in.h, linux/in6.h, linux/netfilter.h). */
enum {
    SO_IP_TRANSPARENT = 19,
    SO_IPV6_TRANSPARENT = 75,
    SO_IPV6_FREEBIND = 78,
    HOOK_PREROUTING = 0,
    PROTO_INET = 1
};
enum { LO = 1, PRIORITY_MANGLE = -150, PORTS_MAX = 24, BACKLOG = 512 };

/* Of 198.18.0.0/15, set aside for tests of network devices (RFC 2544), and of a locally assigned prefix (RFC 4193). */
static const uint8_t own4[4] = {198, 18, 0, 1};
static const uint8_t own6[16] = {0xfd, 0x57, [15] = 1};
static const uint8_t loop6[16] = {[15] = 1};

/* --- addresses and routes -------------------------------------------------------------------------------- */

static void put_address(struct nl *n, uint8_t family, const uint8_t *addr, size_t len)
{
    struct ifaddrmsg a = {
        .ifa_family = family, .ifa_prefixlen = (uint8_t)(len * 8), .ifa_flags = IFA_F_NODAD, .ifa_index = LO};
    nl_begin(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &a, sizeof a);
    nl_put(n, IFA_LOCAL, addr, len);
    nl_put(n, IFA_ADDRESS, addr, len);
    nl_end(n);
}

static void put_route(struct nl *n, uint8_t family, const uint8_t *source, size_t len)
{
    struct rtmsg r = {.rtm_family = family,
                      .rtm_table = RT_TABLE_LOCAL,
                      .rtm_protocol = RTPROT_STATIC,
                      .rtm_scope = RT_SCOPE_HOST,
                      .rtm_type = RTN_LOCAL};
    const uint32_t lo = LO;
    nl_begin(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &r, sizeof r);
    nl_put(n, RTA_OIF, &lo, sizeof lo);
    nl_put(n, RTA_PREFSRC, source, len);
    nl_end(n);
}

static int set_routes(bool v6)
{
    struct nl n;
    nl_init(&n);
    put_address(&n, AF_INET, own4, sizeof own4);
    if (v6)
        put_address(&n, AF_INET6, own6, sizeof own6);
    put_route(&n, AF_INET, own4, sizeof own4);
    if (v6)
        put_route(&n, AF_INET6, own6, sizeof own6);
    return nl_talk(&n, NETLINK_ROUTE);
}

/* --- the rule -------------------------------------------------------------------------------------------- */

static void put_u32(struct nl *n, uint16_t type, uint32_t v)
{
    v = htonl(v);
    nl_put(n, type, &v, sizeof v);
}

static void put_text(struct nl *n, uint16_t type, const char *s)
{
    nl_put(n, type, s, strlen(s) + 1);
}

/* One expression; its attributes come between open and close. */
struct nest {
    size_t elem, data;
};

static struct nest open_expr(struct nl *n, const char *name)
{
    struct nest at;
    at.elem = nl_nest(n, NFTA_LIST_ELEM);
    put_text(n, NFTA_EXPR_NAME, name);
    at.data = nl_nest(n, NFTA_EXPR_DATA);
    return at;
}

static void close_expr(struct nl *n, struct nest at)
{
    nl_unnest(n, at.data);
    nl_unnest(n, at.elem);
}

static void put_data(struct nl *n, uint16_t type, const void *value, size_t len)
{
    size_t at = nl_nest(n, type);
    nl_put(n, NFTA_DATA_VALUE, value, len);
    nl_unnest(n, at);
}

static void compare(struct nl *n, uint32_t op, const void *value, size_t len)
{
    struct nest at = open_expr(n, "cmp");
    put_u32(n, NFTA_CMP_SREG, NFT_REG_1);
    put_u32(n, NFTA_CMP_OP, op);
    put_data(n, NFTA_CMP_DATA, value, len);
    close_expr(n, at);
}

static void meta_is(struct nl *n, uint32_t key, uint8_t value)
{
    struct nest at = open_expr(n, "meta");
    put_u32(n, NFTA_META_DREG, NFT_REG_1);
    put_u32(n, NFTA_META_KEY, key);
    close_expr(n, at);
    compare(n, NFT_CMP_EQ, &value, 1);
}

static void packet_is_not(struct nl *n, uint32_t base, uint32_t offset, const void *value, size_t len)
{
    struct nest at = open_expr(n, "payload");
    put_u32(n, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put_u32(n, NFTA_PAYLOAD_BASE, base);
    put_u32(n, NFTA_PAYLOAD_OFFSET, offset);
    put_u32(n, NFTA_PAYLOAD_LEN, (uint32_t)len);
    close_expr(n, at);
    compare(n, NFT_CMP_NEQ, value, len);
}

static void load(struct nl *n, uint32_t reg, const void *value, size_t len)
{
    struct nest at = open_expr(n, "immediate");
    put_u32(n, NFTA_IMMEDIATE_DREG, reg);
    put_data(n, NFTA_IMMEDIATE_DATA, value, len);
    close_expr(n, at);
}

static const char table[] = "strongroom", chain[] = "gate";

static void begin_nft(struct nl *n, unsigned type, unsigned flags)
{
    const struct nfgenmsg head = {.nfgen_family = PROTO_INET, .version = NFNETLINK_V0};
    nl_begin(n, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), (uint16_t)flags, &head, sizeof head);
}

/* TCP, not to loopback, not to the room's own address, not to port 53: to the listener. */
static void put_rule(struct nl *n, bool v6, uint16_t port)
{
    static const uint8_t loop4[4] = {127, 0, 0, 1};
    const uint16_t dns = htons(53);
    begin_nft(n, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    put_text(n, NFTA_RULE_TABLE, table);
    put_text(n, NFTA_RULE_CHAIN, chain);
    size_t list = nl_nest(n, NFTA_RULE_EXPRESSIONS);
    meta_is(n, NFT_META_NFPROTO, v6 ? 10 : 2);
    meta_is(n, NFT_META_L4PROTO, IPPROTO_TCP);
    if (v6) {
        packet_is_not(n, NFT_PAYLOAD_NETWORK_HEADER, 24, loop6, sizeof loop6);
        packet_is_not(n, NFT_PAYLOAD_NETWORK_HEADER, 24, own6, sizeof own6);
    } else {
        packet_is_not(n, NFT_PAYLOAD_NETWORK_HEADER, 16, loop4, 1);
        packet_is_not(n, NFT_PAYLOAD_NETWORK_HEADER, 16, own4, sizeof own4);
    }
    packet_is_not(n, NFT_PAYLOAD_TRANSPORT_HEADER, 2, &dns, sizeof dns);
    load(n, NFT_REG_1, v6 ? loop6 : loop4, v6 ? sizeof loop6 : sizeof loop4);
    load(n, NFT_REG_2, &port, sizeof port);
    struct nest at = open_expr(n, "tproxy");
    put_u32(n, NFTA_TPROXY_FAMILY, v6 ? 10 : 2);
    put_u32(n, NFTA_TPROXY_REG_ADDR, NFT_REG_1);
    put_u32(n, NFTA_TPROXY_REG_PORT, NFT_REG_2);
    close_expr(n, at);
    nl_unnest(n, list);
    nl_end(n);
}

static void put_edge(struct nl *n, uint16_t type)
{
    const struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
    nl_begin(n, type, 0, &head, sizeof head);
    nl_end_quietly(n);
}

/* All in one batch: either the whole is there or nothing. */
static int set_rule(uint16_t port4, uint16_t port6)
{
    struct nl n;
    nl_init(&n);
    put_edge(&n, NFNL_MSG_BATCH_BEGIN);
    begin_nft(&n, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    put_text(&n, NFTA_TABLE_NAME, table);
    nl_end(&n);
    begin_nft(&n, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    put_text(&n, NFTA_CHAIN_TABLE, table);
    put_text(&n, NFTA_CHAIN_NAME, chain);
    size_t hook = nl_nest(&n, NFTA_CHAIN_HOOK);
    put_u32(&n, NFTA_HOOK_HOOKNUM, HOOK_PREROUTING);
    put_u32(&n, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_MANGLE);
    nl_unnest(&n, hook);
    put_text(&n, NFTA_CHAIN_TYPE, "filter");
    nl_end(&n);
    put_rule(&n, false, port4);
    if (port6)
        put_rule(&n, true, port6);
    put_edge(&n, NFNL_MSG_BATCH_END);
    return nl_talk(&n, NETLINK_NETFILTER);
}

/* --- listeners ------------------------------------------------------------------------------------------- */

struct listeners {
    int fds[FD_FRAME_FDS_MAX];
    uint8_t kinds[FD_FRAME_FDS_MAX];
    size_t count;
};

static int set_on(int fd, int level, int option)
{
    const int one = 1;
    return setsockopt(fd, level, option, &one, sizeof one) < 0 ? -errno : 0;
}

static int mark(int fd, bool v6, bool udp, bool transparent)
{
    int r = 0;
    if (v6)
        r = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (r == 0 && !udp)
        r = set_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (r == 0 && transparent)
        r = v6 ? set_on(fd, IPPROTO_IPV6, SO_IPV6_TRANSPARENT) : set_on(fd, IPPROTO_IP, SO_IP_TRANSPARENT);
    if (r == 0 && udp) /* answers leave from whatever address was asked */
        r = v6 ? set_on(fd, IPPROTO_IPV6, SO_IPV6_FREEBIND) : set_on(fd, IPPROTO_IP, IP_FREEBIND);
    if (r == 0 && udp)
        r = v6 ? set_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) : set_on(fd, IPPROTO_IP, IP_PKTINFO);
    return r;
}

/* A bound socket, listening if TCP; *port is the one to bind, and becomes the one that was bound. */
static int make_listener(bool v6, bool udp, bool transparent, uint16_t *port)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(*port)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
    socklen_t len = v6 ? sizeof a6 : sizeof a4;
    struct sockaddr *a = v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
    if (transparent) {
        a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        memcpy(&a6.sin6_addr, loop6, sizeof loop6);
    }
    int fd =
        socket(v6 ? AF_INET6 : AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int r = mark(fd, v6, udp, transparent);
    if (r == 0 && (bind(fd, a, len) < 0 || (!udp && listen(fd, BACKLOG) < 0) || getsockname(fd, a, &len) < 0))
        r = -errno;
    if (r < 0) {
        fd_close(&fd);
        return r;
    }
    *port = ntohs(v6 ? a6.sin6_port : a4.sin_port);
    return fd;
}

/* Sends what was gathered; `last` tells that no more will come. */
static int hand_out(const struct room_plan *plan, struct room_state *s, struct listeners *l, bool last)
{
    s->report.type = REPORT_LISTENERS;
    s->report.fds = (uint32_t)l->count;
    s->report.status = last;
    memcpy(s->report.listeners, l->kinds, sizeof l->kinds);
    int r = fd_frame_send(plan->ctl, &s->report, sizeof s->report, l->fds, l->count, 0);
    for (size_t i = 0; i < l->count; i++)
        fd_close(&l->fds[i]);
    l->count = 0;
    s->report.fds = 0;
    s->report.status = 0;
    return r;
}

static int add(const struct room_plan *plan, struct room_state *s, struct listeners *l,
               enum room_listener kind, bool v6, uint16_t *port)
{
    int r = l->count == FD_FRAME_FDS_MAX ? hand_out(plan, s, l, false) : 0;
    if (r < 0)
        return r;
    int fd = make_listener(v6, kind == ROOM_LISTEN_DNS_UDP, kind == ROOM_LISTEN_TPROXY, port);
    if (fd < 0)
        return fd;
    l->kinds[l->count] = (uint8_t)kind;
    l->fds[l->count++] = fd;
    return 0;
}

/* Every port that some rule allows, as many as listeners may be. */
static int add_ports(const struct room_plan *plan, struct room_state *s, struct listeners *l, bool v6)
{
    const struct egress_rules *rules = &plan->policy->egress;
    uint16_t done[PORTS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const struct egress_rule *x = &rules->rules[i];
        for (size_t k = 0; !x->deny && k < x->port_count; k++) {
            for (unsigned p = x->ports[k].from; p <= x->ports[k].to && n < PORTS_MAX; p++) {
                bool known = p == 53;
                for (size_t d = 0; d < n; d++)
                    known = known || done[d] == p;
                if (known)
                    continue;
                uint16_t port = done[n++] = (uint16_t)p;
                int r = add(plan, s, l, ROOM_LISTEN_PORT, false, &port);
                if (r == 0 && v6)
                    r = add(plan, s, l, ROOM_LISTEN_PORT, true, &port);
                if (r < 0)
                    return r;
            }
        }
    }
    return 0;
}

static int add_tproxy(const struct room_plan *plan, struct room_state *s, struct listeners *l, bool v6)
{
    uint16_t port4 = 0, port6 = 0;
    const size_t before = l->count;
    int r = add(plan, s, l, ROOM_LISTEN_TPROXY, false, &port4);
    if (r == 0 && v6)
        r = add(plan, s, l, ROOM_LISTEN_TPROXY, true, &port6);
    if (r == 0)
        r = set_rule(htons(port4), htons(port6));
    for (size_t i = before; r < 0 && i < l->count; i++)
        fd_close(&l->fds[i]);
    if (r < 0)
        l->count = before;
    return r;
}

int step_gate(const struct room_plan *plan, struct room_state *s)
{
    struct listeners l = {.count = 0};
    uint16_t dns = 53;
    FD_AUTO probe6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool v6 = probe6 >= 0;
    int r = set_routes(v6);
    for (int i = 0; r == 0 && i < (v6 ? 4 : 2); i++)
        r = add(plan, s, &l, i % 2 ? ROOM_LISTEN_DNS_TCP : ROOM_LISTEN_DNS_UDP, i >= 2, &dns);
    if (r < 0)
        return r;
    /* Best effort: no program of the room may send an echo request. */
    (void)fd_write_file(AT_FDCWD, "/proc/sys/net/ipv4/icmp_echo_ignore_all", "1");
    (void)fd_write_file(AT_FDCWD, "/proc/sys/net/ipv6/icmp/echo_ignore_all", "1");
    r = add_tproxy(plan, s, &l, v6);
    if (r < 0) {
        if (plan_requires(plan, LAYER_ID_GATE))
            return r;
        steps_degrade(s, LAYER_ID_GATE, LAYER_STATE_DEGRADED, -r);
        r = add_ports(plan, s, &l, v6);
    }
    return r < 0 ? r : hand_out(plan, s, &l, true);
}

/* The supervisor says so when the gate serves. What fails there fails the room. */
int step_served(const struct room_plan *plan, struct room_state *s)
{
    struct command c;
    (void)s;
    int r = fd_frame_recv(plan->ctl, &c, sizeof c, NULL, 0, 0);
    if (r < 0)
        return r;
    return c.type == COMMAND_SERVED ? 0 : -EBADMSG;
}
