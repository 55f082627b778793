/* verb_rooms: what is done with rooms that live: ps, stats, pause, resume, renew, kill, rm.
 *
 * Lives in: the command. Trusts: nothing of argv; what a room's keeper says is shown escaped. */
#include "base/json.h"
#include "base/num.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "rooms/client.h"
#include "rooms/place.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define OUTPUT_MAX (4u << 20)

enum act { ACT_PS, ACT_STATS, ACT_PAUSE, ACT_RESUME, ACT_RENEW, ACT_KILL, ACT_RM };

static const struct row {
    const char *verb;
    enum act act;
    const char *help;
} rows[] = {
    {"ps", ACT_PS,
     "Usage: strongroom ps [-q] [--json]\nLists the rooms of this user that have a name and live.\n"
     "  -q, --quiet  names only\n  -a, --all    accepted for habit's sake: rooms that ended leave nothing\n"},
    {"stats", ACT_STATS, "Usage: strongroom stats [--json] [ROOM...]\nShows what rooms use now.\n"},
    {"pause", ACT_PAUSE, "Usage: strongroom pause ROOM...\nStops every process of the rooms.\n"},
    {"resume", ACT_RESUME, "Usage: strongroom resume ROOM...\nLets paused rooms go on.\n"},
    {"renew", ACT_RENEW,
     "Usage: strongroom renew ROOM TIME\nThe room may live TIME (10m, 2h) from now on.\n"},
    {"kill", ACT_KILL,
     "Usage: strongroom kill [-s SIGNAL] ROOM...\nEnds the rooms; with -s, sends SIGNAL to their "
     "programs.\n"},
    {"rm", ACT_RM,
     "Usage: strongroom rm ROOM...\nEnds the rooms, and waits until nothing of them is left.\n"
     "  -f, --force  accepted for habit's sake: rooms are ended however busy they are\n"},
};

struct order {
    const struct row *row;
    char **rooms;
    int count;
    bool json, quiet;
    int signal; /* 0: none named */
};

/* --- words ---------------------------------------------------------------------------------------------- */

static const struct row *row_of(const char *verb)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].verb, verb) == 0)
            return &rows[i];
    }
    return NULL;
}

static bool is_word(const char *s, const char *a, const char *b)
{
    return strcmp(s, a) == 0 || (b && strcmp(s, b) == 0);
}

/* "-s TERM", "--signal TERM", "--signal=TERM", "-9", "-KILL"; NULL: the word is about no signal. */
static const char *signal_word(int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    if (is_word(word, "-s", "--signal"))
        return *at + 1 < argc ? argv[++*at] : "";
    if (strncmp(word, "--signal=", 9) == 0)
        return word + 9;
    return signal_number(word + 1) ? word + 1 : NULL;
}

/* 1: help was asked for. */
static int parse(struct order *o, int argc, char **argv, struct err *e)
{
    const enum act act = o->row->act;
    const bool lists = act == ACT_PS || act == ACT_STATS;
    const char *word;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (is_word(argv[at], "-h", "--help"))
            return 1;
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (lists && is_word(argv[at], "--json", NULL)) {
            o->json = true;
        } else if (act == ACT_PS && is_word(argv[at], "-q", "--quiet")) {
            o->quiet = true;
        } else if ((act == ACT_PS && is_word(argv[at], "-a", "--all")) ||
                   (act == ACT_RM && is_word(argv[at], "-f", "--force"))) {
            continue; /* as it always is */
        } else if (act == ACT_KILL && (word = signal_word(argc, argv, &at))) {
            o->signal = signal_number(word);
            if (o->signal == 0)
                return err_set(e, ERR_USAGE, 0, "kill: --signal: \"%.20s\": no signal", word);
        } else {
            err_set(e, ERR_USAGE, 0, "%s: unknown option %.60s", o->row->verb, argv[at]);
            return err_hint(e, "strongroom %s --help tells more", o->row->verb);
        }
    }
    o->rooms = argv + at;
    o->count = argc - at;
    if (act == ACT_PS && o->count > 0)
        return err_set(e, ERR_USAGE, 0, "%s: \"%.60s\": names no rooms", o->row->verb, o->rooms[0]);
    if ((act == ACT_RENEW && o->count != 2) || (!lists && o->count == 0)) {
        err_set(e, ERR_USAGE, 0, "%s: %s", o->row->verb,
                act == ACT_RENEW ? "wanted a room and a time" : "no room named");
        return err_hint(e, "strongroom %s --help tells more", o->row->verb);
    }
    return 0;
}

/* --- asking --------------------------------------------------------------------------------------------- */

/* One request to one room. ERR_NOT_FOUND in e: it has gone. */
static int ask(const char *name, enum rooms_frame_type type, int value, const char *text, const char *what,
               struct rooms_frame *ret, struct err *e)
{
    char about[128];
    struct sbuf b = SBUF(about);
    FD_AUTO sock = rooms_connect(name, e);
    int r = sock < 0 ? sock : rooms_call(sock, type, value, text, ret, e);
    sbuf_fmt(&b, "%s %.64s", what, name);
    return r == 0 && ret->type == ROOMS_REFUSED ? rooms_refused(ret, about, e) : r;
}

/* A room that began under another version hears signals as every program does: asked, then told. */
static int end_foreign(const char *name, struct err *e)
{
    enum { ASKED_MS = 1000, TOLD_MS = ROOMS_PATIENCE_MS };
    static const int patience[] = {ASKED_MS, TOLD_MS};
    FD_AUTO fd = rooms_supervisor(name, e);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (fd < 0)
        return fd;
    for (size_t i = 0; i < sizeof patience / sizeof *patience; i++) {
        if (kernel_pidfd_send_signal(fd, SIGTERM) < 0 && errno != ESRCH)
            return err_set(e, ERR_ROOM, errno, "end the room %.64s", name);
        if (poll(&p, 1, patience[i]) == 1)
            return 0;
    }
    return err_set(e, ERR_ROOM, ETIMEDOUT, "end the room %.64s", name);
}

/* Ends it and waits: the connection closes when it has ended. */
static int end_room(const char *name, struct err *e)
{
    static struct rooms_frame f;
    FD_AUTO sock = rooms_connect(name, e);
    if (sock < 0)
        return sock;
    /* First: a keeper that does not hear us, or speaks another language, closes the connection, too. */
    int r = rooms_call(sock, ROOMS_STATUS, 0, "", &f, e);
    if (r == -EPROTO)
        return end_foreign(name, e);
    if (r < 0)
        return r;
    rooms_frame_fill(&f, ROOMS_END, 0, "");
    r = fd_frame_send(sock, &f, sizeof f, NULL, 0, 0);
    if (r == 0)
        r = fd_frame_recv(sock, &f, sizeof f, NULL, 0, 0);
    if (r == -EAGAIN)
        return err_set(e, ERR_ROOM, ETIMEDOUT, "end the room %.64s", name);
    return 0;
}

/* --- showing -------------------------------------------------------------------------------------------- */

/* The value of a line "KEY VALUE", "" when it is not there. */
static const char *value_of(char *const *lines, const char *key)
{
    const size_t len = strlen(key);
    for (size_t i = 0; lines[i]; i++) {
        if (strncmp(lines[i], key, len) == 0 && (lines[i][len] == ' ' || lines[i][len] == '\0'))
            return lines[i] + len + (lines[i][len] == ' ');
    }
    return "";
}

static const char *time_text(const char *ms, char text[NUM_TEXT_MAX])
{
    uint64_t v;
    if (num_u64(ms, &v) < 0)
        return "-";
    v = v < 10000 ? v : v < 3600000 ? v / 1000 * 1000 : v / 60000 * 60000;
    return num_duration_text(v, text);
}

static const char *size_text(const char *bytes, char text[NUM_TEXT_MAX])
{
    uint64_t v;
    if (num_u64(bytes, &v) < 0)
        return "-";
    return num_size_text(v < 1 << 20 ? v & ~1023ull : v & ~((1ull << 20) - 1), text);
}

static const char *or_dash(const char *s)
{
    return s[0] ? s : "-";
}

enum { PS_OTHERS = 78, PS_COMMAND = 40 }; /* columns: of the others, and at least of the command */

static void put_row(const struct order *o, char *const *l, struct sbuf *out)
{
    char a[NUM_TEXT_MAX], b[NUM_TEXT_MAX], c[NUM_TEXT_MAX], d[NUM_TEXT_MAX];
    if (o->quiet) {
        sbuf_fmt(out, "%s\n", value_of(l, "name"));
    } else if (o->row->act == ACT_PS) {
        const unsigned columns = say_columns();
        sbuf_fmt(out, "%-20s %-8s %7s %7s %9s %-21s %.*s\n", value_of(l, "name"), value_of(l, "state"),
                 time_text(value_of(l, "age-ms"), a), time_text(value_of(l, "left-ms"), b),
                 or_dash(value_of(l, "processes")), or_dash(value_of(l, "published")),
                 columns > PS_OTHERS + PS_COMMAND ? (int)(columns - PS_OTHERS) : PS_COMMAND,
                 or_dash(value_of(l, "command")));
    } else {
        uint64_t us = 0;
        (void)num_u64(value_of(l, "cpu-us"), &us); /* then none is shown */
        sbuf_fmt(out, "%-20s %9s %9s %9s %9s %5s/%-5s\n", value_of(l, "name"),
                 num_duration_text(us / 1000, a), size_text(value_of(l, "memory"), b),
                 size_text(value_of(l, "memory-peak"), c), size_text(value_of(l, "limit-memory"), d),
                 or_dash(value_of(l, "processes")), or_dash(value_of(l, "limit-pids")));
    }
}

static void put_json(char *const *lines, struct json *j)
{
    json_open(j, NULL, '{');
    for (size_t i = 0; lines[i]; i++) {
        char *value = strchr(lines[i], ' ');
        uint64_t n;
        if (value)
            *value++ = '\0';
        for (char *p = lines[i]; *p; p++)
            *p = *p == '-' ? '_' : *p;
        const bool is_text =
            strcmp(lines[i], "name") == 0 || strcmp(lines[i], "id") == 0 || strcmp(lines[i], "command") == 0;
        if (!is_text && value && num_u64(value, &n) == 0)
            json_unum(j, lines[i], n);
        else
            json_str(j, lines[i], value ? value : "");
    }
    json_close(j, '}');
}

static size_t split(char *text, char **ret, size_t max)
{
    size_t n = 0;
    for (char *p = text; *p && n < max;) {
        ret[n++] = p;
        p += strcspn(p, "\n");
        if (*p)
            *p++ = '\0';
    }
    ret[n] = NULL;
    return n;
}

static void put_head(const struct order *o, struct sbuf *out)
{
    if (!o->quiet && o->row->act == ACT_PS)
        sbuf_fmt(out, "%-20s %-8s %7s %7s %9s %-21s %s\n", "NAME", "STATE", "AGE", "LEFT", "PROCESSES",
                 "PORTS", "COMMAND");
    else if (!o->quiet)
        sbuf_fmt(out, "%-20s %9s %9s %9s %9s %11s\n", "NAME", "CPU", "MEMORY", "PEAK", "LIMIT", "PROCESSES");
}

/* What is known of a room that began under another version. */
static void foreign_text(const char *name, char ret[ROOMS_TEXT_MAX + 1])
{
    struct sbuf b = {.text = ret, .size = ROOMS_TEXT_MAX + 1};
    sbuf_fmt(&b, "name %s\nstate foreign\ncommand (of another version of strongroom)\n", name);
}

static int show(const struct order *o, char (*names)[POLICY_NAME_MAX], int count, struct err *e)
{
    static struct rooms_frame f;
    char text[ROOMS_TEXT_MAX + 1], *lines[64];
    char *all = mem_reserve(OUTPUT_MAX);
    struct sbuf b = {.text = all, .size = OUTPUT_MAX};
    struct json j = {.out = &b, .pretty = true};

    if (!all)
        return err_set(e, ERR_INTERNAL, ENOMEM, "list the rooms");
    if (o->json)
        json_open(&j, NULL, '[');
    else
        put_head(o, &b);
    for (int i = 0; i < count; i++) {
        struct err gone = {0};
        int r = ask(names[i], ROOMS_STATUS, 0, "", "look at", &f, &gone);
        const bool foreign = r == -EPROTO && o->row->act == ACT_PS;
        if (r < 0 && !foreign && o->count == 0)
            continue; /* it ended meanwhile, or can tell nothing */
        if (r < 0 && !foreign) {
            *e = gone;
            return r;
        }
        if (r == 0)
            rooms_frame_text(&f, text);
        else
            foreign_text(names[i], text);
        (void)split(text, lines, sizeof lines / sizeof *lines - 1);
        if (o->json)
            put_json(lines, &j);
        else
            put_row(o, lines, &b);
    }
    if (o->json) {
        json_close(&j, ']');
        sbuf_char(&b, '\n');
    }
    return say_stdout(&b);
}

static int list(const struct order *o, struct err *e)
{
    char(*names)[POLICY_NAME_MAX] = mem_reserve(sizeof *names * ROOMS_LIST_MAX);
    int n = names ? 0 : -ENOMEM;
    if (n == 0 && o->count > 0) {
        for (; n < o->count && n < ROOMS_LIST_MAX; n++) {
            struct sbuf b = {.text = names[n], .size = POLICY_NAME_MAX};
            sbuf_text(&b, o->rooms[n]);
        }
    } else if (n == 0) {
        n = rooms_list(names, ROOMS_LIST_MAX, NULL);
    }
    return n < 0 ? err_set(e, ERR_INTERNAL, -n, "list the rooms") : show(o, names, n, e);
}

/* --- doing ---------------------------------------------------------------------------------------------- */

static int renew(const struct order *o, struct err *e)
{
    static struct rooms_frame f;
    uint64_t ms;
    if (num_duration(o->rooms[1], &ms) < 0 || ms < 1000 || ms / 1000 > INT32_MAX) {
        err_set(e, ERR_USAGE, 0, "renew: \"%.60s\": not a time of at least a second", o->rooms[1]);
        return err_hint(e, "wanted e.g. 10m, 2h");
    }
    return ask(o->rooms[0], ROOMS_RENEW, (int)(ms / 1000), "", "renew", &f, e);
}

static int act_on(const struct order *o, const char *name, struct err *e)
{
    static struct rooms_frame f;
    switch (o->row->act) {
    case ACT_PAUSE:
        return ask(name, ROOMS_PAUSE, 0, "", "pause", &f, e);
    case ACT_RESUME:
        return ask(name, ROOMS_RESUME, 0, "", "resume", &f, e);
    case ACT_KILL:
        return o->signal ? ask(name, ROOMS_SIGNAL, o->signal, "room", "signal", &f, e) : end_room(name, e);
    default:
        return end_room(name, e);
    }
}

int verb_rooms(int argc, char **argv)
{
    struct order o = {.row = row_of(argv[0])};
    struct err e = {0};
    int status = 0;

    CHECK(o.row != NULL); /* the table of verbs leads here */
    int r = parse(&o, argc, argv, &e);
    if (r > 0) {
        char text[512];
        struct sbuf b = SBUF(text);
        sbuf_text(&b, o.row->help);
        return say_stdout(&b);
    }
    if (r < 0)
        return say_error(&e);
    switch (o.row->act) {
    case ACT_PS:
    case ACT_STATS:
        r = list(&o, &e);
        return r < 0 ? say_error(&e) : r;
    case ACT_RENEW:
        return renew(&o, &e) < 0 ? say_error(&e) : 0;
    default:
        break;
    }
    for (int i = 0; i < o.count; i++) { /* each is tried; the first failure is the status */
        struct err one = {0};
        if (act_on(&o, o.rooms[i], &one) < 0) {
            int s = say_error(&one);
            status = status ? status : s;
        }
    }
    return status;
}
