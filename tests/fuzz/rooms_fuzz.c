/* rooms_fuzz: any bytes as a frame on a room's control socket.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "base/utf8.h"
#include "rooms/frames.h"
#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_side(const struct rooms_frame *f, enum rooms_from from)
{
    static struct rooms_frame again;
    char text[ROOMS_TEXT_MAX + 1];

    rooms_frame_text(f, text); /* also of a frame that is none */
    if (rooms_frame_check(f, from, 0) < 0)
        return;
    CHECK(strlen(text) == f->size);
    const bool lines =
        from == ROOMS_ROOM || f->type == ROOMS_ALLOW || f->type == ROOMS_DENY || f->type == ROOMS_WITHDRAW;
    for (size_t i = 0; i < f->size;) {
        uint32_t code;
        unsigned n = utf8_next(text + i, f->size - i, &code);
        CHECK(n > 0 && (code >= 0x20 || (code == '\n' && lines)));
        i += n;
    }
    rooms_frame_fill(&again, (enum rooms_frame_type)f->type, f->value, text);
    CHECK(memcmp(&again, f, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rooms_frame f;

    memset(&f, 0, sizeof f); /* what a shorter input does not say is zero, as in a frame */
    memcpy(&f, data, size < sizeof f ? size : sizeof f);
    one_side(&f, ROOMS_CLIENT);
    one_side(&f, ROOMS_ROOM);
    return 0;
}
