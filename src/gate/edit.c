/* edit: a head that goes on changed.
 *
 * A wish for HTTP/2 by way of HTTP/1 (Upgrade: h2c) is left out: the server then goes on in HTTP/1, which we can read.
 *
 * Lives in: strongroom-gate, strongroom-intercept. Trusts: that the head was parsed. May: compute.
 * Must not: allocate. */
#include "gate/edit.h"
#include "gate/head.h"

#include <string.h>

bool edit_wanted(const struct flow_verdict *v)
{
    return v->without_upgrade;
}

size_t edit_head(const char *bytes, const struct flow_verdict *v, char out[EDIT_MAX])
{
    const struct head h = {.size = v->head};
    struct head_field f;
    size_t at = 0, done = 0, len = 0;

    while (head_field(bytes, &h, &at, &f)) {
        if (!v->without_upgrade || !head_is(bytes, f.name, "upgrade"))
            continue;
        memcpy(out + len, bytes + done, f.line.at - done);
        len += f.line.at - done;
        done = f.line.at + f.line.len;
    }
    memcpy(out + len, bytes + done, h.size - done);
    return len + h.size - done;
}
