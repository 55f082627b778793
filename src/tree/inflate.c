/* inflate: see inflate.h. Bit by bit along the lengths of the codes: slow and short; what is read with it is small.
 *
 * Lives in: strongroom-tree, tests and fuzzers. Trusts: nothing of the bytes. Pure. */
#include "tree/inflate.h"

#include <errno.h>
#include <string.h>

#define BITS_MAX   15
#define SYMBOLS    288
#define DISTANCES  30
#define LENGTHS    29
#define ORDER      19
#define END        256
#define WINDOW_MAX 32768

struct stream {
    const uint8_t *in;
    size_t size, at;
    unsigned bits, have; /* bits that were read and not used */
    uint8_t *out;
    size_t room, used;
    int failed; /* -errno */
};

/* A canonical code: how many codes there are of each length, and their symbols in order. */
struct code {
    uint16_t count[BITS_MAX + 1], symbol[SYMBOLS];
};

static unsigned take_bits(struct stream *s, unsigned n)
{
    while (s->have < n) {
        if (s->at == s->size) {
            s->failed = -EBADMSG;
            return 0;
        }
        s->bits |= (unsigned)s->in[s->at++] << s->have;
        s->have += 8;
    }
    const unsigned value = s->bits & ((1u << n) - 1);
    s->bits >>= n;
    s->have -= n;
    return value;
}

/* -EBADMSG: more codes than the lengths leave room for. Fewer are no matter until one is met that is none. */
static int make_code(struct code *c, const uint8_t *lengths, unsigned n)
{
    uint16_t at[BITS_MAX + 1];
    int left = 1;

    memset(c, 0, sizeof *c);
    for (unsigned i = 0; i < n; i++)
        c->count[lengths[i]]++;
    c->count[0] = 0;
    at[0] = at[1] = 0;
    for (unsigned i = 1; i <= BITS_MAX; i++) {
        left = 2 * left - c->count[i];
        if (left < 0)
            return -EBADMSG;
        if (i < BITS_MAX)
            at[i + 1] = (uint16_t)(at[i] + c->count[i]);
    }
    for (unsigned i = 0; i < n; i++)
        if (lengths[i])
            c->symbol[at[lengths[i]]++] = (uint16_t)i;
    return 0;
}

static unsigned take_symbol(struct stream *s, const struct code *c)
{
    unsigned value = 0, first = 0, before = 0;

    for (unsigned n = 1; n <= BITS_MAX && s->failed == 0; n++) {
        value |= take_bits(s, 1);
        if (value - first < c->count[n])
            return c->symbol[before + (value - first)];
        before += c->count[n];
        first = (first + c->count[n]) << 1;
        value <<= 1;
    }
    s->failed = s->failed ? s->failed : -EBADMSG;
    return END;
}

static void put(struct stream *s, uint8_t byte)
{
    if (s->used == s->room)
        s->failed = -EFBIG;
    else
        s->out[s->used++] = byte;
}

static void take_stored(struct stream *s)
{
    s->bits = s->have = 0;
    const unsigned len = take_bits(s, 16), not = take_bits(s, 16);
    if (s->failed == 0 && (len ^ not ) != 0xffff)
        s->failed = -EBADMSG;
    for (unsigned i = 0; i < len && s->failed == 0; i++)
        put(s, (uint8_t)take_bits(s, 8));
}

/* A copy of what came before: its length and how far back. */
static void take_copy(struct stream *s, unsigned symbol, const struct code *distances)
{
    static const uint16_t base[LENGTHS] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                           31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t more[LENGTHS] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                          2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};

    if (symbol >= LENGTHS) {
        s->failed = -EBADMSG;
        return;
    }
    unsigned len = base[symbol] + take_bits(s, more[symbol]);
    const unsigned d = take_symbol(s, distances);
    if (s->failed == 0 && d >= DISTANCES)
        s->failed = -EBADMSG;
    if (s->failed)
        return;
    /* 1, 2, 3, 4, then two of each number of further bits */
    const unsigned extra = d < 4 ? 0 : d / 2 - 1;
    const unsigned back = d < 4 ? d + 1 : ((2 + d % 2) << extra) + 1 + take_bits(s, extra);
    if (back > s->used || back > WINDOW_MAX)
        s->failed = s->failed ? s->failed : -EBADMSG;
    for (; len && s->failed == 0; len--)
        put(s, s->out[s->used - back]);
}

static void take_block(struct stream *s, const struct code *symbols, const struct code *distances)
{
    while (s->failed == 0) {
        const unsigned symbol = take_symbol(s, symbols);
        if (symbol == END || s->failed)
            return;
        if (symbol < END)
            put(s, (uint8_t)symbol);
        else
            take_copy(s, symbol - END - 1, distances);
    }
}

/* The two codes of a block that brings its own. */
static int take_codes(struct stream *s, struct code *symbols, struct code *distances)
{
    static const uint8_t order[ORDER] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[SYMBOLS + 32 + 138] = {0};
    const unsigned n = take_bits(s, 5) + 257, d = take_bits(s, 5) + 1, o = take_bits(s, 4) + 4;

    if (n > 286 || d > DISTANCES)
        return -EBADMSG;
    for (unsigned i = 0; i < o; i++)
        lengths[order[i]] = (uint8_t)take_bits(s, 3);
    if (make_code(symbols, lengths, ORDER) < 0)
        return -EBADMSG;
    memset(lengths, 0, sizeof lengths);
    for (unsigned i = 0; i < n + d && s->failed == 0;) {
        const unsigned symbol = take_symbol(s, symbols);
        if (symbol < 16) {
            lengths[i++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && i == 0)
            return -EBADMSG;
        const uint8_t value = symbol == 16 ? lengths[i - 1] : 0;
        for (unsigned k = symbol == 16   ? 3 + take_bits(s, 2)
                          : symbol == 17 ? 3 + take_bits(s, 3)
                                         : 11 + take_bits(s, 7);
             k; k--)
            lengths[i++] = value;
    }
    /* What runs over the end of the second code ran over the end of the block. */
    for (unsigned i = n + d; i < sizeof lengths; i++)
        if (lengths[i])
            return -EBADMSG;
    return make_code(symbols, lengths, n) < 0 || make_code(distances, lengths + n, d) < 0 ? -EBADMSG
                                                                                          : s->failed;
}

static void fixed_codes(struct code *symbols, struct code *distances)
{
    uint8_t lengths[SYMBOLS];

    for (unsigned i = 0; i < SYMBOLS; i++)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    (void)make_code(symbols, lengths, SYMBOLS); /* cannot fail: the standard's own */
    memset(lengths, 5, DISTANCES);
    (void)make_code(distances, lengths, DISTANCES);
}

long inflate_bytes(const uint8_t *packed, size_t size, uint8_t *out, size_t room)
{
    struct stream s = {.in = packed, .size = size, .at = 2, .out = out, .room = room};
    struct code symbols, distances;
    unsigned last = 0;

    if (size < 2 || (packed[0] & 15) != 8 || (packed[0] << 8 | packed[1]) % 31 || packed[1] & 0x20)
        return -EBADMSG;
    while (!last && s.failed == 0) {
        last = take_bits(&s, 1);
        const unsigned kind = take_bits(&s, 2);
        if (s.failed)
            break;
        if (kind == 0) {
            take_stored(&s);
            continue;
        }
        if (kind == 1)
            fixed_codes(&symbols, &distances);
        else
            s.failed = kind == 2 ? take_codes(&s, &symbols, &distances) : -EBADMSG;
        take_block(&s, &symbols, &distances);
    }
    return s.failed ? s.failed : (long)s.used;
}
