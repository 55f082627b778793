/* tool_read: what was printed, in parts.
 *
 * Lives in: strongroom-mcp. Trusts: nothing of the bytes. Must not: hand out a control character as text. */
#include "mcp/text.h"
#include "mcp/tool_fns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Up to `want` bytes from `offset`; *ret_n says how many. NULL: none, or no memory. */
static char *part(int fd, int64_t size, int64_t offset, int64_t want, size_t *ret_n)
{
    *ret_n = 0;
    if (offset >= size)
        return NULL;
    want = want > size - offset ? size - offset : want;
    char *p = malloc((size_t)want);
    const ssize_t n = p ? pread(fd, p, (size_t)want, offset) : -1;
    if (n < 0) {
        free(p);
        return NULL;
    }
    *ret_n = (size_t)n;
    return p;
}

/* Bytes of the end that begin within a character belong to what is left out. */
static size_t skip_broken(const char *p, size_t n)
{
    size_t at = 0;

    while (at < n && at < 3 && ((unsigned char)p[at] & 0xc0) == 0x80)
        at++;
    return at;
}

struct excerpt output_excerpt(int fd, int64_t size, int64_t max)
{
    char *head = malloc((size_t)max + 128);
    size_t n, len = 0, tail_len = 0;
    char *p = part(fd, size, 0, max + 16, &n);

    if (!head) {
        free(p);
        return (struct excerpt){.text = json_string(""), .cut = true};
    }
    size_t used = p ? text_clean(p, n, head, (size_t)max, &len) : 0;
    const bool cut = (int64_t)used < size;
    if (cut) {
        const size_t keep = (size_t)max / 4;
        used = text_clean(p, n, head, (size_t)max - keep, &len);
        free(p);
        int64_t from = size - (int64_t)keep;
        from = from < (int64_t)used ? (int64_t)used : from;
        p = part(fd, size, from, (int64_t)keep, &n);
        const size_t skip = p && from > (int64_t)used ? skip_broken(p, n) : 0;
        char *tail = malloc(keep + 1);
        if (p && tail) {
            /* Control characters grow when they are shown: then what is left out grows too, at the end's front. */
            size_t at = skip;
            while (at < n && at + text_clean(p + at, n - at, tail, keep, &tail_len) < n)
                at += n / 16 + 1;
            len += (size_t)snprintf(head + len, 100, "\n[... %lld bytes left out ...]\n",
                                    (long long)(from + (int64_t)(at < n ? at : n) - (int64_t)used));
            memcpy(head + len, tail, tail_len);
            len += tail_len;
        }
        free(tail);
    }
    free(p);
    const struct excerpt e = {.text = json_stringn_nocheck(head, len), .cut = cut};
    free(head);
    return e;
}

json_t *output_part(int fd, int64_t size, int64_t offset, int64_t limit, bool as_base64)
{
    size_t n, used = 0, len = 0;
    char *p = part(fd, size, offset, limit, &n);
    json_t *content;

    if (as_base64) {
        used = n;
        content = text_base64(p ? p : "", n);
    } else {
        char *out = malloc((size_t)limit);
        if (p && out) {
            used = text_clean(p, n, out, (size_t)limit, &len);
            /* The last character may go on behind this part: then it is left to the next one. */
            for (size_t back = 1; back <= 3 && back < used && offset + (int64_t)n < size; back++) {
                const unsigned char c = (unsigned char)p[used - back];
                if (c >= 0xc0 && back < (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u)) {
                    (void)text_clean(p, used - back, out, (size_t)limit, &len);
                    used -= back;
                    break;
                }
                if (c < 0x80 || c >= 0xc0)
                    break;
            }
        }
        content = out ? json_stringn_nocheck(out, len) : NULL;
        free(out);
    }
    free(p);
    const int64_t next = offset + (int64_t)used;
    return json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:b}", "content", content, "encoding",
                     as_base64 ? "base64" : "text", "offset", (json_int_t)offset, "bytes", (json_int_t)used,
                     "size", (json_int_t)size, "next_offset", (json_int_t)next, "at_end", next >= size);
}

static int stream_find(const char *path)
{
    path += *path == '/';
    for (int i = 0; i < OUTPUT_STREAMS; i++) {
        if (strcmp(output_names[i], path) == 0)
            return i;
    }
    return -1;
}

void tool_read_file(struct server *s, struct rpc_call *c, const json_t *args)
{
    size_t len;
    const char *id = tool_text(args, "sandbox_id", &len), *path = tool_text(args, "path", NULL);
    const char *encoding = tool_text(args, "encoding", NULL);
    const struct output_run *run = outputs_find(&s->outputs, id, len);
    const int stream = stream_find(path);

    if (strncmp(id, "run-", 4) != 0) {
        if (live_id_ok(c, args))
            live_read_file(s, c, args);
        return;
    }
    if (!run) {
        tool_failed(c, "sandbox_read_file: no run %.64s is kept; kept are " OUTPUTS_LIFE ". Run it again",
                    id);
        return;
    }
    if (stream < 0) {
        tool_failed(c, "sandbox_read_file: %.100s: of a run that is over there are stdout and stderr", path);
        return;
    }
    tool_done(c, output_part(run->fd[stream], run->size[stream], tool_number(args, "offset", 0),
                             tool_number(args, "limit", OUTPUT_INLINE),
                             encoding && strcmp(encoding, "base64") == 0));
}
