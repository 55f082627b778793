/* sha1: see sha1.h. Pure. */
#include "tree/sha1.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct sha1 {
    uint32_t h[5];
    uint64_t bytes;
    uint8_t block[64];
};

static uint32_t left(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void take_block(struct sha1 *s, const uint8_t *p)
{
    uint32_t w[80], a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3], e = s->h[4];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 |
               p[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? (b & c) | (~b & d)
                     : i < 40 ? b ^ c ^ d
                     : i < 60 ? (b & c) | (b & d) | (c & d)
                              : b ^ c ^ d;
        static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
        uint32_t t = left(a, 5) + f + e + k[i / 20] + w[i];
        e = d;
        d = c;
        c = left(b, 30);
        b = a;
        a = t;
    }
    s->h[0] += a;
    s->h[1] += b;
    s->h[2] += c;
    s->h[3] += d;
    s->h[4] += e;
}

static void add(struct sha1 *s, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    for (size_t used = s->bytes % 64; n;) {
        size_t take = n < 64 - used ? n : 64 - used;
        memcpy(s->block + used, p, take);
        s->bytes += take;
        p += take;
        n -= take;
        used = s->bytes % 64;
        if (used == 0)
            take_block(s, s->block);
    }
}

static const struct sha1 start = {.h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};

static void finish(struct sha1 *s, char ret[SHA1_HEX_SIZE])
{
    const uint64_t bits = s->bytes * 8;
    uint8_t tail[8];

    add(s, "\x80", 1);
    while (s->bytes % 64 != 56)
        add(s, "", 1);
    for (int i = 0; i < 8; i++)
        tail[i] = (uint8_t)(bits >> (56 - 8 * i));
    add(s, tail, sizeof tail);
    for (size_t i = 0; i < 20; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", (unsigned)(s->h[i / 4] >> (24 - 8 * (i % 4)) & 0xff));
}

void sha1_blob(const void *bytes, size_t size, char ret[SHA1_HEX_SIZE])
{
    struct sha1 s = start;
    char head[40];
    const int n = snprintf(head, sizeof head, "blob %zu", size);

    add(&s, head, (size_t)n + 1);
    add(&s, bytes, size);
    finish(&s, ret);
}

void sha1_bytes(const void *bytes, size_t size, char ret[SHA1_HEX_SIZE])
{
    struct sha1 s = start;

    add(&s, bytes, size);
    finish(&s, ret);
}
