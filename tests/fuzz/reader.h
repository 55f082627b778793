/* reader: what the targets of both formats share: an answer must be well formed, whatever was read. */
#ifndef TESTS_FUZZ_READER_H
#define TESTS_FUZZ_READER_H

#include "helpers/policy/out.h"
#include "policy/records.h"

static inline void answer_is_sound(const struct out *o)
{
    struct policy *p = policy_new();
    struct err e = {0};
    const char *word;
    unsigned line;

    CHECK(o->ended);
    policy_set_base(p, "/cwd", "/home/u");
    int r = records_extends("f", o->bytes, o->len, &word, &line, &e);
    CHECK(e.kind != ERR_INTERNAL);
    if (r == 0)
        r = records_apply(p, SOURCE_FILE, "f", o->bytes, o->len, NULL, NULL, &e);
    CHECK(e.kind != ERR_INTERNAL);
    CHECK(!o->failed || r < 0);
    if (r == 0)
        (void)policy_check(p, NULL, NULL, &e);
    policy_free(p);
}

#endif
