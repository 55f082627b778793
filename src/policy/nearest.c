/* nearest: "did you mean". Pure text, any process.
 *
 * Trusts: nothing of the given word but its NUL. May: compare. Must not: allocate.
 * The measure is the optimal string alignment distance (insert, delete, replace, swap two neighbours). */
#include "policy/nearest.h"
#include <stdbool.h>
#include <string.h>

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static size_t distance(const char *a, size_t la, const char *b, size_t lb)
{
    size_t rows[3][NEAREST_WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= lb; j++)
        last[j] = j;
    for (size_t i = 1; i <= la; i++) {
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t cost = a[i - 1] != b[j - 1];
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[lb];
}

void nearest_offer(struct nearest *n, const char *candidate)
{
    size_t lg = strnlen(n->given, NEAREST_WORD_MAX + 1), lc = strnlen(candidate, NEAREST_WORD_MAX + 1);

    if (lg < 2 || lg > NEAREST_WORD_MAX || lc > NEAREST_WORD_MAX)
        return;
    size_t d = distance(n->given, lg, candidate, lc);
    size_t allowed = lg < 4 ? 1 : lg < 8 ? 2 : 3;
    bool prefix = lg >= 3 && lg < lc && memcmp(n->given, candidate, lg) == 0;
    if (d > allowed && !prefix)
        return;
    if (!n->best || d < n->distance) {
        n->best = candidate;
        n->distance = d;
    }
}
