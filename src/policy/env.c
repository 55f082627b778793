/* env: the variables of the room.
 *
 * Lives in: any process. Trusts: nothing of a value. May: parse. Must not: read the caller's environment. */
#include "policy/env.h"
#include "policy/inner.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

SET_FUNCTION(set_env)
{
    const char *eq = strchr(value, '=');
    size_t len = eq ? (size_t)(eq - value) : strlen(value);

    (void)source;
    if (len == 0) {
        value_bad(p, f, value, e, "the name is empty");
        return err_hint(e, "wanted NAME=VALUE, or NAME for the caller's value");
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] <= ' ' || value[i] == 0x7f)
            return value_bad(p, f, value, e, "blanks and control characters cannot be in a variable's name");
    if (p->env_count == POLICY_ENV_MAX)
        return field_bad(p, f, e, "more than %d variables", POLICY_ENV_MAX);

    void *array = p->env;
    if (arena_grow(p, &array, &p->arena->env_room, p->env_count, sizeof *p->env) < 0)
        return arena_full(p, e);
    p->env = array;
    const char *name = arena_text(p, value, len);
    const char *text = eq ? arena_text(p, eq + 1, strlen(eq + 1)) : NULL;
    if (!name || (eq && !text))
        return arena_full(p, e);
    const struct origin *o = &p->arena->now;
    p->env[p->env_count++] = (struct policy_env){.name = name,
                                                 .value = text,
                                                 .source = o->source,
                                                 .line = o->line,
                                                 .order = p->arena->order++,
                                                 .where = o->where};
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct policy_env *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    return r ? r : (x->order > y->order) - (x->order < y->order);
}

/* Sorts, and keeps the last word for each name. */
int env_check(struct policy *p, struct err *e)
{
    size_t kept = 0;

    (void)e;
    if (p->env_count)
        qsort(p->env, p->env_count, sizeof *p->env, by_name);
    for (size_t i = 0; i < p->env_count; i++)
        if (i + 1 == p->env_count || strcmp(p->env[i].name, p->env[i + 1].name) != 0)
            p->env[kept++] = p->env[i];
    p->env_count = kept;
    return 0;
}

SHOW_FUNCTION(show_env)
{
    if (p->env_count == 0)
        return;
    sbuf_fmt(out, "%s:\n", f->name);
    for (size_t i = 0; i < p->env_count; i++) {
        const struct policy_env *v = &p->env[i];
        const struct origin o = {.where = v->where, .line = v->line, .source = v->source};
        if (!v->value) {
            show_item(out, v->name, &o, explain);
            continue;
        }
        size_t size = strlen(v->name) + strlen(v->value) + 2;
        char *text = malloc(size);
        CHECK(text != NULL);
        struct sbuf b = {.text = text, .size = size};
        sbuf_text(&b, v->name);
        sbuf_char(&b, '=');
        sbuf_text(&b, v->value);
        show_item(out, text, &o, explain);
        free(text);
    }
}

int env_file_apply(struct policy *p, const char *where, const char *text, size_t len, struct err *e)
{
    char *line = malloc(POLICY_VALUE_MAX + 1);
    unsigned number = 0;
    int r = line ? 0 : -ENOMEM;

    while (len > 0 && r == 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        const char *at = text;
        size_t take = n;
        text += end ? n + 1 : n;
        len -= end ? n + 1 : n;
        number++;
        while (take && (*at == ' ' || *at == '\t')) {
            at++;
            take--;
        }
        if (take && at[take - 1] == '\r')
            take--;
        if (take == 0 || *at == '#')
            continue;
        if (take > POLICY_VALUE_MAX || memchr(at, '\0', take)) {
            r = err_set(e, ERR_USAGE, 0, "%s:%u: env-file: %s", where, number,
                        take > POLICY_VALUE_MAX ? "line is too long" : "NUL byte in the line");
            break;
        }
        memcpy(line, at, take);
        line[take] = '\0';
        r = policy_set(p, SOURCE_FLAG, where, number, "env", line, e);
    }
    free(line);
    return r;
}
