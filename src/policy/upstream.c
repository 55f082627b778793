/* upstream: reads and writes how to reach a proxy.
 *
 * Lives in: any process, also in the gate that faces the network. Trusts: nothing of a text but that it ends.
 * May: parse. Must not: allocate, put a secret into a message. */
#include "policy/upstream.h"
#include "base/num.h"

#include <errno.h>
#include <string.h>

static int bad(const char **ret_why, const char *why, const char **ret_hint)
{
    *ret_why = why;
    *ret_hint = "as http://proxy.example:3128 or socks5://user:password@192.0.2.1:1080";
    return -EINVAL;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

/* A word of the login; %XX stands for a byte. No control characters: they would end a line of HTTP. */
static int read_word(const char *s, size_t len, bool percent, char ret[UPSTREAM_WORD_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)s[i];
        if (percent && c == '%') {
            int high = i + 2 < len ? num_hex(s[i + 1]) : -1;
            int low = i + 2 < len ? num_hex(s[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -EINVAL;
            c = high << 4 | low;
            i += 2;
        }
        if (c < 0x20 || c == 0x7f || n + 1 >= UPSTREAM_WORD_MAX)
            return -EINVAL;
        ret[n++] = (char)c;
    }
    ret[n] = '\0';
    return 0;
}

static int read_login(const char *s, size_t len, bool percent, struct upstream *u)
{
    const char *colon = memchr(s, ':', len);
    size_t user = colon ? (size_t)(colon - s) : len;

    if (user == 0 || read_word(s, user, percent, u->user) < 0 || strchr(u->user, ':') != NULL ||
        (colon && read_word(colon + 1, len - user - 1, percent, u->password) < 0))
        return -EINVAL;
    return 0;
}

int upstream_read_login(const char *text, size_t len, struct upstream *u)
{
    const char *end = memchr(text, '\n', len);
    size_t n = end ? (size_t)(end - text) : len;

    while (n > 0 && (text[n - 1] == '\r' || text[n - 1] == ' '))
        n--;
    return n == 0 || memchr(text, ':', n) == NULL ? -EINVAL : read_login(text, n, false, u);
}

/* Host and port are what a rule has, with one port. */
static int read_peer(const char *s, size_t len, struct upstream *u)
{
    struct egress_words words;
    struct egress_rule r;
    const char *why, *hint;
    char text[EGRESS_NAME_MAX + 8];

    if (len == 0 || len >= sizeof text || strcspn(s, " ;") < len)
        return -EINVAL;
    memcpy(text, s, len);
    text[len] = '\0';
    const char *behind = text[0] == '[' ? strchr(text, ']') : text;
    if (behind == NULL || strchr(behind, ':') == NULL)
        return -EINVAL;
    /* as a denying rule: there "localhost" is a name like others, which for a proxy it is */
    if (egress_read(text, true, &words, &r, &why, &hint) < 0 || r.kind == EGRESS_BELOW || r.port_count != 1 ||
        r.ports[0].from != r.ports[0].to || (r.kind != EGRESS_NAME && r.bits != 128))
        return -EINVAL;
    u->port = r.ports[0].from;
    u->is_addr = r.kind != EGRESS_NAME;
    u->addr = r.addr;
    memcpy(u->host, r.name, strlen(r.name) + 1);
    return 0;
}

int upstream_read(const char *text, struct upstream *ret, const char **ret_why, const char **ret_hint)
{
    static const struct {
        const char *scheme;
        enum upstream_kind kind;
        bool tls;
    } schemes[] = {{"http://", UPSTREAM_HTTP, false},
                   {"https://", UPSTREAM_HTTP, true},
                   {"socks5://", UPSTREAM_SOCKS5, false},
                   {"socks5h://", UPSTREAM_SOCKS5, false}};
    struct upstream u = {.kind = UPSTREAM_NONE};

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes && u.kind == UPSTREAM_NONE; i++) {
        size_t n = strlen(schemes[i].scheme);
        if (strncmp(text, schemes[i].scheme, n) == 0) {
            u.kind = schemes[i].kind;
            u.tls = schemes[i].tls;
            text += n;
        }
    }
    if (u.kind == UPSTREAM_NONE)
        return bad(ret_why, "a proxy begins with http://, https:// or socks5://", ret_hint);
    const char *at = strrchr(text, '@');
    if (at && read_login(text, (size_t)(at - text), true, &u) < 0)
        return bad(ret_why, "the login is not USER:PASSWORD of at most 127 bytes each, with %XX for odd ones",
                   ret_hint);
    if (at)
        text = at + 1;
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '/')
        len--;
    if (read_peer(text, len, &u) < 0)
        return bad(ret_why, "behind the scheme and the login come one host and one port", ret_hint);
    *ret = u;
    return 0;
}

static void put_word(struct sbuf *out, const char *s)
{
    for (; *s; s++) {
        if (is_plain(*s))
            sbuf_char(out, *s);
        else
            sbuf_fmt(out, "%%%02X", (unsigned)(unsigned char)*s);
    }
}

void upstream_text(const struct upstream *u, bool secrets, struct sbuf *out)
{
    sbuf_text(out, u->kind != UPSTREAM_HTTP ? "socks5://" : u->tls ? "https://" : "http://");
    if (secrets && u->user[0]) {
        put_word(out, u->user);
        sbuf_char(out, ':');
        put_word(out, u->password);
        sbuf_char(out, '@');
    }
    if (u->is_addr) {
        const bool v6 = !egress_addr_is_v4(&u->addr);
        sbuf_text(out, v6 ? "[" : "");
        egress_addr_text(&u->addr, out);
        sbuf_text(out, v6 ? "]" : "");
    } else {
        sbuf_text(out, u->host);
    }
    sbuf_fmt(out, ":%u", u->port);
}
