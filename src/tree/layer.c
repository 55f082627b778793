/* layer: see layer.h. Lives in: strongroom-tree. Trusts: that the room cannot set attributes of this name (the kernel
 * keeps them to itself). */
#include "tree/layer.h"
#include "sys/fd.h"
#include "tree/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

bool layer_whiteout(const struct stat *s)
{
    return S_ISCHR(s->st_mode) && s->st_rdev == makedev(0, 0);
}

bool layer_opaque(int dir, const char *name)
{
    static const char *const marks[] = {"user.overlay.opaque", "trusted.overlay.opaque"};
    FD_AUTO fd = beneath_open_ours(dir, name, O_RDONLY | O_DIRECTORY);
    char value[2];

    for (int i = 0; fd >= 0 && i < 2; i++)
        if (fgetxattr(fd, marks[i], value, sizeof value) == 1 && value[0] == 'y')
            return true;
    return false;
}

int layer_mark_opaque(int dir, const char *name)
{
    FD_AUTO fd = beneath_open_ours(dir, name, O_RDONLY | O_DIRECTORY);

    if (fd < 0)
        return fd;
    return fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0 ? -errno : 0;
}

bool layer_redirected(int fd)
{
    static const char *const marks[] = {"user.overlay.metacopy", "user.overlay.redirect"};

    for (int i = 0; i < 2; i++)
        if (fgetxattr(fd, marks[i], NULL, 0) >= 0)
            return true;
    return false;
}
