/* flow_fuzz: any bytes as what a room and a server say, cut anywhere: nothing passes before it was allowed, no count is
 * wrong, and a cut never changes a verdict to the better.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "gate/edit.h"
#include "gate/flow.h"
#include "gate/head.h"
#include "gate/hello.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct flow *f, const struct flow_rules *r, const struct flow_verdict *v,
                  enum flow_side side, const uint8_t *bytes, size_t size)
{
    static char out[EDIT_MAX];

    CHECK(v->step <= FLOW_BAD && memchr(v->why, '\0', sizeof v->why) != NULL);
    if (v->step == FLOW_PASS)
        CHECK(v->count > 0 && f->begun && v->head <= size && v->head <= v->count);
    if (v->step == FLOW_BAD)
        CHECK(v->why[0] != '\0' && v->fault != 0);
    if (v->step == FLOW_PASS && edit_wanted(r, v)) {
        CHECK(side == FLOW_UP && v->head > 0 && (v->without_upgrade || v->without_expect || v->last));
        size_t n = edit_head((const char *)bytes, r, side, SECRET_CLEAR, v, out);
        struct head h;
        const char *why;
        CHECK(n > 0 && n <= v->head + (v->last ? 19 : 0) && head_request(out, n, &h, &why) == 0 &&
              h.size == n && !(v->without_upgrade && h.upgrade) && !h.expects);
    }
}

/* One side says all of `bytes`, in pieces of at most `piece`. */
static void one_side(struct flow *f, const struct flow_rules *r, enum flow_side side, const uint8_t *bytes,
                     size_t size, size_t piece)
{
    static struct flow_verdict v;
    size_t at = 0, shown = piece;

    for (int turn = 0; turn < 300 && at < size; turn++) {
        size_t here = size - at < shown ? size - at : shown;
        flow_next(f, r, side, bytes + at, here, &v);
        check(f, r, &v, side, bytes + at, here);
        if (v.step == FLOW_BAD || v.step == FLOW_HOLD || v.step == FLOW_HAND)
            return;
        if (v.step == FLOW_MORE && here == size - at)
            return;
        if (v.step == FLOW_MORE) {
            shown += piece;
            continue;
        }
        if (v.count > size - at)
            return;
        at += (size_t)v.count;
        shown = piece;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 60000)
        return 0;
    const struct flow_rules r = {.takes = data[0] & 7,
                                 .name = data[0] & 8 ? "allowed.test" : "",
                                 .port = 80,
                                 .http = data[0] & 16 ? "GET:/a/* *:/b" : NULL,
                                 .deep = data[0] & 32};
    const size_t piece = (size_t)data[1] + 1, up = (size - 2) * data[2] / 255;
    struct hello h;
    struct flow f;

    if (hello_parse(data + 2, size - 2, &h) == 0)
        CHECK(h.size <= size - 2 && (!h.named || h.name[0] != '\0'));
    (void)flow_begin(&f, r.takes);
    for (int i = 0; i < 2; i++) {
        one_side(&f, &r, FLOW_UP, data + 3, up > 0 ? up - 1 : 0, piece);
        one_side(&f, &r, FLOW_DOWN, data + 2 + up, size - 2 - up, piece);
    }
    return 0;
}
