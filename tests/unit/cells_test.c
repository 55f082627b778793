/* cells_test: what goes to an interpreter has its form, and what comes back is believed only where it has.
 *
 * Lives in: a test program. May: compute. */
#include "runtimes/cells.h"
#include "runtimes/runtimes.h"
#include "unit.h"

#include <errno.h>
#include <string.h>

static void heads_for_it_have_one_form(void **state)
{
    char head[CELLS_ASK_SIZE + 1] = "";
    (void)state;
    cells_ask(head, 't', 0x12ab, CELLS_CODE_MAX);
    assert_string_equal(head, "__t 000012ab 00100000\n");
}

static void heads_of_its_are_checked(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint32_t number, size;
    } rows[] = {
        {"G 00000001 00000000\n", 0, 1, 0},
        {"V ffffffff 00400000\n", 0, 0xffffffff, CELLS_VALUE_MAX},
        {"D 00000001 00002000\n", 0, 1, CELLS_NOTE_MAX},
        {"V 00000001 00400001\n", -EBADMSG, 0, 0},
        {"D 00000001 00002001\n", -EBADMSG, 0, 0},
        {"O 00000001 00002001\n", -EBADMSG, 0, 0},
        {"G 00000001 00000001\n", -EBADMSG, 0, 0},
        {"X 00000001 00000000\n", -EBADMSG, 0, 0},
        {"G 0000000A 00000000\n", -EBADMSG, 0, 0},
        {"G 0000000g 00000000\n", -EBADMSG, 0, 0},
        {"G 00000001 0000000\n\n", -EBADMSG, 0, 0},
        {"G_00000001 00000000\n", -EBADMSG, 0, 0},
        {"G 00000001_00000000\n", -EBADMSG, 0, 0},
        {"G 00000001 00000000 ", -EBADMSG, 0, 0},
        {"G 0000000\0 00000000\n", -EBADMSG, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cells_head h;
        assert_int_equal(cells_head(rows[i].text, &h), rows[i].r);
        if (rows[i].r == 0) {
            assert_int_equal(h.kind, rows[i].text[0]);
            assert_int_equal(h.number, rows[i].number);
            assert_int_equal(h.size, rows[i].size);
        }
    }
}

static void values_are_checked(void **state)
{
    static const struct {
        char kind;
        const char *data;
        int r;
        const char *type;
        size_t size;
    } rows[] = {
        {'V', "text/plain\nab", 0, "text/plain", 2},
        {'V', "image/svg+xml\n", 0, "image/svg+xml", 0},
        {'O', "image/png\n123", 0, "image/png", 123},
        {'V', "text/plain", -EBADMSG, "", 0},
        {'V', "\n", -EBADMSG, "", 0},
        {'V', "", -EBADMSG, "", 0},
        {'V', "text\nx", -EBADMSG, "", 0},
        {'V', "text/\"\nx", -EBADMSG, "", 0},
        {'V', "Text/plain\nx", -EBADMSG, "", 0},
        {'V', "a/234567890123456789012345678901234567890123456789012345678901234\nx", -EBADMSG, "", 0},
        {'O', "image/png\n", -EBADMSG, "", 0},
        {'O', "image/png\n-1", -EBADMSG, "", 0},
        {'O', "image/png\n1234567890123456", -EBADMSG, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cells_value v;
        assert_int_equal(cells_value(rows[i].kind, rows[i].data, strlen(rows[i].data), &v), rows[i].r);
        if (rows[i].r == 0) {
            assert_string_equal(v.type, rows[i].type);
            assert_int_equal(v.size, rows[i].size);
        }
    }
}

static void ends_are_checked(void **state)
{
    struct cells_done d;
    (void)state;
    assert_int_equal(cells_done("000\n", 4, &d), 0);
    assert_int_equal(d.status, 0);
    assert_int_equal(d.name_len + d.text_len, 0);
    assert_int_equal(cells_done("255\nE\na\nb", 9, &d), 0);
    assert_int_equal(d.status, 255);
    assert_memory_equal(d.name, "E", d.name_len);
    assert_int_equal(d.text_len, 3);
    assert_memory_equal(d.text, "a\nb", 3);
    assert_int_equal(cells_done("001\nE", 5, &d), 0);
    assert_int_equal(d.name_len, 1);
    assert_int_equal(d.text_len, 0);
    static const char *const bad[] = {"", "000", "256\n", "0x0\n", "0000", "-01\n"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(cells_done(bad[i], strlen(bad[i]), &d), -EBADMSG);
}

static void languages_have_their_interpreters(void **state)
{
    (void)state;
    assert_int_equal(language_find("typescript")->runtime, RUNTIME_JAVASCRIPT);
    assert_null(language_find("cobol"));
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        const struct runtime *r = runtime_find(runtimes[i].name);
        size_t n = 0;
        assert_ptr_equal(r, &runtimes[i]);
        while (n <= RUNTIMES_ARGS_MAX && r->args[n])
            n++;
        assert_in_range(n, 3, RUNTIMES_ARGS_MAX);
        assert_true(strlen(r->args[n - 1]) < 128 * 1024); /* Linux takes no longer argument */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_for_it_have_one_form),
        cmocka_unit_test(heads_of_its_are_checked),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(ends_are_checked),
        cmocka_unit_test(languages_have_their_interpreters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
