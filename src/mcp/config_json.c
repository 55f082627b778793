/* config_json: one member more in somebody's JSON.
 *
 * Comments and commas too many are blanked out in a copy, in which every byte keeps its place. A strict parser reads
 * the copy; the places of the edit are found in it; the edit is made in the original. At the end the result is read
 * again and must be the old configuration with our entry, else nothing comes out.
 *
 * Lives in: strongroom-mcp. Trusts: nothing of the text. Must not: guess, recurse, lose a comment. */
#include "mcp/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_blanks(const char *s, size_t at)
{
    while (blank(s[at]))
        at++;
    return at;
}

static size_t skip_string(const char *s, size_t n, size_t at)
{
    for (at++; at < n && s[at] != '"'; at++)
        at += s[at] == '\\' && at + 1 < n;
    return at < n ? at + 1 : n;
}

/* Where the comment at `at` ends; `at` itself when there is none. */
static size_t skip_comment(const char *s, size_t n, size_t at)
{
    if (at + 1 >= n || s[at] != '/')
        return at;
    if (s[at + 1] == '/') {
        while (at < n && s[at] != '\n')
            at++;
        return at;
    }
    if (s[at + 1] != '*')
        return at;
    const char *end = at + 2 < n ? strstr(s + at + 2, "*/") : NULL;
    return end ? (size_t)(end - s) + 2 : at; /* an open one stays, and is an error to the parser */
}

/* A copy without comments and without commas in front of a closing bracket. */
static char *plain(const char *text, size_t len)
{
    char *s = malloc(len + 1);
    size_t comma = SIZE_MAX;

    if (!s)
        return NULL;
    memcpy(s, text, len);
    s[len] = '\0';
    for (size_t at = 0; at < len;) {
        const size_t end = skip_comment(s, len, at);
        if (end > at) {
            for (; at < end; at++)
                s[at] = s[at] == '\n' ? '\n' : ' ';
        } else if (s[at] == '"') {
            at = skip_string(s, len, at);
            comma = SIZE_MAX;
        } else {
            if ((s[at] == '}' || s[at] == ']') && comma != SIZE_MAX)
                s[comma] = ' ';
            if (!blank(s[at]))
                comma = s[at] == ',' ? at : SIZE_MAX;
            at++;
        }
    }
    return s;
}

/* Behind the value at `at`; the text is known to be JSON. */
static size_t skip_value(const char *s, size_t n, size_t at)
{
    unsigned depth = 0;

    while (at < n) {
        if (s[at] == '"')
            at = skip_string(s, n, at);
        else if (s[at] == '{' || s[at] == '[')
            depth++, at++;
        else if (depth > 0 && (s[at] == '}' || s[at] == ']'))
            depth--, at++;
        else if (depth > 0 || !strchr(",}] \t\r\n", s[at]))
            at++;
        else
            break;
        if (depth == 0 && at < n && strchr(",}] \t\r\n", s[at]))
            break;
    }
    return at;
}

static bool key_is(const char *s, size_t from, size_t to, const char *key)
{
    json_t *k = json_loadb(s + from, to - from, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    const bool same = k && json_string_length(k) == strlen(key) && strcmp(json_string_value(k), key) == 0;

    json_decref(k);
    return same;
}

/* The value of a member of the object that opens at `at`. false: it has no such member; *ret_any: it has others. */
static bool find_member(const char *s, size_t n, size_t at, const char *key, size_t *ret_from, size_t *ret_to,
                        bool *ret_any)
{
    *ret_any = false;
    for (at = skip_blanks(s, at + 1); at < n && s[at] == '"'; at = skip_blanks(s, at)) {
        const size_t end = skip_string(s, n, at);
        const size_t value = skip_blanks(s, skip_blanks(s, end) + 1); /* behind the colon */
        const size_t behind = skip_value(s, n, value);
        *ret_any = true;
        if (key_is(s, at, end, key)) {
            *ret_from = value;
            *ret_to = behind;
            return true;
        }
        at = skip_blanks(s, behind);
        if (s[at] == ',')
            at++;
    }
    return false;
}

/* Our entry, indented as a member two levels deep. */
static char *entry_text(const json_t *server)
{
    char *dump = json_dumps(server, JSON_INDENT(2));
    size_t lines = 0, len = 0;

    if (!dump)
        return NULL;
    for (const char *p = dump; *p; p++)
        lines += *p == '\n';
    char *out = malloc(strlen(dump) + 4 * lines + 1);
    for (const char *p = dump; out && *p; p++) {
        out[len++] = *p;
        for (int i = 0; *p == '\n' && i < 4; i++)
            out[len++] = ' ';
    }
    if (out)
        out[len] = '\0';
    free(dump);
    return out;
}

/* text[0..from) + middle + text[to..len) */
static char *splice(const char *text, size_t len, size_t from, size_t to, const char *middle)
{
    char *out = NULL;

    if (asprintf(&out, "%.*s%s%.*s", (int)from, text, middle, (int)(len - to), text + to) < 0)
        return NULL;
    return out;
}

/* The edit itself; s is the plain copy. */
static char *place(const struct config_edit *edit, const char *text, const char *s, size_t len)
{
    char *entry = entry_text(edit->server), *middle = NULL, *out = NULL;
    const size_t top = skip_blanks(s, 0);
    size_t from, to, inner_from, inner_to;
    bool any, inner_any;
    int n = -1;

    if (!entry)
        return NULL;
    if (!find_member(s, len, top, edit->key, &from, &to, &any)) {
        from = to = top + 1;
        n = asprintf(&middle, "\n  \"%s\": {\n    \"" CONFIG_NAME "\": %s\n  }%s", edit->key, entry,
                     any ? "," : "\n");
    } else if (!find_member(s, len, from, CONFIG_NAME, &inner_from, &inner_to, &inner_any)) {
        from = to = from + 1;
        n = asprintf(&middle, "\n    \"" CONFIG_NAME "\": %s%s", entry, inner_any ? "," : "\n  ");
    } else {
        from = inner_from;
        to = inner_to;
        middle = strdup(entry);
        n = middle ? 0 : -1;
    }
    if (n >= 0)
        out = splice(text, len, from, to, middle);
    if (n >= 0)
        free(middle);
    free(entry);
    return out;
}

static json_t *read_plain(const char *s, size_t len, json_error_t *why)
{
    return json_loadb(s, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, why);
}

/* The old configuration with our entry: what the new text must mean. Changes `old`. */
static bool means(const struct config_edit *edit, json_t *old, const char *text)
{
    char *s = plain(text, strlen(text));
    json_t *now = s ? read_plain(s, strlen(s), NULL) : NULL, *servers = json_object_get(old, edit->key);

    if (!servers) {
        servers = json_object();
        (void)json_object_set_new(old, edit->key, servers);
    }
    (void)json_object_set(servers, CONFIG_NAME, (json_t *)(uintptr_t)edit->server);
    const bool same = now && json_equal(old, now);
    json_decref(now);
    free(s);
    return same;
}

int config_json(const struct config_edit *edit, const char *text, size_t len, char **ret, struct err *e)
{
    json_error_t why;

    if (!text || text[skip_blanks(text, 0)] == '\0') {
        if (text && strlen(text) != len)
            return err_set(e, ERR_IO, 0, "it holds a zero byte");
        text = "{}\n";
        len = 3;
    }
    char *s = strlen(text) == len ? plain(text, len) : NULL;
    if (!s)
        return err_set(e, ERR_IO, 0, "it holds a zero byte, or there is no memory");
    json_t *old = read_plain(s, len, &why);
    if (!old || !json_is_object(old)) {
        free(s);
        json_decref(old);
        err_set(e, ERR_IO, 0, "line %d: %s", old ? 1 : why.line, old ? "not an object" : why.text);
        return err_hint(e, "mend it, or add the entry by hand; --dry-run prints it");
    }
    const json_t *servers = json_object_get(old, edit->key);
    char *out = !servers || json_is_object(servers) ? place(edit, text, s, len) : NULL;
    free(s);
    if (out && !means(edit, old, out)) {
        free(out);
        out = NULL;
    }
    json_decref(old);
    if (!out) {
        err_set(e, ERR_IO, 0, "\"%s\" is not written in a way that can be added to safely", edit->key);
        return err_hint(e, "add the entry by hand; --dry-run prints it");
    }
    *ret = out;
    return 0;
}
