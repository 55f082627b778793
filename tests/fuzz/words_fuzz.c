/* words_fuzz: any bytes as the memory file of a program's words.
 *
 * Lives in: a fuzzer or the corpus replay. May: make memory files, compute. */
#include "base/err.h"
#include "sys/fd.h"
#include "sys/words.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(char *const *list)
{
    size_t n = 0, bytes = 0;
    for (; list[n]; n++)
        bytes += strlen(list[n]) + 1;
    CHECK(n <= WORDS_COUNT_MAX && bytes <= WORDS_BYTES_MAX);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct words w;
    FD_AUTO fd = memfd_create("words-fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || fd_write_all(fd, data, size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return 0;
    if (words_read(fd, &w) == 0) {
        const size_t n = count(w.paths) + count(w.args) + count(w.vars);
        FD_AUTO again = words_write(&w);
        struct words v;
        CHECK(again >= 0 && words_read(again, &v) == 0);
        CHECK(strcmp(v.workdir, w.workdir) == 0 && count(v.paths) + count(v.args) + count(v.vars) == n);
        words_release(&v);
    }
    words_release(&w);
    return 0;
}
