/* verb_job: `strongroom job start|list|output|input|kill ROOM …`: programs of a room that nobody sits before.
 *
 * Lives in: the command. Trusts: nothing of argv, nothing that comes out of the room; of the keeper's frames their
 * form. */
#include "base/json.h"
#include "base/num.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "engine/relay.h"
#include "rooms/client.h"
#include "sys/fd.h"
#include "sys/mem.h"
#include "sys/words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define VARS_MAX    512
#define PATIENCE_MS 10000 /* for a program that does not read */
#define SCRIPT_MAX  (1u << 20)
#define LIST_MAX    (64 * 1024)

static const char help_text[] =
    "Usage: strongroom job start [-e NAME=VALUE] [-C DIR] ROOM [--] COMMAND [ARG...]\n"
    "       strongroom job start --script [...] ROOM\n"
    "       strongroom job list [--json] ROOM\n"
    "       strongroom job output [--stderr] [--offset N] [--limit N] ROOM ID\n"
    "       strongroom job input [--close] ROOM ID\n"
    "       strongroom job kill [-s SIGNAL] ROOM ID\n"
    "Programs that run in a room with nobody before them. start prints the ID of a new\n"
    "one; the room keeps the last megabyte of its stdout and of its stderr, and counts\n"
    "every byte. input passes stdin on; kill ends it with all that it started.\n\n"
    "  -C, --workdir DIR       where it starts\n"
    "  -e, --env NAME=VALUE    a variable\n"
    "      --script            start: a script for bash comes from stdin, and stands on no\n"
    "                          command line\n"
    "      --json              list: as JSON\n"
    "      --stderr            output: that instead of stdout\n"
    "      --offset N          output: from this byte of all that it printed\n"
    "      --limit N           output: at most so many bytes\n"
    "      --result-fd N       output: how it stands, as JSON\n"
    "      --close             input: afterwards it meets the end of its stdin\n"
    "  -s, --signal SIGNAL     kill: that instead, to its process group\n"
    "  -h, --help              show this text\n";

struct order {
    const char *room, *workdir;
    char **rest;
    int rest_count;
    char *vars[VARS_MAX + 1];
    size_t var_count;
    uint64_t offset, limit, signal, id;
    int result_fd;
    bool json, to_stderr, script, close, help;
};

typedef int act_fn(const struct order *o, int sock, struct err *e);

/* --- words ---------------------------------------------------------------------------------------------- */

static const struct row {
    const char *name;
    char letter;
    const char *acts; /* that know it */
    bool value;
} rows[] = {{"workdir", 'C', "start", true}, {"env", 'e', "start", true},      {"script", 0, "start", false},
            {"json", 0, "list", false},      {"stderr", 0, "output", false},   {"offset", 0, "output", true},
            {"limit", 0, "output", true},    {"result-fd", 0, "output", true}, {"close", 0, "input", false},
            {"signal", 's', "kill", true},   {"help", 'h', NULL, false}};

static const struct row *find_row(const char *word, const char *act, size_t *ret_len)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        const size_t len = strlen(row->name);
        if (row->acts && strcmp(row->acts, act) != 0)
            continue;
        *ret_len = 2;
        if (row->letter && word[1] == row->letter)
            return row;
        *ret_len = len + 2;
        if (word[1] == '-' && strncmp(word + 2, row->name, len) == 0 &&
            (word[2 + len] == '\0' || word[2 + len] == '='))
            return row;
    }
    return NULL;
}

static int take_number(const struct row *row, const char *value, uint64_t most, uint64_t *ret, struct err *e)
{
    if (num_u64(value, ret) == 0 && *ret <= most)
        return 0;
    return err_set(e, ERR_USAGE, 0, "job: --%s: \"%.60s\": not a number, or too large", row->name, value);
}

static int take(struct order *o, const struct row *row, char *value, struct err *e)
{
    uint64_t n;

    CHECK(value || !row->value);
    static char none[] = "";
    value = value ? value : none;
    switch (row->name[0]) {
    case 'w':
        o->workdir = value;
        return value[0] == '/'
                   ? 0
                   : err_set(e, ERR_USAGE, 0, "job: --workdir: \"%.60s\": not an absolute path", value);
    case 'e':
        if (o->var_count == VARS_MAX || !strchr(value, '=') || value[0] == '=')
            return err_set(e, ERR_USAGE, 0, "job: --env: \"%.60s\": not NAME=VALUE, or too many", value);
        o->vars[o->var_count++] = value;
        return 0;
    case 'j':
        o->json = true;
        return 0;
    case 's':
        if (!row->value) {
            o->script = row->name[1] == 'c';
            o->to_stderr = !o->script;
            return 0;
        }
        o->signal = (uint64_t)signal_number(value);
        return o->signal ? 0 : err_set(e, ERR_USAGE, 0, "job: --signal: \"%.20s\": no signal", value);
    case 'o':
        return take_number(row, value, INT64_MAX, &o->offset, e);
    case 'l':
        return take_number(row, value, INT64_MAX, &o->limit, e);
    case 'r':
        if (take_number(row, value, INT32_MAX, &n, e) < 0)
            return -EINVAL;
        o->result_fd = (int)n;
        return fcntl(o->result_fd, F_GETFD) < 0 ? err_set(e, ERR_USAGE, 0, "job: --result-fd: it is not open")
                                                : 0;
    case 'c':
        o->close = true;
        return 0;
    default:
        o->help = true;
        return 0;
    }
}

static int parse(struct order *o, const char *act, int argc, char **argv, struct err *e)
{
    int at = 0;

    while (at < argc && argv[at][0] == '-' && argv[at][1] && strcmp(argv[at], "--") != 0) {
        char *word = argv[at++], *value = NULL;
        size_t len;
        const struct row *row = find_row(word, act, &len);
        if (!row) {
            err_set(e, ERR_USAGE, 0, "job %s: unknown option %.60s", act, word);
            return err_hint(e, "strongroom job --help lists them");
        }
        if (word[len])
            value = word + len + (word[len] == '=');
        else if (row->value && at < argc)
            value = argv[at++];
        if (row->value != (value != NULL))
            return err_set(e, ERR_USAGE, 0, "job %s: --%s %s", act, row->name,
                           row->value ? "needs a value" : "takes no value");
        int r = take(o, row, value, e);
        if (r < 0 || o->help)
            return r;
    }
    o->room = at < argc ? argv[at++] : NULL;
    at += at < argc && strcmp(argv[at], "--") == 0;
    o->rest = argv + at;
    o->rest_count = argc - at;
    if (!o->room) {
        err_set(e, ERR_USAGE, 0, "job %s: no room named", act);
        return err_hint(e, "strongroom ps lists them");
    }
    return 0;
}

/* --- what each does ------------------------------------------------------------------------------------- */

static int ask(int sock, enum rooms_frame_type type, int value, const char *text, struct rooms_fds *fds,
               enum rooms_frame_type wanted, struct rooms_frame *ret, const char *what, struct err *e)
{
    int r = rooms_call_fds(sock, type, value, text, fds, ret, e);
    if (r < 0)
        return r;
    if (ret->type == ROOMS_REFUSED)
        return rooms_refused(ret, what, e);
    if (ret->type != wanted)
        return err_set(e, ERR_ROOM, 0, "%s: the room is of another version of strongroom", what);
    return 0;
}

/* "HANDLE STATE STATUS AGE OUT ERR COMMAND": the six words in front, and the rest. */
static bool split(char *line, char *ret[7])
{
    for (int i = 0; i < 6; i++) {
        ret[i] = line;
        line = strchr(line, ' ');
        if (!line)
            return false;
        *line++ = '\0';
    }
    ret[6] = line;
    return true;
}

static void list_one(struct json *j, struct sbuf *b, bool json, char *w[7])
{
    static const char *const names[] = {"id", "state", "exit_status", "age_ms", "stdout", "stderr"};
    const bool ended = strcmp(w[1], "ended") == 0;
    uint64_t n = 0;

    if (!json) {
        sbuf_fmt(b, "%s %s%s%s %s\n", w[0], ended ? "ended:" : "runs", ended ? " " : "", ended ? w[2] : "",
                 w[6]);
        return;
    }
    json_open(j, NULL, '{');
    for (int i = 0; i < 6; i++) {
        if (i == 1)
            json_str(j, names[i], ended ? "ended" : "runs");
        else if (i == 2 && !ended)
            json_null(j, names[i]);
        else if (num_u64(w[i], &n) == 0)
            json_unum(j, names[i], n);
    }
    json_str(j, "command", w[6]);
    json_close(j, '}');
}

static int list(const struct order *o, int sock, struct err *e)
{
    static struct rooms_frame f;
    static char lines[ROOMS_TEXT_MAX + 1], text[LIST_MAX];
    struct rooms_fds fds = {.n_send = 0};
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};

    int r = ask(sock, ROOMS_JOBS, 0, "", &fds, ROOMS_LINES, &f, "list the programs", e);
    if (r < 0)
        return r;
    rooms_frame_text(&f, lines);
    if (o->json)
        json_open(&j, NULL, '[');
    for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
        char *w[7];
        *end = '\0';
        if (split(line, w))
            list_one(&j, &b, o->json, w);
    }
    if (o->json) {
        json_close(&j, ']');
        sbuf_char(&b, '\n');
    }
    return say_stdout(&b);
}

/* "OUT ERR SIZE runs", "OUT ERR SIZE ended STATUS" */
static bool read_state(char *text, uint64_t written[2], bool *ret_ended, uint64_t *ret_status)
{
    char *w[5] = {NULL};
    uint64_t size;
    int n = 0;

    for (char *p = text; *p && n < 5;) {
        w[n++] = p;
        p += strcspn(p, " ");
        if (*p)
            *p++ = '\0';
    }
    *ret_ended = n == 5;
    return n >= 4 && num_u64(w[0], &written[0]) == 0 && num_u64(w[1], &written[1]) == 0 &&
           num_u64(w[2], &size) == 0 && size == RELAY_RING_SIZE &&
           (n == 4 || (num_u64(w[4], ret_status) == 0 && *ret_status < 256));
}

struct part {
    uint64_t from, to, size, lost; /* lost: bytes before `from` that are kept no more */
};

/* The program may print faster than we read: what was overwritten meanwhile is passed over, and counted. */
static int copy(int ring, struct part *p, struct err *e)
{
    char buffer[16384];

    for (uint64_t at = p->from; at < p->to;) {
        uint64_t lost = 0;
        const int64_t n = relay_ring_read(ring, at, p->to, buffer, sizeof buffer, &lost);
        if (n < 0)
            return err_set(e, ERR_IO, (int)-n, "read the output");
        if (lost > 0 && at > p->from) {
            p->to = at; /* the next call goes on behind the gap */
            break;
        }
        p->from += lost;
        p->lost += lost;
        at += lost;
        int r = fd_write_all(1, buffer, (size_t)n);
        if (r < 0)
            return err_set(e, ERR_IO, -r, "write to standard output");
        at += (uint64_t)n;
    }
    return 0;
}

static int tell(const struct order *o, const struct part *p, bool ended, uint64_t status, struct err *e)
{
    char text[256];
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};

    if (o->result_fd < 0) {
        if (p->lost == 0)
            return 0;
        sbuf_fmt(&b, "strongroom: note: %llu earlier bytes are no longer kept\n",
                 (unsigned long long)p->lost);
        say_stderr(&b);
        return 0;
    }
    json_open(&j, NULL, '{');
    json_unum(&j, "offset", p->from);
    json_unum(&j, "next_offset", p->to);
    json_unum(&j, "size", p->size);
    json_unum(&j, "lost", p->lost);
    json_bool(&j, "ended", ended);
    if (ended)
        json_unum(&j, "exit_status", status);
    json_close(&j, '}');
    int r = fd_write_all(o->result_fd, b.text, b.len);
    return r < 0 ? err_set(e, ERR_IO, -r, "write the result") : 0;
}

static int output(const struct order *o, int sock, struct err *e)
{
    static struct rooms_frame f;
    char text[ROOMS_TEXT_MAX + 1];
    struct rooms_fds fds = {.n_send = 0};
    uint64_t written[2], status = 0;
    bool ended = false;

    int r = ask(sock, ROOMS_OUTPUT, (int)o->id, "", &fds, ROOMS_LOG, &f, "read the output", e);
    if (r == 0) {
        rooms_frame_text(&f, text);
        if (fds.got[1] < 0 || !read_state(text, written, &ended, &status))
            r = err_set(e, ERR_ROOM, 0, "read the output: the room is of another version of strongroom");
    }
    if (r == 0) {
        struct part p = {.from = o->offset, .size = written[o->to_stderr]};
        const uint64_t kept = p.size > RELAY_RING_SIZE ? p.size - RELAY_RING_SIZE : 0;
        p.from = p.from > p.size ? p.size : p.from;
        p.lost = p.from < kept ? kept - p.from : 0;
        p.from += p.lost;
        p.to = o->limit && p.size - p.from > o->limit ? p.from + o->limit : p.size;
        r = copy(fds.got[o->to_stderr], &p, e);
        if (r == 0)
            r = tell(o, &p, ended, status, e);
    }
    for (size_t i = 0; i < ROOMS_FDS_MAX; i++)
        fd_close(&fds.got[i]);
    return r;
}

/* All of it, as long as the program reads. Others may write into the same pipe: none of us waits in a write. */
static bool feed(int pipe, const char *data, size_t n, uint64_t *sum)
{
    while (n > 0) {
        struct pollfd p = {.fd = pipe, .events = POLLOUT};
        const ssize_t done = write(pipe, data, n);
        if (done < 0 && errno == EAGAIN && poll(&p, 1, PATIENCE_MS) == 1)
            continue;
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        data += done;
        n -= (size_t)done;
        *sum += (uint64_t)done;
    }
    return true;
}

static int pass_on(int pipe, struct err *e)
{
    char buffer[4096];
    uint64_t sum = 0;

    if (fcntl(pipe, F_SETFL, O_WRONLY | O_NONBLOCK) < 0)
        return err_set(e, ERR_INTERNAL, errno, "pass input on");
    for (;;) {
        const ssize_t n = read(0, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, ERR_IO, errno, "read standard input");
        if (n == 0)
            return 0;
        if (!feed(pipe, buffer, (size_t)n, &sum)) {
            (void)err_set(e, ERR_ROOM, 0, "pass input on: the program took %llu bytes and reads no more",
                          (unsigned long long)sum);
            return -EPIPE;
        }
    }
}

static int input(const struct order *o, int sock, struct err *e)
{
    static struct rooms_frame f;
    struct rooms_fds fds = {.n_send = 0};

    (void)signal(SIGPIPE, SIG_IGN);
    int r =
        ask(sock, ROOMS_INPUT, (int)o->id, o->close ? "close" : "", &fds, ROOMS_PIPE, &f, "pass input on", e);
    if (r == 0)
        r = pass_on(fds.got[0], e);
    for (size_t i = 0; i < ROOMS_FDS_MAX; i++)
        fd_close(&fds.got[i]);
    return r;
}

/* --script: what bash reads first is its script, up to a zero byte; the rest of its stdin is the script's. */
static char script_shell[] = "IFS= read -r -d '' __script && eval \"$__script\"";
static char *script_words[] = {(char[]){"bash"}, (char[]){"-c"}, script_shell, (char[]){"main.sh"}, NULL};

static int read_script(char *text, size_t *ret_n, struct err *e)
{
    size_t n = 0;
    for (;;) {
        const ssize_t got = read(0, text + n, SCRIPT_MAX + 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(e, ERR_IO, errno, "read the script from standard input");
        if (got == 0)
            break;
        n += (size_t)got;
        if (n > SCRIPT_MAX)
            return err_set(e, ERR_USAGE, 0, "job start: the script is longer than %u bytes", SCRIPT_MAX);
    }
    if (memchr(text, '\0', n))
        return err_set(e, ERR_USAGE, 0, "job start: the script holds a zero byte");
    *ret_n = n;
    return 0;
}

/* The script's first line is its name. */
static void name_it(const char *script, size_t n, char ret[128])
{
    struct sbuf b = {.text = ret, .size = 128};
    char line[120] = "";
    size_t len = 0;
    while (len < n && len < sizeof line - 1 && script[len] != '\n') {
        line[len] = script[len];
        len++;
    }
    ret[0] = '\0';
    sbuf_escaped(&b, line);
}

static int start(const struct order *o, int sock, struct err *e)
{
    static struct rooms_frame f;
    struct words w = {.workdir = o->workdir ? o->workdir : "",
                      .args = o->script ? script_words : o->rest,
                      .vars = (char **)(uintptr_t)o->vars};
    struct rooms_fds fds = {.n_send = 1};
    char text[256], name[128] = "";
    struct sbuf b = SBUF(text);
    char *script = o->script ? mem_reserve(SCRIPT_MAX + 2) : NULL; /* lives until the process ends */
    size_t n = 0;
    uint64_t sum = 0;

    if (o->script && !script)
        return err_set(e, ERR_INTERNAL, ENOMEM, "read the script");
    int r = o->script ? read_script(script, &n, e) : 0;
    if (r < 0)
        return r;
    if (o->script)
        name_it(script, n, name);
    sbuf_fmt(&b, "start %.100s in the room %.64s", w.args[0], o->room);
    FD_AUTO words = words_write(&w);
    if (words < 0)
        return err_set(e, ERR_USAGE, -words, "%s", text);
    fds.send[0] = words;
    r = ask(sock, ROOMS_JOB, 0, name, &fds, ROOMS_STARTED, &f, text, e);
    const int id = f.value;
    if (r == 0 && o->script) {
        fds.n_send = 0;
        r = ask(sock, ROOMS_INPUT, id, "", &fds, ROOMS_PIPE, &f, text, e);
        if (r == 0 &&
            (fcntl(fds.got[0], F_SETFL, O_WRONLY | O_NONBLOCK) < 0 || !feed(fds.got[0], script, n + 1, &sum)))
            r = err_set(e, ERR_ROOM, 0, "%s: it did not take its script", text);
        fd_close(&fds.got[0]);
    }
    if (r < 0)
        return r;
    b = SBUF(text);
    sbuf_fmt(&b, "%d\n", id);
    return say_stdout(&b);
}

static int end(const struct order *o, int sock, struct err *e)
{
    static struct rooms_frame f;
    struct rooms_fds fds = {.n_send = 0};
    char text[32];
    struct sbuf b = SBUF(text);

    sbuf_fmt(&b, "%s %llu", o->signal ? "group" : "tree", (unsigned long long)o->id);
    return ask(sock, ROOMS_SIGNAL, o->signal ? (int)o->signal : SIGKILL, text, &fds, ROOMS_DONE, &f,
               "end the program", e);
}

static const struct act {
    const char *name;
    act_fn *run;
    int rest; /* words behind the room: 0, 1: an ID; 2: a command */
} acts[] = {
    {"start", start, 2}, {"list", list, 0}, {"output", output, 1}, {"input", input, 1}, {"kill", end, 1}};

static int check_rest(const struct act *a, struct order *o, struct err *e)
{
    if (o->script && o->rest_count != 0)
        return err_set(e, ERR_USAGE, 0,
                       "job start: --script takes no command: the script comes from standard input");
    if (a->rest == 2 && !o->script && (o->rest_count == 0 || !o->rest[0][0]))
        return err_set(e, ERR_USAGE, 0, "job start: no command given");
    if (a->rest == 0 && o->rest_count != 0)
        return err_set(e, ERR_USAGE, 0, "job %s: takes the name of a room only", a->name);
    if (a->rest == 1 && (o->rest_count != 1 || num_u64(o->rest[0], &o->id) < 0 || o->id > INT32_MAX)) {
        err_set(e, ERR_USAGE, 0, "job %s: wanted the ID of one program", a->name);
        return err_hint(e, "strongroom job list %.64s lists them", o->room);
    }
    return 0;
}

int verb_job(int argc, char **argv)
{
    static struct order o = {.result_fd = -1};
    const char *name = argc > 1 ? argv[1] : "";
    const struct act *a = NULL;
    struct err e = {0};

    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (strcmp(acts[i].name, name) == 0)
            a = &acts[i];
    }
    o.help = strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0;
    if (!a && !o.help) {
        (void)err_set(&e, ERR_USAGE, 0, "job: wanted start, list, output, input or kill");
        (void)err_hint(&e, "strongroom job --help tells more");
        return say_error(&e);
    }
    if (!o.help && (parse(&o, name, argc - 2, argv + 2, &e) < 0 || (!o.help && check_rest(a, &o, &e) < 0)))
        return say_error(&e);
    if (o.help) {
        char text[sizeof help_text];
        struct sbuf b = SBUF(text);
        sbuf_text(&b, help_text);
        return say_stdout(&b);
    }
    FD_AUTO sock = rooms_connect(o.room, &e);
    const int r = sock < 0 ? sock : a->run(&o, sock, &e);
    return r < 0 ? say_error(&e) : r;
}
