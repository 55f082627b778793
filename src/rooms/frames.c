/* frames: the table of messages of a room's control socket, and the check that each must pass.
 *
 * Lives in: the supervisor of a room, its clients, tests and fuzzers. Trusts: no byte of a frame. Pure. */
#include "rooms/frames.h"
#include "base/utf8.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

static const struct {
    enum rooms_from from;
    uint32_t least, most;
    int fds;
} rows[ROOMS_FRAME_TYPE_END] = {
#define X(id, name, from, least, most, fds, what) [ROOMS_##id] = {ROOMS_##from, least, most, fds},
    ROOMS_FRAME_TABLE(X)
#undef X
};
static_assert(sizeof(struct rooms_frame) == 4096, "no padding, one page");

static bool has_lines(uint32_t type)
{
    return rows[type].from == ROOMS_ROOM || type == ROOMS_ALLOW || type == ROOMS_DENY ||
           type == ROOMS_WITHDRAW;
}

static bool is_clean(const struct rooms_frame *f)
{
    for (size_t i = 0; i < f->size;) {
        uint32_t code;
        const unsigned n = utf8_next(f->text + i, f->size - i, &code);
        const bool newline = code == '\n' && has_lines(f->type);
        if (n == 0 || ((code < 0x20 || code == 0x7f) && !newline))
            return false;
        i += n;
    }
    for (size_t i = f->size; i < sizeof f->text; i++) {
        if (f->text[i] != '\0')
            return false;
    }
    return true;
}

int rooms_frame_check(const struct rooms_frame *f, enum rooms_from from, int fds)
{
    if (f->version != ROOMS_VERSION)
        return -EPROTO;
    if (f->type == ROOMS_NOTHING || f->type >= ROOMS_FRAME_TYPE_END || rows[f->type].from != from)
        return -EBADMSG;
    if (f->size < rows[f->type].least || f->size > rows[f->type].most || f->value < 0 ||
        fds > rows[f->type].fds)
        return -EBADMSG;
    return is_clean(f) ? 0 : -EBADMSG;
}

void rooms_frame_fill(struct rooms_frame *f, enum rooms_frame_type type, int value, const char *text)
{
    size_t len = strlen(text), at = 0;
    uint32_t code;

    memset(f, 0, sizeof *f);
    f->version = ROOMS_VERSION;
    f->type = type;
    f->value = value;
    while (at < len) {
        const unsigned n = utf8_next(text + at, len - at, &code);
        if (n == 0 || at + n > rows[type].most)
            break;
        at += n;
    }
    memcpy(f->text, text, at);
    f->size = (uint32_t)at;
}

void rooms_frame_text(const struct rooms_frame *f, char ret[ROOMS_TEXT_MAX + 1])
{
    const size_t size = f->size <= ROOMS_TEXT_MAX ? f->size : 0;

    memcpy(ret, f->text, size);
    ret[size] = '\0';
}
