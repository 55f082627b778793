/* frames: what a room that has a name and those who speak to it say over its control socket (place.h says where it is).
 *
 * SOCK_SEQPACKET, one record per frame, one fixed size; bytes that a frame does not use are zero. Each request of a
 * client's gets one reply, and the next one is only read then. A frame that does not fit its row ends the connection.
 * New verbs are new rows. */
#ifndef ROOMS_FRAMES_H
#define ROOMS_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#define ROOMS_VERSION  1
#define ROOMS_TEXT_MAX 4080
#define ROOMS_RULE_MAX 512 /* one rule, with a NUL: EGRESS_RULE_MAX */

enum rooms_from { ROOMS_CLIENT, ROOMS_ROOM };

/* X(id, name, who says it, least bytes of text, most bytes, what it means) */
#define ROOMS_FRAME_TABLE(X)                                                                                 \
    X(RULES, "rules", CLIENT, 0, 0, "list the rules in force, from number `value` on")                       \
    X(ALLOW, "allow", CLIENT, 1, ROOMS_RULE_MAX - 1, "from now on let this through")                         \
    X(DENY, "deny", CLIENT, 1, ROOMS_RULE_MAX - 1, "from now on do not let this through")                    \
    X(WITHDRAW, "withdraw", CLIENT, 1, ROOMS_RULE_MAX - 1, "take this rule, allowing or denying, back")      \
    X(LINES, "lines", ROOM, 0, ROOMS_TEXT_MAX, "a part of a list; `value` is where it goes on, 0: complete") \
    X(DONE, "done", ROOM, 0, ROOMS_TEXT_MAX, "it holds; `value` says how many connections were cut")         \
    X(REFUSED, "refused", ROOM, 1, ROOMS_TEXT_MAX, "why not, and behind a newline a hint")

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
    char text[ROOMS_TEXT_MAX]; /* UTF-8; no control characters but newlines, and these from the room only */
};

/* 0: it fits its row and came from the right side; -EPROTO: another version; -EBADMSG. Pure. */
int rooms_frame_check(const struct rooms_frame *f, enum rooms_from from);

/* Fills all of it; what does not fit of `text` is cut off between characters. */
void rooms_frame_fill(struct rooms_frame *f, enum rooms_frame_type type, int value, const char *text);

/* The text as a string of its own. */
void rooms_frame_text(const struct rooms_frame *f, char ret[ROOMS_TEXT_MAX + 1]);

#endif
