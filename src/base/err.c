/* err: fills, names and ranks errors.
 *
 * Lives in: every process, the cloned child included. Trusts: the format string, nothing of its arguments.
 * May: write to the struct; check_failed alone writes to fd 2 and ends the process.
 * Must not: allocate, use stdio streams, log. */
#include "base/err.h"
#include "base/sbuf.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __clang_analyzer__
#undef err_set
#undef err_hint
#endif

/* Our own failures before the program runs are 125, as docker's and env(1)'s are. */
static const struct {
    const char *name;
    int exit_status;
} kinds[] = {
    [ERR_NONE] = {"none", 0},           [ERR_USAGE] = {"usage", 125},         [ERR_POLICY] = {"policy", 125},
    [ERR_DENIED] = {"denied", 125},     [ERR_LIMIT] = {"limit", 125},         [ERR_ROOM] = {"room", 125},
    [ERR_EXEC] = {"exec", 126},         [ERR_NOT_FOUND] = {"not-found", 127}, [ERR_IO] = {"io", 125},
    [ERR_INTERNAL] = {"internal", 125},
};
static_assert(sizeof kinds / sizeof kinds[0] == ERR_KIND_COUNT, "one row per kind");

static int positive(int code)
{
    if (code == INT_MIN)
        return EINVAL;
    return code < 0 ? -code : code;
}

/* Escaping never shortens, so what does not fit into `raw` would not have fitted into `out` either. */
__attribute__((format(printf, 2, 0))) static void format_escaped(struct sbuf *out, const char *fmt,
                                                                 va_list ap)
{
    char raw[ERR_TEXT_MAX + 4];
    struct sbuf b = SBUF(raw);

    sbuf_vfmt(&b, fmt, ap);
    sbuf_escaped(out, raw);
}

int err_set(struct err *e, enum err_kind kind, int code, const char *fmt, ...)
{
    const char *reason;
    size_t tail;
    struct err new = {.kind = kind, .code = positive(code)}; /* the arguments may point into *e */
    struct sbuf b = SBUF(new.text);
    va_list ap;

    if (e) {
        reason = new.code ? strerror(new.code) : "";
        tail = new.code ? strlen(reason) + 2 : 0;
        CHECK(tail < sizeof new.text);
        b.size -= tail;
        va_start(ap, fmt);
        format_escaped(&b, fmt, ap);
        va_end(ap);
        b.size += tail;
        b.full = false;
        if (tail)
            sbuf_fmt(&b, ": %s", reason);
        *e = new;
    }
    return new.code ? -new.code : -EINVAL;
}

int err_hint(struct err *e, const char *fmt, ...)
{
    char hint[ERR_TEXT_MAX]; /* the arguments may point into *e */
    struct sbuf b = SBUF(hint);
    va_list ap;

    if (!e)
        return -EINVAL;
    va_start(ap, fmt);
    format_escaped(&b, fmt, ap);
    va_end(ap);
    memcpy(e->hint, hint, b.len + 1);
    return e->code ? -positive(e->code) : -EINVAL;
}

static size_t row(enum err_kind kind)
{
    return (unsigned)kind < ERR_KIND_COUNT ? (size_t)kind : ERR_INTERNAL;
}

const char *err_kind_name(enum err_kind kind)
{
    return kinds[row(kind)].name;
}

int err_exit_status(enum err_kind kind)
{
    return kinds[row(kind)].exit_status;
}

void check_failed(const char *what, const char *file, int line)
{
    char text[512];
    struct sbuf b = SBUF(text);

    /* Not CHECKed in here, or a broken sbuf would call itself for ever: the buffer above is sound. */
    sbuf_fmt(&b, "strongroom: internal error: %s:%d: %s\n", file, line, what);
    if (write(STDERR_FILENO, text, b.len) < 0) {
        /* Nobody is listening; ending is all that is left. */
    }
    abort();
}
