/* binary_patch: see binary_patch.h. Format: git's documentation of `git diff --binary` and RFC 1950, 1951; the
 * contents are stored, not compressed, which every inflater takes.
 *
 * Lives in: strongroom-tree. Trusts: nothing of the contents. */
#include "tree/binary_patch.h"
#include "tree/sha1.h"

#include <stdint.h>
#include <string.h>

#define STORED_MAX 65535
#define LINE_BYTES 52

/* Bytes on their way into lines of base 85. */
struct lines {
    uint8_t line[LINE_BYTES];
    size_t used;
};

static void put_line(struct lines *l)
{
    static const char digits[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    char text[1 + LINE_BYTES / 4 * 5 + 1];
    size_t n = 0;

    if (l->used == 0)
        return;
    text[n++] = (char)(l->used <= 26 ? 'A' + (int)l->used - 1 : 'a' + (int)l->used - 27);
    for (size_t at = 0; at < l->used; at += 4) {
        uint32_t v = 0;
        for (size_t i = 0; i < 4; i++)
            v = v << 8 | (at + i < l->used ? l->line[at + i] : 0);
        for (int i = 4; i >= 0; i--) {
            text[n + (size_t)i] = digits[v % 85];
            v /= 85;
        }
        n += 5;
    }
    text[n++] = '\n';
    session_bytes(text, n);
    l->used = 0;
}

static void put_bytes(struct lines *l, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    while (n) {
        size_t take = n < LINE_BYTES - l->used ? n : LINE_BYTES - l->used;
        memcpy(l->line + l->used, p, take);
        l->used += take;
        p += take;
        n -= take;
        if (l->used == LINE_BYTES)
            put_line(l);
    }
}

static uint32_t adler(struct diff_text t)
{
    uint32_t a = 1, b = 0;

    for (size_t i = 0; i < t.size; i++) {
        a = (a + (uint8_t)t.bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void put_literal(struct diff_text t)
{
    struct lines l = {.used = 0};
    const uint32_t sum = adler(t);
    size_t at = 0;

    session_fmt("literal %zu\n", t.size);
    put_bytes(&l, "\x78\x01", 2);
    do {
        size_t n = t.size - at < STORED_MAX ? t.size - at : STORED_MAX;
        const uint8_t head[5] = {at + n == t.size, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n,
                                 (uint8_t)(~n >> 8)};
        put_bytes(&l, head, sizeof head);
        put_bytes(&l, t.bytes + at, n);
        at += n;
    } while (at < t.size);
    const uint8_t tail[4] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8), (uint8_t)sum};
    put_bytes(&l, tail, sizeof tail);
    put_line(&l);
    session_text("\n");
}

void binary_patch(struct diff_text old, struct diff_text new, bool added, bool deleted)
{
    static const char none[] = "0000000000000000000000000000000000000000";
    char was[SHA1_HEX_SIZE], is[SHA1_HEX_SIZE];

    sha1_blob(old.bytes, old.size, was);
    sha1_blob(new.bytes, new.size, is);
    session_fmt("index %s..%s\nGIT binary patch\n", added ? none : was, deleted ? none : is);
    put_literal(new);
    put_literal(old);
}
