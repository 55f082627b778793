/* answer: what the gate says to a question of the room.
 *
 * Lives in: strongroom-gate, its tests and its fuzzers. Trusts: the rules; no byte of the question. May: compute, take
 * pins. Must not: ask anybody. */
#include "gate/answer.h"
#include "gate/pins.h"

#include <errno.h>
#include <string.h>

#define TTL       300
#define CLASS_IN  1
#define CLASS_ANY 255

static bool every_name;

void answer_every_name(bool every)
{
    every_name = every;
}

bool answers_every_name(void)
{
    return every_name;
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0 && (n == m || name[n - m - 1] == '.');
}

/* Addresses for a type; a type that has none here is answered with "nothing of the kind". */
static size_t of_type(uint16_t type, const struct gate_addr *v4, const struct gate_addr *v6,
                      struct gate_addr ret[2])
{
    size_t n = 0;

    if (type == DNS_A || type == DNS_ANY)
        ret[n++] = *v4;
    if (type == DNS_AAAA || type == DNS_ANY)
        ret[n++] = *v6;
    return n;
}

size_t answer_make(const struct egress_rules *rules, const uint8_t *packet, size_t size, uint8_t *out,
                   enum answer_told *ret_told, char ret_name[DNS_NAME_MAX])
{
    static const struct gate_addr here4 = {.size = 4, .bytes = {127, 0, 0, 1}};
    static const struct gate_addr here6 = {.size = 16, .bytes = {[15] = 1}};
    struct dns_question q;
    struct gate_addr addrs[2];
    char name[EGRESS_NAME_MAX];
    size_t count = 0;

    *ret_told = ANSWER_QUIET;
    int r = dns_question_parse(packet, size, &q);
    if (r == -EBADMSG)
        return 0;
    if (r < 0)
        return dns_answer_write(packet, &q, r == -ENOSYS ? DNS_NOTIMP : DNS_FORMERR, NULL, 0, 0, out);
    memcpy(ret_name, q.name, DNS_NAME_MAX);
    if (q.class != CLASS_IN && q.class != CLASS_ANY)
        return dns_answer_write(packet, &q, DNS_REFUSED, NULL, 0, 0, out);
    if (ends_in(q.name, "localhost")) { /* RFC 6761 6.3 */
        count = of_type(q.type, &here4, &here6, addrs);
        return dns_answer_write(packet, &q, DNS_NOERROR, addrs, count, TTL, out);
    }
    bool clean = egress_name_clean(q.name, strlen(q.name), name) == 0;
    if (!clean || !(every_name || egress_knows_name(rules, name))) {
        /* Programs ask for the names of addresses, and for the root, by themselves: not worth a record. */
        if (q.name[0] != '\0' && !ends_in(q.name, "arpa"))
            *ret_told = clean ? ANSWER_DENIED : ANSWER_BAD_NAME;
        return dns_answer_write(packet, &q, DNS_NXDOMAIN, NULL, 0, 0, out);
    }
    if (q.type == DNS_A || q.type == DNS_AAAA || q.type == DNS_ANY) {
        unsigned pin = pins_of(name);
        struct gate_addr v4 = pins_v4(pin), v6 = pins_v6(pin);
        count = of_type(q.type, &v4, &v6, addrs);
    }
    return dns_answer_write(packet, &q, DNS_NOERROR, addrs, count, TTL, out);
}
