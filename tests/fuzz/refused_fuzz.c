/* refused_fuzz: any bytes as what the kernel says about connections that it refused, and as the first packet of one.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "gate/refused.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_addr a;
    uint16_t port;
    size_t at = 0, before = 0;

    while (refused_next(data, size, &at, &a, &port) != 0) {
        CHECK(a.size == 4 || a.size == 16);
        CHECK(at >= before + 16); /* each message takes at least its head */
        before = at;
    }
    if (seen_read(data, size, &a, &port) != 0)
        CHECK(a.size == 4 || a.size == 16);
    return 0;
}
