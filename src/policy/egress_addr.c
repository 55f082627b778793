/* egress_addr: addresses of peers as text and bytes, and which of them are nobody's business.
 *
 * Lives in: any process, also in the gate that faces the network. Trusts: nothing of a text but its length. May: parse.
 * Must not: allocate, look anything up. */
#include "base/num.h"
#include "policy/egress.h"
#include <errno.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct egress_addr egress_addr_v4(const uint8_t bytes[4])
{
    struct egress_addr a;

    memcpy(a.bytes, mapped, 12);
    memcpy(a.bytes + 12, bytes, 4);
    return a;
}

bool egress_addr_is_v4(const struct egress_addr *a)
{
    return memcmp(a->bytes, mapped, 12) == 0;
}

static int read_v4(const char *text, size_t len, uint8_t ret[4])
{
    size_t at = 0;

    for (int i = 0; i < 4; i++) {
        unsigned v = 0;
        size_t digits = 0;
        for (; at < len && text[at] >= '0' && text[at] <= '9' && digits < 4; at++, digits++)
            v = v * 10 + (unsigned)(text[at] - '0');
        if (digits == 0 || digits > 3 || v > 255 || (digits > 1 && text[at - digits] == '0'))
            return -EINVAL;
        if (i < 3 && (at == len || text[at++] != '.'))
            return -EINVAL;
        ret[i] = (uint8_t)v;
    }
    return at == len ? 0 : -EINVAL;
}

/* Up to four hex digits; returns how many. */
static size_t read_group(const char *text, size_t len, unsigned *ret)
{
    size_t n = 0;

    *ret = 0;
    while (n < len && n < 5 && num_hex(text[n]) >= 0)
        *ret = *ret << 4 | (unsigned)num_hex(text[n++]);
    return n > 4 ? 0 : n;
}

static int read_v6(const char *text, size_t len, uint8_t ret[16])
{
    uint8_t out[16] = {0};
    size_t have = 0, gap = 17, at = 0;

    if (len >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < len) {
        unsigned v;
        size_t n = read_group(text + at, len - at, &v);
        if (at + n < len && text[at + n] == '.') {
            if (have > 12 || read_v4(text + at, len - at, out + have) < 0)
                return -EINVAL;
            have += 4;
            break;
        }
        if (n == 0 || have > 14)
            return -EINVAL;
        out[have++] = (uint8_t)(v >> 8);
        out[have++] = (uint8_t)v;
        at += n;
        if (at == len)
            break;
        if (text[at++] != ':' || at == len)
            return -EINVAL;
        if (text[at] == ':') {
            if (gap != 17)
                return -EINVAL;
            gap = have;
            at++;
        }
    }
    if (gap == 17 ? have != 16 : have > 14)
        return -EINVAL;
    if (gap != 17) {
        memmove(out + 16 - (have - gap), out + gap, have - gap);
        memset(out + gap, 0, 16 - have);
    }
    memcpy(ret, out, 16);
    return 0;
}

int egress_addr_read_n(const char *text, size_t len, struct egress_addr *ret)
{
    uint8_t v4[4];

    if (memchr(text, ':', len))
        return read_v6(text, len, ret->bytes);
    if (read_v4(text, len, v4) < 0)
        return -EINVAL;
    *ret = egress_addr_v4(v4);
    return 0;
}

int egress_addr_read(const char *text, struct egress_addr *ret)
{
    return egress_addr_read_n(text, strlen(text), ret);
}

/* RFC 5952: the longest run of two or more zero groups is left out. */
void egress_addr_text(const struct egress_addr *a, struct sbuf *out)
{
    const uint8_t *b = a->bytes;
    size_t best = 8, best_len = 1;

    if (egress_addr_is_v4(a)) {
        sbuf_fmt(out, "%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
        return;
    }
    for (size_t i = 0; i < 8; i++) {
        size_t n = 0;
        while (i + n < 8 && b[2 * (i + n)] == 0 && b[2 * (i + n) + 1] == 0)
            n++;
        if (n > best_len) {
            best = i;
            best_len = n;
        }
    }
    for (size_t i = 0; i < 8; i++) {
        if (i == best) {
            sbuf_text(out, "::");
            i += best_len - 1;
            continue;
        }
        if (i > 0 && i != best + best_len)
            sbuf_char(out, ':');
        sbuf_fmt(out, "%x", (unsigned)b[2 * i] << 8 | b[2 * i + 1]);
    }
}

bool egress_addr_same(const struct egress_addr *a, const struct egress_addr *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest)) == 0;
}

/* Is the whole network of the first `bits` of 32 private? */
static bool v4_net_is_private(const uint8_t b[4], unsigned bits)
{
    static const struct {
        uint8_t net[4];
        uint8_t bits;
    } rows[] = {
        {{0, 0, 0, 0}, 8},
        {{10, 0, 0, 0}, 8},
        {{100, 64, 0, 0}, 10},
        {{127, 0, 0, 0}, 8},
        {{169, 254, 0, 0}, 16},
        {{172, 16, 0, 0}, 12},
        {{192, 0, 0, 0}, 24},
        {{192, 88, 99, 0}, 24},
        {{192, 168, 0, 0}, 16},
        {{198, 18, 0, 0}, 15},
        {{224, 0, 0, 0}, 4},
        {{240, 0, 0, 0}, 4},
        /* what clouds answer on, though public by number: Azure's wire server, Alibaba's metadata is in 100.64/10 */
        {{168, 63, 129, 16}, 32},
    };
    struct egress_addr a = egress_addr_v4(b);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct egress_addr net = egress_addr_v4(rows[i].net);
        if (bits >= rows[i].bits && egress_addr_same(&a, &net, 96u + rows[i].bits))
            return true;
    }
    return false;
}

static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};

bool egress_net_is_private(const struct egress_addr *a, unsigned bits)
{
    const uint8_t *b = a->bytes;

    if (bits >= 96 && (egress_addr_is_v4(a) || memcmp(b, nat64, 12) == 0))
        return v4_net_is_private(b + 12, bits - 96);
    if (bits < 3)
        return false;
    if ((b[0] & 0xe0) != 0x20) /* 2000::/3 is what was given out */
        return true;
    if (bits >= 16 && b[0] == 0x20 && b[1] == 0x02) /* 6to4 */
        return v4_net_is_private(b + 2, bits < 48 ? bits - 16 : 32);
    return bits >= 32 && b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0; /* Teredo */
}

bool egress_is_private(const struct egress_addr *a)
{
    return egress_net_is_private(a, 128);
}

const char *egress_net_leads_nowhere(const struct egress_addr *a, unsigned bits, const char **ret_hint)
{
    static const char pins[] = "can never match: in a room such an address stands for a name",
                      pins_hint[] = "list the name, or another address",
                      many[] = "can never match: no connection leads to many hosts at once",
                      many_hint[] = "list the address of one host, or a network of hosts",
                      link[] = "can never match: a link-local address means nothing without its interface",
                      link_hint[] = "list another address of that host";
    static const struct {
        struct egress_addr net;
        uint8_t bits;
        const char *why, *hint;
    } rows[] = {
        {{{[10] = 0xff, 0xff, 198, 18}}, 96 + 15, pins, pins_hint}, /* gate/pins.h */
        {{{0xfd, 0x57}}, 64, pins, pins_hint},
        {{{[10] = 0xff, 0xff, 224}}, 96 + 4, many, many_hint},             /* RFC 5771 */
        {{{[10] = 0xff, 0xff, 255, 255, 255, 255}}, 128, many, many_hint}, /* RFC 919 */
        {{{0xff}}, 8, many, many_hint},                                    /* RFC 4291 2.7 */
        {{{0xfe, 0x80}}, 10, link, link_hint},                             /* RFC 4291 2.5.6 */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (bits < rows[i].bits || !egress_addr_same(a, &rows[i].net, rows[i].bits))
            continue;
        *ret_hint = rows[i].hint;
        return rows[i].why;
    }
    return NULL;
}

bool egress_addr_inner(const struct egress_addr *a, struct egress_addr *ret)
{
    const uint8_t *b = a->bytes;
    bool translated = memcmp(b, nat64, 12) == 0, tunnelled = b[0] == 0x20 && b[1] == 0x02;

    if (translated || tunnelled)
        *ret = egress_addr_v4(translated ? b + 12 : b + 2);
    return translated || tunnelled;
}
