/* line: scans one message without understanding it.
 *
 * Lives in: strongroom-mcp. Trusts: nothing of the bytes. May: look at them. Must not: allocate, recurse, answer. */
#include "mcp/line.h"

#include <errno.h>
#include <string.h>

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_blanks(const char *s, size_t n, size_t at)
{
    while (at < n && blank(s[at]))
        at++;
    return at;
}

/* Behind the string that starts at `at`, or n. */
static size_t skip_string(const char *s, size_t n, size_t at)
{
    for (at++; at < n; at++) {
        if (s[at] == '\\')
            at++;
        else if (s[at] == '"')
            return at + 1;
    }
    return n;
}

/* Where the value of the outermost member that is named here starts; 0: this string is no such name. */
static size_t value_of_id(const char *s, size_t n, size_t from, size_t to)
{
    if (to - from != 4 || memcmp(s + from, "\"id\"", 4) != 0)
        return 0;
    to = skip_blanks(s, n, to);
    if (to == n || s[to] != ':')
        return 0;
    return skip_blanks(s, n, to + 1);
}

static size_t scalar_end(const char *s, size_t n, size_t at)
{
    if (at < n && s[at] == '"')
        return skip_string(s, n, at);
    while (at < n && !blank(s[at]) && !strchr(",:{}[]\"", s[at]))
        at++;
    return at;
}

int line_scan(const char *s, size_t n, struct line_facts *ret)
{
    unsigned depth = 0;

    *ret = (struct line_facts){0};
    for (size_t at = 0; at < n;) {
        const char c = s[at];
        if (c == '"') {
            const size_t end = skip_string(s, n, at);
            const size_t value = depth == 1 && !ret->has_id ? value_of_id(s, n, at, end) : 0;
            at = end;
            if (value) {
                at = scalar_end(s, n, value);
                *ret = (struct line_facts){.has_id = true, .id_at = value, .id_len = at - value};
            }
            continue;
        }
        if ((c == '{' || c == '[') && ++depth > LINE_DEPTH_MAX)
            return -E2BIG;
        if ((c == '}' || c == ']') && depth > 0)
            depth--;
        at++;
    }
    return 0;
}

bool line_id_ok(const char *id, size_t n)
{
    if (n == 0 || n > LINE_ID_MAX)
        return false;
    if (id[0] == '"')
        return true;
    size_t at = id[0] == '-';
    if (at == n || (id[at] == '0' && at + 1 < n))
        return false;
    for (; at < n; at++) {
        if (id[at] < '0' || id[at] > '9')
            return false;
    }
    return true;
}
