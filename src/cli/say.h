/* say: our own words, always on stderr (or stdout for what was asked for), never the program's. */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include "base/err.h"
#include "base/sbuf.h"

/* "strongroom: <text>" and "strongroom: hint: <hint>". Returns the exit status of the error's kind. */
int say_error(const struct err *e);

/* Writes the text as it is; failing is ignored for stderr, an error for stdout. */
void say_stderr(const struct sbuf *text);
int say_stdout(const struct sbuf *text);

/* Columns of the terminal that stdout is; 80 where it is none. */
unsigned say_columns(void);

#endif
