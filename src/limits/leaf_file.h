/* leaf_file: the small files of a cgroup directory, by directory fd: open, one read or write, close.
 *
 * Nothing here allocates, formats through stdio or keeps an fd open longer than the call. Names are ours,
 * never from outside; links are not followed. */
#ifndef LIMITS_LEAF_FILE_H
#define LIMITS_LEAF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LEAF_FILE_MAX                                                                                        \
    2048 /* bytes of a control file that we look at; the longest, cpu.stat, has some 300   \
                            */

int leaf_file_open(int dir_fd, const char *name, int flags); /* the fd (CLOEXEC, NOFOLLOW), or -errno */
int leaf_file_write(int dir_fd, const char *name, const char *text, size_t len);

/* Reads the beginning of a file into buf (size bytes, NUL-terminated). Returns its length or -errno. */
ssize_t leaf_file_read(int dir_fd, const char *name, char *buf, size_t size);

/* A file that holds one decimal number. -EINVAL when it holds something else ("max"). */
int leaf_file_u64(int dir_fd, const char *name, uint64_t *ret);

/* The value behind `key` at the start of a line of a flat keyed text ("oom_kill 3\n"). */
bool leaf_text_field(const char *text, const char *key, uint64_t *ret);

/* Whether a list of words separated by blanks or commas holds `word` (len bytes). */
bool leaf_text_has(const char *text, size_t text_len, const char *word);

/* Decimal digits at *p, which moves behind them. False: none there, or too large. */
bool leaf_text_digits(const char **p, uint64_t *ret);

/* Writes v in decimal and a NUL into buf (LEAF_DIGITS_MAX bytes); returns the length. */
#define LEAF_DIGITS_MAX 21
size_t leaf_text_u64(uint64_t v, char *buf);

#endif
