/* verb_skeleton: `strongroom skeleton DIR`, for the build and the installation only (not in the help).
 *
 * Lives in: the command. Writes DIR.new and puts it in DIR's place, so that a half-written one is never used. */
#include "cli/say.h"
#include "cli/verbs.h"
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int verb_skeleton(int argc, char **argv)
{
    char fresh[4096];
    struct err e = {0};
    struct sbuf b = SBUF(fresh);
    if (argc != 2) {
        (void)err_set(&e, ERR_USAGE, 0, "lay out the default room: wanted one folder");
        return say_error(&e);
    }
    sbuf_fmt(&b, "%s.new", argv[1]);
    if (b.full) {
        (void)err_set(&e, ERR_USAGE, ENAMETOOLONG, "lay out the default room in %.60s…", argv[1]);
        return say_error(&e);
    }
    if (argv[1][0] != '/') { /* the working directory changes on the way */
        (void)err_set(&e, ERR_USAGE, 0, "lay out the default room: %s is not an absolute path", argv[1]);
        return say_error(&e);
    }
    if (engine_write_skeleton(fresh, &e) < 0)
        return say_error(&e);
    if (rename(fresh, argv[1]) < 0) {
        (void)err_set(&e, ERR_IO, errno, "put the new layout in the place of %s", argv[1]);
        return say_error(&e);
    }
    return 0;
}
