/* strongroom-tree: does every walk, comparison, scan, copy and apply over trees that hostile code wrote.
 *
 * Theory of operation. strongroom hands it directories and tells it, verb by verb, what to do (frames.h). It confines
 * itself to those directories before it reads the first name in them. All that it finds out goes back as frames of
 * fixed size. One process, one thread, one session about one tree; memory is bounded by what walk.h and index.h name.
 *
 * Lives in: a process of its own. Trusts: strongroom, by the form of its frames; nothing of the trees.
 * May: write below the entry, and below the workspace when told to apply. Must not: follow a link, open anything
 * else. */
#include "sys/fd.h"
#include "sys/mem.h"
#include "tree/confine.h"
#include "tree/session.h"
#include "tree/step.h"
#include "tree/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tree_command command;

static const struct {
    enum tree_command_type type;
    uint32_t needs; /* TREE_HAS_*, TREE_LOWER_WRITABLE */
    void (*run)(const struct tree_command *c);
} verbs[] = {
    {TREE_STORE, TREE_HAS_UPPER | TREE_HAS_LOWER | TREE_HAS_ENTRY, verb_store},
    {TREE_SHOW, TREE_HAS_ENTRY, verb_show},
    {TREE_ROWS, TREE_HAS_ENTRY, verb_rows},
    {TREE_DIFF, TREE_HAS_UPPER | TREE_HAS_LOWER | TREE_HAS_ENTRY, verb_diff},
    {TREE_COUNT, TREE_HAS_UPPER | TREE_HAS_LOWER, verb_count},
    {TREE_DECIDE, TREE_HAS_ENTRY, verb_decide},
    {TREE_APPLY, TREE_HAS_UPPER | TREE_HAS_LOWER | TREE_HAS_ENTRY | TREE_LOWER_WRITABLE, verb_apply},
    {TREE_UNDO, TREE_HAS_LOWER | TREE_HAS_ENTRY | TREE_LOWER_WRITABLE, verb_undo},
    {TREE_RECOVER, TREE_HAS_LOWER | TREE_HAS_ENTRY | TREE_LOWER_WRITABLE, verb_recover},
    {TREE_DISCARD, TREE_HAS_ENTRY, verb_discard},
    {TREE_COPY, TREE_HAS_UPPER | TREE_HAS_LOWER | TREE_LOWER_WRITABLE, verb_copy},
};

static int fail(int code, const char *text, const char *what)
{
    session.report.code = code < 0 ? -code : code;
    (void)snprintf(session.report.text, TREE_TEXT_MAX, "%s%s: %s", text, what, strerror(session.report.code));
    session_send(TREE_FAILED);
    return 1;
}

static int take_open(uint32_t *ret_flags)
{
    int fds[FD_FRAME_FDS_MAX], at = 0;
    int n = fd_frame_recv(TREE_CONTROL_FD, &command, sizeof command, fds, FD_FRAME_FDS_MAX, 0);
    const struct {
        uint32_t flag;
        int *to;
    } rows[] = {
        {TREE_HAS_UPPER, &session.upper}, {TREE_HAS_LOWER, &session.lower}, {TREE_HAS_ENTRY, &session.entry}};

    if (n < 0)
        return n;
    if (command.type != TREE_OPEN || command.version != TREE_FRAMES_VERSION)
        return -EPROTO;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stat s;
        if (!(command.flags & rows[i].flag))
            continue;
        if (at == n || fstat(fds[at], &s) < 0 || !S_ISDIR(s.st_mode))
            return -EPROTO;
        *rows[i].to = fds[at++];
    }
    session.lower_writable = command.flags & TREE_LOWER_WRITABLE;
    *ret_flags = command.flags;
    return at == n ? 0 : -EPROTO;
}

static bool is_piece(uint32_t type)
{
    return type == TREE_PATHS || type == TREE_PICK || type == TREE_EXCEPT || type == TREE_ACCEPT;
}

/* Piece of a selection. */
static int take_piece(void)
{
    const struct {
        uint32_t type;
        void *to;
        size_t *len;
    } lists[] = {{TREE_PATHS, session.paths, &session.paths_len},
                 {TREE_EXCEPT, session.excepts, &session.excepts_len},
                 {TREE_ACCEPT, session.accepts, &session.accepts_len},
                 {TREE_PICK, session.picks, &session.pick_bytes}};
    size_t i = 0;

    while (lists[i].type != command.type)
        i++;
    char *to = lists[i].to;
    size_t *len = lists[i].len;
    if (command.size > TREE_PIECE_MAX || command.size > TREE_PATHS_MAX - *len)
        return -EPROTO;
    memcpy(to + *len, command.text, command.size);
    *len += command.size;
    return 0;
}

static int run_verb(uint32_t flags)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (verbs[i].type != command.type)
            continue;
        if ((verbs[i].needs & flags) != verbs[i].needs ||
            (session.paths_len && session.paths[session.paths_len - 1] != '\0') ||
            (session.excepts_len && session.excepts[session.excepts_len - 1] != '\0') ||
            (session.accepts_len && session.accepts[session.accepts_len - 1] != '\0') ||
            session.pick_bytes % 4)
            return -EPROTO;
        verbs[i].run(&command);
        session_done();
        return 0;
    }
    return -EPROTO;
}

int main(void)
{
    const char *what = "";
    uint32_t flags = 0;

    int r = take_open(&flags);
    if (r < 0)
        return fail(r, "take the directories", "");
    session.paths = mem_reserve(TREE_PATHS_MAX);
    session.picks = mem_reserve(TREE_PATHS_MAX);
    session.excepts = mem_reserve(TREE_PATHS_MAX);
    session.accepts = mem_reserve(TREE_PATHS_MAX);
    if (!session.paths || !session.picks || !session.excepts || !session.accepts)
        return fail(-ENOMEM, "begin", "");
#ifdef STRONGROOM_FAULT
    const char *fault = getenv("STRONGROOM_FAULT");
    if (fault && strncmp(fault, "tree:", 5) == 0) {
        long number = 0;
        for (const char *at = fault + 5; *at >= '0' && *at <= '9' && number < 1000000; at++)
            number = number * 10 + (*at - '0');
        step_arm(number);
    }
#endif
    umask(0);
    if ((r = tree_confine(&what)) < 0)
        return fail(r, "strongroom-tree cannot confine itself: ", what);
    session_send(TREE_READY);
    while (fd_frame_recv(TREE_CONTROL_FD, &command, sizeof command, NULL, 0, 0) == 0) {
        if (command.version != TREE_FRAMES_VERSION)
            return 1;
        const bool piece = is_piece(command.type);
        if ((piece ? take_piece() : run_verb(flags)) < 0)
            return 1;
    }
    return 0;
}
