/* upstream: the proxy of a company through which the gate goes out.
 * `http://[USER:PASSWORD@]HOST:PORT`, `https://…` (the proxy itself is spoken to by TLS) or `socks5://…`. */
#ifndef POLICY_UPSTREAM_H
#define POLICY_UPSTREAM_H

#include "policy/egress.h"

#define UPSTREAM_WORD_MAX 128 /* a user, a password, with the NUL */
#define UPSTREAM_TEXT_MAX 1280

enum upstream_kind { UPSTREAM_NONE, UPSTREAM_HTTP, UPSTREAM_SOCKS5 };

struct upstream {
    enum upstream_kind kind;
    bool tls; /* HTTP, inside TLS to the proxy */
    uint16_t port;
    bool is_addr;
    struct egress_addr addr;
    char host[EGRESS_NAME_MAX]; /* unless is_addr */
    char user[UPSTREAM_WORD_MAX], password[UPSTREAM_WORD_MAX];
};

/* -EINVAL: *ret_why says what is wrong, *ret_hint (may become NULL) what to write; neither holds a part of the text. */
int upstream_read(const char *text, struct upstream *ret, const char **ret_why, const char **ret_hint);
/* "USER:PASSWORD", up to the end of its first line. 0 or -EINVAL. */
int upstream_read_login(const char *text, size_t len, struct upstream *u);
/* The canonical text, with or without what is secret. */
void upstream_text(const struct upstream *u, bool secrets, struct sbuf *out);

#endif
