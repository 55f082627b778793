/* argument_files: see argument_files.h.
 * Lives in: the command. Trusts: the caller's own words, as far as they name files below the folder the
 * caller is in. */
#include "cli/argument_files.h"
#include "base/sbuf.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <string.h>
#include <sys/stat.h>

/* "./a/b.py" -> "a/b.py"; NULL for a word that is not looked at. */
static const char *candidate(const char *word, bool is_command)
{
    if (is_command && !strchr(word, '/'))
        return NULL;
    while (word[0] == '.' && word[1] == '/')
        word += 2;
    if (!word[0] || word[0] == '/' || word[0] == '-' || strchr(word, ':'))
        return NULL;
    for (const char *part = word; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        if (part[0] == '.' || part[0] == '/' || part[0] == '\0')
            return NULL;
    }
    return strlen(word) < POLICY_PATH_MAX / 2 ? word : NULL;
}

static bool is_file_below(int dir, const char *path)
{
    struct stat st;
    FD_AUTO fd = fd_resolve(dir, path, 0x08 | 0x02 /* RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS */);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_taken(const struct policy *p, const char *dst)
{
    for (size_t i = 0; i < p->mount_count; i++) {
        if (strcmp(p->mounts[i].dst, dst) == 0)
            return true;
    }
    return false;
}

int argument_files_add(struct policy *p, char *const *command, const char *cwd, struct err *e)
{
    char volume[2 * POLICY_PATH_MAX + 16];
    if (p->args == ARGS_NONE || p->workdir || p->rootfs || !cwd || strchr(cwd, ':'))
        return 0;
    FD_AUTO dir = openat(AT_FDCWD, cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; dir >= 0 && command[i] && i < ARGUMENT_FILES_MAX; i++) {
        const char *path = candidate(command[i], i == 0);
        if (!path || !is_file_below(dir, path))
            continue;
        struct sbuf b = SBUF(volume);
        sbuf_fmt(&b, "%s/%s:", strcmp(cwd, "/") == 0 ? "" : cwd, path);
        size_t dst = b.len;
        sbuf_fmt(&b, "/work/%s", path);
        if (b.full || is_taken(p, volume + dst))
            continue;
        sbuf_text(&b, ":ro");
        int r = policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "volume", volume, e);
        if (r < 0)
            return r;
        /* What was looked at now is looked up again later, when a link may stand there: the same rule holds then. */
        p->mounts[p->mount_count - 1].beneath = strlen(cwd);
    }
    return 0;
}
