/* verb_save: `strongroom save NAME [ID]`: changes under a name, for rooms that are to begin with them (--from NAME).
 *
 * Lives in: the command. Trusts: nothing of argv. */
#include "cli/change_words.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "engine/layers.h"
#include "sys/fd.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static int list(void)
{
    struct err e = {0};
    int fd = layers_open(&e);
    if (fd < 0)
        return say_error(&e);
    DIR *dir = fdopendir(fd); /* owns fd now */
    int status = 0;
    for (struct dirent *d; dir && status == 0 && (d = readdir(dir));) {
        char line[LAYER_NAME_MAX + 2];
        struct sbuf b = SBUF(line);
        if (!layers_name_is_good(d->d_name))
            continue;
        sbuf_fmt(&b, "%s\n", d->d_name);
        status = say_stdout(&b);
    }
    if (dir)
        (void)closedir(dir);
    return status;
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
    static unsigned lists, forgets;
    static const struct change_option options[] = {
        {"list", NULL, "name what is saved", &lists, 1, NULL, NULL},
        {"delete", NULL, "forget NAME instead", &forgets, 1, NULL, NULL},
    };
    struct change_words w;
    struct err e = {0};
    if (change_words(argc, argv, options, 2, 1, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help(
            "save NAME [ID] | save --list | save --delete NAME",
            "Keeps a copy of changes under a name; strongroom run -w DIR --from NAME begins with\n"
            "them. ID is the newest, unless given.\n",
            options, 2);
    if (lists)
        return list();
    if (!w.id) {
        err_set(&e, ERR_USAGE, 0, "save: no name given");
        err_hint(&e, "strongroom save NAME [ID]");
        return say_error(&e);
    }
    int r = forgets ? layers_forget(w.id, &e) : save(w.id, w.paths[0], &e);
    return r < 0 ? say_error(&e) : 0;
}
