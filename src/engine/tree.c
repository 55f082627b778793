/* tree: see tree.h.
 *
 * Lives in: a verb, or the supervisor when the room is gone. Trusts: the program beside ours, its frames by size
 * and bound only. Must not: look into a tree itself. */
#include "engine/tree.h"
#include "engine/helper.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define PROGRAM TREE_PROGRAM
enum { STOP_MS = 500 };
#if TREE_CONTROL_FD != HELPER_CONTROL_FD
#error "a helper finds its socket at one number"
#endif

static struct tree_command command; /* large; one at a time */
static struct tree_report report;

static int broken(struct tree_session *t, int code, struct err *e)
{
    tree_close(t);
    if (code == -EPIPE || code == -ECONNRESET)
        return err_set(e, ERR_INTERNAL, 0, PROGRAM " ended before it had answered");
    return err_set(e, ERR_INTERNAL, code, "talk to " PROGRAM);
}

static int send_it(struct tree_session *t, const int *fds, size_t n, struct err *e)
{
    command.version = TREE_FRAMES_VERSION;
    int r = t->ctl < 0 ? -EPIPE : fd_frame_send(t->ctl, &command, sizeof command, fds, n, MSG_NOSIGNAL);
    return r < 0 ? broken(t, r, e) : 0;
}

/* The texts of a frame are the other side's: bounded, and err_set() escapes them once more. */
static int told_error(struct err *e)
{
    report.text[sizeof report.text - 1] = '\0';
    report.hint[sizeof report.hint - 1] = '\0';
    const int code = report.code > 0 ? report.code : EIO;
    (void)err_set(e, ERR_IO, 0, "%s", report.text);
    if (report.hint[0])
        (void)err_hint(e, "%s", report.hint);
    return -code;
}

int tree_open(struct tree_session *t, const struct tree_dirs *dirs, struct err *e)
{
    int fds[3];
    size_t n = 0;
    *t = TREE_SESSION_NONE;
    int r = helper_start(PROGRAM, &t->ctl, &t->pid, e);
    if (r < 0)
        return r;
    memset(&command, 0, sizeof command);
    command.type = TREE_OPEN;
    command.version = TREE_FRAMES_VERSION;
    const struct {
        int fd;
        uint32_t flag;
    } rows[] = {{dirs->upper, TREE_HAS_UPPER}, {dirs->lower, TREE_HAS_LOWER}, {dirs->entry, TREE_HAS_ENTRY}};
    for (size_t i = 0; i < 3; i++)
        if (rows[i].fd >= 0) {
            fds[n++] = rows[i].fd;
            command.flags |= rows[i].flag;
        }
    command.flags |= dirs->lower_writable ? TREE_LOWER_WRITABLE : 0;
    r = fd_frame_send(t->ctl, &command, sizeof command, fds, n, MSG_NOSIGNAL);
    if (r == 0)
        r = fd_frame_recv(t->ctl, &report, sizeof report, NULL, 0, 0);
    if (r == -EPIPE || r == -ECONNRESET) {
        tree_close(t);
        return helper_missing(PROGRAM, e);
    }
    if (r < 0)
        return broken(t, r, e);
    if (report.version != TREE_FRAMES_VERSION) {
        tree_close(t);
        return err_set(e, ERR_INTERNAL, 0, PROGRAM " is of another version");
    }
    if (report.type == TREE_READY)
        return 0;
    r = told_error(e);
    tree_close(t);
    return r;
}

void tree_close(struct tree_session *t)
{
    fd_close(&t->ctl);
    helper_end(&t->pid, STOP_MS);
}

/* Pieces of bytes; a piece may end anywhere. */
static int send_pieces(struct tree_session *t, uint32_t type, const void *bytes, size_t size, struct err *e)
{
    const char *at = bytes;
    while (size) {
        memset(&command, 0, sizeof command);
        command.type = type;
        command.size = (uint32_t)(size < TREE_PIECE_MAX ? size : TREE_PIECE_MAX);
        memcpy(command.text, at, command.size);
        at += command.size;
        size -= command.size;
        int r = send_it(t, NULL, 0, e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* As the list has them: without "./" before and slashes behind. */
static int send_path(struct tree_session *t, uint32_t type, const char *path, struct err *e)
{
    while (path[0] == '.' && path[1] == '/')
        path += 2 + strspn(path + 2, "/");
    size_t len = strcmp(path, ".") == 0 ? 0 : strlen(path); /* "": everything */
    while (len > 1 && path[len - 1] == '/')
        len--;
    int r = send_pieces(t, type, path, len, e);
    return r < 0 ? r : send_pieces(t, type, "", 1, e);
}

static int send_paths(struct tree_session *t, uint32_t type, char *const *paths, size_t count, struct err *e)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += strlen(paths[i]) + 1;
    if (sum > TREE_PATHS_MAX)
        return err_set(e, ERR_USAGE, E2BIG, "name paths");
    for (size_t i = 0; i < count; i++) {
        int r = send_path(t, type, paths[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

int tree_paths(struct tree_session *t, char *const *paths, size_t count, struct err *e)
{
    return send_paths(t, TREE_PATHS, paths, count, e);
}

int tree_except(struct tree_session *t, char *const *paths, size_t count, struct err *e)
{
    return send_paths(t, TREE_EXCEPT, paths, count, e);
}

int tree_accept(struct tree_session *t, const char *word, struct err *e)
{
    return send_pieces(t, TREE_ACCEPT, word, strlen(word) + 1, e);
}

int tree_pick(struct tree_session *t, const uint32_t *rows, size_t count, struct err *e)
{
    if (count > TREE_PATHS_MAX / sizeof *rows)
        return err_set(e, ERR_USAGE, E2BIG, "pick changes one by one");
    return send_pieces(t, TREE_PICK, rows, count * sizeof *rows, e);
}

int tree_call(struct tree_session *t, const struct tree_command *c, tree_sink *sink, void *ctx,
              struct tree_totals *ret_totals, struct err *e)
{
    if (c != &command)
        command = *c;
    int r = send_it(t, NULL, 0, e);
    while (r == 0) {
        r = fd_frame_recv(t->ctl, &report, sizeof report, NULL, 0, 0);
        if (r < 0)
            return broken(t, r, e);
        if (report.size > TREE_TEXT_MAX)
            return broken(t, -EBADMSG, e);
        switch (report.type) {
        case TREE_TEXT:
        case TREE_ROW:
            r = sink ? sink(ctx, &report) : 0;
            if (r != 0) {
                tree_close(t);
                return err_set(e, ERR_IO, r < 0 ? -r : EIO, "take the answer of " PROGRAM);
            }
            break;
        case TREE_DONE:
            if (ret_totals)
                *ret_totals = report.totals;
            t->decided = report.decided;
            return report.code ? told_error(e) : 0;
        default:
            return broken(t, -EBADMSG, e);
        }
    }
    return r;
}

int tree_store(const struct tree_dirs *dirs, bool copy_upper, int64_t since_sec, int64_t since_nsec,
               struct tree_totals *ret, struct err *e)
{
    struct tree_session t;
    int r = tree_open(&t, dirs, e);
    if (r < 0)
        return r;
    memset(&command, 0, sizeof command);
    command.type = TREE_STORE;
    command.flags = copy_upper ? TREE_COPY_UPPER : 0;
    command.started_sec = since_sec;
    command.started_nsec = since_nsec;
    r = tree_call(&t, &command, NULL, NULL, ret, e);
    tree_close(&t);
    return r;
}
