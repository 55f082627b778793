/* egress: reads and writes rules about peers.
 *
 * Lives in: any process, also in the gate that faces the network. Trusts: nothing of a text but its length. May: parse.
 * Must not: allocate, look anything up. */
#include "policy/egress_inner.h"
#include <errno.h>
#include <string.h>

/* --- names ---------------------------------------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int egress_name_clean(const char *name, size_t len, char ret[EGRESS_NAME_MAX])
{
    size_t label = 0;

    if (len > 1 && name[len - 1] == '.')
        len--;
    if (len == 0 || len >= EGRESS_NAME_MAX)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        char c = lower(name[i]);
        if (c == '.') {
            if (label == 0 || ret[i - 1] == '-')
                return -EINVAL;
            label = 0;
        } else if (!name_char(c) || ++label > 63 || (c == '-' && label == 1)) {
            return -EINVAL;
        }
        ret[i] = c;
    }
    ret[len] = '\0';
    return label == 0 || ret[len - 1] == '-' ? -EINVAL : 0;
}

/* The last label decides: no top-level name is a number, so this was meant as an address ("0x7f.1", "2130706433"). */
static bool ends_in_number(const char *name)
{
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    bool hex = last[0] == '0' && last[1] == 'x';

    return hex || last[strspn(last, "0123456789")] == '\0';
}

/* --- reading a rule ------------------------------------------------------------------------------------- */

static int bad(const char **ret_why, const char *why, const char **ret_hint, const char *hint)
{
    *ret_why = why;
    *ret_hint = hint;
    return -EINVAL;
}

bool egress_read_port(const char *s, size_t len, unsigned *ret)
{
    unsigned v = 0;

    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (unsigned)(s[i] - '0');
    }
    *ret = v;
    return v <= 65535;
}

static int read_ports(const char *s, size_t len, struct egress_rule *r, const char **why, const char **hint)
{
    const char *end = s + len;

    for (;;) {
        const char *comma = memchr(s, ',', (size_t)(end - s)), *stop = comma ? comma : end;
        const char *dash = memchr(s, '-', (size_t)(stop - s));
        unsigned from, to;
        if (memchr(s, '/', (size_t)(stop - s)))
            return bad(why, "a rule has no protocol: TCP is what leaves a room", hint, "as example.org:443");
        if (!egress_read_port(s, (size_t)((dash ? dash : stop) - s), &from) || from == 0)
            return bad(why, "a port is a number from 1 to 65535", hint,
                       "as example.org:443 or example.org:80,8000-8010; every port is 1-65535");
        to = from;
        if (dash && (!egress_read_port(dash + 1, (size_t)(stop - dash - 1), &to) || to < from))
            return bad(why, "a range of ports is FROM-TO", hint, "as example.org:8000-8010");
        if (r->port_count == EGRESS_PORTS_MAX)
            return bad(why, "more than 8 ports or ranges", hint, "use a range, or a second rule");
        r->ports[r->port_count++] = (struct egress_ports){(uint16_t)from, (uint16_t)to};
        if (!comma)
            return 0;
        s = comma + 1;
    }
}

/* In rising order, without overlaps, so that equal rules have equal texts. */
static void sort_ports(struct egress_rule *r)
{
    size_t n = 0;

    for (size_t i = 1; i < r->port_count; i++) {
        struct egress_ports x = r->ports[i];
        size_t j = i;
        for (; j > 0 && r->ports[j - 1].from > x.from; j--)
            r->ports[j] = r->ports[j - 1];
        r->ports[j] = x;
    }
    for (size_t i = 1; i < r->port_count; i++) {
        if (r->ports[i].from <= r->ports[n].to) {
            if (r->ports[i].to > r->ports[n].to)
                r->ports[n].to = r->ports[i].to;
        } else {
            r->ports[++n] = r->ports[i];
        }
    }
    r->port_count = (uint8_t)(n + 1);
}

static int read_address(const char *s, size_t len, struct egress_rule *r, const char **why, const char **hint)
{
    const char *slash = memchr(s, '/', len);
    size_t alen = slash ? (size_t)(slash - s) : len;
    unsigned bits = 0, wide;

    if (egress_addr_read_n(s, alen, &r->addr) < 0)
        return bad(why, "not an address", hint, "as 192.0.2.1, 10.0.0.0/8 or [2001:db8::1]:443");
    bool v4 = egress_addr_is_v4(&r->addr);
    if (v4 && memchr(s, ':', alen))
        return bad(why, "an IPv4 address in IPv6 clothes", hint, "write it as IPv4");
    wide = v4 ? 32 : 128;
    r->kind = v4 ? EGRESS_V4 : EGRESS_V6;
    if (slash) {
        size_t n = len - alen - 1;
        if (n == 0 || n > 3)
            return bad(why, "bits of a network are a number", hint, "as 10.0.0.0/8");
        for (size_t i = 0; i < n; i++) {
            if (slash[1 + i] < '0' || slash[1 + i] > '9' || (n > 1 && slash[1] == '0'))
                return bad(why, "bits of a network are a number", hint, "as 10.0.0.0/8");
            bits = bits * 10 + (unsigned)(slash[1 + i] - '0');
        }
        if (bits > wide)
            return bad(why, "more bits than the address has", hint, "at most /32 for IPv4 and /128 for IPv6");
    } else {
        bits = wide;
    }
    r->bits = (uint8_t)(128 - wide + bits);
    for (unsigned i = r->bits; i < 128; i++) {
        if (r->addr.bytes[i / 8] >> (7 - i % 8) & 1)
            return bad(why, "has bits behind the network's part", hint, "clear them, or use a longer prefix");
    }
    const char *nowhere_hint, *nowhere = egress_net_leads_nowhere(&r->addr, r->bits, &nowhere_hint);
    return nowhere && !r->deny ? bad(why, nowhere, hint, nowhere_hint) : 0;
}

static bool looks_numeric(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr("0123456789./", s[i]) || s[i] == '\0')
            return false;
    return len > 0;
}

/* Why it is none. */
static int no_name(const char *s, size_t len, const char **why, const char **hint)
{
    if (memchr(s, '*', len))
        return bad(why, "a star stands in front of a whole name only", hint, "as *.example.org");
    if (memchr(s, ',', len))
        return bad(why, "one rule names one host", hint, "write a rule for each of them");
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] >= 0x80)
            return bad(why, "a name has letters, digits and hyphens only", hint,
                       "write it as DNS does: xn--…");
    return bad(why, "not a host name", hint, "as example.org, *.example.org, 192.0.2.1 or [2001:db8::1]:443");
}

static int read_name(const char *s, size_t len, struct egress_words *w, struct egress_rule *r,
                     const char **why, const char **hint)
{
    r->kind = EGRESS_NAME;
    if (len > 2 && s[0] == '*' && s[1] == '.') {
        r->kind = EGRESS_BELOW;
        s += 2;
        len -= 2;
    }
    if (egress_name_clean(s, len, w->name) < 0)
        return no_name(s, len, why, hint);
    if (ends_in_number(r->name))
        return bad(why, "neither a name nor an address", hint,
                   "an address is four decimal numbers, as 192.0.2.1");
    if (strcmp(r->name, "localhost") == 0 && !r->deny)
        return bad(why, "that is the room itself, which it reaches anyway", hint,
                   "for a service of the host: a name that leads to it, with the word internal");
    return 0;
}

static int read_host(const char *s, size_t len, struct egress_words *w, struct egress_rule *r,
                     const char **why, const char **hint)
{
    const char *ports = NULL, *end = s + len;
    size_t host = len;
    int n;

    if (len > 0 && s[0] == '[') {
        const char *close = memchr(s, ']', len), *at = close ? close + 1 : end;
        if (!close)
            return bad(why, "the bracket is not closed", hint, "as [2001:db8::1]:443");
        if (at < end && *at == '/')
            return bad(why, "the bits belong into the bracket", hint, "as [2001:db8::/32]:443");
        if (at < end && *at != ':')
            return bad(why, "after the bracket comes a colon and a port", hint, "as [2001:db8::1]:443");
        ports = at < end ? at + 1 : NULL;
        if (!memchr(s, ':', (size_t)(close - s)))
            return bad(why, "brackets are for IPv6", hint, "as [2001:db8::1]:443");
        n = read_address(s + 1, (size_t)(close - s - 1), r, why, hint);
    } else {
        const char *colon = memchr(s, ':', len);
        if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1))) { /* IPv6 without ports */
            n = read_address(s, len, r, why, hint);
        } else {
            host = colon ? (size_t)(colon - s) : len;
            ports = colon ? colon + 1 : NULL;
            n = looks_numeric(s, host) ? read_address(s, host, r, why, hint)
                                       : read_name(s, host, w, r, why, hint);
        }
    }
    if (n < 0)
        return n;
    if (ports) {
        n = read_ports(ports, (size_t)(end - ports), r, why, hint);
        if (n < 0)
            return n;
    } else if (r->deny) {
        r->ports[r->port_count++] = (struct egress_ports){1, 65535};
    } else {
        r->ports[r->port_count++] = (struct egress_ports){80, 80};
        r->ports[r->port_count++] = (struct egress_ports){443, 443};
    }
    sort_ports(r);
    return 0;
}

int egress_read(const char *text, bool deny, struct egress_words *words, struct egress_rule *ret,
                const char **ret_why, const char **ret_hint)
{
    size_t len = 0;

    while (text[len] != '\0' && text[len] != ' ' && text[len] != ';')
        len++;
    words->name[0] = words->note[0] = words->http[0] = '\0';
    *ret = (struct egress_rule){.deny = deny, .name = words->name, .note = words->note, .http = words->http};
    if (strncmp(text, "unix:", 5) == 0) {
        int n = egress_unix_read(text + 5, len - 5, words, ret, ret_why, ret_hint);
        return n < 0 ? n : egress_options_read(text + len, words, ret, ret_why, ret_hint);
    }
    if (len == 0)
        return bad(ret_why, "no host", ret_hint, "as example.org or example.org:443");
    const bool slash = memchr(text, '/', len) != NULL;
    for (size_t i = 0; slash && i + 2 < len; i++)
        if (memcmp(text + i, "://", 3) == 0)
            return bad(ret_why, "that is a URL", ret_hint, "a rule is HOST[:PORT], as example.org:443");
    if (slash && !strchr("0123456789[", text[0]) && !memchr(text, ':', len))
        return bad(ret_why, "a rule has no path", ret_hint, "a rule is HOST[:PORT], as example.org:443");
    int n = read_host(text, len, words, ret, ret_why, ret_hint);
    return n < 0 ? n : egress_options_read(text + len, words, ret, ret_why, ret_hint);
}

/* --- writing a rule ------------------------------------------------------------------------------------- */

/* Lists may be long, and printf() costs more than all the rest of a rule. */
static void put_port(unsigned port, struct sbuf *out)
{
    char digits[5];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + port % 10);
        port /= 10;
    } while (port > 0);
    sbuf_bytes(out, digits + at, sizeof digits - at);
}

void egress_text(const struct egress_rule *r, struct sbuf *out)
{
    const bool v6 = r->kind == EGRESS_V6;

    if (r->kind == EGRESS_UNIX) {
        egress_unix_text(r, out);
        egress_options_text(r, out);
        return;
    }
    if (r->kind == EGRESS_NAME || r->kind == EGRESS_BELOW) {
        sbuf_text(out, r->kind == EGRESS_BELOW ? "*." : "");
        sbuf_text(out, r->name);
    } else {
        sbuf_text(out, v6 ? "[" : "");
        egress_addr_text(&r->addr, out);
        if (r->bits < 128)
            sbuf_fmt(out, "/%u", v6 ? r->bits : r->bits - 96u);
        sbuf_text(out, v6 ? "]" : "");
    }
    const bool every = r->deny && r->port_count == 1 && r->ports[0].from == 1 && r->ports[0].to == 65535;
    for (size_t i = 0; !every && i < r->port_count; i++) {
        sbuf_char(out, i ? ',' : ':');
        put_port(r->ports[i].from, out);
        if (r->ports[i].to != r->ports[i].from) {
            sbuf_char(out, '-');
            put_port(r->ports[i].to, out);
        }
    }
    egress_options_text(r, out);
}

void egress_line(const struct egress_rule *r, struct sbuf *out)
{
    sbuf_text(out, r->deny ? "deny " : "allow ");
    egress_text(r, out);
    sbuf_char(out, '\n');
}

static const char *keep(struct egress_texts *texts, const char *s, size_t size)
{
    char *at = texts->at;

    if (size == 1)
        return "";
    memcpy(at, s, size);
    texts->at += size;
    texts->left -= size;
    return at;
}

int egress_keep(struct egress_texts *texts, struct egress_rule *r)
{
    const size_t name = strlen(r->name) + 1, note = strlen(r->note) + 1, http = strlen(r->http) + 1;

    if (name + note + http > texts->left)
        return -ENOSPC;
    r->name = keep(texts, r->name, name);
    r->note = keep(texts, r->note, note);
    r->http = keep(texts, r->http, http);
    return 0;
}

int egress_read_lines(const char *text, size_t len, struct egress_texts *texts, struct egress_rule *ret,
                      size_t max, size_t *ret_count)
{
    char rule[EGRESS_LINE_MAX];
    struct egress_words words;
    const char *why, *hint;
    size_t n = 0;

    for (size_t at = 0; at < len; n++) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line = end ? (size_t)(end - text) - at : 0;
        if (!end || line >= sizeof rule || memchr(text + at, '\0', line))
            return -EINVAL;
        if (n == max)
            return -E2BIG;
        memcpy(rule, text + at, line);
        rule[line] = '\0';
        bool deny = strncmp(rule, "deny ", 5) == 0;
        if (!deny && strncmp(rule, "allow ", 6) != 0)
            return -EINVAL;
        if (egress_read(rule + (deny ? 5 : 6), deny, &words, &ret[n], &why, &hint) < 0)
            return -EINVAL;
        if (egress_keep(texts, &ret[n]) < 0)
            return -ENOSPC;
        at += line + 1;
    }
    *ret_count = n;
    return 0;
}
