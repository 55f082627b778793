/* cell_result: what an interpreter sent, as text on stdout or as JSON: {"values": […], "outcome": …}.
 *
 * Lives in: the command, confined. Trusts: no byte of a value. Must not: hold more than a piece of one. */
#include "base/base64.h"
#include "base/sbuf.h"
#include "base/utf8.h"
#include "cli/cell.h"
#include "sys/fd.h"

#include <string.h>

#define VALUES_MAX  64          /* with their bytes; of all others only the size is said */
#define VALUES_SIZE (24u << 20) /* of all of them, as they may be written at most */
#define PIECE       3000        /* a multiple of 3 */

static void put(struct cell_result *r, const struct sbuf *b)
{
    if (r->error == 0)
        r->error = fd_write_all(r->fd, b->text, b->len);
}

static void put_text(struct cell_result *r, const char *text)
{
    if (r->error == 0)
        r->error = fd_write_all(r->fd, text, strlen(text));
}

/* A JSON string of what may be no UTF-8. No NUL comes out: readers in C take it for an end. */
static void put_string(struct cell_result *r, const char *p, size_t n)
{
    char piece[PIECE + 16];
    struct sbuf b = SBUF(piece);

    sbuf_char(&b, '"');
    while (n > 0) {
        uint32_t code = 0;
        const unsigned used = utf8_next(p, n, &code);
        if (used == 0 || code == 0)
            sbuf_text(&b, "\\ufffd");
        else if (code == '"' || code == '\\' || utf8_unsafe(code))
            sbuf_fmt(&b, "\\u%04x", (unsigned)code); /* each of these is below U+10000 */
        else
            sbuf_bytes(&b, p, used);
        p += used ? used : 1;
        n -= used ? used : 1;
        if (b.len >= PIECE) {
            put(r, &b);
            b = SBUF(piece);
        }
    }
    sbuf_char(&b, '"');
    put(r, &b);
}

static void put_base64(struct cell_result *r, const char *p, size_t n)
{
    char piece[PIECE / 3 * 4 + 16];
    struct sbuf b = SBUF(piece);

    sbuf_char(&b, '"');
    for (size_t i = 0; i < n; i += 3) {
        char four[4];
        base64_group(p + i, n - i, four);
        for (size_t k = 0; k < 4; k++)
            sbuf_char(&b, four[k]);
        if (b.len >= PIECE) {
            put(r, &b);
            b = SBUF(piece);
        }
    }
    sbuf_char(&b, '"');
    put(r, &b);
}

static void show(struct cell_result *r, char kind, const struct cells_value *v)
{
    char text[CELLS_TYPE_MAX + 64];
    struct sbuf b = SBUF(text);

    if (kind == 'V' && strcmp(v->type, "text/plain") == 0) {
        if (r->error == 0)
            r->error = fd_write_all(1, v->data, v->size);
        sbuf_char(&b, '\n');
    } else if (!cells_is_text(v->type)) {
        sbuf_fmt(&b, "[%s, %zu bytes]\n", v->type, v->size);
    }
    if (r->error == 0)
        r->error = fd_write_all(1, b.text, b.len);
}

void cell_result_begin(struct cell_result *r)
{
    if (r->fd >= 0)
        put_text(r, "{\"values\":[");
}

void cell_result_value(struct cell_result *r, char kind, const struct cells_value *v)
{
    char text[CELLS_TYPE_MAX + 96];
    struct sbuf b = SBUF(text);
    const uint64_t cost = cells_is_text(v->type) ? 6 * (uint64_t)v->size : 2 * (uint64_t)v->size;
    const bool holds = kind == 'V' && r->count < VALUES_MAX && r->bytes + cost <= VALUES_SIZE;

    if (r->fd < 0) {
        show(r, kind, v);
        return;
    }
    if (r->count == 16 * VALUES_MAX)
        return; /* nobody reads so many */
    sbuf_fmt(&b, "%s{\"type\":\"%s\",\"bytes\":%zu", r->count++ ? "," : "", v->type, v->size);
    put(r, &b);
    if (holds && cells_is_text(v->type)) {
        put_text(r, ",\"text\":");
        put_string(r, v->data, v->size);
        r->bytes += cost;
    } else if (holds && cells_is_picture(v)) {
        put_text(r, ",\"base64\":");
        put_base64(r, v->data, v->size);
        r->bytes += cost;
    }
    put_text(r, "}");
}

void cell_result_end(struct cell_result *r, const struct cell_end *end)
{
    char text[512];
    struct sbuf b = SBUF(text);

    if (r->fd < 0)
        return;
    sbuf_fmt(&b,
             "],\"outcome\":\"%s\",\"exit_status\":%d,\"cell\":%u,\"began\":\"%s\",\"state\":\"%s\","
             "\"bytes\":{\"stdout\":%llu,\"stderr\":%llu},\"run_ms\":%llu",
             end->outcome, end->exit_status, end->number,
             end->lost_before ? "lost"
             : end->began_new ? "new"
                              : "kept",
             end->gone ? "gone" : "kept", (unsigned long long)end->printed[0],
             (unsigned long long)end->printed[1], (unsigned long long)end->ms);
    put(r, &b);
    if (end->done.name_len > 0) {
        put_text(r, ",\"error\":{\"name\":");
        put_string(r, end->done.name, end->done.name_len);
        put_text(r, ",\"text\":");
        put_string(r, end->done.text, end->done.text_len);
        put_text(r, "}");
    }
    put_text(r, "}\n");
}
