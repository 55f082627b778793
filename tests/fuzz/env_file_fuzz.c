/* env_file_fuzz: a file of NAME=VALUE lines. */
#include "policy/env.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *p = policy_new();
    struct err e = {0};
    int r = env_file_apply(p, "f.env", (const char *)data, size, &e);

    CHECK(r == 0 || e.text[0]);
    if (r == 0)
        (void)policy_check(p, NULL, NULL, &e);
    policy_free(p);
    return 0;
}
