/* terminal: the caller's terminal while a room has one of its own.
 *
 * The caller's terminal becomes raw: keys go through as bytes and the room's own line discipline makes signals of them,
 * so job control, editors and shells work inside. It is put back on every way out.
 *
 * Lives in: the supervisor. Trusts: the caller's terminal. */
#include "engine/inner.h"

#include <sys/ioctl.h>
#include <unistd.h>

void terminal_enter(struct room *r)
{
    struct termios raw;
    r->tty_fd = -1;
    for (int fd = 0; fd < 3 && r->tty_fd < 0; fd++) {
        if (isatty(fd))
            r->tty_fd = fd;
    }
    if (r->tty_fd < 0)
        return;
    terminal_resize(r);
    if (!isatty(0) || tcgetattr(r->tty_fd, &r->saved) < 0)
        return;
    raw = r->saved;
    cfmakeraw(&raw);
    r->raw = tcsetattr(r->tty_fd, TCSADRAIN, &raw) == 0;
}

void terminal_leave(struct room *r)
{
    if (!r->raw)
        return;
    (void) tcsetattr(r->tty_fd, TCSADRAIN, &r->saved); /* the terminal may be gone: then there is nothing to restore */
    r->raw = false;
}

void terminal_resize(struct room *r)
{
    struct winsize size;
    if (r->tty_fd < 0 || ioctl(r->tty_fd, TIOCGWINSZ, &size) < 0)
        return;
    if (r->in.to >= 0)
        (void) ioctl(r->in.to, TIOCSWINSZ, &size);
    r->plan.rows = size.ws_row;
    r->plan.cols = size.ws_col;
}
