/* wall_test: the table of the selftest's probes, and the lines in which verdicts come out of a room.
 *
 * Lives in: a test program. The probes themselves are tried by tests/system/selftest. */
#include "engine/selftest.h"
#include "probe/wall.h"
#include "unit.h"
#include <string.h>

static void every_layer_has_a_probe(void **state)
{
    (void)state;
    for (int layer = 0; layer < LAYER_ID_COUNT; layer++) {
        unsigned harmless = 0;
        if (layer == LAYER_ID_GATE || layer == LAYER_ID_WORKSPACE)
            continue; /* only in rooms that have one: tests/gate and tests/workspace make them */
        for (size_t i = 0; i < wall_count; i++)
            harmless += (int)wall_rows[i].layer == layer && wall_rows[i].set != WALL_ATTACK;
        if (!harmless)
            fail_msg("the layer %s has no probe", layer_rows[layer].name);
    }
}

static void names(void **state)
{
    (void)state;
    assert_in_range(wall_count, 50, SELFTEST_MAX);
    for (size_t i = 0; i < wall_count; i++) {
        const char *name = wall_rows[i].name;
        assert_in_range(strlen(name), 4, 17);
        assert_ptr_equal(wall_find(name, strlen(name)), &wall_rows[i]); /* so no two have one name */
        assert_non_null(wall_severity_name(wall_rows[i].severity));
    }
    assert_null(wall_find("", 0));
    assert_null(wall_find("user.ow", 7));
    assert_null(wall_find("user.own ", 9));
}

static const struct wall_row *parse(const char *line, struct wall_verdict *v)
{
    return wall_parse_line(line, strlen(line), v);
}

static void lines(void **state)
{
    struct wall_verdict v;
    (void)state;
    const struct wall_row *row = parse("HELD\tuser.own\tan own one", &v);
    assert_string_equal(row->name, "user.own");
    assert_int_equal(v.state, WALL_HELD);
    assert_string_equal(v.detail, "an own one");
    row = parse("BROKE\tnet.route\t", &v);
    assert_string_equal(row->name, "net.route");
    assert_int_equal(v.state, WALL_BROKE);
    assert_string_equal(v.detail, "");
    assert_non_null(parse("SKIP\tuser.own\ta\tb", &v));
    assert_string_equal(v.detail, "a\tb");
}

static void odd_lines(void **state)
{
    static const char *const odd[] = {"",
                                      "\t",
                                      "\t\t",
                                      "HELD",
                                      "HELD\tuser.own",
                                      "HELD user.own x",
                                      "held\tuser.own\tx",
                                      "HELD\tnobody\tx",
                                      "HEL\tuser.own\tx",
                                      "HELDX\tuser.own\tx",
                                      " HELD\tuser.own\tx",
                                      "HELD\t\tuser.own\tx"};
    static char longest[4096];
    struct wall_verdict v = {.state = WALL_BROKE};
    (void)state;
    for (size_t i = 0; i < COUNT(odd); i++)
        assert_null(parse(odd[i], &v));
    assert_int_equal(v.state, WALL_BROKE); /* untouched */
    memset(longest, 'x', sizeof longest - 1);
    memcpy(longest, "HELD\tuser.own\t", 14);
    assert_non_null(parse(longest, &v));
    assert_in_range(strlen(v.detail), 100, sizeof v.detail - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_has_a_probe),
        cmocka_unit_test(names),
        cmocka_unit_test(lines),
        cmocka_unit_test(odd_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
