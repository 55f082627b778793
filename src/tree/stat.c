/* stat: the changes with their counts of lines, as `git diff --stat` shows them.
 *
 * Lives in: strongroom-tree. Trusts: nothing of names and bytes. */
#include "tree/diff.h"
#include "tree/show.h"

#include <errno.h>
#include <string.h>

#define NAME_WIDTH 50
#define BAR_WIDTH  20

static void put_bar(long gone, long come)
{
    char bar[BAR_WIDTH + 1];
    long sum = gone + come, width = sum < BAR_WIDTH ? sum : BAR_WIDTH;
    long plus = sum ? (come * width + sum / 2) / sum : 0;

    if (come && plus == 0)
        plus = 1;
    if (gone && plus == width && width > 1)
        plus = width - 1;
    for (long i = 0; i < width; i++)
        bar[i] = i < plus ? '+' : '-';
    bar[width] = '\0';
    session_fmt(" | %5ld %s\n", sum, bar);
}

/* Paths that are too long lose their beginning. */
static void put_name(const char *path)
{
    static char text[1 << 16];
    struct sbuf b = SBUF(text);

    sbuf_escaped(&b, path);
    size_t skip = b.len > NAME_WIDTH ? b.len - NAME_WIDTH + 3 : 0;
    while (skip && (text[skip] & 0xc0) == 0x80)
        skip++; /* not within a character */
    session_fmt(" %s", skip ? "..." : "");
    session_text(text + skip);
    if (b.len < NAME_WIDTH)
        session_fmt("%*s", (int)(NAME_WIDTH - b.len), "");
}

int show_stat(const struct index *x, const uint8_t *chosen)
{
    const struct index_row *row;
    const char *path, *detail;
    unsigned long long files = 0, sum_gone = 0, sum_come = 0;
    int r = session.upper < 0 || session.lower < 0 ? -EPROTO : 0;

    for (int group = 0; group < SHOW_GROUPS && r >= 0; group++) {
        size_t at = 0, n = 0;
        for (; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
            long gone = 0, come = 0;
            if (group == SHOW_GIT || show_group_of(row, n) != (enum show_group)group ||
                !select_has(chosen, n) || (row->file != TREE_REGULAR && row->file != TREE_LINK))
                continue;
            r = row->flags & (ROW_BINARY | ROW_WAS_BINARY) ? (gone = -1, 0)
                                                           : diff_count(row, path, &gone, &come);
            if (r < 0)
                return r;
            put_name(path);
            files++;
            if (gone < 0) {
                session_fmt(" | %llu -> %llu bytes\n", (unsigned long long)row->old.size,
                            (unsigned long long)row->new_size);
                continue;
            }
            put_bar(gone, come);
            sum_gone += (unsigned long long)gone;
            sum_come += (unsigned long long)come;
        }
    }
    if (r >= 0)
        show_git(x, chosen, false);
    session_fmt(" %llu files changed, %llu insertions(+), %llu deletions(-)\n", files, sum_come, sum_gone);
    return r;
}
