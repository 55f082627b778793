"""rooms: rooms that live on: started, used, watched, paused and ended from outside, and gone without a trace."""
import glob
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import room
from room import Traces, outside, same, test

PROGRAM = room.PROGRAM


def call(*words, feed=None, status=0, **more):
    """A verb about rooms; its output as text."""
    if feed is None:
        more.setdefault('stdin', subprocess.DEVNULL)
    r = subprocess.run([PROGRAM, *words], input=feed, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=room.HANG, **more)
    same(r.returncode, status, 'strongroom %s: %r %r' % (' '.join(words[:3]), r.stdout[-200:], r.stderr[-300:]))
    return r.stdout.decode()


class Living:
    """with Living() as x: a room of its own name, ended behind it."""

    def __init__(self, *command, options=()):
        self.name, self.command, self.options = 't' + os.urandom(5).hex(), command, options

    def __enter__(self):
        said = call('run', '--detach', '--name', self.name, *self.options, *(['--', *self.command] if self.command else []))
        same(said, self.name + '\n', 'what run --detach says')
        return self

    def __exit__(self, *_):
        subprocess.run([PROGRAM, 'rm', self.name], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=room.HANG)

    def exec(self, *command, options=(), **more):
        return call('exec', *options, self.name, '--', *command, **more)

    def sh(self, script, **more):
        return self.exec('/bin/sh', '-c', script, **more)

    def status(self):
        return next(x for x in json.loads(call('ps', '--json')) if x['name'] == self.name)

    def keeper(self):
        return self.status()['pid']

    def clients(self):
        """A number that rises with each client that the keeper has heard and not let go."""
        return len(os.listdir('/proc/%d/fd' % self.keeper()))


def names():
    return call('ps', '-q').split()


# --- life -------------------------------------------------------------------------------------------------------------

@test
def output_that_does_not_arrive_is_told():
    """A program that ends at once and printed more than it may, and one whose output nobody can take."""
    with Living() as x:
        for _ in range(20):
            r = outside(PROGRAM, 'exec', '--output', '3', x.name, '--', 'echo', 'hello')
            same((r.returncode, r.stdout), (153, b'hel'), 'more than it may')
            r = outside(PROGRAM, 'exec', '--output', '6', x.name, '--', 'echo', 'hello')
            same((r.returncode, r.stdout), (0, b'hello\n'), 'as much as it may')
        for script, status in (('echo hello', 125), ('echo hello; exit 4', 4), ('sleep 0.2; echo hello', 125)):
            r = outside('/bin/sh', '-c', 'exec "$@" >/dev/full', 'sh', PROGRAM, 'exec', x.name, '--', '/bin/sh', '-c', script)
            same(r.returncode, status, script)
            assert b'No space left on device' in r.stderr, r.stderr
        r = outside('/bin/sh', '-c', '"$@" | head -n 1', 'sh', PROGRAM, 'exec', x.name, '--', 'yes')
        same((r.stdout, r.stderr), (b'y\n', b''), 'a reader that had enough')


@test
def the_caller_stays_where_it_is_wherever_that_is():
    """A room is spoken to from inside its folder; what is named afterwards is the caller's, and some places let nobody back in."""
    script = 'cd "$2" && rmdir "$2" && "$1" exec "$3" -- echo gone'
    with Living() as x, tempfile.TemporaryDirectory(dir='/tmp') as top:
        os.mkdir(top + '/here')
        x.sh('echo inside >/work/f')
        call('cp', x.name + ':/work/f', 'got', cwd=top + '/here')
        same(os.listdir(top + '/here'), ['got'])
        os.unlink(top + '/here/got')
        r = outside('/bin/sh', '-c', script, 'sh', PROGRAM, top + '/here', x.name)
        same((r.returncode, r.stdout), (0, b'gone\n'), str(r.stderr))
        os.mkdir(top + '/shut')
        r = outside('/bin/sh', '-c', 'cd "$2" && chmod 0 . && "$1" exec "$3" -- echo shut', 'sh', PROGRAM, top + '/shut', x.name)
        os.chmod(top + '/shut', 0o700)
        same((r.returncode, r.stdout), (0, b'shut\n'), str(r.stderr))


@test
def strongroom_is_installed_again_while_a_room_lives():
    """Its folders are the layout's own: what is mounted on one that is removed is gone from every room."""
    script = os.path.join(room.PROJECT, 'scripts', 'skeleton')
    if not os.path.exists(script):
        raise room.Skip('no sources here')
    with tempfile.TemporaryDirectory(dir='/tmp') as top:
        os.chmod(top, 0o755)
        program = shutil.copy(PROGRAM, top)
        layout = os.path.join(top, os.path.basename(glob.glob(os.path.join(os.path.dirname(PROGRAM), 'skeleton-*'))[0]))
        lay = [script, program, layout]
        subprocess.run(lay, check=True)
        name = 't' + os.urandom(5).hex()
        subprocess.run([program, 'run', '--detach', '--name', name], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            before = os.stat(layout).st_ino
            subprocess.run(lay, check=True)
            same(os.stat(layout).st_ino, before, 'the layout')
            same(call('exec', name, '--', '/bin/echo', 'there'), 'there\n')
            os.mkdir(os.path.join(layout, 'more'))
            subprocess.run(lay, check=True)
            same(os.path.exists(os.path.join(layout, 'more')), False, 'what does not belong there')
            same(sorted(n for n in os.listdir(top) if n.startswith('skeleton')), [os.path.basename(layout)])
        finally:
            subprocess.run([program, 'rm', name], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=room.HANG)


@test
def a_room_lives_until_it_is_removed():
    word, traces = room.token(), Traces()
    with Living() as x:
        assert x.name in names(), names()
        status = x.status()
        same((status['state'], status['command']), ('running', ''), 'state')
        room.within(2, lambda: x.status()['processes'] - 2, 'processes beside pid 1 and what waits for the first program')
        assert 3500 * 1000 < status['left_ms'] <= 3600 * 1000, 'an hour, when nothing is said: %r' % status
        x.exec('/bin/sh', '-c', 'sleep 100; :', word, options=['--detach'])
        call('rm', x.name)
        assert x.name not in names()
    traces.clean(word)
    call('exec', x.name, '--', 'true', status=127)


@test
def docker_s_habits_are_understood():
    with Living('/bin/sh', '-c', 'trap "echo usr" USR1; trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done') as x:
        room.within(5, lambda: call('logs', x.name) != 'ready\n', 'the first line')
        for count, words in enumerate((['-USR1'], ['-10'], ['-s', 'SIGUSR1'], ['--signal=USR1'], ['--signal', '10'])):
            call('kill', *words, x.name)
            room.within(5, lambda: call('logs', x.name) != 'ready\n' + 'usr\n' * (count + 1), 'the signal of %r' % words)
        for words in (['-99'], ['-FOO'], ['--signal=']):
            call('kill', *words, x.name, status=125)
        assert x.name in call('ps', '-a', '-q').split()
        same(x.exec('pwd', options=['-w', '/tmp']), '/tmp\n')
        call('exec', '-d', '--output', '5', x.name, '--', 'true', status=125)
        job = call('job', 'start', x.name, '--', '/bin/sleep', '100').strip()  # a shell may lose a signal while it starts its command
        call('job', 'kill', '-s', 'FOO', x.name, job, status=125)
        call('job', 'kill', '-s', 'SIGINT', x.name, job)
        room.within(5, lambda: 'ended: 130' not in call('job', 'list', x.name), 'a job ended by its signal')
        call('rm', '-f', x.name)
        assert x.name not in names()


@test
def a_name_is_given_and_is_one_rooms_own():
    name = call('run', '-d').strip()
    try:
        assert re.fullmatch(r'room-[0-9a-f]{8}', name), name
        call('run', '-d', '--name', name, status=125)
        same(names().count(name), 1, 'rooms of that name')
    finally:
        call('rm', name)


@test
def its_time_to_live_ends_it_and_can_be_renewed():
    with Living(options=['--timeout', '2s']) as x:
        call('renew', x.name, '1h')
        assert x.status()['left_ms'] > 3000 * 1000
        call('renew', x.name, '1s')
        room.within(3, lambda: x.name in names(), 'a room whose time is up')


@test
def its_program_ends_it():
    with Living('/bin/sh', '-c', 'sleep 0.3; exit 7') as x:
        call('attach', x.name, status=7)
        room.within(2, lambda: x.name in names(), 'a room whose program ended')


@test
def a_killed_keeper_takes_the_room_along():
    word, traces = room.token(), Traces()
    with Living('/bin/sleep', '100', options=['--pids', '20']) as x:
        x.exec('/bin/sh', '-c', 'setsid sleep 100 & sleep 100', word, options=['-d'])
        time.sleep(0.1)
        os.kill(x.keeper(), signal.SIGKILL)
        room.within(2, lambda: room.holding(word), 'processes of a room whose keeper was killed')
        assert x.name not in names()
        call('prune')
    traces.clean(word)


@test
def a_signalled_keeper_ends_the_room():
    for sig in (signal.SIGINT, signal.SIGTERM):
        with Living() as x:
            os.kill(x.keeper(), sig)
            room.within(5, lambda: x.name in names(), 'a room whose keeper was asked to end')


def control_of(name):
    homes = ['/run/strongroom'] if os.geteuid() == 0 else []
    homes += [os.environ['XDG_RUNTIME_DIR'] + '/strongroom'] if os.environ.get('XDG_RUNTIME_DIR') else []
    homes += ['/run/user/%d/strongroom' % os.geteuid(), '/tmp/strongroom-%d' % os.geteuid()]
    return next(p for p in ('%s/rooms/%s/control' % (home, name) for home in homes) if os.path.exists(p))


@test
def more_clients_than_descriptors_wait():
    """The keeper neither spins nor forgets them."""
    name = 't' + os.urandom(5).hex()
    limited = 'ulimit -n 56; exec "$@"'
    same(subprocess.run(['/bin/sh', '-c', limited, 'sh', PROGRAM, 'run', '-d', '--name', name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode, 0, 'run')
    some = []
    try:
        pid = next(x['pid'] for x in json.loads(call('ps', '--json')) if x['name'] == name)
        path = control_of(name)
        for _ in range(75):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('ll', 0, 500000))
            some.append(s)
            try:
                s.connect(path)
            except BlockingIOError:
                break
        else:
            raise AssertionError('all were taken: this test tests nothing')
        time.sleep(0.1)
        before = cpu_ticks(pid)
        time.sleep(1)
        assert cpu_ticks(pid) - before < 20, 'ticks used while nothing happens: %d' % (cpu_ticks(pid) - before)
        for s in some:
            s.close()
        call('exec', name, '--', 'true')
    finally:
        for s in some:
            s.close()
        call('rm', name)


def cpu_ticks(pid):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


FRAME = struct.Struct('<IIIi4080s')


@test
def who_speaks_another_version_is_told_so():
    with Living() as x:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(room.HANG)
        s.connect(control_of(x.name))
        s.send(FRAME.pack(4711, 1, 0, 0, b''))
        version = FRAME.unpack(s.recv(8192))[0]
        assert 0 < version < 4711, version
        same(s.recv(8192), b'')
        same(x.exec('echo', '1'), '1\n')


@test
def a_room_of_another_version_is_listed_and_ended():
    with Living('sh', '-c', 'trap "" TERM; while :; do sleep 1; done') as x:
        keeper, path = x.keeper(), control_of(x.name)
        gone = os.pidfd_open(keeper)
        os.unlink(path)
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.bind(path)
        s.listen(16)

        def answer():
            while True:
                c, _ = s.accept()
                c.recv(8192)
                c.send(FRAME.pack(4711, 5, 3, 0, b'abc'))
                c.close()
        threading.Thread(target=answer, daemon=True).start()
        assert x.name in names(), names()
        same(x.status(), {'name': x.name, 'state': 'foreign', 'command': '(of another version of strongroom)'})
        assert x.name not in call('stats')
        r = subprocess.run([PROGRAM, 'exec', x.name, '--', 'true'], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=room.HANG)
        assert r.returncode == 125 and b'another version of strongroom' in r.stderr and b'strongroom rm' in r.stderr, r
        call('rm', x.name)
        assert select.select([gone], [], [], 0)[0], 'the keeper lives on'


# Run as root in a namespace of processes of its own. A process below another user namespace, as one of a room is, connects to the control socket
# of a keeper that does not look just then, and ends; its number is given to a process outside before the keeper looks.
REUSER = r'''
import os, signal, socket, struct, subprocess, sys, time
path, keeper = sys.argv[1], int(sys.argv[2])
frame = struct.pack("<IIIi4080s", 1, 5, 0, 0, b"")
os.kill(keeper, signal.SIGSTOP)
inside = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
pid = os.fork()
if pid == 0:
    s.connect(sys.argv[1]); s.send(bytes.fromhex(sys.argv[2])); os._exit(0)
os.waitpid(pid, 0)
print(pid, flush=True)
sys.stdin.readline()
s.settimeout(3)
try:
    print("heard" if s.recv(4096) else "closed", flush=True)
except OSError:
    print("closed", flush=True)
"""
q = subprocess.Popen(["unshare", "-Ur", sys.executable, "-ISc", inside, path, frame.hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
gone = int(q.stdout.readline())
again = None
for _ in range(50):
    with open("/proc/sys/kernel/ns_last_pid", "w") as f:
        f.write(str(gone - 1))
    p = subprocess.Popen(["sleep", "5"])
    if p.pid == gone:
        again = p
        break
    p.kill(); p.wait()
os.kill(keeper, signal.SIGCONT)
q.stdin.write("go\n"); q.stdin.flush()
print("reused" if again else "not reused", q.stdout.readline().strip())
if again:
    again.kill()
'''


@test
def a_number_that_was_given_on_opens_nothing():
    if os.geteuid() != 0 or not room.can_nest():
        raise room.Skip('only root chooses numbers of processes')
    kernel = tuple(int(n) for n in re.findall(r'\d+', os.uname().release)[:2])
    if kernel < (6, 5):
        raise room.Skip('this kernel cannot say whether who connected still lives')
    script = ('"$1" run -d --name "$2" >/dev/null && "$3" -c "$4" "$5" "$("$1" ps --json | grep -A3 "$2" | sed -n \'s/.*"pid": *\\([0-9]*\\).*/\\1/p\')"; '
              '"$1" rm "$2"')
    name = 't' + os.urandom(5).hex()
    r = outside('unshare', '--fork', '--pid', '--mount-proc', '/bin/sh', '-c', script, 'sh', PROGRAM, name, room.PYTHON, REUSER, '/run/strongroom/rooms/%s/control' % name)
    same((r.returncode, r.stdout), (0, b'reused closed\n'), repr(r.stderr))


@test
def what_cannot_start_says_so():
    r = outside(PROGRAM, 'run', '-d', '--name', 'never', '--', '/no/such/program')
    same((r.returncode, r.stdout), (127, b''), repr(r.stderr))
    assert b'/no/such/program' in r.stderr
    assert 'never' not in names()
    for words in (['-t'], ['--json'], ['--explain']):
        r = outside(PROGRAM, 'run', '-d', *words)
        same(r.returncode, 125, ' '.join(words))
        assert r.stderr.startswith(b'strongroom: ') and b'hint: ' in r.stderr, r.stderr


@test
def a_room_without_a_program_that_cannot_be_built_says_so():
    with tempfile.NamedTemporaryFile() as f:
        r = outside(PROGRAM, 'run', '-d', '-v', f.name + ':/work')
        assert r.returncode == 125 and b'show ' + f.name.encode() in r.stderr and not r.stdout, r


@test
def the_result_is_kept_when_asked_for():
    path = room.path('living.json')
    with Living('/bin/sh', '-c', 'echo out; exit 3', options=['--result', path]) as x:
        room.within(5, lambda: not os.path.getsize(path), 'no result')
    with open(path) as f:
        record = json.load(f)
    same((record['outcome'], record['exit_status'], record['bytes']['stdout']), ('exited', 3, 4), 'result')
    same(record['teardown']['survivors'], 0, 'survivors')


@test
def the_caller_is_let_go():
    """Neither its descriptors nor its folder are held."""
    with Living() as x:
        pid = x.keeper()
        if room.ROOT:
            held = {os.readlink('/proc/%d/fd/%s' % (pid, n)) for n in '012'}
            same(held, {'/dev/null'}, 'stdio of the keeper')
            same(os.readlink('/proc/%d/cwd' % pid), '/', 'its folder')
        same(os.getsid(pid) != os.getsid(0), True, 'a session of its own')


# --- programs in it ---------------------------------------------------------------------------------------------------

@test
def programs_speak_and_end_as_outside():
    with Living() as x:
        same(x.sh('cat; echo err >&2; exit 3', feed=b'in', status=3), 'in', 'stdout')
        r = outside(PROGRAM, 'exec', x.name, '--', '/bin/sh', '-c', 'echo err >&2; kill -TERM $$')
        same((r.returncode, r.stderr), (128 + signal.SIGTERM, b'err\n'), 'a signalled one')
        x.exec('no-such-program', status=127)
        x.exec('/etc', status=126)
        x.exec('true', options=['-C', '/nowhere'], status=125)
        same(x.sh('pwd', options=['-C', '/tmp']), '/tmp\n', 'working directory')
        same(x.sh('pwd; echo $HOME'), '/work\n/work\n', 'without being told')
        same(len(x.sh('head -c 3000000 /dev/zero')), 3000000, 'bytes')


@test
def files_and_variables_stay_from_one_to_the_next():
    with Living(options=['-e', 'A=room']) as x:
        x.sh('echo kept > /work/file')
        same(x.sh('cat /work/file; echo $A'), 'kept\nroom\n', 'seen by the next one')
        same(x.sh('echo $A $B', options=['-e', 'A=one', '--env', 'B=two=2']), 'one two=2\n', 'variables of one call')
        same(x.sh('echo $A'), 'room\n', 'of the next')
        os.environ['ROOMS_TEST_SECRET'] = 'x'
        same(x.sh('env | grep -c ROOMS_TEST', status=1), '0\n', "the caller's")
        same(x.sh('echo $ROOMS_TEST_SECRET', options=['-e', 'ROOMS_TEST_SECRET']), 'x\n', 'unless named')


@test
def many_run_at_once():
    with Living() as x:
        some = [subprocess.Popen([PROGRAM, 'exec', x.name, '--', '/bin/sh', '-c', 'read n; exit $n'], stdin=subprocess.PIPE)
                for _ in range(20)]
        for i, p in enumerate(some):
            p.communicate(b'%d\n' % i, timeout=room.HANG)
            same(p.returncode, i, 'status of one of many')
        room.within(2, lambda: x.status()['programs'], 'programs')
        room.within(5, lambda: x.status()['processes'] - 2, 'processes beside pid 1 and the kept reaper')


@test
def more_than_can_be_are_refused():
    with Living(options=['--pids', '200']) as x:
        codes = []
        some = [subprocess.Popen([PROGRAM, 'exec', x.name, '--', 'cat'], stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(70)]
        room.within(20, lambda: x.status()['programs'] + sum(p.poll() is not None for p in some) < 70, 'clients on their way')
        for p in some:
            err = p.communicate(timeout=room.HANG)[1]
            codes.append(p.returncode)
            assert p.returncode == 0 or b'too many' in err, err
        assert 0 < codes.count(125) < 70 and codes.count(0) >= 60, codes
        x.exec('true')


# Everything that a program can do to outlive its own end.
SCATTER = '''sleeper() { sh -c 'sleep 100; :' "$1"; }
setsid sh -c 'sleep 100; :' "$1" & (setsid sh -c 'sh -c "sleep 100; :" "$0" & sleep 100; :' "$1" &) ; sleeper "$1"'''


def long_lines():
    """The kernel lets us pass more than a room's programs may."""
    resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))


@test
def long_command_lines_arrive_or_are_refused_in_words():
    with Living() as x:
        many = [str(i) for i in range(60000)]
        same(call('exec', x.name, '--', 'sh', '-c', 'echo $# ${60000}', 'sh', *many), '60000 59999\n')
        for words in ([str(i) for i in range(1 << 18)], [str(i) for i in range(160000)], ['x' * 120000] * 18):
            r = subprocess.run([PROGRAM, 'exec', x.name, '--', '/bin/true', *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               timeout=20 * room.SLOW, preexec_fn=long_lines)
            assert r.returncode in (125, 126) and b'Argument list too long' in r.stderr and b'standard input' in r.stderr, r.stderr
            same(call('exec', x.name, '--', 'echo', 'well'), 'well\n')


def scattered(word, x):
    return room.within(5, lambda: len(room.holding(word)) < 4, 'too few processes')


@test
def its_time_ends_all_that_it_started():
    word = room.token()
    with Living() as x:
        x.exec('/bin/sh', '-c', SCATTER, 'sh', word, options=['--timeout', '700ms'], status=124)
        room.within(2, lambda: room.holding(word), 'processes of a program whose time is up')
        x.exec('true')


@test
def a_client_that_goes_ends_all_that_it_started():
    word = room.token()
    with Living() as x:
        p = subprocess.Popen([PROGRAM, 'exec', x.name, '--', '/bin/sh', '-c', SCATTER, 'sh', word], stdin=subprocess.DEVNULL)
        scattered(word, x)
        p.kill()
        p.wait()
        room.within(2, lambda: room.holding(word), 'processes of a client that was killed')
        x.exec('true')


@test
def one_programs_end_is_not_the_others():
    word, other = room.token(), room.token()
    with Living() as x:
        x.exec('/bin/sh', '-c', 'sleep 100; :', other, options=['-d'])
        x.exec('/bin/sh', '-c', SCATTER, 'sh', word, options=['--timeout', '500ms'], status=124)
        assert room.holding(other), 'another program ended with it'
        room.within(2, lambda: room.holding(word), 'processes')


@test
def a_background_child_outlives_its_parent_and_not_the_room():
    word = room.token()
    with Living() as x:
        x.exec('/bin/sh', '-c', 'sh -c "sleep 100; :" "$1" >/dev/null 2>&1 &', 'sh', word)
        room.within(2, lambda: not room.holding(word), 'no background child of a program that ended')  # while it execs it has no words
        time.sleep(0.2)
        assert room.holding(word), 'a background child of a program that ended'
    room.within(2, lambda: room.holding(word), 'processes of a room that ended')


@test
def signals_reach_it():
    with Living() as x:
        p = subprocess.Popen([PROGRAM, 'exec', x.name, '--', '/bin/sh', '-c', 'trap "echo got; exit 9" INT; echo up; while :; do sleep 0.05; done'],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        same(p.stdout.readline(), b'up\n', 'it runs')
        p.send_signal(signal.SIGINT)
        same((p.communicate(timeout=room.HANG)[0], p.returncode), (b'got\n', 9), 'after a signal')
        p = subprocess.Popen([PROGRAM, 'exec', x.name, '--', '/bin/sh', '-c', 'trap "" INT; echo up; while :; do sleep 0.05; done'],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        same(p.stdout.readline(), b'up\n', 'it runs')
        p.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert p.poll() is None, 'a program that does not want to end'
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=room.HANG)
        same(p.returncode, 130, 'after the second signal')


@test
def it_can_have_a_terminal():
    with Living() as x:
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(PROGRAM, [PROGRAM, 'exec', '-t', x.name, '--', '/bin/sh', '-c', 'tty; read a; echo "<$a>"; exit 4'])
        said, end = b'', time.monotonic() + room.HANG
        typed = False
        while time.monotonic() < end and select.select([fd], [], [], 5)[0]:
            try:
                data = os.read(fd, 4096)
            except OSError:
                break
            said += data
            if b'/dev/pts/' in said and not typed:
                os.write(fd, b'words\r')
                typed = True
        same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 4, 'status')
        os.close(fd)
        assert b'<words>' in said, said
        same(x.exec('/bin/sh', '-c', 'echo $TERM', options=['-t']), 'xterm-256color\r\n', 'as a room of its own has it')
        same(x.exec('/bin/sh', '-c', 'echo $TERM', options=['-t', '-e', 'TERM=vt100']), 'vt100\r\n')
        same(x.exec('/bin/sh', '-c', 'echo $TERM'), '\n')
    with Living(options=['-e', 'TERM=linux']) as x:
        same(x.exec('/bin/sh', '-c', 'echo $TERM', options=['-t']), 'linux\r\n', "the room's own")


@test
def the_walls_are_those_of_the_room():
    with Living() as x:
        status = dict(line.split(':\t', 1) for line in x.exec('cat', '/proc/self/status').splitlines())
        same((status['CapEff'], status['CapBnd'], status['NoNewPrivs'], status['Seccomp']),
             ('0' * 16, '0' * 16, '1', '2'), 'rights of a further program')
        same(x.sh('ls /proc/self/fd | wc -l'), '4\n', 'descriptors: three, and that of ls')
        x.sh('unshare -U true 2>/dev/null', status=1)
        x.sh('cat /proc/1/environ /proc/$PPID/environ 2>/dev/null', status=1)
        assert x.sh('echo x > /usr/x 2>/dev/null || echo no') == 'no\n'


@test
def time_bounds_what_a_program_left_behind():
    word = room.token()
    with Living() as x:
        x.exec('/bin/sh', '-c', 'sh -c "sleep 100; :" "$0" >/dev/null 2>&1 & exit 0', word, options=['--timeout', '2s'])
        room.within(0.5, lambda: not room.holding(word), 'no process')
        room.within(3, lambda: room.holding(word), 'processes whose time is up')


@test
def a_full_room_can_be_used_again():
    with Living(options=['--pids', '8']) as x:
        code = 'import os, time\ntry:\n  while os.fork(): pass\nexcept OSError: print("full", flush=True)\ntime.sleep(100)'
        p = subprocess.Popen([PROGRAM, 'exec', x.name, '--', room.PYTHON, '-ISc', code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        same(p.stdout.readline(), b'full\n')
        codes = {outside(PROGRAM, 'exec', x.name, '--', 'true').returncode for _ in range(70)}
        assert codes <= {125, 126}, codes
        p.kill()
        p.wait()
        room.within(5, lambda: x.status()['programs'], 'programs')
        x.exec('true')


@test
def the_rooms_own_status_is_kept_behind_those_of_others():
    path = room.path('late.json')
    with Living('/bin/sh', '-c', 'sleep 1.2; exit 7', options=['--result', path]) as x:
        some = [subprocess.Popen([PROGRAM, 'exec', x.name, '--', 'sleep', '1'], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(6)]
        pid = x.keeper()
        time.sleep(0.5)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1.2)
        os.kill(pid, signal.SIGCONT)
        for p in some:
            p.wait(room.HANG)
        room.within(5, lambda: not os.path.getsize(path), 'no result')
    with open(path) as f:
        record = json.load(f)
    same((record['outcome'], record['exit_status']), ('exited', 7), 'result')


@test
def who_is_not_heard_ends_nothing():
    if not room.can_nest():
        raise room.Skip('no user namespace below this one')
    with Living() as x:
        r = outside('unshare', '-Ur', PROGRAM, 'rm', x.name)
        assert r.returncode != 0, 'a success that is none'
        assert x.name in names()


@test
def typed_input_that_ends_ends():
    with Living() as x:
        for text in (b'hi\n', b'half'):
            r = subprocess.run([PROGRAM, 'exec', '-t', x.name, '--', 'cat'], input=text, stdout=subprocess.PIPE, timeout=room.HANG)
            same(r.returncode, 0, repr(r.stdout))
            assert text.strip() in r.stdout, r.stdout


# --- watching ---------------------------------------------------------------------------------------------------------

@test
def logs_keep_the_end_and_count_all():
    with Living('/bin/sh', '-c', 'echo one; echo two >&2; head -c 3000000 /dev/zero | tr "\\0" x; echo last; exec sleep 100') as x:
        room.within(5, lambda: x.status()['stdout'] < 3000009, 'too few bytes')
        same((x.status()['stdout'], x.status()['stderr']), (3000009, 4), 'bytes counted')
        r = outside(PROGRAM, 'logs', x.name)
        same((len(r.stdout), r.stdout[-6:]), (1 << 20, b'xlast\n'), 'the last megabyte')
        assert b'two\n' in r.stderr and b'1951433 earlier bytes of stdout' in r.stderr, r.stderr
        call('exec', x.name, '--', 'true')


TOLD, TELL = 'until [ -e /work/told ]; do sleep 0.05; done', ': >/work/told'


@test
def logs_can_be_followed():
    with Living('/bin/sh', '-c', 'echo a; %s; echo b; sleep 0.4; echo c' % TOLD) as x:
        p = subprocess.Popen([PROGRAM, 'logs', '-f', x.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        same(p.stdout.readline(), b'a\n', 'the first line')
        x.sh(TELL)
        same(p.communicate(timeout=room.HANG)[0], b'b\nc\n', 'the rest of it')
        same(p.returncode, 0, 'logs -f')


@test
def logs_are_whole_however_slow_their_reader_is():
    """The ring is written all over again while it is read: what comes is never mixed, and what is missing is counted."""
    count = 5000000
    script = 'import sys\nfor i in range(0, %d, 5000): sys.stdout.write("".join("%%07d\\n" %% k for k in range(i, i + 5000)))' % count
    with Living(room.PYTHON, '-ISc', script) as x:
        p = subprocess.Popen([PROGRAM, 'logs', '-f', x.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        data = b''
        while True:
            part = p.stdout.read1(1 << 14)
            if not part:
                break
            data += part
            if len(data) < 3 << 20:
                time.sleep(0.002)
        notes = [int(n) for n in re.findall(rb'note: (\d+) earlier bytes of stdout', p.stderr.read())]
        same(p.wait(room.HANG), 0, 'logs -f')
    same(len(data) + sum(notes), 8 * count, 'bytes read and bytes missed')
    assert notes, 'the reader was never overtaken: this test tests nothing'
    lines = data.split(b'\n')
    numbers = [int(line) for line in lines if len(line) == 7]
    assert numbers == sorted(set(numbers)), 'lines out of order: bytes of two rounds are mixed'
    assert sum(len(line) != 7 for line in lines) <= 2 * len(notes) + 1, 'torn lines'


@test
def who_follows_slowly_hears_the_end():
    """Its keeper waits for a moment only; what was written last, and the status, are told all the same."""
    with Living('/bin/sh', '-c', 'head -c 600000 /dev/zero | tr "\\0" x; %s; echo; echo last; exit 7' % TOLD) as x:
        room.within(5, lambda: x.status()['stdout'] < 600000, 'too few bytes')
        before = x.clients()
        for verb, options in (('logs', ['-f']), ('attach', [])):
            p = subprocess.Popen([PROGRAM, verb, *options, x.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if verb == 'logs':
                slow = p
        room.within(10, lambda: x.clients() < before + 2, 'less than two clients')
        x.sh(TELL)
        room.within(10, lambda: x.name in names(), 'a room whose program ended')
        time.sleep(0.2)
        out, err = slow.communicate(timeout=room.HANG)
        same((slow.returncode, len(out), out[-6:]), (0, 600006, b'\nlast\n'), repr(err))
        same(p.wait(room.HANG), 7, 'status told to who attached')


@test
def stats_tell_what_is_used():
    with Living(options=['-m', '64M', '--prefer', 'memory']) as x:
        x.exec('sleep', '50', options=['-d'])
        line = call('stats', x.name).splitlines()[1]
        assert line.startswith(x.name) and '64M' in line, line
        entry = json.loads(call('stats', '--json', x.name))[0]
        same((entry['processes'], entry['limit_memory']), (3, 64 << 20), 'processes with reaper and program, and the bound')


@test
def paused_rooms_rest():
    with Living() as x:
        x.exec('/bin/sh', '-c', 'echo >/work/n; while :; do echo >> /work/n; sleep 0.01; done', options=['-d'])
        x.sh('until [ -s /work/n ]; do sleep 0.05; done')
        call('pause', x.name)
        same(x.status()['state'], 'paused', 'state')
        r = subprocess.run([PROGRAM, 'exec', x.name, '--', 'true'], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=room.HANG)
        same((r.returncode, b'hint: strongroom resume %s\n' % x.name.encode() in r.stderr), (125, True), str(r.stderr))
        call('resume', x.name)
        first = int(x.sh('wc -l < /work/n'))
        room.within(2, lambda: int(x.sh('wc -l < /work/n')) == first, 'a program that does not go on')


@test
def kill_signals_or_ends():
    with Living('/bin/sh', '-c', 'trap "exit 6" USR1; echo up; while :; do sleep 0.05; done') as x:
        room.within(5, lambda: x.status()['stdout'] == 0, 'nothing said')
        before = x.clients()
        p = subprocess.Popen([PROGRAM, 'attach', x.name], stdin=subprocess.DEVNULL)
        room.within(10, lambda: x.clients() < before + 1, 'no client')
        call('kill', '-s', 'USR1', x.name)
        same(p.wait(room.HANG), 6, 'status told to who attached')
    with Living() as x:
        call('kill', x.name)
        assert x.name not in names()
        call('kill', x.name, status=127)


# --- bounds and bad input ---------------------------------------------------------------------------------------------

@test
def bounds_hold_for_all_programs_together():
    if not room.has_cgroup():
        raise room.Skip('no cgroup bounds a room here')
    with Living(options=['-m', '64M', '--pids', '30']) as x:
        r = outside(PROGRAM, 'exec', x.name, '--', room.PYTHON, '-IS', '-c', 'x = b"x" * (200 << 20)')
        assert r.returncode != 0, 'memory'
    with Living(options=['--pids', '30']) as x:

        r = outside(PROGRAM, 'exec', x.name, '--', '/bin/sh', '-c', 'for i in $(seq 60); do sleep 1 & done; wait')
        assert r.returncode != 0 and b'ork' in r.stderr, (r.returncode, r.stderr[-200:])


@test
def bad_words_are_refused():
    rows = [['exec'], ['exec', 'x'], ['exec', '--nope', 'x', 'true'], ['exec', '--timeout', 'x', 'a', 'b'], ['exec', '-e', '=x', 'a', 'b'],
            ['exec', '-C', 'rel', 'a', 'b'], ['exec', '-dt', 'a', 'b'], ['exec', 'a', ''], ['ps', 'x'], ['ps', '--nope'], ['logs'],
            ['logs', 'a', 'b'], ['logs', '-x', 'a'], ['renew', 'a'], ['renew', 'a', '-1'], ['renew', 'a', '0'], ['kill'],
            ['kill', '-s', 'NOPE', 'a'], ['kill', '-s'], ['rm'], ['pause'], ['prune', 'x'], ['attach'], ['policy', 'show', '-d']]
    for words in rows:
        r = outside(PROGRAM, *words)
        same((r.returncode, r.stdout), (125, b''), ' '.join(words) + repr(r.stderr))
        assert r.stderr.startswith(b'strongroom: ') and r.stderr.count(b'\n') <= 2, r.stderr
    for words in (['exec', 'no-room', 'true'], ['logs', 'no-room'], ['rm', 'no-room'], ['pause', '../x'], ['stats', 'a/b'], ['renew', '.', '1h']):
        r = outside(PROGRAM, *words)
        same(r.returncode, 127, ' '.join(words) + repr(r.stderr))
        assert b'no room of that name' in r.stderr, r.stderr


@test
def words_have_bounds():
    with Living() as x:
        same(x.exec('/bin/echo', 'x' * 100000).count('x'), 100000, 'a long word')
        many = ['y'] * 8000
        same(x.exec('/bin/echo', *many).count('y'), 8000, 'many words')


if __name__ == '__main__':
    room.main()
