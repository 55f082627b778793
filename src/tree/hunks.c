/* hunks: two texts → unified hunks.
 *
 * Lives in: strongroom-tree, tests and fuzzers. Trusts: nothing of the texts. Pure but for its scratch memory,
 * which is bounded by DIFF_LINES_MAX and got once. */
#include "sys/mem.h"
#include "tree/diff.h"
#include "tree/myers.h"

#include <stdio.h>
#include <string.h>

#define CONTEXT    3
#define TABLE_SIZE (4 * DIFF_LINES_MAX)

/* Lines of one text. ids: equal lines have equal numbers. */
struct lines {
    struct diff_text text;
    size_t *start; /* count + 1 of them */
    uint32_t *id;
    uint8_t *mark;
    size_t count;
};

static struct lines side[2];
static struct {
    uint32_t line, used; /* line: of side `used - 1` */
} * table;
static void *room;

static bool get_room(void)
{
    if (room)
        return true;
    for (int i = 0; i < 2; i++) {
        side[i].start = mem_reserve((DIFF_LINES_MAX + 1) * sizeof(size_t));
        side[i].id = mem_reserve(DIFF_LINES_MAX * sizeof(uint32_t));
        side[i].mark = mem_reserve(DIFF_LINES_MAX);
        if (!side[i].start || !side[i].id || !side[i].mark)
            return false;
    }
    table = mem_reserve(TABLE_SIZE * sizeof *table);
    if (!table)
        return false;
    room = mem_reserve(myers_room(DIFF_LINES_MAX, DIFF_LINES_MAX));
    return room != NULL;
}

/* False: more than DIFF_LINES_MAX. */
static bool split(struct lines *l, struct diff_text t)
{
    size_t at = 0;

    l->text = t;
    l->count = 0;
    while (at < t.size) {
        if (l->count == DIFF_LINES_MAX)
            return false;
        l->start[l->count++] = at;
        const char *end = memchr(t.bytes + at, '\n', t.size - at);
        at = end ? (size_t)(end - t.bytes) + 1 : t.size;
    }
    l->start[l->count] = t.size;
    return true;
}

static bool same_line(const struct lines *a, size_t i, const struct lines *b, size_t k)
{
    const size_t n = a->start[i + 1] - a->start[i];

    return n == b->start[k + 1] - b->start[k] &&
           memcmp(a->text.bytes + a->start[i], b->text.bytes + b->start[k], n) == 0;
}

/* Gives equal lines equal numbers. The table is as large as the texts need. */
static void number(void)
{
    size_t size = 16;
    uint32_t next = 0;

    while (size < 2 * (side[0].count + side[1].count))
        size *= 2;
    memset(table, 0, size * sizeof *table);
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < side[s].count; i++) {
            uint64_t h = 0xcbf29ce484222325u;
            for (size_t at = side[s].start[i]; at < side[s].start[i + 1]; at++)
                h = (h ^ (unsigned char)side[s].text.bytes[at]) * 0x100000001b3u;
            size_t slot = (size_t)(h ^ h >> 29) & (size - 1);
            while (table[slot].used && !same_line(&side[s], i, &side[table[slot].used - 1], table[slot].line))
                slot = (slot + 1) & (size - 1);
            if (!table[slot].used) {
                table[slot].used = (uint32_t)s + 1;
                table[slot].line = (uint32_t)i;
                side[s].id[i] = next++;
            } else {
                side[s].id[i] = side[table[slot].used - 1].id[table[slot].line];
            }
        }
}

static void put_one(const struct lines *l, size_t i, char sign, diff_put *put, void *ctx)
{
    static const char no_end[] = "\n\\ No newline at end of file\n";
    const char *bytes = l->text.bytes + l->start[i];
    const size_t n = l->start[i + 1] - l->start[i];

    put(ctx, &sign, 1);
    put(ctx, bytes, n);
    if (n == 0 || bytes[n - 1] != '\n')
        put(ctx, no_end, sizeof no_end - 1);
}

static void put_range(char *buf, size_t size, size_t from, size_t count)
{
    if (count == 1)
        (void)snprintf(buf, size, "%zu", from + 1);
    else
        (void)snprintf(buf, size, "%zu,%zu", count ? from + 1 : from, count);
}

/* From i, k (the first change's lines, context before it included) as far as changes are near one another. */
static void put_hunk(size_t i, size_t k, size_t end_i, size_t end_k, diff_put *put, void *ctx)
{
    char head[128], a[48], b[48];

    put_range(a, sizeof a, i, end_i - i);
    put_range(b, sizeof b, k, end_k - k);
    int n = snprintf(head, sizeof head, "@@ -%s +%s @@\n", a, b);
    put(ctx, head, (size_t)n);
    while (i < end_i || k < end_k) {
        if (i < end_i && side[0].mark[i])
            put_one(&side[0], i++, '-', put, ctx);
        else if (k < end_k && side[1].mark[k])
            put_one(&side[1], k++, '+', put, ctx);
        else {
            put_one(&side[0], i++, ' ', put, ctx);
            k++;
        }
    }
}

static void walk_changes(diff_put *put, void *ctx)
{
    const size_t n = side[0].count, m = side[1].count;
    size_t i = 0, k = 0;

    while (i < n || k < m) {
        if (!(i < n && side[0].mark[i]) && !(k < m && side[1].mark[k])) {
            i++;
            k++;
            continue;
        }
        const size_t before =
            i < CONTEXT ? i : CONTEXT; /* as many equal lines stand before it on both sides */
        const size_t from_i = i - before, from_k = k - before;
        size_t equal = 0;
        while ((i < n || k < m) && equal <= 2 * CONTEXT) {
            if (i < n && side[0].mark[i]) {
                i++;
                equal = 0;
            } else if (k < m && side[1].mark[k]) {
                k++;
                equal = 0;
            } else {
                i++;
                k++;
                equal++;
            }
        }
        const size_t over = equal > CONTEXT ? equal - CONTEXT : 0;
        put_hunk(from_i, from_k, i - over, k - over, put, ctx);
        i -= over;
        k -= over;
    }
}

static long count_marks(const struct lines *l)
{
    long n = 0;

    for (size_t i = 0; i < l->count; i++)
        n += l->mark[i];
    return n;
}

static long count_lines(struct diff_text t)
{
    long n = t.size && t.bytes[t.size - 1] != '\n';

    for (size_t i = 0; i < t.size; i++)
        n += t.bytes[i] == '\n';
    return n;
}

/* Too many lines to compare: the one text goes, the other comes. */
static void put_replaced(struct diff_text a, struct diff_text b, diff_put *put, void *ctx)
{
    const struct diff_text both[2] = {a, b};
    char head[128], from[48], to[48];

    put_range(from, sizeof from, 0, (size_t)count_lines(a));
    put_range(to, sizeof to, 0, (size_t)count_lines(b));
    int n = snprintf(head, sizeof head, "@@ -%s +%s @@\n", from, to);
    put(ctx, head, (size_t)n);
    for (int s = 0; s < 2; s++)
        for (size_t at = 0; at < both[s].size;) {
            const char *end = memchr(both[s].bytes + at, '\n', both[s].size - at);
            struct lines one = {.text = both[s],
                                .start =
                                    (size_t[]){at, end ? (size_t)(end - both[s].bytes) + 1 : both[s].size}};
            put_one(&one, 0, s ? '+' : '-', put, ctx);
            at = one.start[1];
        }
}

bool diff_hunks(struct diff_text a, struct diff_text b, diff_put *put, void *ctx, long *ret_gone,
                long *ret_come)
{
    *ret_gone = count_lines(a);
    *ret_come = count_lines(b);
    if (a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0)) {
        *ret_gone = *ret_come = 0;
        return false;
    }
    if (!get_room() || !split(&side[0], a) || !split(&side[1], b)) {
        if (put)
            put_replaced(a, b, put, ctx);
        return true;
    }
    memset(side[0].mark, 0, side[0].count);
    memset(side[1].mark, 0, side[1].count);
    number();
    myers(side[0].id, side[0].count, side[1].id, side[1].count, side[0].mark, side[1].mark, room);
    *ret_gone = count_marks(&side[0]);
    *ret_come = count_marks(&side[1]);
    if (put)
        walk_changes(put, ctx);
    return true;
}
