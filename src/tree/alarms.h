/* alarms: what a person must look at before it becomes real; one row each, with the reason. */
#ifndef TREE_ALARMS_H
#define TREE_ALARMS_H

#include "base/sbuf.h"
#include "policy/alarm_table.h"
#include "tree/index.h"
#include "tree/walk.h"

#define ALARMS_MASS_LEAST 10 /* fewer deleted files are no mass */

const char *alarm_name(unsigned alarm);
const char *alarm_why(unsigned alarm);

/* For the whole: how much is deleted, of how much. */
struct alarms_total {
    uint64_t deleted_files, deleted_top;
    char folder[256]; /* the first name of their paths, with the most of them */
    char at[256];     /* the one at hand */
    uint64_t in_folder, in_at;
    int lower;
};
int alarms_begin(struct alarms_total *t, int lower);
/* Sets row->alarm and appends to the detail; `w` stands at the row's entry. */
void alarms_row(struct alarms_total *t, const struct walk *w, struct index_row *row, struct sbuf *detail);
void alarms_end(struct alarms_total *t, struct index_header *head);

#endif
