/* verb_review: `strongroom review [ID]`: what a room changed, before it becomes real.
 *
 * Lives in: the command. Trusts: nothing of argv. Must not: change anything. */
#include "cli/change_words.h"
#include "cli/say.h"
#include "cli/show_changes.h"
#include "cli/verbs.h"

#include <string.h>
#include <unistd.h>

static unsigned format, paged, plain;
static const struct change_option options[] = {
    {"list", NULL, "what changed, without the differences", &format, TREE_LIST, NULL},
    {"stat", NULL, "how much of each file changed", &format, TREE_STAT, NULL},
    {"name-only", NULL, "names, one a line", &format, TREE_NAMES, NULL},
    {"patch", NULL, "a patch that git apply takes", &format, TREE_PATCH, NULL},
    {"json", NULL, "everything, for programs", &format, TREE_JSON, NULL},
    {"no-pager", NULL, "do not stop after each page", &paged, 2, NULL},
    {"no-colour", NULL, "no colours on a terminal", &plain, 1, NULL},
};
enum { OPTIONS = sizeof options / sizeof *options, PATHS_MAX = 65536 };

static int say_header(const struct changes *c, struct show *s)
{
    char text[2 * STORE_PATH_MAX + STORE_COMMAND_MAX + 256];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, "changes %s (%s) in ", c->id, store_state_name(c->state));
    sbuf_escaped(&b, c->meta.dir);
    sbuf_fmt(&b, "\nby %s\n\n", c->meta.command);
    static struct tree_report r;
    size_t n = b.len < sizeof r.text ? b.len : sizeof r.text;
    r.type = TREE_TEXT;
    r.size = (uint32_t)n;
    memcpy(r.text, b.text, n);
    return show_text(s, &r);
}

int verb_review(int argc, char **argv)
{
    struct change_words w;
    struct err e = {0};
    static struct changes c;
    struct show s;
    format = TREE_FULL;
    if (change_words(argc, argv, options, OPTIONS, PATHS_MAX, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help("review [OPTION...] [ID] [--] [PATH...]",
                           "Shows what a room changed in a workspace: deletions first, then what could run\n"
                           "outside, with the differences. ID is the newest, unless given.\n",
                           options, OPTIONS);
    if (changes_open(&c, w.id, CHANGES_READ, &e) < 0)
        return say_error(&e);
    const bool people = format == TREE_FULL || format == TREE_LIST;
    show_begin(&s, 1, people && !paged);
    struct tree_command say = {
        .type = TREE_SHOW, .what = format, .flags = people && isatty(1) && !plain ? TREE_COLOUR : 0};
    int r = people ? say_header(&c, &s) : 0;
    if (r == 0)
        r = tree_paths(&c.tree, w.paths, w.path_count, &e);
    if (r == 0)
        r = changes_say(&c, &say, show_text, &s, NULL, &e);
    changes_close(&c);
    return r < 0 ? say_error(&e) : 0;
}
