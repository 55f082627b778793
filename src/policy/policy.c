/* policy: the draft and the checked value.
 *
 * Theory of operation. policy_new() holds the built-in defaults; each outside word is one call of policy_set(), which
 * finds the word's row in the field table and lets the row's function parse the value into the struct. Sources arrive
 * in rising order, so "later wins" is plain overwriting; lists remember who wrote each element. policy_check() settles
 * what only shows in the whole and sorts the lists, so that equal policies have equal texts and therefore equal hashes.
 *
 * Lives in: strongroom, and any door that has words of its own. Trusts: nothing of names and values but their NUL.
 * May: allocate from the arena. Must not: make system calls or look at the host. */
#include "policy/policy.h"
#include "base/sha256.h"
#include "policy/inner.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct policy_whole {
    struct policy p;
    struct policy_arena a;
    enum policy_source origin[FIELD_COUNT_MAX];
    _Alignas(max_align_t) char first[ARENA_FIRST];
};

struct policy *policy_new(void)
{
    struct policy_whole *w = malloc(sizeof *w);

    if (!w)
        return NULL;
    memset(w, 0, offsetof(struct policy_whole, first));
    w->p.arena = &w->a;
    w->p.origin = w->origin;
    w->a.at = w->first;
    w->a.left = sizeof w->first;
    w->p.uid = 1000;
    for (size_t i = 0; i < LIMIT_ID_COUNT; i++) {
        w->p.limits[i] = limit_rows[i].preset;
        w->p.limit_demand[i] = limit_rows[i].demand;
    }
    for (size_t i = 0; i < LAYER_ID_COUNT; i++)
        w->p.layers[i] = layer_rows[i].preset;
    w->p.layers[LAYER_ID_GATE] = w->p.layers[LAYER_ID_WORKSPACE] = LAYER_OFF;
    return &w->p;
}

void policy_free(struct policy *p)
{
    if (!p)
        return;
    for (struct arena_block *b = p->arena->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(p); /* the first member of struct policy_whole */
}

void policy_set_base(struct policy *p, const char *cwd, const char *home)
{
    p->arena->cwd = cwd;
    p->arena->home = home;
}

const struct origin *field_origin(const struct policy *p, const struct field *f)
{
    return &p->arena->origins[f - fields];
}

/* Notes where the coming word is from; the name of the file is kept once. */
static int enter(struct policy *p, enum policy_source source, const char *where, unsigned line)
{
    struct origin *now = &p->arena->now;

    if (strcmp(where, POLICY_COMMAND_LINE) == 0)
        where = POLICY_COMMAND_LINE;
    else if (!now->where || strcmp(now->where, where) != 0)
        where = arena_text(p, where, strlen(where));
    else
        where = now->where;
    *now = (struct origin){.where = where, .line = line, .source = source};
    return where ? 0 : -ENOMEM;
}

static int unknown_word(const struct policy *p, const char *name, struct err *e)
{
    const struct origin *o = &p->arena->now;
    const char *near = field_nearest(name);
    char place[POLICY_PATH_MAX];
    struct sbuf b = SBUF(place);

    if (o->source == SOURCE_FLAG && o->line == 0) {
        err_set(e, ERR_USAGE, 0, "unknown option --%.60s", name);
        return near ? err_hint(e, "did you mean --%s?", near)
                    : err_hint(e, "strongroom run --help lists all options");
    }
    origin_text(o, &b);
    err_set(e, ERR_POLICY, 0, "%s: unknown key \"%.60s\"", b.text, name);
    return near ? err_hint(e, "did you mean \"%s\"?", near)
                : err_hint(e, "keys are the long options of strongroom run");
}

/* What holds for every row, before the value is looked at. */
static int may_set(const struct policy *p, const struct field *f, struct err *e)
{
    const struct origin *now = &p->arena->now, *old = field_origin(p, f);

    if (f->flags & FIELD_CLI_ONLY && now->source != SOURCE_FLAG) {
        field_bad(p, f, e, "has a meaning on the command line only");
        return err_hint(e, "give it as --%s", f->name);
    }
    if (now->source == SOURCE_PROJECT && f->merge != MERGE_MIN && !(f->flags & FIELD_TIGHTENS)) {
        field_bad(p, f, e, "a policy found in a project may only tighten, and this could widen the room");
        return err_hint(e, "give it on the command line, or in a file named with --policy");
    }
    if (!(f->flags & FIELD_REPEAT) && now->source != SOURCE_FLAG && origin_same(now, old) &&
        now->line != old->line) { /* the same line: the same file once more, as a base of two others */
        field_bad(p, f, e, "given twice; first on line %u", old->line);
        return err_hint(e, "keep one of the two");
    }
    return 0;
}

/* What holds for every value. */
static int value_sane(const struct policy *p, const struct field *f, const char *value, struct err *e)
{
    size_t len = value ? strnlen(value, POLICY_VALUE_MAX + 1) : 0;

    if (len > POLICY_VALUE_MAX)
        return field_bad(p, f, e, "value is longer than %d bytes", POLICY_VALUE_MAX);
    if (f->flags & FIELD_FLAG)
        return 0;
    if (len == 0) {
        field_bad(p, f, e, value ? "empty value" : "needs a value");
        return err_hint(e, "%s is: %s", f->arg, f->help);
    }
    if (!utf8_valid(value, len))
        return value_bad(p, f, value, e, "not valid UTF-8");
    return 0;
}

int policy_set(struct policy *p, enum policy_source source, const char *where, unsigned line,
               const char *name, const char *value, struct err *e)
{
    CHECK(!p->arena->checked);
    int r = enter(p, source, where, line);
    if (r < 0)
        return arena_full(p, e);
    const struct field *f = p->arena->last;
    if (!f || strcmp(f->name, name) != 0)
        f = field_find(name);
    if (!f)
        return unknown_word(p, name, e);
    p->arena->last = f;
    r = may_set(p, f, e);
    if (r == 0)
        r = value_sane(p, f, value, e);
    if (r == 0)
        r = f->set(p, f, source, value, e);
    if (r < 0)
        return r;
    p->arena->origins[f - fields] = p->arena->now;
    p->origin[f - fields] = source;
    return 0;
}

int policy_check(struct policy *p, void (*note)(void *, const char *text), void *ctx, struct err *e)
{
    const struct note_sink n = {.note = note, .ctx = ctx};

    if (p->arena->checked)
        return 0;
    int r = mounts_check(p, &n, e);
    if (r == 0)
        r = env_check(p, e);
    if (r == 0)
        r = peers_check(p, &n, e);
    if (r == 0)
        r = publish_check(p, &n, e);
    if (r == 0)
        r = secrets_check(p, e);
    if (r == 0)
        r = demands_check(p, e);
    if (r < 0)
        return r;
    limits_check(p, &n);
    p->arena->checked = true;
    return 0;
}

void policy_text(const struct policy *p, struct sbuf *out)
{
    for (size_t i = 0; i < field_count; i++)
        fields[i].show(p, &fields[i], out, false);
}

void policy_explain(const struct policy *p, struct sbuf *out)
{
    for (size_t i = 0; i < field_count; i++)
        fields[i].show(p, &fields[i], out, true);
}

size_t policy_text_size(const struct policy *p)
{
    /* an escaped byte takes at most four characters, the name of a file in a comment likewise */
    size_t items = p->mount_count + p->env_count + p->hide_count + field_count;
    size_t text = 4096 + items * 32;

    for (size_t i = 0; i < p->mount_count; i++) {
        const struct policy_mount *m = &p->mounts[i];
        text += 4 * ((m->src ? strlen(m->src) : 0) + strlen(m->dst) + (m->where ? strlen(m->where) : 0));
    }
    for (size_t i = 0; i < p->env_count; i++) {
        const struct policy_env *v = &p->env[i];
        text += 4 * (strlen(v->name) + (v->value ? strlen(v->value) : 0) + (v->where ? strlen(v->where) : 0));
    }
    for (size_t i = 0; i < p->copy_count; i++)
        text += 32 + 4 * (strlen(p->copies[i].src) + strlen(p->copies[i].dst) + strlen(p->copies[i].where));
    for (size_t i = 0; i < p->secret_count; i++) {
        const struct policy_secret *s = &p->secrets[i];
        text += 32 + 4 * (strlen(s->name) + strlen(s->source) + EGRESS_RULE_MAX +
                          (s->where_from ? strlen(s->where_from) : 0));
    }
    for (size_t i = 0; i < p->publish_count; i++)
        text += 32 + PUBLISH_TEXT_MAX + 4 * strlen(p->publish[i].where);
    for (size_t i = 0; i < p->hide_count; i++)
        text += 4 * strlen(p->hide[i]);
    for (size_t i = 0; i < p->hide_count && p->arena->hide; i++)
        text += 4 * (p->arena->hide[i].origin.where ? strlen(p->arena->hide[i].origin.where) : 0);
    for (size_t i = 0; i < p->egress.count; i++) {
        const char *where = p->arena->peers[i].origin.where;
        text += 4 * (EGRESS_RULE_MAX + (where ? strlen(where) : 0)) + 32;
    }
    for (size_t i = 0; i < field_count; i++)
        text += p->arena->origins[i].where ? 4 * strlen(p->arena->origins[i].where) : 0;
    text += UPSTREAM_TEXT_MAX + 4 * (p->upstream_login ? strlen(p->upstream_login) : 0);
    return text + 4 * ((p->rootfs ? strlen(p->rootfs) : 0) + (p->workdir ? strlen(p->workdir) : 0));
}

void policy_hash(const struct policy *p, char ret_hex[POLICY_HASH_MAX])
{
    size_t size = policy_text_size(p);
    char *text = malloc(size);
    struct sbuf b = {.text = text, .size = size};

    CHECK(text != NULL); /* a hash over less than the whole would be a lie */
    policy_text(p, &b);
    CHECK(!b.full);
    sha256_hex(b.text, b.len, ret_hex);
    free(text);
}
