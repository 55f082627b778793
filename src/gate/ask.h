/* ask: connections that wait for a word of the room's user. See ask.c. */
#ifndef GATE_ASK_H
#define GATE_ASK_H

#include "gate/conn_row.h"
#include "gate/frames.h"

/* There is somebody who can be asked: before any connection. */
void ask_open(void);

/* Does the connection, which no rule allows, wait for an answer now? Otherwise it is to be denied. */
bool ask_about(struct conn *c);

/* It waits no more. */
void ask_leave(struct conn *c);

/* 0, or -EPROTO: nobody asked. */
int ask_answered(const struct gate_command *command);

#endif
