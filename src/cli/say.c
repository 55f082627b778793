/* say: see say.h. Lives in: the command. No stdio: one write a message, so that messages of several rooms that share a
 * terminal do not mix within a line. */
#include "cli/say.h"
#include "sys/fd.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void say_stderr(const struct sbuf *text)
{
    (void)fd_write_all(2, text->text, text->len); /* nowhere left to complain */
}

int say_stdout(const struct sbuf *text)
{
    int n = fd_write_all(1, text->text, text->len);
    if (n == 0)
        return 0;
    struct err e;
    (void)err_set(&e, ERR_IO, -n, "write to standard output");
    return say_error(&e);
}

unsigned say_columns(void)
{
    struct winsize size;
    return ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

int say_error(const struct err *e)
{
    char text[2 * ERR_TEXT_MAX + 64];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, "strongroom: %s\n", e->text);
    if (e->hint[0])
        sbuf_fmt(&b, "strongroom: hint: %s\n", e->hint);
    say_stderr(&b);
    return err_exit_status(e->kind);
}
