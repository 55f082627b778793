/* tools: the checks and schemas that come from the rows, and the two shapes that an answer has.
 *
 * Lives in: strongroom-mcp. Trusts: the rows; nothing of the arguments. May: refuse a call with a text that lets the
 * model mend it. Must not: know what a tool does. */
#include "mcp/tools.h"
#include "mcp/server.h"
#include "mcp/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX  64
#define FAILED_MAX 16384 /* bytes of what went wrong */
#define TEXT_MAX                                                                                             \
    65536 /* an argument that may be longer is bytes for a program or a file; else a zero byte would end it */

static int64_t max_of(const struct server *s, const struct tool_arg *a)
{
    switch (a->max) {
    case MAX_TIMEOUT:
        return s->ceiling.timeout_s > 0 ? s->ceiling.timeout_s : 86400;
    case MAX_MEMORY:
        return s->ceiling.memory_mb > 0 ? s->ceiling.memory_mb : 1 << 20;
    case MAX_LIFETIME:
        return s->ceiling.lifetime_s > 0 ? s->ceiling.lifetime_s : 86400;
    default:
        return a->max;
    }
}

/* JSON written with ' in the place of ". */
static json_t *quoted(const char *text)
{
    char *copy = strdup(text);
    json_t *value = NULL;

    for (char *p = copy; p && *p; p++)
        *p = *p == '\'' ? '"' : *p;
    if (copy)
        value = json_loads(copy, 0, NULL);
    free(copy);
    return value;
}

static json_t *words_array(const char *words)
{
    json_t *list = json_array();

    while (*words) {
        const size_t n = strcspn(words, "|");
        (void)json_array_append_new(list, json_stringn(words, n));
        words += n + (words[n] == '|');
    }
    return list;
}

static json_t *arg_schema(const struct server *s, const struct tool_arg *a)
{
    static const char *const shapes[] = {
        [TYPE_TEXT] = "{'type':'string'}",
        [TYPE_NUMBER] = "{'type':'integer'}",
        [TYPE_BOOL] = "{'type':'boolean'}",
        [TYPE_LIST] = "{'type':'array','items':{'type':'string'}}",
        [TYPE_PAIRS] = "{'type':'object','additionalProperties':{'type':'string'}}",
    };
    json_t *o = quoted(shapes[a->type]);

    (void)json_object_set_new(o, "description", json_string(a->help));
    if (a->words)
        (void)json_object_set_new(o, "enum", words_array(a->words));
    if (a->type == TYPE_NUMBER) {
        (void)json_object_set_new(o, "minimum", json_integer(a->min));
        (void)json_object_set_new(o, "maximum", json_integer(max_of(s, a)));
    }
    return o;
}

static json_t *input_schema(const struct server *s, const struct tool *t)
{
    json_t *properties = json_object(), *required = json_array();

    for (const struct tool_arg *a = t->args; a->name; a++) {
        (void)json_object_set_new(properties, a->name, arg_schema(s, a));
        if (a->required)
            (void)json_array_append_new(required, json_string(a->name));
    }
    return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required", required,
                     "additionalProperties", 0);
}

json_t *tools_definitions(const struct server *s)
{
    json_t *list = json_array();

    for (const struct tool *t = tools; t < tools + tool_count; t++) {
        const bool reaches = (t->flags & TOOL_OPEN_WORLD) && s->ceiling.network;
        json_t *notes =
            json_pack("{s:s, s:b, s:b, s:b, s:b}", "title", t->title, "readOnlyHint",
                      (t->flags & TOOL_READS) != 0, "destructiveHint",
                      (t->flags & TOOL_DESTROYS) || (s->ceiling.writes && (t->flags & TOOL_OPEN_WORLD)),
                      "idempotentHint", (t->flags & TOOL_IDEMPOTENT) != 0, "openWorldHint", reaches);
        json_t *one = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "name", t->name, "title", t->title,
                                "description", t->help, "inputSchema", input_schema(s, t), "outputSchema",
                                quoted(t->output), "annotations", notes);
        if (!one || json_array_append_new(list, one) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static bool one_of(const char *words, const char *value)
{
    const size_t len = strlen(value);

    while (*words) {
        const size_t n = strcspn(words, "|");
        if (n == len && memcmp(words, value, n) == 0)
            return true;
        words += n + (words[n] == '|');
    }
    return false;
}

static bool texts_only(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
            return false;
    }
    return true;
}

static bool pairs_ok(const json_t *o)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v) || !*key ||
            strchr(key, '='))
            return false;
    }
    return json_object_size(o) <= PAIRS_MAX;
}

/* Fits the row, or `why` says what is wanted. */
static bool arg_ok(const struct server *s, const struct tool_arg *a, const json_t *v, char *why, size_t size)
{
    const int64_t most = max_of(s, a);

    switch (a->type) {
    case TYPE_TEXT:
        if (a->words) {
            (void)snprintf(why, size, "wanted one of %s", a->words);
            return json_is_string(v) && one_of(a->words, json_string_value(v));
        }
        (void)snprintf(why, size, "wanted a text of %lld to %lld bytes%s", (long long)a->min, (long long)most,
                       most < TEXT_MAX ? ", none of them zero" : "");
        return json_is_string(v) && (int64_t)json_string_length(v) <= most &&
               (int64_t)json_string_length(v) >= a->min &&
               (most >= TEXT_MAX || strlen(json_string_value(v)) == json_string_length(v));
    case TYPE_NUMBER:
        (void)snprintf(why, size, "wanted a whole number from %lld to %lld%s", (long long)a->min,
                       (long long)most, a->max < 0 ? ", the most that this server was started with" : "");
        return json_is_integer(v) && json_integer_value(v) >= a->min && json_integer_value(v) <= most;
    case TYPE_BOOL:
        (void)snprintf(why, size, "wanted true or false");
        return json_is_boolean(v);
    case TYPE_LIST:
        (void)snprintf(why, size, "wanted a list of at most %lld texts", (long long)most);
        return json_is_array(v) && (int64_t)json_array_size(v) <= most && texts_only(v);
    case TYPE_PAIRS:
        (void)snprintf(why, size, "wanted an object of at most %d names, each with a text", PAIRS_MAX);
        return json_is_object(v) && pairs_ok(v);
    }
    return false;
}

static const struct tool_arg *arg_find(const struct tool *t, const char *name)
{
    for (const struct tool_arg *a = t->args; a->name; a++) {
        if (strcmp(a->name, name) == 0)
            return a;
    }
    return NULL;
}

static void list_names(const struct tool *t, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (const struct tool_arg *a = t->args; a->name && len < size; a++) {
        const int n = snprintf(out + len, size - len, "%s%s", len ? ", " : "", a->name);
        len += n > 0 ? (size_t)n : 0;
    }
}

/* Answers the call when the arguments do not fit. */
static bool args_ok(struct server *s, struct rpc_call *c, const struct tool *t, const json_t *args)
{
    char why[256], names[256];
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)args, key, v)
    {
        const struct tool_arg *a = arg_find(t, key);
        if (!a) {
            list_names(t, names, sizeof names);
            tool_failed(c, "%s: there is no argument \"%.60s\"; there are: %s", t->name, key, names);
            return false;
        }
        if (!arg_ok(s, a, v, why, sizeof why)) {
            tool_failed(c, "%s: %s: %s", t->name, key, why);
            return false;
        }
    }
    for (const struct tool_arg *a = t->args; a->name; a++) {
        if (a->required && !json_object_get(args, a->name)) {
            tool_failed(c, "%s: the argument %s is missing: %s", t->name, a->name, a->help);
            return false;
        }
    }
    return true;
}

void tools_call(struct server *s, struct rpc_call *c, const char *name, const json_t *args)
{
    for (const struct tool *t = tools; t < tools + tool_count; t++) {
        if (strcmp(t->name, name) != 0)
            continue;
        if (args_ok(s, c, t, args))
            t->run(s, c, args);
        return;
    }
    rpc_error(c, RPC_PARAMS, NULL, "no such tool: %.100s", name);
}

void tool_done_with(struct rpc_call *c, json_t *value, json_t *more)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_t *content = text ? json_pack("[{s:s, s:s}]", "type", "text", "text", text) : NULL;
    json_t *result = NULL;

    if (content && (!more || json_array_extend(content, more) == 0))
        result = json_pack("{s:O, s:O, s:b}", "content", content, "structuredContent", value, "isError", 0);
    free(text);
    json_decref(content);
    json_decref(more);
    json_decref(value);
    rpc_result(c, result);
}

void tool_done(struct rpc_call *c, json_t *value)
{
    tool_done_with(c, value, NULL);
}

void tool_failed(struct rpc_call *c, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    json_t *s = text ? text_json(text, strlen(text), FAILED_MAX) : NULL; /* a room's words may be in it */
    if (!s)
        s = json_string("the call failed, and why could not be said as text");
    if (c->resource) {
        rpc_error(c, RPC_INTERNAL, NULL, "%s", json_string_value(s));
        json_decref(s);
        free(text);
        return;
    }
    rpc_result(c, json_pack("{s:[{s:s, s:o}], s:b}", "content", "type", "text", "text", s, "isError", 1));
    free(text);
}

const char *tool_text(const json_t *args, const char *name, size_t *ret_len)
{
    const json_t *v = json_object_get(args, name);

    if (ret_len)
        *ret_len = json_string_length(v);
    return json_string_value(v);
}

int64_t tool_number(const json_t *args, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(args, name);

    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool tool_bool(const json_t *args, const char *name, bool otherwise)
{
    const json_t *v = json_object_get(args, name);

    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}
