/* edit: a head that goes on changed.
 *
 * A wish for HTTP/2 by way of HTTP/1 (Upgrade: h2c) is left out: the server then goes on in HTTP/1, which we can read.
 * So is the wish for a word before the body (Expect), which is fulfilled here (flow.c).
 * A request that is to be the last one of its connection says so, and nothing else about it.
 * Values of secrets are put into requests, and hidden in answers (secret.c).
 *
 * Lives in: strongroom-gate, strongroom-intercept. Trusts: that the head was parsed. May: compute.
 * Must not: allocate. */
#include "gate/edit.h"
#include "gate/head.h"

#include <string.h>

bool edit_wanted(const struct flow_rules *r, const struct flow_verdict *v)
{
    return v->head > 0 && (v->without_upgrade || v->without_expect || v->last || r->secret);
}

static const char closing[] = "Connection: close\r\n\r\n";

static bool is_left_out(const char *bytes, const struct head_field *f, const struct flow_verdict *v)
{
    return (v->without_upgrade && head_is(bytes, f->name, "upgrade")) ||
           (v->without_expect && head_is(bytes, f->name, "expect")) ||
           (v->last && head_is(bytes, f->name, "connection"));
}

static size_t change_fields(const char *bytes, size_t size, const struct flow_verdict *v, char *out)
{
    const struct head h = {.size = size};
    struct head_field f;
    size_t at = 0, done = 0, len = 0;

    while (head_field(bytes, &h, &at, &f)) {
        if (!is_left_out(bytes, &f, v))
            continue;
        memcpy(out + len, bytes + done, f.line.at - done);
        len += f.line.at - done;
        done = f.line.at + f.line.len;
    }
    memcpy(out + len, bytes + done, size - done);
    len += size - done;
    if (v->last) {
        memcpy(out + len - 2, closing, sizeof closing - 1);
        len += sizeof closing - 1 - 2;
    }
    return len;
}

size_t edit_head(const char *bytes, const struct flow_rules *r, enum flow_side side, enum secret_way way,
                 const struct flow_verdict *v, char out[EDIT_MAX])
{
    static char kept[HEAD_MAX + sizeof closing];
    const char *from = bytes;
    size_t size = v->head;

    if (side == FLOW_DOWN)
        return secret_hide(from, size, r->name, r->port, way, out, EDIT_MAX);
    if (v->without_upgrade || v->without_expect || v->last) {
        size = change_fields(bytes, size, v, kept);
        from = kept;
    }
    return secret_put(from, size, r->name, r->port, way, out, EDIT_MAX);
}
