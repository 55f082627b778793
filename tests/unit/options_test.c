/* options_test: argv → policy, option by option. */
#include "cli/options.h"
#include "policy/fields.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct run_options o;
static struct err e;

/* Parses the words, NULL-terminated, after the verb. */
static int parse(char *first, ...)
{
    static char *argv[64];
    int argc = 1;
    va_list ap;

    argv[0] = (char[]){"run"};
    va_start(ap, first);
    for (char *s = first; s && argc < 63; s = va_arg(ap, char *))
        argv[argc++] = s;
    va_end(ap);
    argv[argc] = NULL;
    memset(&e, 0, sizeof e);
    return options_parse(argc, argv, &o, &e);
}
#define W(s) ((char[]){s})

static void good(int r)
{
    if (r != 0)
        fail_msg("%s (%s)", e.text, e.hint);
}

#define BAD(text_, hint_, ...)                                                                               \
    do {                                                                                                     \
        assert_true(parse(__VA_ARGS__, NULL) < 0);                                                           \
        assert_string_equal(e.text, text_);                                                                  \
        if (*hint_)                                                                                          \
            assert_string_equal(e.hint, hint_);                                                              \
        assert_int_equal(e.kind, ERR_USAGE);                                                                 \
    } while (0)

static void the_command_starts_at_the_first_other_word(void **state)
{
    (void)state;
    good(parse(W("-m512M"), W("python3"), W("-m"), W("http.server"), NULL));
    assert_string_equal(o.command[0], "python3");
    assert_string_equal(o.command[1], "-m");
    assert_string_equal(o.command[2], "http.server");
    assert_null(o.command[3]);
    assert_int_equal(o.policy->limits[LIMIT_ID_MEMORY], 512u << 20);
    options_free(&o);

    good(parse(W("--"), W("--weird"), NULL));
    assert_string_equal(o.command[0], "--weird");
    options_free(&o);

    good(parse(W("-"), NULL));
    assert_string_equal(o.command[0], "-");
    options_free(&o);
}

static void values_are_taken_in_every_habit(void **state)
{
    (void)state;
    char *forms[][2] = {{W("-m64M"), NULL},
                        {W("-m"), W("64M")},
                        {W("-m=64M"), NULL},
                        {W("--memory=64M"), NULL},
                        {W("--memory"), W("64M")}};
    for (size_t i = 0; i < 5; i++) {
        good(forms[i][1] ? parse(forms[i][0], forms[i][1], W("true"), NULL)
                         : parse(forms[i][0], W("true"), NULL));
        assert_int_equal(o.policy->limits[LIMIT_ID_MEMORY], 64u << 20);
        assert_int_equal(o.policy->limit_demand[LIMIT_ID_MEMORY], LAYER_REQUIRE);
        options_free(&o);
    }
}

static void flags_bundle(void **state)
{
    (void)state;
    good(parse(W("-itq"), W("-itm64M"), W("sh"), NULL));
    assert_int_equal(o.policy->tty, TTY_YES);
    assert_true(o.policy->interactive);
    assert_true(o.quiet);
    assert_int_equal(o.policy->limits[LIMIT_ID_MEMORY], 64u << 20);
    options_free(&o);

    good(parse(W("--tty"), W("--tty=false"), W("sh"), NULL));
    assert_int_equal(o.policy->tty, TTY_NO);
    options_free(&o);
}

static void the_last_of_two_wins(void **state)
{
    (void)state;
    good(parse(W("-m64M"), W("--memory"), W("128M"), W("--net=host"), W("--net=none"), W("sh"), NULL));
    assert_int_equal(o.policy->limits[LIMIT_ID_MEMORY], 128u << 20);
    assert_int_equal(o.policy->net, NET_NONE);
    options_free(&o);
}

static void own_options_are_noted(void **state)
{
    (void)state;
    good(parse(W("--json"), W("--dry-run"), W("--explain"), W("--trace-steps"), W("--result"), W("/tmp/x"),
               W("--result-fd=7"), W("sh"), NULL));
    assert_true(o.json && o.dry_run && o.explain && o.trace_steps && !o.quiet);
    assert_string_equal(o.result_path, "/tmp/x");
    assert_int_equal(o.result_fd, 7);
    options_free(&o);

    good(parse(W("--help"), NULL));
    assert_true(o.help);
    assert_null(o.policy);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    BAD("unknown option --memroy", "did you mean --memory?", W("--memroy=1G"), W("sh"));
    BAD("unknown option --mem", "did you mean --memory?", W("--mem=1G"), W("sh"));
    BAD("unknown option --drry-run", "did you mean --dry-run?", W("--drry-run"), W("sh"));
    BAD("unknown option -Z", "strongroom run --help lists all options", W("-iZ"), W("sh"));
    BAD("unknown option --", "", W("--=x"), W("sh"));
    BAD("--json: takes no value", "wanted just --json", W("--json=yes"), W("sh"));
    BAD("--memory: needs a value", "wanted --memory SIZE", W("--memory"));
    BAD("--memory: needs a value", "wanted --memory SIZE", W("-m"));
    BAD("run: no command given", "strongroom run [options] -- COMMAND [ARG...]", W("-m64M"));
    BAD("run: no command given", "", W("--"));
    BAD("run: the command is empty", "", W(""));
    BAD("--result-fd: \"0\": not a descriptor", "", W("--result-fd=0"), W("sh"));
    BAD("--result-fd: \"-1\": not a descriptor", "", W("--result-fd"), W("-1"), W("sh"));
    BAD("--result: empty value", "", W("--result="), W("sh"));
    BAD("--policy: empty value", "", W("--policy="), W("sh"));
    BAD("--tty: \"maybe\": neither yes nor no", "wanted true or false", W("--tty=maybe"), W("sh"));
}

static void every_option_refuses_what_it_cannot_take(void **state)
{
    static const char *const values[] = {"",        "-1", "\xff\xfe", "99999999999999999999999999",
                                         "\x1b[2J", ":",  ",",        "="};
    char *huge = malloc(300000);
    struct option_view v;

    (void)state;
    memset(huge, '7', 299999);
    huge[299999] = '\0';
    for (size_t i = 0; options_view(i, &v); i++) {
        if (!v.arg || !field_find(v.name))
            continue;
        for (size_t k = 0; k <= sizeof values / sizeof *values; k++) {
            const char *value = k < sizeof values / sizeof *values ? values[k] : huge;
            size_t size = strlen(value) + 64;
            char *word = malloc(size);
            snprintf(word, size, "--%s=%s", v.name, value);
            int r = parse(word, W("sh"), NULL);
            free(word);
            if (r == 0) {
                /* a variable may have such a name, and digits are a name */
                bool digits = k == 3 && (strcmp(v.name, "hostname") == 0 || strcmp(v.name, "name") == 0);
                bool path = field_find(v.name)->flags & FIELD_BARE; /* as a path may */
                assert_true(digits || path ||
                            (strcmp(v.name, "env") == 0 && (k == 1 || k == 3 || k == 5 || k == 6)));
                options_free(&o);
                continue;
            }
            assert_true(e.text[0] && e.kind != ERR_NONE && e.kind != ERR_INTERNAL);
            assert_null(strpbrk(e.text, "\n\x1b\xff"));
            assert_non_null(strstr(e.text, v.name));
        }
    }
    free(huge);
}

static void every_row_is_fit_for_its_readers(void **state)
{
    struct option_view v, w;

    (void)state;
    for (size_t i = 0; options_view(i, &v); i++) {
        assert_true(strlen(v.help) <= 50);
        assert_non_null(v.group);
        for (size_t j = 0; options_view(j, &w); j++) {
            if (i == j)
                continue;
            assert_string_not_equal(v.name, w.name);
            assert_true(!v.alias || strcmp(v.alias, w.name) != 0);
            assert_true(!v.letter || (v.letter != w.letter && v.letter != w.letter2));
        }
    }
}

static void help_fits_the_terminal(void **state)
{
    static char text[1 << 16];
    struct sbuf b = SBUF(text);
    struct option_view v;

    (void)state;
    options_help(&b);
    assert_false(b.full);
    for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        assert_true(strcspn(line, "\n") <= 80);
    for (size_t i = 0; options_view(i, &v); i++) {
        char word[64];
        snprintf(word, sizeof word, " --%s", v.name);
        assert_non_null(strstr(text, word));
        assert_non_null(strstr(text, v.help));
    }
}

static void manual_and_completion_know_every_option(void **state)
{
    static const char *const verbs[] = {"run", "doctor"};
    static char man[1 << 16], bash[1 << 16];
    struct sbuf m = SBUF(man), c = SBUF(bash);
    struct option_view v;
    unsigned rows = 0;

    (void)state;
    options_man(&m);
    options_completion_bash(verbs, 2, &c);
    assert_false(m.full || c.full);
    for (size_t i = 0; options_view(i, &v); i++) {
        char word[64];
        snprintf(word, sizeof word, "--%s", v.name);
        assert_non_null(strstr(bash, word));
    }
    for (char *at = man; (at = strstr(at, ".TP\n")); at += 4)
        rows++;
    for (size_t i = 0; options_view(i, &v); i++)
        rows--;
    assert_int_equal(rows, 0);
    assert_non_null(strstr(bash, "'run doctor'"));
}

static void relative_volumes_start_here(void **state)
{
    char here[4096], there[4200];

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    good(parse(W("-v./src:/data:rw"), W("--ro"), W("."), W("-v"), W("../up:/up"), W("sh"), NULL));
    assert_int_equal(o.policy->mount_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct policy_mount *m = &o.policy->mounts[i];
        if (strcmp(m->dst, "/data") == 0) {
            snprintf(there, sizeof there, "%s/src", here);
            assert_int_equal(m->kind, MOUNT_RW);
        } else if (strcmp(m->dst, "/up") == 0) {
            snprintf(there, sizeof there, "%s/../up", here);
        } else {
            snprintf(there, sizeof there, "%s", here);
            assert_string_equal(m->dst, here);
        }
        assert_string_equal(m->src, there);
    }
    options_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_starts_at_the_first_other_word),
        cmocka_unit_test(values_are_taken_in_every_habit),
        cmocka_unit_test(flags_bundle),
        cmocka_unit_test(the_last_of_two_wins),
        cmocka_unit_test(own_options_are_noted),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(every_option_refuses_what_it_cannot_take),
        cmocka_unit_test(every_row_is_fit_for_its_readers),
        cmocka_unit_test(help_fits_the_terminal),
        cmocka_unit_test(manual_and_completion_know_every_option),
        cmocka_unit_test(relative_volumes_start_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
