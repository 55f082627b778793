/* own: is an address the host's own, or otherwise no peer's?
 *
 * A public address may be the host's own: then what listens there may rely on not being asked from outside. The
 * kernel's routing table knows (a source address that the kernel chooses tells nothing: to a second address of an
 * interface it speaks from the first). Asked each time, for addresses come and go while a room lives.
 *
 * Lives in: strongroom-gate. Trusts: the kernel. May: ask for a route, over a socket opened before confinement.
 * Must not: wait (the kernel answers within the question). */
#include "gate/own.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define REPLY_MAX 1024
#define STALE_MAX 16 /* answers of older questions, should there be some */

static int sock = -1;
static uint32_t number;

int own_open(void)
{
    sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    return sock < 0 ? -errno : 0;
}

static int ask(const struct gate_addr *a)
{
    struct {
        struct nlmsghdr head;
        struct rtmsg route;
        struct rtattr attr;
        uint8_t to[16];
    } q = {
        .head = {.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = ++number},
        .route = {.rtm_family = a->size == 4 ? AF_INET : AF_INET6, .rtm_dst_len = (uint8_t)(a->size * 8)},
        .attr = {.rta_type = RTA_DST, .rta_len = (uint16_t)RTA_LENGTH(a->size)},
    };
    q.head.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof q.route) + RTA_LENGTH(a->size));
    memcpy(q.to, a->bytes, a->size);
    return send(sock, &q, q.head.nlmsg_len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What the kernel said to the last question: the type of the route, or -errno. */
static int hear(void)
{
    for (int i = 0; i < STALE_MAX; i++) {
        union {
            struct nlmsghdr head;
            uint8_t bytes[REPLY_MAX];
        } r;
        ssize_t n = recv(sock, &r, sizeof r, MSG_DONTWAIT);
        if (n < 0)
            return -errno;
        if ((size_t)n < NLMSG_LENGTH(sizeof(struct rtmsg)) || r.head.nlmsg_seq != number)
            continue;
        if (r.head.nlmsg_type == NLMSG_ERROR) {
            struct nlmsgerr e;
            memcpy(&e, NLMSG_DATA(&r.head), sizeof e.error);
            return e.error < 0 ? e.error : -EPROTO;
        }
        struct rtmsg route;
        memcpy(&route, NLMSG_DATA(&r.head), sizeof route);
        return r.head.nlmsg_type == RTM_NEWROUTE ? route.rtm_type : -EPROTO;
    }
    return -EPROTO;
}

bool own_is(const struct gate_addr *a)
{
    int r = ask(a);

    if (r == 0)
        r = hear();
    if (r == -ENETUNREACH || r == -EHOSTUNREACH)
        return false; /* no way there: the dial fails likewise, and says so */
    return r != RTN_UNICAST;
}
