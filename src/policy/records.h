/* records: how the reader of policy files (strongroom-policy) hands over what it read.
 *
 * The reader is confined and reads bytes from anyone, so its answer is not trusted: bounded, parsed strictly, and every
 * word in it goes through policy_set() like any other. One record is
 *     line (4 bytes, big-endian)  key NUL  value NUL
 * Keys that start with "=" belong to the protocol: "=note" (value: something to be told), "=error" (value: what is
 * wrong; ends the answer), "=complete" (value empty; ends the answer). An answer without an end is no answer. */
#ifndef POLICY_RECORDS_H
#define POLICY_RECORDS_H

#include "policy/policy.h"
#include <stddef.h>

#define RECORDS_INPUT_MAX  (1 << 20) /* bytes of a policy file */
#define RECORDS_ANSWER_MAX (4 << 20) /* bytes of an answer */
#define RECORDS_MAX        24576     /* records of an answer */
#define RECORDS_COMPLETE   "=complete"
#define RECORDS_ERROR      "=error"
#define RECORDS_NOTE       "=note"
#define RECORDS_EXTENDS    "extends" /* a key of files: the profile or file that this one is laid over */

struct record {
    unsigned line;
    const char *key, *value; /* in the answer */
};

struct records {
    const char *at, *end; /* what is left of the answer */
    unsigned count;
};

/* 1: a record (never "=complete"); 0: the answer ended properly; -EBADMSG: it is not of the form. */
int records_next(struct records *r, struct record *ret);

/* Applies a whole answer about the file `where`. The value of `extends` is not applied; see records_extends().
 * `note` as in policy_check(), may be NULL. -errno with e (ERR_POLICY with file and line for what the file says wrong,
 * ERR_INTERNAL for a broken answer). */
int records_apply(struct policy *p, enum policy_source source, const char *where, const char *answer,
                  size_t len, void (*note)(void *, const char *text), void *ctx, struct err *e);

/* Checks the form of a whole answer and finds its `extends`: the value (in the answer), NULL when there is none. */
int records_extends(const char *where, const char *answer, size_t len, const char **ret_value,
                    unsigned *ret_line, struct err *e);

#endif
