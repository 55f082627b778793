/* intercept: the supervisor's side of secrets and of strongroom-intercept, the process that opens TLS where rules ask.
 *
 * Theory of operation. It is started before the room is planned, for the room must know the certificate of its
 * authority: the plan shows it in the place of /etc/ssl/certs, in a bundle with the host's own. Values of secrets are
 * read when the room is about to be cloned, into memory that children find empty, and wiped from our environment; the
 * room gets a random mark in the place of each. They go to the gate and to strongroom-intercept, and nowhere else.
 *
 * Lives in: the supervisor. Trusts: the policy for names, the programs beside ours. Must not: tell a value. */
#include "engine/helper.h"
#include "engine/inner.h"
#include "gate/hand.h"
#include "gate/secret.h"
#include "sys/fd.h"
#include "sys/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>

#define PROGRAM    "strongroom-intercept"
#define BUNDLE     "/etc/ssl/certs/ca-certificates.crt"
#define STOP_MS    500
#define BUNDLE_MAX (512 << 10)
#define MARKS_MAX  SECRETS_MAX

static struct hand_ca ca;
static char marks[MARKS_MAX][POLICY_SECRET_NAME_MAX + 1 + SECRET_MARK + 1]; /* NAME=MARK */
static char *values;                                                        /* MARKS_MAX * SECRET_VALUE_MAX */

/* Is TLS opened? Only the room's own name of a host is meant to be looked into. */
static bool opens(const struct policy *p)
{
    for (size_t i = 0; p->net == NET_GATE && i < p->egress.count; i++) {
        if (p->egress.rules[i].kind != EGRESS_UNIX && p->egress.rules[i].http[0])
            return true;
    }
    return p->net == NET_GATE && p->secret_count > 0;
}

static bool wraps(const struct policy *p)
{
    return p->net == NET_GATE && p->upstream && p->upstream->tls;
}

static int make_marks(struct room *r, struct err *e)
{
    static const char digits[] = "0123456789abcdef";
    static const char *lines[MARKS_MAX + 1];
    const struct policy *p = r->policy;
    for (size_t i = 0; i < p->secret_count; i++) {
        const size_t len = strlen(p->secrets[i].name), pre = strlen(SECRET_PREFIX);
        unsigned char bytes[(SECRET_MARK - 4 + 1) / 2];
        char *at = marks[i];
        lines[i] = at;
        if (i > 0 && strcmp(p->secrets[i].name, p->secrets[i - 1].name) == 0) {
            memcpy(marks[i], marks[i - 1], sizeof marks[i]); /* one value for several hosts */
            continue;
        }
        if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
            return err_set(e, ERR_ROOM, errno, "make the mark of the secret %s", p->secrets[i].name);
        memcpy(at, p->secrets[i].name, len);
        at[len] = '=';
        memcpy(at + len + 1, SECRET_PREFIX, pre);
        for (size_t k = 0; k < SECRET_MARK - pre; k++)
            at[len + 1 + pre + k] = digits[bytes[k / 2] >> (k % 2 ? 0 : 4) & 15];
        at[len + 1 + SECRET_MARK] = '\0';
    }
    r->plan.secret_env = lines;
    return 0;
}

static int read_bundle(struct room *r, struct err *e)
{
    char *text = mem_reserve(BUNDLE_MAX);
    if (!text)
        return err_set(e, ERR_ROOM, ENOMEM, "read %s", BUNDLE);
    ssize_t n = fd_read_file(AT_FDCWD, BUNDLE, text, BUNDLE_MAX - HAND_PEM_MAX);
    if (n < 0 && n != -ENOENT)
        return err_set(e, ERR_ROOM, (int)-n, "read %s", BUNDLE);
    size_t len = n > 0 ? (size_t)n : 0;
    memcpy(text + len, ca.pem, strlen(ca.pem) + 1);
    r->plan.trust_bundle = text;
    r->plan.trust_pem = ca.pem;
    r->plan.trust_hash = ca.hash;
    return 0;
}

int intercept_start(struct room *r, struct err *e)
{
    const struct timeval patience = {.tv_sec = 5};
    if (!opens(r->policy) && !wraps(r->policy))
        return 0;
    int n = helper_start(PROGRAM, &r->intercept_ctl, &r->intercept_pid, e);
    if (n < 0)
        return n;
    (void)setsockopt(r->intercept_ctl, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(r->intercept_ctl, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    n = fd_frame_recv(r->intercept_ctl, &ca, sizeof ca, NULL, 0, 0);
    ca.pem[sizeof ca.pem - 1] = ca.hash[sizeof ca.hash - 1] = ca.print[sizeof ca.print - 1] = '\0';
    if (n < 0 || ca.type != HAND_CA || ca.version != GATE_FRAMES_VERSION || strlen(ca.hash) != 8) {
        return helper_missing(PROGRAM, e);
    }
    if (!opens(r->policy))
        return 0; /* the room has no use for its authority */
    r->result->authority = ca.print;
    n = make_marks(r, e);
    return n < 0 ? n : read_bundle(r, e);
}

/* --- values --------------------------------------------------------------------------------------------- */

static int bad_value(const struct policy_secret *s, const char *why, struct err *e)
{
    int n = err_set(e, ERR_USAGE, 0, "read the secret %s from %s %s: %s", s->name,
                    s->from_file ? "the file" : "the variable", s->source, why);
    err_hint(e, "a secret is one line of 4 to %d printable characters", SECRET_VALUE_MAX - 1);
    return n;
}

/* There is no value at all. */
static int no_value(const struct policy_secret *s, const char *why, struct err *e)
{
    int n = bad_value(s, why, e);
    if (s->from_file)
        err_hint(e, "name a file that you may read: %s=file:PATH@HOST", s->name);
    else
        err_hint(e, "export it, or take the value from elsewhere: %s=env:VAR@HOST, %s=file:PATH@HOST",
                 s->name, s->name);
    return n;
}

static int read_value(const struct policy_secret *s, char *out, struct err *e)
{
    size_t len;
    if (s->from_file) {
        ssize_t n = fd_read_file(AT_FDCWD, s->source, out, SECRET_VALUE_MAX);
        if (n < 0)
            return n == -EFBIG ? bad_value(s, "it is too long", e) : no_value(s, strerror((int)-n), e);
        len = (size_t)n;
        while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '\r'))
            out[--len] = '\0';
    } else {
        const char *value = getenv(s->source);
        if (!value)
            return no_value(s, "it is not set", e);
        len = strlen(value);
        if (len >= SECRET_VALUE_MAX)
            return bad_value(s, "it is too long", e);
        memcpy(out, value, len + 1);
    }
    if (len < 4)
        return bad_value(s, "it is too short", e);
    for (size_t i = 0; i < len; i++) {
        if (out[i] < ' ' || out[i] > '~')
            return bad_value(s, "it has other characters than printable ASCII", e);
    }
    return 0;
}

int intercept_read_secrets(struct room *r, struct err *e)
{
    const struct policy *p = r->policy;
    const size_t size = MARKS_MAX * SECRET_VALUE_MAX;
    if (r->intercept_ctl < 0 || p->secret_count == 0)
        return 0;
    values = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (values == MAP_FAILED || madvise(values, size, MADV_WIPEONFORK) < 0)
        return err_set(e, ERR_ROOM, errno, "keep the room out of the memory of secrets");
    (void)madvise(values, size, MADV_DONTDUMP); /* we are not dumpable anyway */
    for (size_t i = 0; i < p->secret_count; i++) {
        int n = read_value(&p->secrets[i], values + i * SECRET_VALUE_MAX, e);
        if (n < 0)
            return n;
    }
    for (size_t i = 0; i < p->secret_count; i++) { /* the room's pid 1 begins as a copy of us */
        char *value = p->secrets[i].from_file ? NULL : getenv(p->secrets[i].source);
        if (value)
            memset(value, 0, strlen(value));
    }
    return 0;
}

/* --- to those who need them ----------------------------------------------------------------------------- */

static int send_secret(int to, struct gate_command *c, const struct policy *p, size_t i)
{
    char where[EGRESS_RULE_MAX];
    struct sbuf w = SBUF(where), b = {.text = c->text, .size = sizeof c->text};
    memset(c, 0, sizeof *c);
    egress_text(&p->secrets[i].where, &w);
    sbuf_text(&b, marks[i] + strlen(p->secrets[i].name) + 1);
    b.len++; /* with its NUL */
    sbuf_text(&b, where);
    b.len++;
    sbuf_text(&b, values + i * SECRET_VALUE_MAX);
    b.len++;
    c->type = GATE_SECRET;
    c->version = GATE_FRAMES_VERSION;
    c->size = (uint32_t)b.len;
    int n = b.full ? -E2BIG : fd_frame_send(to, c, sizeof *c, NULL, 0, 0);
    memset(c, 0, sizeof *c);
    return n;
}

static int send_socket(int to, struct gate_command *c, int fd)
{
    *c = (struct gate_command){.type = GATE_LISTENERS, .version = GATE_FRAMES_VERSION, .count = 1};
    c->kinds[0] = GATE_LISTEN_INTERCEPT;
    return fd_frame_send(to, c, sizeof *c, &fd, 1, 0);
}

int intercept_join(struct room *r)
{
    static struct gate_command c;
    const struct policy *p = r->policy;
    int pair[2];
    if (r->intercept_ctl < 0)
        return 0;
    int n = fd_frame_pair(pair);
    for (size_t i = 0; n == 0 && i < p->secret_count; i++) {
        n = send_secret(r->gate_ctl, &c, p, i);
        if (n == 0)
            n = send_secret(r->intercept_ctl, &c, p, i);
    }
    if (values)
        memset(values, 0, MARKS_MAX * SECRET_VALUE_MAX);
    if (n == 0)
        n = send_socket(r->gate_ctl, &c, pair[0]);
    if (n == 0)
        n = send_socket(r->intercept_ctl, &c, pair[1]);
    c = (struct gate_command){.type = GATE_START, .version = GATE_FRAMES_VERSION};
    if (n == 0)
        n = fd_frame_send(r->intercept_ctl, &c, sizeof c, NULL, 0, 0);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    return n;
}

void intercept_stop(struct room *r)
{
    fd_close(&r->intercept_ctl);
    helper_end(&r->intercept_pid, STOP_MS);
}
