/* strongroom-tar: tar streams into folders and out of them.
 *
 * Theory of operation. One order (tree/tar_frames.h), one stream, one report. Streams come from rooms and from
 * anywhere; libarchive reads them here, in a process that has nothing but the two ends of the copy: Landlock, a list
 * of system calls, no network. What is made, is made by our own code beneath a descriptor.
 *
 * Lives in: a process of its own. Trusts: strongroom, by the form of its frame. May: write beneath the folder of an
 * EXTRACT. Must not: read a byte of a stream before it is confined. */
#include "base/sbuf.h"
#include "helpers/tar/work.h"
#include "sys/fd.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRAIL_MAX ((size_t)1 << 20) /* behind the end of an archive */
#define BLOCK     ((size_t)64 << 10)

static struct tar_report report;

static void send_report(enum tar_report_type type)
{
    report.type = type;
    report.version = TAR_FRAMES_VERSION;
    if (fd_frame_send(TAR_CONTROL_FD, &report, sizeof report, NULL, 0, MSG_NOSIGNAL) < 0)
        _exit(1);
    memset(&report, 0, sizeof report);
}

static int tell(const char *line)
{
    struct sbuf b = SBUF(report.text);

    sbuf_text(&b, line);
    send_report(TAR_TEXT);
    return 0;
}

static bool ends(const char *text)
{
    return memchr(text, '\0', TAR_NAME_MAX) != NULL;
}

static bool is_folder(int fd)
{
    struct stat s;

    return fstat(fd, &s) == 0 && S_ISDIR(s.st_mode);
}

static bool good_name(const char *name)
{
    return !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* One such after the other. */
static bool good_path(const char *path)
{
    char part[TAR_NAME_MAX];

    for (const char *at = path;; at++) {
        const size_t n = strcspn(at, "/");
        memcpy(part, at, n);
        part[n] = '\0';
        if (n == 0 || !good_name(part))
            return false;
        at += n;
        if (*at == '\0')
            return true;
    }
}

static int take_order(struct work *w)
{
    struct tar_order *o = &w->order;
    int fds[FD_FRAME_FDS_MAX];
    const int n = fd_frame_recv(TAR_CONTROL_FD, o, sizeof *o, fds, FD_FRAME_FDS_MAX, 0);

    if (n < 0)
        return n;
    if (n != 2 || o->version != TAR_FRAMES_VERSION || o->what == 0 || o->what >= TAR_WHAT_COUNT ||
        !ends(o->name) || !ends(o->only) || !good_name(o->only) ||
        !(o->flags & TAR_BELOW ? good_path(o->name) : good_name(o->name)) ||
        o->entries_max > TAR_ENTRIES_MAX || (o->flags & (TAR_MEMBER | TAR_FILE) && !o->name[0]))
        return -EPROTO;
    w->in = fds[o->what == TAR_PACK];
    w->out = fds[o->what != TAR_PACK];
    if (is_folder(fds[0]) || is_folder(fds[1]) == (o->what == TAR_FILTER))
        return -EPROTO;
    return 0;
}

/* So that who writes the stream does not find its reader gone. */
static void drain(int fd)
{
    static char block[BLOCK];
    size_t seen = 0;
    ssize_t n;

    while (seen < TRAIL_MAX && (n = read(fd, block, sizeof block)) > 0)
        seen += (size_t)n;
}

static int run(struct work *w)
{
    struct archive *from = w->order.what == TAR_PACK ? NULL : take_reader();
    struct archive *to = w->order.what == TAR_EXTRACT ? NULL : pack_writer(w->out, w->order.flags & TAR_MORE);
    int r = 0;

    if ((w->order.what != TAR_PACK && !from) || (w->order.what != TAR_EXTRACT && !to))
        r = work_fail(w, ENOMEM, "begin a tar stream");
    if (r == 0 && from && archive_read_open_fd(from, w->in, BLOCK) != ARCHIVE_OK)
        r = work_fail(w, EBADMSG, "read the tar stream: %s", archive_error_string(from));
    if (r == 0)
        r = from ? take_all(w, from, to) : pack_all(w, to);
    if (r == 0 && from)
        drain(w->in);
    if (r == 0 && to &&
        (w->order.flags & TAR_MORE ? archive_write_finish_entry(to) : archive_write_close(to)) != ARCHIVE_OK)
        r = work_fail(w, EIO, "write the tar stream: %s", archive_error_string(to));
    return r; /* the archives go with the process: closing one that failed would write its end */
}

int main(void)
{
    static struct work w = {.in = -1, .out = -1, .tell = tell};
    const char *what = "";

    (void)signal(SIGPIPE, SIG_IGN);       /* an error value instead; cannot fail */
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* without it names beyond ASCII come as raw bytes */
    umask(0);
    int r = take_order(&w);
    if (r < 0)
        (void)work_fail(&w, -r, "take the order: %s", strerror(-r));
    else if ((r = tar_confine(&w, &what)) < 0)
        (void)work_fail(&w, -r, "strongroom-tar cannot confine itself: %s: %s", what, strerror(-r));
    else
        r = run(&w);
    report.code = -r;
    report.files = w.files;
    report.bytes = w.bytes;
    report.left_out = w.left_out;
    memcpy(report.text, w.why, sizeof w.why);
    send_report(TAR_DONE);
    return r < 0;
}
