/* runtimes: the interpreters that can live in a room and keep their state from one cell of code to the next. */
#ifndef RUNTIMES_RUNTIMES_H
#define RUNTIMES_RUNTIMES_H

#define RUNTIMES_ARGS_MAX 8

enum runtime_id { RUNTIME_PYTHON, RUNTIME_JAVASCRIPT, RUNTIME_BASH, RUNTIME_COUNT };

/* What starts it, in the room: its descriptor 0 is the channel (cells.h), 1 and 2 are what its cells print into. */
struct runtime {
    const char *name;
    const char *args[RUNTIMES_ARGS_MAX + 1]; /* NULL at the end */
};
extern const struct runtime runtimes[RUNTIME_COUNT];

/* A language that a cell may be written in. */
struct language {
    const char *name;
    enum runtime_id runtime;
    char kind; /* of the frame that carries its cells */
};
#define LANGUAGE_COUNT 4
extern const struct language languages[LANGUAGE_COUNT];

/* What runs one program of that language, which comes in on its descriptor 0. All but bash need a socket there, and
 * answer with frames of values. NULL at the end. */
extern const char *const runtimes_once[LANGUAGE_COUNT][RUNTIMES_ARGS_MAX + 1];

const struct language *language_find(const char *name); /* NULL: there is none */
const struct runtime *runtime_find(const char *name);   /* NULL */

#endif
