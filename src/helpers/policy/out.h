/* out: the answer being built (policy/records.h says its form). */
#ifndef HELPERS_POLICY_OUT_H
#define HELPERS_POLICY_OUT_H

#include <stdbool.h>
#include <stddef.h>

struct out {
    char *bytes;
    size_t size, len;
    unsigned count;
    bool ended;  /* an error or the end was written: nothing follows */
    bool failed; /* it ended in an error */
};

/* Adds a record; when it does not fit, the whole answer becomes an error. */
void out_record(struct out *o, unsigned line, const char *key, const char *value);
void out_note(struct out *o, unsigned line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Ends the answer: whatever was there before is forgotten. Line 0: no line is known. */
void out_error(struct out *o, unsigned line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void out_complete(struct out *o);

/* The two readers: bytes in, records out; no input or output of their own. */
void yaml_read(const char *bytes, size_t len, struct out *o);
/* `cwd` and `home` are absolute paths, or NULL when they are not known. */
void srt_read(const char *bytes, size_t len, const char *cwd, const char *home, struct out *o);

/* Gives up every right but reading fd 0, writing fd 1 and memory. 0 or -errno; nothing must go on after a failure. */
int confine(void);

#endif
