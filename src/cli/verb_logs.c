/* verb_logs: `strongroom logs [-f] ROOM` and `strongroom attach ROOM`: what the program of a room that lives on wrote.
 *
 * The room's keeper keeps the last part of each stream in a memory file used as a ring, and hands out descriptors that
 * can only read. stdout goes to stdout and stderr to stderr; bytes that were overwritten before they were read are
 * counted, and said.
 *
 * Lives in: the command. Trusts: nothing of argv; of the keeper's frames their form, once it was checked. */
#include "base/num.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "engine/relay.h"
#include "rooms/client.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct log {
    uint64_t written[2]; /* by the program so far */
    uint64_t size;       /* of each ring */
    bool ended;
    int status; /* the room's, when it has ended */
};

/* "OUT ERR SIZE runs", "OUT ERR SIZE ended STATUS" */
static bool read_state(char *text, struct log *ret)
{
    char *w[6];
    uint64_t status = 0;
    int n = 0;
    for (char *p = text; *p && n < 5;) {
        w[n++] = p;
        p += strcspn(p, " ");
        if (*p)
            *p++ = '\0';
    }
    if (n < 4 || num_u64(w[0], &ret->written[0]) < 0 || num_u64(w[1], &ret->written[1]) < 0 ||
        num_u64(w[2], &ret->size) < 0 || ret->size != RELAY_RING_SIZE)
        return false;
    ret->ended = strcmp(w[3], "ended") == 0;
    if (ret->ended && (n != 5 || num_u64(w[4], &status) < 0 || status > 255))
        return false;
    ret->status = (int)status;
    return true;
}

static void say_lost(uint64_t bytes, int stream)
{
    char text[128];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, "strongroom: note: %llu earlier bytes of %s are no longer kept\n", (unsigned long long)bytes,
             stream ? "stderr" : "stdout");
    say_stderr(&b);
}

/* Everything of one stream since `seen`, which moves on. The program may write faster than our reader reads: each part
 * is looked at again before it is passed on. */
static int copy(int ring, const struct log *l, int stream, uint64_t *seen)
{
    const uint64_t end = l->written[stream], kept = end > l->size ? end - l->size : 0;
    char buffer[16384];
    uint64_t gone = *seen < kept ? kept - *seen : 0;

    *seen += gone;
    while (*seen < end) {
        uint64_t lost = 0;
        const int64_t n = relay_ring_read(ring, *seen, end, buffer, sizeof buffer, &lost);
        if (n < 0)
            return (int)n;
        gone += lost;
        *seen += lost;
        if (n > 0 && gone > 0) {
            say_lost(gone, stream);
            gone = 0;
        }
        int r = fd_write_all(stream + 1, buffer, (size_t)n);
        if (r < 0)
            return r;
        *seen += (uint64_t)n;
    }
    if (gone > 0)
        say_lost(gone, stream);
    return 0;
}

static int deliver(const int *rings, const struct log *l, uint64_t seen[2], struct err *e)
{
    for (int i = 0; i < 2; i++) {
        int r = copy(rings[i], l, i, &seen[i]);
        if (r < 0)
            return err_set(e, ERR_IO, -r, "write the room's %s", i ? "stderr" : "stdout");
    }
    return 0;
}

static int ask(int sock, const char *seen, bool again, struct log *ret, struct rooms_fds *fds, struct err *e)
{
    static struct rooms_frame f;
    char text[ROOMS_TEXT_MAX + 1];
    int r = rooms_call_fds(sock, ROOMS_LOGS, again, seen, fds, &f, e);
    if (r < 0)
        return r;
    if (f.type == ROOMS_REFUSED)
        return rooms_refused(&f, "read the room's logs", e);
    rooms_frame_text(&f, text);
    if (f.type != ROOMS_LOG || fds->got[1] < 0 || !read_state(text, ret))
        return err_set(e, ERR_ROOM, 0, "read the room's logs: it is of another version of strongroom");
    return 0;
}

/* The keeper is gone; what it wrote last stays in the rings that we hold. false: it was killed, or never said. */
static bool look_back(const int *rings, struct log *ret)
{
    struct relay_ring mark[2];
    for (int i = 0; i < 2; i++) {
        if (rings[i] < 0 || relay_ring_look(rings[i], &mark[i]) < 0 || mark[i].ended == 0)
            return false;
        ret->written[i] = mark[i].begun;
    }
    ret->ended = true;
    ret->status = (int)(mark[0].ended - 1);
    return true;
}

static void close_all(struct rooms_fds *fds)
{
    for (size_t i = 0; i < ROOMS_FDS_MAX; i++)
        fd_close(&fds->got[i]);
}

static int follow(int sock, bool from_now, bool on, struct log *l, struct err *e)
{
    uint64_t seen[2] = {0, 0};
    struct rooms_fds rings = {.got = {-1, -1, -1, -1}};
    char text[64] = "";
    bool first = from_now;
    int r;
    do {
        struct rooms_fds fds = {.n_send = 0};
        r = ask(sock, text, on, l, &fds, e);
        if (r < 0 && look_back(rings.got, l)) {
            close_all(&fds);
            r = 0;
        } else {
            close_all(&rings);
            rings = fds;
        }
        if (r == 0 && first)
            memcpy(seen, l->written, sizeof seen);
        if (r == 0)
            r = deliver(rings.got, l, seen, e);
        struct sbuf b = SBUF(text);
        text[0] = '\0';
        sbuf_fmt(&b, "%llu %llu", (unsigned long long)seen[0], (unsigned long long)seen[1]);
        first = false;
    } while (r == 0 && on && !l->ended);
    close_all(&rings);
    return r;
}

int verb_logs(int argc, char **argv)
{
    const bool attach = strcmp(argv[0], "attach") == 0;
    struct err e = {0};
    struct log l = {.size = 1};
    bool on = attach;
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "-h") == 0 || strcmp(argv[at], "--help") == 0) {
            char text[512];
            struct sbuf b = SBUF(text);
            sbuf_text(&b, attach
                              ? "Usage: strongroom attach ROOM\n"
                                "Shows what the room's program writes from now on; exits with its status.\n"
                              : "Usage: strongroom logs [-f] ROOM\n"
                                "Shows what the program of a room started with --detach wrote.\n"
                                "  -f, --follow  and what it goes on to write, until it ends\n");
            return say_stdout(&b);
        }
        if (attach || (strcmp(argv[at], "-f") != 0 && strcmp(argv[at], "--follow") != 0)) {
            (void)err_set(&e, ERR_USAGE, 0, "%s: unknown option %.60s", argv[0], argv[at]);
            (void)err_hint(&e, "strongroom %s --help tells more", argv[0]);
            return say_error(&e);
        }
        on = true;
    }
    if (argc - at != 1) {
        (void)err_set(&e, ERR_USAGE, 0, "%s: wanted one room", argv[0]);
        (void)err_hint(&e, "strongroom ps lists them");
        return say_error(&e);
    }
    FD_AUTO sock = rooms_connect(argv[at], &e);
    if (sock < 0)
        return say_error(&e);
    rooms_be_patient(sock);
    if (follow(sock, attach, on, &l, &e) < 0)
        return say_error(&e);
    return attach ? l.status : 0;
}
