/* change_words: see change_words.h. Lives in: the command. Trusts: nothing of argv but that its strings end. */
#include "cli/change_words.h"
#include "base/sbuf.h"
#include "cli/say.h"
#include "policy/nearest.h"

#include <errno.h>
#include <string.h>

static int unknown(const char *verb, const char *word, const struct change_option *options, size_t count,
                   struct err *e)
{
    struct nearest n = {.given = word + (word[1] == '-' ? 2 : 1)};
    for (size_t i = 0; i < count; i++)
        nearest_offer(&n, options[i].name);
    err_set(e, ERR_USAGE, 0, "%s: unknown option %.60s", verb, word);
    return n.best ? err_hint(e, "did you mean --%s?", n.best)
                  : err_hint(e, "strongroom %s --help lists them; a path with a dash goes behind --", verb);
}

static int take_value(const char *verb, const struct change_option *o, char *value, struct err *e)
{
    if (!value || !value[0]) {
        err_set(e, ERR_USAGE, 0, "%s: --%s: needs a value", verb, o->name);
        return err_hint(e, "wanted --%s %s", o->name, o->arg);
    }
    if (!o->list) {
        *o->value = value;
        return 0;
    }
    if (o->list->count == sizeof o->list->at / sizeof *o->list->at) {
        err_set(e, ERR_USAGE, 0, "%s: --%s: more than %zu of them", verb, o->name, o->list->count);
        return err_hint(e, "name the folder around them");
    }
    o->list->at[o->list->count++] = value;
    return 0;
}

/* Takes one option and its value. Returns how many words that were. */
static int take(char **argv, int at, const struct change_option *options, size_t count, struct err *e)
{
    char *const word = argv[at];
    const size_t len = strcspn(word + 2, "=");
    char *value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
    for (size_t i = 0; word[1] == '-' && i < count; i++) {
        const struct change_option *o = &options[i];
        if (strncmp(o->name, word + 2, len) != 0 || o->name[len])
            continue;
        if (!o->arg && value) {
            err_set(e, ERR_USAGE, 0, "%s: --%s: takes no value", argv[0], o->name);
            return err_hint(e, "wanted just --%s", o->name);
        }
        if (o->flag)
            *o->flag = o->sets;
        if (!o->arg)
            return 1;
        int r = take_value(argv[0], o, value ? value : argv[at + 1], e);
        return r < 0 ? r : value ? 1 : 2;
    }
    return unknown(argv[0], word, options, count, e);
}

int change_words(int argc, char **argv, const struct change_option *options, size_t count, size_t max_paths,
                 struct change_words *ret, struct err *e)
{
    bool bare = false; /* behind "--" */
    int kept = 1;
    *ret = (struct change_words){0};
    for (int i = 1; i < argc;) {
        const char *word = argv[i];
        if (!bare && strcmp(word, "--") == 0) {
            bare = true;
            i++;
        } else if (!bare && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            ret->help = true;
            return 0;
        } else if (!bare && word[0] == '-' && word[1]) {
            int n = take(argv, i, options, count, e);
            if (n < 0)
                return n;
            i += n;
        } else if (!word[0]) { /* as a path it would be everything */
            err_set(e, ERR_USAGE, 0, "%s: an empty word: neither an ID nor a path", argv[0]);
            return err_hint(e, "is a variable empty? all of the workspace is said by \".\"");
        } else if (!bare && !ret->id && kept == 1) {
            ret->id = word;
            i++;
        } else {
            argv[kept++] = argv[i++];
        }
    }
    if ((size_t)kept - 1 > max_paths) {
        err_set(e, ERR_USAGE, 0, "%s: \"%.60s\": one word too many", argv[0], argv[max_paths + 1]);
        return err_hint(e, "strongroom %s --help", argv[0]);
    }
    argv[kept] = NULL;
    ret->paths = argv + 1;
    ret->path_count = (size_t)kept - 1;
    return 0;
}

void change_paths_inside(char **paths, size_t count, const char *dir)
{
    static char all[] = ".";
    const size_t len = strlen(dir);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(paths[i], dir, len) != 0 || (paths[i][len] && paths[i][len] != '/'))
            continue;
        char *below = paths[i] + len;
        below += strspn(below, "/");
        paths[i] = *below ? below : all;
    }
}

int change_help(const char *usage, const char *text, const struct change_option *options, size_t count)
{
    char page[4096], left[64];
    struct sbuf b = SBUF(page);
    sbuf_fmt(&b, "Usage: strongroom %s\n%s", usage, text);
    for (size_t i = 0; i < count; i++) {
        struct sbuf l = SBUF(left);
        sbuf_fmt(&l, "  --%s%s%s", options[i].name, options[i].arg ? " " : "",
                 options[i].arg ? options[i].arg : "");
        sbuf_fmt(&b, "%s%-24s %s\n", i ? "" : "\n", left, options[i].help);
    }
    return say_stdout(&b);
}
