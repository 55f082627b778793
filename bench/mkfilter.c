/* mkfilter: writes the product's system-call filter as the peers want it, so that all pay for the same.
 *
 * What: `raw` is the bytes that `bwrap --seccomp FD` reads; `oci` the seccomp object of a container bundle.
 * There the engine builds its own tree from names, at run time: that is part of what it costs. The OCI words
 * cannot say all that the filter says of arguments; what they leave out makes the peer a little faster, never
 * slower.
 *
 * Lives in: bench/run while it prepares. Trusts: policy/seccomp. May: write to stdout. */
#include "policy/seccomp.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define NUMBERS 600 /* beyond every system call that the table can name */
#define NEW_NAMESPACES                                                                                       \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |            \
     CLONE_NEWNET)

/* Calls that are refused for some arguments only, and which an engine can be told to allow whole. */
static const char *const partly[] = {"ioctl", "prctl", "fcntl", "mmap", "mprotect", "socketpair"};

static void write_names(void)
{
    const char *comma = "";
    for (int nr = 0; nr < NUMBERS; nr++) {
        const char *name = syscall_name(nr);
        if (!name || syscall_why_denied(nr))
            continue;
        printf("%s\"%s\"", comma, name);
        comma = ", ";
    }
}

static void write_oci(void)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};

    printf("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 1, \"architectures\": "
           "[\"SCMP_ARCH_X86_64\"],\n");
    printf(" \"syscalls\": [\n  {\"action\": \"SCMP_ACT_ALLOW\", \"names\": [");
    write_names();
    printf("]},\n");
    for (size_t i = 0; i < sizeof partly / sizeof partly[0]; i++)
        printf("  {\"action\": \"SCMP_ACT_ALLOW\", \"names\": [\"%s\"]},\n", partly[i]);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        printf("  {\"action\": \"SCMP_ACT_ALLOW\", \"names\": [\"socket\"], "
               "\"args\": [{\"index\": 0, \"value\": %d, \"op\": \"SCMP_CMP_EQ\"}]},\n",
               families[i]);
    printf("  {\"action\": \"SCMP_ACT_ALLOW\", \"names\": [\"clone\"], "
           "\"args\": [{\"index\": 0, \"value\": %u, \"valueTwo\": 0, \"op\": \"SCMP_CMP_MASKED_EQ\"}]},\n",
           (unsigned)NEW_NAMESPACES);
    printf("  {\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38, \"names\": [\"clone3\"]}\n ]}\n");
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
