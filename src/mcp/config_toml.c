/* config_toml: one table more in somebody's TOML.
 *
 * The text is walked by logical lines: a line that opens a string or a bracket goes on until it is closed. Only table
 * headers and keys are understood, which is enough to know where our table is, and that nothing else defines it. What
 * is not understood is refused.
 *
 * Lives in: strongroom-mcp. Trusts: nothing of the text. Must not: guess, change a byte outside of our table. */
#include "mcp/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 8
#define PART_MAX  64

/* A dotted key: its first parts. */
struct key {
    char part[PARTS_MAX][PART_MAX];
    size_t count;
};

static bool space(char c)
{
    return c == ' ' || c == '\t';
}

static size_t skip_space(const char *s, size_t at)
{
    while (space(s[at]))
        at++;
    return at;
}

static bool bare(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* One part of a key at `at`; 0: it is none that we understand. Escapes within quotes are none. */
static size_t read_part(const char *s, size_t at, char *out)
{
    const char quote = s[at] == '"' || s[at] == '\'' ? s[at] : '\0';
    size_t len = 0;

    at += quote != '\0';
    while (quote ? s[at] && s[at] != quote && s[at] != '\n' && s[at] != '\\' : bare(s[at])) {
        if (len + 1 == PART_MAX)
            return 0;
        out[len++] = s[at++];
    }
    out[len] = '\0';
    if (quote)
        return s[at] == quote ? at + 1 : 0;
    return len ? at : 0;
}

static size_t read_key(const char *s, size_t at, struct key *ret)
{
    ret->count = 0;
    for (;;) {
        char scrap[PART_MAX];
        at = read_part(s, skip_space(s, at), ret->count < PARTS_MAX ? ret->part[ret->count] : scrap);
        if (!at)
            return 0;
        ret->count += ret->count < PARTS_MAX;
        at = skip_space(s, at);
        if (s[at] != '.')
            return at;
        at++;
    }
}

/* Behind the string at `at`; 0: it does not end. */
static size_t skip_quoted(const char *s, size_t at)
{
    const char q = s[at], three[4] = {q, q, q, '\0'};

    if (strncmp(s + at, three, 3) == 0) {
        for (at += 3; s[at] && strncmp(s + at, three, 3) != 0; at++)
            at += q == '"' && s[at] == '\\' && s[at + 1];
        if (!s[at])
            return 0;
        at += 3;
        for (int i = 0; i < 2 && s[at] == q; i++) /* quotes of the string's own end */
            at++;
        return at;
    }
    for (at++; s[at] && s[at] != q && s[at] != '\n'; at++)
        at += q == '"' && s[at] == '\\' && s[at + 1];
    return s[at] == q ? at + 1 : 0;
}

/* From behind a key or header to the next logical line; 0: something does not end. */
static size_t skip_rest(const char *s, size_t at)
{
    int depth = 0;

    while (s[at] && (depth > 0 || s[at] != '\n')) {
        if (s[at] == '"' || s[at] == '\'') {
            at = skip_quoted(s, at);
            if (!at)
                return 0;
            continue;
        }
        if (s[at] == '#') {
            at += strcspn(s + at, "\n");
            continue;
        }
        depth += s[at] == '[' || s[at] == '{';
        depth -= s[at] == ']' || s[at] == '}';
        if (depth < 0)
            return 0;
        at++;
    }
    if (depth > 0)
        return 0;
    return s[at] ? at + 1 : at;
}

/* "[a.b]" at `at`; the place behind it, 0: not understood. */
static size_t read_header(const char *s, size_t at, struct key *ret)
{
    const bool list = s[at + 1] == '[';

    at = read_key(s, at + 1 + list, ret);
    if (!at || s[at] != ']' || (list && s[at + 1] != ']'))
        return 0;
    at = skip_space(s, at + 1 + list);
    return s[at] == '\0' || s[at] == '\n' || s[at] == '\r' || s[at] == '#' ? at : 0;
}

struct place {
    size_t from, to; /* our table's keys, behind its header; from == SIZE_MAX: there is none */
    bool elsewhere;  /* defined in a way that we do not edit */
    int line;        /* where the text is not understood; 0: it is */
};

static bool names_ours(const struct key *table, const struct key *k, const char *servers)
{
    const char *all[PARTS_MAX * 2] = {NULL};
    size_t n = 0;

    for (size_t i = 0; i < table->count; i++)
        all[n++] = table->part[i];
    for (size_t i = 0; i < k->count; i++)
        all[n++] = k->part[i];
    return n >= 1 && strcmp(all[0], servers) == 0 && (n == 1 || strcmp(all[1], CONFIG_NAME) == 0);
}

static int line_of(const char *s, size_t at)
{
    int line = 1;

    for (size_t i = 0; i < at; i++)
        line += s[i] == '\n';
    return line;
}

/* A header at `word`; whether it is understood. */
static bool enter_table(const char *s, size_t word, const char *servers, struct key *table, struct place *p,
                        bool *ours, size_t *ret_behind)
{
    const struct key none = {.count = 0};

    *ret_behind = read_header(s, word, table);
    *ours = *ret_behind && table->count == 2 && names_ours(table, &none, servers);
    if (*ours && (p->from != SIZE_MAX || s[word + 1] == '['))
        p->elsewhere = true;
    return *ret_behind != 0;
}

static bool is_word(char c)
{
    return c != '\n' && c != '\r' && c != '#' && c != '\0';
}

static struct place look(const char *s, const char *servers)
{
    struct place p = {.from = SIZE_MAX};
    struct key table = {.count = 0}, k;
    bool ours = false;

    for (size_t at = 0, next; s[at]; at = next) {
        const size_t word = skip_space(s, at);
        const bool header = s[word] == '[', key = !header && is_word(s[word]);
        size_t behind = word;
        bool understood = true;
        if (header) {
            understood = enter_table(s, word, servers, &table, &p, &ours, &behind);
        } else if (key) {
            behind = read_key(s, word, &k);
            understood = behind && s[behind] == '=';
            p.elsewhere =
                p.elsewhere || (understood && !ours && table.count < 2 && names_ours(&table, &k, servers));
        }
        next = understood ? skip_rest(s, behind) : 0;
        if (next == 0) {
            p.line = line_of(s, at);
            return p;
        }
        if (ours && header)
            p.from = p.to = next;
        if (ours && key)
            p.to = next;
    }
    return p;
}

/* Our table with its header, or only what stands below it. */
static char *table_text(const struct config_edit *edit, bool header)
{
    char *command = json_dumps(json_object_get(edit->server, "command"), JSON_ENCODE_ANY);
    char *args = json_dumps(json_object_get(edit->server, "args"), JSON_ENCODE_ANY);
    char *out = NULL;
    int n = -1;

    /* Strings and lists of strings are written alike in JSON and TOML. */
    if (command && args && header)
        n = asprintf(&out, "[%s." CONFIG_NAME "]\ncommand = %s\nargs = %s\n", edit->key, command, args);
    else if (command && args)
        n = asprintf(&out, "command = %s\nargs = %s\n", command, args);
    free(command);
    free(args);
    return n < 0 ? NULL : out;
}

int config_toml(const struct config_edit *edit, const char *text, size_t len, char **ret, struct err *e)
{
    text = text ? text : "";
    if (strlen(text) != len)
        return err_set(e, ERR_IO, 0, "it holds a zero byte");
    const struct place p = look(text, edit->key);
    if (p.line || p.elsewhere) {
        if (p.line)
            err_set(e, ERR_IO, 0, "line %d is not understood", p.line);
        else
            err_set(e, ERR_IO, 0, "%s is not written as tables of their own", edit->key);
        return err_hint(e, "add the entry by hand; --dry-run prints it");
    }
    const bool there = p.from != SIZE_MAX;
    const size_t from = there ? p.from : len, to = there ? p.to : len;
    const bool open = from > 0 && text[from - 1] != '\n'; /* the last line has no end */
    char *table = table_text(edit, !there), *out = NULL;
    int n = -1;
    if (table)
        n = asprintf(&out, "%.*s%s%s%s%s", (int)from, text, open ? "\n" : "", there || len == 0 ? "" : "\n",
                     table, text + to);
    free(table);
    if (n < 0)
        return err_set(e, ERR_INTERNAL, ENOMEM, "no memory");
    *ret = out;
    return 0;
}
