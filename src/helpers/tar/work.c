/* work: see work.h.
 *
 * Lives in: strongroom-tar, and the fuzzer of its reader. */
#include "helpers/tar/work.h"
#include "base/sbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define TOLD_MAX 20

int work_fail(struct work *w, int code, const char *fmt, ...)
{
    struct sbuf b = SBUF(w->why);
    va_list ap;

    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap); /* the other side escapes it */
    va_end(ap);
    return -code;
}

int work_leave(struct work *w, const char *path, const char *why)
{
    char text[TAR_TEXT_MAX];
    struct sbuf b = SBUF(text);

    if (w->left_out++ >= TOLD_MAX || !w->tell)
        return 0;
    sbuf_escaped(&b, path);
    sbuf_fmt(&b, ": left out: %s", why);
    return w->tell(text);
}

int work_count(struct work *w, uint64_t entries, uint64_t bytes)
{
    w->entries += entries;
    w->bytes += bytes;
    if (w->entries > w->order.entries_max)
        return work_fail(w, E2BIG, "the stream holds more than %llu entries",
                         (unsigned long long)w->order.entries_max);
    if (w->bytes > w->order.bytes_max)
        return work_fail(w, E2BIG, "the stream holds more than %llu bytes",
                         (unsigned long long)w->order.bytes_max);
    return 0;
}
