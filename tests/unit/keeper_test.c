/* keeper_test: names of programs and reapers. */
#include "engine/keeper.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct keeper k;

static int fresh(void **state)
{
    (void)state;
    memset(&k, 0, sizeof k);
    k.reaper.orders = -1;
    return 0;
}

static void names_begin_with_one_and_count(void **state)
{
    (void)state;
    assert_int_equal(keeper_next_handle(&k), 1);
    assert_int_equal(keeper_next_handle(&k), 2);
    assert_int_equal(keeper_next_reaper(&k), 1);
}

static void names_stay_what_a_frame_can_carry(void **state)
{
    (void)state;
    k.handles = k.reapers = INT32_MAX - 1;
    assert_int_equal(keeper_next_handle(&k), INT32_MAX);
    assert_int_equal(keeper_next_handle(&k), 1);
    assert_int_equal(keeper_next_reaper(&k), INT32_MAX);
    assert_int_equal(keeper_next_reaper(&k), 1);
}

static void names_that_are_there_are_not_given_again(void **state)
{
    (void)state;
    k.handles = k.reapers = INT32_MAX;
    k.execs[3].state = KEEPER_RUNS;
    k.execs[3].handle = 1;
    k.execs[3].reaper = 1;
    k.execs[4].state = KEEPER_ENDED; /* its end was not asked for yet */
    k.execs[4].handle = 2;
    k.execs[4].reaper = 2;
    k.execs[5].handle = 4; /* a free row */
    k.jobs[JOBS_MAX - 1].handle = 3;
    k.reaper.orders = 9;
    k.reaper.number = 3;
    assert_int_equal(keeper_next_handle(&k), 4);
    assert_int_equal(keeper_next_reaper(&k), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(names_begin_with_one_and_count, fresh),
        cmocka_unit_test_setup(names_stay_what_a_frame_can_carry, fresh),
        cmocka_unit_test_setup(names_that_are_there_are_not_given_again, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
