/* dns: packets of RFC 1035, both ways.
 *
 * Lives in: strongroom-gate, its tests and its fuzzers. Trusts: no byte of a packet. May: compute.
 * Must not: follow a compression pointer forwards (so that following ends), write beyond what a bound names. */
#include "gate/dns.h"

#include <errno.h>
#include <string.h>

#define HEADER_SIZE  12
#define ALIASES_MAX  8
#define RECORDS_MAX  128
#define WIRE_MAX     255
#define QR           0x8000u
#define OPCODE       0x7800u
#define TC           0x0200u
#define RD           0x0100u
#define RA           0x0080u
#define CD           0x0010u
#define CLASS_IN     1
#define POINTER_SIZE 2

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint8_t *put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    return put16(put16(p, v >> 16), v & 0xffff);
}

/* Appends one byte of a label; false when the text is full. */
static bool text_put(char *text, size_t *len, uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        c = (uint8_t)(c + ('a' - 'A'));
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
        if (*len + 1 >= DNS_NAME_MAX)
            return false;
        text[(*len)++] = (char)c;
        return true;
    }
    if (*len + 4 >= DNS_NAME_MAX)
        return false;
    text[(*len)++] = '\\';
    text[(*len)++] = (char)('0' + c / 100);
    text[(*len)++] = (char)('0' + c / 10 % 10);
    text[(*len)++] = (char)('0' + c % 10);
    return true;
}

/* Reads a name at *at and moves *at behind it. A pointer must point before the place where the name (or the previous
 * jump's target) began, so there is an end. Returns 0, -EPROTO, or -ENAMETOOLONG (the place is set all the same). */
static int name_read(const uint8_t *packet, size_t size, size_t *at, char text[DNS_NAME_MAX])
{
    /* cppcheck-suppress duplicateAssignExpression ; both begin where the name does */
    size_t pos = *at, low = *at, len = 0, wire = 0, after = 0;
    bool fits = true;

    for (;;) {
        if (pos >= size)
            return -EPROTO;
        unsigned n = packet[pos];
        if ((n & 0xc0) == 0xc0) {
            if (pos + 1 >= size)
                return -EPROTO;
            size_t target = (n & 0x3fu) << 8 | packet[pos + 1];
            if (after == 0)
                after = pos + POINTER_SIZE;
            if (target >= low)
                return -EPROTO;
            pos = low = target;
            continue;
        }
        if ((n & 0xc0) != 0 || pos + 1 + n > size)
            return -EPROTO;
        wire += 1 + n;
        if (wire > WIRE_MAX)
            return -EPROTO;
        pos++;
        if (n == 0)
            break;
        if (len > 0 && fits) {
            if (len + 1 < DNS_NAME_MAX)
                text[len++] = '.';
            else
                fits = false;
        }
        for (unsigned i = 0; i < n && fits; i++)
            fits = text_put(text, &len, packet[pos + i]);
        pos += n;
    }
    text[fits ? len : 0] = '\0';
    *at = after != 0 ? after : pos;
    return fits ? 0 : -ENAMETOOLONG;
}

/* Is there an OPT record behind the question? What cannot be read is no OPT. */
static bool has_edns(const uint8_t *packet, size_t size, size_t at)
{
    unsigned records = (unsigned)get16(packet + 6) + get16(packet + 8) + get16(packet + 10);
    char text[DNS_NAME_MAX];

    for (unsigned i = 0; i < records && i < RECORDS_MAX; i++) {
        if (name_read(packet, size, &at, text) == -EPROTO || at + 10 > size)
            return false;
        if (get16(packet + at) == DNS_OPT)
            return true;
        at += 10u + get16(packet + at + 8);
    }
    return false;
}

int dns_question_parse(const uint8_t *packet, size_t size, struct dns_question *ret)
{
    struct dns_question q = {.end = HEADER_SIZE};

    if (size < HEADER_SIZE || (packet[2] & 0x80))
        return -EBADMSG;
    q.id = get16(packet);
    q.flags = get16(packet + 2);
    *ret = q;
    if (q.flags & OPCODE)
        return -ENOSYS;
    if (get16(packet + 4) != 1)
        return -EPROTO;
    size_t at = HEADER_SIZE;
    /* A name that does not fit has no rule, and its text would be of no use: refused like other nonsense. */
    if (name_read(packet, size, &at, q.name) < 0 || at + 4 > size || at - HEADER_SIZE > WIRE_MAX)
        return -EPROTO;
    q.type = get16(packet + at);
    q.class = get16(packet + at + 2);
    q.end = at + 4;
    q.edns = has_edns(packet, size, q.end);
    *ret = q;
    return 0;
}

size_t dns_answer_write(const uint8_t *packet, const struct dns_question *q, unsigned rcode,
                        const struct gate_addr *addrs, size_t count, uint32_t ttl, uint8_t *out)
{
    uint8_t *p = out;
    unsigned answers = 0;
    bool asked = q->end > HEADER_SIZE;

    p = put16(p, q->id);
    p = put16(p, QR | (q->flags & (OPCODE | RD | CD)) | RA | (rcode & 15));
    p += 8;
    if (asked) {
        memcpy(p, packet + HEADER_SIZE, q->end - HEADER_SIZE);
        p += q->end - HEADER_SIZE;
    }
    for (size_t i = 0; i < count && i < DNS_ADDRS_MAX && asked; i++) {
        p = put16(p, 0xc000 | HEADER_SIZE);
        p = put16(p, addrs[i].size == 4 ? DNS_A : DNS_AAAA);
        p = put16(p, CLASS_IN);
        p = put32(p, ttl);
        p = put16(p, addrs[i].size);
        memcpy(p, addrs[i].bytes, addrs[i].size);
        p += addrs[i].size;
        answers++;
    }
    if (q->edns) {
        *p++ = 0;
        p = put16(p, DNS_OPT);
        p = put16(p, DNS_PACKET_MAX);
        p = put32(p, 0);
        p = put16(p, 0);
    }
    uint8_t *counts = put16(out + 4, asked);
    counts = put16(counts, answers);
    counts = put16(counts, 0);
    (void)put16(counts, q->edns);
    return (size_t)(p - out);
}

/* The text form back to the wire; returns bytes written or -EINVAL. Rules hold plain names, so escapes have no
 * place. */
static int name_write(const char *name, uint8_t *out)
{
    size_t used = 0;

    for (const char *p = name; *p != '\0';) {
        size_t n = strcspn(p, ".");
        if (n == 0 || n > 63 || used + n + 2 > WIRE_MAX || memchr(p, '\\', n) != NULL)
            return -EINVAL;
        out[used++] = (uint8_t)n;
        memcpy(out + used, p, n);
        used += n;
        p += n;
        if (*p == '.')
            p++;
    }
    if (used == 0)
        return -EINVAL;
    out[used++] = 0;
    return (int)used;
}

int dns_query_write(uint16_t id, const char *name, uint16_t type, uint8_t out[DNS_PACKET_MAX])
{
    uint8_t *p = put16(out, id);

    p = put16(p, RD);
    p = put16(p, 1);
    p = put16(p, 0);
    p = put16(p, 0);
    p = put16(p, 1);
    int n = name_write(name, p);
    if (n < 0)
        return n;
    p += n;
    p = put16(p, type);
    p = put16(p, CLASS_IN);
    *p++ = 0;
    p = put16(p, DNS_OPT);
    p = put16(p, DNS_PACKET_MAX);
    p = put32(p, 0);
    p = put16(p, 0);
    return (int)(p - out);
}

void dns_query_mix(uint8_t *query, const uint8_t bits[DNS_MIX_BYTES])
{
    for (size_t at = HEADER_SIZE; query[at] != 0; at += 1u + query[at]) {
        for (size_t i = at + 1; i <= at + query[at]; i++) {
            size_t bit = i - HEADER_SIZE;
            if (query[i] >= 'a' && query[i] <= 'z' && bits[bit / 8] >> bit % 8 & 1)
                query[i] = (uint8_t)(query[i] - ('a' - 'A'));
        }
    }
}

bool dns_result_repeats(const uint8_t *packet, size_t size, const uint8_t *query)
{
    size_t end = HEADER_SIZE;

    while (query[end] != 0)
        end += 1u + query[end];
    return size > end && memcmp(packet + HEADER_SIZE, query + HEADER_SIZE, end + 1 - HEADER_SIZE) == 0;
}

struct record {
    char owner[DNS_NAME_MAX];
    uint16_t type, class, size;
    uint32_t ttl;
    size_t data;
};

/* Reads the record at *at and moves behind it. An owner too long to write down is "" and matches nobody. */
static int record_read(const uint8_t *packet, size_t size, size_t *at, struct record *ret)
{
    if (name_read(packet, size, at, ret->owner) == -EPROTO || *at + 10 > size)
        return -EPROTO;
    const uint8_t *p = packet + *at;
    ret->type = get16(p);
    ret->class = get16(p + 2);
    ret->ttl = get32(p + 4);
    ret->size = get16(p + 8);
    ret->data = *at + 10;
    if (ret->size > size - ret->data)
        return -EPROTO;
    *at = ret->data + ret->size;
    return 0;
}

static void take_address(const uint8_t *packet, const struct record *rr, struct dns_result *r)
{
    if (r->count == DNS_ADDRS_MAX || rr->size != (rr->type == DNS_A ? 4 : 16))
        return;
    struct gate_addr *a = &r->addrs[r->count++];
    *a = (struct gate_addr){.size = (uint8_t)rr->size};
    memcpy(a->bytes, packet + rr->data, rr->size);
    if (rr->ttl < r->ttl)
        r->ttl = rr->ttl;
}

/* One pass over the answers: takes the addresses of `target`; when there are none, sets `target` to its alias.
 * 1: there is an alias to follow; 0: done. */
static int follow(const uint8_t *packet, size_t size, size_t at, unsigned answers, uint16_t type,
                  char target[DNS_NAME_MAX], struct dns_result *r)
{
    char alias[DNS_NAME_MAX] = "";
    struct record rr;

    for (unsigned i = 0; i < answers && i < RECORDS_MAX; i++) {
        if (record_read(packet, size, &at, &rr) < 0)
            return -EPROTO;
        if (rr.class != CLASS_IN || rr.owner[0] == '\0' || strcmp(rr.owner, target) != 0)
            continue;
        size_t data = rr.data;
        if (rr.type == type)
            take_address(packet, &rr, r);
        else if (rr.type == DNS_CNAME && name_read(packet, size, &data, alias) == -EPROTO)
            return -EPROTO;
        if (rr.type == DNS_CNAME && rr.ttl < r->ttl)
            r->ttl = rr.ttl;
    }
    if (r->count > 0 || alias[0] == '\0')
        return 0;
    memcpy(target, alias, DNS_NAME_MAX);
    return 1;
}

int dns_result_parse(const uint8_t *packet, size_t size, uint16_t id, const char *name, uint16_t type,
                     struct dns_result *ret)
{
    struct dns_result r = {.ttl = UINT32_MAX};
    char target[DNS_NAME_MAX];
    size_t at = HEADER_SIZE;

    if (size < HEADER_SIZE || get16(packet) != id || (packet[2] & 0x80) == 0 || (get16(packet + 2) & OPCODE))
        return -EBADMSG;
    r.rcode = packet[3] & 15;
    r.truncated = (get16(packet + 2) & TC) != 0;
    /* Some servers do not repeat what they did not understand or did not want to hear. */
    if (get16(packet + 4) == 0 && r.rcode != DNS_NOERROR && r.rcode != DNS_NXDOMAIN) {
        *ret = r;
        return 0;
    }
    if (get16(packet + 4) != 1 || name_read(packet, size, &at, target) < 0 || at + 4 > size)
        return -EBADMSG;
    if (strcmp(target, name) != 0 || get16(packet + at) != type || get16(packet + at + 2) != CLASS_IN)
        return -EBADMSG;
    at += 4;
    int more = r.truncated || r.rcode != DNS_NOERROR ? 0 : 1;
    for (int i = 0; more == 1 && i < ALIASES_MAX; i++)
        more = follow(packet, size, at, get16(packet + 6), type, target, &r);
    if (more < 0)
        return more;
    if (r.count == 0)
        r.ttl = 0;
    *ret = r;
    return 0;
}
