/* skeleton: writes down the root of a default room, from the same plan that would build it in memory.
 *
 * Lives in: the command, when strongroom is built or installed. Must not: touch a folder that exists. */
#include "engine/engine.h"
#include "room/steps.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_into(const char *dir, const struct policy *p, struct err *e)
{
    static struct room_plan plan;
    static char text[PLAN_TEXT_MAX];
    char *argv[] = {(char *)(uintptr_t) "true", NULL};
    plan.for_skeleton = true;
    int n = plan_make(&plan, p, argv, text, sizeof text, e);
    if (n < 0)
        return n;
    if (mkdir(dir, 0755) < 0)
        return err_set(e, ERR_IO, errno, "make the folder %s", dir);
    FD_AUTO fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    n = fd < 0 ? -errno : mounts_write_skeleton(&plan, fd);
    return n < 0 ? err_set(e, ERR_IO, -n, "lay out the default room in %s", dir) : 0;
}

int engine_write_skeleton(const char *dir, struct err *e)
{
    struct policy *p = policy_new();
    if (!p)
        return err_set(e, ERR_INTERNAL, ENOMEM, "lay out the default room");
    int n = policy_check(p, NULL, NULL, e);
    if (n == 0)
        n = write_into(dir, p, e);
    policy_free(p);
    return n;
}
