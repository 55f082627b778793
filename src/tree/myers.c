/* myers: see myers.h.
 *
 * Theory of operation. A box is a piece of both sequences. What is equal at its two ends is set aside; a box that
 * is then empty on one side is all difference. Otherwise the ways from both corners are followed one difference at
 * a time until they meet, and the box is cut there in two. The larger half waits on a stack, so that the stack
 * stays as deep as the logarithm of the length. When the ways have not met after MYERS_COST_MAX differences, the
 * box is cut where the way from the front has come furthest.
 *
 * Lives in: strongroom-tree. Trusts: nothing of the sequences but their lengths. */
#include "tree/myers.h"

#include <string.h>

#define STACK_MAX 128

struct box {
    size_t a0, a1, b0, b1;
};

struct ways {
    const uint32_t *a, *b;
    long *front, *back; /* furthest x on each diagonal, from either corner */
};

size_t myers_room(size_t n, size_t m)
{
    return 2 * (n + m + 3) * sizeof(long);
}

/* One more difference along `way`, in the box read forwards (step 1) or backwards (-1). True: it met `other`, at x,
 * y (as counted from this way's own corner). */
static int advance(const struct ways *w, const struct box *c, long d, int backwards, long *ret_x, long *ret_y)
{
    const long n = (long)(c->a1 - c->a0), m = (long)(c->b1 - c->b0), delta = n - m;
    long *way = backwards ? w->back : w->front;
    const long *other = backwards ? w->front : w->back;
    const long reach = backwards ? d : d - 1; /* how far the other has come */
    const int may_meet = backwards ? delta % 2 == 0 : delta % 2 != 0;

    for (long k = -d; k <= d; k += 2) {
        if (k < -m || k > n)
            continue;
        const long right = way[k - 1] >= 0 && way[k - 1] < n ? way[k - 1] + 1 : -1;
        const long down = way[k + 1] >= 0 && way[k + 1] - k <= m ? way[k + 1] : -1;
        long x = right > down ? right : down;
        if (x < 0)
            continue;
        long y = x - k;
        if (backwards)
            while (x < n && y < m && w->a[c->a1 - 1 - (size_t)x] == w->b[c->b1 - 1 - (size_t)y]) {
                x++;
                y++;
            }
        else
            while (x < n && y < m && w->a[c->a0 + (size_t)x] == w->b[c->b0 + (size_t)y]) {
                x++;
                y++;
            }
        way[k] = x;
        const long across = delta - k;
        if (may_meet && across >= -reach && across <= reach && x + other[across] >= n) {
            *ret_x = x;
            *ret_y = y;
            return 1;
        }
    }
    return 0;
}

/* Where to cut: x, y from the front corner. */
static void cut(const struct ways *w, const struct box *c, size_t *ret_x, size_t *ret_y)
{
    const long n = (long)(c->a1 - c->a0), m = (long)(c->b1 - c->b0);
    long x = 0, y = 0, best = -1;

    const long low = m < MYERS_COST_MAX ? -m - 1 : -MYERS_COST_MAX - 1;
    const long high = n < MYERS_COST_MAX ? n + 1 : MYERS_COST_MAX + 1;
    for (long k = low; k <= high; k++)
        w->front[k] = w->back[k] = -1;
    w->front[1] = w->back[1] = 0;
    for (long d = 0; d <= MYERS_COST_MAX; d++) {
        if (advance(w, c, d, 0, &x, &y)) {
            *ret_x = (size_t)x;
            *ret_y = (size_t)y;
            return;
        }
        if (advance(w, c, d, 1, &x, &y)) {
            *ret_x = (size_t)(n - x);
            *ret_y = (size_t)(m - y);
            return;
        }
    }
    for (long k = low + 1; k < high; k++) {
        long at = w->front[k];
        if (at < 0 || at - k < 0 || at - k > m || at + at - k <= best)
            continue;
        best = at + at - k;
        *ret_x = (size_t)at;
        *ret_y = (size_t)(at - k);
    }
}

void myers(const uint32_t *a, size_t n, const uint32_t *b, size_t m, uint8_t *gone, uint8_t *come, void *room)
{
    const size_t span = n + m + 3;
    struct ways w = {.a = a, .b = b, .front = (long *)room + m + 1, .back = (long *)room + span + m + 1};
    struct box stack[STACK_MAX] = {{0, n, 0, m}};
    size_t depth = 1;

    while (depth) {
        struct box c = stack[--depth];
        while (c.a0 < c.a1 && c.b0 < c.b1 && a[c.a0] == b[c.b0]) {
            c.a0++;
            c.b0++;
        }
        while (c.a0 < c.a1 && c.b0 < c.b1 && a[c.a1 - 1] == b[c.b1 - 1]) {
            c.a1--;
            c.b1--;
        }
        size_t x = 0, y = 0;
        if (c.a0 < c.a1 && c.b0 < c.b1 && depth + 2 <= STACK_MAX)
            cut(&w, &c, &x, &y);
        if ((x == 0 && y == 0) || (x == c.a1 - c.a0 && y == c.b1 - c.b0)) {
            memset(gone + c.a0, 1, c.a1 - c.a0);
            memset(come + c.b0, 1, c.b1 - c.b0);
            continue;
        }
        const struct box left = {c.a0, c.a0 + x, c.b0, c.b0 + y}, right = {c.a0 + x, c.a1, c.b0 + y, c.b1};
        const int left_larger = x + y > c.a1 - c.a0 + c.b1 - c.b0 - x - y;
        stack[depth++] = left_larger ? left : right;
        stack[depth++] = left_larger ? right : left;
    }
}
