/* verb_apply: `strongroom apply`, `undo` and `discard`: what becomes of changes.
 *
 * Lives in: the command. Trusts: nothing of argv. What is done to files is done by strongroom-tree, all or nothing. */
#include "cli/change_words.h"
#include "cli/commit_changes.h"
#include "cli/say.h"
#include "cli/show_changes.h"
#include "cli/verbs.h"
#include "policy/accept.h"

#include <errno.h>
#include <string.h>

static unsigned conflicts, clean, all;
static struct change_list excepts, accepts;
static struct commit_words words_of_commit;
static const struct change_option apply_options[] = {
    {"skip-conflicts", NULL, "leave out what the host changed too", &conflicts, TREE_SKIP_CONFLICTS, NULL,
     NULL},
    {"except", "PATH", "leave out what lies at or below PATH", NULL, 0, NULL, &excepts},
    {"all", NULL, "whatever was decided in a review", &all, 1, NULL, NULL},
    {"accept", "ALARM[:PATH]", "as --only-clean, but this alarm was looked at", NULL, 0, NULL, &accepts},
    {"commit", "MESSAGE", "and commit it to git, as the agent's work", NULL, 0, &words_of_commit.message,
     NULL},
    {"author", "NAME <@>", "whose work it is, instead of the agent's", NULL, 0, &words_of_commit.author,
     NULL},
    {"only-clean", NULL, "not if anything raises an alarm", &clean, TREE_ONLY_CLEAN, NULL, NULL},
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

/* What a decision, or the lack of one, kept back. */
static void put_left(const struct tree_decided *d, struct sbuf *b)
{
    if (d->rejected)
        sbuf_fmt(b, "; %llu rejected", (unsigned long long)d->rejected);
    if (d->undecided)
        sbuf_fmt(b, "%s%llu undecided", d->rejected ? ", " : "; ", (unsigned long long)d->undecided);
    if (d->rejected + d->undecided)
        sbuf_text(b, " left out");
}

/* What stands in the way of single changes. */
static int tell(void *ctx, const struct tree_report *r)
{
    (void)ctx;
    char text[TREE_TEXT_MAX + 1];
    struct sbuf b = SBUF(text);
    if (r->type == TREE_TEXT) {
        sbuf_bytes(&b, r->text, r->size);
        say_stderr(&b);
    }
    return 0;
}

static int wrong_state(const struct changes *c, const char *verb, struct err *e)
{
    err_set(e, ERR_USAGE, 0, "%s %s: these changes are %s", verb, c->id, store_state_name(c->state));
    return c->state == STORE_APPLIED ? err_hint(e, "strongroom undo %s takes them back", c->id)
                                     : err_hint(e, "strongroom apply %s makes them real", c->id);
}

static int check_accepts(struct err *e)
{
    const char *why, *nearest;
    for (size_t i = 0; i < accepts.count; i++) {
        if (accept_is_good(accepts.at[i], &why, &nearest))
            continue;
        err_set(e, ERR_USAGE, 0, "apply: --accept %.80s: %s", accepts.at[i], why);
        return nearest ? err_hint(e, "did you mean %s?", nearest)
                       : err_hint(e, "wanted ALARM[:PATH], as strongroom review shows them");
    }
    return 0;
}

static int send_accepts(struct changes *c, struct err *e)
{
    int r = 0;
    for (size_t i = 0; i < accepts.count && r == 0; i++)
        r = tree_accept(&c->tree, accepts.at[i], e);
    return r;
}

/* All of it, or, when there can be no commit, nothing. */
static int commit(struct changes *c, struct sbuf *more, struct err *e)
{
    static char id[STORE_ID_SIZE];
    char number[72], made[STORE_ID_SIZE];
    struct err second = {0};
    memcpy(id, c->id, sizeof id);
    changes_close(c);
    int r = changes_open(c, id, CHANGES_READ, e);
    if (r == 0)
        r = commit_changes(c, &words_of_commit, number, made, e);
    changes_close(c);
    if (r == 0) {
        sbuf_fmt(more, "; commit %.12s (strongroom undo %s takes it back, then strongroom undo %s the files)",
                 number, made, id);
        return 0;
    }
    const struct tree_command say = {.type = TREE_UNDO};
    if (changes_open(c, id, CHANGES_WRITE, &second) == 0)
        (void)changes_say(c, &say, NULL, NULL, NULL, &second);
    changes_close(c);
    if (second.kind == ERR_NONE)
        return r;
    err_hint(e, "what was applied stays: %s", second.text);
    return r;
}

static int apply(struct changes *c, const struct change_words *w, struct sbuf *more, struct tree_totals *t,
                 struct err *e)
{
    const struct tree_command say = {.type = TREE_APPLY,
                                     .flags = conflicts | clean | (accepts.count ? TREE_ONLY_CLEAN : 0) |
                                              (all ? 0 : TREE_DECIDED)};
    static char git[] = ".git", *const own[] = {git};
    int r = c->state == STORE_APPLIED ? wrong_state(c, "apply", e) : 0;
    change_paths_inside(w->paths, w->path_count, c->meta.dir);
    change_paths_inside(excepts.at, excepts.count, c->meta.dir);
    if (r == 0 && words_of_commit.message)
        r = commit_ready(c, &words_of_commit, e);
    if (r == 0)
        r = tree_paths(&c->tree, w->paths, w->path_count, e);
    if (r == 0)
        r = tree_except(&c->tree, excepts.at, excepts.count, e);
    if (r == 0 && words_of_commit.message) /* the commit is ours to make */
        r = tree_except(&c->tree, own, 1, e);
    if (r == 0)
        r = send_accepts(c, e);
    if (r == 0)
        r = changes_say(c, &say, tell, NULL, t, e);
    put_left(&c->tree.decided, more);
    if (r == 0 && words_of_commit.message)
        r = commit(c, more, e);
    else
        sbuf_text(more, "; strongroom undo takes it back");
    return r;
}

int verb_apply(int argc, char **argv)
{
    struct change_words w;
    struct err e = {0};
    static struct changes c;
    struct tree_totals t = {0};
    char more[320];
    struct sbuf b = SBUF(more);
    if (change_words(argc, argv, apply_options, APPLY_OPTIONS, PATHS_MAX, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help(
            "apply [OPTION...] [ID] [--] [PATH...]",
            "Makes changes real, all or none: what was accepted in a review; everything, when\n"
            "nothing was decided; or what lies at or below the PATHs (as review shows them)\n"
            "and was not rejected. ID is the newest, unless given.\n",
            apply_options, APPLY_OPTIONS);
    int r = check_accepts(&e);
    if (r == 0 && words_of_commit.author && !words_of_commit.message) {
        r = err_set(&e, ERR_USAGE, 0, "apply: --author without --commit");
        err_hint(&e, "wanted --commit MESSAGE --author 'NAME <ADDRESS>'");
    }
    if (r == 0)
        r = changes_open(&c, w.id, CHANGES_WRITE, &e);
    if (r == 0) {
        r = apply(&c, &w, &b, &t, &e);
        if (r == 0)
            say_done("applied", &c, &t, more);
        changes_close(&c);
    }
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
        r = changes_say(&c, &say, tell, NULL, &t, &e);
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
