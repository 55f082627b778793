/* words: see words.h.
 *
 * The file: a head (bytes of all strings, then how many of each kind), then the strings, each with its NUL: working
 * directory, paths, arguments, environment.
 *
 * Lives in: the command, the supervisor, a room's reaper. Trusts: of a file that is read, nothing but its seals. */
#include "sys/words.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

enum { PATHS, ARGS, VARS, KINDS };

struct head {
    uint32_t size;
    uint32_t counts[KINDS];
};

/* Most lists are short: for one of them at a time, no memory has to be asked for, filled and given back. */
static struct {
    bool taken;
    char text[4096];
    char *lists[256];
} few;

static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Adds one word to what is counted in h; `all` NULL: only counts. */
static bool put(char *all, struct head *h, const char *word)
{
    const size_t n = strlen(word) + 1;
    if (n > WORDS_BYTES_MAX - h->size)
        return false;
    if (all)
        memcpy(all + h->size, word, n);
    h->size += (uint32_t)n;
    return true;
}

static int gather(const struct words *w, char *all, struct head *h)
{
    char *const *const lists[KINDS] = {[PATHS] = w->paths, [ARGS] = w->args, [VARS] = w->vars};

    *h = (struct head){0};
    if (!put(all, h, w->workdir))
        return -E2BIG;
    for (int k = 0; k < KINDS; k++) {
        for (; lists[k] && lists[k][h->counts[k]]; h->counts[k]++) {
            if (h->counts[k] == WORDS_COUNT_MAX || !put(all, h, lists[k][h->counts[k]]))
                return -E2BIG;
        }
    }
    return 0;
}

int words_write(const struct words *w)
{
    struct head h;
    int r = gather(w, NULL, &h);
    if (r < 0)
        return r;
    /* Not the most that there may be: the kernel would make a huge page of it, and fill it with zeroes. */
    const size_t size = sizeof h + h.size;
    char short_one[4096];
    char *all = size <= sizeof short_one ? short_one : reserve(size);
    if (!all)
        return -ENOMEM;
    (void)gather(w, all + sizeof h, &h); /* as before */
    memcpy(all, &h, sizeof h);
    int fd = (int)syscall(SYS_memfd_create, "words", 3u /* MFD_CLOEXEC | MFD_ALLOW_SEALING */);
    r = fd < 0 ? -errno : fd_write_all(fd, all, size);
    if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        r = -errno;
    if (all != short_one)
        (void)munmap(all, size); /* what cannot be given back is lost, nothing else */
    if (r < 0)
        fd_close(&fd);
    return r < 0 ? r : fd;
}

/* The next string before `end`; NULL: there is none. */
static char *next_word(char **at, const char *end)
{
    char *word = *at, *nul = word < end ? memchr(word, '\0', (size_t)(end - word)) : NULL;
    if (nul)
        *at = nul + 1;
    return nul ? word : NULL;
}

static bool split(char **ret, uint32_t count, char **at, const char *end)
{
    for (uint32_t i = 0; i < count; i++) {
        ret[i] = next_word(at, end);
        if (!ret[i])
            return false;
    }
    return true;
}

void words_release(struct words *w)
{
    if (w->lists && w->lists != few.lists)
        (void)munmap(w->lists, w->lists_size); /* cannot fail: it is what mmap gave */
    if (w->map == few.text)
        few.taken = false;
    else if (w->map)
        (void)munmap(w->map, w->map_size);
    *w = (struct words){.workdir = ""};
}

/* All of it, in memory that words_release() gives back. */
static int take_file(int fd, size_t size, struct words *w)
{
    if (!few.taken && size <= sizeof few.text) {
        const ssize_t n = pread(fd, few.text, size, 0);
        if (n != (ssize_t)size)
            return n < 0 ? -errno : -EBADMSG;
        few.taken = true;
        w->map = few.text;
        return 0;
    }
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    w->map = map;
    w->map_size = size;
    return 0;
}

static int take_lists(const struct head *h, struct words *w)
{
    const size_t size =
        ((size_t)h->counts[PATHS] + h->counts[ARGS] + h->counts[VARS] + KINDS) * sizeof(char *);
    if (w->map == few.text && size <= sizeof few.lists) {
        w->lists = few.lists;
        return 0;
    }
    w->lists = reserve(size);
    w->lists_size = size;
    return w->lists ? 0 : -ENOMEM;
}

int words_read(int fd, struct words *ret)
{
    struct stat st;
    *ret = (struct words){.workdir = ""};
    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS)
        return -EPERM; /* no memory file, or one whose end could move below us */
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < (off_t)sizeof(struct head) ||
        st.st_size > (off_t)(WORDS_BYTES_MAX + sizeof(struct head)))
        return -E2BIG;
    const size_t size = (size_t)st.st_size;
    int r = take_file(fd, size, ret);
    if (r < 0)
        return r;
    struct head h;
    memcpy(&h, ret->map, sizeof h);
    if (h.size != size - sizeof h)
        return -EBADMSG;
    for (int k = 0; k < KINDS; k++) {
        if (h.counts[k] > WORDS_COUNT_MAX)
            return -E2BIG;
    }
    r = take_lists(&h, ret);
    if (r < 0)
        return r;
    char *at = (char *)ret->map + sizeof h;
    const char *end = (char *)ret->map + size;
    char **all = ret->lists;
    ret->paths = all;
    ret->args = ret->paths + h.counts[PATHS] + 1;
    ret->vars = ret->args + h.counts[ARGS] + 1;
    /* Where nothing was reserved, what was there before must not be taken for the ends of lists. */
    ret->paths[h.counts[PATHS]] = ret->args[h.counts[ARGS]] = ret->vars[h.counts[VARS]] = NULL;
    ret->workdir = next_word(&at, end);
    if (!ret->workdir || !split(ret->paths, h.counts[PATHS], &at, end) ||
        !split(ret->args, h.counts[ARGS], &at, end) || !split(ret->vars, h.counts[VARS], &at, end) ||
        at != end)
        return -EBADMSG;
    return 0;
}
