/* proxy: the two ways to ask an upstream proxy for a connection: CONNECT of HTTP/1.1 (RFC 9110 9.3.6) and SOCKS5
 * (RFC 1928, RFC 1929), with the peer's name, so that the proxy looks it up.
 *
 * Lives in: strongroom-gate, its tests and fuzzers. Trusts: the policy; no byte of an answer. May: compute. */
#include "gate/proxy.h"
#include "base/base64.h"

#include <string.h>

enum { SOCKS = 5, NO_LOGIN = 0, BY_PASSWORD = 2, NO_WAY = 255, BY_V4 = 1, BY_NAME = 3, BY_V6 = 4 };

static void put_base64(struct sbuf *out, const char *s)
{
    const size_t len = strlen(s);

    for (size_t i = 0; i < len; i += 3) {
        char four[4];
        base64_group(s + i, len - i, four);
        for (size_t k = 0; k < 4; k++)
            sbuf_char(out, four[k]);
    }
}

static void put_peer(struct sbuf *out, const char *host, const struct egress_addr *addr, uint16_t port)
{
    const bool v6 = host[0] == '\0' && !egress_addr_is_v4(addr);

    sbuf_text(out, v6 ? "[" : "");
    if (host[0] != '\0')
        sbuf_text(out, host);
    else
        egress_addr_text(addr, out);
    sbuf_fmt(out, v6 ? "]:%u" : ":%u", port);
}

static size_t say_http(const struct upstream *u, const char *host, const struct egress_addr *addr,
                       uint16_t port, uint8_t out[PROXY_SAY_MAX])
{
    struct sbuf b = {.text = (char *)out, .size = PROXY_SAY_MAX};
    char login[2 * UPSTREAM_WORD_MAX];
    struct sbuf l = SBUF(login);

    sbuf_text(&b, "CONNECT ");
    put_peer(&b, host, addr, port);
    sbuf_text(&b, " HTTP/1.1\r\nHost: ");
    put_peer(&b, host, addr, port);
    if (u->user[0] != '\0') {
        sbuf_fmt(&l, "%s:%s", u->user, u->password);
        sbuf_text(&b, "\r\nProxy-Authorization: Basic ");
        put_base64(&b, login);
    }
    sbuf_text(&b, "\r\n\r\n");
    return b.len;
}

static size_t put_counted(uint8_t *out, const char *s)
{
    size_t n = strlen(s); /* < 256, as all that comes here */

    out[0] = (uint8_t)n;
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): counted, not ended by a NUL */
    memcpy(out + 1, s, n);
    return n + 1;
}

static size_t say_socks(const struct upstream *u, enum proxy_step step, const char *host,
                        const struct egress_addr *addr, uint16_t port, uint8_t out[PROXY_SAY_MAX])
{
    size_t n = 0;

    if (step == PROXY_HELLO) {
        out[n++] = SOCKS;
        out[n++] = 1;
        out[n++] = u->user[0] != '\0' ? BY_PASSWORD : NO_LOGIN;
        return n;
    }
    if (step == PROXY_LOGIN) {
        out[n++] = 1;
        n += put_counted(out + n, u->user);
        return n + put_counted(out + n, u->password);
    }
    out[n++] = SOCKS;
    out[n++] = 1;
    out[n++] = 0;
    if (host[0] != '\0') {
        out[n++] = BY_NAME;
        n += put_counted(out + n, host);
    } else {
        const bool v4 = egress_addr_is_v4(addr);
        out[n++] = v4 ? BY_V4 : BY_V6;
        memcpy(out + n, addr->bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
        n += v4 ? 4 : 16;
    }
    out[n++] = (uint8_t)(port >> 8);
    out[n++] = (uint8_t)port;
    return n;
}

size_t proxy_say(const struct upstream *u, const struct proxy_talk *t, const char *host,
                 const struct egress_addr *addr, uint16_t port, uint8_t out[PROXY_SAY_MAX])
{
    return u->kind == UPSTREAM_HTTP ? say_http(u, host, addr, port, out)
                                    : say_socks(u, t->step, host, addr, port, out);
}

/* "HTTP/1.x NNN": how far it fits `size` bytes. */
static bool status_fits(const uint8_t *in, size_t size)
{
    static const char form[] = "HTTP/1.d ddd";

    for (size_t i = 0; i < size && form[i] != '\0'; i++) {
        bool digit = in[i] >= '0' && in[i] <= '9';
        if (form[i] == 'd' ? !digit : in[i] != (uint8_t)form[i])
            return false;
    }
    return true;
}

/* An answer ends with an empty line. */
static size_t head_length(const uint8_t *in, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (in[i] != '\n')
            continue;
        if (in[i + 1] == '\n')
            return i + 2;
        if (i + 2 < size && in[i + 1] == '\r' && in[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

static enum proxy_heard hear_http(struct proxy_talk *t, const uint8_t *in, size_t size, size_t *ret_used)
{
    size_t head = head_length(in, size);

    if (!status_fits(in, size) || (head > 0 && head < 14))
        return PROXY_BAD;
    if (head == 0)
        return size < PROXY_HEAR_MAX ? PROXY_MORE : PROXY_BAD;
    t->code = (unsigned)((in[9] - '0') * 100 + (in[10] - '0') * 10 + (in[11] - '0'));
    if (t->code < 200 || t->code > 599)
        return PROXY_BAD; /* nobody sends 100 (continue) to a request without a body */
    *ret_used = head;
    return t->code < 300 ? PROXY_OPEN : PROXY_REFUSED;
}

static enum proxy_heard hear_socks_peer(struct proxy_talk *t, const uint8_t *in, size_t size,
                                        size_t *ret_used)
{
    size_t want;

    if (size < 5)
        return PROXY_MORE;
    switch (in[3]) {
    case BY_V4:
        want = 4 + 4 + 2;
        break;
    case BY_V6:
        want = 4 + 16 + 2;
        break;
    case BY_NAME:
        want = 4 + 1 + (size_t)in[4] + 2;
        break;
    default:
        return PROXY_BAD;
    }
    t->code = in[1];
    if (size < want && t->code == 0)
        return PROXY_MORE;
    *ret_used = want < size ? want : size;
    return t->code == 0 ? PROXY_OPEN : PROXY_REFUSED;
}

static enum proxy_heard hear_socks(const struct upstream *u, struct proxy_talk *t, const uint8_t *in,
                                   size_t size, size_t *ret_used)
{
    const bool login = u->user[0] != '\0';

    if (size > 0 && in[0] != (t->step == PROXY_LOGIN ? 1 : SOCKS))
        return PROXY_BAD;
    if (t->step == PROXY_CONNECT)
        return hear_socks_peer(t, in, size, ret_used);
    if (size < 2)
        return PROXY_MORE;
    *ret_used = 2;
    if (t->step == PROXY_HELLO ? in[1] != (login ? BY_PASSWORD : NO_LOGIN) : in[1] != 0) {
        t->code = NO_WAY;
        return PROXY_REFUSED;
    }
    t->step = t->step == PROXY_HELLO && login ? PROXY_LOGIN : PROXY_CONNECT;
    return PROXY_SAY;
}

enum proxy_heard proxy_hear(const struct upstream *u, struct proxy_talk *t, const uint8_t *in, size_t size,
                            size_t *ret_used)
{
    *ret_used = 0;
    return u->kind == UPSTREAM_HTTP ? hear_http(t, in, size, ret_used) : hear_socks(u, t, in, size, ret_used);
}
