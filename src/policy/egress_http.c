/* egress_http: which HTTP requests a rule lets through.
 *
 * Theory of operation. A path is decoded once and compared as a whole. What a server might read as another path is not
 * normalised but refused, for nobody knows how that server normalises: parts that are empty, "." or "..", also with
 * parameters (";"), encoded or not; slashes and per cents that are encoded; backslashes; control characters.
 *
 * Lives in: any process, also in those that face the network. Trusts: nothing of a text but its length. May: compute.
 * Must not: allocate. */
#include "policy/egress_http.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static int bad(const char **ret_why, const char *why, const char **ret_hint)
{
    *ret_why = why;
    *ret_hint = "as http=GET:/simple/* or http=*:/api/v1/*";
    return -EINVAL;
}

int egress_http_add(char list[EGRESS_HTTP_MAX], const char *pattern, const char **ret_why,
                    const char **ret_hint)
{
    size_t method = 0, len = strlen(pattern), have = strlen(list);

    while (pattern[method] >= 'A' && pattern[method] <= 'Z')
        method++;
    if (method == 0 && pattern[0] == '*')
        method = 1;
    if (method == 0 || method > 16 || pattern[method] != ':' || pattern[method + 1] != '/')
        return bad(ret_why, "http is METHOD:/PATH", ret_hint);
    for (size_t i = method + 1; i < len; i++) {
        if (pattern[i] <= ' ' || pattern[i] > '~' || strchr("%?#\\;", pattern[i]) != NULL)
            return bad(ret_why, "a path of http has plain characters and stars only, and no query", ret_hint);
        if (pattern[i] == '/' && (pattern[i + 1] == '/' || strcmp(pattern + i, "/.") == 0 ||
                                  strncmp(pattern + i, "/./", 3) == 0 || strncmp(pattern + i, "/..", 3) == 0))
            return bad(ret_why, "a path of http has no empty or dotted parts", ret_hint);
    }
    if (have + (have > 0) + len >= EGRESS_HTTP_MAX) {
        *ret_why = "too many patterns in one rule";
        *ret_hint = "write a second rule for the same host";
        return -EINVAL;
    }
    if (have > 0)
        list[have++] = ' ';
    memcpy(list + have, pattern, len + 1);
    return 0;
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* One part of a path, decoded, without its parameters. */
static bool is_dotted(const char *s, size_t len)
{
    const char *semicolon = memchr(s, ';', len);

    if (semicolon != NULL)
        len = (size_t)(semicolon - s);
    return len == 0 || (len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.');
}

static const char *check_parts(const char *path, size_t len)
{
    size_t from = 1;

    for (size_t i = 1; i <= len; i++) {
        if (i < len && path[i] != '/')
            continue;
        if (is_dotted(path + from, i - from) && !(i == len && i == from)) /* "/" at the end is no part */
            return "its path has an empty or dotted part:";
        from = i + 1;
    }
    return NULL;
}

/* Decodes what stands before the query. The length, or -EINVAL. */
static int decode(const char *path, size_t len, char out[EGRESS_PATH_MAX], const char **ret_why)
{
    size_t n = 0;

    *ret_why = "its path can be read in several ways:";
    for (size_t i = 0; i < len && path[i] != '?'; i++) {
        unsigned char c = (unsigned char)path[i];
        if (n == EGRESS_PATH_MAX || c == '#' || c == '\\' || c <= ' ' || c == 0x7f)
            return -EINVAL;
        if (c == '%') {
            int high = len - i > 2 ? digit(path[i + 1]) : -1, low = len - i > 2 ? digit(path[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -EINVAL;
            c = (unsigned char)(high << 4 | low);
            if (c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == '%' || c == ';')
                return -EINVAL;
            i += 2;
        }
        out[n++] = (char)c;
    }
    if (n == 0)
        out[n++] = '/';
    if (out[0] != '/')
        return -EINVAL;
    *ret_why = check_parts(out, n);
    return *ret_why == NULL ? (int)n : -EINVAL;
}

/* A star stands for any bytes; the last star is the one that gives way. */
static bool glob(const char *p, size_t plen, const char *s, size_t slen)
{
    size_t pi = 0, si = 0, star = SIZE_MAX, mark = 0;

    while (si < slen) {
        if (pi < plen && p[pi] == '*') {
            star = pi++;
            mark = si;
        } else if (pi < plen && p[pi] == s[si]) {
            pi++;
            si++;
        } else if (star != SIZE_MAX) {
            pi = star + 1;
            si = ++mark;
        } else {
            return false;
        }
    }
    while (pi < plen && p[pi] == '*')
        pi++;
    return pi == plen;
}

static bool method_matches(const char *pattern, size_t len, const char *method, size_t method_len)
{
    if (len == 1 && pattern[0] == '*')
        return true;
    if (len == 3 && memcmp(pattern, "GET", 3) == 0 && method_len == 4 && memcmp(method, "HEAD", 4) == 0)
        return true;
    return len == method_len && memcmp(pattern, method, len) == 0;
}

bool egress_http_matches(const char *list, const char *method, size_t method_len, const char *path,
                         size_t path_len, const char **ret_why)
{
    char plain[EGRESS_PATH_MAX] = "";
    int len = decode(path, path_len, plain, ret_why);

    if (len < 0)
        return false;
    for (const char *p = list; *p != '\0';) {
        size_t whole = strcspn(p, " "), m = strcspn(p, ":");
        if (m < whole && method_matches(p, m, method, method_len) &&
            glob(p + m + 1, whole - m - 1, plain, (size_t)len))
            return true;
        p += whole;
        p += strspn(p, " ");
    }
    *ret_why = "no http word of the rule has its request:";
    return false;
}
