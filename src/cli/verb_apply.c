/* verb_apply: `strongroom apply`, `undo` and `discard`: what becomes of changes.
 *
 * Lives in: the command. Trusts: nothing of argv. What is done to files is done by strongroom-tree, all or nothing. */
#include "cli/change_words.h"
#include "cli/say.h"
#include "cli/show_changes.h"
#include "cli/verbs.h"

#include <errno.h>
#include <string.h>

static unsigned conflicts, clean;
static const struct change_option apply_options[] = {
    {"skip-conflicts", NULL, "leave out what the host changed too", &conflicts, TREE_SKIP_CONFLICTS, NULL},
    {"only-clean", NULL, "not if anything raises an alarm", &clean, TREE_ONLY_CLEAN, NULL},
};
enum { APPLY_OPTIONS = sizeof apply_options / sizeof *apply_options, PATHS_MAX = 65536 };

static void say_done(const char *what, const struct changes *c, const struct tree_totals *t, const char *more)
{
    char text[STORE_PATH_MAX + 512];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, "strongroom: %s %s in ", what, c->id);
    sbuf_escaped(&b, c->meta.dir);
    if (t) {
        sbuf_text(&b, ": ");
        show_totals(t, &b);
    }
    sbuf_fmt(&b, "%s\n", more);
    say_stderr(&b);
}

static int wrong_state(const struct changes *c, const char *verb, struct err *e)
{
    err_set(e, ERR_USAGE, 0, "%s %s: these changes are %s", verb, c->id, store_state_name(c->state));
    return c->state == STORE_APPLIED ? err_hint(e, "strongroom undo %s takes them back", c->id)
                                     : err_hint(e, "strongroom apply %s makes them real", c->id);
}

int verb_apply(int argc, char **argv)
{
    struct change_words w;
    struct err e = {0};
    static struct changes c;
    struct tree_totals t = {0};
    if (change_words(argc, argv, apply_options, APPLY_OPTIONS, PATHS_MAX, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help("apply [OPTION...] [ID] [--] [PATH...]",
                           "Makes changes real, all or none: everything, or what lies at or below the PATHs\n"
                           "(as review shows them). ID is the newest, unless given.\n",
                           apply_options, APPLY_OPTIONS);
    int r = changes_open(&c, w.id, CHANGES_WRITE, &e);
    if (r == 0 && c.state == STORE_APPLIED)
        r = wrong_state(&c, "apply", &e);
    if (r == 0)
        r = tree_paths(&c.tree, w.paths, w.path_count, &e);
    const struct tree_command say = {.type = TREE_APPLY, .flags = conflicts | clean};
    if (r == 0)
        r = changes_say(&c, &say, NULL, NULL, &t, &e);
    if (r == 0)
        say_done("applied", &c, &t, "; strongroom undo takes it back");
    changes_close(&c);
    return r < 0 ? say_error(&e) : 0;
}

int verb_undo(int argc, char **argv)
{
    struct change_words w;
    struct err e = {0};
    static struct changes c;
    struct tree_totals t = {0};
    if (change_words(argc, argv, NULL, 0, 0, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help("undo [ID]",
                           "Takes the last apply of these changes back: the workspace is as it was before.\n"
                           "ID is the newest, unless given.\n",
                           NULL, 0);
    int r = changes_open(&c, w.id, CHANGES_WRITE, &e);
    if (r == 0 && c.state != STORE_APPLIED)
        r = wrong_state(&c, "undo", &e);
    const struct tree_command say = {.type = TREE_UNDO};
    if (r == 0)
        r = changes_say(&c, &say, NULL, NULL, &t, &e);
    if (r == 0)
        say_done("undone", &c, NULL, "");
    changes_close(&c);
    return r < 0 ? say_error(&e) : 0;
}

int verb_discard(int argc, char **argv)
{
    struct change_words w;
    struct err e = {0};
    static struct changes c;
    if (change_words(argc, argv, NULL, 0, 0, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help("discard [ID]",
                           "Forgets changes. The workspace stays as it is; applied changes can no longer be\n"
                           "undone. ID is the newest, unless given.\n",
                           NULL, 0);
    int r = changes_open(&c, w.id, CHANGES_REMOVE, &e);
    if (r == 0)
        r = changes_discard(&c, &e);
    if (r == 0)
        say_done("discarded", &c, NULL, "");
    return r < 0 ? say_error(&e) : 0;
}
