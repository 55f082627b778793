/* strongroom-policy: reads one policy file and says what is in it.
 *
 * Theory of operation. YAML and JSON are read by libraries that strongroom itself does not carry, and by a process that
 * has nothing to lose: it gets the bytes on stdin, answers with records on stdout (policy/records.h), and before the
 * first byte gives up files, processes and network. Whoever takes it over can at most tell lies about the file, and the
 * file's author could have written those lies himself.
 *
 * Lives in: a process of its own, started by strongroom for one file. Trusts: its two arguments.
 * May: read fd 0, write fd 1. Must not: open anything. */
#include "helpers/policy/out.h"
#include "policy/records.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char input[RECORDS_INPUT_MAX + 1];
static char answer[RECORDS_ANSWER_MAX];

/* Length of the input, or -errno; more than RECORDS_INPUT_MAX: too long. */
static ssize_t read_all(void)
{
    size_t len = 0;

    while (len < sizeof input) {
        ssize_t n = read(0, input + len, sizeof input - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int write_all(const char *s, size_t len)
{
    while (len > 0) {
        ssize_t n = write(1, s, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        s += n;
        len -= (size_t)n;
    }
    return 0;
}

static void answer_with(struct out *o, bool srt, const char *cwd, const char *home)
{
    int r = confine();

    if (r < 0) {
        out_error(o, 0, "the reader of policy files could not be confined: %s", strerror(-r));
        return;
    }
    ssize_t len = read_all();
    if (len < 0)
        out_error(o, 0, "cannot be read: %s", strerror((int)-len));
    else if (len > RECORDS_INPUT_MAX)
        out_error(o, 0, "larger than %d KiB", RECORDS_INPUT_MAX >> 10);
    else if (len == 0)
        out_error(o, 0, "empty");
    else if (srt)
        srt_read(input, (size_t)len, cwd, home, o);
    else
        yaml_read(input, (size_t)len, o);
}

int main(int argc, char **argv)
{
    struct out o = {.bytes = answer, .size = sizeof answer};
    bool yaml = argc == 2 && strcmp(argv[1], "yaml") == 0;
    bool srt = argc == 4 && strcmp(argv[1], "srt") == 0;

    if (!yaml && !srt) {
        fputs("usage: strongroom-policy yaml <FILE | strongroom-policy srt CWD HOME <FILE\n"
              "strongroom starts this program by itself; `strongroom policy check FILE` is for people.\n",
              stderr);
        return 2;
    }
    json_object_seed(0); /* needs a file that is out of reach later */
    answer_with(&o, srt, srt && argv[2][0] ? argv[2] : NULL, srt && argv[3][0] ? argv[3] : NULL);
    return write_all(o.bytes, o.len) < 0 || o.failed;
}
