/* sha256: the hash of FIPS 180-4, for naming policies and files by their content. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES    32
#define SHA256_HEX_SIZE (2 * SHA256_BYTES + 1) /* lower-case hex and NUL */

struct sha256 {
    uint32_t state[8];
    uint64_t bytes; /* taken so far; the standard allows 2^61 - 1 */
    uint8_t block[64];
};

void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *data, size_t n);
/* Ends the hash; `h` must be initialised again before it is used again. */
void sha256_end(struct sha256 *h, uint8_t ret[SHA256_BYTES]);

/* All at once, as hex. */
void sha256_hex(const void *data, size_t n, char ret[SHA256_HEX_SIZE]);

#endif
