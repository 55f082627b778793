/* egress_inner: what the files of egress share. */
#ifndef POLICY_EGRESS_INNER_H
#define POLICY_EGRESS_INNER_H

#include "policy/egress.h"

/* A decimal number of a port, 0 to 65535, that is all of the `len` bytes. */
bool egress_read_port(const char *s, size_t len, unsigned *ret);

/* The words behind the host. */
int egress_options_read(const char *s, struct egress_words *w, struct egress_rule *r, const char **ret_why,
                        const char **ret_hint);
void egress_options_text(const struct egress_rule *r, struct sbuf *out);

/* What stands behind "unix:". */
int egress_unix_read(const char *s, size_t len, struct egress_words *w, struct egress_rule *r,
                     const char **ret_why, const char **ret_hint);
void egress_unix_text(const struct egress_rule *r, struct sbuf *out);

#endif
