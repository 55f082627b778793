/* settle: see settle.h.
 *
 * Lives in: the command, after the room. Trusts: the answer of who sits at the terminal. */
#include "cli/settle.h"
#include "cli/say.h"
#include "cli/step_changes.h"
#include "sys/fd.h"

#include <string.h>
#include <unistd.h>

/* `p`: whose accepted alarms count; NULL: none. */
static int apply(struct result_workspace *w, const struct policy *p, unsigned flags, struct err *e)
{
    static struct changes c;
    const struct tree_command say = {.type = TREE_APPLY, .flags = flags};
    int r = changes_open(&c, w->id, CHANGES_WRITE, e);
    for (size_t i = 0; r == 0 && p && i < p->accept_count; i++)
        r = tree_accept(&c.tree, p->accepts[i].word, e);
    if (r == 0)
        r = changes_say(&c, &say, NULL, NULL, NULL, e);
    changes_close(&c);
    if (r == 0)
        w->state = STORE_APPLIED;
    return r;
}

static void not_real(struct result_workspace *w, const char *why)
{
    struct sbuf b = SBUF(w->failed);
    sbuf_text(&b, why);
}

int settle_unasked(const struct policy *p, struct result *result)
{
    int status = 0;
    const bool clean = p->apply == APPLY_CLEAN, applies = clean || p->apply == APPLY_ALWAYS;
    for (unsigned i = 0; i < result->workspace_count; i++) {
        struct result_workspace *w = &result->workspaces[i];
        struct err e = {0};
        if (w->lost)
            status = err_exit_status(ERR_IO);
        if (!applies || !w->id[0] || w->failed[0])
            continue;
        if (result->outcome == OUTCOME_GUARD)
            not_real(w, "not applied: the guard of deletions ended the room");
        else if (clean && result->exit_status != 0)
            not_real(w, "not applied: the program failed");
        else if (apply(w, p, clean ? TREE_ONLY_CLEAN : 0, &e) < 0)
            not_real(w, e.text);
        if (w->failed[0])
            status = err_exit_status(ERR_IO);
    }
    return status;
}

static void put_workspace(const struct result_workspace *w, struct sbuf *b)
{
    sbuf_text(b, "strongroom: workspace ");
    sbuf_escaped(b, w->dir);
    sbuf_text(b, ": ");
    if (w->id[0])
        show_totals(&w->totals, b);
    else if (!w->failed[0])
        sbuf_text(b, "nothing changed");
    if (w->failed[0])
        sbuf_fmt(b, "%s%s", w->id[0] ? "; " : "", w->failed);
    else if (w->state == STORE_APPLIED)
        sbuf_fmt(b, "; applied as %s", w->id);
    else if (w->id[0])
        sbuf_fmt(b, "; kept as %s", w->id);
    sbuf_char(b, '\n');
}

/* The answer's first letter, lower case; 0: none will come. */
static char ask(const char *question)
{
    char answer[64];
    struct sbuf b = {.text = (char *)(uintptr_t)question, .len = strlen(question)};
    say_stderr(&b);
    ssize_t n = read(0, answer, sizeof answer);
    if (n <= 0)
        return 0;
    return answer[0] >= 'A' && answer[0] <= 'Z' ? (char)(answer[0] - 'A' + 'a') : answer[0];
}

/* Shows what there is; with `asks` goes through it. 1: to be applied now. */
static int review(const struct result_workspace *w, bool asks, struct err *e)
{
    static struct changes c;
    struct show s;
    show_begin(&s, 2, true);
    const struct tree_command say = {
        .type = TREE_SHOW, .what = TREE_LIST, .flags = TREE_COLOUR, .count = s.width};
    int r = changes_open(&c, w->id, CHANGES_READ, e);
    if (r == 0 && !asks)
        r = changes_say(&c, &say, show_text, &s, NULL, e);
    if (r == 0 && asks)
        r = step_changes(&c, &s, NULL, 0, e);
    changes_close(&c);
    return r;
}

static int discard(struct result_workspace *w, struct err *e)
{
    static struct changes c;
    int r = changes_open(&c, w->id, CHANGES_REMOVE, e);
    return r < 0 ? r : changes_discard(&c, e);
}

static void told(const char *fmt, const char *id)
{
    char text[128];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, "strongroom: %s %s\n", fmt, id);
    say_stderr(&b);
}

/* Until there is a decision. */
static void decide(struct result_workspace *w)
{
    for (;;) {
        struct err e = {0};
        int r = 0;
        switch (ask("strongroom: [a]pply, [r]eview, [k]eep for later, [d]iscard? ")) {
        case 'r':
            r = review(w, true, &e);
            if (r != 1)
                break;
            __attribute__((fallthrough));
        case 'a':
            r = apply(w, NULL, TREE_DECIDED, &e);
            if (r == 0) {
                told("applied; take it back with: strongroom undo", w->id);
                return;
            }
            break;
        case 'd':
            r = discard(w, &e);
            if (r == 0) {
                told("discarded", w->id);
                return;
            }
            break;
        case 'k':
        case 0:
            told("later: strongroom review, apply or discard", w->id);
            return;
        default:
            break;
        }
        if (r < 0)
            (void)say_error(&e);
    }
}

void settle_tell(const struct policy *p, struct result *result, bool quiet)
{
    char text[2 * ERR_TEXT_MAX + STORE_PATH_MAX * 4];
    const bool asks = p->apply == APPLY_ASK && isatty(0) && isatty(2);
    for (unsigned i = 0; i < result->workspace_count; i++) {
        struct result_workspace *w = &result->workspaces[i];
        struct err e = {0};
        struct sbuf b = SBUF(text);
        const bool open = w->id[0] && w->state == STORE_PENDING;
        if (!w->dir || w->fleeting || (!result->has_room && !w->failed[0]) ||
            (quiet && !w->failed[0] && !(open && asks)))
            continue;
        put_workspace(w, &b);
        if (open && !(asks && !w->failed[0]))
            sbuf_fmt(&b, "strongroom: hint: strongroom review %s; then apply or discard it\n", w->id);
        say_stderr(&b);
        if (!asks || !open || w->failed[0])
            continue;
        if (review(w, false, &e) < 0)
            (void)say_error(&e);
        decide(w);
    }
}
