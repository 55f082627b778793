/* egress_options: the words behind the host of a rule.
 *
 * Lives in: any process, also in the gate that faces the network. Trusts: nothing of a text but its length. May: parse.
 * Must not: allocate. */
#include "base/num.h"
#include "policy/egress_inner.h"

#include <errno.h>
#include <string.h>

#define WORDS                                                                                                \
    "internal, tls, http, any, ech, http=METHOD:/PATH, max-bytes=SIZE, max-conns=N, rate=N/s, note=WORDS"
#define VALUE_MAX  32
#define CONNS_MOST 65535
#define RATE_MOST  1000000

static int bad(const char **ret_why, const char *why, const char **ret_hint, const char *hint)
{
    *ret_why = why;
    *ret_hint = hint;
    return -EINVAL;
}

static int set_internal(struct egress_rule *r, const char *value, const char **why, const char **hint)
{
    (void)value;
    if (r->kind != EGRESS_NAME && r->kind != EGRESS_BELOW)
        return bad(why, "internal is for names that are allowed", hint,
                   "leave it out: an address stands for itself");
    r->internal = true;
    return 0;
}

static int set_max_bytes(struct egress_rule *r, const char *value, const char **why, const char **hint)
{
    if (num_size(value, &r->max_bytes) < 0 || r->max_bytes == 0)
        return bad(why, "max-bytes is a size above 0", hint, "as max-bytes=10M, both directions together");
    return 0;
}

static int set_max_conns(struct egress_rule *r, const char *value, const char **why, const char **hint)
{
    uint64_t n;

    if (num_u64(value, &n) < 0 || n == 0 || n > CONNS_MOST)
        return bad(why, "max-conns is a number from 1 to 65535", hint, "as max-conns=4, open at once");
    r->max_conns = (uint32_t)n;
    return 0;
}

static int set_rate(struct egress_rule *r, const char *value, const char **why, const char **hint)
{
    char number[VALUE_MAX];
    const char *slash = strchr(value, '/');
    uint64_t n = 0;
    bool fits = slash && (strcmp(slash, "/s") == 0 || strcmp(slash, "/m") == 0);

    if (fits) {
        memcpy(number, value, (size_t)(slash - value));
        number[slash - value] = '\0';
        fits = num_u64(number, &n) == 0 && n > 0 && n <= RATE_MOST;
    }
    if (!fits)
        return bad(why, "rate is new connections a second or a minute", hint, "as rate=10/s or rate=30/m");
    r->rate = (uint32_t)n;
    r->rate_ms = slash[1] == 's' ? 1000 : 60000;
    return 0;
}

/* What a connection may carry. */
static int add_inside(struct egress_rule *r, unsigned inside, const char **why, const char **hint)
{
    if (r->kind == EGRESS_UNIX)
        return bad(why, "what a socket carries is not looked at", hint,
                   "max-bytes=, max-conns=, rate= and note= are for sockets, too");
    r->inside |= (uint8_t)inside;
    if ((r->inside & EGRESS_ANY) && r->inside != EGRESS_ANY)
        return bad(why, "any is more than tls, http or ech", hint, "leave one of them out");
    if ((r->inside & EGRESS_ANY) && r->http[0])
        return bad(why, "any and http= contradict each other", hint, "leave one of them out");
    return 0;
}

static int set_any(struct egress_rule *r, const char *value, const char **why, const char **hint)
{
    (void)value;
    return add_inside(r, EGRESS_ANY, why, hint);
}

static int set_tls(struct egress_rule *r, const char *value, const char **why, const char **hint)
{
    (void)value;
    return add_inside(r, EGRESS_TLS, why, hint);
}

static int set_http(struct egress_rule *r, const char *value, const char **why, const char **hint)
{
    (void)value;
    return add_inside(r, EGRESS_HTTP, why, hint);
}

static int set_ech(struct egress_rule *r, const char *value, const char **why, const char **hint)
{
    (void)value;
    return add_inside(r, EGRESS_ECH, why, hint);
}

static const struct {
    unsigned inside;
    const char *name;
} insides[] = {{EGRESS_ANY, "any"}, {EGRESS_TLS, "tls"}, {EGRESS_HTTP, "http"}, {EGRESS_ECH, "ech"}};

static const struct {
    const char *name;
    bool has_value;
    int (*set)(struct egress_rule *r, const char *value, const char **why, const char **hint);
} rows[] = {
    {"internal", false, set_internal},  {"any", false, set_any},  {"tls", false, set_tls},
    {"http", false, set_http},          {"ech", false, set_ech},  {"max-bytes", true, set_max_bytes},
    {"max-conns", true, set_max_conns}, {"rate", true, set_rate},
};

/* The rest of the line. */
static int read_note(const char *s, struct egress_words *w, const char **why, const char **hint)
{
    s += strspn(s, " ");
    size_t len = strlen(s);

    while (len > 0 && s[len - 1] == ' ')
        len--;
    if (len >= EGRESS_NOTE_MAX)
        return bad(why, "the note is too long", hint, "at most 79 bytes");
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return bad(why, "the note has a control character", hint, NULL);
    memcpy(w->note, s, len);
    w->note[len] = '\0';
    return 0;
}

/* May stand several times. */
static int read_http(const char *s, size_t len, struct egress_words *w, const struct egress_rule *r,
                     const char **why, const char **hint)
{
    char pattern[EGRESS_HTTP_MAX];

    if (r->deny || (r->kind != EGRESS_NAME && r->kind != EGRESS_BELOW))
        return bad(why, "http= is for names that are allowed", hint, "leave it out");
    if (r->inside & EGRESS_ANY)
        return bad(why, "any and http= contradict each other", hint, "leave one of them out");
    if (len >= sizeof pattern)
        return bad(why, "a pattern that is too long", hint, "at most 255 bytes");
    memcpy(pattern, s, len);
    pattern[len] = '\0';
    return egress_http_add(w->http, pattern, why, hint);
}

static int read_word(const char *s, size_t len, struct egress_rule *r, unsigned *seen, const char **why,
                     const char **hint)
{
    char value[VALUE_MAX] = "";
    const char *eq = memchr(s, '=', len);
    size_t name = eq ? (size_t)(eq - s) : len;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strlen(rows[i].name) != name || memcmp(rows[i].name, s, name) != 0)
            continue;
        if (r->deny)
            return bad(why, "only a rule that allows has words behind its host", hint,
                       "leave it out; a note may stay: note=WORDS");
        if (*seen >> i & 1)
            return bad(why, "the same word twice behind the host", hint, "leave one out");
        *seen |= 1u << i;
        if (rows[i].has_value != (eq != NULL) || (eq && len - name > sizeof value))
            return bad(why, eq ? "that word has no such value" : "that word needs a value", hint, WORDS);
        if (eq)
            memcpy(value, eq + 1, len - name - 1);
        return rows[i].set(r, value, why, hint);
    }
    if (strspn(s, "0123456789,-") == len || (s[0] == ':' && len > 1))
        return bad(why, "a port stands right behind the host", hint, "as example.org:443");
    return bad(why, "unknown word behind the host", hint, WORDS);
}

int egress_options_read(const char *s, struct egress_words *w, struct egress_rule *r, const char **ret_why,
                        const char **ret_hint)
{
    unsigned seen = 0;

    while (*s) {
        s += strspn(s, " ;");
        size_t len = strcspn(s, " ;");
        if (len == 0)
            return 0;
        if (len >= 5 && memcmp(s, "note=", 5) == 0)
            return read_note(s + 5, w, ret_why, ret_hint);
        bool http = len >= 5 && memcmp(s, "http=", 5) == 0;
        int n = http ? read_http(s + 5, len - 5, w, r, ret_why, ret_hint)
                     : read_word(s, len, r, &seen, ret_why, ret_hint);
        if (n < 0)
            return n;
        s += len;
    }
    return 0;
}

void egress_options_text(const struct egress_rule *r, struct sbuf *out)
{
    char size[NUM_TEXT_MAX];

    if (r->internal)
        sbuf_text(out, " internal");
    for (size_t i = 0; i < sizeof insides / sizeof *insides; i++)
        if (r->inside & insides[i].inside)
            sbuf_fmt(out, " %s", insides[i].name);
    for (const char *p = r->kind == EGRESS_UNIX ? "" : r->http; *p;) {
        size_t len = strcspn(p, " ");
        sbuf_text(out, " http=");
        sbuf_bytes(out, p, len);
        p += len + (p[len] == ' ');
    }
    if (r->max_bytes)
        sbuf_fmt(out, " max-bytes=%s", num_size_text(r->max_bytes, size));
    if (r->max_conns)
        sbuf_fmt(out, " max-conns=%u", r->max_conns);
    if (r->rate)
        sbuf_fmt(out, " rate=%u/%c", r->rate, r->rate_ms == 1000 ? 's' : 'm');
    if (r->note[0]) {
        sbuf_text(out, " note=");
        sbuf_text(out, r->note);
    }
}
