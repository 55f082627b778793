/* store_verb: STORE and COPY.
 *
 * Lives in: strongroom-tree. Trusts: nothing of the source. Must not: leave half a layer that looks whole. */
#include "sys/fd.h"
#include "sys/kernel.h"
#include "tree/collect.h"
#include "tree/copy.h"
#include "tree/session.h"
#include "tree/stage.h"
#include "tree/verbs.h"

#include <stdio.h>
#include <string.h>

static int copy_upper(void)
{
    struct copy_count count = {0};
    int r = remove_tree(session.entry, STORE_HALF);

    if (r == 0 && mkdirat(session.entry, STORE_HALF, 0700) < 0)
        r = -errno;
    if (r < 0)
        return r;
    FD_AUTO fd = openat(session.entry, STORE_HALF, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    r = fd < 0 ? -errno : copy_tree(session.upper, fd, NULL, COPY_STORE, session.lower, NULL, &count);
    if (r == 0 && renameat(session.entry, STORE_HALF, session.entry, STORE_UPPER) < 0)
        r = -errno;
    if (r < 0)
        (void)remove_tree(session.entry, STORE_HALF); /* what is left goes with the entry */
    return r;
}

void verb_store(const struct tree_command *c)
{
    const struct collect_since since = {c->started_sec, c->started_nsec};
    int r = c->flags & TREE_COPY_UPPER ? copy_upper() : 0;

    if (r < 0) {
        (void)session_fail(r, r == -ENOSPC ? "free space where changes are kept" : NULL,
                           "keep the changes: %s", strerror(-r));
        return;
    }
    if (unlinkat(session.entry, STORE_DECISIONS, 0) < 0 && errno != ENOENT) {
        (void)session_fail(errno, NULL, "forget what was decided: %s", strerror(errno));
        return;
    }
    r = collect(session.upper, session.lower, session.entry, since, &session.totals);
    if (r == 0)
        r = store_set_state(session.entry, STORE_PENDING);
    if (r < 0)
        (void)session_fail(r, r == -ELOOP ? "folders are nested too deep" : NULL, "list the changes: %s",
                           strerror(-r));
}

static void tell(const char *path, const char *why)
{
    char text[2048];
    struct sbuf b = SBUF(text);

    sbuf_escaped(&b, path);
    session_fmt("  %s: left out: %s\n", text, why);
}

void verb_copy(const struct tree_command *c)
{
    struct copy_count count = {0};
    const enum copy_kind kind = c->flags & TREE_STRICT ? COPY_STRICT : COPY_OUT;
    int r = 0;

    if (session.paths_len == 0)
        r = copy_tree(session.upper, session.lower, NULL, kind, session.lower, tell, &count);
    for (size_t at = 0; at < session.paths_len && r == 0; at += strlen(session.paths + at) + 1)
        r = copy_tree(session.upper, session.lower, session.paths + at, kind, session.lower, tell, &count);
    session.totals.added = count.files;
    session.totals.bytes_added = count.bytes;
    session.totals.left_out = count.left_out;
    if (r < 0)
        (void)session_fail(r,
                           r == -EEXIST ? "nothing that exists is overwritten: choose another folder" : NULL,
                           "copy%s%s: %s", count.failed[0] ? " " : "", count.failed, strerror(-r));
}
