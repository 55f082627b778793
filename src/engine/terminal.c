/* terminal: the caller's terminal while a room has one of its own.
 *
 * The caller's terminal becomes raw: keys go through as bytes and the room's own line discipline makes
 * signals of them, so job control, editors and shells work inside. It is put back on every way out, without
 * waiting for a reader that may never read.
 *
 * Lives in: the supervisor. Trusts: the caller's terminal. */
#include "engine/inner.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

void terminal_enter(struct room *r)
{
    struct termios raw;
    terminal_resize(r);
    if (r->tty_fd < 0 || !isatty(0) || tcgetattr(r->tty_fd, &r->saved) < 0)
        return;
    raw = r->saved;
    cfmakeraw(&raw);
    r->raw = tcsetattr(r->tty_fd, TCSANOW, &raw) == 0;
}

void terminal_leave(struct room *r)
{
    if (!r->raw)
        return;
    (void)tcsetattr(r->tty_fd, TCSANOW,
                    &r->saved); /* the terminal may be gone: then there is nothing to restore */
    r->raw = false;
}

/* Input that came from a file or pipe is at its end: what a person would type to say so. After an unfinished
 * line the first of it only hands the line over. */
void terminal_end_input(struct room *r)
{
    struct termios t;
    struct pollfd p = {.fd = r->out.from, .events = POLLOUT};
    if (r->out.ended || tcgetattr(r->out.from, &t) < 0 || !(t.c_lflag & ICANON) || poll(&p, 1, 0) != 1)
        return;
    const char keys[2] = {(char)t.c_cc[VEOF], (char)t.c_cc[VEOF]};
    (void)!write(r->out.from, keys, r->input_ends_line ? 1 : 2); /* nobody may be left to read it */
}

void terminal_resize(struct room *r)
{
    struct winsize size;
    for (int fd = 0; fd < 3 && r->tty_fd < 0; fd++) {
        if (isatty(fd))
            r->tty_fd = fd;
    }
    if (r->tty_fd < 0 || ioctl(r->tty_fd, TIOCGWINSZ, &size) < 0)
        return;
    if (!r->out.ended && r->started)
        (void)ioctl(r->out.from, TIOCSWINSZ, &size);
    r->plan.rows = size.ws_row;
    r->plan.cols = size.ws_col;
}
