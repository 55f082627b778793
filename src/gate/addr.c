/* addr: an address of either family as plain bytes.
 *
 * Lives in: strongroom-gate. Trusts: nothing. May: compute. Must not: look anything up. */
#include "gate/addr.h"
#include "gate/frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

bool addr_equal(const struct gate_addr *a, const struct gate_addr *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

int addr_from_sock(const struct sockaddr_storage *from, struct gate_addr *ret, uint16_t *ret_port)
{
    struct gate_addr a = {0};

    if (from->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        a.size = 4;
        memcpy(a.bytes, &in.sin_addr, 4);
        *ret_port = ntohs(in.sin_port);
    } else if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, from, sizeof in6);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
            a.size = 4;
            memcpy(a.bytes, in6.sin6_addr.s6_addr + 12, 4);
        } else {
            a.size = 16;
            memcpy(a.bytes, &in6.sin6_addr, 16);
        }
        *ret_port = ntohs(in6.sin6_port);
    } else {
        return -EAFNOSUPPORT;
    }
    *ret = a;
    return 0;
}

socklen_t addr_to_sock(const struct gate_addr *a, uint16_t port, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (a->size == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, a->bytes, 4);
        memcpy(ret, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&in6.sin6_addr, a->bytes, 16);
    memcpy(ret, &in6, sizeof in6);
    return sizeof in6;
}

void addr_put_scope(struct sockaddr_storage *to, uint32_t scope)
{
    struct sockaddr_in6 in6;

    memcpy(&in6, to, sizeof in6);
    in6.sin6_scope_id = scope;
    memcpy(to, &in6, sizeof in6);
}

int addr_parse(const char *s, struct gate_addr *ret)
{
    struct gate_addr a = {.size = 4};

    if (inet_pton(AF_INET, s, a.bytes) != 1) {
        a.size = 16;
        if (inet_pton(AF_INET6, s, a.bytes) != 1)
            return -EINVAL;
    }
    *ret = a;
    return 0;
}

struct egress_addr addr_egress(const struct gate_addr *a)
{
    struct egress_addr e;

    if (a->size == 4)
        return egress_addr_v4(a->bytes);
    memcpy(e.bytes, a->bytes, sizeof e.bytes);
    return e;
}

char *addr_text(const struct gate_addr *a, char *buf)
{
    buf[0] = '\0';
    if (a->size != 0)
        (void)inet_ntop(a->size == 4 ? AF_INET : AF_INET6, a->bytes, buf, GATE_ADDRESS_MAX);
    return buf;
}

bool addr_is_rooms_own(const struct gate_addr *a)
{
    static const uint8_t own4[4] = {198, 18, 0, 1}, own6[16] = {0xfd, 0x57, [15] = 1}, loop6[16] = {[15] = 1};

    return a->size == 4
               ? a->bytes[0] == 127 || memcmp(a->bytes, own4, sizeof own4) == 0
               : memcmp(a->bytes, loop6, sizeof loop6) == 0 || memcmp(a->bytes, own6, sizeof own6) == 0;
}
