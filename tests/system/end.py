"""end: whatever happens, within two seconds nothing of a room is left: no process, no cgroup, no mount, no file."""
import os
import signal
import subprocess
import time

import room
from room import Traces, ended, python, same, sh, test

GONE_S = 2


def clean_after(action, traces, word):
    began = time.monotonic()
    action()
    traces.clean(word, GONE_S)
    return time.monotonic() - began


# A daemon as stubborn as they come, with the token in its argv.
STUBBORN = '''
import os, signal, sys, time
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
if os.fork(): time.sleep(float(sys.argv[2])); os._exit(int(sys.argv[3]))
os.setsid()
if os.fork(): os._exit(0)
print("daemon", flush=True)
while 1:
    try: time.sleep(100)
    except BaseException: pass
'''


def stubborn(word, seconds, status, options=(), **more):
    return room.start(options, [room.PYTHON, '-IS', '-c', STUBBORN, word, str(seconds), str(status)], **more)


# --- at the program's own end -----------------------------------------------------------------------------------------

@test
def a_double_forked_daemon_dies_with_the_program():
    word, traces = room.token(), Traces()
    p = stubborn(word, 0.2, 3)
    same(room.read_line(p), 'daemon')
    r = ended(room.finish(p), 'exited', 3)
    assert r.seconds < room.patience(2)
    same(room.holding(word), [], 'processes left when the command returned')
    traces.clean(word)


@test
def stopped_tasks_die_too():
    word, traces = room.token(), Traces()
    r = ended(sh('(kill -STOP $(exec sh -c "echo \\$PPID")) & sleep 0.2; sleep 100 & kill -STOP $!; exit 0', word), 'exited', 0)
    same(room.holding(word), [])
    traces.clean(word)


@test
def a_program_that_stops_itself_ends_by_timeout():
    word, traces = room.token(), Traces()
    ended(sh('kill -STOP $$', word, options=['--timeout', '300ms']), 'timeout', 124)
    traces.clean(word)


@test
def hundreds_of_processes_die_at_once():
    word, traces = room.token(), Traces()
    r = ended(sh('i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; exit 4', word), 'exited', 4)
    same(room.holding(word), [])
    traces.clean(word)
    assert r.record['teardown']['us'] < room.patience(2000000), r.record['teardown']


# --- at the caller's wish ---------------------------------------------------------------------------------------------

@test
def ctrl_c_ends_an_ordinary_program():
    word, traces = room.token(), Traces()
    p = room.start([], ['/bin/sh', '-c', 'echo ready; exec sleep 100', word])
    room.read_line(p)
    os.killpg(p.pid, signal.SIGINT)
    r = ended(room.finish(p), 'signalled', 128 + signal.SIGINT)
    assert r.seconds < room.patience(2)
    traces.clean(word)


@test
def ctrl_c_can_be_answered_by_the_program():
    p = room.start([], ['/bin/sh', '-c', 'trap "echo bye; exit 7" INT; echo ready; while :; do sleep 0.05; done'])
    room.read_line(p)
    p.send_signal(signal.SIGINT)
    r = ended(room.finish(p), 'exited', 7)
    same(r.out, b'bye\n')


@test
def a_second_ctrl_c_ends_what_ignores_the_first():
    word, traces = room.token(), Traces()
    p = stubborn(word, 100, 0)
    room.read_line(p)
    p.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert p.poll() is None, 'the first one was the program\'s to answer'
    p.send_signal(signal.SIGINT)
    r = ended(room.finish(p), 'interrupted', 137)
    traces.clean(word)


@test
def term_hup_and_quit_end_what_ignores_them_after_a_moment():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        word, traces = room.token(), Traces()
        p = stubborn(word, 100, 0)
        room.read_line(p)
        began = time.monotonic()
        p.send_signal(number)
        ended(room.finish(p), 'interrupted', 137)
        assert 0.5 < time.monotonic() - began < room.patience(3), time.monotonic() - began
        traces.clean(word)


@test
def an_ignored_hangup_stays_ignored():
    p = room.start([], ['/bin/sh', '-c', 'echo ready; sleep 0.5; exit 9'], preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    room.read_line(p)
    p.send_signal(signal.SIGHUP)
    ended(room.finish(p), 'exited', 9)


@test
def term_lets_the_program_end_in_its_own_way():
    p = room.start([], ['/bin/sh', '-c', 'trap "exit 12" TERM; echo ready; while :; do sleep 0.05; done'])
    room.read_line(p)
    p.send_signal(signal.SIGTERM)
    ended(room.finish(p), 'exited', 12)


@test
def a_signal_before_the_program_runs_ends_the_room():
    for delay in (0, 0.001, 0.003):
        word, traces = room.token(), Traces()
        p = room.start([], ['/bin/sleep', '100', word][:2])
        time.sleep(delay)
        p.send_signal(signal.SIGTERM)
        try:
            r = room.finish(p)
        except ValueError:
            continue  # it died of the signal before it could write a result
        assert r.status in (125, 137, 143, -signal.SIGTERM), r
        traces.clean()


@test
def stop_and_continue_take_the_room_along():
    p = room.start([], ['/bin/sh', '-c', 'echo ready; i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done'],
                   start_new_session=False, process_group=0)  # an orphaned group would not stop
    room.read_line(p)
    p.send_signal(signal.SIGTSTP)
    room.within(3, lambda: state(p.pid) != 'T', 'not stopped')
    one = room.pid_one(p.pid)
    inside = next(iter(room.children(one)))
    # D: it waits in vfork for a child that is stopped.
    room.within(3, lambda: state(inside) not in 'TD', 'the program goes on')
    p.send_signal(signal.SIGCONT)
    room.within(3, lambda: state(inside) in 'TD', 'the program stays stopped')
    p.send_signal(signal.SIGTERM)
    ended(room.finish(p), 'signalled', 143)


def state(pid):
    with open('/proc/%d/stat' % pid) as f:
        return f.read().rpartition(')')[2].split()[0]


# --- when somebody is killed ------------------------------------------------------------------------------------------

@test
def a_killed_supervisor_leaves_nothing():
    word, traces = room.token(), Traces()
    p = stubborn(word, 100, 0, record=False)
    room.read_line(p)
    seconds = clean_after(p.kill, traces, word)
    p.wait()
    p.stdout.close(), p.stderr.close()
    assert seconds < room.patience(GONE_S), seconds


@test
def a_killed_supervisor_of_a_full_room_leaves_nothing():
    word, traces = room.token(), Traces()
    p = room.start([], ['/bin/sh', '-c', 'i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; kill -STOP $!; '
                        'head -c 50000000 /dev/zero >/work/x; echo ready; while :; do :; done', word], record=False)
    room.read_line(p)
    clean_after(p.kill, traces, word)
    p.wait()
    p.stdout.close(), p.stderr.close()


@test
def a_killed_undertaker_is_no_loss():
    if not room.has_cgroup():
        raise room.Skip('no cgroup, hence no undertaker, for this user')
    word, traces = room.token(), Traces()
    p = stubborn(word, 1, 6)
    room.read_line(p)
    room.within(0.5, lambda: not room.undertaker(p.pid), 'no undertaker')
    os.kill(room.undertaker(p.pid), signal.SIGKILL)
    ended(room.finish(p), 'exited', 6)
    traces.clean(word)


@test
def a_killed_pid_1_is_a_lost_room():
    word, traces = room.token(), Traces()
    p = stubborn(word, 100, 0)
    room.read_line(p)
    os.kill(room.pid_one(p.pid), signal.SIGKILL)
    r = ended(room.finish(p), 'lost', 125)
    assert b'without a report' in r.err, r
    traces.clean(word)


@test
def a_stopped_supervisor_does_not_stop_pid_1():
    """The room ends by itself when its program does, and is collected once the supervisor goes on."""
    word, traces = room.token(), Traces()
    p = stubborn(word, 0.3, 8)
    room.read_line(p)
    p.send_signal(signal.SIGSTOP)
    room.within(3, lambda: [h for h in room.holding(word) if h[0] != p.pid and h[1] not in ('strongroom', 'strongroom-end')], 'processes left')
    p.send_signal(signal.SIGCONT)
    ended(room.finish(p), 'exited', 8)
    traces.clean(word)


# --- many -------------------------------------------------------------------------------------------------------------

@test
def fifty_rooms_at_once():
    word, traces = room.token(), Traces()
    n = 12 if room.EMULATED else 50
    # The end of stdin is what they wait for, so that all live at once.
    rooms = [room.start(['--pids', '16'], ['/bin/sh', '-c', 'echo up; read x; exit %d' % i, word], stdin=subprocess.PIPE) for i in range(n)]
    for p in rooms:
        same(room.read_line(p), 'up')
    uids = set()
    for i, p in enumerate(rooms):
        r = ended(room.finish(p), 'exited', i)
        uids.add(r.record['host_uid'])
    if room.OWNS_UIDS:
        same(len(uids), n, 'host uids')
    traces.clean(word)


@test
def rooms_of_two_process_namespaces_have_two_users():
    """Where process numbers begin anew, they must not decide the host's user."""
    if not room.OWNS_UIDS:
        raise room.Skip('without root the host user is the caller')
    uids = [ended(room.room('/bin/true', before=['unshare', '--pid', '--fork', '--mount-proc']), 'exited', 0).record['host_uid']
            for _ in range(3)]
    same(len(set(uids)), 3, 'host uids')


@test
def two_hundred_rooms_one_after_another():
    traces = Traces()
    began = time.monotonic()
    for i in range(20 if room.EMULATED else 200):
        r = room.room('/bin/true', record=i % 20 == 0)
        same(r.status, 0, str(r))
    assert time.monotonic() - began < room.patience(60)
    traces.clean()


@test
def rooms_within_a_shells_pipeline():
    r = room.outside('/bin/sh', '-c', '"$1" run -- seq 1 1000 | "$1" run -- grep 7 | "$1" run -- wc -l', 'sh', room.PROGRAM)
    same((r.returncode, r.stdout.strip()), (0, b'271'), repr(r))


if __name__ == '__main__':
    room.main()
