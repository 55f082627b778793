/* session: see session.h.
 *
 * Lives in: strongroom-tree. Trusts: the caller, by the sizes of its frames. */
#include "tree/session.h"
#include "policy/accept.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct session session = {.upper = -1, .lower = -1, .entry = -1};

void session_send(enum tree_report_type type)
{
    session.report.type = type;
    session.report.version = TREE_FRAMES_VERSION;
    if (fd_frame_send(TREE_CONTROL_FD, &session.report, sizeof session.report, NULL, 0, MSG_NOSIGNAL) < 0)
        _exit(1);
    memset(&session.report, 0, sizeof session.report);
}

void session_flush(void)
{
    if (session.report.size)
        session_send(TREE_TEXT);
}

void session_bytes(const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size) {
        size_t left = TREE_TEXT_MAX - session.report.size, n = size < left ? size : left;
        memcpy(session.report.text + session.report.size, at, n);
        session.report.size += (uint32_t)n;
        at += n;
        size -= n;
        if (session.report.size == TREE_TEXT_MAX)
            session_flush();
    }
}

void session_text(const char *text)
{
    session_bytes(text, strlen(text));
}

void session_fmt(const char *fmt, ...)
{
    char text[1024];
    struct sbuf b = SBUF(text);
    va_list ap;

    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
    session_text(text);
}

int session_fail(int code, const char *hint, const char *fmt, ...)
{
    struct sbuf b = SBUF(session.why), h = SBUF(session.hint);
    va_list ap;

    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap); /* names in it are escaped already; err_set() of the other side does the rest */
    va_end(ap);
    sbuf_text(&h, hint ? hint : "");
    session.code = code < 0 ? -code : code;
    return -session.code;
}

void session_done(void)
{
    session_flush();
    session.report.totals = session.totals;
    session.report.decided = session.decided;
    session.report.code = session.code;
    memcpy(session.report.text, session.why, sizeof session.why);
    memcpy(session.report.hint, session.hint, sizeof session.hint);
    session_send(TREE_DONE);
    memset(&session.totals, 0, sizeof session.totals);
    memset(&session.decided, 0, sizeof session.decided);
    session.code = 0;
    session.why[0] = session.hint[0] = '\0';
    session.paths_len = session.excepts_len = session.accepts_len = session.pick_bytes = 0;
}

static bool covers(const char *named, const char *path)
{
    size_t n = strlen(named);

    return n == 0 || (strncmp(named, path, n) == 0 && (path[n] == '\0' || path[n] == '/'));
}

static bool among(const char *list, size_t len, const char *path)
{
    for (size_t at = 0; at < len; at += strlen(list + at) + 1)
        if (covers(list + at, path))
            return true;
    return false;
}

bool session_named(const char *path)
{
    return session.paths_len == 0 || among(session.paths, session.paths_len, path);
}

bool session_excepted(const char *path)
{
    return among(session.excepts, session.excepts_len, path);
}

bool session_accepted(const char *alarm, const char *path)
{
    const char *named;

    for (size_t at = 0; at < session.accepts_len; at += strlen(session.accepts + at) + 1)
        if (accept_names(session.accepts + at, alarm, &named) &&
            (path ? covers(named, path) : named[0] == '\0'))
            return true;
    return false;
}
