/* handoff: what is written inside a room and would run outside, by its path and by the line that matters. Pure. */
#ifndef TREE_HANDOFF_H
#define TREE_HANDOFF_H

#include "base/sbuf.h"
#include "policy/alarm_table.h"
#include <stdbool.h>
#include <stddef.h>

#define HANDOFF_READ_MAX ((size_t)256 << 10) /* bytes of a file that are looked at */

/* enum alarm of a file with this path, ALARM_NONE: none. Names count in either case. */
unsigned handoff_path(const char *path);

/* Whether a link at `path` with this target leads out of the tree, by words: nothing is looked up. */
bool handoff_leaves(const char *path, const char *target);

struct handoff_text {
    const char *bytes;
    size_t size;
};
/* The line that matters of a file with alarm `alarm` (old may be empty), escaped, into `line`. False: on a closer
 * look nothing in it runs anything that did not before, so that there is no alarm. */
bool handoff_line(unsigned alarm, const char *path, struct handoff_text old, struct handoff_text new,
                  struct sbuf *line);

/* Readers of the two files of which only some lines matter. Zeroed at first but for `text`. */
struct handoff_reader {
    struct handoff_text text;
    size_t at;
    struct handoff_text section; /* git: in force */
    bool unsure;                 /* git: a value goes on over lines, so that any line may be a setting */
    long depth, inside; /* package.json: braces; those of the member whose parts are commands, 0: none */
};
/* The next setting of a git configuration that can make git run something. */
bool handoff_git_next(struct handoff_reader *r, struct handoff_text *ret_setting);
/* The next script of a package.json, `"name": "command"`. */
bool handoff_package_next(struct handoff_reader *r, struct handoff_text *ret_script);

#endif
