/* identity: who the program is inside, and its network and terminal.
 *
 * Lives in: any process. Trusts: nothing of a value. May: parse. Must not: look anything up on the host. */
#include "base/num.h"
#include "policy/inner.h"
#include <inttypes.h>
#include <string.h>

static bool alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int take_word(struct policy *p, const struct field *f, const char *value, const char *extra,
                     const char **ret, struct err *e)
{
    size_t len = strlen(value);

    if (len >= POLICY_NAME_MAX)
        return value_bad(p, f, value, e, "longer than %d characters", POLICY_NAME_MAX - 1);
    for (size_t i = 0; i < len; i++)
        if (!alnum(value[i]) && !strchr(extra, value[i])) {
            value_bad(p, f, value, e, "has a character that a name cannot have");
            return err_hint(e, "letters, digits and any of \"%s\"", extra);
        }
    if (!alnum(value[0]) || !alnum(value[len - 1]))
        return value_bad(p, f, value, e, "must start and end with a letter or digit");
    const char *copy = arena_text(p, value, len);
    if (!copy)
        return arena_full(p, e);
    *ret = copy;
    return 0;
}

SET_FUNCTION(set_hostname)
{
    (void)source;
    return take_word(p, f, value, ".-", &p->hostname, e);
}

SET_FUNCTION(set_name)
{
    (void)source;
    return take_word(p, f, value, "._-", &p->name, e);
}

SET_FUNCTION(set_uid)
{
    uint64_t v;
    int r = num_u64(value, &v);

    (void)source;
    if (r == 0 && v == 0) {
        value_bad(p, f, value, e, "there is no root inside a room");
        return err_hint(e, "any other number will do; files of the room belong to it");
    }
    if (r < 0 || v >= UINT32_MAX) {
        value_bad(p, f, value, e, "not a user id");
        return err_hint(e, "wanted a number from 1 to %u", UINT32_MAX - 1);
    }
    p->uid = (uint32_t)v;
    return 0;
}

SET_FUNCTION(set_args)
{
    if (strcmp(value, "none") == 0) {
        p->args = ARGS_NONE;
    } else if (strcmp(value, "ro") == 0) {
        if (source == SOURCE_PROJECT && p->args == ARGS_NONE) {
            value_bad(p, f, value, e, "a policy found in a project may only tighten");
            return err_hint(e, "give --args ro on the command line");
        }
        p->args = ARGS_RO;
    } else {
        value_bad(p, f, value, e, "no such mode");
        return err_hint(e, "wanted ro or none");
    }
    return 0;
}

SET_FUNCTION(set_net)
{
    if (strcmp(value, "none") == 0) {
        p->net = NET_NONE;
    } else if (strcmp(value, "gate") == 0) {
        if (source == SOURCE_PROJECT) {
            value_bad(p, f, value, e, "a policy found in a project may only tighten");
            return err_hint(e, "give --net gate on the command line");
        }
        p->net = NET_GATE;
    } else if (strcmp(value, "host") == 0) {
        if (source == SOURCE_PROJECT) {
            value_bad(p, f, value, e, "a policy found in a project may only tighten");
            return err_hint(e, "give --net host on the command line");
        }
        p->net = NET_HOST;
    } else {
        value_bad(p, f, value, e, "no such network mode");
        return err_hint(e, "wanted none, gate or host");
    }
    return 0;
}

static int take_bool(struct policy *p, const struct field *f, const char *value, bool *ret, struct err *e)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};

    if (!value) {
        *ret = true;
        return 0;
    }
    for (size_t i = 0; i < 3; i++)
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *ret = value == NULL || strcmp(value, yes[i]) == 0;
            return 0;
        }
    value_bad(p, f, value, e, "neither yes nor no");
    return err_hint(e, "wanted true or false");
}

SET_FUNCTION(set_tty)
{
    bool on;
    int r = take_bool(p, f, value, &on, e);

    (void)source;
    if (r == 0)
        p->tty = on ? TTY_YES : TTY_NO;
    return r;
}

SET_FUNCTION(set_offline)
{
    bool on;
    int r = take_bool(p, f, value, &on, e);

    if (r < 0)
        return r;
    if (!on && source == SOURCE_PROJECT && p->offline) {
        value_bad(p, f, value, e, "a policy found in a project may only tighten");
        return err_hint(e, "give --offline=false on the command line");
    }
    p->offline = on;
    return 0;
}

SET_FUNCTION(set_interactive)
{
    (void)source;
    return take_bool(p, f, value, &p->interactive, e);
}

SET_FUNCTION(set_copies)
{
    (void)source;
    return take_bool(p, f, value, &p->copy_workspaces, e);
}

SHOW_FUNCTION(show_hostname)
{
    show_line(f, out, p->hostname ? p->hostname : "room", field_origin(p, f), explain);
}

SHOW_FUNCTION(show_name)
{
    if (p->name)
        show_line(f, out, p->name, field_origin(p, f), explain);
}

SHOW_FUNCTION(show_uid)
{
    char text[NUM_TEXT_MAX];
    struct sbuf b = SBUF(text);

    sbuf_fmt(&b, "%" PRIu32, p->uid);
    show_line(f, out, text, field_origin(p, f), explain);
}

SHOW_FUNCTION(show_args)
{
    show_line(f, out, p->args == ARGS_RO ? "ro" : "none", field_origin(p, f), explain);
}

SHOW_FUNCTION(show_net)
{
    show_line(f, out,
              p->net == NET_HOST   ? "host"
              : p->net == NET_GATE ? "gate"
                                   : "none",
              field_origin(p, f), explain);
}

/* "true" and "false" are words to every YAML reader, which is what is meant here: bare, without quotes. */
static void show_bool(const struct policy *p, const struct field *f, bool on, struct sbuf *out, bool explain)
{
    sbuf_fmt(out, "%s: %s", f->name, on ? "true" : "false");
    if (explain) {
        sbuf_text(out, "  # ");
        origin_text(field_origin(p, f), out);
    }
    sbuf_char(out, '\n');
}

SHOW_FUNCTION(show_tty)
{
    show_bool(p, f, p->tty == TTY_YES, out, explain);
}

SHOW_FUNCTION(show_copies)
{
    if (p->copy_workspaces || field_origin(p, f)->where)
        show_bool(p, f, p->copy_workspaces, out, explain);
}

SHOW_FUNCTION(show_offline)
{
    show_bool(p, f, p->offline, out, explain);
}

SHOW_FUNCTION(show_interactive)
{
    show_bool(p, f, p->interactive, out, explain);
}
