/* title: what /proc/PID/cmdline shows of this process.
 *
 * Theory of operation. The kernel shows the memory in which it placed the arguments, so writing there changes what is
 * shown; and when the last byte of that memory is not zero, it shows one string from its start (fs/proc/base.c,
 * get_mm_cmdline: made for setproctitle(3)). Two places are touched, however many arguments there are.
 *
 * Lives in: the command (remembers), pid 1 of a room (sets). Must not: malloc. */
#include "sys/title.h"

#include <stdint.h>
#include <string.h>

static char *area, *area_end;

void title_remember(int argc, char **argv)
{
    if (argc < 1)
        return;
    area = argv[0];
    area_end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
}

void title_set(const char *title, const char *keep)
{
    size_t len = strlen(title), space = (size_t)(area_end - area);
    if ((uintptr_t)keep >= (uintptr_t)area && (uintptr_t)keep < (uintptr_t)area_end)
        space = (size_t)(keep - area);
    if (space == 0)
        return;
    if (len >= space)
        len = space - 1;
    memcpy(area, title, len);
    area[len] = '\0';
    if (area_end - 1 > area + len)
        area_end[-1] = '.';
}
