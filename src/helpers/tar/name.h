/* name: the names in a tar stream, before anything is done with them. Pure. */
#ifndef HELPERS_TAR_NAME_H
#define HELPERS_TAR_NAME_H

#include <stddef.h>

#define TAR_PATH_MAX 4096 /* bytes of one path, its NUL included */

/* The path that `raw` means: no slash at either end, no "." in it; "" is the top itself. NULL: it may be used; else why
 * not (absolute, "..", control characters, too long, none at all). */
const char *tar_name(const char *raw, char ret[TAR_PATH_MAX]);

/* The same with the first part replaced by `top`. */
const char *tar_member(const char *raw, const char *top, char ret[TAR_PATH_MAX]);

#endif
