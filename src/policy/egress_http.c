/* egress_http: which HTTP requests a rule lets through.
 *
 * Theory of operation. A path is decoded once and compared as a whole. What a server might read as another path is not
 * normalised but refused, for nobody knows how that server normalises: parts that are empty or of dots and blanks only,
 * also with parameters (";"), encoded or not; slashes and per cents that are encoded; backslashes; control characters;
 * bytes that are no UTF-8 (overlong forms among them), and characters that become one of those where a server
 * maps characters to like ones (Unicode's compatibility forms).
 *
 * Lives in: any process, also in those that face the network. Trusts: nothing of a text but its length. May: compute.
 * Must not: allocate. */
#include "policy/egress_http.h"
#include "base/utf8.h"

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
    if (pattern[0] >= 'a' && pattern[0] <= 'z')
        return bad(ret_why, "a method of http is written in capitals", ret_hint);
    if (method == strlen("CONNECT") && memcmp(pattern, "CONNECT", method) == 0) {
        *ret_why = "can never match: behind CONNECT nothing could be judged";
        *ret_hint = "for a tunnel, a rule with any and without http=";
        return -EINVAL;
    }
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

enum looks {
    LOOKS_PLAIN,
    LOOKS_EMPTY /* a dot, a blank, nothing */,
    LOOKS_PARTING /* a slash, a per cent … */
};

/* What else a server may see in a character that is not ASCII. */
static enum looks looks_of(uint32_t c)
{
    static const struct {
        uint32_t from, to;
        enum looks as;
    } rows[] = {
        {0x80, 0xa0, LOOKS_EMPTY},       {0xad, 0xad, LOOKS_EMPTY},       {0x1680, 0x1680, LOOKS_EMPTY},
        {0x180e, 0x180e, LOOKS_EMPTY},   {0x2000, 0x200f, LOOKS_EMPTY},   {0x2024, 0x202f, LOOKS_EMPTY},
        {0x2044, 0x2044, LOOKS_PARTING}, {0x205f, 0x206f, LOOKS_EMPTY},   {0x2100, 0x2101, LOOKS_PARTING},
        {0x2105, 0x2106, LOOKS_PARTING}, {0x2215, 0x2216, LOOKS_PARTING}, {0x29f5, 0x29f5, LOOKS_PARTING},
        {0x29f8, 0x29f9, LOOKS_PARTING}, {0x3000, 0x3002, LOOKS_EMPTY},   {0xfe00, 0xfe0f, LOOKS_EMPTY},
        {0xfe52, 0xfe52, LOOKS_EMPTY},   {0xfe54, 0xfe54, LOOKS_PARTING}, {0xfe68, 0xfe6a, LOOKS_PARTING},
        {0xfeff, 0xfeff, LOOKS_EMPTY},   {0xff03, 0xff03, LOOKS_PARTING}, {0xff05, 0xff05, LOOKS_PARTING},
        {0xff0e, 0xff0e, LOOKS_EMPTY},   {0xff0f, 0xff0f, LOOKS_PARTING}, {0xff1b, 0xff1b, LOOKS_PARTING},
        {0xff1f, 0xff1f, LOOKS_PARTING}, {0xff3c, 0xff3c, LOOKS_PARTING}, {0xff61, 0xff61, LOOKS_EMPTY},
        {0xffa0, 0xffa0, LOOKS_EMPTY},   {0xe0000, 0xe01ef, LOOKS_EMPTY}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (c >= rows[i].from && c <= rows[i].to)
            return rows[i].as;
    }
    return LOOKS_PLAIN;
}

/* One part of a path, decoded, without its parameters: is it empty, or of dots and blanks? */
static bool is_dotted(const char *s, size_t len)
{
    for (size_t i = 0; i < len && s[i] != ';';) {
        uint32_t code = 0;
        i += utf8_next(s + i, len - i, &code); /* the whole path was read so before */
        if (code != '.' && code != ' ' && looks_of(code) != LOOKS_EMPTY)
            return false;
    }
    return true;
}

static bool is_plain_text(const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t code;
        unsigned n = utf8_next(s + i, len - i, &code);
        if (n == 0 || looks_of(code) == LOOKS_PARTING)
            return false;
        i += n;
    }
    return true;
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
    if (out[0] != '/' || !is_plain_text(out, n))
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
    *ret_why = EGRESS_HTTP_UNLISTED;
    return false;
}
