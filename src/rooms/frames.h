/* frames: what a room that has a name and those who speak to it say over its control socket (place.h says where it is).
 *
 * SOCK_SEQPACKET, one record per frame, one fixed size; bytes that a frame does not use are zero. Each request of a
 * client's gets one reply, and the next one is only read then. A frame that does not fit its row ends the connection.
 * New verbs are new rows. Whatever the version: a frame has this size and begins with its version, and who hears
 * another one answers with a frame of its own, so that both sides know why they cannot speak. */
#ifndef ROOMS_FRAMES_H
#define ROOMS_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#define ROOMS_VERSION   1
#define ROOMS_TEXT_MAX  4080
#define ROOMS_FDS_MAX   4  /* descriptors that come along with one frame */
#define ROOMS_RULES_MAX 32 /* of one request */

enum rooms_from { ROOMS_CLIENT, ROOMS_ROOM };

/* X(id, name, who says it, least bytes of text, most bytes, most descriptors, what it means) */
#define ROOMS_FRAME_TABLE(X)                                                                                 \
    X(RULES, "rules", CLIENT, 0, 0, 0, "list the rules in force, from number `value` on")                    \
    X(ALLOW, "allow", CLIENT, 1, ROOMS_TEXT_MAX, 0,                                                          \
      "from now on let this through: a rule a line; all of them, or none")                                   \
    X(DENY, "deny", CLIENT, 1, ROOMS_TEXT_MAX, 0, "from now on do not let this through; likewise")           \
    X(WITHDRAW, "withdraw", CLIENT, 1, ROOMS_TEXT_MAX, 0,                                                    \
      "take this rule, allowing or denying, back; likewise")                                                 \
    X(STATUS, "status", CLIENT, 0, 0, 0, "tell how the room is: LINES of `name value`")                      \
    X(EXEC, "exec", CLIENT, 0, 64, 4,                                                                        \
      "start a program: its words (sys/words.h), then its stdin, stdout and stderr, or `terminal ROWS "      \
      "COLS`; behind that perhaps `wait`: ENDED follows unasked; "                                           \
      "`value`: milliseconds that it may run, 0: no bound of its own")                                       \
    X(WAIT, "wait", CLIENT, 0, 0, 0, "tell when program `value` has ended; once")                            \
    X(SIGNAL, "signal", CLIENT, 4, 64, 0,                                                                    \
      "signal `value` to `room`, or to `program HANDLE`, `group HANDLE`, `tree HANDLE`")                     \
    X(LOGS, "logs", CLIENT, 0, 64, 0,                                                                        \
      "the logs, as soon as they have more than `OUT ERR` bytes; \"\": at once; `value` 1: will ask again")  \
    X(PAUSE, "pause", CLIENT, 0, 0, 0, "stop every process of the room")                                     \
    X(RESUME, "resume", CLIENT, 0, 0, 0, "let them go on")                                                   \
    X(RENEW, "renew", CLIENT, 0, 0, 0, "the room may live `value` seconds from now on")                      \
    X(END, "end", CLIENT, 0, 0, 0, "end the room; the connection closes when it has ended")                  \
    X(JOB, "job", CLIENT, 0, 100, 1,                                                                         \
      "start a program (its words) that lives on; its stdin and what it prints are kept; a name for lists")  \
    X(JOBS, "jobs", CLIENT, 0, 0, 0, "list those: LINES of `HANDLE STATE STATUS AGE OUT ERR COMMAND`")       \
    X(OUTPUT, "output", CLIENT, 0, 0, 0, "what `value` of those printed, as a LOG")                          \
    X(INPUT, "input", CLIENT, 0, 8, 0, "a PIPE into stdin of `value` of those; `close`: which ends with it") \
    X(LEASE, "lease", CLIENT, 1, 32, 0,                                                                      \
      "lend me the room's interpreter of that name, when nobody else has it; the connection's end without "  \
      "RELEASE ends it")                                                                                     \
    X(RELEASE, "release", CLIENT, 0, 0, 0,                                                                   \
      "take the interpreter back; `value` 1: it is of no use any more, end it and tell how it ENDED")        \
    X(LINES, "lines", ROOM, 0, ROOMS_TEXT_MAX, 0,                                                            \
      "a part of a list; `value` is where it goes on, 0: complete")                                          \
    X(DONE, "done", ROOM, 0, ROOMS_TEXT_MAX, 0, "it holds: a line for each; `value`: connections cut")       \
    X(STARTED, "started", ROOM, 0, 0, 1, "program `value` runs; its terminal, if it has one")                \
    X(ENDED, "ended", ROOM, 1, 128, 0,                                                                       \
      "`value`: wait status; the text: outcome, user and system microseconds, most KiB resident")            \
    X(LOG, "log", ROOM, 1, 128, 2,                                                                           \
      "`OUT ERR SIZE STATE`: bytes written so far to each log, of which the files hold the last SIZE as a "  \
      "ring (engine/relay.h)")                                                                               \
    X(PIPE, "pipe", ROOM, 0, 0, 1, "what a program reads")                                                   \
    X(LEASED, "leased", ROOM, 1, 64, 3,                                                                      \
      "interpreter `value` (a handle for signals): its channel, stdout and stderr; `CELL STATE`: number of " \
      "its next cell, and `new`, `kept` or `lost STATUS`: what became of the one before")                    \
    X(REFUSED, "refused", ROOM, 1, ROOMS_TEXT_MAX, 0,                                                        \
      "why not, and behind a newline a hint; `value`: an exit status for it, 0: none of its own")

enum rooms_frame_type {
    ROOMS_NOTHING,
#define X(id, ...) ROOMS_##id,
    ROOMS_FRAME_TABLE(X)
#undef X
        ROOMS_FRAME_TYPE_END
};

struct rooms_frame {
    uint32_t version; /* ROOMS_VERSION */
    uint32_t type;    /* enum rooms_frame_type */
    uint32_t size;    /* bytes of text */
    int32_t value;
    char text[ROOMS_TEXT_MAX]; /* UTF-8; no control characters but newlines, where the row says so */
};

/* 0: it fits its row, came from the right side, and not with too many descriptors; -EPROTO: another version; -EBADMSG.
 * Pure. */
int rooms_frame_check(const struct rooms_frame *f, enum rooms_from from, int fds);

/* Fills all of it; what does not fit of `text` is cut off between characters. */
void rooms_frame_fill(struct rooms_frame *f, enum rooms_frame_type type, int value, const char *text);

/* The text as a string of its own. */
void rooms_frame_text(const struct rooms_frame *f, char ret[ROOMS_TEXT_MAX + 1]);

#endif
