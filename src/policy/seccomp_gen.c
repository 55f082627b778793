/* seccomp_gen: compiles the table of system calls and the argument rules to BPF and prints them as C.
 *
 * Lives only on the machine that builds, started by the build; no part of the product. Trusts the tables that
 * are compiled into it. May read nothing and write nothing but its standard output. A table that contradicts
 * itself ends the build with a message.
 *
 * Theory of operation. Everything is one shape: a switch over a 32-bit word (the call number, or an argument
 * under a mask) whose cases are verdicts or further switches. A switch becomes a row of *spans* that cover
 * all values and in which neighbours differ; the spans become a search tree of conditional jumps.
 *
 * What the tree should minimise: loading a filter costs the kernel translation of each instruction, and
 * since 5.11 one dry run per call number, whose result ("always allowed") is kept in a bitmap; such calls
 * never run the filter again. So an instruction more costs as much as some INSN_COST steps of a dry run, and
 * the dry runs weigh one step per number. Calls whose arguments decide are the only ones that run the filter
 * each time (on older kernels all do); they weigh RULE_WEIGHT. The best tree for these weights is found by
 * dynamic programming over ranges of spans, with three ways to treat a range: split it (JGE), or peel a
 * single value off its left or right end (JEQ) when both sides of that value have the same verdict. The dry
 * run understands only loads of number and architecture, jumps, AND and RET, so the path to a plain verdict
 * may use nothing else.
 *
 * Instructions are emitted from the end of the program to its start, so that a jump always knows where it
 * goes. Equal instructions with equal successors are emitted once (each is a function of accumulator and data
 * only, so sharing is sound). A target beyond the 8 bits of a jump is reached through a copied RET or a JA.
 */
#include "policy/seccomp_rules.h"
#include "policy/syscall_nr.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS_MAX  512  /* call numbers are below this */
#define SPANS_MAX    160  /* spans of one switch */
#define INSNS_MAX    2048 /* of one program */
#define INSN_COST    48.0
#define RULE_WEIGHT  30.0
#define KERNEL_CALLS 470 /* the dry run visits numbers below this */
#define X32_BIT      0x40000000u

#ifndef REACH     /* a test sets it low, so that what lies beyond it happens */
#define REACH 250 /* a conditional jump spans 255; some room for two trampolines */
#endif

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no table of system calls for this architecture"
#endif

struct row {
    int nr;
    uint32_t outcome;
    const char *name;
};

#define ALLOW                       OUT_ALLOW
#define DENY                        OUT_DENY
#define NOSYS                       OUT_NOSYS
#define WATCH                       OUT_WATCH
#define RULE(id)                    OUT_RULE(id)
#define SYSCALL(name, verdict, why) {__NR_##name, verdict, #name},
static const struct row rows[] = {
#include "policy/syscalls.def"
};
#undef ALLOW
#undef DENY
#undef NOSYS
#undef WATCH
#undef RULE
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

struct span {
    uint32_t lo; /* the span ends before the next one's lo */
    uint32_t outcome;
    double weight;
};

enum how { LEAF, SPLIT, PEEL_LEFT, PEEL_RIGHT };

struct tree {
    struct span spans[SPANS_MAX];
    int count;
    double weight[SPANS_MAX + 1]; /* sums of the spans' weights up to here */
    double cost[SPANS_MAX][SPANS_MAX];
    unsigned char how[SPANS_MAX][SPANS_MAX];
    unsigned char at[SPANS_MAX][SPANS_MAX]; /* SPLIT: the last span of the left part */
};

/* One program under construction, last instruction first. */
struct code {
    struct sock_filter insns[INSNS_MAX];
    int to_true[INSNS_MAX],
        to_false[INSNS_MAX]; /* labels of a conditional jump; a label is an index into insns */
    int count;
    uint32_t deny; /* the return value for OUT_DENY */
    bool netlink;
    bool watch; /* OUT_WATCH notifies */
};

__attribute__((noreturn)) static void fail(const char *what, const char *which)
{
    fprintf(stderr, "seccomp_gen: %s: %s\n", what, which);
    exit(1);
}

/* ---- spans ---- */

static void span_add(struct tree *t, uint32_t lo, uint32_t outcome, double weight)
{
    if (t->count > 0 && t->spans[t->count - 1].outcome == outcome) {
        t->spans[t->count - 1].weight += weight;
        return;
    }
    if (t->count == SPANS_MAX)
        fail("more spans than SPANS_MAX", "switch");
    t->spans[t->count++] = (struct span){.lo = lo, .outcome = outcome, .weight = weight};
}

static bool is_single(const struct tree *t, int i)
{
    uint32_t next = i + 1 < t->count ? t->spans[i + 1].lo : 0;
    return t->spans[i].lo + 1 == next;
}

static void tree_solve(struct tree *t)
{
    t->weight[0] = 0;
    for (int i = 0; i < t->count; i++)
        t->weight[i + 1] = t->weight[i] + t->spans[i].weight;
    for (int len = 1; len <= t->count; len++) {
        for (int i = 0; i + len <= t->count; i++) {
            int j = i + len - 1;
            double best = 0;
            t->how[i][j] = LEAF;
            if (len > 1) {
                double here = t->weight[j + 1] - t->weight[i] + INSN_COST;
                best = -1;
                for (int k = i; k < j; k++) {
                    double c = here + t->cost[i][k] + t->cost[k + 1][j];
                    if (best < 0 || c < best) {
                        best = c;
                        t->how[i][j] = SPLIT;
                        t->at[i][j] = (unsigned char)k;
                    }
                }
                if (len > 2 && is_single(t, i + 1) && t->spans[i].outcome == t->spans[i + 2].outcome &&
                    here + t->cost[i + 2][j] <= best) {
                    best = here + t->cost[i + 2][j];
                    t->how[i][j] = PEEL_LEFT;
                }
                if (len > 2 && is_single(t, j - 1) && t->spans[j].outcome == t->spans[j - 2].outcome &&
                    here + t->cost[i][j - 2] < best) {
                    best = here + t->cost[i][j - 2];
                    t->how[i][j] = PEEL_RIGHT;
                }
            }
            t->cost[i][j] = best;
        }
    }
}

/* ---- instructions ---- */

static int append(struct code *c, uint16_t op, uint32_t k)
{
    if (c->count == INSNS_MAX)
        fail("more instructions than INSNS_MAX", "program");
    c->insns[c->count] = (struct sock_filter){.code = op, .k = k};
    c->to_true[c->count] = c->to_false[c->count] = -1;
    return c->count++;
}

static int emit_ret(struct code *c, uint32_t value)
{
    for (int i = c->count - 1; i >= 0 && c->count - i <= REACH; i--)
        if (c->insns[i].code == (BPF_RET | BPF_K) && c->insns[i].k == value)
            return i;
    return append(c, BPF_RET | BPF_K, value);
}

/* A label for the same thing that a conditional jump appended next can reach. */
static int near(struct code *c, int label)
{
    if (c->count - label <= REACH)
        return label;
    if (c->insns[label].code == (BPF_RET | BPF_K))
        return emit_ret(c, c->insns[label].k);
    return append(c, BPF_JMP | BPF_JA, (uint32_t)(c->count - 1 - label));
}

static int emit_jump(struct code *c, uint16_t op, uint32_t k, int to_true, int to_false)
{
    if (to_true == to_false)
        return to_true;
    uint16_t code = (uint16_t)(BPF_JMP | op | BPF_K);
    for (int i = c->count - 1; i >= 0 && c->count - i <= REACH; i--)
        if (c->insns[i].code == code && c->insns[i].k == k && c->to_true[i] == to_true &&
            c->to_false[i] == to_false)
            return i;
    int jt = near(c, to_true);
    int jf = near(c, to_false);
    int at = append(c, code, k);
    c->insns[at].jt = (unsigned char)(at - 1 - jt);
    c->insns[at].jf = (unsigned char)(at - 1 - jf);
    c->to_true[at] = to_true;
    c->to_false[at] = to_false;
    return at;
}

/* An instruction that falls through to `next`. */
static int emit_before(struct code *c, uint16_t op, uint32_t k, int next)
{
    if (next + 1 < c->count && c->insns[next + 1].code == op && c->insns[next + 1].k == k)
        return next + 1;
    if (next != c->count - 1) {
        if (c->insns[next].code == (BPF_RET | BPF_K))
            (void)append(c, BPF_RET | BPF_K, c->insns[next].k);
        else
            (void)append(c, BPF_JMP | BPF_JA, (uint32_t)(c->count - 1 - next));
    }
    return append(c, op, k);
}

/* ---- from tables to instructions ---- */

/* What the accumulator holds on the way in: an argument's low half, unmasked, or nothing that helps. */
#define HOLDS_NOTHING (-1)

static int emit_outcome(struct code *c, uint32_t outcome, int holds);

/* NOLINTNEXTLINE(misc-no-recursion): over our own tables, while building */
static int emit_range(struct code *c, const struct tree *t, int i, int j, int holds)
{
    int a, b;
    switch ((enum how)t->how[i][j]) {
    case SPLIT:
        b = emit_range(c, t, t->at[i][j] + 1, j, holds);
        a = emit_range(c, t, i, t->at[i][j], holds);
        return emit_jump(c, BPF_JGE, t->spans[t->at[i][j] + 1].lo, b, a);
    case PEEL_LEFT:
        b = emit_range(c, t, i + 2, j, holds);
        a = emit_outcome(c, t->spans[i + 1].outcome, holds);
        return emit_jump(c, BPF_JEQ, t->spans[i + 1].lo, a, b);
    case PEEL_RIGHT:
        b = emit_range(c, t, i, j - 2, holds);
        a = emit_outcome(c, t->spans[j - 1].outcome, holds);
        return emit_jump(c, BPF_JEQ, t->spans[j - 1].lo, a, b);
    case LEAF:
        break;
    }
    return emit_outcome(c, t->spans[i].outcome, holds);
}

static uint32_t arg_offset(unsigned arg)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the halves of a 64-bit word lie the other way round"
#endif
    if (arg == WORD_CALLER)
        return offsetof(struct seccomp_data, instruction_pointer) + 4;
    if (arg >= WORD_HIGH(0))
        return (uint32_t)(offsetof(struct seccomp_data, args) + (arg - WORD_HIGH(0)) * sizeof(uint64_t)) + 4;
    return (uint32_t)(offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t));
}

/* The outcome of a rule for one value, by rows: the definition that the tree must meet. */
static uint32_t rule_value(const struct seccomp_rule *r, uint32_t v)
{
    for (size_t i = 0; i < r->count; i++)
        if (v >= r->cases[i].lo && v <= r->cases[i].hi)
            return r->cases[i].outcome;
    return r->otherwise;
}

static void rule_spans(const struct code *c, const struct seccomp_rule *r, struct tree *t)
{
    /* Outcomes change only where a case begins or just after one ends. */
    t->count = 0;
    for (uint64_t at = 0; at <= r->mask;) {
        uint64_t next = (uint64_t)r->mask + 1;
        uint32_t outcome = seccomp_outcome(rule_value(r, (uint32_t)at), c->netlink);
        for (size_t i = 0; i < r->count; i++) {
            uint64_t lo = r->cases[i].lo, end = (uint64_t)r->cases[i].hi + 1;
            if (lo > at && lo < next)
                next = lo;
            if (end > at && end < next)
                next = end;
        }
        span_add(t, (uint32_t)at, outcome, 1);
        at = next;
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): over our own tables, while building */
static int emit_rule(struct code *c, const struct seccomp_rule *r, int holds)
{
    int inside = r->mask == ALL_BITS ? (int)r->arg : HOLDS_NOTHING;
    int root;
    if (r->count == 1 && r->cases[0].lo == 0 && r->cases[0].hi == 0 && r->mask != ALL_BITS) {
        int other = emit_outcome(c, r->otherwise, (int)r->arg);
        int zero = emit_outcome(c, r->cases[0].outcome, (int)r->arg);
        root = emit_jump(c, BPF_JSET, r->mask, other, zero);
    } else {
        struct tree *t = calloc(1, sizeof(*t));
        if (t == NULL)
            fail("out of memory", "tree");
        rule_spans(c, r, t);
        tree_solve(t);
        root = emit_range(c, t, 0, t->count - 1, inside);
        free(t);
        if (r->mask != ALL_BITS)
            root = emit_before(c, BPF_ALU | BPF_AND | BPF_K, r->mask, root);
    }
    if (holds != (int)r->arg)
        root = emit_before(c, BPF_LD | BPF_W | BPF_ABS, arg_offset(r->arg), root);
    return root;
}

/* NOLINTNEXTLINE(misc-no-recursion): over our own tables, while building */
static int emit_outcome(struct code *c, uint32_t outcome, int holds)
{
    switch (OUT_KIND(outcome)) {
    case OUT_ALLOW:
        return emit_ret(c, SECCOMP_RET_ALLOW);
    case OUT_DENY:
        return emit_ret(c, c->deny);
    case OUT_WATCH:
        return emit_ret(c, c->watch ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
    case OUT_KILL:
        return emit_ret(c, SECCOMP_RET_KILL_PROCESS);
    case OUT_ERRNO_KIND:
        return emit_ret(c, SECCOMP_RET_ERRNO | OUT_DATA(outcome));
    default:
        return emit_rule(c, &seccomp_rules[OUT_DATA(outcome)], holds);
    }
}

static void number_spans(const struct code *c, struct tree *t)
{
    static uint32_t by_number[NUMBERS_MAX];
    static bool seen[NUMBERS_MAX];
    memset(seen, 0, sizeof(seen));
    for (int nr = 0; nr < NUMBERS_MAX; nr++)
        by_number[nr] = OUT_NOSYS;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].nr < 0 || rows[i].nr >= NUMBERS_MAX)
            fail("number out of range", rows[i].name);
        if (seen[rows[i].nr])
            fail("two rows for one number", rows[i].name);
        seen[rows[i].nr] = true;
        by_number[rows[i].nr] = rows[i].outcome == OUT_WATCH && !c->watch ? OUT_ALLOW : rows[i].outcome;
    }
    t->count = 0;
    for (int nr = 0; nr < NUMBERS_MAX; nr++) {
        double w = nr < KERNEL_CALLS ? 1 : 0;
        if (OUT_KIND(by_number[nr]) == OUT_RULE_KIND)
            w += RULE_WEIGHT;
        span_add(t, (uint32_t)nr, by_number[nr], w);
    }
    span_add(t, NUMBERS_MAX, OUT_NOSYS, 0);
#if defined(__x86_64__)
    span_add(t, X32_BIT, OUT_KILL, 0);
    span_add(t, 0xffffffffu, OUT_NOSYS,
             0); /* -1 is not x32 but a tracer's (or a clumsy program's) "no call" */
#endif
}

static void compile(struct code *c, bool notify, bool netlink, bool watch)
{
    c->count = 0;
    c->deny = notify ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | EPERM;
    c->netlink = netlink;
    c->watch = watch;
    struct tree *t = calloc(1, sizeof(*t));
    if (t == NULL)
        fail("out of memory", "tree");
    number_spans(c, t);
    tree_solve(t);
    int root = emit_range(c, t, 0, t->count - 1, HOLDS_NOTHING);
    free(t);
    root = emit_before(c, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), root);
    int foreign = emit_ret(c, SECCOMP_RET_KILL_PROCESS);
    if (c->insns[root].code == (BPF_RET | BPF_K))
        fail("nothing to decide", "table");
    root = emit_jump(c, BPF_JEQ, NATIVE_ARCH, root, foreign);
    (void)emit_before(c, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), root);
}

static void print_program(const struct code *c, const char *name)
{
    printf("static const struct sock_filter %s[%d] = {\n", name, c->count);
    for (int i = c->count - 1; i >= 0; i--) {
        const struct sock_filter *f = &c->insns[i];
        printf("    {0x%02x, %u, %u, 0x%08x},\n", (unsigned)f->code, (unsigned)f->jt, (unsigned)f->jf,
               (unsigned)f->k);
    }
    printf("};\n\n");
}

int main(void)
{
    static const struct {
        const char *name;
        bool notify, netlink, watch;
    } variants[] = {
        {"seccomp_room", false, false, false},        {"seccomp_room_notify", true, false, false},
        {"seccomp_room_netlink", false, true, false}, {"seccomp_room_netlink_notify", true, true, false},
        {"seccomp_room_watch", true, false, true},    {"seccomp_room_netlink_watch", true, true, true},
    };
    static struct code c;
    printf("/* Made by seccomp_gen from syscalls.def and seccomp_rules.h. */\n\n");
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        compile(&c, variants[i].notify, variants[i].netlink, variants[i].watch);
        print_program(&c, variants[i].name);
    }
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
