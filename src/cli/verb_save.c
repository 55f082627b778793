/* verb_save: `strongroom save NAME [ID]`: changes under a name, for rooms that are to begin with them (--from NAME).
 *
 * Lives in: the command. Trusts: nothing of argv. */
#include "base/json.h"
#include "cli/change_words.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "engine/layers.h"
#include "sys/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { ROW_MAX = 6 * (STORE_PATH_MAX + STORE_COMMAND_MAX) + 512 }; /* as JSON, of what has the most escapes */

/* What a layer is about: whose changes, and from when. False: it is being made, or goes. */
static bool put_layer(int layers, const char *name, struct sbuf *out)
{
    static struct store_meta meta;
    struct err e = {0};
    struct json j = {.out = out};
    FD_AUTO fd = openat(layers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || store_read_meta(fd, &meta, &e) < 0)
        return false;
    json_open(&j, NULL, '{');
    json_str(&j, "name", name);
    json_str(&j, "id", meta.id);
    json_str(&j, "dir", meta.dir);
    json_str(&j, "command", meta.command);
    json_num(&j, "started", meta.started_sec);
    json_close(&j, '}');
    return true;
}

static int list(bool as_json)
{
    static char text[ROW_MAX];
    struct err e = {0};
    struct sbuf b = SBUF(text);
    int told = 0;
    int fd = layers_open(&e);
    if (fd < 0)
        return say_error(&e);
    DIR *dir = fdopendir(fd); /* owns fd now */
    int status = 0;
    for (struct dirent *d; dir && status == 0 && (d = readdir(dir));) {
        if (!layers_name_is_good(d->d_name))
            continue;
        if (as_json)
            sbuf_char(&b, told ? ',' : '[');
        else
            sbuf_fmt(&b, "%s\n", d->d_name);
        if (!as_json || put_layer(dirfd(dir), d->d_name, &b)) {
            status = say_stdout(&b);
            told++;
        }
        b = SBUF(text);
    }
    if (dir)
        (void)closedir(dir);
    if (as_json)
        sbuf_text(&b, told ? "]\n" : "[]\n");
    return status || !as_json ? status : say_stdout(&b);
}

static int save(const char *name, const char *id, struct err *e)
{
    static struct changes c;
    int r = changes_open(&c, id, CHANGES_READ, e);
    if (r == 0)
        r = layers_save(&c, name, e);
    if (r == 0) {
        char text[256];
        struct sbuf b = SBUF(text);
        sbuf_fmt(&b, "strongroom: saved %s as %s; a room over a folder begins with it by --from %s\n", c.id,
                 name, name);
        say_stderr(&b);
    }
    changes_close(&c);
    return r;
}

int verb_save(int argc, char **argv)
{
    static unsigned lists, forgets, as_json;
    static const struct change_option options[] = {
        {"list", NULL, "name what is saved", &lists, 1, NULL, NULL},
        {"json", NULL, "with --list: and what they are about, for programs", &as_json, 1, NULL, NULL},
        {"delete", NULL, "forget NAME instead", &forgets, 1, NULL, NULL},
    };
    enum { OPTIONS = sizeof options / sizeof *options };
    struct change_words w;
    struct err e = {0};
    if (change_words(argc, argv, options, OPTIONS, 1, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help(
            "save NAME [ID] | save --list [--json] | save --delete NAME",
            "Keeps a copy of changes under a name; strongroom run -w DIR --from NAME begins with\n"
            "them. ID is the newest, unless given.\n",
            options, OPTIONS);
    if (as_json && !lists) {
        err_set(&e, ERR_USAGE, 0, "save: --json: only with --list");
        err_hint(&e, "strongroom save --list --json");
        return say_error(&e);
    }
    if (lists)
        return list(as_json);
    if (!w.id) {
        err_set(&e, ERR_USAGE, 0, "save: no name given");
        err_hint(&e, "strongroom save NAME [ID]");
        return say_error(&e);
    }
    int r = forgets ? layers_forget(w.id, &e) : save(w.id, w.paths[0], &e);
    return r < 0 ? say_error(&e) : 0;
}
