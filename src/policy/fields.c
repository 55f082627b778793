/* fields: the table of settings. From one row come the option, its letter, the key in files, help, manual page and
 * completion.
 *
 * Lives in: any process. Trusts: nothing of a name but its NUL. May: look up. Must not: allocate. */
#include "policy/fields.h"
#include "policy/inner.h"
#include "policy/nearest.h"
#include <assert.h>
#include <string.h>

#define LIMIT(id, letter_, alias_, arg_, help_)                                                              \
    {                                                                                                        \
        limit_name_##id, letter_, 0, alias_, arg_, 0, MERGE_MIN, set_limit, show_limit, LIMIT_ID_##id,       \
            "limits", help_                                                                                  \
    }
#define LIST(name_, letter_, alias_, arg_, flags_, set_, show_, row_, group_, help_)                         \
    {                                                                                                        \
        name_, letter_, 0, alias_, arg_, FIELD_REPEAT | (flags_), MERGE_APPEND, set_, show_, row_, group_,   \
            help_                                                                                            \
    }
#define VALUE(name_, letter_, letter2_, alias_, arg_, flags_, word_, group_, help_)                          \
    {                                                                                                        \
        name_, letter_, letter2_, alias_, arg_, flags_, MERGE_LAST, set_##word_, show_##word_, 0, group_,    \
            help_                                                                                            \
    }

#define X(id, name, ...) static const char limit_name_##id[] = name;
LIMIT_TABLE(X)
#undef X

const struct field fields[] = {
    LIST("volume", 'v', NULL, "SRC:DST[:MODE]", 0, set_volume, show_mounts, 0, "files",
         "show host SRC at DST; MODE is ro or rw [ro]"),
    LIST("ro", 0, NULL, "PATH", FIELD_BARE, set_bind, show_mounts, MOUNT_RO, "files",
         "show PATH at the same place, read-only"),
    LIST("rw", 0, NULL, "PATH", FIELD_BARE, set_bind, show_mounts, MOUNT_RW, "files",
         "show PATH at the same place, writable"),
    LIST("tmpfs", 0, NULL, "DST[:SIZE]", 0, set_tmpfs, show_mounts, MOUNT_TMPFS, "files",
         "an empty writable directory at DST"),
    LIST("workspace", 'w', NULL, "DIR[:AT]", FIELD_BARE, set_workspace, show_mounts, MOUNT_WORKSPACE, "files",
         "show DIR writable; changes wait for a review"),
    LIST("at", 0, NULL, "PATH", 0, set_at, show_nothing, 0, "files", "show the workspace before it at PATH"),
    LIST("copy-in", 0, NULL, "SRC[:DST]", FIELD_BARE, set_copy_in, show_mounts, MOUNT_COPY_IN, "files",
         "a copy of SRC at DST; -: a tar stream on stdin"),
    LIST("copy-out", 0, NULL, "SRC:DST", FIELD_BARE, set_copy_out, show_copy_out, 0, "files",
         "bring SRC out into DST at the end; -: a tar"),
    VALUE("apply", 0, 0, NULL, "never|ask|clean|always", 0, apply, "files",
          "when changes become real; clean: no alarm [ask]"),
    VALUE("guard-deletes", 0, 0, NULL, "N[%]", FIELD_TIGHTENS, guard, "files",
          "ask, or end the room, when it deletes more files"),
    LIST("accept", 0, NULL, "ALARM[:PATH]", 0, set_accept, show_accept, 0, "files",
         "an alarm that --apply clean may apply"),
    VALUE("upper", 0, 0, NULL, "KIND[:SIZE]", 0, upper, "files",
          "keep changes in scratch, tmpfs or disk [scratch]"),
    VALUE("from", 0, 0, NULL, "NAME", 0, from, "files", "begin with the changes saved as NAME"),
    VALUE("copy-workspaces", 0, 0, NULL, NULL, FIELD_FLAG, copies, "files",
          "copy workspaces first: where no overlay works"),
    LIST("hide", 0, NULL, "PATH", FIELD_TIGHTENS, set_hide, show_hide, 0, "files", "mask PATH of the room"),
    VALUE("rootfs", 0, 0, NULL, "DIR", FIELD_BARE, rootfs, "files",
          "use DIR as the read-only root of the room"),
    VALUE("args", 0, 0, NULL, "ro|none", FIELD_TIGHTENS, args, "files",
          "show the files named in COMMAND [ro]"),
    VALUE("workdir", 'C', 0, NULL, "DIR", 0, workdir, "files", "start in DIR of the room [/work]"),
    LIST("env", 'e', NULL, "NAME[=VALUE]", 0, set_env, show_env, 0, "environment",
         "set NAME; without VALUE take the caller's"),
    LIST("env-file", 0, NULL, "FILE", FIELD_CLI_ONLY, set_elsewhere, show_nothing, 0, "environment",
         "read NAME[=VALUE] lines from FILE"),
    LIMIT(MEMORY, 'm', NULL, "SIZE", "memory of the whole room, swap included [1G]"),
    LIMIT(CPUS, 0, NULL, "N", "processors' worth of time, as 0.5 or 2 [1]"),
    LIMIT(CPU_TIME, 0, NULL, "TIME", "processor time used up in all [10m]"),
    LIMIT(PIDS, 0, "pids-limit", "N", "processes and threads at once [256]"),
    LIMIT(FILES, 0, NULL, "N", "open files of one process [1024]"),
    LIMIT(FILE_SIZE, 0, NULL, "SIZE", "size of one written file [512M]"),
    LIMIT(DISK, 0, NULL, "SIZE", "bytes in /work, /tmp and /dev/shm [512M]"),
    LIMIT(INODES, 0, NULL, "N", "files in /work, /tmp and /dev/shm [32768]"),
    LIMIT(OUTPUT, 0, NULL, "SIZE", "bytes that the program may print [64M]"),
    LIMIT(TIMEOUT, 0, NULL, "TIME", "wall time until the room ends [5m]"),
    VALUE("hostname", 0, 0, NULL, "NAME", 0, hostname, "identity", "host name inside [room]"),
    VALUE("name", 0, 0, NULL, "NAME", 0, name, "identity", "a name for this room"),
    VALUE("uid", 'u', 0, "user", "UID", 0, uid, "identity", "user id inside, never 0 [1000]"),
    LIST("require", 0, NULL, "NAME[,...]", FIELD_TIGHTENS, set_demand, show_demand, LAYER_REQUIRE, "walls",
         "no room without this layer or limit; or all"),
    LIST("prefer", 0, NULL, "NAME[,...]", 0, set_demand, show_demand, LAYER_PREFER, "walls",
         "go on without this layer or limit"),
    {"allow", 0, 0, "allow-host", "RULE", FIELD_REPEAT, MERGE_APPEND, set_peer, show_peers, 0, "network",
     "reach HOST[:PORT,...] by name; implies --net gate", "net-allow"},
    LIST("deny", 0, NULL, "RULE", FIELD_TIGHTENS, set_peer, show_peers, 1, "network",
         "but not HOST[:PORT,...]; beats every --allow"),
    LIST("http", 0, NULL, "METHOD HOST/PATH", 0, set_http, show_nothing, 0, "network",
         "reach HOST by such requests only, as \"GET a.org/*\""),
    LIST("secret", 0, NULL, "NAME[=FROM]@HOST", 0, set_secret, show_secrets, 0, "network",
         "put env:VAR or file:PATH into requests to HOST"),
    LIST("publish", 0, NULL, "[ADDR:]PORT:PORT", 0, set_publish, show_publish, 0, "network",
         "let the host's PORT lead to the room's PORT"),
    VALUE("net", 0, 0, "network", "none|gate|host", FIELD_TIGHTENS, net, "network",
          "gate: only what --allow lists; host: all [none]"),
    VALUE("offline", 0, 0, NULL, NULL, FIELD_FLAG | FIELD_TIGHTENS, offline, "network",
          "reach nothing, whatever else allows it"),
    VALUE("upstream-proxy", 0, 0, NULL, "URL", FIELD_NO_PROJECT, upstream, "network",
          "proxy of the gate: http, https or socks5 URL"),
    VALUE("upstream-login", 0, 0, NULL, "env:NAME|file:PATH", FIELD_NO_PROJECT, upstream_login, "network",
          "where that proxy's USER:PASSWORD is"),
    VALUE("tty", 't', 0, NULL, NULL, FIELD_FLAG, tty, "terminal", "give the program a terminal of its own"),
    VALUE("interactive", 'i', 0, NULL, NULL, FIELD_FLAG, interactive, "terminal",
          "connect stdin (it always is; docker's habit)"),
    LIST("policy", 'p', NULL, "FILE|NAME", FIELD_CLI_ONLY, set_elsewhere, show_nothing, 0, "policy",
         "use a policy file or a named profile"),
    LIST("settings", 0, NULL, "FILE", FIELD_CLI_ONLY, set_elsewhere, show_nothing, 0, "policy",
         "use a JSON settings file of sandbox-runtime"),
};
const size_t field_count = sizeof fields / sizeof *fields;
static_assert(sizeof fields / sizeof *fields <= FIELD_COUNT_MAX, "origins must have room for each field");

static bool same(const char *word, const char *name, size_t len)
{
    return word && word[0] == name[0] && strncmp(word, name, len) == 0 && word[len] == '\0';
}

const struct field *field_find_n(const char *name, size_t len)
{
    if (len == 0)
        return NULL;
    for (size_t i = 0; i < field_count; i++)
        if (same(fields[i].name, name, len) || same(fields[i].alias, name, len) ||
            same(fields[i].alias2, name, len))
            return &fields[i];
    return NULL;
}

const struct field *field_find(const char *name)
{
    return field_find_n(name, strlen(name));
}

const struct field *field_by_letter(char letter)
{
    if (letter == 0)
        return NULL;
    for (size_t i = 0; i < field_count; i++)
        if (fields[i].letter == letter || fields[i].letter2 == letter)
            return &fields[i];
    return NULL;
}

const char *field_nearest(const char *name)
{
    struct nearest n = {.given = name};

    for (size_t i = 0; i < field_count; i++) {
        nearest_offer(&n, fields[i].name);
        if (fields[i].alias)
            nearest_offer(&n, fields[i].alias);
        if (fields[i].alias2)
            nearest_offer(&n, fields[i].alias2);
    }
    return n.best;
}

SET_FUNCTION(set_elsewhere)
{
    (void)source;
    (void)value;
    return field_bad(p, f, e, "is read by the command line itself");
}

SHOW_FUNCTION(show_nothing)
{
    (void)p;
    (void)f;
    (void)out;
    (void)explain;
}
