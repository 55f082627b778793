/* install: where each client keeps its configuration, and how it is written: whole or not at all, with a copy of what
 * was there before.
 *
 * Lives in: strongroom-mcp, called by `strongroom mcp install`. Trusts: HOME and its like.
 * May: write that one file and the copy beside it. Must not: write what it could not read and understand. */
#include "mcp/install.h"
#include "mcp/config.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct client {
    const char *name, *title;
    const char *variable; /* names the folder, where it is set; NULL */
    const char *below;    /* else this folder of HOME */
    const char *file;
    const char *key;
    const char *kind, *value; /* a member that this client wants in an entry; NULL */
    int (*edit)(const struct config_edit *edit, const char *text, size_t len, char **ret, struct err *e);
};

static const struct client clients[] = {
    {"claude", "Claude Desktop", "XDG_CONFIG_HOME", ".config", "Claude/claude_desktop_config.json",
     "mcpServers", NULL, NULL, config_json},
    {"claude-code", "Claude Code", "CLAUDE_CONFIG_DIR", ".", ".claude.json", "mcpServers", "type", "stdio",
     config_json},
    {"cursor", "Cursor", NULL, ".cursor", "mcp.json", "mcpServers", NULL, NULL, config_json},
    {"vscode", "VS Code", "XDG_CONFIG_HOME", ".config", "Code/User/mcp.json", "servers", "type", "stdio",
     config_json},
    {"zed", "Zed", "XDG_CONFIG_HOME", ".config", "zed/settings.json", "context_servers", "source", "custom",
     config_json},
    {"codex", "Codex", "CODEX_HOME", ".codex", "config.toml", "mcp_servers", NULL, NULL, config_toml},
};
#define CLIENTS    (sizeof clients / sizeof *clients)
#define COPIES_MAX 1000 /* of one second */

static int say(const struct err *e)
{
    fprintf(stderr, "strongroom: %s\n", e->text);
    if (e->hint[0])
        fprintf(stderr, "strongroom: hint: %s\n", e->hint);
    return err_exit_status(e->kind);
}

static const struct client *find(const char *name, struct err *e)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (strcmp(clients[i].name, name) == 0)
            return &clients[i];
    }
    err_set(e, ERR_USAGE, 0, "mcp install: unknown client: %s", name);
    (void)err_hint(e, "claude, claude-code, cursor, vscode, zed or codex");
    return NULL;
}

/* The real path, so that a link into a folder of dot files stays a link. */
static int locate(const struct client *c, char ret[PATH_MAX], struct err *e)
{
    const char *folder = c->variable ? getenv(c->variable) : NULL, *home = getenv("HOME");
    char path[PATH_MAX];
    int n;

    if (folder && folder[0] == '/')
        n = snprintf(path, sizeof path, "%s/%s", folder, c->file);
    else if (home && home[0] == '/')
        n = strcmp(c->below, ".") == 0 ? snprintf(path, sizeof path, "%s/%s", home, c->file)
                                       : snprintf(path, sizeof path, "%s/%s/%s", home, c->below, c->file);
    else
        return err_set(e, ERR_USAGE, 0, "mcp install: HOME is not set");
    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(e, ERR_USAGE, 0, "mcp install: the path of the configuration is too long");
    if (!realpath(path, ret)) {
        if (errno != ENOENT)
            return err_set(e, ERR_IO, errno, "mcp install: find %s", path);
        memcpy(ret, path, (size_t)n + 1);
    }
    return 0;
}

static json_t *entry(const struct client *c, const char *program, char **words)
{
    json_t *o = json_object(), *args = json_pack("[s]", "mcp");

    if (c->kind)
        (void)json_object_set_new(o, c->kind, json_string(c->value));
    for (; *words; words++)
        (void)json_array_append_new(args, json_string(*words));
    (void)json_object_set_new(o, "command", json_string(program));
    (void)json_object_set_new(o, "args", args);
    return o;
}

/* What stands in a configuration, and whose it is; `text` is NULL when there is none. */
struct content {
    char *text;
    size_t len;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

static int read_all(const char *path, struct content *ret, struct err *e)
{
    struct stat st;

    *ret = (struct content){.mode = 0600, .uid = geteuid(), .gid = getegid()};
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, ERR_IO, errno, "mcp install: read %s", path);
    if (!S_ISREG(st.st_mode) || st.st_size > CONFIG_MAX)
        return err_set(e, ERR_IO, 0, "mcp install: %s: not a plain file of at most 8 MiB", path);
    char *text = calloc(1, CONFIG_MAX + 1);
    const ssize_t n = text ? fd_read_file(AT_FDCWD, path, text, CONFIG_MAX + 1) : -ENOMEM;
    if (n < 0) {
        free(text);
        return err_set(e, ERR_IO, (int)-n, "mcp install: read %s", path);
    }
    *ret = (struct content){text, (size_t)n, st.st_mode & 07777, st.st_uid, st.st_gid};
    return 0;
}

static int make_folders(const char *path)
{
    char part[PATH_MAX];

    for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        memcpy(part, path, (size_t)(p - path));
        part[p - path] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

/* A new file, which must not be there, with the mode and the owner of `like`: root may write for somebody else. */
static int write_new(const char *path, const char *text, size_t len, const struct content *like)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0)
        return -errno;
    int n = fd_write_all(fd, text, len);
    const bool ours = like->uid == geteuid() && like->gid == getegid();
    if (n == 0 &&
        ((!ours && fchown(fd, like->uid, like->gid) < 0) || fchmod(fd, like->mode) < 0 || fsync(fd) < 0))
        n = -errno;
    fd_close(&fd);
    if (n < 0)
        (void)unlink(path);
    return n;
}

/* Beside it, under a name that nothing has. */
static int keep_copy(const char *path, const struct content *old, char backup[PATH_MAX])
{
    const time_t now = time(NULL);
    char stamp[32] = "";
    struct tm tm;
    int n = -EEXIST;

    if (localtime_r(&now, &tm))
        (void)strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
    for (int i = 0; i < COPIES_MAX && n == -EEXIST; i++) {
        (void)(i ? snprintf(backup, PATH_MAX, "%.4000s.bak-%s-%d", path, stamp, i)
                 : snprintf(backup, PATH_MAX, "%.4000s.bak-%s", path, stamp));
        n = write_new(backup, old->text, old->len, old);
    }
    return n;
}

static bool holds(const char *path, const char *text, size_t len)
{
    struct content now;
    struct err e = {0};

    if (read_all(path, &now, &e) < 0)
        return false;
    const bool same = !now.text == !text && now.len == len && (!text || memcmp(now.text, text, len) == 0);
    free(now.text);
    return same;
}

/* The client may write its own file at any time, so the two change places, and what comes back tells what was there
 * at that very moment. -ESTALE: not what was read; then it is put back, and so is what came instead of it meanwhile. */
static int exchange(const char *fresh, const char *text, const char *path, const struct content *old)
{
    enum { TRIES = 100 };

    if (!old->text)
        return renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ? 0
               : errno == EEXIST                                                 ? -ESTALE
                                                                                 : -errno;
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_EXCHANGE) < 0) {
        if (errno != EINVAL) /* a file system that knows no exchange */
            return errno == ENOENT ? -ESTALE : -errno;
        return !holds(path, old->text, old->len) ? -ESTALE : rename(fresh, path) < 0 ? -errno : 0;
    }
    if (holds(fresh, old->text, old->len))
        return unlink(fresh) < 0 ? -errno : 0;
    for (int i = 0; i < TRIES; i++) {
        if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_EXCHANGE) < 0)
            return -errno;
        if (holds(fresh, text, strlen(text)))
            return -ESTALE;
    }
    return -EBUSY;
}

static int replace(const char *path, const struct content *old, const char *text, char backup[PATH_MAX],
                   struct err *e)
{
    char fresh[PATH_MAX + 32];
    int n = make_folders(path);

    backup[0] = '\0';
    if (n < 0)
        return err_set(e, ERR_IO, -n, "mcp install: make the folder of %s", path);
    if (old->text && (n = keep_copy(path, old, backup)) < 0)
        return err_set(e, ERR_IO, -n, "mcp install: keep a copy as %s", backup);
    (void)snprintf(fresh, sizeof fresh, "%s.strongroom-%d", path, (int)getpid());
    n = write_new(fresh, text, strlen(text), old);
    if (n == 0 && (n = exchange(fresh, text, path, old)) < 0 && n != -EBUSY)
        (void)unlink(fresh);
    if (n == -ESTALE) {
        err_set(e, ERR_IO, 0, "mcp install: write %s: it was changed meanwhile", path);
        return err_hint(e, "close the client, or try again; nothing was written");
    }
    if (n == -EBUSY)
        return err_set(e, ERR_IO, -n, "mcp install: write %s: it changes all the time; look at %s", path,
                       fresh);
    return n < 0 ? err_set(e, ERR_IO, -n, "mcp install: write %s", path) : 0;
}

static void show(const struct client *c, const json_t *server)
{
    const struct config_edit alone = {.key = c->key, .server = server};
    char *text = NULL;

    if (c->edit(&alone, NULL, 0, &text, NULL) == 0)
        printf("%s%s", text, text[0] && text[strlen(text) - 1] == '\n' ? "" : "\n");
    free(text);
}

static int install(const struct client *c, const char *path, const json_t *server, bool write, struct err *e)
{
    const struct config_edit edit = {.key = c->key, .server = server};
    char *text = NULL, backup[PATH_MAX] = "";
    struct content old;

    int n = read_all(path, &old, e);
    if (n == 0) {
        struct err why = {0};
        n = c->edit(&edit, old.text, old.len, &text, &why);
        if (n < 0) {
            err_set(e, why.kind, 0, "mcp install: %s: %s", path, why.text);
            (void)err_hint(e, "%s", why.hint);
        }
    }
    const bool same = n == 0 && old.text && strcmp(old.text, text) == 0;
    if (n == 0 && write && !same)
        n = replace(path, &old, text, backup, e);
    if (n == 0) {
        printf("%s: %s %s\n", c->title,
               same       ? "nothing to change in"
               : write    ? "written to"
               : old.text ? "would change"
                          : "would create",
               path);
        if (backup[0])
            printf("what was there before: %s\n", backup);
    }
    free(old.text);
    free(text);
    return n;
}

int install_run(const char *program, char **words)
{
    struct err e = {0};
    char path[PATH_MAX];
    const struct client *c = find(words[0], &e);

    if (!c || locate(c, path, &e) < 0)
        return say(&e);
    const bool write = strcmp(words[1], "write") == 0;
    json_t *server = entry(c, program, words + 2);
    show(c, server);
    const int n = install(c, path, server, write, &e);
    json_decref(server);
    if (fflush(stdout) != 0)
        return 125;
    return n < 0 ? say(&e) : 0;
}
