/* hello: the first message of TLS (RFC 8446 4.1.2, RFC 5246 7.4.1.2), read for the name in it. Pure. */
#ifndef GATE_HELLO_H
#define GATE_HELLO_H

#include "policy/egress.h"

#include <stdint.h>

/* Raw bytes, record headers included. The largest hellos seen in the wild have some 2 kB. */
#define HELLO_MAX 16384

struct hello {
    size_t size; /* raw bytes of the records that hold it */
    bool named,
        hidden; /* hidden: it carries an encrypted second hello (RFC 9849), or something that looks like one */
    char name[EGRESS_NAME_MAX]; /* as egress_name_clean() leaves it */
};

/* 0: whole. -EAGAIN: so far a hello, and more must come. -EPROTO: not TLS, or not well-formed. -EMSGSIZE: larger than
 * HELLO_MAX. `ret` is set only at 0. */
int hello_parse(const uint8_t *bytes, size_t size, struct hello *ret);

/* Is it the beginning of a server's wish for a second hello (RFC 8446 4.1.4)? 1, 0, or -EAGAIN: not enough to tell. */
int hello_asks_again(const uint8_t *bytes, size_t size);

/* The length of a record (header included) that is no handshake record and may stand before a second hello: a change
 * of cipher, or refused early data. 0: a handshake record; -EAGAIN; -EPROTO. */
int hello_skip(const uint8_t *bytes, size_t size);

#endif
