/* journal: what an apply does, operation by operation, written whole before the first of them is done.
 *
 *   header, then per operation: struct journal_op, path NUL, padding to 8 bytes, uint32 size twice (to go backwards)
 *
 * Whether an operation has been done is never written down: it shows in the tree and in the stage (ops.h), so that a
 * crash at any place leaves nothing to guess. */
#ifndef TREE_JOURNAL_H
#define TREE_JOURNAL_H

#include "tree/index.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_BEGUN ".journal"  /* its name before it is whole, and when it is done with */
#define JOURNAL_MAGIC 0x314c4e4au /* "JNL1" */

enum op_what {
    OP_DELETE = 1, /* path -> stage/N */
    OP_ADD,        /* stage/N -> path, where nothing is */
    OP_REPLACE,    /* stage/N <-> path */
    OP_MODE,       /* the mode of path */
    OP_SETTLE,     /* mode and times of a folder that OP_ADD made, when it is full */
    OP_WHAT_COUNT,
};

struct journal_op {
    uint32_t size; /* of the record, all of it */
    uint32_t path_len;
    uint8_t what, file, reserved[2]; /* enum op_what, enum tree_file of what is added or deleted */
    uint32_t number;                 /* its name in the stage */
    uint32_t old_mode, new_mode;
    struct fingerprint old;   /* DELETE, REPLACE, MODE: what was there */
    struct fingerprint made;  /* ADD, REPLACE: what was staged */
    int64_t old_mtime, mtime; /* of the folder around it before; SETTLE: the folder's own new one */
    uint32_t old_mtime_nsec, mtime_nsec;
};

struct journal_header {
    uint32_t magic, version;
    uint64_t bytes; /* of all records */
    uint64_t ops;
    uint64_t dev, ino;                    /* of the workspace */
    int64_t old_mtime;                    /* of it */
    uint32_t old_mtime_nsec, stamps_root; /* 1: something directly in it comes or goes */
    char id[8];                           /* of the entry: names the stage */
    struct tree_totals totals;            /* what was applied */
};

struct journal_writer {
    int fd;
    char *buf;
    size_t used;
    struct journal_header head;
};
/* The workspace's own times go in at once: making the stage stamps it. */
int journal_create(int entry, const struct stat *root, struct journal_writer *ret);
int journal_add(struct journal_writer *j, const struct journal_op *op, const char *path);
int journal_finish(int entry, struct journal_writer *j); /* durable, under its name */
void journal_drop(int entry, struct journal_writer *j);
void journal_leave(struct journal_writer *j); /* its file stays, as JOURNAL_BEGUN */

struct journal {
    const struct journal_header *head;
    const char *map;
    size_t size, at; /* at: where the next or the last record ends or begins */
};
int journal_open(int entry, struct journal *ret); /* at the first record */
void journal_close(struct journal *j);
/* The header of one that was begun and is not under its name. */
int journal_begun(int entry, struct journal_header *ret);
bool journal_flat(const struct journal *j); /* of a version whose stage had no shelves (stage.h) */
/* Pure. */
int journal_check(const void *bytes, size_t size);
void journal_to_end(struct journal *j);
/* 1, 0 (no more), -EBADMSG. What is returned lies in the map. */
int journal_next(struct journal *j, const struct journal_op **ret, const char **ret_path);
int journal_back(struct journal *j, const struct journal_op **ret, const char **ret_path);

#endif
