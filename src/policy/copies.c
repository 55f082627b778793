/* copies: what is copied into a room at its start, and out of it at its end.
 *
 * Lives in: any process. Trusts: nothing of a value. May: join and tidy text. Must not: look at a file system. */
#include "base/sbuf.h"
#include "policy/inner.h"
#include <errno.h>
#include <string.h>

#define STREAM "-" /* a tar stream on stdin or stdout; no path: those are absolute by now */

/* "/work/NAME" for a host path that ends in NAME. */
static int default_place(struct policy *p, const struct field *f, const char *value, const char *src,
                         const char **ret, struct err *e)
{
    char text[POLICY_PATH_MAX];
    struct sbuf b = SBUF(text);
    const char *slash = strrchr(src, '/');
    const char *name = slash ? slash + 1 : src;

    if (name[0] == '\0' || strcmp(name, "..") == 0) {
        value_bad(p, f, value, e, "it has no name of its own");
        return err_hint(e, "say where it goes: --copy-in SRC:DST");
    }
    sbuf_fmt(&b, "/work/%s", name);
    *ret = b.full ? NULL : arena_text(p, text, b.len);
    return *ret ? 0 : arena_full(p, e);
}

/* "-:DST": a tar stream on stdin, of which there is one. */
static int take_stream(struct policy *p, const struct field *f, const char *value, struct err *e)
{
    struct policy_mount m = {.kind = MOUNT_COPY_IN, .src = STREAM};

    for (size_t i = 0; i < p->mount_count; i++)
        if (p->mounts[i].kind == MOUNT_COPY_IN && strcmp(p->mounts[i].src, STREAM) == 0)
            return value_bad(p, f, value, e, "stdin is one stream, and is taken already");
    if (value[1] == '\0') {
        value_bad(p, f, value, e, "it has no name of its own");
        return err_hint(e, "say where it goes: --copy-in -:DST");
    }
    int r = path_take(p, f, value, value + 2, strlen(value + 2), true, &m.dst, e);
    if (r == 0 && workspaces_count(p) == POLICY_WORKSPACES_MAX)
        return field_bad(p, f, e, "more than %d workspaces and copies", POLICY_WORKSPACES_MAX);
    return r < 0 ? r : mount_add(p, f, m, value, e);
}

SET_FUNCTION(set_copy_in)
{
    struct policy_mount m = {.kind = MOUNT_COPY_IN};
    const char *colon = place_in(value);
    const size_t len = colon ? (size_t)(colon - value) : strlen(value);

    (void)source;
    if (value[0] == '-' && (value[1] == ':' || value[1] == '\0'))
        return take_stream(p, f, value, e);
    int r = path_take(p, f, value, value, len, false, &m.src, e);
    if (r == 0 && colon)
        r = path_take(p, f, value, colon + 1, strlen(colon + 1), true, &m.dst, e);
    else if (r == 0)
        r = default_place(p, f, value, m.src, &m.dst, e);
    if (r == 0 && workspaces_count(p) == POLICY_WORKSPACES_MAX)
        return field_bad(p, f, e, "more than %d workspaces and copies", POLICY_WORKSPACES_MAX);
    return r < 0 ? r : mount_add(p, f, m, value, e);
}

SET_FUNCTION(set_copy_out)
{
    const struct origin *o = &p->arena->now;
    struct policy_copy c = {.source = o->source, .line = o->line, .where = o->where};
    const char *colon = strchr(value, ':');

    (void)source;
    if (!colon) {
        value_bad(p, f, value, e, "no folder of the host");
        return err_hint(e, "wanted SRC:DST, as --copy-out /work/results:./results");
    }
    int r = path_take(p, f, value, value, (size_t)(colon - value), true, &c.src, e);
    if (r == 0 && strcmp(colon + 1, STREAM) == 0) {
        c.dst = STREAM;
        for (size_t i = 0; i < p->copy_count; i++)
            if (strcmp(p->copies[i].dst, STREAM) == 0)
                return value_bad(p, f, value, e, "stdout is one stream, and is taken already");
    } else if (r == 0) {
        r = path_take(p, f, value, colon + 1, strlen(colon + 1), false, &c.dst, e);
    }
    if (r < 0)
        return r;
    if (strcmp(c.src, "/") == 0) {
        value_bad(p, f, value, e, "the whole room is the host's system");
        return err_hint(e, "name what the program wrote, such as /work");
    }
    if (p->copy_count == POLICY_COPIES_MAX)
        return field_bad(p, f, e, "more than %d", POLICY_COPIES_MAX);
    p->copies[p->copy_count++] = c;
    return 0;
}

SHOW_FUNCTION(show_copy_out)
{
    if (p->copy_count)
        sbuf_fmt(out, "%s:\n", f->name);
    for (size_t i = 0; i < p->copy_count; i++) {
        char text[2 * POLICY_PATH_MAX + 2];
        struct sbuf b = SBUF(text);
        const struct policy_copy *c = &p->copies[i];
        const struct origin o = {.where = c->where, .line = c->line, .source = c->source};
        sbuf_fmt(&b, "%s:%s", c->src, c->dst);
        show_item(out, text, &o, explain);
    }
}
