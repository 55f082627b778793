"""bounds: each limit is met, ends or refuses what exceeds it, and is told as asked / held by / peak / hit.

Hazards run in rooms only; a thread of this process measures meanwhile that the host still answers.
"""
import os
import signal
import subprocess
import sys
import time

import room
from room import Memory, Ping, Skip, ended, python, same, sh, test

SUPERVISOR_KIB = 2048  # what a supervisor may ever need
LATE_S = 1.0           # how late this process may wake while a room rages
MIB = 1 << 20


def rage(command, options, **more):
    """A hostile room: the host must stay awake and the supervisor small."""
    with Ping() as ping:
        p = room.start(options, command, **more)
        memory = Memory(p.pid)
        r = room.finish(p)
    assert ping.worst < room.patience(LATE_S), 'the host was late by %.2f s' % ping.worst
    assert memory.peak < SUPERVISOR_KIB, 'the supervisor grew to %d KiB' % memory.peak
    return r


def rage_python(script, options, **more):
    return rage([room.PYTHON, '-IS', '-c', script], options, **more)


# --- memory -----------------------------------------------------------------------------------------------------------

MEMORY = ['-m', '64M', '--prefer', 'memory', '--timeout', '20s']


def out_of_memory(r, size=64 * MIB, one_dies=False):
    """With a cgroup: told as memory, exact. Without: each process's data is capped, and sums are sampled."""
    ended(r)
    told = r.limit('memory')
    same(told['asked'], size)
    if 'cgroup1' in told['enforced_by'] and one_dies:
        # v1 cannot end a group together: one process dies, the rest goes on, and it is told.
        same((r.record['outcome'], r.status), ('exited', 5), str(r))
        assert b'memory limit' in r.err, r
    elif room.has_cgroup() or one_dies:
        same((r.record['outcome'], r.status), ('memory', 137), str(r))
    if room.has_cgroup():
        assert told['hits'] >= 1 and told['peak'] <= size + MIB and told['peak'] > size // 2, told
        assert b'memory limit' in r.err and b'--memory' in r.err, r
        same(told['degraded'], False)
    else:
        same(told['degraded'], True)
        assert told['enforced_by'] == ['watch'] and 'sampled' in told['note'], told
    return r


@test
def memory_of_one_process():
    r = out_of_memory(rage_python('b=[]\nwhile 1: b.append(bytearray(1<<20))', MEMORY))
    if not room.has_cgroup():
        assert (r.record['outcome'], r.status) in (('exited', 1), ('memory', 137)), r  # MemoryError, or seen by the sampler


@test
def memory_of_many_processes():
    r = out_of_memory(rage_python('''
import os, time
for i in range(16):
    if os.fork() == 0:
        b = bytearray(12 << 20)
        time.sleep(60)
for i in range(16):
    if os.wait()[1] == 9: os._exit(5)
''', MEMORY), one_dies=True)


@test
def memory_of_shared_mappings():
    r = out_of_memory(rage_python('''
import mmap, time
keep = []
for i in range(40):
    m = mmap.mmap(-1, 8 << 20)
    for at in range(0, len(m), 4096): m[at] = 1
    keep.append(m)
time.sleep(30)''', MEMORY))
    same((r.record['outcome'], r.status), ('memory', 137), str(r))


@test
def memory_of_files_in_memory():
    """memfd pages are in nobody's address space: written, never mapped."""
    r = rage_python('''
import os, sys
total = 0
try:
    keep = []
    for i in range(20):
        fd = os.memfd_create("x"); keep.append(fd)
        for j in range(16): total += os.write(fd, bytes(1 << 20))
except OSError as e: print(e, flush=True)
print(total >> 20, flush=True)
import time; time.sleep(1)''', MEMORY)
    ended(r)
    if room.has_cgroup():
        out_of_memory(r)
    else:
        # Nothing holds it: the receipt must not pretend.
        assert 'memfd' in r.limit('memory')['note'] and r.limit('memory')['degraded'], r


@test
def memory_of_the_scratch_file_system():
    r = rage(['/bin/dd', 'if=/dev/zero', 'of=/work/big', 'bs=1M', 'count=200'], [*MEMORY, '--disk', '256M'])
    if room.has_cgroup():
        out_of_memory(r)
    else:
        ended(r, 'exited', 1)  # the file system holds no more than the memory limit
        assert r.limit('disk')['hits'] >= 1 and r.limit('disk')['peak'] <= 64 * MIB, r.limit('disk')


@test
def memory_that_is_enough_is_not_hit():
    r = ended(python('b = bytearray(20 << 20)', options=MEMORY), 'exited', 0)
    same(r.limit('memory')['hits'], 0)
    if room.has_cgroup():
        assert 20 * MIB < r.limit('memory')['peak'] < 60 * MIB, r.limit('memory')


@test
def memory_a_child_that_dies_of_it_is_told():
    if not room.has_cgroup():
        raise Skip('no memory cgroup for this user')
    r = sh('python3 -IS -c "b=bytearray(200<<20)"; echo child $?; exit 0', options=MEMORY)
    assert r.limit('memory')['hits'] >= 1, r
    assert b'memory limit' in r.err, r


# --- processes --------------------------------------------------------------------------------------------------------

@test
def pids_are_counted_exactly():
    r = ended(python('''
import os, time
n = 0
try:
    while 1:
        if os.fork() == 0: time.sleep(60)
        n += 1
except BlockingIOError: pass
print(n)''', options=['--pids', '20']), 'exited', 0)
    n = int(r.out)
    assert 17 <= n <= 19, 'pid 1 or not: %d children of 20' % n
    if room.holder('pids') & {'cgroup1', 'cgroup2'}:
        assert r.limit('pids')['hits'] >= 1 and r.limit('pids')['peak'] <= 20, r.limit('pids')
        assert b'--pids' in r.err, r


@test
def a_fork_bomb():
    traces = room.Traces()
    word = room.token()
    seconds = 8 if room.EMULATED else 2
    script = '''
import os, sys
while 1:
    try: os.fork()
    except OSError: pass'''
    r = rage([room.PYTHON, '-IS', '-c', script, word], ['--pids', '64', '--timeout', '%ds' % seconds, '--cpus', '2', '--prefer', 'cpus'])
    ended(r, 'timeout', 124)
    assert r.seconds < seconds + room.patience(2), r.seconds
    if room.holder('pids') & {'cgroup1', 'cgroup2'}:
        assert r.limit('pids')['hits'] >= 1 and r.limit('pids')['peak'] <= 64, r.limit('pids')
    traces.clean(word)


@test
def threads_count_as_processes():
    r = ended(python('''
import threading, time
n = 0
try:
    while n < 100:
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start(); n += 1
except RuntimeError: pass
print(n, flush=True)
import os; os._exit(0)''', options=['--pids', '16']), 'exited', 0)
    assert int(r.out) < 16, r


# --- files ------------------------------------------------------------------------------------------------------------

@test
def open_files():
    r = ended(python('''
import os
n = 0
try:
    while 1: os.open("/dev/null", 0); n += 1
except OSError as e: print(n + 3, e.errno)''', options=['--files', '32']), 'exited', 0)
    same(r.out, b'32 24\n')
    same(r.limit('files')['enforced_by'], ['rlimit'])


@test
def size_of_a_file():
    r = ended(room.room('/bin/dd', 'if=/dev/zero', 'of=/work/f', 'bs=4096', 'count=100', options=['--file-size', '64k']), 'signalled', 128 + signal.SIGXFSZ)
    assert r.limit('file-size')['hits'] == 1, r.limit('file-size')


@test
def bytes_of_disk():
    r = ended(sh('head -c 5000000 /dev/zero >/work/a; head -c 5000000 /dev/zero >/tmp/b; head -c 5000000 /dev/zero >/dev/shm/c; cat /work/a /tmp/b /dev/shm/c | wc -c',
                 options=['--disk', '8M']), 'exited', 0)
    total = int(r.out)
    assert total <= 8 * MIB and total > 7 * MIB, total
    assert r.err.count(b'No space') >= 1, r
    same(r.limit('disk')['enforced_by'], ['tmpfs'])
    assert r.limit('disk')['peak'] >= total, r.limit('disk')
    assert r.limit('disk')['hits'] >= 1, r.limit('disk')


@test
def a_disk_that_is_emptied_again_was_full():
    r = ended(sh('head -c 9000000 /dev/zero >/work/a; sleep %g; rm /work/a' % (0.6 * room.SLOW), options=['--disk', '8M']), 'exited', 0)
    same(r.limit('disk')['peak'], 8 * MIB)
    same(r.limit('disk')['hits'], 1)
    r = ended(sh('i=0; while true >/work/$i; do i=$((i+1)); done; sleep %g; rm /work/*' % (0.6 * room.SLOW), options=['--inodes', '300']), 'exited', 0)
    same(r.limit('inodes')['peak'], 300)
    same(r.limit('inodes')['hits'], 1)


@test
def who_runs_with_the_lowest_priority_stays_there():
    r = ended(sh('cut -d " " -f 19 /proc/self/stat', preexec_fn=lambda: os.nice(19)), 'exited', 0)
    same(r.out, b'19\n')


@test
def disk_that_is_enough_is_not_hit():
    r = ended(sh('head -c 1000000 /dev/zero >/work/a'), 'exited', 0)
    same(r.limit('disk')['hits'], 0)
    assert 1000000 <= r.limit('disk')['peak'] < 2 * MIB, r.limit('disk')
    assert 1 <= r.limit('inodes')['peak'] < 20, r.limit('inodes')


@test
def a_million_inodes():
    r = ended(rage_python('''
import os
n = 0
try:
    while n < 1000000:
        os.close(os.open("/work/%d" % n, os.O_CREAT | os.O_WRONLY)); n += 1
except OSError as e: print(n, e.errno)''', ['--inodes', '5000']), 'exited', 0)
    n, code = map(int, r.out.split())
    assert 4900 <= n < 5000 and code == 28, r
    assert r.limit('inodes')['hits'] >= 1, r.limit('inodes')


@test
def a_timeout_tells_the_disk_too():
    r = ended(sh('head -c 2000000 /dev/zero >/work/a; sleep 60', options=['--timeout', '%dms' % (1500 * room.SLOW)]), 'timeout', 124)
    assert (r.limit('disk')['peak'] or 0) >= 2000000, r.limit('disk')


# --- output -----------------------------------------------------------------------------------------------------------

def flooded(script, **more):
    r = rage(['/bin/sh', '-c', script], ['--output', '1M', '--timeout', '20s'], **more)
    ended(r, 'output', 153)
    assert r.limit('output')['hits'] >= 1, r.limit('output')
    same(r.record['bytes']['stdout'] + r.record['bytes']['stderr'], MIB)
    return r


@test
def a_flood_of_stdout():
    same(len(flooded('exec yes').out), MIB)


@test
def a_flood_of_stderr():
    r = flooded('exec yes >&2')
    assert r.err[:MIB] == b'y\n' * (MIB // 2) and b'output limit' in r.err[MIB:], r


@test
def a_flood_of_both():
    flooded('yes & exec yes >&2')


@test
def a_flood_without_a_line():
    same(len(flooded('exec cat /dev/zero').out), MIB)


@test
def a_flood_that_ignores_sigpipe():
    flooded('trap "" PIPE TERM; while :; do cat /dev/zero; done 2>/dev/null')


@test
def a_flood_into_a_file():
    name = room.path('flood')
    with open(name, 'wb') as f:
        flooded('exec yes', stdout=f)
    same(os.path.getsize(name), MIB)


@test
def exactly_the_limit_is_allowed():
    r = ended(sh('head -c 1048576 /dev/zero', options=['--output', '1M']), 'exited', 0)
    same((len(r.out), r.limit('output')['hits'], r.limit('output')['peak']), (MIB, 0, MIB))


@test
def one_byte_more_is_not():
    r = ended(sh('head -c 1048577 /dev/zero; sleep 5', options=['--output', '1M']), 'output', 153)
    same(len(r.out), MIB)


@test
def no_output_at_all():
    ended(sh('true', options=['--output', '0']), 'exited', 0)
    same(ended(sh('echo x; sleep 5', options=['--output', '0']), 'output', 153).out, b'')


# --- time -------------------------------------------------------------------------------------------------------------

@test
def processor_time_of_one_process():
    r = ended(rage(['/bin/sh', '-c', 'while :; do :; done'], ['--cpu-time', '1s', '--timeout', '50s']), 'cpu-time', 152)
    assert r.limit('cpu-time')['hits'] >= 1, r.limit('cpu-time')
    assert 800 <= r.limit('cpu-time')['peak'] <= room.patience(2500), r.limit('cpu-time')
    assert b'cpu-time limit' in r.err, r


@test
def processor_time_that_ignores_the_signal():
    r = ended(rage(['/bin/sh', '-c', 'trap "" XCPU; while :; do :; done'], ['--cpu-time', '1s', '--timeout', '50s']), 'cpu-time', 152)
    assert r.seconds < room.patience(6), r.seconds


@test
def processor_time_of_many_processes():
    """Each of them stays below the bound; together they do not."""
    r = ended(rage_python('''
import os, time
def burn(s):
    end = time.process_time() + s
    while time.process_time() < end: pass
for i in range(40):
    if os.fork() == 0:
        burn(0.4); os._exit(0)
    os.wait()''', ['--cpu-time', '1s', '--timeout', '50s']), 'cpu-time', 152)
    assert r.limit('cpu-time')['hits'] >= 1
    assert r.seconds < room.patience(8), r.seconds


@test
def processor_time_of_orphans():
    r = ended(rage_python('''
import os, time
for i in range(60):
    if os.fork() == 0:
        if os.fork() == 0:
            end = time.process_time() + 0.2
            while time.process_time() < end: pass
        os._exit(0)
    os.wait(); time.sleep(0.1)
time.sleep(30)''', ['--cpu-time', '1s', '--timeout', '50s', '--pids', '100']), 'cpu-time', 152)
    assert r.seconds < room.patience(15), r.seconds


@test
def a_share_of_the_processor():
    r = ended(python('''
import time
a, c = time.monotonic(), time.process_time()
while time.monotonic() - a < 1: pass
print((time.process_time() - c) / (time.monotonic() - a))''', options=['--cpus', '0.1', '--prefer', 'cpus']), 'exited', 0)
    if room.holder('cpus') & {'cgroup1', 'cgroup2'}:
        assert float(r.out) < 0.3, r
        assert r.limit('cpus')['hits'] >= 1, r.limit('cpus')
    else:
        same(r.limit('cpus')['degraded'], True)


@test
def wall_time():
    for script in ('sleep 60', 'trap "" TERM INT HUP; while :; do sleep 1; done', 'kill -STOP $$', 'while :; do :; done'):
        r = ended(sh(script, options=['--timeout', '300ms']), 'timeout', 124)
        same((r.limit('timeout')['asked'], r.limit('timeout')['enforced_by'], r.limit('timeout')['hits']), (300, ['timer'], 1), script)
        assert r.seconds < 0.3 + room.patience(2), '%s: %.2f s' % (script, r.seconds)


@test
def wall_time_with_a_reader_that_never_reads():
    p = room.start(['--timeout', '300ms'], ['/usr/bin/yes'])
    time.sleep(1)
    r = ended(room.finish(p), 'timeout', 124)
    assert len(r.out) > 0


@test
def wall_time_with_a_reader_that_is_stuck():
    """Nobody ever reads: the room is over in time all the same; the rest of the output is given up."""
    read_end, write_end = os.pipe()
    traces = room.Traces()
    word = room.token()
    p = room.start(['--timeout', '300ms'], ['/bin/sh', '-c', 'exec yes', word], stdout=write_end)
    os.close(write_end)
    time.sleep(0.3)
    room.within(0.3, lambda: [h for h in room.holding(word) if h[0] != p.pid and not h[1].startswith('strongroom')],
                'a room that outlives its timeout')
    r = room.finish(p)
    os.close(read_end)
    ended(r, 'timeout', 124)
    traces.clean(word)


if __name__ == '__main__':
    room.main()
