/* remedy_test: each situation gets its own remedy, on any machine.
 *
 * Lives in: a test program. Everything under test is pure. */
#include "limits/leaf.h"
#include "probe/remedy.h"
#include "unit.h"
#include <errno.h>
#include <string.h>

static struct host_facts plain(void)
{
    struct host_facts h = {.distro = "debian",
                           .kernel = 6001,
                           .uid = 1000,
                           .other_uid = 1000,
                           .proc = true,
                           .exe = "/usr/local/bin/strongroom"};
    for (size_t i = 0; i < SYSCTL_COUNT; i++)
        h.sysctls[i] = -1;
    h.sysctls[SYSCTL_MAX_USER] = 31000;
    return h;
}

static struct remedy ask(const struct host_facts *h, enum facility id, enum facility_state state, int code)
{
    const struct facility_answer a = {.state = state, .code = code};
    struct remedy r;
    remedy_find(h, id, &a, &r);
    return r;
}

static void nothing_to_mend(void **state)
{
    const struct host_facts h = plain();
    (void)state;
    for (int i = 0; i < FACILITY_COUNT; i++) {
        assert_int_equal(ask(&h, (enum facility)i, FACILITY_OK, 0).line_count, 0);
        assert_int_equal(ask(&h, (enum facility)i, FACILITY_SKIPPED, 0).line_count, 0);
    }
}

/* Whatever happens, a lack never stands there without a word. */
static void always_a_word(void **state)
{
    static const int codes[] = {0,      EPERM,  EACCES, ENOSPC,     EUSERS,   EINVAL,
                                ENOSYS, ENOENT, EBUSY,  EOPNOTSUPP, ETIMEDOUT};
    (void)state;
    for (int c = CONTAINER_NONE; c <= CONTAINER_OTHER; c++) {
        for (unsigned bits = 0; bits < 64; bits++) {
            struct host_facts h = plain();
            h.container = (enum container)c;
            h.uid = bits & 1 ? 0 : 1000;
            h.admin = bits & 1;
            h.nested = bits & 2;
            h.unified = bits & 4;
            h.systemd = bits & 8;
            h.filtered = bits & 16;
            h.sysctls[SYSCTL_APPARMOR_USERNS] = bits & 32 ? 1 : -1;
            for (int i = 0; i < FACILITY_COUNT; i++) {
                for (size_t k = 0; k < COUNT(codes); k++) {
                    struct remedy r = ask(&h, (enum facility)i, FACILITY_MISSING, codes[k]);
                    assert_in_range(r.line_count, 1, REMEDY_LINES_MAX);
                    for (size_t n = 0; n < r.line_count; n++)
                        assert_in_range(strlen(r.lines[n]), 10, sizeof r.lines[n] - 2); /* not cut off */
                }
            }
        }
    }
}

static void old_debian(void **state)
{
    struct host_facts h = plain();
    (void)state;
    h.sysctls[SYSCTL_USERNS_CLONE] = 0;
    struct remedy r = ask(&h, FACILITY_USERNS, FACILITY_MISSING, EPERM);
    assert_string_equal(r.lines[0], "sudo sysctl -w kernel.unprivileged_userns_clone=1");
    assert_int_equal(r.fix_count, 1);
    assert_int_equal(r.fixes[0].kind, FIX_SYSCTL);
    assert_int_equal(r.fixes[0].key, SYSCTL_USERNS_CLONE);
    assert_int_equal(r.fixes[0].value, 1);
    /* Root is not concerned by that switch: something else is in its way. */
    h.uid = 0;
    h.admin = true;
    assert_int_equal(ask(&h, FACILITY_USERNS, FACILITY_MISSING, EPERM).fix_count, 0);
    /* … but its users are. */
    assert_int_equal(ask(&h, FACILITY_USERS, FACILITY_MISSING, EPERM).fix_count, 1);
}

static void ubuntu(void **state)
{
    struct host_facts h = plain();
    char text[1024];
    struct sbuf b = SBUF(text);
    (void)state;
    h.apparmor = h.apparmor_tools = true;
    h.sysctls[SYSCTL_APPARMOR_USERNS] = 1;
    struct remedy r = ask(&h, FACILITY_USERNS, FACILITY_MISSING, EACCES);
    assert_int_equal(r.fix_count, 1);
    assert_int_equal(r.fixes[0].kind, FIX_APPARMOR);
    fix_commands(&r.fixes[0], &h, &b);
    assert_non_null(
        strstr(text, "'profile strongroom /usr/local/bin/strongroom flags=(unconfined) {' '  userns,'"));
    assert_non_null(strstr(text, "\napparmor_parser -r /etc/apparmor.d/strongroom\n"));
    /* A path that a profile would read as a pattern gets the switch instead. */
    static const char odd[] = "/home/a b*/strongroom";
    memcpy(h.exe, odd, sizeof odd);
    r = ask(&h, FACILITY_USERNS, FACILITY_MISSING, EACCES);
    assert_int_equal(r.fixes[0].kind, FIX_SYSCTL);
    assert_int_equal(r.fixes[0].key, SYSCTL_APPARMOR_USERNS);
    assert_int_equal(r.fixes[0].value, 0);
}

static void too_few(void **state)
{
    struct host_facts h = plain();
    char text[1024];
    struct sbuf b = SBUF(text);
    (void)state;
    h.sysctls[SYSCTL_MAX_USER] = 0;
    struct remedy r = ask(&h, FACILITY_USERNS, FACILITY_MISSING, ENOSPC);
    assert_int_equal(r.fixes[0].key, SYSCTL_MAX_USER);
    fix_commands(&r.fixes[0], &h, &b);
    assert_string_equal(text, "sysctl -w user.max_user_namespaces=16384\n"
                              "printf '%s\\n' 'user.max_user_namespaces = 16384' "
                              ">/etc/sysctl.d/60-strongroom-user.max_user_namespaces.conf\n");
    b = SBUF(text);
    fix_undo(&r.fixes[0], &h, &b);
    assert_string_equal(text, "# undo: rm /etc/sysctl.d/60-strongroom-user.max_user_namespaces.conf; "
                              "sysctl -w user.max_user_namespaces=0\n");
    /* The counter of the very kind. */
    h = plain();
    h.sysctls[SYSCTL_MAX_NET] = 2;
    r = ask(&h, FACILITY_NS_NET, FACILITY_MISSING, ENOSPC);
    assert_int_equal(r.fixes[0].key, SYSCTL_MAX_NET);
    /* Enough, and yet used up: nothing that a switch mends for sure. */
    assert_int_equal(ask(&h, FACILITY_USERNS, FACILITY_MISSING, ENOSPC).fix_count, 0);
}

static void containers(void **state)
{
    struct host_facts h = plain();
    (void)state;
    h.container = CONTAINER_DOCKER;
    struct remedy r = ask(&h, FACILITY_USERNS, FACILITY_MISSING, EPERM);
    assert_non_null(strstr(r.lines[0], "--security-opt systempaths=unconfined"));
    assert_non_null(
        strstr(ask(&h, FACILITY_CLONE3, FACILITY_MISSING, ENOSYS).lines[0], "seccomp=unconfined"));
    r = ask(&h, FACILITY_PROC_MOUNT, FACILITY_MISSING, EPERM);
    assert_non_null(strstr(r.lines[0], "systempaths=unconfined"));
    assert_non_null(strstr(r.lines[1], "--prefer proc"));
    assert_non_null(strstr(ask(&h, FACILITY_CGROUP, FACILITY_DEGRADED, 0).lines[0], "--cgroupns=private"));
    h.container = CONTAINER_PODMAN;
    assert_non_null(strstr(ask(&h, FACILITY_PROC_MOUNT, FACILITY_MISSING, EPERM).lines[0], "unmask=ALL"));
}

static void delegation(void **state)
{
    struct host_facts h = plain();
    char text[1024];
    struct sbuf b = SBUF(text);
    (void)state;
    h.unified = h.systemd = true;
    h.delegated = LEAF_HAS_MEMORY | LEAF_HAS_PIDS;
    struct remedy r = ask(&h, FACILITY_CGROUP, FACILITY_DEGRADED, 0);
    assert_non_null(strstr(r.lines[0], "systemd-run --user --scope -p Delegate=yes"));
    assert_int_equal(r.fixes[0].kind, FIX_DELEGATE);
    fix_commands(&r.fixes[0], &h, &b);
    assert_string_equal(text,
                        "mkdir -p /etc/systemd/system/user@.service.d\n"
                        "printf '%s\\n' '[Service]' 'Delegate=cpu memory pids' "
                        ">/etc/systemd/system/user@.service.d/delegate.conf\nsystemctl daemon-reload\n");
    h.delegated |= LEAF_HAS_CPU;
    assert_int_equal(ask(&h, FACILITY_CGROUP, FACILITY_DEGRADED, 0).fix_count, 0);
}

static void chroots(void **state)
{
    struct host_facts h = plain();
    (void)state;
    h.uid = 0;
    h.admin = true;
    assert_non_null(strstr(ask(&h, FACILITY_USERNS, FACILITY_MISSING, EPERM).lines[0], "chroot"));
}

static void consequences(void **state)
{
    struct facility_answer a[FACILITY_COUNT] = {0};
    (void)state;
    assert_int_equal(remedy_cause(a, FACILITY_NS_NET), FACILITY_NS_NET);
    a[FACILITY_USERNS].state = FACILITY_MISSING;
    assert_int_equal(remedy_cause(a, FACILITY_NS_NET), FACILITY_USERNS);
    assert_int_equal(remedy_cause(a, FACILITY_USERNS), FACILITY_USERNS);
    assert_int_equal(remedy_cause(a, FACILITY_SECCOMP), FACILITY_SECCOMP);
    /* No circle: following causes ends. */
    for (int i = 0; i < FACILITY_COUNT; i++)
        a[i].state = FACILITY_MISSING;
    for (int i = 0; i < FACILITY_COUNT; i++) {
        int at = i, steps = 0;
        while ((int)remedy_cause(a, (enum facility)at) != at && steps++ < FACILITY_COUNT)
            at = (int)remedy_cause(a, (enum facility)at);
        assert_true(steps < FACILITY_COUNT);
    }
}

static void release_files(void **state)
{
    struct host_facts h = {0};
    (void)state;
    facts_parse_release("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n", &h);
    assert_string_equal(h.distro, "debian");
    assert_string_equal(h.distro_name, "Debian GNU/Linux 12 (bookworm)");
    h = (struct host_facts){0};
    facts_parse_release("ID_LIKE=x\nID='a'", &h);
    assert_string_equal(h.distro, "a");
    facts_parse_release("", &h);
    facts_parse_release("ID=\nPRETTY_NAME=\"\n\n\n", &h);
    assert_string_equal(h.distro, "");
    assert_string_equal(h.distro_name, "\"");
    facts_parse_release("ID=0123456789012345678901234567890123456789", &h);
    assert_int_equal(strlen(h.distro), sizeof h.distro - 1);
}

static void kernels(void **state)
{
    (void)state;
    assert_int_equal(facts_parse_kernel("6.1.0-13-amd64"), 6001);
    assert_int_equal(facts_parse_kernel("5.10"), 5010);
    assert_int_equal(facts_parse_kernel("6.18.44-x"), 6018);
    static const char *const odd[] = {"", "6", "x.1", "6.", "6.x", "99999.1", "6.99999", "-1.2"};
    for (size_t i = 0; i < COUNT(odd); i++)
        assert_int_equal(facts_parse_kernel(odd[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_mend), cmocka_unit_test(always_a_word), cmocka_unit_test(old_debian),
        cmocka_unit_test(ubuntu),          cmocka_unit_test(too_few),       cmocka_unit_test(containers),
        cmocka_unit_test(delegation),      cmocka_unit_test(chroots),       cmocka_unit_test(consequences),
        cmocka_unit_test(release_files),   cmocka_unit_test(kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
