/* wall: the table of probes, and the program inside that runs them.
 *
 * Lives in: the room, as its program (and outside of any, where a test wants to see the probes fail). Each
 * probe has a process of its own, with a bounded time; that it is killed by the filter is an answer. Trusts:
 * what the host told. Must not: do harm where there is no room. */
#include "probe/wall.h"
#include "base/num.h"
#include "probe/wall_inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PROBE_SECONDS 3

const struct wall_row wall_rows[] = {
#define X(fn, name, layer, severity, set, tried) {name, LAYER_ID_##layer, WALL_##severity, WALL_##set, tried},
    WALL_TABLE(X)
#undef X
};
const size_t wall_count = sizeof wall_rows / sizeof *wall_rows;

static wall_fn *const functions[] = {
#define X(fn, ...) fn,
    WALL_TABLE(X)
#undef X
};

const char *const wall_spaces[WALL_SPACES] = {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time"};

const char *wall_severity_name(enum wall_severity s)
{
    static const char *const names[] = {[WALL_ESCAPE] = "escape",
                                        [WALL_LEAK] = "leak",
                                        [WALL_DOS] = "dos",
                                        [WALL_SURFACE] = "surface",
                                        [WALL_HYGIENE] = "hygiene"};
    return names[s];
}

const struct wall_row *wall_find(const char *name, size_t len)
{
    for (size_t i = 0; i < wall_count; i++) {
        if (strlen(wall_rows[i].name) == len && memcmp(wall_rows[i].name, name, len) == 0)
            return &wall_rows[i];
    }
    return NULL;
}

#define VERDICT_FUNCTION(name, value)                                                                        \
    void name(struct wall_verdict *v, const char *fmt, ...)                                                  \
    {                                                                                                        \
        va_list ap;                                                                                          \
        struct sbuf b = SBUF(v->detail);                                                                     \
        v->state = value;                                                                                    \
        va_start(ap, fmt);                                                                                   \
        sbuf_vfmt(&b, fmt, ap);                                                                              \
        va_end(ap);                                                                                          \
    }
VERDICT_FUNCTION(wall_held, WALL_HELD)
VERDICT_FUNCTION(wall_broke, WALL_BROKE)
VERDICT_FUNCTION(wall_skip, WALL_SKIP)

void wall_tried(struct wall_tries *t, bool broke, const char *name)
{
    t->tried++;
    if (!broke)
        return;
    struct sbuf b = {.text = t->names, .size = sizeof t->names, .len = strlen(t->names)};
    sbuf_fmt(&b, "%s%s", t->broken ? " " : "", name);
    t->broken++;
}

void wall_sum(struct wall_verdict *v, const struct wall_tries *t, const char *broke, const char *held)
{
    if (t->broken)
        wall_broke(v, "%s: %s", broke, t->names);
    else
        wall_held(v, "%s (%u tried)", held, t->tried);
}

/* --- lines ---------------------------------------------------------------------------------------------- */

static const char *const state_words[] = {[WALL_SKIP] = "SKIP", [WALL_HELD] = "HELD", [WALL_BROKE] = "BROKE"};

const struct wall_row *wall_parse_line(const char *line, size_t len, struct wall_verdict *ret)
{
    const char *end = line + len, *tab = memchr(line, '\t', len);
    const char *tab2 = tab ? memchr(tab + 1, '\t', (size_t)(end - tab - 1)) : NULL;
    if (!tab2)
        return NULL;
    const struct wall_row *row = wall_find(tab + 1, (size_t)(tab2 - tab - 1));
    for (size_t i = 0; row && i < sizeof state_words / sizeof *state_words; i++) {
        if (strlen(state_words[i]) != (size_t)(tab - line) ||
            memcmp(state_words[i], line, (size_t)(tab - line)) != 0)
            continue;
        struct sbuf b = SBUF(ret->detail);
        ret->state = (enum wall_state)i;
        sbuf_bytes(&b, tab2 + 1, (size_t)(end - tab2 - 1));
        return row;
    }
    return NULL;
}

/* --- inside --------------------------------------------------------------------------------------------- */

static const char *value_of(const char *word, const char *key)
{
    size_t len = strlen(key);
    return strncmp(word, key, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static void take_number(const char *word, const char *key, uint64_t *ret)
{
    const char *value = value_of(word, key);
    if (value)
        (void)num_u64(value, ret); /* else it stays 0, which no probe compares with */
}

static void take_word(struct wall_ask *a, const char *word)
{
    const struct {
        const char *key, **to;
    } texts[] = {{"name", &a->name}, {"boot-id", &a->boot_id}, {"home", &a->home}, {"token", &a->token}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (value_of(word, texts[i].key))
            *texts[i].to = value_of(word, texts[i].key);
    }
    for (size_t i = 0; i < WALL_SPACES; i++) {
        if (value_of(word, wall_spaces[i]))
            a->spaces[i] = value_of(word, wall_spaces[i]);
    }
    take_number(word, "uptime", &a->uptime);
    take_number(word, "supervisor", &a->supervisor);
    take_number(word, "uid", &a->uid);
    take_number(word, "port", &a->port);
    take_number(word, "shm", &a->shm_id);
    a->told_shm |= value_of(word, "shm") != NULL;
    if (value_of(word, "file") && a->file_count < sizeof a->files / sizeof *a->files)
        a->files[a->file_count++] = value_of(word, "file");
}

static void run_one(size_t i, const struct wall_ask *a, struct wall_verdict *page)
{
    int status = 0;
    *page = (struct wall_verdict){.state = WALL_SKIP};
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(PROBE_SECONDS); /* returns what was left of none */
        functions[i](a, page);
        _exit(0);
    }
    if (pid < 0) {
        wall_skip(page, "no process to try it in: %s", strerror(errno));
        return;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        wall_held(page, "killed by the filter");
    else if (WIFSIGNALED(status))
        wall_skip(page, "the probe was ended by signal %d", WTERMSIG(status));
    else if (!page->detail[0])
        wall_skip(page, "the probe said nothing");
}

int wall_inside(int argc, char **argv)
{
    static char line[512];
    struct wall_ask a = {0};
    unsigned sets = WALL_LOOK;
    if (argc < 1)
        return 125;
    int bomb = wall_bomb(argv[0]);
    if (bomb >= 0)
        return bomb;
    if (strcmp(argv[0], "room") == 0)
        sets |= WALL_ROOM;
    else if (strcmp(argv[0], "attack") == 0)
        sets |= WALL_ROOM | WALL_ATTACK;
    else if (strcmp(argv[0], "look") != 0)
        return 125;
    for (int i = 1; i < argc; i++)
        take_word(&a, argv[i]);
    struct wall_verdict *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 125;
    for (size_t i = 0; i < wall_count; i++) {
        if (!functions[i] || !(wall_rows[i].set & sets))
            continue;
        run_one(i, &a, page);
        struct sbuf b = SBUF(line);
        sbuf_fmt(&b, "%s\t%s\t", state_words[page->state], wall_rows[i].name);
        sbuf_escaped(&b, page->detail);
        sbuf_char(&b, '\n');
        if (fd_write_all(1, b.text, b.len) < 0)
            return 125;
    }
    return 0;
}
