/* step_changes: see step_changes.h.
 *
 * Theory of operation. strongroom-tree numbers what can be decided about in one go (a change, or a folder that comes or
 * goes whole) in the order of the review. We stand at one number, show it, ask, and tell the decision, which is
 * kept at once; so nothing is lost with the terminal, and what is shown and what is decided have one number. A folder
 * can be opened: then its own numbering counts, and a small stack remembers where we were. No key that was
 * pressed before a question stood on the screen answers it.
 *
 * Lives in: the command. Trusts: who sits at the terminal; nothing of names and texts, which only
 * show_text() prints. */
#include "cli/step_changes.h"

#include <errno.h>
#include <string.h>

enum { WINDOW = 16, DEPTH_MAX = 32, KEY_END = 4 };

struct place {
    uint64_t opened; /* the folder's row plus 1; 0: the top */
    uint64_t at, count;
};

struct step {
    struct changes *changes;
    struct show *show;
    char *const *paths;
    size_t path_count;
    uint32_t flags; /* TREE_ALL */
    struct place place[DEPTH_MAX];
    size_t depth;        /* of the place that we are in */
    uint64_t first, got; /* of the window */
    bool fresh;          /* the window is as things are */
    struct err *e;
};

static struct tree_report window[WINDOW];

static struct place *here(struct step *s)
{
    return &s->place[s->depth];
}

static int take_row(void *ctx, const struct tree_report *r)
{
    struct step *s = ctx;
    if (r->type == TREE_ROW && s->got < WINDOW)
        window[s->got++] = *r;
    return 0;
}

/* Item `at` of the place we are in. NULL: there is none, or s->e says why. */
static const struct tree_report *item_at(struct step *s, uint64_t at)
{
    struct tree_totals t;
    if (!s->fresh || at < s->first || at >= s->first + s->got) {
        const struct tree_command c = {.type = TREE_ROWS,
                                       .flags = TREE_FOLDED | s->flags,
                                       .what = (uint32_t)here(s)->opened,
                                       .count = WINDOW,
                                       .row = at};
        s->first = at;
        s->got = 0;
        if (tree_paths(&s->changes->tree, s->paths, s->path_count, s->e) < 0 ||
            changes_say(s->changes, &c, take_row, s, &t, s->e) < 0)
            return NULL;
        here(s)->count = t.rows;
        s->fresh = true;
    }
    return at - s->first < s->got ? &window[at - s->first] : NULL;
}

/* The first one that nothing is said about, from `at` on and then from the start. False: there is none. */
static bool find_open(struct step *s, uint64_t at)
{
    for (uint64_t round = 0; round < 2; round++, at = 0) {
        const struct tree_report *r;
        for (; (r = item_at(s, at)); at++) {
            if (r->decision == TREE_UNDECIDED) {
                here(s)->at = at;
                return true;
            }
        }
        if (s->e->kind != ERR_NONE)
            return false;
    }
    return false;
}

/* Our own words, by the same way as those of the tree. */
static void say(struct step *s, const struct sbuf *b)
{
    static struct tree_report r;
    r.type = TREE_TEXT;
    r.size = (uint32_t)(b->len < sizeof r.text ? b->len : sizeof r.text);
    memcpy(r.text, b->text, r.size);
    (void)show_text(s->show, &r);
}

static const char *verb_of(const struct tree_report *r)
{
    static const char *const words[] = {"", "deletion", "modification", "addition"};
    return r->git ? "work of git" : words[r->kind < TREE_KIND_COUNT ? r->kind : 0];
}

static const char *const said_words[] = {"", ", accepted", ", rejected", ", decided"};

static void show_item(struct step *s, const struct tree_report *r)
{
    char text[1024];
    struct sbuf b = SBUF(text);
    s->show->row = 0;
    s->show->stopped = false;
    sbuf_fmt(&b, "\n%s[%llu/%llu] %s", s->show->colours ? "\033[1m" : "", (unsigned long long)here(s)->at + 1,
             (unsigned long long)here(s)->count, verb_of(r));
    if (r->inside && !r->git)
        sbuf_fmt(&b, " of a folder with %llu %s in it", (unsigned long long)r->inside,
                 r->inside == 1 ? "entry" : "entries");
    sbuf_fmt(&b, "%s%s%s\n", said_words[r->decision < 4 ? r->decision : 0],
             r->conflict ? ", CONFLICT: the host changed it too" : "", s->show->colours ? "\033[0m" : "");
    if (r->alarm) {
        sbuf_fmt(&b, "%s!%s ", s->show->colours ? "\033[31m" : "", s->show->colours ? "\033[0m" : "");
        sbuf_bytes(&b, r->hint, strnlen(r->hint, sizeof r->hint));
        sbuf_char(&b, '\n');
    }
    say(s, &b);
    const struct tree_command c = {.type = TREE_DIFF,
                                   .row = r->row,
                                   .flags = (r->git      ? TREE_GIT
                                             : r->inside ? TREE_FOLDED
                                                         : 0) |
                                            (s->show->colours ? TREE_COLOUR : 0)};
    if (r->git && tree_paths(&s->changes->tree, s->paths, s->path_count, s->e) < 0)
        return;
    (void)changes_say(s->changes, &c, show_text, s->show, NULL, s->e); /* s->e tells */
}

/* Keeps a decision; r NULL: about everything that is open. */
static bool decide(struct step *s, const struct tree_report *r, enum tree_decision what, uint32_t flags)
{
    const struct tree_command c = {.type = TREE_DECIDE,
                                   .what = what,
                                   .row = r ? r->row : 0,
                                   .flags = !r       ? TREE_REST | flags
                                            : r->git ? TREE_GIT
                                                     : TREE_ONE | (r->inside ? TREE_FOLDED : 0)};
    if (changes_hold(s->changes, true, s->e) < 0)
        return false;
    bool done = ((r && !r->git) || tree_paths(&s->changes->tree, s->paths, s->path_count, s->e) == 0) &&
                changes_say(s->changes, &c, NULL, NULL, NULL, s->e) == 0;
    struct err second = {0};
    if (changes_hold(s->changes, false, done ? s->e : &second) < 0)
        done = false;
    s->fresh = false;
    return done;
}

static void say_help(struct step *s)
{
    static char text[] = "\n"
                         "  a  accept it             A  accept all that is open and raises no alarm\n"
                         "  r  reject it             R  reject all that is open\n"
                         "  n  go on, undecided      p  go back\n"
                         "  u  undecide it           d  show it again\n"
                         "  o  open it: one by one   c  close it\n"
                         "  q  leave; what was decided is kept\n";
    say(s, &(struct sbuf){.text = text, .size = sizeof text, .len = sizeof text - 1});
}

static char ask(struct step *s, const char *what, const char *more, const char *keys)
{
    char text[160];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, "%s%s [%s]? ", what, more, keys);
    return show_ask(s->show, b.text);
}

/* To the next open one; out of a folder where there is none left in it. False: all is decided. */
static bool advance(struct step *s, uint64_t from)
{
    for (;;) {
        if (find_open(s, from))
            return true;
        if (s->e->kind != ERR_NONE || s->depth == 0)
            return false;
        s->depth--;
        s->fresh = false;
        from = here(s)->at;
    }
}

static bool decide_rest(struct step *s, char key)
{
    const bool accepts = key == 'A';
    if (ask(s, accepts ? "Accept all that is open and raises no alarm" : "Reject all that is open",
            s->path_count ? ", below the paths" : "", "y/n") != 'y')
        return true;
    s->depth = 0;
    return decide(s, NULL, accepts ? TREE_ACCEPTED : TREE_REJECTED, accepts ? TREE_ONLY_CLEAN : 0);
}

/* By one to either side, whatever was said about it. */
static void move(struct step *s, bool back)
{
    while (!back && s->depth && here(s)->at + 1 >= here(s)->count) {
        s->depth--; /* behind the last one in a folder comes what comes behind the folder */
        s->fresh = false;
        if (!item_at(s, here(s)->at))
            return;
    }
    struct place *p = here(s);
    if (back)
        p->at -= p->at > 0;
    else if (p->at + 1 < p->count)
        p->at++;
}

/* What one key does. False: it is over, or s->e says why. *again: the question only, not the change once more. */
static bool act(struct step *s, const struct tree_report *r, char key, bool *again)
{
    struct place *p = here(s);
    const enum tree_decision said = key == 'a' ? TREE_ACCEPTED : key == 'r' ? TREE_REJECTED : TREE_UNDECIDED;
    switch (key) {
    case 'a':
    case 'r':
        return decide(s, r, said, 0) && advance(s, p->at + 1);
    case 'u':
        return decide(s, r, said, 0);
    case 'A':
    case 'R':
        return decide_rest(s, key) && advance(s, 0);
    case 'n':
    case ' ':
    case '\n':
    case '\r':
        if (s->depth == 0 && p->at + 1 >= p->count)
            return false;
        move(s, false);
        return s->e->kind == ERR_NONE;
    case 'p':
        move(s, true);
        return true;
    case 'o':
        if (r->inside && s->depth + 1 < DEPTH_MAX) {
            s->place[++s->depth] = (struct place){.opened = r->git ? TREE_SUM : r->row + 1};
            s->fresh = false;
        }
        return true;
    case 'c':
        s->depth -= s->depth > 0;
        s->fresh = false;
        return true;
    case 'd':
        return true;
    case 'q':
    case KEY_END:
    case 3: /* ^C */
    case 0:
        return false;
    default:
        *again = true;
        say_help(s);
        return true;
    }
}

static int finish(struct step *s)
{
    char text[256];
    struct sbuf b = SBUF(text);
    const struct tree_decided *d = &s->changes->tree.decided;
    const struct tree_command count = {.type = TREE_ROWS, .flags = TREE_FOLDED | s->flags};
    if (changes_say(s->changes, &count, NULL, NULL, NULL, s->e) < 0)
        return -EIO;
    s->show->row = 0;
    s->show->stopped = false;
    if (d->accepted + d->rejected == 0)
        return 0;
    sbuf_fmt(&b, "\n%llu accepted, %llu rejected, %llu undecided\n", (unsigned long long)d->accepted,
             (unsigned long long)d->rejected, (unsigned long long)d->undecided);
    say(s, &b);
    return d->accepted && ask(s, "Apply what is accepted", " now", "y/n") == 'y';
}

int step_changes(struct changes *c, struct show *show, char *const *paths, uint32_t flags, struct err *e)
{
    static struct step s;
    s = (struct step){.changes = c, .show = show, .paths = paths, .flags = flags, .e = e};
    while (paths && paths[s.path_count])
        s.path_count++;
    bool going = find_open(&s, 0), again = false;
    while (going && e->kind == ERR_NONE) {
        const struct tree_report *r = item_at(&s, here(&s)->at);
        if (!r)
            break;
        if (!again)
            show_item(&s, r);
        again = false;
        if (e->kind == ERR_NONE)
            going = act(
                &s, r,
                ask(&s, "Accept this ", verb_of(r), r->inside ? "a,r,n,p,o,d,A,R,q,?" : "a,r,n,p,d,A,R,q,?"),
                &again);
    }
    return e->kind != ERR_NONE ? -EIO : finish(&s);
}
