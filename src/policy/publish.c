/* publish: ports of the host that lead to a server in the room.
 *
 *   [HOSTADDR:]PORT:ROOMPORT
 *
 * HOSTADDR is an address, IPv6 in brackets, 127.0.0.1 when none is given; PORT 0 means any free one.
 *
 * Lives in: any process. Trusts: nothing of a value. May: parse. Must not: bind anything, look a name up. */
#include "policy/egress_inner.h"
#include "policy/inner.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t loopback[4] = {127, 0, 0, 1};

static int misformed(const struct policy *p, const struct field *f, const char *value, const char *why,
                     struct err *e)
{
    value_bad(p, f, value, e, "%s", why);
    return err_hint(e, "as 8080:80, 127.0.0.1:8080:80, [::1]:8080:80, or 0:80 for any free port");
}

/* At least `least`, without leading zeros. */
static bool read_port(const char *s, size_t len, unsigned least, uint16_t *ret)
{
    unsigned v;

    if (!egress_read_port(s, len, &v) || v < least || (len > 1 && s[0] == '0'))
        return false;
    *ret = (uint16_t)v;
    return true;
}

/* The address in front of the ports, and where these begin; NULL: it is none. */
static const char *read_address(const char *value, struct egress_addr *ret)
{
    const char *first = strchr(value, ':'), *end;

    *ret = egress_addr_v4(loopback);
    if (value[0] == '[') {
        end = strchr(value, ']');
        if (!end || end[1] != ':' || !memchr(value, ':', (size_t)(end - value)) ||
            egress_addr_read_n(value + 1, (size_t)(end - value - 1), ret) < 0 || egress_addr_is_v4(ret))
            return NULL;
        return end + 2;
    }
    if (!first || !strchr(first + 1, ':'))
        return value;
    return egress_addr_read_n(value, (size_t)(first - value), ret) < 0 ? NULL : first + 1;
}

SET_FUNCTION(set_publish)
{
    const struct origin *o = &p->arena->now;
    struct policy_publish x = {.source = o->source, .line = o->line, .where = o->where};
    const char *ports = read_address(value, &x.addr), *colon = ports ? strchr(ports, ':') : NULL;

    (void)source;
    if (!ports)
        return misformed(p, f, value, "the host's side is not an address", e);
    if (!colon || !read_port(ports, (size_t)(colon - ports), 0, &x.port) ||
        !read_port(colon + 1, strlen(colon + 1), 1, &x.room_port))
        return misformed(p, f, value, "wanted a port of the host and a port of the room", e);
    for (size_t i = 0; i < p->publish_count; i++) {
        const struct policy_publish *y = &p->publish[i];
        if (x.port != 0 && x.port == y->port && memcmp(&x.addr, &y->addr, sizeof x.addr) == 0)
            return x.room_port == y->room_port
                       ? 0
                       : misformed(p, f, value, "this port of the host leads elsewhere already", e);
    }
    if (p->publish_count == POLICY_PUBLISH_MAX)
        return field_bad(p, f, e, "more than %d", POLICY_PUBLISH_MAX);
    p->publish[p->publish_count++] = x;
    return 0;
}

void publish_text(const struct policy_publish *x, uint16_t port, struct sbuf *out)
{
    const bool v6 = !egress_addr_is_v4(&x->addr);

    sbuf_text(out, v6 ? "[" : "");
    egress_addr_text(&x->addr, out);
    sbuf_fmt(out, "%s:%u", v6 ? "]" : "", port);
}

SHOW_FUNCTION(show_publish)
{
    if (p->publish_count)
        sbuf_fmt(out, "%s:\n", f->name);
    for (size_t i = 0; i < p->publish_count; i++) {
        const struct policy_publish *x = &p->publish[i];
        const struct origin o = {.where = x->where, .line = x->line, .source = x->source};
        char text[PUBLISH_TEXT_MAX + 8];
        struct sbuf b = SBUF(text);
        publish_text(x, x->port, &b);
        sbuf_fmt(&b, ":%u", x->room_port);
        show_item(out, text, &o, explain);
    }
}

static int in_order(const void *a, const void *b)
{
    const struct policy_publish *x = a, *y = b;
    int d = egress_addr_is_v4(&y->addr) - egress_addr_is_v4(&x->addr); /* these come first */

    d = d ? d : memcmp(&x->addr, &y->addr, sizeof x->addr);
    d = d ? d : (int)x->port - (int)y->port;
    return d ? d : (int)x->room_port - (int)y->room_port;
}

static bool is_loopback(const struct egress_addr *a)
{
    static const struct egress_addr loop6 = {.bytes = {[15] = 1}};
    const struct egress_addr loop4 = egress_addr_v4(loopback);

    return egress_addr_same(a, &loop4, 104) || egress_addr_same(a, &loop6, 128);
}

int publish_check(struct policy *p, const struct note_sink *n, struct err *e)
{
    qsort(p->publish, p->publish_count, sizeof *p->publish, in_order);
    for (size_t i = 0; i < p->publish_count; i++) {
        const struct policy_publish *x = &p->publish[i];
        char text[PUBLISH_TEXT_MAX];
        struct sbuf b = SBUF(text);
        publish_text(x, x->port, &b);
        if (p->net == NET_HOST) {
            p->arena->now = (struct origin){.where = x->where, .line = x->line, .source = x->source};
            value_bad(p, field_find("publish"), text, e,
                      "with --net host the room's servers listen on the host itself");
            return err_hint(e, "leave out one of the two");
        }
        if (!is_loopback(&x->addr))
            note_fmt(n,
                     "--publish %s:%u: whoever reaches that address of this host reaches port %u of the room",
                     text, x->room_port, x->room_port);
    }
    return 0;
}
