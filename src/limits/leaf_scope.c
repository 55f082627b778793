/* leaf_scope: runs this program again inside a delegated systemd scope.
 *
 * Theory of operation. A user's shell usually sits in a cgroup that belongs to systemd. The user's own
 * manager hands out a scope with Delegate=yes on request; systemd-run asks for one and then becomes the
 * program, so pid, terminal, standard streams and exit status stay what they are. In the scope
 * leaf_find_place finds our own cgroup writable with us as the only member. A variable in the environment
 * guards against doing it twice.
 *
 * Lives in: the supervisor, before anything else was made. Trusts: PATH, XDG_RUNTIME_DIR, as the user's own
 * words. May: execve. Must not: be called as root or with state that a second start would lose. */
#include "limits/leaf_scope.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sbuf.h"

#define ARGS_MAX 4096 /* words of our own command line */

static bool is_socket(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct sbuf b = SBUF(path);
    struct stat st;

    sbuf_text(&b, folder);
    sbuf_text(&b, name);
    return !b.full && stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

bool leaf_scope_offered(void)
{
    const char *folder = getenv("XDG_RUNTIME_DIR");

    if (!folder || *folder != '/')
        return false;
    return is_socket(folder, "/systemd/private") || is_socket(folder, "/bus");
}

int leaf_reexec_in_scope(int argc, char **argv, struct err *e)
{
    static const char *const head[] = {"systemd-run", "--user",       "--scope", "--quiet",
                                       "-p",          "Delegate=yes", "--"};
    enum { HEAD = sizeof head / sizeof *head };
    static char *words[HEAD + ARGS_MAX + 1];
    static char self[PATH_MAX];
    ssize_t n;

    if (getenv(LEAF_SCOPE_GUARD))
        return err_set(e, ERR_LIMIT, ELOOP, "move into a scope of systemd's: it brought no usable cgroup");
    if (!leaf_scope_offered()) {
        err_set(e, ERR_LIMIT, ENOENT, "move into a scope of systemd's: no user manager is running");
        return err_hint(e, "log in through systemd (loginctl enable-linger), or have a cgroup delegated");
    }
    if (argc < 1 || argc > ARGS_MAX)
        return err_set(e, ERR_USAGE, E2BIG, "move into a scope of systemd's: more than %d words", ARGS_MAX);
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return err_set(e, ERR_LIMIT, errno, "move into a scope of systemd's: /proc/self/exe");
    self[n] = '\0';

    for (int i = 0; i < HEAD; i++)
        words[i] = (char *)(uintptr_t)head[i]; /* execvp does not change them */
    words[HEAD] = self;
    for (int i = 1; i < argc; i++)
        words[HEAD + i] = argv[i];
    words[HEAD + argc] = NULL;
    if (setenv(LEAF_SCOPE_GUARD, "1", 1) < 0)
        return err_set(e, ERR_LIMIT, errno, "move into a scope of systemd's: environment");
    (void)execvp(words[0], words); /* returns only when it failed */
    n = errno;
    (void)unsetenv(LEAF_SCOPE_GUARD);
    err_set(e, ERR_LIMIT, (int)n, "move into a scope of systemd's: systemd-run");
    return err_hint(e, "install systemd-run, or have a cgroup delegated");
}
