/* gate_link: where nftables is missing, the gate's sockets wait in a second network, so that the room's stays free.
 *
 * Theory of operation. A second network namespace is joined to the room's by a veth pair, and by nothing else. The room
 * sends what is not its own through the pair; there, routes of the type "local" make every address of both families
 * that namespace's, so that a connection to anywhere arrives at the listener for its port, and nothing is ever passed
 * on. No process is in it: it lives as long as the sockets that the gate holds, and the pair goes with it. What is for
 * the room's own addresses never leaves the room, and all of its ports are free.
 *
 * Both ends have one hardware address and ask nobody for one (NOARP), and the room sends to a next hop: the kernel's
 * table of neighbours is one for the whole host, and holds one row for us and not one for each address that a program
 * tries. No end makes itself an address, so there is nothing to detect or to wait for.
 *
 * Ports that no rule lists are refused by that namespace; raw sockets there show the gate who asked for one, and it
 * tells the denial. Some usual ones are listened to where rules may come later, and sockets for others are made ahead:
 * only from in there can they be made.
 *
 * Lives in: the room's pid 1, while it has every capability over its own namespaces. Trusts: the plan.
 * Must not: malloc, stdio, stay in the other namespace. */
#include "room/gate_link.h"
#include "room/gate_rule.h"
#include "room/netlink.h"
#include "room/steps.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

enum { PORTS_MAX = 64, SPARES = 32 };
enum { INDEX = 57, MTU = 65535, NO_ADDRESSES = 1 /* IN6_ADDR_GEN_MODE_NONE */ };
enum { TRIES = 40, TRY_MS = 10 };

static const uint8_t own4[4] = GATE_OWN4, own6[16] = GATE_OWN6, hop4[4] = {198, 18, 0, 2},
                     hop6[16] = {0xfe, 0x80, [15] = 1}, far6[16] = {0xfd, 0x57, [15] = 2};
/* What programs use most, for rooms whose rules are not all known yet. */
static const uint16_t usual[] = {22, 80, 443, 3306, 5432, 6379, 8080, 8443, 9418, 27017};

static_assert(4 + 4 + 2 + PORTS_MAX + sizeof usual / sizeof *usual + SPARES <= GATE_OPEN_MAX,
              "all of them fit");

/* --- words of rtnetlink --------------------------------------------------------------------------------------- */

static void put_u32(struct nl *n, uint16_t type, uint32_t v)
{
    nl_put(n, type, &v, sizeof v);
}

static void put_end(struct nl *n, const char *name)
{
    static const uint8_t hardware[6] = {0x02, 0x57, [5] = 1};
    nl_put(n, IFLA_IFNAME, name, strlen(name) + 1);
    nl_put(n, IFLA_ADDRESS, hardware, sizeof hardware);
    put_u32(n, IFLA_MTU, MTU);
    put_u32(n, IFLA_NUM_TX_QUEUES, 1);
    put_u32(n, IFLA_NUM_RX_QUEUES, 1);
}

/* The pair: one end here, the other one in the namespace `room`. Both are down. */
static void put_pair(struct nl *n, int room)
{
    const struct ifinfomsg end = {.ifi_index = INDEX, .ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};
    nl_begin(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &end, sizeof end);
    put_end(n, "room");
    size_t info = nl_nest(n, IFLA_LINKINFO);
    nl_put(n, IFLA_INFO_KIND, "veth", sizeof "veth");
    size_t data = nl_nest(n, IFLA_INFO_DATA), peer = nl_nest(n, VETH_INFO_PEER);
    nl_raw(n, &end, sizeof end);
    put_end(n, "gate");
    put_u32(n, IFLA_NET_NS_FD, (uint32_t)room);
    nl_unnest(n, peer);
    nl_unnest(n, data);
    nl_unnest(n, info);
    nl_end(n);
}

static void put_no_addresses(struct nl *n)
{
    const struct ifinfomsg end = {.ifi_index = INDEX};
    const uint8_t mode = NO_ADDRESSES;
    nl_begin(n, RTM_SETLINK, 0, &end, sizeof end);
    size_t families = nl_nest(n, IFLA_AF_SPEC), six = nl_nest(n, AF_INET6);
    nl_put(n, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
    nl_unnest(n, six);
    nl_unnest(n, families);
    nl_end(n);
}

static void put_up(struct nl *n)
{
    const struct ifinfomsg end = {.ifi_index = INDEX, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    nl_begin(n, RTM_SETLINK, 0, &end, sizeof end);
    nl_end(n);
}

/* Newer kernels make an end ready when it is asked for, others soon. */
static void put_question(struct nl *n)
{
    const struct ifinfomsg end = {.ifi_index = INDEX};
    nl_begin(n, RTM_GETLINK, 0, &end, sizeof end);
    nl_end(n);
}

/* Refusals of IPv6 come from an address that the far end has; those of IPv4 do not need one. */
static void put_far_address(struct nl *n)
{
    const struct ifaddrmsg a = {
        .ifa_family = AF_INET6, .ifa_prefixlen = 128, .ifa_flags = IFA_F_NODAD, .ifa_index = INDEX};
    nl_begin(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &a, sizeof a);
    nl_put(n, IFA_LOCAL, far6, sizeof far6);
    nl_put(n, IFA_ADDRESS, far6, sizeof far6);
    nl_end(n);
}

struct route {
    uint8_t family, table, type, scope;
    const uint8_t *to, *hop, *source; /* NULL: everywhere; none; none */
};

static void put_route(struct nl *n, const struct route *x)
{
    const size_t len = x->family == AF_INET ? sizeof own4 : sizeof own6;
    const struct rtmsg r = {.rtm_family = x->family,
                            .rtm_dst_len = (uint8_t)(x->to ? len * 8 : 0),
                            .rtm_table = x->table,
                            .rtm_protocol = RTPROT_STATIC,
                            .rtm_scope = x->scope,
                            .rtm_type = x->type,
                            .rtm_flags = x->hop && x->family == AF_INET ? RTNH_F_ONLINK : 0};
    nl_begin(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &r, sizeof r);
    if (x->to)
        nl_put(n, RTA_DST, x->to, len);
    put_u32(n, RTA_OIF, INDEX);
    if (x->hop)
        nl_put(n, RTA_GATEWAY, x->hop, len);
    if (x->source)
        nl_put(n, RTA_PREFSRC, x->source, len);
    nl_end(n);
}

/* --- the two ends --------------------------------------------------------------------------------------------- */

static void put_far_routes(struct nl *n, bool v6)
{
    const struct route rows[] = {{AF_INET, RT_TABLE_LOCAL, RTN_UNICAST, RT_SCOPE_LINK, own4, NULL, NULL},
                                 {AF_INET, RT_TABLE_LOCAL, RTN_LOCAL, RT_SCOPE_HOST, NULL, NULL, NULL},
                                 {AF_INET6, RT_TABLE_LOCAL, RTN_UNICAST, RT_SCOPE_LINK, own6, NULL, NULL},
                                 {AF_INET6, RT_TABLE_LOCAL, RTN_LOCAL, RT_SCOPE_HOST, NULL, NULL, NULL}};
    for (size_t i = 0; i < (v6 ? 4 : 2); i++)
        put_route(n, &rows[i]);
}

static void put_near_routes(struct nl *n, bool v6)
{
    const struct route rows[] = {{AF_INET, RT_TABLE_MAIN, RTN_UNICAST, RT_SCOPE_UNIVERSE, NULL, hop4, own4},
                                 {AF_INET6, RT_TABLE_MAIN, RTN_UNICAST, RT_SCOPE_UNIVERSE, NULL, hop6, own6}};
    for (size_t i = 0; i < (v6 ? 2 : 1); i++)
        put_route(n, &rows[i]);
}

/* `near` and `far` are netlink sockets, which speak to the network that they were made in. What comes up second is
 * ready at once; the other end hears of it by the question. */
static int join(int near, int far, int room, bool v6)
{
    struct nl n;
    nl_init(&n);
    put_pair(&n, room);
    if (v6)
        put_no_addresses(&n);
    int r = nl_talk_on(&n, far);
    nl_init(&n);
    if (v6)
        put_no_addresses(&n);
    put_up(&n);
    r = r < 0 ? r : nl_talk_on(&n, near);
    nl_init(&n);
    put_up(&n);
    if (v6)
        put_far_address(&n);
    put_far_routes(&n, v6);
    r = r < 0 ? r : nl_talk_on(&n, far);
    nl_init(&n);
    put_question(&n);
    put_near_routes(&n, v6);
    return r < 0 ? r : nl_talk_on(&n, near);
}

/* --- what waits at the far end -------------------------------------------------------------------------------- */

/* All of these are best effort: nobody in the room may send an echo request; what is refused is to be refused each
 * time, as on loopback, without the kernel's bounds of one peer (ratelimit) and of all together (what a mask names). */
static void set_words(void)
{
    static const char *const words[][2] = {
        {"/proc/sys/net/ipv4/icmp_echo_ignore_all", "1"}, {"/proc/sys/net/ipv6/icmp/echo_ignore_all", "1"},
        {"/proc/sys/net/ipv4/icmp_ratelimit", "0"},       {"/proc/sys/net/ipv4/icmp_ratemask", "0"},
        {"/proc/sys/net/ipv6/icmp/ratelimit", "0"},       {"/proc/sys/net/ipv6/icmp/ratemask", "0"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        (void)fd_write_file(AT_FDCWD, words[i][0], words[i][1]);
}

static int open_ports(const struct room_plan *plan, struct gate_listeners *l, bool v6)
{
    const enum gate_family family = v6 ? GATE_BOTH : GATE_V4;
    uint16_t ports[PORTS_MAX + sizeof usual / sizeof *usual];
    size_t count = gate_listen_ports(&plan->policy->egress, ports, PORTS_MAX);
    const size_t listed = count;
    for (size_t i = 0; plan->gate_open_ports && i < sizeof usual / sizeof *usual; i++) {
        bool known = false;
        for (size_t k = 0; k < listed; k++)
            known = known || ports[k] == usual[i];
        if (!known)
            ports[count++] = usual[i];
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = gate_listen_add(l, ROOM_LISTEN_PORT, family, &ports[i]);
    for (int i = 0; r == 0 && plan->gate_open_ports && i < SPARES; i++)
        r = gate_listen_add(l, ROOM_LISTEN_SPARE, family, NULL);
    return r;
}

/* A raw socket that gets the head of each TCP packet that comes in and begins a connection, or -errno: of IPv4 from its
 * IP header on, of IPv6 behind it, with the address beside it. A packet socket would be one for both, but the kernel
 * takes ten milliseconds to close one. */
static int see_first_packets(bool v6)
{
    enum { HEAD = 96, FLAGS = 13, SYN = 2, SYN_ACK = 0x12 };
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* the IP header's length */
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, HEAD),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    const int on = 1;
    if (v6)
        filter[0] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0);
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) == 0 &&
        (!v6 || setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0))
        return fd;
    const int r = -errno;
    fd_close(&fd);
    return r;
}

/* Without it only the record is poorer. */
static void see(struct room_state *s, struct gate_listeners *l, bool v6)
{
    for (int i = 0; i < (v6 ? 2 : 1) && s->report.unseen == 0; i++) {
        int fd = see_first_packets(i == 1);
        int r = fd < 0 ? fd : gate_listen_keep(l, ROOM_LISTEN_SEEN, fd);
        if (r < 0)
            fd_close(&fd);
        s->report.unseen = -r;
    }
}

/* Makes the namespace and what is in it, from the inside, and leaves it. -errno: it could not be left. */
static int visit(const struct room_plan *plan, struct room_state *s, struct gate_listeners *l, bool v6,
                 int room, int *ret_far, int *ret_why)
{
    int r = unshare(CLONE_NEWNET) < 0 ? -errno : 0;
    if (r < 0) {
        *ret_why = -r;
        return 0;
    }
    set_words();
    int far = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    r = far < 0 ? -errno : gate_listen_dns(l, v6);
    r = r < 0 ? r : open_ports(plan, l, v6);
    if (r == 0)
        see(s, l, v6);
    *ret_far = far;
    *ret_why = -r;
    return setns(room, CLONE_NEWNET) < 0 ? -errno : 0;
}

/* --- is it so? ------------------------------------------------------------------------------------------------ */

/* One connection through the pair and back, to a resolver's address that is nobody's (RFC 5737, RFC 3849). */
static int try_once(bool v6)
{
    const struct sockaddr_in a4 = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0xc0000201)};
    const struct sockaddr_in6 a6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_addr = {{{0x20, 0x01, 0x0d, 0xb8, [15] = 1}}}};
    const struct linger hard = {.l_onoff = 1};
    FD_AUTO fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); /* nothing of it is to wait for a time */
    int r = v6 ? connect(fd, (const struct sockaddr *)&a6, sizeof a6)
               : connect(fd, (const struct sockaddr *)&a4, sizeof a4);
    if (r == 0 || errno != EINPROGRESS)
        return r < 0 ? -errno : 0;
    if (poll(&p, 1, TRY_MS) == 0)
        return -ETIMEDOUT;
    return p.revents & (POLLERR | POLLHUP) ? -ECONNREFUSED : 0;
}

static int try_it(bool v6)
{
    int r = -ETIMEDOUT;
    for (int i = 0; r == -ETIMEDOUT && i < TRIES; i++)
        r = try_once(v6);
    return r;
}

int gate_link(const struct room_plan *plan, struct room_state *s, struct gate_listeners *l, bool v6,
              int *ret_why)
{
    const size_t before = l->count;
    FD_AUTO room = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    FD_AUTO near = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    FD_AUTO far = -1;
    if (room < 0 || near < 0) {
        *ret_why = errno;
        return 0;
    }
    int r = visit(plan, s, l, v6, room, &far, ret_why);
    if (r == 0 && *ret_why == 0)
        *ret_why = -join(near, far, room, v6);
    if (r == 0 && *ret_why == 0)
        *ret_why = -try_it(false);
    if (r == 0 && *ret_why == 0 && v6)
        *ret_why = -try_it(true);
    if (r < 0 || *ret_why != 0)
        gate_listen_drop(l, before);
    return r;
}
