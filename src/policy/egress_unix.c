/* egress_unix: rules about socket files of the host's.
 *
 *   unix:/PATH/OF/SOCKET[=/PATH/IN/ROOM]
 *
 * Lives in: any process, also in the gate that faces the network. Trusts: nothing of a text but its length. May: parse.
 * Must not: allocate, look at a file. */
#include "policy/egress_inner.h"

#include <errno.h>
#include <string.h>

#define FORM                                                                                                 \
    "as unix:/run/postgresql/.s.PGSQL.5432, or unix:/srv/db.sock=/run/db.sock for another place in the room"

static int bad(const char **ret_why, const char *why, const char **ret_hint, const char *hint)
{
    *ret_why = why;
    *ret_hint = hint;
    return -EINVAL;
}

/* Absolute, and with nothing in it that leads elsewhere than it says. */
static bool is_clean(const char *s, size_t len)
{
    if (len < 2 || s[0] != '/' || s[len - 1] == '/')
        return false;
    for (size_t at = 0; at < len;) {
        const char *part = s + at + 1, *slash = memchr(part, '/', len - at - 1);
        const size_t n = slash ? (size_t)(slash - part) : len - at - 1;
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        at += n + 1;
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x21 || s[i] == 0x7f)
            return false;
    return true;
}

int egress_unix_read(const char *s, size_t len, struct egress_words *w, struct egress_rule *r,
                     const char **why, const char **hint)
{
    const char *eq = memchr(s, '=', len);
    const size_t host = eq ? (size_t)(eq - s) : len, room = eq ? len - host - 1 : host;
    const char *inside = eq ? eq + 1 : s;

    r->kind = EGRESS_UNIX;
    if (len > 0 && s[0] == '@')
        return bad(why, "abstract sockets have no file, and stay closed", hint, FORM);
    if (r->deny && eq)
        return bad(why, "a rule that denies names the host's socket only", hint,
                   "leave out what comes from = on");
    if (!is_clean(s, host))
        return bad(why, "not a clean absolute path of a socket", hint, FORM);
    if (host >= sizeof w->name)
        return bad(why, "the path is too long", hint, "at most 253 bytes");
    if (!r->deny && !is_clean(inside, room))
        return bad(why, "not a clean absolute path in the room", hint, FORM);
    if (!r->deny && room >= EGRESS_SOCKET_MAX)
        return bad(why, "the path in the room is too long for a socket", hint,
                   "at most 107 bytes, as =/run/db.sock");
    memcpy(w->name, s, host);
    w->name[host] = '\0';
    if (r->deny) {
        r->ports[r->port_count++] = (struct egress_ports){1, 65535}; /* all of it */
        return 0;
    }
    memcpy(w->http, inside, room);
    w->http[room] = '\0';
    return 0;
}

void egress_unix_text(const struct egress_rule *r, struct sbuf *out)
{
    sbuf_fmt(out, "unix:%s", r->name);
    if (!r->deny && strcmp(r->name, r->path) != 0)
        sbuf_fmt(out, "=%s", r->path);
}
