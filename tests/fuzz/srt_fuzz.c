/* srt_fuzz: a settings file of sandbox-runtime. */
#include "reader.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char answer[RECORDS_ANSWER_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct out o = {.bytes = answer, .size = sizeof answer};

    srt_read((const char *)data, size, "/cwd", "/home/u", &o);
    answer_is_sound(&o);
    return 0;
}
