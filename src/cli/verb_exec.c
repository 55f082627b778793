/* verb_exec: `strongroom exec [OPTION…] ROOM [--] COMMAND [ARG…]`: one more program in a room that runs.
 *
 * Theory of operation. The program gets pipes (or a terminal of the room's own), never a descriptor of the caller's;
 * bytes are passed on here, in the command, so that the room's keeper moves none of them. The keeper tells the end over
 * the control socket; when this process goes early, the keeper ends whatever the program started.
 *
 * Lives in: the command. Trusts: nothing of argv, nothing that comes out of the room. */
#include "base/num.h"
#include "cli/cell.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "engine/relay.h"
#include "rooms/client.h"
#include "sys/fd.h"
#include "sys/ignored.h"
#include "sys/words.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define VARS_MAX 512

struct order {
    const char *room;
    char **command;
    const char *workdir;
    char *vars[VARS_MAX + 1];
    size_t var_count;
    uint64_t timeout_ms, output_max;
    const struct language *language; /* NULL: a command, no cell */
    int result_fd;
    bool terminal, detach, help;
};

/* One program on its way. */
struct session {
    const struct order *o;
    int sock; /* its connection */
    int handle;
    int signals;                   /* signalfd */
    int words, ours[3], theirs[3]; /* what it is started with */
    int master;                    /* its terminal, -1 */
    struct relay in, out, err;
    bool raw;
    struct termios saved;
    unsigned asked; /* how often the caller asked for the end */
    bool in_ended;  /* its terminal was told so */
    bool ended;
    bool full;  /* it printed too much */
    int status; /* exit status, once ended */
};

/* --- words ---------------------------------------------------------------------------------------------- */

static const char help_text[] =
    "Usage: strongroom exec [OPTION...] ROOM [--] COMMAND [ARG...]\n"
    "       strongroom exec --interpreter LANG [OPTION...] ROOM\n"
    "Runs COMMAND in the running room of that name, under all of its walls. The exit\n"
    "status is the command's; 125: it could not be started, 126: it cannot be run,\n"
    "127: it is not there, 124: its time was up, 128+n: signal n ended it, 153: it\n"
    "printed too much.\n\n"
    "  -d, --detach           let it run on; its output goes nowhere\n"
    "  -t, --tty              give it a terminal of its own\n"
    "  -i, --interactive      accepted for habit's sake: stdin is passed on anyway\n"
    "  -e, --env NAME[=VALUE] a variable; without =VALUE the caller's\n"
    "  -C, -w, --workdir DIR  where it starts (default: the room's working directory)\n"
    "      --timeout TIME     end it, and all that it started, after this time\n"
    "      --output SIZE      end it when it has printed that much (0: never)\n"
    "      --interpreter LANG instead of COMMAND: run stdin in the room's interpreter of\n"
    "                         python, javascript, typescript or bash, which keeps its\n"
    "                         state; the last value is printed\n"
    "      --result-fd N      with --interpreter: values and outcome as JSON\n"
    "  -h, --help             show this text\n";

static const struct row {
    const char *name;
    char letter;
    bool value;
} rows[] = {{"detach", 'd', false}, {"tty", 't', false},    {"interactive", 'i', false},
            {"env", 'e', true},     {"workdir", 'C', true}, {"timeout", 0, true},
            {"help", 'h', false},   {"output", 0, true},    {"interpreter", 0, true},
            {"result-fd", 0, true}, {"workdir", 'w', true} /* docker's letter */};

static int add_var(struct order *o, char *text, struct err *e)
{
    if (o->var_count == VARS_MAX)
        return err_set(e, ERR_USAGE, 0, "--env: more than %d variables", VARS_MAX);
    if (text[0] == '\0' || text[0] == '=')
        return err_set(e, ERR_USAGE, 0, "--env: \"%.60s\": no name", text);
    if (!strchr(text, '=')) {
        const char *value = getenv(text);
        const size_t size = value ? strlen(text) + strlen(value) + 2 : 0;
        char *line = size ? malloc(size) : NULL; /* lives until the process ends */
        if (!value)
            return 0; /* what the caller does not have stays absent, as with run */
        if (!line)
            return err_set(e, ERR_INTERNAL, ENOMEM, "--env");
        struct sbuf b = {.text = line, .size = size};
        line[0] = '\0';
        sbuf_fmt(&b, "%s=%s", text, value);
        text = line;
    }
    o->vars[o->var_count++] = text;
    return 0;
}

static int set_language(struct order *o, const char *value, struct err *e)
{
    o->language = language_find(value);
    if (o->language)
        return 0;
    err_set(e, ERR_USAGE, 0, "--interpreter: \"%.60s\": not a language", value);
    return err_hint(e, "wanted python, javascript, typescript or bash");
}

static int set_result_fd(struct order *o, const char *value, struct err *e)
{
    uint64_t fd;
    if (num_u64(value, &fd) < 0 || fd > INT32_MAX || fcntl((int)fd, F_GETFD) < 0)
        return err_set(e, ERR_USAGE, 0, "--result-fd: \"%.60s\": not an open descriptor", value);
    o->result_fd = (int)fd;
    return 0;
}

static int take(struct order *o, const struct row *row, char *value, struct err *e)
{
    static char none[] = "";
    CHECK(value || !row->value);
    value = value ? value : none;
    switch (row->name[0]) {
    case 'd':
        o->detach = true;
        return 0;
    case 't':
        if (!row->value) {
            o->terminal = true;
            return 0;
        }
        if (num_duration(value, &o->timeout_ms) < 0 || o->timeout_ms == 0 || o->timeout_ms > INT32_MAX) {
            err_set(e, ERR_USAGE, 0, "--timeout: \"%.60s\": not a time", value);
            return err_hint(e, "wanted e.g. 250ms, 10s, 2h");
        }
        return 0;
    case 'e':
        return add_var(o, value, e);
    case 'i':
        return row->value ? set_language(o, value, e) : 0; /* --interactive */
    case 'o':
        if (num_size(value, &o->output_max) == 0)
            return 0;
        err_set(e, ERR_USAGE, 0, "--output: \"%.60s\": not a size", value);
        return err_hint(e, "wanted e.g. 64k, 10M");
    case 'r':
        return set_result_fd(o, value, e);
    case 'w':
        if (value[0] != '/') {
            err_set(e, ERR_USAGE, 0, "--workdir: \"%.60s\": not an absolute path in the room", value);
            return err_hint(e, "wanted e.g. /work");
        }
        o->workdir = value;
        return 0;
    default:
        o->help = true;
        return 0;
    }
}

static const struct row *find_row(const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strlen(rows[i].name) == len && strncmp(rows[i].name, word, len) == 0)
            return &rows[i];
    }
    return NULL;
}

static const struct row *find_letter(char letter)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].letter && rows[i].letter == letter)
            return &rows[i];
    }
    return NULL;
}

/* One word that begins with '-'; *at is behind it, and behind its value, afterwards. */
static int option(struct order *o, char **argv, int argc, int *at, struct err *e)
{
    char *word = argv[(*at)++], *value = NULL;
    const bool is_long = word[1] == '-';

    for (char *p = word + 1; *p;) {
        const size_t len = is_long ? strcspn(word + 2, "=") : 1;
        const struct row *row = is_long ? find_row(word + 2, len) : find_letter(*p);
        if (!row) {
            err_set(e, ERR_USAGE, 0, "exec: unknown option %.60s", word);
            return err_hint(e, "strongroom exec --help lists them");
        }
        p = is_long ? word + 2 + len : p + 1;
        if (row->value) {
            value = *p ? p + (*p == '=') : *at < argc ? argv[(*at)++] : NULL;
            p += strlen(p);
        } else if (is_long && *p) {
            return err_set(e, ERR_USAGE, 0, "exec: --%s takes no value", row->name);
        }
        if (row->value && !value)
            return err_set(e, ERR_USAGE, 0, "exec: --%s needs a value", row->name);
        int r = take(o, row, value, e);
        if (r < 0)
            return r;
        if (is_long)
            break;
    }
    return 0;
}

/* An interpreter was started before: what is about a start cannot be had any more. */
static int check_cell(const struct order *o, struct err *e)
{
    if (o->command[0]) {
        err_set(e, ERR_USAGE, 0, "exec: --interpreter takes no command: the cell comes from standard input");
        return err_hint(e, "strongroom exec --interpreter %s ROOM <FILE", o->language->name);
    }
    if (o->terminal || o->detach || o->workdir || o->var_count)
        return err_set(e, ERR_USAGE, 0,
                       "exec: --interpreter goes with --timeout, --output and --result-fd only");
    return 0;
}

static int parse(struct order *o, int argc, char **argv, struct err *e)
{
    int at = 1;
    while (at < argc && argv[at][0] == '-' && argv[at][1] && strcmp(argv[at], "--") != 0) {
        int r = option(o, argv, argc, &at, e);
        if (r < 0 || o->help)
            return r;
    }
    at += at < argc && strcmp(argv[at], "--") == 0;
    o->room = at < argc ? argv[at++] : NULL;
    at += at < argc && strcmp(argv[at], "--") == 0;
    o->command = argv + at;
    if (o->language && o->room)
        return check_cell(o, e);
    if (!o->room || !o->command[0] || !o->command[0][0]) {
        err_set(e, ERR_USAGE, 0, o->room ? "exec: no command given" : "exec: no room named");
        return err_hint(e, "strongroom exec [OPTION...] ROOM -- COMMAND [ARG...]");
    }
    if (o->result_fd >= 0)
        return err_set(e, ERR_USAGE, 0, "exec: --result-fd without --interpreter: a command has no values");
    if (o->detach && o->output_max)
        return err_set(e, ERR_USAGE, 0, "exec: --detach and --output: what it prints goes nowhere");
    if (o->terminal && o->detach)
        return err_set(e, ERR_USAGE, 0, "exec: --detach and --tty: nobody would sit before that terminal");
    return 0;
}

/* --- the terminal --------------------------------------------------------------------------------------- */

static struct winsize window_size(void)
{
    struct winsize w = {.ws_row = 24, .ws_col = 80};
    for (int fd = 0; fd < 3; fd++) {
        if (ioctl(fd, TIOCGWINSZ, &w) == 0)
            break;
    }
    return w;
}

static void enter_raw(struct session *s)
{
    struct termios raw;
    if (s->master < 0 || tcgetattr(0, &s->saved) < 0)
        return;
    raw = s->saved;
    cfmakeraw(&raw);
    s->raw = tcsetattr(0, TCSADRAIN, &raw) == 0;
}

static void leave_raw(struct session *s)
{
    if (s->raw)
        (void)tcsetattr(0, TCSADRAIN, &s->saved); /* it may be gone */
    s->raw = false;
}

/* --- starting ------------------------------------------------------------------------------------------- */

/* Three pipes: ours in `ours`, the program's in `theirs`. */
static int make_pipes(int ours[3], int theirs[3])
{
    for (int i = 0; i < 3; i++) {
        int p[2];
        if (pipe2(p, O_CLOEXEC) < 0)
            return -errno;
        ours[i] = p[i == 0];
        theirs[i] = p[i != 0];
    }
    return 0;
}

static int make_nulls(int theirs[3])
{
    for (int i = 0; i < 3; i++) {
        theirs[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (theirs[i] < 0)
            return -errno;
    }
    return 0;
}

static void start_relays(struct session *s)
{
    const int *ours = s->ours;
    static char buffers[3][RELAY_BUFFER];
    s->in.ended = s->out.ended = s->err.ended = true;
    if (s->master >= 0) {
        relay_init(&s->out, s->master, 1, true, false, buffers[1]);
        relay_init(&s->in, 0, fcntl(s->master, F_DUPFD_CLOEXEC, 3), false, true, buffers[0]);
        s->in.kind = RELAY_COPY;
        enter_raw(s);
    } else if (ours[0] >= 0) {
        relay_init(&s->in, 0, ours[0], false, true, buffers[0]);
        relay_init(&s->out, ours[1], 1, true, false, buffers[1]);
        relay_init(&s->err, ours[2], 2, true, false, buffers[2]);
    }
}

static int take_signals(struct session *s)
{
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        sigaddset(&set, ours[i]);
    sigaddset(&set, SIGPIPE); /* a closed reader is an error value, not an end */
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    sigdelset(&set, SIGPIPE);
    ignored_hangup_leaves(&set);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? -errno : 0;
}

static void say_what(const struct order *o, char *text, size_t size)
{
    struct sbuf b = {.text = text, .size = size};
    sbuf_fmt(&b, "run %.100s in the room %.64s", o->command[0], o->room);
}

/* All that it takes, before the room hears of us: then one look of its keeper is enough. */
static int prepare(struct session *s, struct err *e)
{
    const struct order *o = s->o;
    const struct words w = {
        .workdir = o->workdir ? o->workdir : "", .args = o->command, .vars = (char **)(uintptr_t)o->vars};
    char what[256];

    s->words = words_write(&w);
    int r = s->words < 0  ? s->words
            : o->terminal ? 0
            : o->detach   ? make_nulls(s->theirs)
                          : make_pipes(s->ours, s->theirs);
    say_what(o, what, sizeof what);
    if (r < 0) {
        (void)err_set(e, ERR_USAGE, -r, "%s", what);
        return r == -E2BIG ? err_hint(e, WORDS_HINT) : r;
    }
    r = take_signals(s);
    return r < 0 ? err_set(e, ERR_INTERNAL, -r, "take over signals") : 0;
}

static int start(struct session *s, struct err *e)
{
    const struct order *o = s->o;
    static struct rooms_frame f;
    struct rooms_fds fds = {.n_send = o->terminal ? 1 : 4};
    char form[64], what[256];
    struct sbuf fb = SBUF(form);
    const struct winsize size = o->terminal ? window_size() : (struct winsize){0};

    sbuf_text(&fb, o->detach ? "detached" : "");
    if (o->terminal)
        sbuf_fmt(&fb, "terminal %u %u ", size.ws_row, size.ws_col);
    if (!o->detach)
        sbuf_text(&fb, "wait");
    say_what(o, what, sizeof what);
    fds.send[0] = s->words;
    memcpy(fds.send + 1, s->theirs, sizeof s->theirs);
    int r = rooms_call_fds(s->sock, ROOMS_EXEC, (int)o->timeout_ms, form, &fds, &f, e);
    if (r == 0 && f.type != ROOMS_STARTED)
        r = rooms_refused(&f, what, e);
    if (r < 0)
        return r;
    /* The other two stay open: their closing would wake us at its end, of which we are told anyway, while that end
     * still costs it time. */
    fd_close(&s->theirs[0]);
    s->handle = f.value;
    s->master = fds.got[0];
    start_relays(s);
    return 0;
}

/* --- until it ends -------------------------------------------------------------------------------------- */

/* Its own connection: ours waits for the end. */
static void pass_signal(const struct session *s, int sig)
{
    static struct rooms_frame f;
    char text[32];
    struct sbuf b = SBUF(text);
    struct err e = {0};
    FD_AUTO sock = rooms_connect(s->o->room, &e);
    sbuf_fmt(&b, "group %d", s->handle);
    if (sock >= 0)
        (void)rooms_call(sock, ROOMS_SIGNAL, sig, text, &f, &e); /* it may have ended this instant */
}

static void take_signal(struct session *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof info) != sizeof info)
        return;
    const int sig = (int)info.ssi_signo;
    if (sig == SIGWINCH) {
        const struct winsize size = window_size();
        if (s->out.from >= 0 && s->master >= 0)
            (void)ioctl(s->out.from, TIOCSWINSZ, &size); /* then it keeps its size */
        return;
    }
    if (++s->asked == 1) {
        pass_signal(s, sig);
        return;
    }
    s->ended = true; /* the second request is ours to fulfil: going is what ends it */
    s->status = 128 + sig;
}

static void take_end(struct session *s)
{
    struct rooms_frame f;
    char text[ROOMS_TEXT_MAX + 1];
    int r = fd_frame_recv(s->sock, &f, sizeof f, NULL, 0, 0);
    s->ended = true;
    s->status = 125;
    if (r < 0 || rooms_frame_check(&f, ROOMS_ROOM, 0) < 0 || f.type != ROOMS_ENDED) {
        struct err e = {0};
        (void)err_set(&e, ERR_ROOM, 0, "run %.100s in the room %.64s: the room has ended", s->o->command[0],
                      s->o->room);
        (void)say_error(&e);
        return;
    }
    rooms_frame_text(&f, text);
    if (strncmp(text, "timeout ", 8) == 0)
        s->status = 124;
    else
        s->status = WIFEXITED(f.value) ? WEXITSTATUS(f.value) : 128 + WTERMSIG(f.value);
}

/* Bytes that it may still print. */
static uint64_t budget(const struct session *s)
{
    const uint64_t most = s->o->output_max, sum = s->out.bytes + s->err.bytes;
    return most == 0 ? UINT64_MAX : sum < most ? most - sum : 0;
}

static void move_out(struct session *s, struct relay *x)
{
    const uint64_t left = x->ended ? 0 : budget(s);
    if (left)
        (void)relay_move(x, left);
    if (x->ended || budget(s) > 0 || !relay_has_more(x))
        return;
    s->ended = s->full = true; /* going is what ends it */
    s->status = 128 + SIGXFSZ;
}

/* What it wrote before its end; others that it left behind may hold the pipes open, and are not waited for. */
static void drain(struct session *s)
{
    struct relay *const outs[] = {&s->out, &s->err};
    for (size_t i = 0; i < 2; i++) {
        int there = 0;
        if (!outs[i]->ended)
            (void)ioctl(outs[i]->from, FIONREAD, &there); /* then what is buffered is all */
        uint64_t left = (uint64_t)there + outs[i]->have - outs[i]->at;
        left = left < budget(s) ? left : budget(s);
        while (!outs[i]->ended && left > 0) {
            struct pollfd p[] = {{.fd = outs[i]->to, .events = POLLOUT},
                                 {.fd = s->signals, .events = POLLIN}};
            (void)poll(p, 2, -1); /* a slow reader is waited for, until somebody asks us to end */
            if (p[1].revents)
                break;
            const uint64_t moved = relay_move(outs[i], left);
            left -= moved < left ? moved : left;
            if (moved == 0 && !relay_has_more(outs[i]) && outs[i]->have == outs[i]->at)
                break;
        }
        if (!outs[i]->ended && budget(s) == 0 && relay_has_more(outs[i])) {
            s->full = true;
            s->status = 128 + SIGXFSZ;
        }
        relay_end(outs[i]);
    }
}

/* What could not be written is told, unless nobody wanted it: then the program heard of that itself. */
static void tell_lost(struct session *s)
{
    const int code = s->out.error && s->out.error != EPIPE ? s->out.error : s->err.error;
    struct err e = {0};
    if (code == 0 || code == EPIPE)
        return;
    (void)err_set(&e, ERR_IO, code, "write the program's output");
    (void)say_error(&e);
    s->status = s->status ? s->status : 125;
}

/* A terminal knows no end of what is typed but its own character for it; behind half a line it takes two. */
static void end_typing(struct session *s)
{
    const bool line_ended = s->in.have == 0 || s->in.buffer[s->in.have - 1] == '\n';
    if (s->in_ended || !s->in.ended || s->master < 0 || isatty(0))
        return;
    s->in_ended = true;
    (void)!write(s->out.from, "\x04\x04", line_ended ? 1 : 2); /* then it waits for what never comes */
}

static int attend(struct session *s, struct err *e)
{
    while (!s->ended) {
        struct pollfd p[] = {{.fd = s->sock, .events = POLLIN},
                             {.fd = s->signals, .events = POLLIN},
                             relay_poll(&s->in),
                             relay_poll(&s->out),
                             relay_poll(&s->err)};
        if (poll(p, 5, -1) < 0 && errno != EINTR)
            return err_set(e, ERR_INTERNAL, errno, "wait for the program");
        if (p[2].revents && !s->in.ended)
            (void)relay_move(&s->in, UINT64_MAX);
        end_typing(s);
        if (p[3].revents)
            move_out(s, &s->out);
        if (p[4].revents)
            move_out(s, &s->err);
        if (p[1].revents)
            take_signal(s);
        if (p[0].revents && !s->ended) /* what ended it first is what is told */
            take_end(s);
    }
    if (!s->full)
        drain(s);
    tell_lost(s);
    return 0;
}

int verb_exec(int argc, char **argv)
{
    static struct order o = {.result_fd = -1};
    struct session s = {.o = &o,
                        .sock = -1,
                        .words = -1,
                        .ours = {-1, -1, -1},
                        .theirs = {-1, -1, -1},
                        .master = -1,
                        .signals = -1};
    struct err e = {0};

    if (parse(&o, argc, argv, &e) < 0)
        return say_error(&e);
    if (o.help) {
        char text[sizeof help_text];
        struct sbuf b = SBUF(text);
        sbuf_text(&b, help_text);
        return say_stdout(&b);
    }
    if (o.language) {
        const struct cell_order cell = {.room = o.room,
                                        .language = o.language,
                                        .timeout_ms = o.timeout_ms,
                                        .output_max = o.output_max,
                                        .result_fd = o.result_fd};
        return cell_run(&cell);
    }
    int r = prepare(&s, &e);
    if (r == 0)
        r = s.sock = rooms_connect(o.room, &e);
    if (r >= 0)
        r = start(&s, &e);
    if (r == 0 && !o.detach) {
        rooms_be_patient(s.sock);
        r = attend(&s, &e);
        leave_raw(&s);
    }
    return r < 0 ? say_error(&e) : s.status; /* and all descriptors are closed by our end */
}
