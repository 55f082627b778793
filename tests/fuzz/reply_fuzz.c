/* reply_fuzz: any bytes as the reply of a program: what an answer tells of it is bounded, clean, and a picture only
 * where it begins as one.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "base/utf8.h"
#include "mcp/tool_fns.h"

#include <string.h>

#define TEXT_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The arguments of a call whose answer may hold that much. */
int64_t tool_number(const json_t *args, const char *name, int64_t otherwise)
{
    (void)args;
    (void)name;
    (void)otherwise;
    return TEXT_MAX;
}

static void is_clean(const json_t *text)
{
    const char *p = json_string_value(text);
    const size_t n = json_string_length(text);
    uint32_t code;

    for (size_t i = 0; i < n; i += utf8_next(p + i, n - i, &code))
        CHECK(utf8_next(p + i, n - i, &code) > 0 && (code == '\n' || code == '\t' || !utf8_unsafe(code)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *said = values_of_reply((const char *)data, size), *one;
    struct values v;
    size_t i, texts = 0;

    values_begin(&v, NULL);
    values_add(&v, said);
    json_array_foreach(v.values, i, one)
    {
        const json_t *text = json_object_get(one, "text");
        CHECK(json_is_string(json_object_get(one, "type")) && json_is_integer(json_object_get(one, "bytes")));
        if (text)
            is_clean(text);
        texts += json_string_length(text);
    }
    CHECK(i <= 64 && texts <= TEXT_MAX && json_array_size(v.content) <= 8);
    json_array_foreach(v.content, i, one)
    {
        const char *picture = json_string_value(json_object_get(one, "data"));
        CHECK(picture &&
              (strncmp(picture, "iVBORw0KGgoAAAANSUhEU", 21) == 0 || strncmp(picture, "/9j/", 4) == 0));
    }
    json_decref(said);
    json_decref(v.values);
    json_decref(v.content);
    return 0;
}
