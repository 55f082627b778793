/* tell: events to the supervisor. Never waits: what the socket does not take now is counted and told with the next. */
#ifndef GATE_TELL_H
#define GATE_TELL_H

#include "gate/frames.h"

void tell_open(int control);
void tell_event(const struct gate_report *event); /* type and count are set here */
/* Equal refusals within a second become one event; this lets out what is due. Returns ms until the next, -1: none. */
int tell_tick(void);
/* Not an event but an answer: the type is set, and it is sent as it is. Never lost: it waits for the supervisor. */
void tell_reply(const struct gate_report *report);
/* Likewise, but only when it goes at once; 0 or -errno. */
int tell_now(const struct gate_report *report);
/* Lets out everything, then FINISHED. */
void tell_finish(void);

#endif
