/* plan_inner: what the files that make a plan share. Not for others. */
#ifndef ROOM_PLAN_INNER_H
#define ROOM_PLAN_INNER_H

#include "room/plan.h"

/* A bump allocator over the caller's text memory. */
struct text {
    char *next, *end;
};

/* Each NULL when the memory is used up; out_of_text() is the error for that. */
char *text_join(struct text *t, const char *a, const char *b);
void *text_array(struct text *t, size_t size, size_t n);
char *text_fmt(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int out_of_text(struct err *e);

int plan_masks(struct room_plan *plan, struct text *t, struct err *e);
/* What is executed, and its environment. */
int plan_program(struct room_plan *plan, struct text *t, struct err *e);
int plan_env(struct room_plan *plan, struct text *t, struct err *e);

#endif
