/* inflate: what zlib packed (RFC 1950, RFC 1951). Pure. */
#ifndef TREE_INFLATE_H
#define TREE_INFLATE_H

#include <stddef.h>
#include <stdint.h>

/* Unpacks at most `room` bytes into `out`. Returns how many there are; -EBADMSG: not of this form; -EFBIG: more than
 * fit. The checksum at the end is not looked at: who needs to know compares a hash of his own. */
long inflate_bytes(const uint8_t *packed, size_t size, uint8_t *out, size_t room);

#endif
