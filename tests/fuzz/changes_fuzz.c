/* changes_fuzz: any bytes as an index, as a journal (read both ways), and as a meta file.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "tree/decisions.h"
#include "tree/journal.h"
#include "tree/restored.h"
#include "tree/store.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The header's own fields are made to fit, so that the records are reached. */
static void as_index(char *bytes, size_t size)
{
    struct index_header *h = (void *)bytes;
    struct index x = {.head = h, .map = bytes, .size = size};
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0;

    (void)index_check(bytes, size);
    if (size < sizeof *h)
        return;
    memset(h, 0, sizeof *h);
    h->magic = INDEX_MAGIC;
    h->version = 1;
    h->bytes = size - sizeof *h;
    CHECK(index_check(bytes, size) == 0);
    while (index_next(&x, &at, &row, &path, &detail) > 0)
        CHECK(path[0] != '/' && strlen(path) == row->path_len && strlen(detail) <= row->detail_len);
}

static void as_decisions(const char *bytes, size_t size)
{
    struct decisions_header wanted = {0};

    if (size >= sizeof wanted)
        memcpy(&wanted, bytes, sizeof wanted);
    if (decisions_check(bytes, size, &wanted) == 0)
        for (size_t i = sizeof wanted; i < size; i++)
            CHECK((unsigned char)bytes[i] <= TREE_REJECTED);
    wanted.index_ino++;
    CHECK(decisions_check(bytes, size, &wanted) < 0);
}

static void as_journal(char *bytes, size_t size)
{
    struct journal j = {
        .head = (void *)bytes, .map = bytes, .size = size, .at = sizeof(struct journal_header)};
    const struct journal_op *op;
    const char *path;

    (void)journal_check(bytes, size);
    (void)restored_check(bytes, size);
    if (size < sizeof(struct journal_header))
        return;
    while (journal_next(&j, &op, &path) > 0)
        CHECK(path[0] != '/' && strlen(path) == op->path_len);
    journal_to_end(&j);
    while (journal_back(&j, &op, &path) > 0)
        CHECK(path[0] != '/' && strlen(path) == op->path_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct store_meta m;
    const size_t room = (size + 8) & ~(size_t)7;
    char *bytes = malloc(room);

    CHECK(bytes != NULL);
    memcpy(bytes, data, size);
    bytes[size] = '\0';
    if (store_parse_meta(bytes, &m) == 0)
        CHECK(m.dir[0] == '/');
    as_decisions(bytes, size);
    as_journal(bytes, size & ~(size_t)7);
    as_index(bytes, size & ~(size_t)7);
    free(bytes);
    return 0;
}
