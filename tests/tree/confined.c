/* confined: what strongroom-tree could still do if a tree had taken it over: read and write what it was handed, no
 * more.
 *
 * Confines itself with the tree's own code (tree/confine.c); how, stands in tests/confined.h.
 *
 * Lives in: a test program, static like the product. */
#include "../confined.h"
#include "tree/confine.h"
#include "tree/session.h"

#include <string.h>
#include <sys/stat.h>

/* --- what it is for ------------------------------------------------------------------------------------- */

static bool reads_the_lower(void)
{
    char c;
    int fd = openat(session.lower, "file", O_RDONLY);
    return fd >= 0 && read(fd, &c, 1) == 1;
}

static bool writes_the_entry(void)
{
    int fd = openat(session.entry, "new", O_WRONLY | O_CREAT, 0600);
    return fd >= 0 && write(fd, "x", 1) == 1 && unlinkat(session.entry, "new", 0) == 0;
}

/* --- attempts: true when the enemy got something -------------------------------------------------------- */

static bool climbs_out(void)
{
    return confined_made(openat(session.lower, "../secret", O_RDONLY)) ||
           confined_made(openat(session.entry, "../secret", O_RDONLY)) ||
           confined_made(openat(session.entry, "../stolen", O_WRONLY | O_CREAT, 0600)) ||
           confined_made(openat(session.lower, "../../../../../../../../etc/passwd", O_RDONLY));
}

static bool follows_a_link_out(void)
{
    return confined_made(openat(session.lower, "link", O_RDONLY));
}

static bool writes_the_lower(void)
{
    return confined_made(openat(session.lower, "file", O_WRONLY)) ||
           confined_made(openat(session.lower, "file", O_RDONLY | O_TRUNC)) ||
           confined_made(openat(session.lower, "new", O_WRONLY | O_CREAT, 0600)) ||
           unlinkat(session.lower, "file", 0) == 0 ||
           renameat(session.lower, "file", session.entry, "file") == 0 ||
           linkat(session.lower, "file", session.entry, "file", 0) == 0;
}

static bool makes_a_device(void)
{
    return mknodat(session.entry, "disk", S_IFBLK | 0600, 0x801) == 0;
}

/* --- one of them ---------------------------------------------------------------------------------------- */

static int confine(void)
{
    const char *what = "";
    return tree_confine(&what);
}

static int prepare(char *top)
{
    static const char *const folders[] = {"lower", "entry"};
    int fds[2], fd;
    if (!mkdtemp(top) || chmod(top, 0755) < 0 || chdir(top) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (mkdir(folders[i], 0777) < 0 || chmod(folders[i], 0777) < 0 ||
            (fds[i] = open(folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
            return -1;
    }
    fd = open("secret", O_WRONLY | O_CREAT, 0644);
    if (fd < 0 || write(fd, "s", 1) != 1 || symlinkat("../secret", fds[0], "link") < 0)
        return -1;
    fd = openat(fds[0], "file", O_WRONLY | O_CREAT, 0644);
    if (fd < 0 || write(fd, "f", 1) != 1 || fchmod(fd, 0666) < 0)
        return -1;
    session = (struct session){.upper = -1, .lower = fds[0], .entry = fds[1]};
    return 0;
}

int main(void)
{
    static const struct confined_row rows[] = {{"reads what it compares with", reads_the_lower, true},
                                               {"writes where changes are kept", writes_the_entry, true},
                                               {"climbs out of its folders", climbs_out, false},
                                               {"follows a link out", follows_a_link_out, false},
                                               {"writes what it may only read", writes_the_lower, false},
                                               {"makes a device", makes_a_device, false},
                                               CONFINED_COMMON};
    static const char *const files[] = {"lower/file", "lower/link", "secret", "lower", "entry"};
    char top[] = "/tmp/strongroom-tree-confined-XXXXXX";

    if (prepare(top) < 0) {
        printf("FAIL confined: %s\n0 passed, 1 failed, 0 skipped\n", strerror(errno));
        return 1;
    }
    confined_try("", rows, sizeof rows / sizeof *rows, confine);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        (void)remove(files[i]);
    (void)!chdir("/");
    (void)rmdir(top);
    return confined_close();
}
