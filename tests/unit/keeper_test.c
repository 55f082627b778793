/* keeper_test: names of programs and reapers; which reaper gets the next program. */
#include "engine/inner.h"
#include "sys/fd.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

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

/* A room of which we are pid 1 (at *ret_ctl) and the reaper 1 (at *ret_orders), which runs the program 5. */
static struct room *room_with_one(int *ret_ctl, int *ret_orders)
{
    static struct room r;
    int ctl[2], orders[2];

    memset(&r, 0, sizeof r);
    assert_int_equal(fd_frame_pair(ctl), 0);
    assert_int_equal(fd_frame_pair(orders), 0);
    r.ctl = ctl[0];
    r.keeper.reapers = 1;
    r.keeper.reaper = (struct keeper_reaper){.orders = orders[0], .number = 1, .handle = 5};
    r.keeper.execs[0] = (struct keeper_exec){.state = KEEPER_RUNS, .handle = 5, .reaper = 1, .pid = 3};
    *ret_ctl = ctl[1];
    *ret_orders = orders[1];
    return &r;
}

/* What pid 1 is told; closes what came with it. */
static struct command told(int ctl)
{
    struct command c = {.type = 0};
    int fd = -1;
    assert_true(fd_frame_recv(ctl, &c, sizeof c, &fd, 1, MSG_DONTWAIT) >= 0);
    fd_close(&fd);
    return c;
}

static void one_that_has_nothing_left_gets_the_next_program(void **state)
{
    (void)state;
    int ctl, orders;
    static char *words[] = {NULL};
    struct room *r = room_with_one(&ctl, &orders);
    const struct command c = {.type = COMMAND_EXEC, .handle = 6};
    struct command got;
    uint32_t number = 0;

    execs_report(r, &(struct report){.type = REPORT_EXEC_LEFT, .handle = 5}, NULL, 0);
    assert_int_equal(reapers_next_ms(r), 0); /* a room without a program of its own keeps it */
    assert_int_equal(reapers_order(r, &c, NULL, 0, &number), 0);
    assert_int_equal(number, 1);
    assert_int_equal(fd_frame_recv(orders, &got, sizeof got, NULL, 0, MSG_DONTWAIT), 0);
    assert_int_equal(got.handle, 6);
    r->plan.argv = words;
    reapers_free(r, 6);
    assert_true(reapers_next_ms(r) > 0); /* any other one for a moment */
    reapers_tick(r, UINT64_MAX);
    assert_int_equal(fd_frame_recv(orders, &got, sizeof got, NULL, 0, MSG_DONTWAIT), -EPIPE);
    fd_close(&r->ctl);
    fd_close(&ctl);
    fd_close(&orders);
}

static void one_that_is_being_ended_gets_none(void **state)
{
    (void)state;
    int ctl, orders;
    struct room *r = room_with_one(&ctl, &orders);
    const struct command c = {.type = COMMAND_EXEC, .handle = 6};
    struct command got;
    uint32_t number = 0;

    r->keeper.execs[0].deadline_ms = 1;
    execs_tick(r, 2);
    got = told(ctl);
    assert_int_equal(got.type, COMMAND_EXEC_SIGNAL);
    assert_int_equal(got.group, 2);
    /* Nothing is left of its program, but pid 1 still looks for what descends from it. */
    execs_report(r, &(struct report){.type = REPORT_EXEC_LEFT, .handle = 5}, NULL, 0);
    assert_int_equal(reapers_order(r, &c, NULL, 0, &number), 0);
    assert_int_equal(number, 2);
    assert_int_equal(told(ctl).type, COMMAND_REAPER);
    assert_int_equal(fd_frame_recv(orders, &got, sizeof got, NULL, 0, MSG_DONTWAIT), -EPIPE);
    reapers_close(&r->keeper);
    fd_close(&r->ctl);
    fd_close(&ctl);
    fd_close(&orders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(names_begin_with_one_and_count, fresh),
        cmocka_unit_test_setup(names_stay_what_a_frame_can_carry, fresh),
        cmocka_unit_test_setup(names_that_are_there_are_not_given_again, fresh),
        cmocka_unit_test(one_that_has_nothing_left_gets_the_next_program),
        cmocka_unit_test(one_that_is_being_ended_gets_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
