/* netlink: one batch of requests to the kernel's network configuration, and its answers (netlink(7)).
 *
 * Lives in: the room's pid 1, over its own network namespace. Trusts: the kernel. Must not: malloc, wait for anything
 * but the kernel, which has put its answers there when the sending returns. */
#include "room/netlink.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void nl_init(struct nl *n)
{
    n->len = n->message = n->asked = 0;
    n->full = false;
}

/* Zeroed, aligned memory at the end; NULL when there is none, which the end will tell. */
static void *take(struct nl *n, size_t size)
{
    size_t whole = NLMSG_ALIGN(size);
    if (n->full || sizeof n->bytes - n->len < whole) {
        n->full = true;
        return NULL;
    }
    void *at = n->bytes + n->len;
    memset(at, 0, whole);
    n->len += whole;
    return at;
}

void nl_begin(struct nl *n, uint16_t type, uint16_t flags, const void *head, size_t size)
{
    n->message = n->len;
    struct nlmsghdr *h = take(n, NLMSG_HDRLEN);
    void *at = take(n, size);
    if (!h || !at)
        return;
    *h = (struct nlmsghdr){.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
    memcpy(at, head, size);
}

void nl_put(struct nl *n, uint16_t type, const void *value, size_t size)
{
    struct nlattr *a = take(n, NLA_HDRLEN + size);
    if (!a)
        return;
    *a = (struct nlattr){.nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = type};
    memcpy((unsigned char *)a + NLA_HDRLEN, value, size);
}

void nl_raw(struct nl *n, const void *value, size_t size)
{
    void *at = take(n, size);
    if (at)
        memcpy(at, value, size);
}

size_t nl_nest(struct nl *n, uint16_t type)
{
    size_t at = n->len;
    struct nlattr *a = take(n, NLA_HDRLEN);
    if (a)
        a->nla_type = type | NLA_F_NESTED;
    return at;
}

void nl_unnest(struct nl *n, size_t at)
{
    if (n->full)
        return;
    struct nlattr *a = (struct nlattr *)(void *)(n->bytes + at);
    a->nla_len = (uint16_t)(n->len - at);
}

void nl_end_quietly(struct nl *n)
{
    if (n->full)
        return;
    struct nlmsghdr *h = (struct nlmsghdr *)(void *)(n->bytes + n->message);
    h->nlmsg_len = (uint32_t)(n->len - n->message);
}

void nl_end(struct nl *n)
{
    nl_end_quietly(n);
    if (n->full)
        return;
    struct nlmsghdr *h = (struct nlmsghdr *)(void *)(n->bytes + n->message);
    h->nlmsg_flags |= NLM_F_ACK;
    n->asked++;
}

/* Counts the answers in one datagram. */
static int count(const unsigned char *bytes, size_t len, uint32_t *answers)
{
    while (len >= NLMSG_HDRLEN) {
        struct nlmsghdr h;
        int32_t code;
        memcpy(&h, bytes, sizeof h);
        if (h.nlmsg_len < NLMSG_HDRLEN || h.nlmsg_len > len)
            return -EBADMSG;
        if (h.nlmsg_type == NLMSG_ERROR && h.nlmsg_len >= NLMSG_HDRLEN + sizeof code) {
            memcpy(&code, bytes + NLMSG_HDRLEN, sizeof code);
            if (code < 0)
                return code;
            ++*answers;
        }
        size_t step = NLMSG_ALIGN(h.nlmsg_len);
        bytes += step;
        len = step < len ? len - step : 0;
    }
    return 0;
}

int nl_talk_on(struct nl *n, int s)
{
    _Alignas(8) unsigned char answer[8192];
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    uint32_t answers = 0;
    if (n->full)
        return -EMSGSIZE;
    if (sendto(s, n->bytes, n->len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        return -errno;
    while (answers < n->asked) {
        ssize_t got = recv(s, answer, sizeof answer, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno != EAGAIN ? -errno : -EPROTO;
        int r = count(answer, (size_t)got, &answers);
        if (r < 0)
            return r;
    }
    return 0;
}

int nl_talk(struct nl *n, int protocol)
{
    FD_AUTO s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    return s < 0 ? -errno : nl_talk_on(n, s);
}
