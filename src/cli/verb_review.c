/* verb_review: `strongroom review [ID]`: what a room changed, before it becomes real.
 *
 * Lives in: the command. Trusts: nothing of argv. Must not: change anything. */
#include "cli/change_words.h"
#include "cli/say.h"
#include "cli/step_changes.h"
#include "cli/verbs.h"

#include <string.h>
#include <unistd.h>

static unsigned format, paged, plain, anew, all;
static const struct change_option options[] = {
    {"list", NULL, "what changed, without the differences", &format, TREE_LIST, NULL, NULL},
    {"stat", NULL, "how much of each file changed", &format, TREE_STAT, NULL, NULL},
    {"name-only", NULL, "names, one a line", &format, TREE_NAMES, NULL, NULL},
    {"patch", NULL, "a patch that git apply takes", &format, TREE_PATCH, NULL, NULL},
    {"json", NULL, "everything, for programs", &format, TREE_JSON, NULL, NULL},
    {"all", NULL, "every file in .git, too, instead of a summary", &all, TREE_ALL, NULL, NULL},
    {"anew", NULL, "forget what was decided before", &anew, 1, NULL, NULL},
    {"no-pager", NULL, "do not stop, and ask nothing", &paged, 2, NULL, NULL},
    {"no-colour", NULL, "no colours on a terminal", &plain, 1, NULL, NULL},
};
enum { OPTIONS = sizeof options / sizeof *options, PATHS_MAX = 65536, COMMAND_SHOWN = 150 };

static int say_header(const struct changes *c, struct show *s)
{
    char text[2 * STORE_PATH_MAX + STORE_COMMAND_MAX + 256];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, "changes %s (%s) in ", c->id, store_state_name(c->state));
    sbuf_escaped(&b, c->meta.dir);
    sbuf_fmt(&b, "\nby %.*s%s\n\n", COMMAND_SHOWN, c->meta.command,
             strlen(c->meta.command) > COMMAND_SHOWN ? "..." : "");
    static struct tree_report r;
    size_t n = b.len < sizeof r.text ? b.len : sizeof r.text;
    r.type = TREE_TEXT;
    r.size = (uint32_t)n;
    memcpy(r.text, b.text, n);
    return show_text(s, &r);
}

/* Shows what is asked for. */
static int show(struct changes *c, struct show *s, const struct change_words *w, unsigned what, struct err *e)
{
    struct tree_command say = {
        .type = TREE_SHOW, .what = what, .flags = all | (s->colours ? TREE_COLOUR : 0), .count = s->width};
    int r = what == TREE_FULL || what == TREE_LIST ? say_header(c, s) : 0;
    if (r == 0)
        r = tree_paths(&c->tree, w->paths, w->path_count, e);
    return r == 0 ? changes_say(c, &say, show_text, s, NULL, e) : r;
}

static int forget_decisions(struct changes *c, const struct change_words *w, struct err *e)
{
    const struct tree_command say = {.type = TREE_DECIDE, .what = TREE_UNDECIDED};
    int r = changes_hold(c, true, e);
    if (r == 0)
        r = tree_paths(&c->tree, w->paths, w->path_count, e);
    if (r == 0)
        r = changes_say(c, &say, NULL, NULL, NULL, e);
    return r == 0 ? changes_hold(c, false, e) : r;
}

int verb_review(int argc, char **argv)
{
    struct change_words w;
    struct err e = {0};
    static struct changes c;
    struct show s;
    if (change_words(argc, argv, options, OPTIONS, PATHS_MAX, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help("review [OPTION...] [ID] [--] [PATH...]",
                           "Shows what a room changed in a workspace: deletions first, then what could run\n"
                           "outside, with the differences. On a terminal it asks about each change, and\n"
                           "keeps the answers for apply. ID is the newest, unless given.\n",
                           options, OPTIONS);
    if (changes_open(&c, w.id, CHANGES_READ, &e) < 0)
        return say_error(&e);
    change_paths_inside(w.paths, w.path_count, c.meta.dir);
    const bool open = c.state == STORE_PENDING || c.state == STORE_UNDONE;
    const bool asks = !format && !paged && open && isatty(0) && isatty(1);
    const unsigned what = format ? format : asks ? TREE_LIST : TREE_FULL;
    show_begin(&s, 1, (what == TREE_FULL || what == TREE_LIST) && !paged);
    s.colours = s.colours && !plain;
    int r = anew ? forget_decisions(&c, &w, &e) : 0;
    if (r == 0)
        r = show(&c, &s, &w, what, &e);
    if (r == 0 && asks)
        r = step_changes(&c, &s, w.paths, all, &e);
    changes_close(&c);
    if (r < 0)
        return say_error(&e);
    char *words[] = {(char *)(uintptr_t) "apply", c.id, NULL};
    return r == 1 ? verb_apply(2, words) : 0;
}
