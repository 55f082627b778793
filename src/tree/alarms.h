/* alarms: what a person must look at before it becomes real; one row each, with the reason. */
#ifndef TREE_ALARMS_H
#define TREE_ALARMS_H

#include "base/sbuf.h"
#include "tree/index.h"
#include "tree/walk.h"

/* name, what it is (one line), why it matters */
#define ALARM_TABLE(X)                                                                                       \
    X(MASS_DELETION, "mass-deletion", "many files deleted at once")                                          \
    X(SETID, "set-id", "a set-user-ID or set-group-ID bit: cleared, whatever you choose")                    \
    X(SPECIAL, "special-file", "a device, pipe or socket: left out, whatever you choose")                    \
    X(UNREADABLE, "unreadable", "its bytes are not in the layer: left out")                                  \
    X(LINK_OUT, "link-out", "a link that points out of the tree")                                            \
    X(BINARY_REPLACED, "binary-replaced", "a program or library of the host is replaced")

enum alarm {
    ALARM_NONE,
#define ALARM_ID(id, name, why) ALARM_##id,
    ALARM_TABLE(ALARM_ID)
#undef ALARM_ID
        ALARM_COUNT,
};
const char *alarm_name(unsigned alarm);
const char *alarm_why(unsigned alarm);

/* For the whole: how much is deleted, of how much. */
struct alarms_total {
    uint64_t deleted_files;
    int lower;
};
int alarms_begin(struct alarms_total *t, int lower);
/* Sets row->alarm and appends to the detail; `w` stands at the row's entry. */
void alarms_row(struct alarms_total *t, const struct walk *w, struct index_row *row, struct sbuf *detail);
void alarms_end(struct alarms_total *t, struct index_header *head);

#endif
