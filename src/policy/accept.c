/* accept: see accept.h; and the setting of that name.
 *
 * Lives in: any process. Trusts: nothing of a word. Must not: look at a file system. */
#include "policy/accept.h"
#include "policy/alarm_table.h"
#include "policy/inner.h"
#include "policy/nearest.h"

#include <string.h>

static const char *const names[] = {
#define NAME(id, name, why) name,
    ALARM_TABLE(NAME)
#undef NAME
};
enum { NAMES = sizeof names / sizeof *names };

/* About the whole, so that no path belongs to it. */
static const char mass[] = "mass-deletion";

bool accept_names(const char *word, const char *alarm, const char **ret_path)
{
    const size_t n = strlen(alarm);

    if (strncmp(word, alarm, n) != 0 || (word[n] != '\0' && word[n] != ':'))
        return false;
    *ret_path = word[n] == ':' ? word + n + 1 : "";
    return true;
}

static bool good_path(const char *path)
{
    if (path[0] == '\0' || path[0] == '/' || strlen(path) >= POLICY_PATH_MAX)
        return false;
    for (const char *at = path;; at = strchr(at, '/') + 1) {
        const size_t n = strcspn(at, "/");
        if ((n == 0 && at[n]) || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        if (!strchr(at, '/'))
            return true;
    }
}

bool accept_is_good(const char *word, const char **ret_why, const char **ret_nearest)
{
    char given[NEAREST_WORD_MAX + 1] = "";
    const size_t len = strcspn(word, ":");
    struct nearest n = {.given = given};
    const char *path;

    *ret_nearest = NULL;
    for (size_t i = 0; i < NAMES; i++) {
        if (!accept_names(word, names[i], &path))
            continue;
        *ret_why = strcmp(names[i], mass) == 0 ? "it is about the whole and has no path"
                                               : "the path is not one that strongroom review shows";
        return word[len] == '\0' || (strcmp(names[i], mass) != 0 && good_path(path));
    }
    if (len < sizeof given)
        memcpy(given, word, len);
    for (size_t i = 0; i < NAMES; i++)
        nearest_offer(&n, names[i]);
    *ret_why = "there is no such alarm";
    *ret_nearest = n.best;
    return false;
}

SET_FUNCTION(set_accept)
{
    const struct origin *o = &p->arena->now;
    struct policy_accept a = {.source = o->source, .line = o->line, .where = o->where};
    const char *why, *nearest;

    (void)source;
    if (!accept_is_good(value, &why, &nearest)) {
        value_bad(p, f, value, e, "%s", why);
        return nearest ? err_hint(e, "did you mean %s?", nearest)
                       : err_hint(e, "wanted ALARM[:PATH], as git-hook or build-file:Makefile");
    }
    if (p->accept_count == POLICY_ACCEPTS_MAX)
        return field_bad(p, f, e, "more than %d", POLICY_ACCEPTS_MAX);
    a.word = arena_text(p, value, strlen(value));
    if (!a.word)
        return arena_full(p, e);
    p->accepts[p->accept_count++] = a;
    return 0;
}

SHOW_FUNCTION(show_accept)
{
    if (p->accept_count)
        sbuf_fmt(out, "%s:\n", f->name);
    for (size_t i = 0; i < p->accept_count; i++) {
        const struct policy_accept *a = &p->accepts[i];
        const struct origin o = {.where = a->where, .line = a->line, .source = a->source};
        show_item(out, a->word, &o, explain);
    }
}
