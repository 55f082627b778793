/* gate_listen: see gate_listen.h. A socket belongs for ever to the network in which it was made, so what is made here
 * accepts there for the gate, which lives elsewhere.
 *
 * Lives in: the room's pid 1, while it has every capability over its own namespaces. Trusts: the plan.
 * Must not: malloc, stdio, leave a listener behind for the program. */
#include "room/gate_listen.h"
#include "policy/egress.h"
#include "room/steps.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Constants that musl's headers lack (linux/in.h, linux/in6.h). */
enum { SO_IP_TRANSPARENT = 19, SO_IPV6_TRANSPARENT = 75, SO_IPV6_FREEBIND = 78 };
enum { BACKLOG = 512 };

static int set_on(int fd, int level, int option)
{
    const int one = 1;
    return setsockopt(fd, level, option, &one, sizeof one) < 0 ? -errno : 0;
}

static int mark(int fd, enum gate_family family, enum room_listener kind)
{
    const bool v6 = family != GATE_V4, udp = kind == ROOM_LISTEN_DNS_UDP;
    const int both = 0;
    int r = 0;
    if (family == GATE_V6)
        r = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (family == GATE_BOTH) /* the host's default may be another */
        r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both) < 0 ? -errno : 0;
    if (r == 0 && !udp)
        r = set_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (r == 0 && kind == ROOM_LISTEN_TPROXY)
        r = v6 ? set_on(fd, IPPROTO_IPV6, SO_IPV6_TRANSPARENT) : set_on(fd, IPPROTO_IP, SO_IP_TRANSPARENT);
    if (r == 0 && udp) /* answers leave from whatever address was asked */
        r = v6 ? set_on(fd, IPPROTO_IPV6, SO_IPV6_FREEBIND) : set_on(fd, IPPROTO_IP, IP_FREEBIND);
    if (r == 0 && udp)
        r = v6 ? set_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) : set_on(fd, IPPROTO_IP, IP_PKTINFO);
    return r;
}

static int bind_to(int fd, bool v6, enum room_listener kind, uint16_t *port)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(*port)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
    socklen_t len = v6 ? sizeof a6 : sizeof a4;
    struct sockaddr *a = v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
    if (kind == ROOM_LISTEN_TPROXY) {
        a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
    }
    if (bind(fd, a, len) < 0 || (kind != ROOM_LISTEN_DNS_UDP && listen(fd, BACKLOG) < 0) ||
        getsockname(fd, a, &len) < 0)
        return -errno;
    *port = ntohs(v6 ? a6.sin6_port : a4.sin_port);
    return 0;
}

int gate_listen_keep(struct gate_listeners *l, enum room_listener kind, int fd)
{
    if (l->count == GATE_OPEN_MAX)
        return -ENOSPC;
    l->kinds[l->count] = (uint8_t)kind;
    l->fds[l->count++] = fd;
    return 0;
}

int gate_listen_add(struct gate_listeners *l, enum room_listener kind, enum gate_family family,
                    uint16_t *port)
{
    const int type = kind == ROOM_LISTEN_DNS_UDP ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(family == GATE_V4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int r = mark(fd, family, kind);
    if (r == 0 && kind != ROOM_LISTEN_SPARE)
        r = bind_to(fd, family != GATE_V4, kind, port);
    if (r == 0)
        r = gate_listen_keep(l, kind, fd);
    if (r < 0)
        fd_close(&fd);
    return r;
}

int gate_listen_dns(struct gate_listeners *l, bool v6)
{
    uint16_t port = 53;
    int r = 0;
    for (int i = 0; r == 0 && i < (v6 ? 4 : 2); i++)
        r = gate_listen_add(l, i % 2 ? ROOM_LISTEN_DNS_TCP : ROOM_LISTEN_DNS_UDP, i >= 2 ? GATE_V6 : GATE_V4,
                            &port);
    return r;
}

void gate_listen_drop(struct gate_listeners *l, size_t keep)
{
    while (l->count > keep)
        fd_close(&l->fds[--l->count]);
}

int gate_listen_hand_out(const struct room_plan *plan, struct room_state *s, struct gate_listeners *l,
                         bool last)
{
    int r = 0;
    size_t at = 0;
    s->report.type = REPORT_LISTENERS;
    do {
        const size_t left = l->count - at, n = left < FD_FRAME_FDS_MAX ? left : FD_FRAME_FDS_MAX;
        s->report.fds = (uint32_t)n;
        s->report.status = last && n == left;
        memset(s->report.listeners, 0, sizeof s->report.listeners);
        memcpy(s->report.listeners, l->kinds + at, n);
        r = fd_frame_send(plan->ctl, &s->report, sizeof s->report, l->fds + at, n, 0);
        at += n;
    } while (r == 0 && at < l->count);
    gate_listen_drop(l, 0);
    s->report.fds = 0;
    s->report.status = 0;
    return r;
}

size_t gate_listen_ports(const struct egress_rules *rules, uint16_t *ret, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const struct egress_rule *x = &rules->rules[i];
        for (size_t k = 0; !x->deny && k < x->port_count; k++) {
            for (unsigned p = x->ports[k].from; p <= x->ports[k].to && n < max; p++) {
                bool known = p == 53;
                for (size_t d = 0; d < n; d++)
                    known = known || ret[d] == p;
                if (!known)
                    ret[n++] = (uint16_t)p;
            }
        }
    }
    return n;
}
