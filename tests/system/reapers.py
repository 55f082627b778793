"""reapers: what watches over the programs of rooms that live on: out of their reach, used again, gone when idle."""
import os
import signal
import subprocess
import time

import room
from room import outside, same, test
from rooms import Living, call

PROGRAM = room.PROGRAM


@test
def a_program_cannot_command_what_keeps_it():
    """Its reaper takes signals from pid 1 only, and what a killed reaper leaves is still the room's."""
    word = room.token()
    with Living() as x:
        x.sh('kill -USR1 $PPID; sleep 0.2; exit 5', status=5)
        r = outside(PROGRAM, 'exec', x.name, '--', '/bin/sh', '-c', 'sleep 0.3; kill -KILL $PPID; sleep 100', word)
        same(r.returncode, 128 + signal.SIGKILL, 'it dies with its reaper')
        x.exec('true')
    room.within(2, lambda: room.holding(word), 'processes')


@test
def a_stopped_or_flooded_reaper_changes_nothing():
    word = room.token()
    with Living() as x:
        x.exec('/bin/sh', '-c', 'sleep 0.2; kill -STOP $PPID; (setsid sh -c "sleep 100; :" "$0" &); sleep 100; :', word, options=['--timeout', '600ms'], status=124)
        room.within(3, lambda: room.holding(word), 'processes behind a stopped reaper')
        flood = ('import os, signal, sys, time, ctypes\nsignal.pthread_sigmask(signal.SIG_BLOCK, [40])\n'
                 'libc = ctypes.CDLL(None)\n[libc.sigqueue(os.getpid(), 40, None) for _ in range(2000)]\ntime.sleep(100)')
        x.exec(room.PYTHON, '-IS', '-c', flood, word, options=['--timeout', '900ms'], status=124)
        room.within(3, lambda: room.holding(word), 'processes of one that used up the queue of signals')
        room.within(2, lambda: x.status()['programs'], 'programs')


# Stops what watches over it before that can say that it runs, again and again.
FIGHTER = 'import os, signal, time\nwhile True:\n  for _ in range(200): os.kill(os.getppid(), signal.SIGSTOP)\n  time.sleep(0.001)'


@test
def a_reaper_that_is_stopped_at_once_changes_nothing():
    word = room.token()
    with Living() as x:
        for _ in range(6):
            x.exec('/bin/sh', '-c', 'kill -STOP $PPID; exit 6', status=6)
        for _ in range(3):
            x.exec(room.PYTHON, '-ISc', FIGHTER, word, options=['--timeout', '500ms'], status=124)
        room.within(3, lambda: room.holding(word), 'processes that stopped their reaper')
        for _ in range(3):
            p = subprocess.Popen([PROGRAM, 'exec', x.name, '--', room.PYTHON, '-ISc', FIGHTER, word], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            room.within(5, lambda: not room.holding(word), 'no process')
            time.sleep(0.1)
            p.kill()
            p.wait()
            room.within(3, lambda: room.holding(word), 'processes whose client was killed')
        room.within(2, lambda: x.status()['programs'], 'programs')


@test
def a_reaper_serves_one_program_after_another():
    """Only one that has nothing left to watch over, and for a moment only."""
    word = room.token()
    with Living() as x:
        mine = 'echo $PPID'
        first = x.sh(mine)
        same(x.sh(mine), first, 'the parent of the second program')
        same(x.sh('exit 7; ' + mine, status=7), '', 'output')
        x.exec('/nonexistent', status=127)
        same(x.sh(mine), first, 'the parent behind one that could not be started')
        same(x.sh('(sleep 100 &) ; ' + mine), first, 'the parent of one that leaves something')
        second = x.sh(mine)
        assert second != first, 'a reaper with something left was used again'
        x.exec('/bin/sh', '-c', 'setsid sleep 100; :', word, options=['--timeout', '300ms'], status=124)
        room.within(3, lambda: room.holding(word), 'processes whose time is up')
        third = x.sh(mine)
        assert third != second, 'a reaper was used whose program had been ended with all it had started'
        room.within(5, lambda: x.status()['processes'] - 4, 'processes beside pid 1, the first reaper, its sleep, and the last one')


@test
def one_waits_for_the_first_program():
    """It is there before, and stays; in a room that has a program of its own it comes with the first one and goes again."""
    with Living() as x:
        room.within(2, lambda: reaper_states(x.keeper()) != ['S'], 'reapers but the one that waits')
        first = x.sh('echo $PPID')
        same(x.status()['processes'], 2, 'processes: it was the one that waited')
        time.sleep(2.3)
        same(x.sh('echo $PPID'), first, 'who starts one later')
        x.exec('/bin/sh', '-c', 'sleep 0.3; kill -KILL $PPID; while :; do :; done', status=137)
        room.within(2, lambda: reaper_states(x.keeper()), 'reapers behind one that was killed, before another is wanted')
        x.exec('true')
    with Living('/bin/sleep', '100') as x:
        same(x.status()['processes'], 2, 'processes of a room with a program of its own')
        x.exec('true')
        room.within(5, lambda: x.status()['processes'] - 2, 'processes when the reaper has gone')


@test
def who_kills_the_kept_reaper_gains_nothing():
    kill = ('import os, signal\nfor d in os.listdir("/proc"):\n  if d.isdigit() and int(d) not in (1, os.getpid(), os.getppid()):\n'
            '    try: os.kill(int(d), signal.SIGKILL)\n    except OSError: pass\n')
    with Living() as x:
        for _ in range(5):
            both = [subprocess.Popen([PROGRAM, 'exec', x.name, '--', 'sleep', '0.05'], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)]
            for p in both:
                p.wait(room.HANG)
            outside(PROGRAM, 'exec', x.name, '--', room.PYTHON, '-ISc', kill)
            same(x.sh('echo $((6 * 7))'), '42\n', 'a program behind it')
        room.within(2, lambda: x.status()['programs'], 'programs')


@test
def paused_reapers_rest_too():
    with Living() as x:
        x.exec('sleep', '100', options=['-d'])
        call('pause', x.name)
        room.within(2, lambda: reaper_states(x.keeper()) != ['T'], 'reapers of a paused room that do not rest')
        call('resume', x.name)
        room.within(2, lambda: reaper_states(x.keeper()) != ['S'], 'reapers that do not go on')


def reaper_states(keeper):
    """Of the processes that pid 1 of its room has."""
    def children(pid):
        with open('/proc/%s/task/%s/children' % (pid, pid)) as f:
            return f.read().split()

    def stat(pid):
        with open('/proc/%s/stat' % pid) as f:
            return f.read()
    init = next(p for p in children(keeper) if '(room-init)' in stat(p))
    return [stat(p).rsplit(')', 1)[1].split()[0] for p in children(init)]


if __name__ == '__main__':
    room.main()
