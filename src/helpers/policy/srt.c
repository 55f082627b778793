/* srt: the JSON settings of Anthropic's sandbox-runtime → records.
 *
 * Lives in: strongroom-policy, confined. Trusts: nothing of the bytes. May: call jansson. Must not: look at files.
 *
 * The two models differ. There: everything may be read unless denyRead says so, and allowRead opens again; nothing may
 * be written but what allowWrite says, and denyWrite closes again. Here: only the system is shown, read-only. So
 *   allowWrite  → rw       unless denyWrite names the very path: then ro
 *   allowRead   → ro       unless it is shown anyway
 *   denyWrite   → ro       where it lies in something writable; elsewhere nothing is writable, and a mount would show
 *                          what was not to be seen
 *   denyRead    → hide     where it would be shown: in the system, or in something that is allowed
 * Of the network, domains become rules, sockets `unix:` rules, and the port of a proxy that runs already the gate's way
 * out. What a room does anyway, or cannot do, is told.
 * Paths are joined and tidied as text; "..", which only the kernel can resolve, is refused. */
#include "helpers/policy/out.h"
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATHS_MAX = 256, NAME_SHOWN = 60 };

struct paths {
    char *at[PATHS_MAX];
    size_t count;
};

struct srt {
    struct out *out;
    const char *cwd, *home;
    bool proxied; /* a way out is named */
    struct paths deny_read, allow_read, allow_write, deny_write;
};

static bool in(const char *path, const char *top)
{
    size_t n = strlen(top);

    if (strcmp(top, "/") == 0)
        return true;
    return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool in_any(const char *path, const struct paths *tops)
{
    for (size_t i = 0; i < tops->count; i++)
        if (in(path, tops->at[i]))
            return true;
    return false;
}

static bool has(const struct paths *list, const char *path)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i], path) == 0)
            return true;
    return false;
}

/* What a room shows of the host without being asked. */
static bool system_path(const char *path)
{
    static const char *const tops[] = {"/usr",   "/bin",    "/sbin", "/lib", "/lib32",
                                       "/lib64", "/libx32", "/etc",  "/opt"};

    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++)
        if (in(path, tops[i]))
            return true;
    return false;
}

/* Adds the components of `s` to `out`; false when one is "..", or there is no room. */
static bool put_components(char *out, size_t *len, const char *s)
{
    while (*s) {
        size_t n = strcspn(s, "/");
        if (n == 2 && s[0] == '.' && s[1] == '.')
            return false;
        if (n > 1 || (n == 1 && s[0] != '.')) {
            if (*len + n + 2 > PATH_MAX)
                return false;
            out[(*len)++] = '/';
            memcpy(out + *len, s, n);
            *len += n;
        }
        s += n;
        s += *s == '/';
    }
    out[*len] = '\0';
    return true;
}

/* A path of the settings as an absolute one, malloc'ed; NULL with the answer ended. */
static char *resolve(struct srt *t, const char *key, const char *text)
{
    char out[PATH_MAX + 1] = "", literal[PATH_MAX];
    size_t len = 0, n = strlen(text);
    const char *base = NULL, *rest = literal;

    if (n == 0 || n >= sizeof literal) {
        out_error(t->out, 0, "%s: %s", key, n ? "a path is too long" : "a path is empty");
        return NULL;
    }
    memcpy(literal, text, n + 1);
    if (n > 3 && strcmp(literal + n - 3, "/**") == 0)
        literal[n - 3] = '\0'; /* all below a directory is that directory */
    if (strpbrk(literal, "*?[")) {
        out_error(t->out, 0, "%s: \"%.*s\": patterns are not supported; name the path itself", key,
                  NAME_SHOWN, text);
        return NULL;
    }
    if (literal[0] == '~' && (literal[1] == '/' || literal[1] == '\0')) {
        base = t->home;
        rest = literal + 1;
    } else if (literal[0] != '/') {
        base = t->cwd;
    }
    if (rest != literal || literal[0] != '/') {
        if (!base || base[0] != '/' || !put_components(out, &len, base)) {
            out_error(t->out, 0, "%s: \"%.*s\": home or current directory is not known", key, NAME_SHOWN,
                      text);
            return NULL;
        }
    }
    if (!put_components(out, &len, rest)) {
        out_error(t->out, 0, "%s: \"%.*s\": a path with \"..\" is not supported", key, NAME_SHOWN, text);
        return NULL;
    }
    return strdup(len ? out : "/");
}

static void take_paths(struct srt *t, const char *key, json_t *list, struct paths *ret)
{
    size_t i;
    json_t *item;

    if (!json_is_array(list)) {
        out_error(t->out, 0, "filesystem.%s: is not a list", key);
        return;
    }
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item)) {
            out_error(t->out, 0, "filesystem.%s: has something that is not a text", key);
            return;
        }
        if (ret->count == PATHS_MAX) {
            out_error(t->out, 0, "filesystem.%s: more than %d paths", key, PATHS_MAX);
            return;
        }
        char *path = resolve(t, key, json_string_value(item));
        if (!path)
            return;
        if (has(ret, path))
            free(path);
        else
            ret->at[ret->count++] = path;
    }
}

static void filesystem(struct srt *t, json_t *o)
{
    const char *key;
    json_t *v;

    json_object_foreach(o, key, v)
    {
        if (strcmp(key, "denyRead") == 0)
            take_paths(t, key, v, &t->deny_read);
        else if (strcmp(key, "allowRead") == 0)
            take_paths(t, key, v, &t->allow_read);
        else if (strcmp(key, "allowWrite") == 0)
            take_paths(t, key, v, &t->allow_write);
        else if (strcmp(key, "denyWrite") == 0)
            take_paths(t, key, v, &t->deny_write);
        else if (strcmp(key, "allowGitConfig") == 0 || strcmp(key, "disabled") == 0)
            out_note(t->out, 0, "filesystem.%s is not followed", key);
        else
            out_error(t->out, 0, "filesystem.%.*s: unknown key", NAME_SHOWN, key);
        if (t->out->ended)
            return;
    }
}

static bool is_loopback(const char *domain)
{
    const size_t len = strcspn(domain, ":");
    return (len == 9 && memcmp(domain, "localhost", len) == 0) ||
           (len == 9 && memcmp(domain, "127.0.0.1", len) == 0);
}

/* Each domain is a rule for the gate; its grammar is the policy's. sandbox-runtime asks only for the name, so a domain
 * without a port stands for the web's two, as any rule does. */
static void domains(struct srt *t, const char *key, json_t *list, const char *field)
{
    if (!json_is_array(list)) {
        out_error(t->out, 0, "network.%s: is not a list", key);
        return;
    }
    for (size_t i = 0; i < json_array_size(list) && !t->out->ended; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text)
            out_error(t->out, 0, "network.%s: entry %zu is not text", key, i + 1);
        else if (key[0] == 'a' && is_loopback(text))
            out_note(t->out, 0, "network.%s: %s is not followed: in a room it is the room itself", key, text);
        else
            out_record(t->out, 0, field, text);
    }
}

/* Each socket file by itself; the same path in the room. */
static void sockets(struct srt *t, const char *key, json_t *list)
{
    char rule[PATH_MAX + 8];

    if (!json_is_array(list)) {
        out_error(t->out, 0, "network.%s: is not a list", key);
        return;
    }
    for (size_t i = 0; i < json_array_size(list) && !t->out->ended; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        char *path = text ? resolve(t, key, text) : NULL;
        if (!text)
            out_error(t->out, 0, "network.%s: entry %zu is not text", key, i + 1);
        if (!path)
            return;
        (void)snprintf(rule, sizeof rule, "unix:%s", path);
        free(path);
        out_record(t->out, 0, "allow", rule);
    }
}

/* A proxy on this host that runs already: the gate goes out by it, and the rules hold all the same. */
static void proxy(struct srt *t, const char *key, json_t *v)
{
    const bool http = key[0] == 'h';
    char url[40];

    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > 65535) {
        out_error(t->out, 0, "network.%s: is not a port", key);
        return;
    }
    if (t->proxied) {
        out_note(t->out, 0, "network.%s is not followed: the gate goes out by one proxy", key);
        return;
    }
    t->proxied = true;
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%d", http ? "http" : "socks5",
                   (int)json_integer_value(v));
    out_record(t->out, 0, "upstream-proxy", url);
}

/* False: it is none of these. */
static bool local(struct srt *t, const char *key, json_t *v)
{
    static const struct {
        const char *key, *when_true, *when_false;
    } rows[] = {
        {"allowAllUnixSockets", "is not followed: name each socket in allowUnixSockets", NULL},
        {"allowLocalBinding", NULL, "is not followed: a room may always listen on its own loopback"},
    };

    if (strcmp(key, "allowUnixSockets") == 0) {
        sockets(t, key, v);
        return true;
    }
    if (strcmp(key, "httpProxyPort") == 0 || strcmp(key, "socksProxyPort") == 0) {
        proxy(t, key, v);
        return true;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(key, rows[i].key) != 0)
            continue;
        const char *say = json_is_true(v) ? rows[i].when_true : rows[i].when_false;
        if (!json_is_boolean(v))
            out_error(t->out, 0, "network.%s: is neither true nor false", key);
        else if (say)
            out_note(t->out, 0, "network.%s %s", key, say);
        return true;
    }
    return false;
}

static void network(struct srt *t, json_t *o)
{
    static const char *const noted[] = {"mitmProxy",       "parentProxy",         "tlsTerminate",
                                        "strictAllowlist", "deniedDomainReasons", "allowMachLookup"};
    const char *key;
    json_t *v;

    json_object_foreach(o, key, v)
    {
        bool known = strcmp(key, "deniedDomains") == 0 || strcmp(key, "allowedDomains") == 0;
        if (known)
            domains(t, key, v, key[0] == 'a' ? "allow" : "deny");
        else
            known = local(t, key, v);
        for (size_t i = 0; i < sizeof noted / sizeof *noted && !known; i++)
            if (strcmp(key, noted[i]) == 0) {
                known = true;
                out_note(t->out, 0, "network.%s is not followed", key);
            }
        if (!known)
            out_error(t->out, 0, "network.%.*s: unknown key", NAME_SHOWN, key);
        if (t->out->ended)
            return;
    }
}

static void top(struct srt *t, json_t *root)
{
    static const char *const noted[] = {"ignoreViolations",
                                        "enableWeakerNestedSandbox",
                                        "enableWeakerNetworkIsolation",
                                        "allowAppleEvents",
                                        "ripgrep",
                                        "mandatoryDenySearchDepth",
                                        "allowPty",
                                        "seccomp",
                                        "javaAgentJarPath",
                                        "bwrapPath",
                                        "socatPath",
                                        "binShell"};
    const char *key;
    json_t *v;

    json_object_foreach(root, key, v)
    {
        bool known = strcmp(key, "$schema") == 0;
        bool group = strcmp(key, "filesystem") == 0 || strcmp(key, "network") == 0;
        if (group && !json_is_object(v))
            out_error(t->out, 0, "%s: is not an object", key);
        else if (group)
            (key[0] == 'f' ? filesystem : network)(t, v);
        for (size_t i = 0; i < sizeof noted / sizeof *noted && !known && !group; i++)
            if (strcmp(key, noted[i]) == 0) {
                known = true;
                out_note(t->out, 0, "%s is not followed", key);
            }
        if (!known && !group)
            out_error(t->out, 0, "%.*s: unknown key", NAME_SHOWN, key);
        if (t->out->ended)
            return;
    }
}

static void emit_shown(struct srt *t)
{
    for (size_t i = 0; i < t->allow_write.count; i++) {
        const char *path = t->allow_write.at[i];
        if (in("/dev", path) || in(path, "/dev") || strcmp(path, "/tmp") == 0) {
            if (strcmp(path, "/") != 0) {
                out_note(t->out, 0, "allowWrite: %s: is the room's own, and as far as can be writable", path);
                continue;
            }
        }
        out_record(t->out, 0, has(&t->deny_write, path) ? "ro" : "rw", path);
    }
    for (size_t i = 0; i < t->allow_read.count; i++) {
        const char *path = t->allow_read.at[i];
        if (!in_any(path, &t->allow_write) && !system_path(path))
            out_record(t->out, 0, "ro", path);
    }
    if (t->cwd && (in_any(t->cwd, &t->allow_write) || in_any(t->cwd, &t->allow_read)))
        out_record(t->out, 0, "workdir", t->cwd);
}

static void emit_closed(struct srt *t)
{
    for (size_t i = 0; i < t->deny_write.count; i++) {
        const char *path = t->deny_write.at[i];
        if (in_any(path, &t->allow_write) && !has(&t->allow_write, path) && !in_any(path, &t->deny_read))
            out_record(t->out, 0, "ro", path);
    }
    for (size_t i = 0; i < t->deny_read.count; i++) {
        const char *path = t->deny_read.at[i];
        if (strcmp(path, "/") == 0)
            out_error(t->out, 0,
                      "denyRead: \"/\": a room always shows the system; it shows no home and no secret");
        else if ((in_any(path, &t->allow_write) || in_any(path, &t->allow_read) || system_path(path)) &&
                 !has(&t->allow_read, path))
            out_record(t->out, 0, "hide", path);
    }
}

static void forget(struct paths *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->at[i]);
}

void srt_read(const char *bytes, size_t len, const char *cwd, const char *home, struct out *o)
{
    struct srt t = {.out = o, .cwd = cwd, .home = home};
    json_error_t bad;
    json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &bad);

    if (!root)
        out_error(o, bad.line > 0 ? (unsigned)bad.line : 0, "column %d: %s", bad.column, bad.text);
    else if (!json_is_object(root))
        out_error(o, 0, "settings are one JSON object");
    else
        top(&t, root);
    if (!o->ended) {
        emit_shown(&t);
        emit_closed(&t);
    }
    json_decref(root);
    forget(&t.deny_read);
    forget(&t.allow_read);
    forget(&t.allow_write);
    forget(&t.deny_write);
    out_complete(o);
}
