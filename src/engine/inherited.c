/* inherited: see inherited.h.
 *
 * Why before: what a program did to a workspace is copied and listed when it has ended. A bound of the caller's that
 * stops this would cost all of its work. So what could stop it is refused at the start.
 *
 * Lives in: the supervisor. Trusts: the kernel. Must not: raise a bound that is there for the caller's sake (sizes of
 * files, which hold for the program's output, too). */
#include "engine/inherited.h"
#include "base/num.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

enum {
    FILES_MANY = 4096,    /* our own descriptors; for helpers that inherit them, more would only cost time */
    FILES_LEAST = 16,     /* below, not even what is wrong could be found out */
    LIST_LEAST = 64 << 20 /* bytes: a list of 400,000 changes, 104 each and a path of some 50 */
};
/* strongroom-tree uses little of it, but reserves what the names of two folders may take. */
#define SPACE_LEAST ((rlim_t)2 << 30)

static rlim_t soft(int what)
{
    struct rlimit l;
    return getrlimit(what, &l) < 0 ? RLIM_INFINITY : l.rlim_cur;
}

int inherited_begin(struct err *e)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        const rlim_t most = files.rlim_max < FILES_MANY ? files.rlim_max : FILES_MANY;
        if (files.rlim_cur < most) {
            files.rlim_cur = most;
            (void)setrlimit(RLIMIT_NOFILE, &files); /* then the old one holds, and is told of below */
        }
        if (files.rlim_cur < FILES_LEAST)
            return err_set(e, ERR_ROOM, EMFILE, "begin the room");
    }
    if (soft(RLIMIT_CPU) > 0)
        return 0;
    (void)err_set(e, ERR_ROOM, 0, "begin the room: no processor time is left to us");
    return err_hint(e, "raise the limit of processor time (ulimit -t)");
}

int inherited_check_workspaces(const struct room_plan *plan, struct err *e)
{
    struct rlimit files;
    char text[NUM_TEXT_MAX];

    if (soft(RLIMIT_AS) < SPACE_LEAST) {
        (void)err_set(e, ERR_ROOM, 0,
                      "keep what a program does to a workspace: the address space is limited to %s",
                      num_size_text(soft(RLIMIT_AS), text));
        (void)err_hint(e, "raise the limit of address space (ulimit -v) to 2G or more");
        return -ENOMEM;
    }
    if (getrlimit(RLIMIT_FSIZE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
        return 0;
    rlim_t most = files.rlim_max; /* that one file in the room can have */
    for (size_t i = 0; i < plan->rlimit_count; i++) {
        const struct plan_rlimit *l = &plan->rlimits[i];
        if (l->resource == RLIMIT_FSIZE && l->value < most)
            most = l->value;
    }
    if (files.rlim_cur >= LIST_LEAST && files.rlim_cur >= most)
        return 0;
    num_size_text(files.rlim_cur, text);
    (void)err_set(e, ERR_ROOM, 0, "keep what a program does to a workspace: files are limited to %s", text);
    (void)(files.rlim_cur < LIST_LEAST
               ? err_hint(e, "raise the limit of file sizes (ulimit -f) to 64M or more")
               : err_hint(e, "raise the limit of file sizes (ulimit -f), or give --file-size %s", text));
    return -EFBIG;
}

void inherited_hint(struct err *e)
{
    static const struct {
        int code;
        const char *hint;
    } rows[] = {
        {EMFILE,
         "raise the limit of open files (ulimit -n): a room needs about 32, and one for each path shown"},
        {EFBIG, "raise the limit of file sizes (ulimit -f)"},
        {EAGAIN, "raise the limit of processes (ulimit -u, or TasksMax of the session), or end some"},
    };
    for (size_t i = 0; e && i < sizeof rows / sizeof *rows; i++)
        if (e->code == rows[i].code)
            (void)err_hint(e, "%s", rows[i].hint);
}
