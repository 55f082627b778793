/* name: see name.h.
 *
 * Lives in: strongroom-tar, and whoever tests it. Trusts: nothing of a name but its NUL. */
#include "helpers/tar/name.h"

#include <stdbool.h>
#include <string.h>

#define PART_MAX 255

static bool has_controls(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

const char *tar_name(const char *raw, char ret[TAR_PATH_MAX])
{
    size_t used = 0;

    if (raw[0] == '\0')
        return "no name";
    if (raw[0] == '/')
        return "an absolute name";
    if (has_controls(raw))
        return "a control character in its name";
    while (*raw) {
        const size_t n = strcspn(raw, "/");
        const bool here = n == 0 || (n == 1 && raw[0] == '.');
        if (n == 2 && raw[0] == '.' && raw[1] == '.')
            return "a name that leads out (..)";
        if (n > PART_MAX || used + n + 2 > TAR_PATH_MAX)
            return "a name that is too long";
        if (!here) {
            if (used)
                ret[used++] = '/';
            memcpy(ret + used, raw, n);
            used += n;
        }
        raw += n + (raw[n] == '/');
    }
    ret[used] = '\0';
    return NULL;
}

const char *tar_member(const char *raw, const char *top, char ret[TAR_PATH_MAX])
{
    char path[TAR_PATH_MAX];
    const char *why = tar_name(raw, path);

    if (why)
        return why;
    const char *rest = strchr(path, '/');
    const size_t n = strlen(top), more = rest ? strlen(rest) : 0;
    if (n + more + 1 > TAR_PATH_MAX)
        return "a name that is too long";
    memcpy(ret, top, n);
    memcpy(ret + n, rest ? rest : "", more);
    ret[n + more] = '\0';
    return NULL;
}
