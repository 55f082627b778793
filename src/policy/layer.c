/* layer: the walls, and what must hold for a room to be one.
 *
 * Lives in: any process. Trusts: nothing of a value. May: look up names. Must not: know how a wall is built.
 *
 * The demand on a limit comes from the latest of three words: `require`/`prefer` by name; the value itself (a bound
 * that the user gives in a file or on the command line is meant, so it is required); the row. Between words of one
 * source the explicit one wins, and `require: all` is weaker than a name. */
#include "policy/layer.h"
#include "policy/inner.h"
#include "policy/nearest.h"
#include <string.h>

const struct layer_row layer_rows[LAYER_ID_COUNT] = {
#define X(id, name, preset, what) {name, LAYER_##preset, what},
    LAYER_TABLE(X)
#undef X
};

/* The demand's place for a layer's or limit's name; NULL when there is none such. */
static struct demand *find(struct policy_arena *a, const char *name, size_t len)
{
    for (size_t i = 0; i < LAYER_ID_COUNT; i++)
        if (strncmp(layer_rows[i].name, name, len) == 0 && layer_rows[i].name[len] == '\0')
            return &a->layers[i];
    for (size_t i = 0; i < LIMIT_ID_COUNT; i++)
        if (strncmp(limit_rows[i].name, name, len) == 0 && limit_rows[i].name[len] == '\0')
            return &a->limits[i];
    return NULL;
}

static int unknown(const struct policy *p, const struct field *f, const char *value, const char *name,
                   size_t len, struct err *e)
{
    char word[NEAREST_WORD_MAX + 1] = "";
    struct nearest n = {.given = word};

    if (len == 0)
        return value_bad(p, f, value, e, "empty name");
    if (len < sizeof word)
        memcpy(word, name, len);
    for (size_t i = 0; i < LAYER_ID_COUNT; i++)
        nearest_offer(&n, layer_rows[i].name);
    for (size_t i = 0; i < LIMIT_ID_COUNT; i++)
        nearest_offer(&n, limit_rows[i].name);
    value_bad(p, f, value, e, "no layer or limit is called \"%.*s\"", len > 60 ? 60 : (int)len, name);
    return n.best ? err_hint(e, "did you mean %s?", n.best)
                  : err_hint(e, "strongroom doctor lists the layers; limits are named like their options");
}

static int set_one(struct policy *p, const struct field *f, const char *value, const char *name, size_t len,
                   struct err *e)
{
    enum layer_demand wanted = (enum layer_demand)f->row;
    const struct origin now = p->arena->now;
    struct demand *d = find(p->arena, name, len);

    if (!d && len == 3 && memcmp(name, "all", 3) == 0 && wanted == LAYER_REQUIRE) {
        p->arena->require_all = now;
        return 0;
    }
    if (!d)
        return unknown(p, f, value, name, len, e);
    if (origin_same(&d->origin, &now) && d->demand != wanted) {
        value_bad(p, f, value, e, "%.*s is both required and preferred", (int)len, name);
        return err_hint(e, "keep one of the two");
    }
    d->origin = now;
    d->demand = wanted;
    return 0;
}

SET_FUNCTION(set_demand)
{
    (void)source;
    for (const char *at = value;;) {
        size_t len = strcspn(at, ",");
        int r = set_one(p, f, value, at, len, e);
        if (r < 0)
            return r;
        if (at[len] == '\0')
            return 0;
        at += len + 1;
    }
}

/* The word that decides, when there is one: by name, or `all`. */
static bool decided(const struct policy_arena *a, const struct demand *d, enum policy_source at_least,
                    enum layer_demand *ret)
{
    if (d->origin.where && d->origin.source >= at_least && d->origin.source >= a->require_all.source)
        *ret = d->demand;
    else if (a->require_all.where && a->require_all.source >= at_least)
        *ret = LAYER_REQUIRE;
    else
        return false;
    return true;
}

static int net_check(struct policy *p, struct err *e)
{
    const struct demand *d = &p->arena->layers[LAYER_ID_NET];
    const struct field *f = field_find("net");

    if (p->net != NET_GATE)
        p->layers[LAYER_ID_GATE] = LAYER_OFF; /* there is none to demand anything of */
    if (p->net != NET_HOST)
        return 0;
    if (d->origin.where && d->demand == LAYER_REQUIRE && d->origin.source >= field_origin(p, f)->source) {
        p->arena->now = *field_origin(p, f);
        field_bad(p, f, e, "host: the layer net is required, and the host's network is asked for");
        return err_hint(e, "leave out one of the two");
    }
    p->layers[LAYER_ID_NET] = LAYER_OFF;
    return 0;
}

int demands_check(struct policy *p, struct err *e)
{
    const struct policy_arena *a = p->arena;

    p->layers[LAYER_ID_GATE] = layer_rows[LAYER_ID_GATE].preset;
    p->layers[LAYER_ID_WORKSPACE] = layer_rows[LAYER_ID_WORKSPACE].preset;
    for (size_t i = 0; i < LAYER_ID_COUNT; i++)
        (void)decided(a, &a->layers[i], SOURCE_DEFAULT, &p->layers[i]); /* none: the row's preset stays */
    for (size_t i = 0; i < LIMIT_ID_COUNT; i++) {
        const enum policy_source meant = a->meant[i]; /* SOURCE_DEFAULT: never by the user */

        if (p->limits[i] == LIMIT_UNLIMITED)
            p->limit_demand[i] = LAYER_PREFER; /* nothing to hold */
        else if (!decided(a, &a->limits[i], meant, &p->limit_demand[i]) && meant != SOURCE_DEFAULT)
            p->limit_demand[i] = LAYER_REQUIRE;
    }
    if (!policy_has_workspace(p))
        p->layers[LAYER_ID_WORKSPACE] = LAYER_OFF;
    return net_check(p, e);
}

static void append(struct sbuf *b, const char *name)
{
    if (b->len)
        sbuf_char(b, ',');
    sbuf_text(b, name);
}

SHOW_FUNCTION(show_demand)
{
    char text[1024];
    struct sbuf b = SBUF(text);

    for (size_t i = 0; i < LAYER_ID_COUNT; i++)
        if (p->layers[i] == (enum layer_demand)f->row)
            append(&b, layer_rows[i].name);
    for (size_t i = 0; i < LIMIT_ID_COUNT; i++)
        if (p->limit_demand[i] == (enum layer_demand)f->row && p->limits[i] != LIMIT_UNLIMITED)
            append(&b, limit_rows[i].name);
    if (b.len)
        show_line(f, out, text, field_origin(p, f), explain);
}
