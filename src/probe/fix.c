/* fix: see fix.h.
 *
 * Lives in: the command, for `doctor --fix` as root. Trusts: the facts. May: write one switch below
 * /proc/sys, make one file per fix, start systemctl or apparmor_parser. Must not: change or remove what it
 * did not make. */
#include "probe/fix.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DELEGATE_DIR "/etc/systemd/system/user@.service.d"

/* Everything that a fix is, made once and then spoken or done. */
struct recipe {
    char dir[64]; /* made when missing; "" */
    char file[128];
    char text[640];    /* of the file */
    const char *after; /* words behind the file, run last; NULL */
    const char *after_argv[4];
};

static void make_recipe(const struct fix *f, const struct host_facts *h, struct recipe *r)
{
    *r = (struct recipe){0};
    struct sbuf dir = SBUF(r->dir), file = SBUF(r->file), text = SBUF(r->text);
    switch (f->kind) {
    case FIX_SYSCTL:
        sbuf_text(&dir, "/etc/sysctl.d");
        sbuf_fmt(&file, "/etc/sysctl.d/60-strongroom-%s.conf", sysctl_rows[f->key].name);
        sbuf_fmt(&text, "%s = %" PRId64 "\n", sysctl_rows[f->key].name, f->value);
        break;
    case FIX_DELEGATE:
        sbuf_text(&dir, DELEGATE_DIR);
        sbuf_text(&file, DELEGATE_DIR "/delegate.conf");
        sbuf_text(&text, "[Service]\nDelegate=cpu memory pids\n");
        r->after = "systemctl daemon-reload";
        r->after_argv[0] = "systemctl";
        r->after_argv[1] = "daemon-reload";
        break;
    case FIX_APPARMOR:
        sbuf_text(&file, "/etc/apparmor.d/strongroom");
        sbuf_fmt(&text,
                 "abi <abi/4.0>,\ninclude <tunables/global>\n\nprofile strongroom %s flags=(unconfined) {\n"
                 "  userns,\n  include if exists <local/strongroom>\n}\n",
                 h->exe);
        r->after = "apparmor_parser -r /etc/apparmor.d/strongroom";
        r->after_argv[0] = "apparmor_parser";
        r->after_argv[1] = "-r";
        r->after_argv[2] = "/etc/apparmor.d/strongroom";
        break;
    }
}

bool fix_path_is_plain(const char *path)
{
    return path[0] == '/' && path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                               "0123456789/._+-")] == '\0';
}

/* printf '%s\n' 'line' 'line' >file: no line of ours holds a quote. */
static void say_file(const struct recipe *r, struct sbuf *out)
{
    sbuf_text(out, "printf '%s\\n'");
    for (const char *line = r->text; *line;) {
        size_t n = strcspn(line, "\n");
        sbuf_text(out, " '");
        sbuf_bytes(out, line, n);
        sbuf_char(out, '\'');
        line += n + (line[n] == '\n');
    }
    sbuf_fmt(out, " >%s\n", r->file);
}

void fix_commands(const struct fix *f, const struct host_facts *h, struct sbuf *out)
{
    struct recipe r;
    make_recipe(f, h, &r);
    if (f->kind == FIX_SYSCTL)
        sbuf_fmt(out, "sysctl -w %s=%" PRId64 "\n", sysctl_rows[f->key].name, f->value);
    if (f->kind == FIX_DELEGATE)
        sbuf_fmt(out, "mkdir -p %s\n", r.dir);
    say_file(&r, out);
    if (r.after)
        sbuf_fmt(out, "%s\n", r.after);
}

void fix_undo(const struct fix *f, const struct host_facts *h, struct sbuf *out)
{
    struct recipe r;
    make_recipe(f, h, &r);
    if (f->kind == FIX_APPARMOR)
        sbuf_fmt(out, "# undo: apparmor_parser -R %s; rm %s\n", r.file, r.file);
    else if (f->kind == FIX_SYSCTL)
        sbuf_fmt(out, "# undo: rm %s; sysctl -w %s=%" PRId64 "\n", r.file, sysctl_rows[f->key].name,
                 h->sysctls[f->key]);
    else
        sbuf_fmt(out, "# undo: rm %s; %s\n", r.file, r.after);
}

/* 1: the file is there already, as we would make it; 0: made. */
static int write_new(const struct recipe *r, struct err *e)
{
    char have[sizeof r->text + 1];
    if (r->dir[0] && mkdir(r->dir, 0755) < 0 && errno != EEXIST)
        return err_set(e, ERR_DENIED, errno, "make %s", r->dir);
    FD_AUTO fd = open(r->file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 && errno != EEXIST)
        return err_set(e, ERR_DENIED, errno, "make %s", r->file);
    if (fd < 0) {
        if (fd_read_file(AT_FDCWD, r->file, have, sizeof have) >= 0 && strcmp(have, r->text) == 0)
            return 1;
        err_set(e, ERR_DENIED, 0, "make %s: it is there already and says something else", r->file);
        return err_hint(e, "it is yours: look at it, and remove it when it is not needed");
    }
    int n = fd_write_all(fd, r->text, strlen(r->text));
    if (n < 0) {
        (void)unlink(r->file); /* half a file is worse than none */
        return err_set(e, ERR_IO, -n, "write %s", r->file);
    }
    return 0;
}

/* Runs words[0] from one of the system's own folders, quietly; 0 when it ended with status 0. */
static int run(const char *const *words, struct err *e)
{
    static const char *const dirs[] = {"/usr/bin", "/usr/sbin", "/bin", "/sbin"};
    static char *const env[] = {(char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
            char path[128];
            struct sbuf b = SBUF(path);
            sbuf_fmt(&b, "%s/%s", dirs[i], words[0]);
            execve(path, (char *const *)(uintptr_t)words, env);
        }
        _exit(127);
    }
    if (pid < 0)
        return err_set(e, ERR_INTERNAL, errno, "start %s", words[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (status == 0)
        return 0;
    return err_set(e, ERR_DENIED, 0,
                   WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "%s: not installed" : "%s: failed",
                   words[0]);
}

int fix_apply(const struct fix *f, const struct host_facts *h, struct err *e)
{
    struct recipe r;
    make_recipe(f, h, &r);
    if (f->kind == FIX_APPARMOR && !fix_path_is_plain(h->exe))
        return err_set(e, ERR_DENIED, 0, "write an AppArmor profile: %s: not a plain path", h->exe);
    int made = write_new(&r, e);
    if (made < 0)
        return made;
    int n = 0;
    if (f->kind == FIX_SYSCTL) {
        char path[128], value[32];
        struct sbuf p = SBUF(path), v = SBUF(value);
        sbuf_fmt(&p, "/proc/sys/%s", sysctl_rows[f->key].path);
        sbuf_fmt(&v, "%" PRId64, f->value);
        n = fd_write_file(AT_FDCWD, path, value);
        if (n < 0)
            n = err_set(e, ERR_DENIED, -n, "set %s to %s", sysctl_rows[f->key].name, value);
    } else {
        n = run(r.after_argv, e);
    }
    if (n < 0 && made == 0)
        (void)unlink(r.file); /* all or nothing */
    return n;
}
