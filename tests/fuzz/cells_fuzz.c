/* cells_fuzz: any bytes as what an interpreter says. The result that is written of it must be JSON of clean strings.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute, write to a memory file. */
#include "base/err.h"
#include "base/utf8.h"
#include "cli/cell.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Strings are closed, nothing in the text could drive a terminal, and brackets match. */
static void is_json(const char *p, size_t n)
{
    int depth = 0;
    bool within = false;
    uint32_t code;

    for (size_t i = 0; i < n; i += utf8_next(p + i, n - i, &code)) {
        CHECK(utf8_next(p + i, n - i, &code) > 0 && (code == '\n' || !utf8_unsafe(code)) && code != 0);
        if (within && code == '\\') {
            CHECK(i + 1 < n && p[i + 1] == 'u');
        } else if (code == '"') {
            within = !within;
        } else if (!within) {
            depth += (code == '{' || code == '[') - (code == '}' || code == ']');
            CHECK(depth >= 0);
        }
    }
    CHECK(!within && depth == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[1 << 20];
    struct cell_result result = {.fd = memfd_create("result", MFD_CLOEXEC)};
    struct cell_end end = {.outcome = "exited"};
    const char *p = (const char *)data;
    struct cells_head h;
    struct cells_value v;

    CHECK(result.fd >= 0);
    cell_result_begin(&result);
    while (size >= CELLS_SAY_SIZE && cells_head(p, &h) == 0 && h.size <= size - CELLS_SAY_SIZE) {
        p += CELLS_SAY_SIZE;
        if ((h.kind == 'V' || h.kind == 'O') && cells_value(h.kind, p, h.size, &v) == 0)
            cell_result_value(&result, h.kind, &v);
        if (h.kind == 'D' && cells_done(p, h.size, &end.done) == 0)
            CHECK(end.done.status <= 255 && end.done.name_len + end.done.text_len < h.size);
        p += h.size;
        size -= CELLS_SAY_SIZE + h.size;
    }
    cell_result_end(&result, &end);
    CHECK(result.error == 0);
    const ssize_t n = pread(result.fd, text, sizeof text, 0);
    CHECK(n > 0);
    is_json(text, (size_t)n);
    (void)close(result.fd);
    return 0;
}
