/* uri: percent-encoding of paths in addresses.
 *
 * Lives in: strongroom-mcp. Trusts: nothing of an address or a name. May: compute. */
#include "mcp/uri.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

bool uri_decode(const char *text, char *out, size_t size)
{
    size_t n = 0;

    for (; *text; text++) {
        int byte = (unsigned char)*text;
        if (*text == '%') {
            const int high = num_hex(text[1]), low = high < 0 ? -1 : num_hex(text[2]);
            byte = low < 0 ? 0 : high * 16 + low;
            text += low < 0 ? 0 : 2;
        }
        if (byte == 0 || *text == '?' || *text == '#' || n + 1 >= size)
            return false;
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    return true;
}

json_t *uri_encode(const char *before, const char *name, size_t len, const char *after)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~",
                      digits[] = "0123456789ABCDEF";
    char *out = malloc(strlen(before) + 3 * len + strlen(after) + 1);
    size_t n = strlen(before);

    if (!out)
        return NULL;
    memcpy(out, before, n); /* NOLINT(bugprone-not-null-terminated-result): its length goes along */
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)name[i];
        if (c && strchr(plain, c)) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    memcpy(out + n, after, strlen(after)); /* NOLINT(bugprone-not-null-terminated-result): likewise */
    n += strlen(after);
    json_t *s = json_stringn(out, n);
    free(out);
    return s;
}
