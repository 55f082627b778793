/* selftest: see selftest.h.
 *
 * Theory of operation. This program is static, so it runs inside a room as it is: it is shown to a default
 * room read-only as WALL_PROGRAM and started there as `selftest --inside …` (probe/wall.h). One room runs all
 * probes that a program can judge itself; each hazardous program gets a room of its own with tight bounds,
 * and the host judges what became of it.
 *
 * Lives in: the command; each supervisor in a child (engine/trial.h). Trusts: nothing that comes from inside
 * but one line a probe, of bounded length, for rows that exist. */
#include "engine/selftest.h"
#include "engine/bait.h"
#include "engine/inner.h"
#include "engine/trial.h"
#include "probe/host.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>

#define WORDS_MAX  40
#define OUTPUT_MAX (48 << 10) /* kept of what a room says */
#define ROOM_MS    12000

/* One room: what it was asked, and what became of it. */
struct attempt {
    char *argv[WORDS_MAX];
    size_t argc;
    char text[4096]; /* of argv */
    size_t text_len;
    char output[OUTPUT_MAX];
    size_t kept;
    uint64_t bytes; /* of output, all told */
    uint64_t ms;
    struct trial_end end;
    bool made; /* a room existed and ended by itself */
};

static struct attempt attempt;
static struct bait bait;

/* --- what is told to the probes ------------------------------------------------------------------------- */

static void add_word(struct attempt *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_word(struct attempt *a, const char *fmt, ...)
{
    va_list ap;
    struct sbuf b = {.text = a->text + a->text_len, .size = sizeof a->text - a->text_len};
    if (a->argc + 1 >= WORDS_MAX || b.size < 2)
        return;
    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
    if (b.full)
        return;
    a->argv[a->argc++] = b.text;
    a->text_len += b.len + 1;
}

static void begin(struct attempt *a, const char *set)
{
    a->argc = a->text_len = a->kept = 0;
    a->bytes = a->ms = 0;
    a->made = false;
    memset(a->argv, 0, sizeof a->argv);
    add_word(a, WALL_PROGRAM);
    add_word(a, "selftest");
    add_word(a, "--inside");
    add_word(a, "%s", set);
}

static void tell_facts(struct attempt *a)
{
    char text[256];
    struct timespec up = {0};
    for (size_t i = 0; i < WALL_SPACES; i++) {
        char path[32];
        struct sbuf b = SBUF(path);
        sbuf_fmt(&b, "/proc/self/ns/%s", wall_spaces[i]);
        ssize_t n = readlink(path, text, sizeof text - 1);
        if (n > 0)
            add_word(a, "%s=%.*s", wall_spaces[i], (int)n, text);
    }
    if (gethostname(text, sizeof text) == 0)
        add_word(a, "name=%s", text);
    if (fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, sizeof text) > 0)
        add_word(a, "boot-id=%.36s", text);
    const char *home = getenv("HOME");
    if (home && home[0] == '/')
        add_word(a, "home=%s", home);
    (void)clock_gettime(CLOCK_BOOTTIME, &up); /* cannot fail */
    add_word(a, "uptime=%llu", (unsigned long long)up.tv_sec);
    add_word(a, "supervisor=%d", getpid());
    add_word(a, "uid=%u", (unsigned)geteuid());
    add_word(a, "token=%s", bait.token);
    add_word(a, "port=%u", (unsigned)bait.port);
    if (bait.shm >= 0)
        add_word(a, "shm=%d", bait.shm);
    for (size_t i = 0; i < bait.file_count; i++)
        add_word(a, "file=%s", bait.files[i]);
}

/* --- one room ------------------------------------------------------------------------------------------- */

static void read_output(struct attempt *a, int fd, unsigned ms)
{
    static char block[64 << 10];
    const uint64_t until = engine_now_ms() + ms;
    for (;;) {
        const uint64_t now = engine_now_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (now >= until || poll(&p, 1, (int)(until - now)) == 0)
            return;
        ssize_t n = read(fd, block, sizeof block);
        if (n == 0 || (n < 0 && errno != EINTR))
            return;
        for (ssize_t i = 0; i < n && a->kept < sizeof a->output - 1; i++)
            a->output[a->kept++] = block[i];
        a->bytes += n > 0 ? (uint64_t)n : 0;
    }
}

/* `words` is name, value, …, NULL: settings beside the default policy. */
static int make_policy(const char *const *words, struct policy **ret, struct err *e)
{
    char self[1024], volume[1100];
    struct sbuf b = SBUF(volume);
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return err_set(e, ERR_ROOM, errno, "find this program: /proc/self/exe");
    self[len] = '\0';
    sbuf_fmt(&b, "%s:" WALL_PROGRAM ":ro", self);
    struct policy *p = policy_new();
    if (!p)
        return err_set(e, ERR_INTERNAL, ENOMEM, "make a policy");
    int n = policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "volume", volume, e);
    for (; n == 0 && words && *words; words += 2)
        n = policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, words[0], words[1], e);
    if (n == 0)
        n = policy_check(p, NULL, NULL, e);
    if (n < 0)
        policy_free(p);
    else
        *ret = p;
    return n;
}

/* stdin -1: /dev/null. Always ends; whether there was a room is in a->made and a->end. */
static int run_room(struct attempt *a, const char *const *words, int in, void (*prepare)(void *), void *arg,
                    struct err *e)
{
    int out[2];
    struct trial t;
    struct policy *p;
    int n = make_policy(words, &p, e);
    if (n < 0)
        return n;
    if (pipe2(out, O_CLOEXEC) < 0) {
        policy_free(p);
        return err_set(e, ERR_ROOM, errno, "make a pipe");
    }
    const int stdio[3] = {in, out[1], -1};
    const uint64_t start = engine_now_ms();
    n = trial_start(&t, p, a->argv, stdio, prepare, arg);
    fd_close(&out[1]);
    if (n == 0) {
        read_output(a, out[0], ROOM_MS);
        trial_finish(&t, ROOM_MS, &a->end);
        a->made = a->end.ended && a->end.result.has_room;
    }
    a->ms = engine_now_ms() - start;
    a->output[a->kept] = '\0';
    fd_close(&out[0]);
    policy_free(p);
    if (n < 0)
        return err_set(e, ERR_ROOM, -n, "start a supervisor");
    return 0;
}

/* The same program without a room. */
static int run_bare(struct attempt *a, struct err *e)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC) < 0)
        return err_set(e, ERR_ROOM, errno, "make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(out[1], 1) == 1)
            (void)execv("/proc/self/exe", a->argv);
        _exit(127);
    }
    fd_close(&out[1]);
    if (pid > 0) {
        read_output(a, out[0], ROOM_MS);
        (void)kill(pid, SIGKILL); /* it has closed its output: it is over */
        (void)waitpid(pid, NULL, 0);
    }
    fd_close(&out[0]);
    a->output[a->kept] = '\0';
    return pid < 0 ? err_set(e, ERR_ROOM, errno, "start the probes") : 0;
}

/* --- verdicts ------------------------------------------------------------------------------------------- */

static struct wall_verdict *verdict_of(struct selftest *s, const char *name)
{
    const struct wall_row *row = wall_find(name, strlen(name));
    CHECK(row != NULL);
    s->asked[row - wall_rows] = true;
    return &s->verdicts[row - wall_rows];
}

static void give(struct selftest *s, const char *name, enum wall_state state, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void give(struct selftest *s, const char *name, enum wall_state state, const char *fmt, ...)
{
    va_list ap;
    struct wall_verdict *v = verdict_of(s, name);
    struct sbuf b = SBUF(v->detail);
    v->state = state;
    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
}

static void take_lines(struct selftest *s, const struct attempt *a)
{
    for (const char *line = a->output; *line;) {
        size_t len = strcspn(line, "\n");
        struct wall_verdict v;
        const struct wall_row *row = line[len] ? wall_parse_line(line, len, &v) : NULL;
        if (row)
            s->verdicts[row - wall_rows] = v;
        line += len + (line[len] != '\0');
    }
}

/* "word NUMBER" on the first line; UINT64_MAX when that is not what was said. */
static uint64_t said(const struct attempt *a, const char *word)
{
    size_t len = strlen(word);
    uint64_t n = 0;
    if (strncmp(a->output, word, len) != 0 || a->output[len] != ' ')
        return UINT64_MAX;
    for (const char *p = a->output + len + 1; *p >= '0' && *p <= '9' && n < 1ull << 50; p++)
        n = n * 10 + (uint64_t)(*p - '0');
    return n;
}

static bool nothing_left(const struct attempt *a)
{
    const struct teardown *t = &a->end.result.teardown;
    return a->end.ended && t->survivors == 0 && t->mounts == 0 && t->cgroups == 0;
}

/* Processes of the host, but us, whose command line has the token: a room's, for only it was told. */
static unsigned with_token(void)
{
    static char line[8192];
    unsigned n = 0;
    DIR *dir = opendir("/proc");
    if (!dir)
        return 0;
    for (const struct dirent *d; (d = readdir(dir)) != NULL;) {
        char path[300];
        struct sbuf b = SBUF(path);
        if (d->d_name[0] < '1' || d->d_name[0] > '9')
            continue;
        sbuf_fmt(&b, "/proc/%s/cmdline", d->d_name);
        ssize_t got = fd_read_file(AT_FDCWD, path, line, sizeof line);
        n += got > 0 && memmem(line, (size_t)got, bait.token, strlen(bait.token)) != NULL;
    }
    (void)closedir(dir); /* read-only */
    return n;
}

static const char *how(const struct attempt *a)
{
    return a->end.ended ? outcome_name(a->end.result.outcome) : "without a word";
}

/* --- the rooms ------------------------------------------------------------------------------------------ */

static void mark_asked(struct selftest *s, unsigned sets)
{
    for (size_t i = 0; i < wall_count; i++) {
        if (!(wall_rows[i].set & sets))
            continue;
        s->asked[i] = true;
        struct sbuf b = SBUF(s->verdicts[i].detail);
        s->verdicts[i].state = WALL_SKIP;
        sbuf_text(&b, "no answer came");
    }
}

static void judge_bounds(struct selftest *s, const struct result *r)
{
    static const unsigned leaf = LIMIT_BY_CGROUP1 | LIMIT_BY_CGROUP2;
    const unsigned all =
        r->limits[LIMIT_ID_MEMORY].by & r->limits[LIMIT_ID_PIDS].by & r->limits[LIMIT_ID_CPUS].by & leaf;
    if (all)
        give(s, "cgroup.leaf", WALL_HELD, "memory, processes and processor time");
    else
        give(s, "cgroup.leaf", WALL_SKIP, "degraded here: %s", r->layer_note[LAYER_ID_CGROUP]);
    if (r->denials.n)
        give(s, "denials.record", WALL_HELD, "%u kinds of calls recorded", (unsigned)r->denials.n);
    else if (r->report.layers[LAYER_ID_DENIALS].state == LAYER_STATE_ON)
        give(s, "denials.record", WALL_BROKE, "nothing was recorded");
    else
        give(s, "denials.record", WALL_SKIP, "not recorded here");
}

/* Layers that this host cannot give: what the receipt says openly is no broken wall. */
static void excuse(struct selftest *s, const struct result *r)
{
    for (size_t i = 0; i < wall_count; i++) {
        const enum layer_id layer = wall_rows[i].layer;
        if (s->verdicts[i].state == WALL_BROKE && r->report.layers[layer].state == LAYER_STATE_OFF &&
            layer_rows[layer].preset == LAYER_PREFER)
            s->verdicts[i].state = WALL_SKIP;
    }
}

static int look(struct selftest *s, struct err *e)
{
    static const char *const host_net[] = {"net", "host", NULL};
    struct attempt *a = &attempt;
    mark_asked(s, s->bare     ? WALL_LOOK
                  : s->attack ? WALL_LOOK | WALL_ROOM | WALL_ATTACK
                              : WALL_LOOK | WALL_ROOM);
    begin(a, s->bare ? "look" : s->attack ? "attack" : "room");
    tell_facts(a);
    int n = s->bare ? run_bare(a, e) : run_room(a, s->without_net ? host_net : NULL, -1, NULL, NULL, e);
    if (n < 0)
        return n;
    if (!s->bare && !a->made) {
        if (a->end.ended && a->end.e.kind != ERR_NONE)
            *e = a->end.e;
        else
            (void)err_set(e, ERR_ROOM, 0, "make a room: its supervisor ended without a word");
        return -EPROTO;
    }
    take_lines(s, a);
    if (s->bare)
        return 0;
    excuse(s, &a->end.result);
    judge_bounds(s, &a->end.result);
    return 0;
}

static void survive(struct selftest *s, struct err *e)
{
    struct attempt *a = &attempt;
    begin(a, "life.survivor");
    add_word(a, "token=%s", bait.token);
    if (run_room(a, NULL, -1, NULL, NULL, e) < 0 || !a->made)
        return;
    const struct teardown *t = &a->end.result.teardown;
    unsigned left = with_token();
    if (left || a->end.result.outcome != OUTCOME_EXITED || a->ms > 4000)
        give(s, "life.survivor", WALL_BROKE, "%u processes left, the room ended as %s", left, how(a));
    else
        give(s, "life.survivor", WALL_HELD, "three left behind, all gone after %u ms", (unsigned)a->ms);
    give(s, "life.teardown", nothing_left(a) ? WALL_HELD : WALL_BROKE,
         "survivors %d, mounts %d, cgroups %d, in %u us", t->survivors, t->mounts, t->cgroups,
         (unsigned)t->us);
}

/* --- attacks: each row a room --------------------------------------------------------------------------- */

static bool judge_forks(const struct attempt *a, struct sbuf *out)
{
    const uint64_t n = said(a, "forked");
    sbuf_fmt(out, "%lld forked of 32, room ended as %s after %u ms, survivors %d", (long long)n, how(a),
             (unsigned)a->ms, a->end.result.teardown.survivors);
    return n <= 32 && a->ms < 5000 && nothing_left(a);
}

static bool judge_memory(const struct attempt *a, struct sbuf *out)
{
    const struct limit_report *l = &a->end.result.limits[LIMIT_ID_MEMORY];
    const bool met = a->end.ended && (a->end.result.outcome == OUTCOME_MEMORY || l->hits > 0);
    const uint64_t n = said(a, "touched");
    sbuf_fmt(out, "4 x 48 MiB%s 64 asked for, room ended as %s",
             met ? " met the bound:" : " passed through:", how(a));
    return met && (n == UINT64_MAX || n <= 64) && nothing_left(a);
}

static bool judge_disk(const struct attempt *a, struct sbuf *out)
{
    const uint64_t n = said(a, "wrote");
    sbuf_fmt(out, "%lld bytes written of 8388608", (long long)n);
    return n <= 8 << 20 && nothing_left(a);
}

static bool judge_inodes(const struct attempt *a, struct sbuf *out)
{
    const uint64_t n = said(a, "made");
    sbuf_fmt(out, "%lld made of 200", (long long)n);
    return n <= 200 && nothing_left(a);
}

static bool judge_output(const struct attempt *a, struct sbuf *out)
{
    sbuf_fmt(out, "%llu bytes came of 1048576, room ended as %s", (unsigned long long)a->bytes, how(a));
    return a->bytes <= 1 << 20 && a->end.ended && a->end.result.outcome == OUTCOME_OUTPUT && nothing_left(a);
}

static bool judge_time(const struct attempt *a, struct sbuf *out)
{
    sbuf_fmt(out, "ended as %s after %u ms, 300 were given", how(a), (unsigned)a->ms);
    return a->end.ended && a->end.result.outcome == OUTCOME_TIMEOUT && a->ms < 2500 && nothing_left(a);
}

static bool judge_signals(const struct attempt *a, struct sbuf *out)
{
    const bool alive = said(a, "alive") == 1;
    sbuf_fmt(out, "pid 1 %s, room ended as %s", alive ? "unimpressed" : "hurt", how(a));
    return alive && a->end.ended && a->end.result.outcome == OUTCOME_EXITED && nothing_left(a);
}

static const struct {
    const char *name;
    const char *words[9];
    bool (*judge)(const struct attempt *a, struct sbuf *out);
} attacks[] = {
    {"attack.forks", {"pids", "32", "timeout", "1s", NULL}, judge_forks},
    {"attack.memory", {"memory", "64M", "prefer", "memory", "timeout", "6s", NULL}, judge_memory},
    {"attack.disk", {"disk", "8M", "timeout", "6s", NULL}, judge_disk},
    {"attack.inodes", {"inodes", "200", "timeout", "6s", NULL}, judge_inodes},
    {"attack.output", {"output", "1M", "timeout", "6s", NULL}, judge_output},
    {"attack.time", {"timeout", "300ms", NULL}, judge_time},
    {"attack.signals", {"timeout", "6s", NULL}, judge_signals},
};

static void attack_one(struct selftest *s, size_t i)
{
    struct attempt *a = &attempt;
    struct err e = {0};
    char detail[180];
    struct sbuf b = SBUF(detail);
    begin(a, attacks[i].name);
    add_word(a, "token=%s", bait.token);
    if (run_room(a, attacks[i].words, -1, NULL, NULL, &e) < 0 || !a->made) {
        give(s, attacks[i].name, WALL_SKIP, "no room: %.150s", e.kind != ERR_NONE ? e.text : a->end.e.text);
        return;
    }
    const bool held = attacks[i].judge(a, &b);
    const unsigned left = with_token();
    if (left)
        sbuf_fmt(&b, "; %u processes left", left);
    give(s, attacks[i].name, held && !left ? WALL_HELD : WALL_BROKE, "%s", detail);
}

/* In the supervisor: the terminal becomes its own. */
static void own_terminal(void *arg)
{
    const int *slave = arg;
    (void)setsid(); /* a fresh child: cannot fail */
    (void)ioctl(*slave, TIOCSCTTY, 0);
}

static void attack_terminal(struct selftest *s)
{
    static const char *const words[] = {"timeout", "6s", NULL};
    struct attempt *a = &attempt;
    struct err e = {0};
    int waiting = 0, unlock = 0;
    FD_AUTO master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    FD_AUTO slave = master >= 0 && ioctl(master, TIOCSPTLCK, &unlock) == 0
                        ? ioctl(master, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY | O_CLOEXEC)
                        : -1;
    struct termios raw;
    if (slave < 0 || tcgetattr(slave, &raw) < 0) {
        give(s, "attack.terminal", WALL_SKIP, "no terminal to try it on");
        return;
    }
    cfmakeraw(&raw);
    (void)tcsetattr(slave, TCSANOW, &raw); /* else what was typed waits for a newline, which it has */
    begin(a, "attack.terminal");
    add_word(a, "token=%s", bait.token);
    if (run_room(a, words, slave, own_terminal, &slave, &e) < 0 || !a->made) {
        give(s, "attack.terminal", WALL_SKIP, "no room: %.150s", e.kind != ERR_NONE ? e.text : a->end.e.text);
        return;
    }
    (void)ioctl(slave, FIONREAD, &waiting);
    const uint64_t typed = said(a, "typed");
    if (waiting || a->end.result.stdin_bytes || typed)
        give(s, "attack.terminal", WALL_BROKE, "%lld keys typed, %d arrived", (long long)typed,
             waiting + (int)a->end.result.stdin_bytes);
    else
        give(s, "attack.terminal", WALL_HELD, "no key arrived");
}

static void count(struct selftest *s)
{
    for (size_t i = 0; i < wall_count; i++) {
        if (!s->asked[i])
            continue;
        s->held += s->verdicts[i].state == WALL_HELD;
        s->broke += s->verdicts[i].state == WALL_BROKE;
        s->skipped += s->verdicts[i].state == WALL_SKIP;
    }
}

int selftest_run(struct selftest *s, struct err *e)
{
    CHECK(wall_count <= SELFTEST_MAX);
    host_begin();
    bait_plant(&bait, s->attack);
    int n = look(s, e);
    if (n == 0 && !s->bare)
        survive(s, e);
    for (size_t i = 0; n == 0 && s->attack && i < sizeof attacks / sizeof *attacks; i++)
        attack_one(s, i);
    if (n == 0 && s->attack)
        attack_terminal(s);
    bait_remove(&bait);
    host_end();
    count(s);
    return n;
}
