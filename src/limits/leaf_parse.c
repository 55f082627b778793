/* leaf_parse: lines of /proc/self/cgroup and /proc/self/mountinfo.
 *
 * Lives in: the supervisor. Trusts: nothing about the line. May: read the bytes it is given. Must not: do
 * I/O, allocate, write outside the struct it fills. */
#include "limits/leaf_parse.h"

#include "limits/leaf_file.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned bit;
} controllers[] = {
    {"memory", LEAF_HAS_MEMORY},
    {"pids", LEAF_HAS_PIDS},
    {"cpu", LEAF_HAS_CPU},
    {"cpuacct", LEAF_HAS_CPUACCT},
};

unsigned leaf_parse_controllers(const char *text, size_t len)
{
    unsigned bits = 0;

    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
        if (leaf_text_has(text, len, controllers[i].name))
            bits |= controllers[i].bit;
    }
    return bits;
}

int leaf_parse_member(const char *line, size_t len, struct leaf_member *ret)
{
    const char *end = line + len;
    const char *first = memchr(line, ':', len);
    const char *second = first ? memchr(first + 1, ':', (size_t)(end - first - 1)) : NULL;
    size_t names_len, path_len;

    if (!second || second + 1 == end || second[1] != '/')
        return -EINVAL;
    names_len = (size_t)(second - first - 1);
    path_len = (size_t)(end - second - 1);
    if (path_len >= sizeof ret->path)
        return -ENAMETOOLONG;
    if (memchr(second, '\0', path_len))
        return -EINVAL;
    if (names_len == 0 && (first - line != 1 || *line != '0'))
        return -EINVAL;
    ret->version = names_len == 0 ? LEAF_V2 : LEAF_V1;
    ret->controllers = leaf_parse_controllers(first + 1, names_len);
    memcpy(ret->path, second + 1, path_len);
    ret->path[path_len] = '\0';
    return 0;
}

/* Cuts the next blank-separated word off *p; false at the end of the line. */
static bool next_word(const char **p, const char *end, const char **ret_word, size_t *ret_len)
{
    const char *s = *p, *stop;

    while (s < end && *s == ' ')
        s++;
    if (s == end)
        return false;
    stop = memchr(s, ' ', (size_t)(end - s));
    if (!stop)
        stop = end;
    *ret_word = s;
    *ret_len = (size_t)(stop - s);
    *p = stop;
    return true;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* Copies a path of mountinfo, in which blank, tab, newline and backslash are written as \ooo. */
static int copy_path(const char *s, size_t len, char *ret, size_t size)
{
    size_t n = 0;

    if (len == 0 || *s != '/')
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        unsigned c = (unsigned char)s[i];

        if (c == '\\' && len - i > 3 && is_octal(s[i + 1]) && is_octal(s[i + 2]) && is_octal(s[i + 3])) {
            c = (unsigned)(s[i + 1] - '0') * 64 + (unsigned)(s[i + 2] - '0') * 8 + (unsigned)(s[i + 3] - '0');
            i += 3;
        }
        if (c == 0 || c > 255)
            return -EINVAL;
        if (n + 1 >= size)
            return -ENAMETOOLONG;
        ret[n++] = (char)c;
    }
    ret[n] = '\0';
    return 0;
}

int leaf_parse_mount(const char *line, size_t len, struct leaf_mount *ret)
{
    static const char mark[] =
        " - cgroup"; /* blanks inside a path are escaped, so this is the real separator */
    const char *end = line + len, *p = line;
    const char *behind = memmem(line, len, mark, sizeof mark - 1);
    const char *root = NULL, *point = NULL, *word;
    size_t root_len = 0, point_len = 0, word_len;
    int r;

    if (!behind)
        return -ENOENT;
    for (int i = 0; i < 5; i++) { /* id, parent, device, root, mount point */
        root = point, root_len = point_len;
        if (!next_word(&p, behind, &point, &point_len))
            return -EINVAL;
    }
    p = behind + 3;
    if (!next_word(&p, end, &word, &word_len))
        return -EINVAL;
    if (word_len == 6)
        ret->version = LEAF_V1;
    else if (word_len == 7 && word[6] == '2')
        ret->version = LEAF_V2;
    else
        return -ENOENT;
    for (int i = 0; i < 2; i++) { /* source, options */
        if (!next_word(&p, end, &word, &word_len))
            return -EINVAL;
    }
    ret->controllers = ret->version == LEAF_V1 ? leaf_parse_controllers(word, word_len) : 0;
    r = copy_path(root, root_len, ret->root, sizeof ret->root);
    return r < 0 ? r : copy_path(point, point_len, ret->point, sizeof ret->point);
}

const char *leaf_parse_below(const char *path, const char *root)
{
    size_t len = strlen(root);

    /* "/.." and its like stand for a place outside of our cgroup namespace: nothing can be said about it. */
    if (strncmp(path, "/..", 3) == 0 || strncmp(root, "/..", 3) == 0)
        return NULL;
    while (len > 0 && root[len - 1] == '/')
        len--;
    if (strncmp(path, root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    path += len;
    while (*path == '/')
        path++;
    return path;
}

bool leaf_parse_leaf_name(const char *name)
{
    size_t len = sizeof LEAF_PREFIX - 1;
    const char *p = name + len;
    uint64_t slot;

    return strncmp(name, LEAF_PREFIX, len) == 0 && leaf_text_digits(&p, &slot) && *p == '\0' &&
           slot <= UINT32_MAX;
}
