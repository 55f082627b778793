/* secret: values that the room does not have, put into its requests. See secret.c. */
#ifndef GATE_SECRET_H
#define GATE_SECRET_H

#include "policy/egress.h"

#define SECRETS_MAX      64
#define SECRET_VALUE_MAX 2048 /* with the NUL */
#define SECRET_MARK      40   /* what stands for a value in the room: SECRET_PREFIX and digits */
#define SECRET_PREFIX    "srs_"
#define SECRET_TEXT_MAX  (SECRET_MARK + 1 + EGRESS_RULE_MAX + SECRET_VALUE_MAX)

/* MARK NUL WHERE NUL VALUE NUL, as frames carry it; WHERE is a rule of a host. 0, -EINVAL, -E2BIG. */
int secret_add(const char *text, size_t size);

enum secret_way { SECRET_CLEAR, SECRET_BY_TLS };

/* Is there one for that host? */
bool secret_for(const char *name, uint16_t port, enum secret_way way);

/* The head of a request with values for marks, also in Basic credentials; returns its length, 0: it does not fit. */
size_t secret_put(const char *head, size_t size, const char *name, uint16_t port, enum secret_way way,
                  char *out, size_t out_size);
/* The head of an answer with marks for values. */
size_t secret_hide(const char *head, size_t size, const char *name, uint16_t port, enum secret_way way,
                   char *out, size_t out_size);

/* For tests. */
void secret_forget(void);

#endif
