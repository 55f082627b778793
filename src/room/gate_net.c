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
 * Where nftables is missing, one listener for each allowed port stands in, and the layer counts as degraded. These wait
 * behind a link (gate_link.c), or, where there is none either, in the room's own network, whose servers lack the ports.
 *
 * Lives in: the room's pid 1, while it has every capability over its own namespaces. Trusts: the plan.
 * Must not: malloc, stdio, leave a listener behind for the program. */
#include "room/gate_link.h"
#include "room/gate_listen.h"
#include "room/gate_rule.h"
#include "room/netlink.h"
#include "room/steps.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { LO = 1, PORTS_MAX = 24 };

static const uint8_t own4[4] = GATE_OWN4, own6[16] = GATE_OWN6;

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

/* `type`: RTM_NEWROUTE, RTM_DELROUTE. */
static void put_route(struct nl *n, uint16_t type, uint8_t family, const uint8_t *source, size_t len)
{
    struct rtmsg r = {.rtm_family = family,
                      .rtm_table = RT_TABLE_LOCAL,
                      .rtm_protocol = RTPROT_STATIC,
                      .rtm_scope = RT_SCOPE_HOST,
                      .rtm_type = RTN_LOCAL};
    const uint32_t lo = LO;
    nl_begin(n, type, type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_REPLACE : 0, &r, sizeof r);
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
    put_route(&n, RTM_NEWROUTE, AF_INET, own4, sizeof own4);
    if (v6)
        put_route(&n, RTM_NEWROUTE, AF_INET6, own6, sizeof own6);
    return nl_talk(&n, NETLINK_ROUTE);
}

/* The addresses stay. */
static int clear_routes(bool v6)
{
    struct nl n;
    nl_init(&n);
    put_route(&n, RTM_DELROUTE, AF_INET, own4, sizeof own4);
    if (v6)
        put_route(&n, RTM_DELROUTE, AF_INET6, own6, sizeof own6);
    return nl_talk(&n, NETLINK_ROUTE);
}

/* --- the ways to the gate -------------------------------------------------------------------------------- */

/* The socket that tells what the kernel refused; without it the kernel refuses nothing. */
static bool add_refused(const struct room_plan *plan, struct gate_listeners *l)
{
    int fd = plan->gate_open_ports ? -1 : gate_rule_refused();
    if (fd < 0 || gate_listen_keep(l, ROOM_LISTEN_REFUSED, fd) < 0) {
        fd_close(&fd);
        return false;
    }
    return true;
}

static int add_tproxy(const struct room_plan *plan, struct gate_listeners *l, bool v6)
{
    struct gate_rule rule = {.rules = &plan->policy->egress};
    const size_t before = l->count;
    int r = gate_listen_add(l, ROOM_LISTEN_TPROXY, GATE_V4, &rule.port4);
    if (r == 0 && v6)
        r = gate_listen_add(l, ROOM_LISTEN_TPROXY, GATE_V6, &rule.port6);
    if (r == 0) {
        rule.refuse = add_refused(plan, l);
        r = gate_rule_set(&rule);
    }
    if (r < 0 && rule.refuse) { /* a kernel may lack what refusing needs, and have the rest */
        gate_listen_drop(l, l->count - 1);
        rule.refuse = false;
        r = gate_rule_set(&rule);
    }
    if (r < 0)
        gate_listen_drop(l, before);
    return r;
}

/* One listener for each port that some rule allows, in the room's own network. */
static int add_ports(const struct room_plan *plan, struct gate_listeners *l, bool v6)
{
    uint16_t ports[PORTS_MAX];
    const size_t count = gate_listen_ports(&plan->policy->egress, ports, PORTS_MAX);
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = gate_listen_add(l, ROOM_LISTEN_PORT, GATE_V4, &ports[i]);
        if (r == 0 && v6)
            r = gate_listen_add(l, ROOM_LISTEN_PORT, GATE_V6, &ports[i]);
    }
    return r;
}

static int do_without(const struct room_plan *plan, struct room_state *s, struct gate_listeners *l, bool v6)
{
    int why = 0, r = clear_routes(v6);
    if (r == 0)
        r = gate_link(plan, s, l, v6, &why);
    if (r < 0 || why == 0)
        return r;
    s->report.unlinked = why;
    r = set_routes(v6);
    return r < 0 ? r : add_ports(plan, l, v6);
}

int step_gate(const struct room_plan *plan, struct room_state *s)
{
    struct gate_listeners l;
    FD_AUTO probe6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool v6 = probe6 >= 0;
    l.count = 0;
    int r = set_routes(v6);
    r = r < 0 ? r : gate_listen_dns(&l, v6);
    if (r < 0)
        return r;
    /* Best effort: no program of the room may send an echo request. */
    (void)fd_write_file(AT_FDCWD, "/proc/sys/net/ipv4/icmp_echo_ignore_all", "1");
    (void)fd_write_file(AT_FDCWD, "/proc/sys/net/ipv6/icmp/echo_ignore_all", "1");
    r = add_tproxy(plan, &l, v6);
    if (r < 0) {
        if (plan_requires(plan, LAYER_ID_GATE))
            return r;
        steps_degrade(s, LAYER_ID_GATE, LAYER_STATE_DEGRADED, -r);
        r = do_without(plan, s, &l, v6);
    }
    return r < 0 ? r : gate_listen_hand_out(plan, s, &l, plan->unix_count == 0);
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
