/* confined: what strongroom-tar could still do if a stream had taken it over: its order's one folder and one stream.
 *
 * Confines itself with the program's own code (helpers/tar/confine.c), for each order; how, stands in tests/confined.h.
 *
 * Lives in: a test program. */
#include "helpers/tar/work.h"

#include "../confined.h"

#include <string.h>
#include <sys/stat.h>

static int folder, stream;
static enum tar_what order;

static int confine(void)
{
    struct work w = {.order = {.what = order},
                     .in = order == TAR_PACK ? folder : stream,
                     .out = order == TAR_EXTRACT ? folder : stream};
    const char *what = "";
    return tar_confine(&w, &what);
}

/* --- what it is for ------------------------------------------------------------------------------------- */

static bool reads_beneath(void)
{
    char c;
    int fd = openat(folder, "file", O_RDONLY);
    return fd >= 0 && read(fd, &c, 1) == 1;
}

static bool writes_beneath(void)
{
    int fd = openat(folder, "new", O_WRONLY | O_CREAT | O_EXCL, 0600);
    return fd >= 0 && write(fd, "x", 1) == 1 && unlinkat(folder, "new", 0) == 0;
}

static bool moves_the_stream(void)
{
    char c = 'x';
    return pwrite(stream, &c, 1, 0) == 1 && pread(stream, &c, 1, 0) == 1;
}

/* --- attempts: true when the enemy got something -------------------------------------------------------- */

static bool climbs_out(void)
{
    return confined_made(openat(folder, "../secret", O_RDONLY)) ||
           confined_made(openat(folder, "../stolen", O_WRONLY | O_CREAT, 0600)) ||
           confined_made(openat(folder, "../../../../../../../../etc/passwd", O_RDONLY)) ||
           linkat(folder, "../secret", folder, "stolen", 0) == 0 || unlinkat(folder, "../secret", 0) == 0 ||
           mkdirat(folder, "../stolen", 0700) == 0;
}

static bool follows_a_link_out(void)
{
    return confined_made(openat(folder, "link", O_RDONLY));
}

static bool changes_what_it_packs(void)
{
    return confined_made(openat(folder, "file", O_WRONLY)) ||
           confined_made(openat(folder, "new", O_WRONLY | O_CREAT, 0600)) ||
           unlinkat(folder, "file", 0) == 0 || mkdirat(folder, "new", 0700) == 0;
}

static bool makes_a_device(void)
{
    return mknodat(folder, "disk", S_IFBLK | 0600, 0x801) == 0;
}

static const struct confined_row extract[] = {
    {"makes files in its folder", writes_beneath, true}, {"moves bytes", moves_the_stream, true},
    {"climbs out of its folder", climbs_out, false},     {"follows a link out", follows_a_link_out, false},
    {"makes a device", makes_a_device, false},           CONFINED_COMMON};
static const struct confined_row pack[] = {{"reads its folder", reads_beneath, true},
                                           {"moves bytes", moves_the_stream, true},
                                           {"changes its folder", changes_what_it_packs, false},
                                           {"climbs out of its folder", climbs_out, false},
                                           {"follows a link out", follows_a_link_out, false},
                                           {"makes a device", makes_a_device, false},
                                           CONFINED_COMMON};
static const struct confined_row filter[] = {
    {"moves bytes", moves_the_stream, true},   {"reads a folder", reads_beneath, false},
    {"makes files", writes_beneath, false},    {"climbs out of a folder", climbs_out, false},
    {"makes a device", makes_a_device, false}, CONFINED_COMMON};

static int prepare(char *top)
{
    int fd;
    if (!mkdtemp(top) || chmod(top, 0777) < 0 || chdir(top) < 0 || mkdir("folder", 0777) < 0 ||
        chmod("folder", 0777) < 0)
        return -1;
    folder = open("folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    stream = open("stream", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (folder < 0 || stream < 0 || symlinkat("../secret", folder, "link") < 0)
        return -1;
    fd = open("secret", O_WRONLY | O_CREAT, 0644);
    if (fd < 0 || write(fd, "s", 1) != 1)
        return -1;
    fd = openat(folder, "file", O_WRONLY | O_CREAT, 0644);
    return fd < 0 || write(fd, "f", 1) != 1 || fchmod(fd, 0666) < 0 ? -1 : 0;
}

int main(void)
{
    static const char *const files[] = {"folder/file", "folder/link", "stream", "secret", "folder"};
    char top[] = "/tmp/strongroom-tar-confined-XXXXXX";

    if (prepare(top) < 0) {
        printf("FAIL confined: %s\n0 passed, 1 failed, 0 skipped\n", strerror(errno));
        return 1;
    }
    order = TAR_EXTRACT;
    confined_try("extracting, it ", extract, sizeof extract / sizeof *extract, confine);
    order = TAR_PACK;
    confined_try("packing, it ", pack, sizeof pack / sizeof *pack, confine);
    order = TAR_FILTER;
    confined_try("filtering, it ", filter, sizeof filter / sizeof *filter, confine);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        (void)remove(files[i]);
    (void)!chdir("/");
    (void)rmdir(top);
    return confined_close();
}
