/* base64: see base64.h.
 *
 * Lives in: whoever calls. Pure. */
#include "base/base64.h"

void base64_group(const char *p, size_t n, char ret[4])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned v = 0;

    for (size_t i = 0; i < 3; i++)
        v = v << 8 | (i < n ? (unsigned char)p[i] : 0);
    for (size_t i = 0; i < 4; i++)
        ret[i] = i <= n ? digits[v >> (18 - 6 * i) & 63] : '=';
}
