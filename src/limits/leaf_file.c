/* leaf_file: reading and writing the control files of a cgroup.
 *
 * Lives in: the supervisor and its undertaker. Trusts: the cgroup file systems. May: open, read, write, close
 * beneath a directory fd. Must not: allocate, follow a link, keep an fd. */
#include "limits/leaf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int leaf_file_open(int dir_fd, const char *name, int flags)
{
    int fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW);

    return fd < 0 ? -errno : fd;
}

int leaf_file_write(int dir_fd, const char *name, const char *text, size_t len)
{
    int fd = leaf_file_open(dir_fd, name, O_WRONLY);
    int r = 0;

    if (fd < 0)
        return fd;
    /* A control file takes a value in one write or not at all. */
    if (write(fd, text, len) < 0)
        r = -errno;
    (void)close(fd); /* nothing is buffered: the write has already answered */
    return r;
}

ssize_t leaf_file_read(int dir_fd, const char *name, char *buf, size_t size)
{
    int fd = leaf_file_open(dir_fd, name, O_RDONLY);
    ssize_t n;

    if (fd < 0)
        return fd;
    n = read(fd, buf, size - 1);
    if (n < 0)
        n = -errno;
    (void)close(fd); /* read-only */
    if (n >= 0)
        buf[n] = '\0';
    return n;
}

int leaf_file_u64(int dir_fd, const char *name, uint64_t *ret)
{
    char text[32];
    const char *p = text;
    uint64_t v;
    ssize_t n = leaf_file_read(dir_fd, name, text, sizeof text);

    if (n < 0)
        return (int)n;
    if (!leaf_text_digits(&p, &v) || (*p != '\n' && *p != '\0'))
        return -EINVAL;
    *ret = v;
    return 0;
}

bool leaf_text_digits(const char **p, uint64_t *ret)
{
    const char *s = *p;
    uint64_t v = 0;

    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    }
    *p = s;
    *ret = v;
    return true;
}

bool leaf_text_field(const char *text, const char *key, uint64_t *ret)
{
    size_t len = strlen(key);
    const char *line = text;

    while (line) {
        if (strncmp(line, key, len) == 0 && line[len] == ' ') {
            const char *p = line + len + 1;
            return leaf_text_digits(&p, ret);
        }
        line = strchr(line, '\n');
        if (line)
            line++;
    }
    return false;
}

bool leaf_text_has(const char *text, size_t text_len, const char *word)
{
    size_t len = strlen(word), start = 0;

    for (size_t i = 0; i <= text_len; i++) {
        bool end = i == text_len || text[i] == ' ' || text[i] == ',' || text[i] == '\n';

        if (!end)
            continue;
        if (i - start == len && memcmp(text + start, word, len) == 0)
            return true;
        start = i + 1;
    }
    return false;
}

size_t leaf_text_u64(uint64_t v, char *buf)
{
    char turned[LEAF_DIGITS_MAX];
    size_t n = 0;

    do {
        turned[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++)
        buf[i] = turned[n - 1 - i];
    buf[n] = '\0';
    return n;
}
