/* text: cleans a program's output.
 *
 * Lives in: strongroom-mcp. Trusts: nothing of the bytes; they were printed by the program in the room.
 * May: compute. Must not: keep a control character that could drive a terminal or forge a line. */
#include "mcp/text.h"
#include "base/base64.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_MAX = 16 }; /* longest replacement */

/* The text that stands for the character at p; *ret_used bytes of p are covered. */
static size_t piece(const char *p, size_t n, char out[PIECE_MAX], size_t *ret_used)
{
    uint32_t code = 0;
    const unsigned len = utf8_next(p, n, &code);

    *ret_used = len ? len : 1;
    if (!len) {
        static const char lost[] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD */
        memcpy(out, lost, sizeof lost);
        return sizeof lost;
    }
    if (code == '\r' && n > 1 && p[1] == '\n') {
        *ret_used = 2;
        out[0] = '\n';
        return 1;
    }
    if (code == '\n' || code == '\t' || !utf8_unsafe(code)) {
        memcpy(out, p, len);
        return len;
    }
    const int made = snprintf(out, PIECE_MAX, code < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)code);
    return made > 0 ? (size_t)made : 0;
}

size_t text_clean(const char *p, size_t n, char *out, size_t max, size_t *ret_len)
{
    size_t at = 0, len = 0;

    while (at < n) {
        char made[PIECE_MAX];
        size_t used, size = piece(p + at, n - at, made, &used);
        if (len + size > max)
            break;
        memcpy(out + len, made, size);
        len += size;
        at += used;
    }
    *ret_len = len;
    return at;
}

json_t *text_json(const char *p, size_t n, size_t max)
{
    size_t len = 0, most = n > SIZE_MAX / 6 || n * 6 > max ? max : n * 6;
    char *out = malloc(most + 1);

    if (!out)
        return NULL;
    (void)text_clean(p, n, out, most, &len);
    json_t *s = json_stringn_nocheck(out, len);
    free(out);
    return s;
}

json_t *text_base64(const char *p, size_t n)
{
    char *out = malloc((n + 2) / 3 * 4 + 1);
    size_t len = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < n; i += 3, len += 4)
        base64_group(p + i, n - i, out + len);
    json_t *s = json_stringn_nocheck(out, len);
    free(out);
    return s;
}
