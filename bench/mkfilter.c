/* mkfilter: writes the product's system-call filter as the peers want it, so that all pay for the same.
 *
 * What: `raw` is the bytes that `bwrap --seccomp FD` reads; `oci` the seccomp object of a container bundle.
 * There the engine builds its own tree from names, at run time: that is part of what it costs. The OCI words
 * cannot say all that the filter says of arguments; what they leave out makes the peer a little faster, never
 * slower.
 *
 * Lives in: bench/run while it prepares. Trusts: policy/seccomp. May: write to stdout. */
#include "policy/seccomp.h"
#include "policy/seccomp_rules.h"
#include "policy/syscall_nr.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define NEW_NAMESPACES                                                                                       \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |            \
     CLONE_NEWNET)

/* The rows of the table. Those that are refused for some arguments only are allowed whole, but for those whose
 * arguments the OCI words can judge. */
static const struct row {
    const char *name;
    uint32_t verdict;
} rows[] = {
#define ALLOW                       OUT_ALLOW
#define DENY                        OUT_DENY
#define NOSYS                       OUT_NOSYS
#define WATCH                       OUT_WATCH
#define RULE(id)                    OUT_RULE(id)
#define SYSCALL(name, verdict, why) {#name, (verdict)},
#include "policy/syscalls.def"
};

static bool is_open(uint32_t verdict)
{
    return verdict == OUT_ALLOW || verdict == OUT_WATCH ||
           (OUT_KIND(verdict) == OUT_RULE_KIND && verdict != OUT_RULE(SOCKET) && verdict != OUT_RULE(CLONE));
}

static bool is_unknown(uint32_t verdict)
{
    return verdict == OUT_NOSYS;
}

static void write_names(bool (*wanted)(uint32_t verdict))
{
    const char *comma = "";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!wanted(rows[i].verdict))
            continue;
        printf("%s\"%s\"", comma, rows[i].name);
        comma = ", ";
    }
}

static void write_oci(void)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};

    printf("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 1, \"architectures\": "
           "[\"SCMP_ARCH_X86_64\"],\n");
    printf(" \"syscalls\": [\n  {\"action\": \"SCMP_ACT_ALLOW\", \"names\": [");
    write_names(is_open);
    printf("]},\n");
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        printf("  {\"action\": \"SCMP_ACT_ALLOW\", \"names\": [\"socket\"], "
               "\"args\": [{\"index\": 0, \"value\": %d, \"op\": \"SCMP_CMP_EQ\"}]},\n",
               families[i]);
    printf("  {\"action\": \"SCMP_ACT_ALLOW\", \"names\": [\"clone\"], "
           "\"args\": [{\"index\": 0, \"value\": %u, \"valueTwo\": 0, \"op\": \"SCMP_CMP_MASKED_EQ\"}]},\n",
           (unsigned)NEW_NAMESPACES);
    printf("  {\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38, \"names\": [");
    write_names(is_unknown);
    printf("]}\n ]}\n");
}

int main(int argc, char **argv)
{
    const struct seccomp_program *p = seccomp_program(SECCOMP_ROOM);

    if (argc == 2 && !strcmp(argv[1], "raw"))
        (void)fwrite(p->insns, sizeof p->insns[0], p->len, stdout);
    else if (argc == 2 && !strcmp(argv[1], "oci"))
        write_oci();
    else
        return fputs("usage: mkfilter raw|oci\n", stderr), 2;
    return fflush(stdout) ? 1 : 0;
}
