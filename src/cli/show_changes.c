/* show_changes: see show_changes.h.
 *
 * Lives in: the command. Trusts: nothing of the texts: strongroom-tree has escaped them, but it is the one that reads
 * what a hostile program wrote, so a terminal gets from it only printable characters, newlines and colours. */
#include "cli/show_changes.h"
#include "base/num.h"
#include "sys/fd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define KEY_MS 30 /* within which the bytes of one key come */

void show_begin(struct show *s, int to, bool pages)
{
    struct winsize size = {0};
    *s = (struct show){.to = to, .width = 80};
    if (!isatty(to) || ioctl(to, TIOCGWINSZ, &size) < 0)
        return;
    if (size.ws_col)
        s->width = size.ws_col;
    if (pages && isatty(0) && size.ws_row > 2)
        s->height = size.ws_row;
    s->colours = true;
}

/* One key: an arrow and its like come as several bytes, which must not be taken for so many answers. */
static char read_key(void)
{
    char key = 0, more;
    while (read(0, &key, 1) < 0 && errno == EINTR) {
    }
    struct pollfd p = {.fd = 0, .events = POLLIN};
    if (key != '\033')
        return key;
    while (poll(&p, 1, KEY_MS) == 1 && read(0, &more, 1) == 1) {
    }
    return '?';
}

char show_ask(struct show *s, const char *question)
{
    static const char bold[] = "\033[1m", plain[] = "\033[0m";
    struct termios was, raw;
    if (tcgetattr(0, &was) < 0)
        return 0;
    raw = was;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG); /* ^C leaves by our way, with the terminal as it was */
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(0, TCSAFLUSH, &raw) < 0)
        return 0;
    /* Who cannot read the question will press a key all the same. */
    if (s->colours)
        (void)fd_write_all(s->to, bold, sizeof bold - 1);
    (void)fd_write_all(s->to, question, strlen(question));
    if (s->colours)
        (void)fd_write_all(s->to, plain, sizeof plain - 1);
    char key = read_key();
    char echo[] = {key > ' ' && key < 0x7f ? key : ' ', '\n'};
    (void)fd_write_all(s->to, echo, sizeof echo);
    (void)tcsetattr(0, TCSADRAIN, &was); /* cannot fail: it just did not */
    return key;
}

/* Between two pages. */
static void wait_for_reader(struct show *s)
{
    static const char wipe[] = "\033[A\r\033[K"; /* the question's line */
    char key = show_ask(s, s->colours ? "\033[7m more: space, enter, q " : " more: space, enter, q ");
    (void)fd_write_all(s->to, wipe, sizeof wipe - 1);
    s->stopped = key == 'q' || key == 'Q' || key == 0 || key == 3;
    s->row = key == '\n' || key == '\r' ? s->row - 1 : 0;
}

/* Length of an SGR sequence (ESC [ digits and semicolons m), or 0. */
static size_t colour(const char *text, size_t len)
{
    size_t n = 2;
    if (len < 3 || text[0] != '\033' || text[1] != '[')
        return 0;
    while (n < len && ((text[n] >= '0' && text[n] <= '9') || text[n] == ';'))
        n++;
    return n < len && text[n] == 'm' ? n + 1 : 0;
}

/* One line or less, as far as a terminal may have it. Returns how much of the text it was. */
static size_t put_line(struct show *s, const char *text, size_t len)
{
    char out[512];
    struct sbuf b = SBUF(out);
    size_t at = 0;
    while (at < len && b.len + 8 < sizeof out) {
        const unsigned char c = (unsigned char)text[at];
        const size_t sgr = colour(text + at, len - at);
        if (sgr) {
            sbuf_bytes(&b, text + at, sgr);
            at += sgr;
            continue;
        }
        at++;
        if (c == '\n') {
            sbuf_char(&b, '\n');
            s->row++;
            s->column = 0;
            break;
        }
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            continue;
        sbuf_char(&b, (char)c);
        if ((c & 0xc0) != 0x80 && ++s->column > s->width) { /* the terminal goes on in the next line */
            s->row++;
            s->column = 1;
        }
    }
    (void)fd_write_all(s->to, b.text, b.len); /* a terminal that went away shows nothing more */
    return at;
}

int show_text(void *ctx, const struct tree_report *r)
{
    struct show *s = ctx;
    if (r->type != TREE_TEXT)
        return 0;
    if (!isatty(s->to))
        return fd_write_all(s->to, r->text, r->size);
    for (size_t at = 0; at < r->size && !s->stopped;) {
        if (s->height && s->row + 1 >= s->height)
            wait_for_reader(s);
        else
            at += put_line(s, r->text + at, r->size - at);
    }
    return 0; /* the rest is passed over */
}

static void counted(struct sbuf *out, bool *any, uint64_t n, const char *one, const char *many)
{
    if (n == 0)
        return;
    sbuf_fmt(out, "%s%llu %s", *any ? ", " : "", (unsigned long long)n, n == 1 ? one : many);
    *any = true;
}

/* Rounded: "4.2K". */
static void put_size(struct sbuf *out, uint64_t bytes)
{
    static const char units[] = "BKMGTPE";
    size_t unit = 0;
    uint64_t tenths = bytes * 10;
    if (bytes > UINT64_MAX / 10) {
        sbuf_text(out, "very much");
        return;
    }
    for (; tenths >= 10240 && unit + 2 < sizeof units; unit++)
        tenths /= 1024;
    if (unit == 0 || tenths >= 100)
        sbuf_fmt(out, "%llu%c", (unsigned long long)tenths / 10, units[unit]);
    else
        sbuf_fmt(out, "%llu.%llu%c", (unsigned long long)tenths / 10, (unsigned long long)tenths % 10,
                 units[unit]);
}

void show_totals(const struct tree_totals *t, struct sbuf *out)
{
    bool any = false;
    counted(out, &any, t->deleted, "deleted", "deleted");
    counted(out, &any, t->modified, "modified", "modified");
    counted(out, &any, t->added, "added", "added");
    if (!any)
        sbuf_text(out, "nothing changed");
    if (t->bytes_added || t->bytes_deleted) {
        sbuf_text(out, " (+");
        put_size(out, t->bytes_added);
        sbuf_text(out, " -");
        put_size(out, t->bytes_deleted);
        sbuf_char(out, ')');
    }
    any = true;
    counted(out, &any, t->alarms, "ALARM", "ALARMS");
    counted(out, &any, t->conflicts, "conflict", "conflicts");
    counted(out, &any, t->left_out, "left out", "left out");
}
