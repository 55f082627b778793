/* plan_words: the words of a plan: the memory that they lie in, and those that the program is started with.
 *
 * Lives in: the supervisor, before the clone. Trusts: the policy's form (checked). Must not: look at the host. */
#include "base/sbuf.h"
#include "room/plan_inner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *text_join(struct text *t, const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    if ((size_t)(t->end - t->next) < la + lb + 1)
        return NULL;
    char *s = t->next;
    memcpy(s, a, la);
    memcpy(s + la, b, lb);
    s[la + lb] = '\0';
    t->next += la + lb + 1;
    return s;
}

void *text_array(struct text *t, size_t size, size_t n)
{
    uintptr_t at = ((uintptr_t)t->next + 15) & ~(uintptr_t)15;
    if (at > (uintptr_t)t->end || (uintptr_t)t->end - at < size * n)
        return NULL;
    t->next = (char *)(at + size * n);
    memset((void *)at, 0, size * n);
    return (void *)at;
}

int out_of_text(struct err *e)
{
    return err_set(e, ERR_POLICY, E2BIG, "plan the room: too many or too long paths");
}

char *text_fmt(struct text *t, const char *fmt, ...)
{
    if (t->end - t->next < 16)
        return NULL;
    struct sbuf b = {.text = t->next, .size = (size_t)(t->end - t->next)};
    va_list ap;
    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
    if (b.full)
        return NULL;
    t->next += b.len + 1;
    return b.text;
}

/* A random version-4 UUID (RFC 4122) in the place of the host's boot id. */
/* --- the program ---------------------------------------------------------------------------------------- */

#define ROOM_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PATH_NAME (sizeof "PATH=" - 1)

static const char *find_path(char *const *envp)
{
    for (size_t i = 0; envp && envp[i]; i++) {
        if (strncmp(envp[i], ROOM_PATH, PATH_NAME) == 0)
            return envp[i] + PATH_NAME;
    }
    return &ROOM_PATH[PATH_NAME];
}

int plan_candidates(const char *name, char *const *envp, char *text, size_t size, char *ret[PLAN_EXEC_MAX])
{
    struct text t = {.next = text, .end = text + size};
    size_t n = 0, len;
    if (name[0] == '\0')
        return -ENOENT;
    if (strchr(name, '/')) {
        ret[n++] = text_join(&t, name, "");
    } else {
        for (const char *at = find_path(envp); at[0] && n < PLAN_EXEC_MAX - 1; at += len + (at[len] == ':')) {
            len = strcspn(at, ":");
            if (at[0] != '/')
                continue; /* a relative folder would be one that the program may have made */
            if (!(ret[n++] = text_fmt(&t, "%.*s/%s", (int)len, at, name)))
                return -E2BIG;
        }
    }
    ret[n] = NULL;
    return n == 0 || ret[n - 1] ? 0 : -E2BIG;
}

int plan_program(struct room_plan *plan, struct text *t, struct err *e)
{
    size_t n = 0;
    if (!plan->argv)
        return 0;
    /* A copy of the last word: pid 1 overwrites the end of what it was started with. */
    while (plan->argv[n + 1])
        n++;
    if (!(plan->argv[n] = text_join(t, plan->argv[n], "")))
        return out_of_text(e);
    const char *name = plan->argv[0];
    const size_t most = strlen(find_path(plan->envp)) + (PLAN_EXEC_MAX + 1) * (strlen(name) + 24);
    char *text = text_array(t, 1, most);
    if (!text)
        return out_of_text(e);
    int r = plan_candidates(name, plan->envp, text, most, plan->exec_paths);
    if (r == -E2BIG)
        return out_of_text(e);
    return r < 0 ? err_set(e, ERR_NOT_FOUND, ENOENT, "run the command: its name is empty") : 0;
}

/* Programs that bring certificates of their own look here. */
#define ROOM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"
static const char *const trust_env[] = {"SSL_CERT_FILE=" ROOM_BUNDLE, "REQUESTS_CA_BUNDLE=" ROOM_BUNDLE,
                                        "CURL_CA_BUNDLE=" ROOM_BUNDLE, "GIT_SSL_CAINFO=" ROOM_BUNDLE,
                                        "NODE_EXTRA_CA_CERTS=" ROOM_BUNDLE};

/* Adds a line, or replaces that of the same name. */
static void put_env(char **env, size_t *n, const char *line)
{
    const size_t len = strcspn(line, "=");
    size_t at = 0;
    while (at < *n && !(strncmp(env[at], line, len) == 0 && env[at][len] == '='))
        at++;
    if (at == *n)
        (*n)++;
    env[at] = (char *)(uintptr_t)line;
}

/* The environment is made anew; what the policy names comes behind and wins. */
int plan_env(struct room_plan *plan, struct text *t, struct err *e)
{
    static const char *const fixed[] = {ROOM_PATH,      "HOME=/work",   "TMPDIR=/tmp",  "USER=room",
                                        "LOGNAME=room", "LANG=C.UTF-8", "SHELL=/bin/sh"};
    const struct policy *p = plan->policy;
    const size_t n_fixed = sizeof fixed / sizeof *fixed, n_trust = sizeof trust_env / sizeof *trust_env;
    char **env = text_array(t, sizeof *env, n_fixed + n_trust + p->env_count + p->secret_count + 2);
    if (!env)
        return out_of_text(e);
    size_t n = 0;
    for (size_t i = 0; i < n_fixed; i++)
        put_env(env, &n, fixed[i]);
    if (plan->tty)
        put_env(env, &n, "TERM=xterm-256color");
    for (size_t i = 0; plan->trust_bundle && i < n_trust; i++)
        put_env(env, &n, trust_env[i]);
    for (size_t i = 0; i < p->env_count; i++) {
        if (!p->env[i].value)
            continue; /* the command line fills values of the caller's before the plan is made */
        char *line = text_fmt(t, "%s=%s", p->env[i].name, p->env[i].value);
        if (!line)
            return out_of_text(e);
        put_env(env, &n, line);
    }
    for (size_t i = 0; plan->secret_env && plan->secret_env[i]; i++)
        put_env(env, &n, plan->secret_env[i]);
    plan->envp = env;
    return 0;
}
