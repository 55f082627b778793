/* cells: what goes over the channel between a command outside and an interpreter in a room.
 *
 * A stream socket. To the interpreter go heads of CELLS_ASK_SIZE bytes, "__K NNNNNNNN SSSSSSSS\n" (kind, number of the
 * cell and size in hexadecimal digits); a line that a shell can take for a command:
 *   c  a cell: once the interpreter has said G, its text of SSSSSSSS bytes follows
 *   t  the same, in TypeScript
 *   i  that cell is to end (a SIGINT to the interpreter's process group comes with it)
 * Back come heads of CELLS_SAY_SIZE bytes, "K NNNNNNNN SSSSSSSS\n", each with its data behind it:
 *   G  go on: the text of the cell is awaited
 *   V  a value: a line that says its media type, then its bytes
 *   O  a value that is too large: a line that says its media type, then its size in decimal digits
 *   D  done: three digits of exit status and a line end; where it failed, the name of the error, a line end, its text
 * Everything that comes back was written by a program of the room, whoever that was. */
#ifndef RUNTIMES_CELLS_H
#define RUNTIMES_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CELLS_ASK_SIZE  22
#define CELLS_SAY_SIZE  20
#define CELLS_CODE_MAX  (1u << 20) /* bytes of one cell */
#define CELLS_VALUE_MAX (4u << 20) /* bytes of one value, its media type included */
#define CELLS_NOTE_MAX  8192u      /* bytes of any other data */
#define CELLS_TYPE_MAX  64         /* of a media type, NUL included */

/* A head for the interpreter; no NUL at its end. */
void cells_ask(char ret[CELLS_ASK_SIZE], char kind, uint32_t number, uint32_t size);

struct cells_head {
    char kind; /* 'G', 'V', 'O', 'D' */
    uint32_t number, size;
};

/* 0, or -EBADMSG: not of the form, or larger than its kind may be. */
int cells_head(const char text[CELLS_SAY_SIZE], struct cells_head *ret);

struct cells_value {
    char type[CELLS_TYPE_MAX];
    const char *data; /* within what was given */
    size_t size;      /* of 'O': what it would have been */
};

/* The data of V and of O. 0 or -EBADMSG. */
int cells_value(char kind, const char *data, size_t n, struct cells_value *ret);

/* A picture is what begins like one: a reader that trusts the type may choke on anything else. */
bool cells_is_picture(const struct cells_value *v);
bool cells_is_text(const char *type);

struct cells_done {
    int status;                /* 0 to 255 */
    const char *name, *text;   /* within what was given; not terminated */
    size_t name_len, text_len; /* 0: no error */
};

/* The data of D. 0 or -EBADMSG. */
int cells_done(const char *data, size_t n, struct cells_done *ret);

#endif
