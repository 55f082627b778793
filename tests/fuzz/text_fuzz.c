/* text_fuzz: whatever the bytes and the room for them, escaped text and JSON strings are well-formed,
 * harmless and within bounds.
 *
 * Lives in: a fuzzer or replay. Trusts: nothing. May: compute. */
#include "base/err.h"
#include "base/json.h"
#include "base/utf8.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_harmless(const char *s, size_t len)
{
    uint32_t code;

    CHECK(strlen(s) == len);
    while (len) {
        unsigned n = utf8_next(s, len, &code);

        CHECK(n > 0);
        CHECK(!utf8_unsafe(code));
        s += n;
        len -= n;
    }
}

static void check_escaped(const char *text, size_t room)
{
    char *memory = malloc(room);
    struct sbuf b = {.text = memory, .size = room};

    CHECK(memory);
    memory[0] = '\0';
    sbuf_escaped(&b, text);
    CHECK(b.len < room);
    check_harmless(memory, b.len);
    free(memory);
}

static void check_json(const char *text)
{
    char out[6 * 512 + 3];
    struct sbuf b = SBUF(out);
    struct json j = {.out = &b};

    json_str(&j, NULL, text);
    CHECK(!b.full);
    CHECK(out[0] == '"' && out[b.len - 1] == '"' && b.len >= 2);
    check_harmless(out, b.len);
    for (size_t i = 1; i + 1 < b.len; i++) {
        CHECK(out[i] != '"');
        if (out[i] == '\\')
            CHECK(strchr("\"\\bfnrtu", out[++i]) && i + 1 < b.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    struct err e;

    if (size == 0 || size > sizeof text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    check_escaped(text, 1 + data[0]);
    check_json(text);
    err_set(&e, ERR_IO, data[0], "%s", text);
    check_harmless(e.text, strlen(e.text));
    return 0;
}
