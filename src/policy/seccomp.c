/* seccomp: hands out the room's filter programs, and names and reasons from the table that they were made of.
 *
 * Lives in every process of ours that builds a room or explains a denial. Trusts its own constants. May do
 * nothing but return them; must not call the system or allocate. The names are one block of text with offsets
 * into it instead of pointers, so that they need no relocation and no page is written. */
#include "policy/seccomp.h"
#include "policy/seccomp_bytes.h"
#include "policy/seccomp_rules.h"
#include "policy/syscall_nr.h"
#include <stddef.h>
#include <stdint.h>

#define NUMBERS 512 /* the generator ends the build when a number is not below this */

const struct seccomp_program *seccomp_program(enum seccomp_variant variant)
{
#define PROGRAM(insns)                                                                                       \
    {                                                                                                        \
        insns, sizeof(insns) / sizeof((insns)[0])                                                            \
    }
    static const struct seccomp_program programs[SECCOMP_VARIANT_COUNT] = {
        [SECCOMP_ROOM] = PROGRAM(seccomp_room),
        [SECCOMP_ROOM_NOTIFY] = PROGRAM(seccomp_room_notify),
        [SECCOMP_ROOM_NETLINK] = PROGRAM(seccomp_room_netlink),
        [SECCOMP_ROOM_NETLINK_NOTIFY] = PROGRAM(seccomp_room_netlink_notify),
        [SECCOMP_ROOM_WATCH] = PROGRAM(seccomp_room_watch),
        [SECCOMP_ROOM_NETLINK_WATCH] = PROGRAM(seccomp_room_netlink_watch),
    };
#undef PROGRAM
    return (unsigned)variant < SECCOMP_VARIANT_COUNT ? &programs[variant] : NULL;
}

/* Offset 0 is an empty string, so that a number without a row reads as "". */
static const struct text {
    char none[1];
#define SYSCALL(name, verdict, why)                                                                          \
    char name_##name[sizeof(#name)];                                                                         \
    char why_##name[sizeof(why)];
#include "policy/syscalls.def"
} text = {
    "",
#define SYSCALL(name, verdict, why) #name, why,
#include "policy/syscalls.def"
};

static const struct {
    uint16_t name, why;
} at[NUMBERS] = {
#define SYSCALL(name, verdict, why)                                                                          \
    [__NR_##name] = {offsetof(struct text, name_##name), offsetof(struct text, why_##name)},
#include "policy/syscalls.def"
};
_Static_assert(sizeof(struct text) <= UINT16_MAX, "offsets into the text are 16 bits");

const char *syscall_name(int nr)
{
    if (nr < 0 || nr >= NUMBERS || at[nr].name == 0)
        return NULL;
    return (const char *)&text + at[nr].name;
}

const char *syscall_why_denied(int nr)
{
    if (syscall_name(nr) == NULL)
        return "a system call that this version does not know";
    const char *why = (const char *)&text + at[nr].why;
    return why[0] != '\0' ? why : NULL;
}

bool seccomp_is_watched(const struct seccomp_data *d)
{
#define ALLOW                       OUT_ALLOW
#define DENY                        OUT_DENY
#define NOSYS                       OUT_NOSYS
#define WATCH                       OUT_WATCH
#define RULE(id)                    OUT_RULE(id)
#define SYSCALL(name, verdict, why) [__NR_##name] = (verdict),
    static const uint32_t outcomes[NUMBERS] = {
#include "policy/syscalls.def"
    };
    uint32_t out = d->nr >= 0 && d->nr < NUMBERS ? outcomes[d->nr] : OUT_NOSYS;
    while (OUT_KIND(out) ==
           OUT_RULE_KIND) { /* a rule never leads back to itself: the generator would not end */
        const struct seccomp_rule *r = &seccomp_rules[OUT_DATA(out)];
        const uint32_t v = seccomp_word(d, r->arg) & r->mask;
        out = r->otherwise;
        for (size_t i = r->count; i-- > 0;) {
            if (v >= r->cases[i].lo && v <= r->cases[i].hi)
                out = r->cases[i].outcome;
        }
    }
    return OUT_KIND(out) == OUT_WATCH;
}
