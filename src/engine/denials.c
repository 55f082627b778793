/* denials: the ground-truth record of refused system calls.
 *
 * The filter asks us about each call of the denied class; we note its number and refuse it. Nothing is decided here, so
 * nothing that the room changes meanwhile matters.
 *
 * Lives in: the supervisor. Must not: answer a denied call with anything but EPERM. */
#include "engine/inner.h"
#include "policy/seccomp.h"
#include "sys/kernel.h"

#include <string.h>
#include <sys/ioctl.h>

static void record(struct denials *d, int nr)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->rows[i].nr == nr) {
            d->rows[i].count++;
            return;
        }
    }
    if (d->n == DENIALS_MAX) {
        d->other++;
        return;
    }
    d->rows[d->n++] = (struct denial){.nr = nr, .count = 1};
}

void denials_take(struct room *r)
{
    /* The kernel's structures may be larger than ours (seccomp(2), SECCOMP_GET_NOTIF_SIZES); room for growth. */
    union {
        struct seccomp_notif n;
        char bytes[256];
    } ask;
    union {
        struct seccomp_notif_resp r;
        char bytes[128];
    } answer;
    memset(&ask, 0, sizeof ask);
    if (ioctl(r->notify, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0)
        return; /* the caller was killed meanwhile */
    memset(&answer, 0, sizeof answer);
    answer.r.id = ask.n.id;
    if (seccomp_is_watched(&ask.n.data)) {
        observe_call(r, &ask.n);
        answer.r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else {
        record(&r->result->denials, ask.n.data.nr);
        answer.r.error = -EPERM;
    }
    (void)ioctl(r->notify, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* ENOENT: the same */
}
