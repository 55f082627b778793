/* git_ignore: see git_ignore.h. As gitignore(5) has it. Two stars that stand alone between slashes are any folders;
 * neither kind of star makes this try more than (length of pattern) x (length of path) places, since only the last
 * star that was passed ever has to give way.
 *
 * Lives in: strongroom-tree, tests and fuzzers. Trusts: nothing of the bytes. Pure. */
#include "tree/git_ignore.h"

#include <string.h>

static struct git_ignore_rule take_line(const char *line, size_t len)
{
    struct git_ignore_rule r = {0};

    while (len && line[len - 1] == ' ' && !(len > 1 && line[len - 2] == '\\'))
        len--;
    if (len && line[0] == '!') {
        r.negated = true;
        line++;
        len--;
    }
    if (len && line[len - 1] == '/') {
        r.folders = true;
        len--;
    }
    r.anchored = len && memchr(line, '/', len);
    if (len && line[0] == '/') {
        line++;
        len--;
    }
    r.pattern = line;
    r.len = (uint32_t)len;
    return r;
}

size_t git_ignore_read(const char *bytes, size_t size, struct git_ignore_rule *ret, size_t max)
{
    size_t count = 0, at = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    while (at < size && count < max) {
        const char *line = bytes + at, *end = memchr(line, '\n', size - at);
        size_t len = end ? (size_t)(end - line) : size - at;
        at += len + 1;
        if (end && len && line[len - 1] == '\r')
            len--;
        if (len == 0 || line[0] == '#')
            continue;
        const struct git_ignore_rule r = take_line(line, len);
        if (r.len)
            ret[count++] = r;
    }
    return count;
}

struct span {
    const char *s;
    size_t len;
};

static bool in_class(const char *name, size_t len, unsigned char c)
{
    const bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    const bool graph = c > ' ' && c < 0x7f, alnum = upper || lower || digit;
    const struct {
        const char *name;
        bool is;
    } rows[] = {{"alnum", alnum},
                {"alpha", upper || lower},
                {"blank", c == ' ' || c == '\t'},
                {"cntrl", c < ' ' || c == 0x7f},
                {"digit", digit},
                {"graph", graph},
                {"lower", lower},
                {"print", graph || c == ' '},
                {"punct", graph && !alnum},
                {"space", c == ' ' || (c >= '\t' && c <= '\r')},
                {"upper", upper},
                {"xdigit", digit || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f')}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return rows[i].is;
    return false;
}

/* "[…]" at p->s[*at]; moves *at behind it. Without its end it fits nothing. */
static bool bracket_fits(struct span p, size_t *at, unsigned char c)
{
    size_t i = *at + 1;
    bool not = false, fits = false, first = true;

    if (i < p.len && (p.s[i] == '!' || p.s[i] == '^')) {
        not = true;
        i++;
    }
    for (; i < p.len && (first || p.s[i] != ']'); first = false) {
        if (p.s[i] == '[' && i + 1 < p.len && p.s[i + 1] == ':') {
            const char *end = memmem(p.s + i + 2, p.len - i - 2, ":]", 2);
            if (end) {
                fits |= in_class(p.s + i + 2, (size_t)(end - (p.s + i + 2)), c);
                i = (size_t)(end - p.s) + 2;
                continue;
            }
        }
        i += p.s[i] == '\\' && i + 1 < p.len;
        unsigned char from = (unsigned char)p.s[i++], to = from;
        if (i + 1 < p.len && p.s[i] == '-' && p.s[i + 1] != ']') {
            i += 1 + (p.s[i + 1] == '\\' && i + 2 < p.len);
            to = (unsigned char)p.s[i++];
        }
        fits |= c >= from && c <= to;
    }
    if (i >= p.len)
        return false;
    *at = i + 1;
    return fits != not ;
}

/* One place of a pattern against one byte; moves *at on. */
static bool byte_fits(struct span p, size_t *at, char c)
{
    if (p.s[*at] == '[')
        return bracket_fits(p, at, (unsigned char)c);
    if (p.s[*at] == '?') {
        ++*at;
        return true;
    }
    *at += p.s[*at] == '\\' && *at + 1 < p.len;
    return p.s[(*at)++] == c;
}

/* A name against a pattern without slashes. */
static bool name_fits(struct span p, struct span name)
{
    size_t i = 0, k = 0, star = p.len + 1, from = 0;

    while (k < name.len || i < p.len) {
        if (i < p.len && p.s[i] == '*') {
            star = ++i;
            from = k;
            continue;
        }
        if (i < p.len && k < name.len && byte_fits(p, &i, name.s[k])) {
            k++;
            continue;
        }
        if (star > p.len || from >= name.len)
            return false;
        i = star;
        k = ++from;
    }
    return true;
}

/* The part up to the next slash, which is passed. */
static struct span take_part(struct span *left)
{
    const char *slash = memchr(left->s, '/', left->len);
    const struct span part = {left->s, slash ? (size_t)(slash - left->s) : left->len};
    const size_t skip = part.len + (slash != NULL);

    left->s += skip;
    left->len -= skip;
    return part;
}

static bool path_fits(struct span p, struct span path)
{
    struct span star = {NULL, 0}, from = {NULL, 0};

    while (p.len || path.len) {
        struct span p_left = p, left = path;
        const struct span part = p.len ? take_part(&p_left) : (struct span){"", 0};
        if (p.len && part.len == 2 && memcmp(part.s, "**", 2) == 0) {
            if (p_left.len == 0)
                return path.len > 0;
            p = star = p_left;
            from = path;
            continue;
        }
        if (p.len && path.len && name_fits(part, take_part(&left))) {
            p = p_left;
            path = left;
            continue;
        }
        if (!star.s || from.len == 0)
            return false;
        (void)take_part(&from);
        p = star;
        path = from;
    }
    return true;
}

int git_ignore_says(const struct git_ignore_rule *rules, size_t count, const char *path, size_t len,
                    bool folder)
{
    const char *slash = memrchr(path, '/', len);
    const struct span whole = {path, len},
                      name = {slash ? slash + 1 : path, slash ? len - (size_t)(slash + 1 - path) : len};

    for (size_t i = count; i-- > 0;) {
        const struct git_ignore_rule *r = &rules[i];
        const struct span p = {r->pattern, r->len};
        if (r->folders && !folder)
            continue;
        if (r->anchored ? path_fits(p, whole) : name_fits(p, name))
            return !r->negated;
    }
    return -1;
}
