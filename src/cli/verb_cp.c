/* verb_cp: `strongroom cp SRC DST`: files into a room that lives, and out of it.
 *
 * Theory of operation. On the room's side a tar of the room's own runs in the room, under all of its walls, so that
 * whatever lies there leads it nowhere else. Between its pipe and the host stands strongroom-tar: it packs what goes
 * in, and of what comes out it makes only what may be made. What a room says about itself only chooses between ways
 * that are all safe.
 *
 * Lives in: the command. Trusts: nothing that comes out of the room. Must not: read a stream itself. */
#include "base/num.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "engine/tar.h"
#include "rooms/client.h"
#include "sys/fd.h"
#include "sys/words.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_SIZE 4096

static const char help_text[] =
    "Usage: strongroom cp [OPTION...] ROOM:SRC DST\n"
    "       strongroom cp [OPTION...] SRC ROOM:DST\n"
    "Copies between the host and a running room that has a name. Of SRC/. what is in\n"
    "the folder is copied. With - instead of the host's path a tar stream goes to\n"
    "stdout, or comes from stdin and is unpacked in the folder DST. Files that are\n"
    "there are replaced; devices, pipes, links that lead out, set-user-ID bits and\n"
    "names like ../x never come out of a room.\n\n"
    "      --max SIZE         copy no more than that\n"
    "  -q, --quiet            do not list what is left out\n"
    "  -h, --help             show this text\n";

struct side {
    char room[256]; /* "": the host */
    const char *path;
    char whole[PATH_SIZE]; /* in the room: absolute */
};

struct copy {
    struct side from, to;
    uint64_t max;
    bool quiet, help;
};

/* A path with its last part cut off, and that part. */
struct split {
    char dir[PATH_SIZE], base[TAR_NAME_MAX];
    bool content; /* it ends in "/.", or is such a place itself */
    bool slash;   /* it ends in "/" */
};

/* --- words ---------------------------------------------------------------------------------------------- */

static int take_side(struct side *s, const char *word, struct err *e)
{
    const char *colon = word[0] == '/' || word[0] == '.' || word[0] == '-' ? NULL : strchr(word, ':');
    s->path = word;
    if (!colon)
        return 0;
    struct sbuf room = SBUF(s->room), whole = SBUF(s->whole);
    sbuf_bytes(&room, word, (size_t)(colon - word));
    sbuf_fmt(&whole, "%s%s", colon[1] == '/' ? "" : "/", colon + 1);
    s->path = s->whole;
    if (!room.full && !whole.full && room.len)
        return 0;
    return err_set(e, ERR_USAGE, 0, "cp: \"%.60s\": no room and path", word);
}

static int parse(struct copy *c, int argc, char **argv, struct err *e)
{
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
        const char *word = argv[at], *value = NULL;
        if (strcmp(word, "--") == 0) {
            at++;
            break;
        }
        if (strcmp(word, "-q") == 0 || strcmp(word, "--quiet") == 0) {
            c->quiet = true;
        } else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
            c->help = true;
            return 0;
        } else if (strncmp(word, "--max=", 6) == 0 || (strcmp(word, "--max") == 0 && at + 1 < argc)) {
            value = word[5] ? word + 6 : argv[++at];
            if (num_size(value, &c->max) < 0 || c->max == 0) {
                err_set(e, ERR_USAGE, 0, "cp: --max: \"%.60s\": not a size", value);
                return err_hint(e, "wanted e.g. 64k, 10M");
            }
        } else {
            err_set(e, ERR_USAGE, 0, "cp: unknown option %.60s", word);
            return err_hint(e, "strongroom cp --help lists them");
        }
    }
    if (argc - at != 2) {
        err_set(e, ERR_USAGE, 0, "cp: one source and one destination, please");
        return err_hint(e, "strongroom cp ROOM:/work/results . or strongroom cp ./data ROOM:/work");
    }
    int r = take_side(&c->from, argv[at], e);
    if (r == 0)
        r = take_side(&c->to, argv[at + 1], e);
    if (r == 0 && !c->from.room[0] == !c->to.room[0]) {
        err_set(e, ERR_USAGE, 0, "cp: one side is a room's, the other the host's");
        return err_hint(e, "a room's path is ROOM:PATH; write a host's path with a colon as ./PATH");
    }
    return r;
}

static int split(const char *path, struct split *ret, struct err *e)
{
    char text[PATH_SIZE];
    struct sbuf b = SBUF(text), dir = SBUF(ret->dir), base = SBUF(ret->base);
    sbuf_text(&b, path);
    *ret->dir = *ret->base = '\0';
    ret->slash = b.len > 1 && text[b.len - 1] == '/';
    while (b.len > 1 && text[b.len - 1] == '/')
        text[--b.len] = '\0';
    const char *slash = strrchr(text, '/'), *last = slash ? slash + 1 : text;
    ret->content = strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || last[0] == '\0';
    if (ret->content) {
        sbuf_text(&dir, text);
    } else {
        sbuf_bytes(&dir, slash ? text : ".", slash ? (slash == text ? 1 : (size_t)(slash - text)) : 1);
        sbuf_text(&base, last);
    }
    return b.full || dir.full || base.full ? err_set(e, ERR_USAGE, ENAMETOOLONG, "cp: %.200s", path) : 0;
}

/* --- in the room ---------------------------------------------------------------------------------------- */

/* Starts a program in the room; *ret_sock tells its end. Descriptors that are -1 are /dev/null there. */
static int start(const char *room, char **argv, int in, int out, int err, int *ret_sock, struct err *e)
{
    static struct rooms_frame f;
    char *none[] = {NULL};
    const struct words w = {.workdir = "", .args = argv, .vars = none};
    FD_AUTO null = open("/dev/null", O_RDWR | O_CLOEXEC);
    FD_AUTO words = words_write(&w);
    int sock = words < 0 || null < 0 ? err_set(e, ERR_INTERNAL, EIO, "start %s in the room", argv[0])
                                     : rooms_connect(room, e);
    if (sock < 0)
        return sock;
    struct rooms_fds fds = {.send = {words, in < 0 ? null : in, out < 0 ? null : out, err < 0 ? null : err},
                            .got = {-1, -1, -1, -1},
                            .n_send = 4};
    int r = rooms_call_fds(sock, ROOMS_EXEC, 0, "", &fds, &f, e);
    if (r == 0 && f.type != ROOMS_STARTED) {
        char what[128];
        struct sbuf b = SBUF(what);
        sbuf_fmt(&b, "run %s in the room %.64s", argv[0], room);
        r = rooms_refused(&f, what, e);
    }
    const int handle = f.value;
    if (r == 0) {
        rooms_frame_fill(&f, ROOMS_WAIT, handle, "");
        r = fd_frame_send(sock, &f, sizeof f, NULL, 0, MSG_NOSIGNAL);
        if (r < 0)
            r = err_set(e, ERR_ROOM, 0, "run %s in the room %.64s: the room has ended", argv[0], room);
    }
    if (r < 0)
        fd_close(&sock);
    else
        *ret_sock = sock;
    return r;
}

/* Its wait status. */
static int wait_end(int *sock, int *ret_status, struct err *e)
{
    static struct rooms_frame f;
    rooms_be_patient(*sock);
    int r = fd_frame_recv(*sock, &f, sizeof f, NULL, 0, 0);
    fd_close(sock);
    if (r < 0 || rooms_frame_check(&f, ROOMS_ROOM, 0) < 0 || f.type != ROOMS_ENDED)
        return err_set(e, ERR_ROOM, 0, "copy: the room has ended");
    *ret_status = f.value;
    return 0;
}

/* What is at a path of the room: 'd' a folder, 'f' something else, 'n' nothing, in a folder that is there; 'x' not
 * even that. *ret_link: it is a link, which leads there. */
static int look(const char *room, const char *path, char *ret_kind, bool *ret_link, struct err *e)
{
    static char script[] =
        "if [ -h \"$1\" ]; then l=l; else l=.; fi\n"
        "if [ -d \"$1\" ]; then echo ${l}d; elif [ -e \"$1\" ] || [ $l = l ]; then echo ${l}f\n"
        "elif [ -d \"$(dirname -- \"$1\")\" ]; then echo ${l}n; else echo ${l}x; fi";
    static char sh[] = "/bin/sh", dash_c[] = "-c";
    char *argv[] = {sh, dash_c, script, sh, (char *)(uintptr_t)path, NULL};
    char answer[4] = "";
    int pipes[2], sock = -1, status = 0;
    size_t have = 0;
    ssize_t n;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "make a pipe");
    int r = start(room, argv, -1, pipes[1], -1, &sock, e);
    fd_close(&pipes[1]);
    while (r == 0 && have < sizeof answer - 1 &&
           (n = read(pipes[0], answer + have, sizeof answer - 1 - have)) > 0)
        have += (size_t)n;
    fd_close(&pipes[0]);
    if (r == 0)
        r = wait_end(&sock, &status, e);
    fd_close(&sock);
    if (r < 0)
        return r;
    if (have < 2 || !strchr("dfnx", answer[1]))
        return err_set(e, ERR_ROOM, 0, "look at %.200s in the room %.64s: no answer", path, room);
    *ret_kind = answer[1];
    *ret_link = answer[0] == 'l';
    return 0;
}

/* --- the copy ------------------------------------------------------------------------------------------- */

static void tell(void *ctx, const char *line)
{
    const struct copy *c = ctx;
    char text[TAR_TEXT_MAX + 64];
    struct sbuf b = SBUF(text);
    sbuf_text(&b, "strongroom: ");
    sbuf_escaped(&b, line);
    sbuf_char(&b, '\n');
    if (!c->quiet)
        say_stderr(&b);
}

/* The room's tar had this to say, and ended so. */
static int room_failed(int status, const char *said, struct err *e)
{
    char line[200];
    struct sbuf b = SBUF(line);
    sbuf_bytes(&b, said, strcspn(said, "\n") < sizeof line - 1 ? strcspn(said, "\n") : sizeof line - 1);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(e, ERR_ROOM, 0, "copy: the room has no /usr/bin/tar");
    return err_set(e, ERR_ROOM, 0, "copy: tar in the room %s %d%s%s",
                   WIFEXITED(status) ? "ended with" : "was ended by signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), line[0] ? ": " : "", line);
}

/* tar in the room at one end of a pipe, strongroom-tar at the other; `other` is its own other end. */
static int stream(struct copy *c, char **argv, const struct tar_order *o, int other, struct err *e)
{
    const bool out = c->from.room[0] != '\0';
    struct tar_session t = {.ctl = -1};
    struct err mine = {0};
    char said[1024] = "";
    int data[2], noise[2], sock = -1, status = 0;
    if (pipe2(data, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "make a pipe");
    int r = pipe2(noise, O_CLOEXEC) < 0 ? err_set(e, ERR_INTERNAL, errno, "make a pipe") : 0;
    if (r < 0) {
        fd_close(&data[0]);
        fd_close(&data[1]);
        return r;
    }
    r = start(out ? c->from.room : c->to.room, argv, out ? -1 : data[0], out ? data[1] : -1, noise[1], &sock,
              e);
    fd_close(&noise[1]);
    (void)fcntl(noise[0], F_SETFL, O_NONBLOCK); /* who wrote there may live on; cannot fail */
    fd_close(&data[out]);
    if (r == 0)
        r = out ? tar_start(&t, o, data[0], other, e)
                : tar_start(&t, o, o->what == TAR_PACK ? data[1] : other,
                            o->what == TAR_PACK ? other : data[1], e);
    fd_close(&data[!out]);
    if (r == 0)
        r = tar_finish(&t, noise[0], said, sizeof said, tell, c, NULL, e);
    if (sock >= 0 && wait_end(&sock, &status, &mine) < 0 && r == 0) {
        *e = mine;
        r = -EIO;
    }
    if (said[0] == '\0') { /* it had no time to read it */
        const ssize_t n = read(noise[0], said, sizeof said - 1);
        said[n > 0 ? n : 0] = '\0';
    }
    fd_close(&noise[0]);
    if (status && (r == 0 || (!out && r == -EPIPE))) /* what went in was not taken: the reason is there */
        r = room_failed(status, said, e);
    return r;
}

static int copy_in(struct copy *c, struct err *e)
{
    static char tar[] = "/usr/bin/tar", x[] = "-x", p[] = "-p", f[] = "-f", dash[] = "-",
                own[] = "--no-same-owner", dir[] = "-C";
    static struct split src, dst;
    struct tar_order o = {.what = TAR_PACK, .bytes_max = c->max};
    struct sbuf name = SBUF(o.name), only = SBUF(o.only);
    const bool is_stream = strcmp(c->from.path, "-") == 0;
    char kind = 'x';
    bool link = false;
    struct stat s;
    int r = look(c->to.room, c->to.path, &kind, &link, e);
    if (r < 0 || (r = split(c->to.path, &dst, e)) < 0)
        return r;
    const char *base = kind == 'd' ? c->to.path : dst.dir;
    char *argv[] = {tar, x, p, f, dash, own, dir, (char *)(uintptr_t)base, NULL};
    if (is_stream && kind != 'd')
        return err_set(e, ERR_IO, 0, "copy to %.200s in the room: there is no such folder", c->to.path);
    if (is_stream) {
        o.what = TAR_FILTER;
        return stream(c, argv, &o, 0, e);
    }
    if ((r = split(c->from.path, &src, e)) < 0)
        return r;
    FD_AUTO from = open(c->from.path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (from < 0 || fstat(from, &s) < 0)
        return err_set(e, ERR_IO, errno, "copy %.200s", c->from.path);
    const bool folder = S_ISDIR(s.st_mode);
    if (!folder && !S_ISREG(s.st_mode))
        return err_set(e, ERR_IO, 0, "copy %.200s: neither a file nor a folder", c->from.path);
    if (kind == 'x' || (kind == 'n' && dst.slash && !folder))
        return err_set(e, ERR_IO, 0, "copy to %.200s in the room: there is no such folder", c->to.path);
    if (kind == 'f' && folder)
        return err_set(e, ERR_IO, 0, "copy to %.200s in the room: it is there and no folder", c->to.path);
    if (kind == 'd' && !(folder && src.content))
        sbuf_text(&name, src.base);
    else if (kind != 'd')
        sbuf_text(&name, dst.base);
    if (folder)
        return stream(c, argv, &o, from, e);
    sbuf_text(&only, src.base);
    FD_AUTO around = open(src.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (around < 0)
        return err_set(e, ERR_IO, errno, "copy %.200s", c->from.path);
    return stream(c, argv, &o, around, e);
}

/* Where it goes on the host, and under which name. */
static int open_target(struct copy *c, const struct split *src, bool folder, struct tar_order *o, int *ret,
                       struct err *e)
{
    static struct split dst;
    const char *path = c->to.path;
    struct sbuf name = SBUF(o->name);
    struct stat s;
    int r = split(path, &dst, e);
    if (r < 0)
        return r;
    const bool there = stat(path, &s) == 0, into = there && S_ISDIR(s.st_mode);
    if (there && !into && folder)
        return err_set(e, ERR_IO, 0, "copy to %.200s: it is there and no folder", path);
    if (!there && dst.slash && !folder)
        return err_set(e, ERR_IO, ENOENT, "copy to %.200s", path);
    if (!there && src->content && mkdir(path, 0755) < 0)
        return err_set(e, ERR_IO, errno, "make %.200s", path);
    if (!src->content) {
        o->flags = TAR_MEMBER | (folder ? 0 : TAR_FILE);
        sbuf_text(&name, into ? src->base : dst.base);
    }
    *ret = open(into || src->content ? path : dst.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? err_set(e, ERR_IO, errno, "copy to %.200s", path) : 0;
}

static int copy_out(struct copy *c, struct err *e)
{
    static char tar[] = "/usr/bin/tar", create[] = "-cS", f[] = "-f", dash[] = "-", dir[] = "-C",
                pax[] = "--format=pax", dot[] = ".", end[] = "--";
    static struct split src;
    struct tar_order o = {.what = TAR_EXTRACT, .bytes_max = c->max};
    char kind = 'x';
    bool link = false;
    FD_AUTO to = -1;
    int r = split(c->from.path, &src, e);
    if (r == 0)
        r = look(c->from.room, c->from.path, &kind, &link, e);
    if (r < 0)
        return r;
    if (kind == 'n' || kind == 'x')
        return err_set(e, ERR_NOT_FOUND, 0, "copy %.200s out of the room %.64s: it is not there",
                       c->from.path, c->from.room);
    if (src.content && kind != 'd')
        return err_set(e, ERR_IO, 0, "copy %.200s out of the room %.64s: no folder", c->from.path,
                       c->from.room);
    if (strcmp(src.dir, "/") == 0 && src.content) {
        err_set(e, ERR_USAGE, 0, "copy / out of the room: most of it is the host's system");
        return err_hint(e, "name what the room wrote, such as /work");
    }
    char *argv[] = {tar, create, pax, f, dash, dir, src.dir, end, src.content ? dot : src.base, NULL};
    if (strcmp(c->to.path, "-") == 0) {
        if (isatty(1)) {
            err_set(e, ERR_USAGE, 0, "cp: a tar stream is nothing for a terminal");
            return err_hint(e, "send it into a file or to tar -x");
        }
        o.what = TAR_FILTER;
        return stream(c, argv, &o, 1, e);
    }
    r = open_target(c, &src, kind == 'd' && !link, &o, &to, e);
    return r < 0 ? r : stream(c, argv, &o, to, e);
}

int verb_cp(int argc, char **argv)
{
    static struct copy c;
    struct err e = {0};
    if (parse(&c, argc, argv, &e) < 0)
        return say_error(&e);
    if (c.help) {
        char text[sizeof help_text];
        struct sbuf b = SBUF(text);
        sbuf_text(&b, help_text);
        return say_stdout(&b);
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a closed reader is an error value; cannot fail */
    const int r = c.from.room[0] ? copy_out(&c, &e) : copy_in(&c, &e);
    return r < 0 ? say_error(&e) : 0;
}
