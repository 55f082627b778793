/* yaml: a policy file → records.
 *
 * Lives in: strongroom-policy, confined. Trusts: nothing of the bytes. May: call libyaml. Must not: follow aliases
 * (a few bytes could become gigabytes), understand tags, know which keys exist.
 *
 * The form is flat, so no stack is needed: a mapping of names to a text, a list of texts, or (for `env` and `limits`)
 * a mapping of names to texts. A machine of four places walks libyaml's events. */
#include "helpers/policy/out.h"
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { KEYS_MAX = 64, KEY_MAX = 64, PAIR_MAX = 128 << 10 };

enum place {
    AT_KEY,   /* before a key of the file, or its end */
    AT_VALUE, /* before that key's value */
    IN_LIST,
    IN_MAP, /* before a key of an inner mapping */
    IN_MAP_VALUE,
    AT_END, /* after the mapping of the file */
};

struct reader {
    struct out *out;
    enum place place;
    unsigned line;           /* of the event in hand */
    char key[KEY_MAX];       /* the key in hand */
    char inner[KEY_MAX * 4]; /* the key of the inner mapping in hand */
    char keys[KEYS_MAX][KEY_MAX];
    unsigned key_lines[KEYS_MAX];
    size_t key_count;
    unsigned documents;
};

static bool is_null(const yaml_event_t *ev)
{
    const char *s = (const char *)ev->data.scalar.value;
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(s, words[i]) == 0)
            return true;
    return false;
}

static bool same_pairs(const char *key)
{
    return strcmp(key, "env") == 0;
}

/* A key of the file: noted, so that the same one cannot come twice. */
static void take_key(struct reader *r, const char *s)
{
    if (s[0] == '\0' || s[0] == '=' || strlen(s) >= KEY_MAX) {
        out_error(r->out, r->line, "not a key: \"%.60s\"", s);
        return;
    }
    for (size_t i = 0; i < r->key_count; i++)
        if (strcmp(r->keys[i], s) == 0) {
            out_error(r->out, r->line, "%s: given twice; first on line %u", s, r->key_lines[i]);
            return;
        }
    if (r->key_count == KEYS_MAX) {
        out_error(r->out, r->line, "more than %d keys", KEYS_MAX);
        return;
    }
    memcpy(r->key, s, strlen(s) + 1);
    memcpy(r->keys[r->key_count], s, strlen(s) + 1);
    r->key_lines[r->key_count++] = r->line;
    r->place = AT_VALUE;
}

static void take_inner_key(struct reader *r, const char *s)
{
    if (s[0] == '\0' || s[0] == '=' || strlen(s) >= sizeof r->inner) {
        out_error(r->out, r->line, "%s: not a name: \"%.60s\"", r->key, s);
        return;
    }
    memcpy(r->inner, s, strlen(s) + 1);
    r->place = IN_MAP_VALUE;
}

static void take_inner_value(struct reader *r, const yaml_event_t *ev, const char *s)
{
    static char pair[PAIR_MAX];
    bool env = same_pairs(r->key);

    r->place = IN_MAP;
    if (env && is_null(ev)) {
        out_record(r->out, r->line, r->key, r->inner);
    } else if (is_null(ev)) {
        out_error(r->out, r->line, "%s: needs a value", r->inner);
    } else if (env) {
        if (strchr(r->inner, '='))
            out_error(r->out, r->line, "%s: \"%.60s\": a name cannot have \"=\"", r->key, r->inner);
        else if ((size_t)snprintf(pair, sizeof pair, "%s=%s", r->inner, s) >= sizeof pair)
            out_error(r->out, r->line, "%s: %s: value is too long", r->key, r->inner);
        else
            out_record(r->out, r->line, r->key, pair);
    } else {
        out_record(r->out, r->line, r->inner, s);
    }
}

static void on_scalar(struct reader *r, const yaml_event_t *ev)
{
    const char *s = (const char *)ev->data.scalar.value;

    if (ev->data.scalar.anchor || ev->data.scalar.tag) {
        out_error(r->out, r->line, "anchors and tags are not allowed in a policy");
    } else if (strlen(s) != ev->data.scalar.length) {
        out_error(r->out, r->line, "NUL character in a text");
    } else if (r->place == AT_KEY) {
        take_key(r, s);
    } else if (r->place == IN_MAP) {
        take_inner_key(r, s);
    } else if (r->place == IN_MAP_VALUE) {
        take_inner_value(r, ev, s);
    } else if (r->place != AT_VALUE && r->place != IN_LIST) {
        if (!is_null(ev)) /* a document without content is one empty plain text */
            out_error(r->out, r->line, "a policy is a list of \"name: value\" lines");
    } else if (is_null(ev)) {
        out_error(r->out, r->line, "%s: needs a value", r->key);
    } else {
        out_record(r->out, r->line, r->key, s);
        if (r->place == AT_VALUE)
            r->place = AT_KEY;
    }
}

static void on_open(struct reader *r, const yaml_event_t *ev)
{
    bool map = ev->type == YAML_MAPPING_START_EVENT;
    bool marked = map ? ev->data.mapping_start.anchor || ev->data.mapping_start.tag
                      : ev->data.sequence_start.anchor || ev->data.sequence_start.tag;

    if (marked)
        out_error(r->out, r->line, "anchors and tags are not allowed in a policy");
    else if (r->place == AT_END && map && r->key_count == 0)
        r->place = AT_KEY;
    else if (r->place == AT_END)
        out_error(r->out, r->line, "a policy is a list of \"name: value\" lines");
    else if (r->place == AT_VALUE && !map)
        r->place = IN_LIST;
    else if (r->place == AT_VALUE && (same_pairs(r->key) || strcmp(r->key, "limits") == 0))
        r->place = IN_MAP;
    else if (r->place == AT_VALUE)
        out_error(r->out, r->line, "%s: takes a value or a list, not \"name: value\" pairs", r->key);
    else if (r->place == AT_KEY || r->place == IN_MAP)
        out_error(r->out, r->line, "a key must be a text");
    else if (r->place == IN_LIST)
        out_error(r->out, r->line, "%s: nested too deep: in a list, a text %s needs quotes", r->key,
                  map ? "with a colon and a blank" : "that begins with a bracket");
    else
        out_error(r->out, r->line, "%s: nested too deep", r->key);
}

static void on_close(struct reader *r)
{
    r->place = r->place == IN_LIST || r->place == IN_MAP ? AT_KEY : AT_END;
}

/* False: the stream is over. */
static bool on_event(struct reader *r, const yaml_event_t *ev)
{
    r->line = (unsigned)ev->start_mark.line + 1;
    switch (ev->type) {
    case YAML_STREAM_END_EVENT:
        return false;
    case YAML_DOCUMENT_START_EVENT:
        if (r->documents++)
            out_error(r->out, r->line, "more than one document in the file");
        else if (ev->data.document_start.tag_directives.start != ev->data.document_start.tag_directives.end)
            out_error(r->out, r->line, "tags are not allowed in a policy");
        break;
    case YAML_ALIAS_EVENT:
        out_error(r->out, r->line, "aliases are not allowed in a policy");
        break;
    case YAML_SCALAR_EVENT:
        on_scalar(r, ev);
        break;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        on_open(r, ev);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_close(r);
        break;
    default:
        break;
    }
    return true;
}

static void on_problem(struct reader *r, const yaml_parser_t *p)
{
    unsigned line = (unsigned)p->problem_mark.line + 1, column = (unsigned)p->problem_mark.column + 1;
    const char *why = p->problem ? p->problem : "not YAML";

    if (p->error == YAML_MEMORY_ERROR)
        out_error(r->out, 0, "no memory");
    else if (p->error == YAML_READER_ERROR)
        out_error(r->out, 0, "byte %zu: %s", p->problem_offset, why);
    else
        out_error(r->out, line, "column %u: %s%s%s", column, why, p->context ? " " : "",
                  p->context ? p->context : "");
}

void yaml_read(const char *bytes, size_t len, struct out *o)
{
    struct reader r = {.out = o, .place = AT_END};
    yaml_parser_t p;
    bool more = true;

    if (!yaml_parser_initialize(&p)) {
        out_error(o, 0, "no memory");
        return;
    }
    yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p, (const unsigned char *)bytes, len);
    while (more && !o->ended) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&p, &ev)) {
            on_problem(&r, &p);
            break;
        }
        more = on_event(&r, &ev);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&p);
    out_complete(o);
}
