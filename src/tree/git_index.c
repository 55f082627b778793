/* git_index: see git_index.h.
 *
 * Lives in: strongroom-tree, tests and fuzzers. Trusts: nothing of the bytes. Pure. */
#include "tree/git_index.h"
#include "tree/record.h"

#include <errno.h>

#define HEADER       12
#define STAT_BYTES   40 /* of an entry, before the hash */
#define NAME_MASK    0x0fff
#define EXTENDED     0x4000
#define SAYS         0x8000 /* of the flags: that a file counts as unchanged */
#define SAYS_MORE    0x6000 /* of the others: that it is not in the work tree, or only meant to be added */
#define STAGE_SHIFT  12
#define MODE_AT      24 /* in the stat part */
#define TYPE_FOLDER  0040000u
#define TYPE_GITLINK 0160000u

struct reading {
    const uint8_t *bytes;
    size_t size, at;
    size_t hash; /* bytes of one */
    uint32_t version;
    char path[GIT_INDEX_PATH_MAX + 1]; /* of the entry at hand, and before that of the last one */
    size_t len;
    unsigned stage;
    const uint8_t *entry; /* the one at hand */
    unsigned flags, more;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Version 4: how much of the last path goes. */
static int take_cut(struct reading *r, size_t *ret)
{
    size_t n = 0;

    for (unsigned i = 0; i < 3; i++) { /* three bytes hold more than a path has */
        if (r->at == r->size)
            return -EBADMSG;
        const uint8_t c = r->bytes[r->at++];
        n = i ? (n + 1) << 7 | (c & 0x7f) : c & 0x7f;
        if (!(c & 0x80)) {
            *ret = n;
            return 0;
        }
    }
    return -EBADMSG;
}

/* The path of the next entry, which must come behind the last one. */
static int take_path(struct reading *r, unsigned stage)
{
    size_t keep = 0, cut;

    if (r->version == 4) {
        if (take_cut(r, &cut) < 0 || cut > r->len)
            return -EBADMSG;
        keep = r->len - cut;
    }
    const uint8_t *from = r->bytes + r->at, *end = memchr(from, '\0', r->size - r->at);
    const size_t n = end ? (size_t)(end - from) : 0;
    if (!end || n > GIT_INDEX_PATH_MAX - keep)
        return -EBADMSG;
    if (keep + n == 0) /* it takes the place of one in the other half of a split index */
        return -ENOTSUP;
    char last[GIT_INDEX_PATH_MAX + 1];
    const size_t last_len = r->len;
    memcpy(last, r->path, last_len + 1);
    memcpy(r->path + keep, from, n + 1);
    r->len = keep + n;
    r->at += n + 1;
    /* Their ends count: memcmp() over the shorter one and its NUL is git's order. */
    const int order = memcmp(last, r->path, (last_len < r->len ? last_len : r->len) + 1);
    if (order > 0 || (order == 0 && stage <= r->stage))
        return -EBADMSG;
    r->stage = stage;
    return 0;
}

/* One entry. *ret_folder as in git_index_fn. */
static int take_entry(struct reading *r, int *ret_folder)
{
    const size_t from = r->at, fixed = STAT_BYTES + r->hash + 2;

    if (r->size - r->at < fixed + 2)
        return -EBADMSG;
    const uint32_t type = be32(r->bytes + r->at + MODE_AT) & 0170000u;
    const unsigned flags = (unsigned)r->bytes[from + fixed - 2] << 8 | r->bytes[from + fixed - 1];
    r->at += fixed;
    r->entry = r->bytes + from;
    r->flags = flags;
    r->more = 0;
    if (flags & EXTENDED) {
        if (r->version < 3)
            return -EBADMSG;
        r->more = (unsigned)r->bytes[r->at] << 8 | r->bytes[r->at + 1];
        r->at += 2;
    }
    const int n = take_path(r, flags >> STAGE_SHIFT & 3);
    if (n < 0)
        return n;
    const size_t wanted = flags & NAME_MASK;
    if (wanted < NAME_MASK ? r->len != wanted : r->len < NAME_MASK)
        return -EBADMSG;
    if (r->version < 4) { /* NULs up to a multiple of 8, of which the path's own is one */
        const size_t used = r->at - 1 - from, whole = (used + 8) & ~(size_t)7;
        if (whole - used > r->size - (r->at - 1))
            return -EBADMSG;
        for (; r->at < from + whole; r->at++)
            if (r->bytes[r->at])
                return -EBADMSG;
    }
    *ret_folder = type == TYPE_FOLDER || type == TYPE_GITLINK;
    const size_t len = r->len - (type == TYPE_FOLDER && r->len > 1 && r->path[r->len - 1] == '/');
    return record_good_path(r->path, len) ? 0 : -EBADMSG;
}

/* What is behind the entries: parts with a size each, and the hash of all. */
static int take_rest(struct reading *r)
{
    int split = 0;

    while (r->size - r->at > r->hash) {
        if (r->size - r->at < r->hash + 8)
            return -EBADMSG;
        const uint32_t n = be32(r->bytes + r->at + 4);
        if (n > r->size - r->at - r->hash - 8)
            return -EBADMSG;
        split |= memcmp(r->bytes + r->at, "link", 4) == 0;
        r->at += 8 + n;
    }
    return r->size - r->at != r->hash ? -EBADMSG : split ? -ENOTSUP : 0;
}

static void rewind_to_entries(struct reading *r)
{
    r->at = HEADER;
    r->len = r->stage = 0;
    r->path[0] = '\0';
}

static int pass(struct reading *r, git_index_fn *each, void *ctx)
{
    const uint32_t count = be32(r->bytes + 8);
    int folder, n = 0;

    rewind_to_entries(r);
    for (uint32_t i = 0; i < count; i++) {
        if ((n = take_entry(r, &folder)) < 0)
            return n;
        if (!each)
            continue;
        char path[GIT_INDEX_PATH_MAX + 1];
        const size_t len = r->len - (r->path[r->len - 1] == '/');
        memcpy(path, r->path, len);
        path[len] = '\0';
        if ((n = each(ctx, path, len, folder)) != 0)
            return n;
    }
    return take_rest(r);
}

/* Looks at all of it; the reading then knows how long a hash is. */
static int check(struct reading *r, const uint8_t *bytes, size_t size)
{
    static const size_t hashes[] = {20, 32};
    int result = -EBADMSG;

    if (size < HEADER + 20 || size > GIT_INDEX_MAX || memcmp(bytes, "DIRC", 4) != 0)
        return -EBADMSG;
    r->bytes = bytes;
    r->size = size;
    r->version = be32(bytes + 4);
    if (r->version < 2 || r->version > 4)
        return -EBADMSG;
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        r->hash = hashes[i];
        const int n = pass(r, NULL, NULL);
        if (n == 0)
            return 0;
        if (n == -ENOTSUP && memmem(bytes, size, "link", 4)) /* the part that says so */
            result = n;
    }
    return result;
}

int git_index_each(const uint8_t *bytes, size_t size, git_index_fn *each, void *ctx)
{
    static struct reading r;
    const int n = check(&r, bytes, size);

    return n < 0 ? n : pass(&r, each, ctx);
}

bool git_index_same(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    static struct reading r[2];
    int folder;

    if (check(&r[0], a, a_size) < 0 || check(&r[1], b, b_size) < 0 || r[0].hash != r[1].hash ||
        be32(a + 8) != be32(b + 8))
        return false;
    rewind_to_entries(&r[0]);
    rewind_to_entries(&r[1]);
    for (uint32_t i = 0; i < be32(a + 8); i++) {
        if (take_entry(&r[0], &folder) < 0 || take_entry(&r[1], &folder) < 0)
            return false;
        if (r[0].len != r[1].len || memcmp(r[0].path, r[1].path, r[0].len) != 0 || r[0].stage != r[1].stage ||
            (r[0].flags ^ r[1].flags) & SAYS || (r[0].more ^ r[1].more) & SAYS_MORE ||
            be32(r[0].entry + MODE_AT) != be32(r[1].entry + MODE_AT) ||
            memcmp(r[0].entry + STAT_BYTES, r[1].entry + STAT_BYTES, r[0].hash) != 0)
            return false;
    }
    return true;
}
