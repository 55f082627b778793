/* dns: packets of RFC 1035, both ways. Pure: bytes in, plain memory out.
 *
 * A name in text is lower case, without the final dot, escaped: bytes other than letters, digits, - and _ in a label
 * are
 * \DDD. A name whose text does not fit DNS_NAME_MAX is "bad": nobody has a rule for it. */
#ifndef GATE_DNS_H
#define GATE_DNS_H

#include "gate/addr.h"

#include <stddef.h>

#define DNS_NAME_MAX   256 /* text with the final NUL */
#define DNS_PACKET_MAX 1232
#define DNS_ADDRS_MAX  16

enum { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41, DNS_ANY = 255 };
enum {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5
};

struct dns_question {
    uint16_t id, flags, type, class;
    bool edns;  /* the asker has an OPT record: so gets the answer */
    size_t end; /* bytes of header and question, to be sent back as they came */
    char name[DNS_NAME_MAX];
};

/* Reads a query. 0: `ret` is whole. -EPROTO: something to which FORMERR is the answer (only id and flags are set, end
 * is 12). -ENOSYS: another opcode (likewise; NOTIMP). -EBADMSG: not a query at all, to be ignored. */
int dns_question_parse(const uint8_t *packet, size_t size, struct dns_question *ret);

/* Writes the answer to the query in `packet` (as parsed into `q`): rcode and the addresses of `q->type`'s family.
 * Returns its length. `out` has DNS_PACKET_MAX bytes. */
size_t dns_answer_write(const uint8_t *packet, const struct dns_question *q, unsigned rcode,
                        const struct gate_addr *addrs, size_t count, uint32_t ttl, uint8_t *out);

/* Writes a query for `name`. Returns its length, or -EINVAL when the text is no name. */
int dns_query_write(uint16_t id, const char *name, uint16_t type, uint8_t out[DNS_PACKET_MAX]);

#define DNS_MIX_BYTES 32 /* a bit for each byte of a name */
/* Swaps the case of the letters of a query's name whose bit is set: a server repeats them as they are, and who guesses
 * an answer has to guess them too. `query` is as dns_query_write() left it. */
void dns_query_mix(uint8_t *query, const uint8_t bits[DNS_MIX_BYTES]);
/* Does the answer repeat the name of the query byte for byte? */
bool dns_result_repeats(const uint8_t *packet, size_t size, const uint8_t *query);

struct dns_result {
    unsigned rcode;
    bool truncated; /* ask again over TCP; the rest is not set */
    uint32_t ttl;   /* the least of the records used */
    size_t count;
    struct gate_addr addrs[DNS_ADDRS_MAX];
};

/* Reads the answer to the query that dns_query_write() made, and follows aliases within it. -EBADMSG: not an answer to
 * this query (go on waiting); -EPROTO: it is, and it is broken. */
int dns_result_parse(const uint8_t *packet, size_t size, uint16_t id, const char *name, uint16_t type,
                     struct dns_result *ret);

#endif
