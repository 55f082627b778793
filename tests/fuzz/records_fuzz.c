/* records_fuzz: an answer of the policy reader, as a hostile reader would give it. */
#include "policy/records.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int source = SOURCE_PROFILE; source <= SOURCE_PROJECT; source++) {
        struct policy *p = policy_new();
        struct err e = {0};
        const char *word = NULL;
        unsigned line = 0;

        policy_set_base(p, "/cwd", "/home/u");
        int r = records_extends("f.yaml", (const char *)data, size, &word, &line, &e);
        if (r == 0)
            r = records_apply(p, (enum policy_source)source, "f.yaml", (const char *)data, size, NULL, NULL,
                              &e);
        if (r == 0)
            r = policy_check(p, NULL, NULL, &e);
        CHECK(r == 0 || e.text[0]);
        policy_free(p);
    }
    return 0;
}
