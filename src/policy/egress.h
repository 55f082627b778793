/* egress: which peers a room may reach. A rule is one line of text; a verdict is a pure question to a list of rules.
 *
 *   HOST[:PORT[,PORT|,FROM-TO]…] [internal] [tls] [http] [any] [ech] [max-bytes=SIZE] [max-conns=N] [rate=N/s|N/m]
 *                                  [http=METHOD:/PATH]… [note=WORDS]
 *
 *   unix:/PATH/OF/SOCKET[=/PATH/IN/ROOM] [max-bytes=SIZE] [max-conns=N] [rate=N/s|N/m] [note=WORDS]
 *
 * HOST is a name, `*.` and a name (each name below it, not itself), an address, or ADDRESS/BITS; IPv6 stands in
 * brackets when ports follow. Without ports an allowing rule means 80 and 443, a denying one every port. `;` parts
 * options like a blank. A denying rule beats every allowing one. */
#ifndef POLICY_EGRESS_H
#define POLICY_EGRESS_H

#include "base/err.h"
#include "base/sbuf.h"
#include "policy/egress_http.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EGRESS_RULES_MAX  16384
#define EGRESS_NAME_MAX   254 /* the longest name, with the NUL */
#define EGRESS_PORTS_MAX  8
#define EGRESS_NOTE_MAX   80
#define EGRESS_RULE_MAX   1408 /* the longest rule as text, with the NUL */
#define EGRESS_LINE_MAX   (EGRESS_RULE_MAX + 8)
#define EGRESS_UNIX_MAX   8   /* rules about sockets that allow */
#define EGRESS_SOCKET_MAX 108 /* a socket's path in the room, with the NUL: what the kernel takes */
#define EGRESS_ADDR_MAX   46  /* an address as text, with the NUL */

/* IPv4 is ::ffff:a.b.c.d, as RFC 4291 2.5.5.2 maps it. */
struct egress_addr {
    uint8_t bytes[16];
};

enum egress_kind { EGRESS_NAME, EGRESS_BELOW, EGRESS_V4, EGRESS_V6, EGRESS_UNIX };

/* What a connection may carry. */
enum egress_inside {
    EGRESS_ANY = 1,  /* anything */
    EGRESS_TLS = 2,  /* TLS for the rule's name */
    EGRESS_HTTP = 4, /* HTTP/1 for the rule's name */
    EGRESS_ECH = 8,  /* TLS may have an encrypted second hello, which may name another host */
};

struct egress_ports {
    uint16_t from, to; /* both included */
};

/* Texts are short in nearly every rule and long in a few, and there may be thousands: so they lie elsewhere, in the
 * memory of who keeps the rule. No pointer is NULL once egress_read() has filled it. */
struct egress_rule {
    enum egress_kind kind;
    bool deny;
    bool internal;      /* the name may resolve to private addresses */
    bool gone;          /* it was withdrawn: matches nothing, and keeps its number */
    uint32_t max_conns; /* at once; 0: no bound of the rule's own */
    uint32_t rate;      /* new connections in rate_ms, 0: any number */
    uint32_t rate_ms;   /* 1000 or 60000 */
    uint64_t max_bytes; /* of all its connections, both directions together; 0: no bound */
    uint8_t inside;     /* enum egress_inside, as written; none: as the port says */
    uint8_t bits;       /* V4, V6: of the 128 */
    uint8_t port_count;
    struct egress_ports ports[EGRESS_PORTS_MAX];
    struct egress_addr addr;
    const char *name; /* NAME; BELOW: without the "*."; UNIX: the host's path; "" for addresses */
    const char *note;
    union {
        const char *http; /* the requests that it allows, "": all (policy/egress_http.h) */
        const char *path; /* UNIX: the room's path; "" where it denies */
    };
};

/* The texts of one rule. */
struct egress_words {
    char name[EGRESS_NAME_MAX];
    char note[EGRESS_NOTE_MAX];
    char http[EGRESS_HTTP_MAX]; /* UNIX: the room's path */
};

/* The texts of many: memory of the owner's, of which nothing is given back. */
struct egress_texts {
    char *at;
    size_t left;
};
#define EGRESS_TEXTS_MAX (EGRESS_RULES_MAX * sizeof(struct egress_words)) /* no rules need more */
/* Moves the texts of a rule there. -ENOSPC: they do not fit, and *r is as it was. */
int egress_keep(struct egress_texts *texts, struct egress_rule *r);

/* Which rules speak of a host, so that asking costs the same for ten rules and for ten thousand. */
#define EGRESS_BUCKETS_MAX (2 * EGRESS_RULES_MAX) /* powers of two */
struct egress_index {
    size_t count;      /* of the rules that it was made for */
    uint32_t mask;     /* buckets - 1 */
    uint64_t bits4[3]; /* which lengths of prefix there are, one bit each */
    uint64_t bits6[3];
    uint16_t heads[EGRESS_BUCKETS_MAX]; /* number of a rule + 1; 0: none */
    uint16_t next[EGRESS_RULES_MAX];
};

struct egress_rules {
    const struct egress_rule *rules;
    size_t count;
    const struct egress_index *index; /* of just these rules; NULL: each is looked at */
};

/* Fills an index. The rules may not change as long as it is used. */
void egress_index_make(const struct egress_rules *r, struct egress_index *ret);

/* Lower case, without a final dot; a name as the Internet has them (letters, digits, - and _; labels of 1 to 63). 0 or
 * -EINVAL. `name` need not be NUL-terminated. */
int egress_name_clean(const char *name, size_t len, char ret[EGRESS_NAME_MAX]);

/* Strictly: four decimal numbers without leading zeros, or RFC 4291 text, no zone. 0 or -EINVAL. */
int egress_addr_read(const char *text, struct egress_addr *ret);
int egress_addr_read_n(const char *text, size_t len, struct egress_addr *ret);
/* Are the first `bits` of the 128 the same? */
bool egress_addr_same(const struct egress_addr *a, const struct egress_addr *b, unsigned bits);
void egress_addr_text(const struct egress_addr *a, struct sbuf *out);
struct egress_addr egress_addr_v4(const uint8_t bytes[4]);
bool egress_addr_is_v4(const struct egress_addr *a);

/* *ret points into *words. -EINVAL: *ret_why says what is wrong, *ret_hint (may become NULL) what to write. */
int egress_read(const char *text, bool deny, struct egress_words *words, struct egress_rule *ret,
                const char **ret_why, const char **ret_hint);
/* The canonical text: egress_read() makes the same rule of it. */
void egress_text(const struct egress_rule *r, struct sbuf *out);

/* For the way to the gate: "allow RULE\n", "deny RULE\n". */
void egress_line(const struct egress_rule *r, struct sbuf *out);
/* All lines of a text; 0, or -EINVAL (a line that is no rule), -E2BIG (more than `max`), -ENOSPC (`texts` is full). */
int egress_read_lines(const char *text, size_t len, struct egress_texts *texts, struct egress_rule *ret,
                      size_t max, size_t *ret_count);

struct egress_verdict {
    bool allowed;
    bool internal; /* some rule that allows it says so */
    int rule;      /* index of the rule that decides, -1: none speaks of it */
};

/* Of several rules that allow a peer, the one that names it most exactly decides (its bounds hold): a name before
 * `*.`, a long network before a short one. */
/* A name as egress_name_clean() leaves it. */
struct egress_verdict egress_verdict_name(const struct egress_rules *r, const char *name, uint16_t port);
/* An address that the program itself named. A rule that allows a network opens the private addresses in it only when
 * the whole network is private; one that denies holds for the IPv6 forms of an IPv4 address too. */
struct egress_verdict egress_verdict_addr(const struct egress_rules *r, const struct egress_addr *a,
                                          uint16_t port);
/* A socket file of the host's. */
struct egress_verdict egress_verdict_unix(const struct egress_rules *r, const char *path);
/* Does any port of that name stand open: is it worth an address? */
bool egress_knows_name(const struct egress_rules *r, const char *name);
/* The rule that denies this name on every port, -1: none does. */
int egress_name_denied_by(const struct egress_rules *r, const char *name);
/* May a connection that a name's rules allow end at this address? Denied addresses and, unless a rule says internal or
 * an address rule lists it, private ones may not. */
bool egress_may_dial(const struct egress_rules *r, bool internal, const struct egress_addr *a, uint16_t port);

/* What a connection to that name may carry (enum egress_inside, never 0): of the rules that allow it the one that names
 * the host most exactly decides, several of these together. Without a word of theirs, ports 80 and 443 are for TLS and
 * HTTP. */
unsigned egress_inside_name(const struct egress_rules *r, const char *name, uint16_t port);
/* The requests that those rules allow together, as a list; "": all. */
void egress_http_name(const struct egress_rules *r, const char *name, uint16_t port,
                      char ret[EGRESS_HTTPS_MAX]);

/* No address of the public Internet: loopback, private, link-local, shared, multicast, reserved, and IPv6 forms that
 * carry such an address (RFC 6890, RFC 4291, RFC 6052, RFC 3056). Ranges for documentation count as public. */
bool egress_is_private(const struct egress_addr *a);
/* Is every address private that begins with the first `bits` of these 128? */
bool egress_net_is_private(const struct egress_addr *a, unsigned bits);
/* Why no connection from a room ever ends at an address that begins with the first `bits` of these; NULL: it may. */
const char *egress_net_leads_nowhere(const struct egress_addr *a, unsigned bits, const char **ret_hint);
/* The IPv4 address that a translator (RFC 6052) or a tunnel (RFC 3056) makes of an IPv6 one; false: none. */
bool egress_addr_inner(const struct egress_addr *a, struct egress_addr *ret);

/* Everything that `b` matches, `a` matches. */
bool egress_covers(const struct egress_rule *a, const struct egress_rule *b);
/* Another rule that denies (allows) and covers rule number `which`; -1: there is none. */
int egress_covered_by(const struct egress_rules *r, size_t which, bool deny);

#endif
