/* gate_net: makes the room's network such that every peer is the gate.
 *
 * Theory of operation. The room's network namespace has nothing but loopback. Two routes of the type "local" make every
 * address of both families this machine's own, so that a connection to anywhere arrives here; an nftables rule (TPROXY)
 * gives each new one to one listening socket, whose accepted sockets still know the address that was meant. Questions
 * for names arrive at port 53 of any address in the same way. The listeners are handed to the supervisor, which gives
 * them to the gate, a process outside: it accepts in here, decides, and dials from there. What goes to loopback
 * addresses and to the room's own address is left alone, so servers inside the room work as ever. What no rule could
 * open is refused by the kernel (gate_rule.c), and told to the gate through one more socket.
 *
 * Without a preferred source both ends of a connection could get the same address and meet themselves.
 *
 * Where nftables is missing, one listener for each allowed port stands in, and the layer counts as degraded.
 *
 * Lives in: the room's pid 1, while it has every capability over its own namespaces. Trusts: the plan.
 * Must not: malloc, stdio, leave a listener behind for the program. */
#include "policy/egress.h"
#include "room/gate_rule.h"
#include "room/netlink.h"
#include "room/steps.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Constants that musl's headers lack (linux/in.h, linux/in6.h). */
enum { SO_IP_TRANSPARENT = 19, SO_IPV6_TRANSPARENT = 75, SO_IPV6_FREEBIND = 78 };
enum { LO = 1, PORTS_MAX = 24, BACKLOG = 512 };

static const uint8_t own4[4] = GATE_OWN4, own6[16] = GATE_OWN6, loop6[16] = {[15] = 1};

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

/* The socket that tells what the kernel refused; without it the kernel refuses nothing. */
static bool add_refused(const struct room_plan *plan, struct room_state *s, struct listeners *l)
{
    if (plan->gate_open_ports || (l->count == FD_FRAME_FDS_MAX && hand_out(plan, s, l, false) < 0))
        return false;
    int fd = gate_rule_refused();
    if (fd < 0)
        return false;
    l->kinds[l->count] = ROOM_LISTEN_REFUSED;
    l->fds[l->count++] = fd;
    return true;
}

static int add_tproxy(const struct room_plan *plan, struct room_state *s, struct listeners *l, bool v6)
{
    struct gate_rule rule = {.rules = &plan->policy->egress};
    int r = l->count + 3 > FD_FRAME_FDS_MAX ? hand_out(plan, s, l, false) : 0;
    const size_t before = l->count;
    if (r == 0)
        r = add(plan, s, l, ROOM_LISTEN_TPROXY, false, &rule.port4);
    if (r == 0 && v6)
        r = add(plan, s, l, ROOM_LISTEN_TPROXY, true, &rule.port6);
    if (r == 0) {
        rule.refuse = add_refused(plan, s, l);
        r = gate_rule_set(&rule);
    }
    if (r < 0 && rule.refuse) { /* a kernel may lack what refusing needs, and have the rest */
        fd_close(&l->fds[--l->count]);
        rule.refuse = false;
        r = gate_rule_set(&rule);
    }
    while (r < 0 && l->count > before)
        fd_close(&l->fds[--l->count]);
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
    return r < 0 ? r : hand_out(plan, s, &l, plan->unix_count == 0);
}

/* The supervisor says so when the gate serves. What fails there fails the room. */
int step_served(const struct room_plan *plan, struct room_state *s)
{
    struct command c;
    (void)s;
    if (!plan->gate_serves)
        return 0;
    int r = fd_frame_recv(plan->ctl, &c, sizeof c, NULL, 0, 0);
    if (r < 0)
        return r;
    return c.type == COMMAND_SERVED ? 0 : -EBADMSG;
}
