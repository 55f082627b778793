/* secrets: which values of the caller's are put into the requests of a room, and towards whom. Names only: the values
 * are read by whoever runs the room.
 *
 *   NAME[=env:VAR|file:PATH]@HOST[:PORT]
 *
 * Lives in: any process. Trusts: nothing of a value. May: parse. Must not: read a variable or a file. */
#include "policy/inner.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int misformed(const struct policy *p, const struct field *f, const char *value, const char *why,
                     struct err *e)
{
    value_bad(p, f, value, e, "%s", why);
    return err_hint(e, "as TOKEN@api.example.org, TOKEN=env:MY_TOKEN@api.example.org or "
                       "TOKEN=file:/run/token@api.example.org:8080");
}

static bool is_name(const char *s, size_t len)
{
    if (len == 0 || len >= POLICY_SECRET_NAME_MAX || (s[0] >= '0' && s[0] <= '9'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') ||
              s[i] == '_'))
            return false;
    return true;
}

/* HOST means port 443. */
static int read_where(const struct policy *p, const struct field *f, const char *value, const char *host,
                      struct egress_words *words, struct egress_rule *ret, struct err *e)
{
    const char *why = "", *hint = NULL;

    if (egress_read(host, false, words, ret, &why, &hint) < 0) {
        value_bad(p, f, value, e, "%s", why);
        return hint ? err_hint(e, "%s", hint) : -EINVAL;
    }
    if (host[strcspn(host, " ;")] || (ret->kind != EGRESS_NAME && ret->kind != EGRESS_BELOW))
        return misformed(p, f, value, "a secret is for a host name, with a port at most", e);
    if (!strchr(host, ':')) {
        ret->port_count = 1;
        ret->ports[0] = (struct egress_ports){443, 443};
        memset(ret->ports + 1, 0, sizeof ret->ports - sizeof *ret->ports);
    }
    return 0;
}

SET_FUNCTION(set_secret)
{
    struct policy_arena *a = p->arena;
    const char *at = strrchr(value, '@');
    size_t head = at ? (size_t)(at - value) : 0, name = strcspn(value, "=@");
    struct policy_secret item = {
        .source_kind = a->now.source, .line = a->now.line, .where_from = a->now.where};
    struct egress_words words;
    void *array = p->secrets;

    (void)source;
    if (!at || !is_name(value, name))
        return misformed(p, f, value, "a secret is NAME[=env:VAR|file:PATH]@HOST[:PORT]", e);
    int r = read_where(p, f, value, at + 1, &words, &item.where, e);
    if (r < 0)
        return r;
    const char *from = value;
    size_t len = name;
    if (name < head) {
        from = value + name + 1;
        len = head - name - 1;
        item.from_file = strncmp(from, "file:", 5) == 0;
        if (!item.from_file && strncmp(from, "env:", 4) != 0)
            return misformed(p, f, value, "a value comes from env:VAR or file:PATH", e);
        size_t skip = item.from_file ? 5 : 4;
        from += skip;
        len = len > skip ? len - skip : 0;
        if (item.from_file ? len == 0 || from[0] != '/' : !is_name(from, len))
            return misformed(
                p, f, value,
                item.from_file ? "a file is named by an absolute path" : "that is no variable's name", e);
    }
    if (p->secret_count == POLICY_SECRETS_MAX)
        return field_bad(p, f, e, "more than %d secrets", POLICY_SECRETS_MAX);
    if (arena_grow(p, &array, &a->secret_room, p->secret_count, sizeof *p->secrets) < 0)
        return arena_full(p, e);
    p->secrets = array;
    item.name = arena_text(p, value, name);
    item.source = arena_text(p, from, len);
    if (!item.name || !item.source || policy_keep_words(p, &item.where) < 0)
        return arena_full(p, e);
    p->secrets[p->secret_count++] = item;
    return 0;
}

void policy_secret_text(const struct policy_secret *s, const struct egress_rule *where, struct sbuf *out)
{
    sbuf_fmt(out, "%s=%s:%s@", s->name, s->from_file ? "file" : "env", s->source);
    egress_text(where, out);
}

SHOW_FUNCTION(show_secrets)
{
    for (size_t i = 0; i < p->secret_count; i++) {
        const struct policy_secret *s = &p->secrets[i];
        const struct origin o = {.where = s->where_from, .line = s->line, .source = s->source_kind};
        char text[POLICY_PATH_MAX + EGRESS_RULE_MAX];
        struct sbuf b = SBUF(text);
        if (i == 0)
            sbuf_fmt(out, "%s:\n", f->name);
        policy_secret_text(s, &s->where, &b);
        show_item(out, text, &o, explain);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct policy_secret *x = a, *y = b;
    char s[EGRESS_RULE_MAX], t[EGRESS_RULE_MAX];
    struct sbuf p = SBUF(s), q = SBUF(t);
    int r = strcmp(x->name, y->name);

    egress_text(&x->where, &p);
    egress_text(&y->where, &q);
    return r ? r : strcmp(s, t);
}

/* The rule that closes the host of a secret, NULL. */
static const struct egress_rule *closed_by(const struct policy *p, const struct policy_secret *s)
{
    for (size_t i = 0; i < p->egress.count; i++) {
        const struct egress_rule *r = &p->egress.rules[i];
        if (r->deny && egress_covers(r, &s->where))
            return r;
    }
    return NULL;
}

static bool is_allowed(const struct policy *p, const struct policy_secret *s)
{
    for (size_t i = 0; i < p->egress.count; i++) {
        if (!p->egress.rules[i].deny && egress_covers(&p->egress.rules[i], &s->where))
            return true;
    }
    return s->where.kind == EGRESS_NAME &&
           egress_verdict_name(&p->egress, s->where.name, s->where.ports[0].from).allowed;
}

/* A rule for the secret's host at other ports than the secret's, so that it is the port that was not meant; NULL. */
static const struct egress_rule *allowed_elsewhere(const struct policy *p, const struct policy_secret *s)
{
    for (size_t i = 0; i < p->egress.count; i++) {
        const struct egress_rule *r = &p->egress.rules[i];
        if (!r->deny && r->kind == s->where.kind && s->where.kind == EGRESS_NAME &&
            strcmp(r->name, s->where.name) == 0)
            return r;
    }
    return NULL;
}

/* Programs do not find each other, or their places, where one of these is a mark. */
static bool is_rooms_own(const char *name)
{
    static const char *const own[] = {"PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "LANG", "SHELL", "TERM"};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcmp(own[i], name) == 0)
            return true;
    }
    return false;
}

/* Who reads both words could not say which of them the room gets. */
static bool has_env(const struct policy *p, const char *name)
{
    for (size_t i = 0; i < p->env_count; i++) {
        if (strcmp(p->env[i].name, name) == 0)
            return true;
    }
    return false;
}

int secrets_check(struct policy *p, struct err *e)
{
    const struct field *f = field_find("secret");
    char text[POLICY_PATH_MAX + EGRESS_RULE_MAX], host[EGRESS_RULE_MAX];

    if (p->secret_count)
        qsort(p->secrets, p->secret_count, sizeof *p->secrets, by_name);
    for (size_t i = 0; i < p->secret_count; i++) {
        const struct policy_secret *s = &p->secrets[i], *before = i > 0 ? s - 1 : NULL;
        struct sbuf b = SBUF(text), h = SBUF(host);
        policy_secret_text(s, &s->where, &b);
        egress_text(&s->where, &h);
        p->arena->now = (struct origin){.where = s->where_from, .line = s->line, .source = s->source_kind};
        if (before && strcmp(before->name, s->name) == 0 &&
            (before->from_file != s->from_file || strcmp(before->source, s->source) != 0)) {
            value_bad(p, f, text, e, "one name for two values");
            return err_hint(e, "give each value a name of its own");
        }
        if (is_rooms_own(s->name)) {
            value_bad(p, f, text, e, "%s is a variable that the room needs for itself", s->name);
            return err_hint(e, "choose another name: TOKEN=%s:%.200s@%.200s", s->from_file ? "file" : "env",
                            s->source, host);
        }
        if (has_env(p, s->name)) {
            value_bad(p, f, text, e, "the room's variable %s is set by --env, too", s->name);
            return err_hint(e, "leave that out: with --secret the room sees a mark instead of the value");
        }
        if (p->net != NET_GATE || !is_allowed(p, s)) {
            const struct egress_rule *near = p->net == NET_GATE ? allowed_elsewhere(p, s) : NULL;
            value_bad(p, f, text, e, "no rule allows that host%s", near ? " at that port" : "");
            return near ? err_hint(e, "add --allow %.200s, or write the secret's port: …@%.200s:%u", host,
                                   near->name, near->ports[0].from)
                        : err_hint(e, "add --allow %s", host);
        }
        const struct egress_rule *closed = closed_by(p, s);
        if (closed) {
            struct sbuf c = SBUF(host);
            egress_text(closed, &c);
            value_bad(p, f, text, e, "can never be used: --deny %.200s covers that host", host);
            return err_hint(e, "deny beats allow; leave out one of the two");
        }
    }
    return 0;
}
