/* change_words: the command lines of the verbs about changes. */
#ifndef CLI_CHANGE_WORDS_H
#define CLI_CHANGE_WORDS_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values of an option that may stand there several times; they lie in argv. */
struct change_list {
    char *at[1024];
    size_t count;
};

/* One option. Without `value` and `list` a flag that sets *flag to `sets`. */
struct change_option {
    const char *name;
    const char *arg; /* name of the value in help; NULL: none */
    const char *help;
    unsigned *flag;
    unsigned sets;
    const char **value;
    struct change_list *list;
};

/* What else stands there. */
struct change_words {
    const char *id; /* NULL: none was given */
    char **paths;   /* NULL-terminated */
    size_t path_count;
    bool help;
};

/* "[OPTION…] [ID] [--] [PATH…]" after the verb in argv[0]; `-- PATH…` names no ID. `max_paths` 0: only an ID may
 * stand there. argv is reordered. -errno with e filled. */
int change_words(int argc, char **argv, const struct change_option *options, size_t count, size_t max_paths,
                 struct change_words *ret, struct err *e);

/* A path that begins with the workspace's own is taken as one in it, as a shell completes them. */
void change_paths_inside(char **paths, size_t count, const char *dir);

/* "Usage: …", the text, the options. Returns the exit status. */
int change_help(const char *usage, const char *text, const struct change_option *options, size_t count);

#endif
