/* secret: values that the room does not have, put into its requests.
 *
 * Theory of operation. The room holds a mark in the place of each value: a random word of fixed length. In the head of
 * a request to a host that the value is for, each mark becomes the value: in the path (percent-encoded as needed), in
 * any field, and inside of Basic credentials, which are decoded and encoded again. In the head of that host's answer,
 * and in its trailer, each value becomes its mark again: as it is, percent-encoded or within base64; where several
 * begin, the longest one counts, and what overlaps goes with it. Bodies are not looked at. Towards any other host a
 * mark stays what it is: nothing.
 * A value for port 443 (which is meant where no port is written) goes over TLS only; one for another port also in the
 * clear, for then somebody has written that port.
 *
 * Lives in: strongroom-gate, strongroom-intercept. Trusts: the supervisor for values, the room for nothing.
 * Must not: tell a value to anybody but its host. */
#include "gate/secret.h"
#include "base/base64.h"
#include "base/num.h"
#include "gate/head.h"

#include <errno.h>
#include <string.h>

#define BASIC_MAX   8192
#define ENCODED_MAX 3 /* an address within an address within an address */

struct secret {
    char mark[SECRET_MARK + 1];
    char value[SECRET_VALUE_MAX];
    struct egress_words words; /* where's */
    struct egress_rule where;
};

static struct secret secrets[SECRETS_MAX];
static size_t secret_count;

int secret_add(const char *text, size_t size)
{
    const char *mark = text, *end = text + size;
    const char *where = memchr(mark, '\0', size);
    const char *value = where != NULL ? memchr(where + 1, '\0', (size_t)(end - where - 1)) : NULL;
    const char *stop = value != NULL ? memchr(value + 1, '\0', (size_t)(end - value - 1)) : NULL, *why, *hint;

    if (stop == NULL || stop + 1 != end || where - mark != SECRET_MARK ||
        strncmp(mark, SECRET_PREFIX, strlen(SECRET_PREFIX)) != 0 || stop - value - 1 >= SECRET_VALUE_MAX)
        return -EINVAL;
    if (secret_count == SECRETS_MAX)
        return -E2BIG;
    struct secret *s = &secrets[secret_count];
    if (egress_read(where + 1, false, &s->words, &s->where, &why, &hint) < 0)
        return -EINVAL;
    memcpy(s->mark, mark, SECRET_MARK + 1);
    memcpy(s->value, value + 1, (size_t)(stop - value));
    secret_count++;
    return 0;
}

void secret_forget(void)
{
    memset(secrets, 0, sizeof secrets);
    secret_count = 0;
}

static bool is_for(const struct secret *s, const char *name, uint16_t port, enum secret_way way)
{
    const struct egress_rules one = {.rules = &s->where, .count = 1};

    return (way == SECRET_BY_TLS || port != 443) && egress_verdict_name(&one, name, port).allowed;
}

bool secret_for(const char *name, uint16_t port, enum secret_way way)
{
    for (size_t i = 0; i < secret_count; i++) {
        if (is_for(&secrets[i], name, port, way))
            return true;
    }
    return false;
}

/* --- text with a bound --- */

struct out {
    char *at, *end;
    bool full;
};

static void put(struct out *o, const char *s, size_t n)
{
    if ((size_t)(o->end - o->at) < n) {
        o->full = true;
        return;
    }
    memcpy(o->at, s, n);
    o->at += n;
}

static void put_encoded(struct out *o, const char *s)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c) != NULL;
        if (plain)
            put(o, s, 1);
        else
            put(o, (const char[]){'%', digits[c >> 4], digits[c & 15]}, 3);
    }
}

struct host {
    const char *name;
    uint16_t port;
    enum secret_way way;
};

/* Which secret's mark begins here? */
static const struct secret *marked(const char *s, size_t n, const struct host *h)
{
    if (n < SECRET_MARK || memcmp(s, SECRET_PREFIX, strlen(SECRET_PREFIX)) != 0)
        return NULL;
    for (size_t i = 0; i < secret_count; i++) {
        if (memcmp(s, secrets[i].mark, SECRET_MARK) == 0 && is_for(&secrets[i], h->name, h->port, h->way))
            return &secrets[i];
    }
    return NULL;
}

static void put_swapped(struct out *o, const char *s, size_t n, const struct host *h, bool encoded)
{
    size_t from = 0;

    for (size_t i = 0; i < n;) {
        const struct secret *found = s[i] == SECRET_PREFIX[0] ? marked(s + i, n - i, h) : NULL;
        if (found == NULL) {
            i++;
            continue;
        }
        put(o, s + from, i - from);
        if (encoded)
            put_encoded(o, found->value);
        else
            put(o, found->value, strlen(found->value));
        i += SECRET_MARK;
        from = i;
    }
    put(o, s + from, n - from);
}

/* --- Basic credentials (RFC 7617) --- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Bytes, or -1: not base64. */
static int decode(const char *s, size_t n, char out[BASIC_MAX])
{
    size_t len = 0;
    unsigned v = 0, bits = 0;

    while (n > 0 && s[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++) {
        const char *c = s[i] != '\0' ? strchr(alphabet, s[i]) : NULL;
        if (c == NULL || len == BASIC_MAX)
            return -1;
        v = (v << 6 | (unsigned)(c - alphabet)) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[len++] = (char)(v >> bits & 0xff);
        }
    }
    return (int)len;
}

static void put_base64(struct out *o, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        char four[4];
        base64_group(s + i, n - i, four);
        put(o, four, sizeof four);
    }
}

/* Puts the field's line with swapped credentials; false: there are none in it. */
static bool put_basic(struct out *o, const char *head, const struct head_field *f, const struct host *h)
{
    static char plain[BASIC_MAX], swapped[BASIC_MAX];
    static const char scheme[] = "basic ";
    const char *value = head + f->value.at;
    size_t skip = strlen(scheme);

    if ((!head_is(head, f->name, "authorization") && !head_is(head, f->name, "proxy-authorization")) ||
        f->value.len <= skip || !head_is(head, (struct head_part){f->value.at, (uint32_t)skip}, scheme))
        return false;
    while (skip < f->value.len && value[skip] == ' ')
        skip++;
    int n = decode(value + skip, f->value.len - skip, plain);
    if (n < 0)
        return false;
    struct out s = {.at = swapped, .end = swapped + sizeof swapped};
    put_swapped(&s, plain, (size_t)n, h, false);
    if (!s.full && s.at - swapped == n && memcmp(plain, swapped, (size_t)n) == 0)
        return false;
    o->full = o->full || s.full;
    put(o, head + f->line.at, f->value.at - f->line.at + skip);
    put_base64(o, swapped, (size_t)(s.at - swapped));
    put(o, "\r\n", 2);
    return true;
}

size_t secret_put(const char *head, size_t size, const char *name, uint16_t port, enum secret_way way,
                  char *out, size_t out_size)
{
    const struct head whole = {.size = size};
    const struct host h = {.name = name, .port = port, .way = way};
    struct out o = {.at = out, .end = out + out_size};
    const char *line = memchr(head, '\n', size);
    struct head_field f;
    size_t at = 0, done = line != NULL ? (size_t)(line - head) + 1 : size;

    put_swapped(&o, head, done, &h, true);
    while (head_field(head, &whole, &at, &f)) {
        if (!put_basic(&o, head, &f, &h)) {
            put(&o, head + f.line.at, f.value.at - f.line.at); /* a name is no place for a value */
            put_swapped(&o, head + f.value.at, f.line.at + f.line.len - f.value.at, &h, false);
        }
        done = f.line.at + f.line.len;
    }
    put(&o, head + done, size - done);
    return o.full ? 0 : (size_t)(o.at - out);
}

/* --- answers --- */

/* The character at s, decoded where it is percent-encoded, up to `depth` times over ("%2520": an address within an
 * address); *ret_len: bytes that it takes. */
static char plain_at(const char *s, size_t n, unsigned depth, size_t *ret_len)
{
    size_t len = 1;
    char c = s[0];

    for (; depth > 0 && c == '%' && n >= len + 2; depth--) {
        const int high = num_hex(s[len]), low = num_hex(s[len + 1]);
        if (high < 0 || low < 0)
            break;
        const unsigned char decoded = (unsigned char)(high << 4 | low);
        c = (char)decoded;
        len += 2;
    }
    *ret_len = len;
    return c;
}

/* The bytes at s that are the value, each as it is (which comes first where `as_is`) or encoded; 0: they are not. */
static size_t plain_length(const char *s, size_t n, const char *value, unsigned depth, bool as_is)
{
    size_t at = 0, len;

    for (; *value != '\0'; value++) {
        if (at == n)
            return 0;
        if (as_is && s[at] == *value) {
            at++;
            continue;
        }
        char c = plain_at(s + at, n - at, depth, &len);
        if (c != *value && !(len == 1 && c == '+' && *value == ' '))
            return 0;
        at += len;
    }
    return at;
}

/* The six bits of a base64 character, also of the alphabet for URLs; -1: none. */
static int six_bits(char c)
{
    const char *at = c == '-'    ? alphabet + 62
                     : c == '_'  ? alphabet + 63
                     : c != '\0' ? strchr(alphabet, c)
                                 : NULL;

    return at != NULL ? (int)(at - alphabet) : -1;
}

/* The bytes at s that are base64 of the value behind `shift` bytes of a group of three, whatever those are; with the
 * characters that the value shares with others. 0: they are not. */
static size_t base64_length(const char *s, size_t n, const char *value, size_t shift)
{
    const size_t bits = strlen(value) * 8;
    size_t at = 0, len;

    for (size_t bit = shift * 8 / 6 * 6; bit < shift * 8 + bits; bit += 6) {
        if (at == n)
            return 0;
        int got = six_bits(plain_at(s + at, n - at, 1, &len));
        if (got < 0)
            return 0;
        for (size_t k = 0; k < 6; k++) {
            if (bit + k < shift * 8 || bit + k >= shift * 8 + bits)
                continue;
            size_t v = bit + k - shift * 8;
            if ((got >> (5 - k) & 1) != (value[v / 8] >> (7 - v % 8) & 1))
                return 0;
        }
        at += len;
    }
    return at;
}

/* The longest form of a value that begins at s; *ret_which is the value's. */
static size_t value_length(const char *s, size_t n, const struct secret *const *ours, size_t count,
                           const struct secret **ret_which)
{
    size_t best = 0;

    for (size_t i = 0; i < count; i++) {
        size_t len = plain_length(s, n, ours[i]->value, 1, true);
        for (unsigned depth = 1; depth <= ENCODED_MAX;
             depth++) { /* a per cent of the value's own is encoded, too */
            size_t coded = plain_length(s, n, ours[i]->value, depth, false);
            len = coded > len ? coded : len;
        }
        for (size_t shift = 0; shift < 3; shift++) {
            size_t coded = base64_length(s, n, ours[i]->value, shift);
            len = coded > len ? coded : len;
        }
        if (len > best) {
            best = len;
            *ret_which = ours[i];
        }
    }
    return best;
}

size_t secret_hide(const char *head, size_t size, const char *name, uint16_t port, enum secret_way way,
                   char *out, size_t out_size)
{
    const struct secret *ours[SECRETS_MAX], *which = NULL, *other;
    struct out o = {.at = out, .end = out + out_size};
    size_t count = 0;

    for (size_t i = 0; i < secret_count; i++) {
        if (is_for(&secrets[i], name, port, way))
            ours[count++] = &secrets[i];
    }
    for (size_t i = 0; i < size;) {
        size_t end = i + value_length(head + i, size - i, ours, count, &which);
        if (end == i) {
            put(&o, head + i++, 1);
            continue;
        }
        for (size_t k = i + 1; k < end; k++) { /* values may overlap */
            size_t len = value_length(head + k, size - k, ours, count, &other);
            end = k + len > end ? k + len : end;
        }
        put(&o, which->mark, SECRET_MARK);
        i = end;
    }
    return o.full ? 0 : (size_t)(o.at - out);
}
