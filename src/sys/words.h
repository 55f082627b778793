/* words: what a program is started with (folder, candidates for execve, arguments, environment) as a memory file, so
 * that lists of any length travel as one descriptor. */
#ifndef SYS_WORDS_H
#define SYS_WORDS_H

#include <stddef.h>

#define WORDS_BYTES_MAX (2u << 20) /* of all strings together */
#define WORDS_COUNT_MAX (1u << 18) /* strings of one kind; the kernel's own bounds of execve come before */

/* What who has more is told. */
#define WORDS_HINT "give it long input by standard input, or as a file (strongroom cp)"

/* Each list is NULL-terminated. */
struct words {
    const char *workdir; /* "": wherever the reader is */
    char **paths;
    char **args;
    char **vars;
    void *map, *lists; /* words_release()'s */
    size_t map_size, lists_size;
};

/* Writes them into a new memory file that nobody can change any more. A descriptor, which the caller closes, or -E2BIG
 * and what else the kernel says. */
int words_write(const struct words *w);

/* Takes the file and splits it. Trusts nothing of it. Memory comes from mmap alone (usable where malloc is not), or,
 * for one short file at a time, is our own; it is given back by words_release(), also after an error. 0, -E2BIG,
 * -EBADMSG, -EPERM (it could still change), … */
int words_read(int fd, struct words *ret);
void words_release(struct words *w);

#endif
