/* tar_fuzz: bytes as a tar stream → what the filter lets through; all of it must be harmless.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "helpers/tar/name.h"
#include "helpers/tar/work.h"
#include "tree/handoff.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define OUT_MAX ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_all(const char *bytes, size_t size)
{
    struct archive *a = take_reader();
    struct archive_entry *e;
    char path[TAR_PATH_MAX];
    int r;

    CHECK(a && archive_read_open_memory(a, bytes, size) == ARCHIVE_OK);
    while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
        const char *name = archive_entry_pathname(e), *link = archive_entry_symlink(e);
        const mode_t type = archive_entry_filetype(e);
        CHECK(name && tar_name(name, path) == NULL);
        CHECK(archive_entry_hardlink(e) || type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK);
        CHECK((archive_entry_perm(e) & 07000) == 0);
        CHECK(!link || !handoff_leaves(path, link));
        CHECK(!archive_entry_hardlink(e) || tar_name(archive_entry_hardlink(e), path) == NULL);
    }
    (void)archive_read_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[OUT_MAX];
    struct work w = {
        .order = {.what = TAR_FILTER, .entries_max = 1000, .bytes_max = 1 << 20}, .in = -1, .out = -1};
    struct archive *from = take_reader(), *to = archive_write_new();
    size_t used = 0;

    CHECK(from && to);
    (void)archive_write_set_format_pax_restricted(to);
    CHECK(archive_write_open_memory(to, out, sizeof out, &used) == ARCHIVE_OK);
    if (archive_read_open_memory(from, data, size) == ARCHIVE_OK) {
        const int r = take_all(&w, from, to);
        CHECK(w.entries <= w.order.entries_max + 1);
        if (archive_write_close(to) == ARCHIVE_OK && r == 0)
            check_all(out, used);
    }
    (void)archive_write_free(to);
    (void)archive_read_free(from);
    return 0;
}
