/* verb_ls: `strongroom ls` and `strongroom prune`: the changes that are kept, and the end of old ones.
 *
 * Lives in: the command. Trusts: the store. */
#include "base/json.h"
#include "base/num.h"
#include "base/utf8.h"
#include "cli/change_words.h"
#include "cli/say.h"
#include "cli/show_changes.h"
#include "cli/verbs.h"
#include "rooms/place.h"
#include "sys/fd.h"
#include "sys/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

enum {
    ROW_MAX = 6 * (2 * STORE_PATH_MAX + STORE_COMMAND_MAX) + 512,
    COMMAND_CHARS = 40,
    PADDED_MAX = 60,
    OTHER_CHARS = 30
};

struct listed {
    char id[STORE_ID_SIZE];
    enum store_state state;
    bool busy; /* somebody holds it */
    int64_t age_s;
    struct store_meta meta;
};

/* False: it went away meanwhile, or is no entry. */
static bool look(int store, const char *id, struct listed *ret)
{
    struct err e = {0};
    struct timespec now;
    FD_AUTO fd = openat(store, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || store_read_meta(fd, &ret->meta, &e) < 0 || store_get_state(fd, &ret->state) < 0)
        return false;
    memcpy(ret->id, id, STORE_ID_SIZE);
    ret->busy = flock(fd, LOCK_EX | LOCK_NB) < 0; /* given back when fd is closed */
    (void)clock_gettime(CLOCK_REALTIME, &now);    /* cannot fail */
    ret->age_s = now.tv_sec > ret->meta.started_sec ? now.tv_sec - ret->meta.started_sec : 0;
    return true;
}

/* "3m", "5h", "12d" */
static void put_age(struct sbuf *out, int64_t s)
{
    static const struct {
        int64_t seconds;
        char unit;
    } rows[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i < 3 && s < 2 * rows[i].seconds)
        i++;
    sbuf_fmt(out, "%lld%c", (long long)(s / rows[i].seconds), rows[i].unit);
}

static const char *state_of(const struct listed *l)
{
    return l->state == STORE_RUNNING && !l->busy ? "lost" : store_state_name(l->state);
}

/* Bytes of the first `most` characters of what was escaped, and how many characters these are. */
static size_t cut(const char *s, unsigned most, unsigned *ret_chars)
{
    const size_t len = strlen(s);
    size_t at = 0;
    uint32_t code;
    for (*ret_chars = 0; at < len && *ret_chars < most; ++*ret_chars) {
        const unsigned n = utf8_next(s + at, len - at, &code);
        at += n ? n : 1;
    }
    return at;
}

static unsigned width_of(const char *dir)
{
    static char text[4 * STORE_PATH_MAX];
    struct sbuf b = SBUF(text);
    unsigned chars;
    sbuf_escaped(&b, dir);
    (void)cut(text, UINT_MAX, &chars); /* only how many they are counts */
    return chars;
}

static void put_row(const struct listed *l, unsigned width, struct sbuf *out)
{
    const unsigned columns = say_columns(), used = width + OTHER_CHARS;
    const unsigned most = columns > used + COMMAND_CHARS ? columns - used : COMMAND_CHARS;
    char age[32];
    struct sbuf a = SBUF(age);
    unsigned chars = width_of(l->meta.dir);
    put_age(&a, l->age_s);
    sbuf_fmt(out, "%-8s %-9s %5s  ", l->id, state_of(l), age);
    sbuf_escaped(out, l->meta.dir);
    for (; chars < width; chars++)
        sbuf_char(out, ' ');
    const size_t n = cut(l->meta.command, most, &chars);
    sbuf_fmt(out, "  %.*s%s\n", (int)n, l->meta.command, l->meta.command[n] ? "..." : "");
}

static void put_json(struct json *j, const struct listed *l)
{
    json_open(j, NULL, '{');
    json_str(j, "id", l->id);
    json_str(j, "state", state_of(l));
    json_str(j, "dir", l->meta.dir);
    json_str(j, "at", l->meta.at);
    json_str(j, "upper", l->meta.upper);
    json_str(j, "command", l->meta.command);
    json_num(j, "started", l->meta.started_sec);
    json_num(j, "age_s", l->age_s);
    json_close(j, '}');
}

/* Characters of the longest folder, but not of one that is longer than others should be padded for. */
static unsigned widest(int store, char (*ids)[STORE_ID_SIZE], int n)
{
    static struct listed l;
    unsigned most = sizeof "workspace" - 1;
    for (int i = 0; i < n; i++) {
        const unsigned wide = look(store, ids[i], &l) ? width_of(l.meta.dir) : 0;
        most = wide > most && wide <= PADDED_MAX ? wide : most;
    }
    return most;
}

/* All entries, newest first. The memory is the process's. */
static int list_all(int *ret_store, char (**ret)[STORE_ID_SIZE], struct err *e)
{
    int store = *ret_store = store_open(e);
    if (store < 0)
        return store;
    *ret = mem_reserve((size_t)STORE_ENTRIES_MAX * STORE_ID_SIZE);
    if (!*ret)
        return err_set(e, ERR_INTERNAL, ENOMEM, "list the changes");
    return store_list(store, *ret, STORE_ENTRIES_MAX, e);
}

enum { LS_PEOPLE, LS_NAMES, LS_JSON };

int verb_ls(int argc, char **argv)
{
    static unsigned format;
    static const struct change_option options[] = {
        {"name-only", NULL, "IDs, one a line", &format, LS_NAMES, NULL, NULL},
        {"json", NULL, "everything, for programs", &format, LS_JSON, NULL, NULL},
    };
    static struct listed l;
    static char row[ROW_MAX];
    struct change_words w;
    struct err e = {0};
    char(*ids)[STORE_ID_SIZE];
    if (change_words(argc, argv, options, 2, 0, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help("ls [--json|--name-only]", "Lists the changes that are kept, the newest first.\n",
                           options, 2);
    if (w.id) {
        err_set(&e, ERR_USAGE, 0, "ls: \"%.60s\": takes no ID", w.id);
        err_hint(&e, "strongroom review shows what a room changed");
        return say_error(&e);
    }
    FD_AUTO store = -1;
    int n = list_all(&store, &ids, &e), status = 0, told = 0;
    if (n < 0)
        return say_error(&e);
    struct sbuf b = SBUF(row);
    if (format == LS_JSON)
        sbuf_char(&b, '[');
    const unsigned width = format == LS_PEOPLE ? widest(store, ids, n) : 0;
    for (int i = 0; i < n && status == 0; i++) {
        struct json j = {.out = &b};
        if (!look(store, ids[i], &l))
            continue;
        if (format == LS_JSON && told)
            sbuf_char(&b, ',');
        if (format == LS_PEOPLE && !told)
            sbuf_fmt(&b, "ID       state       age  %-*s  command\n", (int)width, "workspace");
        if (format == LS_JSON)
            put_json(&j, &l);
        else if (format == LS_NAMES)
            sbuf_fmt(&b, "%s\n", l.id);
        else
            put_row(&l, width, &b);
        told++;
        status = say_stdout(&b);
        b = SBUF(row);
    }
    if (format == LS_JSON)
        sbuf_text(&b, "]\n");
    return status ? status : say_stdout(&b);
}

/* --- prune ---------------------------------------------------------------------------------------------- */

static bool is_old(const struct listed *l, uint64_t older_ms, bool pending)
{
    if (l->busy || l->state == STORE_APPLYING || l->state == STORE_UNDOING)
        return false; /* the latter: half done, and only what is kept can take it back */
    if (l->state == STORE_RUNNING)
        return true; /* its room was killed before anything was kept */
    if (l->state != STORE_APPLIED && !pending)
        return false;
    return (uint64_t)l->age_s * 1000 >= older_ms;
}

static int forget(const char *id, bool only_say, struct err *e)
{
    static struct changes c;
    char text[64];
    struct sbuf b = SBUF(text);
    int r = only_say ? 0 : changes_open(&c, id, CHANGES_REMOVE, e);
    if (r == 0 && !only_say)
        r = changes_discard(&c, e);
    if (r < 0)
        return say_error(e);
    sbuf_fmt(&b, "%s\n", id);
    return say_stdout(&b);
}

int verb_prune(int argc, char **argv)
{
    static unsigned pending, only_say;
    static const char *older = "7d";
    static const struct change_option options[] = {
        {"older", "TIME", "only what is older than TIME [7d]", NULL, 0, &older, NULL},
        {"pending", NULL, "what nobody decided about, too", &pending, 1, NULL, NULL},
        {"dry-run", NULL, "only say what would go", &only_say, 1, NULL, NULL},
    };
    static struct listed l;
    struct change_words w;
    struct err e = {0};
    uint64_t ms = 0;
    char(*ids)[STORE_ID_SIZE];
    if (change_words(argc, argv, options, 3, 0, &w, &e) < 0)
        return say_error(&e);
    if (w.help)
        return change_help(
            "prune [--older TIME] [--pending] [--dry-run]",
            "Forgets changes that were applied (they can then not be undone), and what killed\n"
            "rooms left. Prints the IDs.\n",
            options, 3);
    if (w.id || num_duration(older, &ms) < 0) {
        err_set(&e, ERR_USAGE, 0, "prune: \"%.60s\": %s", w.id ? w.id : older,
                w.id ? "takes no ID" : "not a time");
        err_hint(&e, w.id ? "strongroom discard %s" : "wanted a time such as 12h or 30d", w.id);
        return say_error(&e);
    }
    if (!only_say)
        (void)rooms_list(NULL, 0, NULL); /* each room's start does the same: what stays now goes then */
    FD_AUTO store = -1;
    int n = list_all(&store, &ids, &e), status = 0;
    if (n < 0)
        return say_error(&e);
    for (int i = 0; i < n; i++) {
        if (!look(store, ids[i], &l) || !is_old(&l, ms, pending))
            continue;
        int r = forget(l.id, only_say, &e);
        status = r ? r : status;
    }
    return status;
}
