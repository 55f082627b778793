/* ports: those that come with a later rule, where a room's gate has a listener for each (its kernel lacks nftables).
 *
 * Theory of operation. Only a socket that was made in the network behind the room's link accepts there
 * (room/gate_link.c). pid 1 made some ahead and keeps none; they wait here, bound to nothing. A rule that opens a port
 * without a listener takes one, binds it and has it handed to the gate, where it stays for the room's life: who
 * connects is judged by the rules of that moment. It is bound here, for the gate may bind nothing.
 *
 * Lives in: the supervisor. Trusts: pid 1's frames by size and kind only. Must not: wait. */
#include "engine/inner.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { SPARES_MAX = 64, BACKLOG = 512 };

static int spares[SPARES_MAX];
static size_t spare_count;
static uint8_t open_ports[65536 / 8];

static bool is_open(unsigned port)
{
    return open_ports[port / 8] >> port % 8 & 1;
}

static void note(unsigned port)
{
    open_ports[port / 8] |= (uint8_t)(1u << port % 8);
}

void ports_see(int listener)
{
    struct sockaddr_in6 a = {0};
    socklen_t len = sizeof a;
    if (getsockname(listener, (struct sockaddr *)&a, &len) == 0)
        note(ntohs(a.sin6_port)); /* it is where sockaddr_in has it */
}

int ports_keep(int spare)
{
    if (spare_count == SPARES_MAX)
        return -ENOSPC;
    spares[spare_count++] = spare;
    return 0;
}

void ports_end(void)
{
    while (spare_count > 0)
        fd_close(&spares[--spare_count]);
}

/* A listener for the port, which the caller closes, or -errno. A spare that could not be bound is of no more use. */
static int open_one(unsigned port)
{
    struct sockaddr_in6 a = {0};
    socklen_t len = sizeof a;
    if (spare_count == 0)
        return -EMFILE;
    int fd = spares[--spare_count];
    int r = getsockname(fd, (struct sockaddr *)&a, &len) < 0 ? -errno : 0;
    a.sin6_port = htons((uint16_t)port);
    if (r == 0 && (bind(fd, (const struct sockaddr *)&a, len) < 0 || listen(fd, BACKLOG) < 0))
        r = -errno;
    if (r == 0)
        return fd;
    fd_close(&fd);
    return r;
}

void ports_follow(struct room *r, const struct egress_rule *rule)
{
    for (size_t i = 0; !rule->deny && i < rule->port_count; i++) {
        for (unsigned p = rule->ports[i].from; p <= rule->ports[i].to && spare_count > 0; p++) {
            FD_AUTO fd = p == 53 || is_open(p) ? -1 : open_one(p);
            if (fd < 0)
                continue;
            note(p);
            gate_listen_port(r, fd);
        }
    }
}

bool ports_lack(const struct room *r, const struct egress_rule *rule)
{
    bool lack = false;
    if (rule->deny || r->result->report.layers[LAYER_ID_GATE].state != LAYER_STATE_DEGRADED)
        return false;
    for (size_t i = 0; i < rule->port_count; i++) {
        for (unsigned p = rule->ports[i].from; p <= rule->ports[i].to && !lack; p++)
            lack = p != 53 && !is_open(p);
    }
    return lack;
}
