"""room: the harness of the system tests: runs rooms, keeps what they say, looks for what they leave.

Standard library only, so that the same files run on a developer's machine (as root, as anybody, below `unshare -r`) and
on the emulated one. Every wait has an end: a room that does not come back is killed by its pid and counts as a failure.

A suite is a file of functions marked with @test and a last line `room.main()`. It prints one line a test and ends with
"N passed, N failed, N skipped". Names given as arguments choose tests (a part of the name is enough).
"""
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.environ.get('STRONGROOM', os.path.join(PROJECT, 'build', 'strongroom'))
NOTE_MOST = 159  # RESULT_NOTE_SIZE without its NUL: a note that fills it was longer
EMULATED = bool(os.environ.get('STRONGROOM_VM'))
SLOW = 8 if EMULATED else 1          # how much longer everything may take
HANG = 60 * SLOW                     # seconds after which nothing comes any more; nothing else is said by it
ROOT = os.geteuid() == 0
OWNS_UIDS = ROOT and '4294967295' in open('/proc/self/uid_map').read()
PYTHON = '/usr/bin/python3'          # also the one inside a room



def patience(seconds):
    """What is promised for a machine that has time for it, for this one as it is just now: `seconds` where nobody else runs,
    more where every processor has several to serve. For upper bounds of what was measured, never for how long to sleep."""
    with open('/proc/loadavg') as f:
        words = f.read().split()
    waiting = max(float(words[0]), int(words[3].split('/')[0]) - 1)
    return seconds * SLOW * max(1, 2 * waiting / len(os.sched_getaffinity(0)))


tests = []
started = []  # the process numbers of all rooms' supervisors


class Skip(Exception):
    """Why this test cannot say anything here."""


def test(function):
    tests.append(function)
    return function


# --- running rooms ----------------------------------------------------------------------------------------------------

class Result:
    """What one command said and did. status: the exit status, or -N when a signal N ended strongroom itself."""

    def __init__(self, argv):
        self.argv, self.status, self.out, self.err, self.record, self.seconds = argv, None, b'', b'', None, 0.0

    def __str__(self):
        record = self.record or {}
        return 'status %s, outcome %s, out %r, err %r' % (self.status, record.get('outcome'), self.out[-200:], self.err[-400:])

    def limit(self, name):
        return self.record['limits'][name]


def start(options, command, record=True, verb='run', program=None, before=(), **popen):
    """A running `strongroom run`; its `record_fd` delivers the result. `before`: words in front (setpriv, unshare, …)."""
    argv = [*before, program or PROGRAM, verb]
    read_end = None
    if record:
        read_end, write_end = os.pipe()
        os.set_inheritable(write_end, True)
        argv += ['--result-fd', str(write_end)]
        popen['pass_fds'] = (*popen.get('pass_fds', ()), write_end)
    argv += [*options, *(['--'] if command is not None else []), *(command or [])]
    for name in ('stdin', 'stdout', 'stderr'):
        popen.setdefault(name, subprocess.PIPE if name != 'stdin' else subprocess.DEVNULL)
    popen.setdefault('start_new_session', True)
    try:
        p = subprocess.Popen(argv, **popen)
    finally:
        if record:
            os.close(write_end)
    started.append(p.pid)
    p.record_fd = read_end
    p.began = time.monotonic()
    return p


def finish(p, feed=b'', slow=None):
    """Feeds stdin, reads everything, waits for the end. `slow`: seconds between two reads of 64 KiB of stdout."""
    r = Result(p.args)
    end = time.monotonic() + HANG
    sinks = {}
    feed = memoryview(feed)
    record = bytearray()
    for pipe, sink in ((p.stdout, bytearray()), (p.stderr, bytearray())):
        if pipe:
            sinks[pipe.fileno()] = sink
    if p.record_fd is not None:
        sinks[p.record_fd] = record
    out = sinks.get(p.stdout.fileno()) if p.stdout else None
    err = sinks.get(p.stderr.fileno()) if p.stderr else None
    stdin = p.stdin.fileno() if p.stdin else None
    if stdin is not None:
        os.set_blocking(stdin, False)
    hung = False
    while sinks or stdin is not None:
        left = end - time.monotonic()
        if left <= 0:
            hung = True
            break
        if stdin is not None and not feed:
            p.stdin.close()
            stdin = None
            continue
        ready, writable, _ = select.select(list(sinks), [stdin] if stdin is not None else [], [], min(left, 1))
        if not sinks or (stdin is not None and p.poll() is not None and not ready):
            stdin = None
        if writable and stdin is not None:
            try:
                feed = feed[os.write(stdin, feed[:65536]):]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                feed = memoryview(b'')
        for fd in ready:
            data = os.read(fd, 65536)
            if data:
                sinks[fd] += data
                if slow and sinks[fd] is out:
                    time.sleep(slow)
            else:
                del sinks[fd]
    try:
        r.status = p.wait(max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        hung = True
    if hung:
        p.kill()
        p.wait()
        r.status = 'hung'
    r.seconds = time.monotonic() - p.began
    r.out, r.err = bytes(out or b''), bytes(err or b'')
    for pipe in (p.stdin, p.stdout, p.stderr):
        if pipe:
            try:
                pipe.close()
            except OSError:
                pass
    if p.record_fd is not None:
        os.close(p.record_fd)
        if record:
            r.record = json.loads(record.decode('utf-8'))
            check_record(r.record)
    assert r.status != 'hung', 'hung: %s: %s' % (' '.join(map(str, r.argv)), r)
    return r


def room(*command, options=(), feed=None, slow=None, **more):
    """One room from start to end."""
    if feed is not None:
        more['stdin'] = subprocess.PIPE
    return finish(start(options, list(command), **more), feed or b'', slow)


def sh(script, *arguments, **more):
    return room('/bin/sh', '-c', script, *arguments, **more)


def python(script, *arguments, **more):
    return room(PYTHON, '-IS', '-c', script, *arguments, **more)


def outside(*argv, **more):
    """A command that is no room."""
    return subprocess.run(argv, timeout=HANG, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


# --- judging ----------------------------------------------------------------------------------------------------------

OUTCOMES = {'no-room', 'not-run', 'exited', 'signalled', 'timeout', 'cpu-time', 'memory', 'output', 'disk', 'guard', 'interrupted', 'lost'}
LIMITS = {'memory', 'cpus', 'cpu-time', 'pids', 'files', 'file-size', 'disk', 'inodes', 'output', 'timeout'}


def check_record(record):
    """The least that every result must hold, whatever happened."""
    assert record['outcome'] in OUTCOMES, record['outcome']
    assert isinstance(record['exit_status'], int)
    for key in ('time', 'usage', 'bytes', 'limits', 'receipt', 'denials', 'teardown'):
        assert key in record, 'the result lacks ' + key
    assert LIMITS <= set(record['limits']), 'the result lacks limits'
    for name, limit in record['limits'].items():
        assert {'asked', 'enforced_by', 'peak', 'hits', 'unit'} <= set(limit), name
        if limit['asked'] is not None and record['outcome'] not in ('no-room', 'not-run'):
            assert limit['enforced_by'], '%s is asked for and held by nothing' % name
        assert len(limit.get('note', '').encode()) < NOTE_MOST, '%s: its note is cut off' % name
    for name, layer in record['receipt'].items():
        assert layer['state'] in ('on', 'off', 'degraded'), name
        assert len(layer.get('note', '').encode()) < NOTE_MOST, '%s: its note is cut off' % name


def same(got, wanted, what=''):
    assert got == wanted, '%s: got %r, wanted %r' % (what, got, wanted)


def ended(r, outcome=None, status=None):
    """The room ended like this, and left nothing."""
    if outcome:
        assert r.record, 'no result: %s' % r
        same(r.record['outcome'], outcome, str(r))
    if status is not None:
        same(r.status, status, str(r))
    if r.record:
        same(r.record['exit_status'], r.status, 'exit status told')
        if r.record['outcome'] not in ('no-room', 'not-run'):
            t = r.record['teardown']
            same((t['survivors'], t['mounts'], t['cgroups']), (0, 0, 0), 'teardown')
    return r


def refused(r, *words, status=125):
    """A clear refusal: the status, one line of error, perhaps one of hint, with these words in them."""
    same(r.status, status, str(r))
    same(r.out, b'', 'stdout of a refusal')
    text = r.err.decode('utf-8', 'surrogateescape')
    lines = text.splitlines()
    assert 1 <= len(lines) <= 2 and text.endswith('\n'), 'wanted one line and perhaps a hint: %r' % text
    assert lines[0].startswith('strongroom: ') and not lines[0].startswith('strongroom: hint'), text
    assert len(lines) == 1 or lines[1].startswith('strongroom: hint: '), text
    assert not re.search(r'[\x00-\x09\x0b-\x1f\x7f]', text), 'control characters: %r' % text
    for word in words:
        assert word in text, 'no %r in %r' % (word, text)
    return r


def within(seconds, question, what):
    """Asks until the answer is empty or false; fails when it stays otherwise for `seconds`, and more on a busy machine."""
    began, bound = time.monotonic(), 0
    while True:
        answer = question()
        if not answer:
            return
        bound = max(bound, patience(seconds))
        assert time.monotonic() < began + bound, '%s after %g s: %r' % (what, bound, answer)
        time.sleep(0.01)


# --- what a room may leave --------------------------------------------------------------------------------------------

def token():
    """A word that is in the argv of this test's processes and in no other's."""
    return 'tok' + os.urandom(8).hex()


def holding(word):
    """Processes with the word in their argv: pid and name."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/cmdline' % pid, 'rb') as f:
                if word.encode() not in f.read():
                    continue
            with open('/proc/%s/stat' % pid) as f:
                state = f.read().rpartition(')')[2].split()[0]
            with open('/proc/%s/comm' % pid) as f:
                if state != 'Z':
                    found.append((int(pid), f.read().strip()))
        except OSError:
            pass
    return found


def is_of_ours(name):
    """A leaf's number is chosen by chance; that of a supervisor's own cgroup is its process. Others may run rooms here
    too: what is theirs comes and goes, and is not there at one of several looks."""
    number = int(name.rpartition('-')[2])
    return EMULATED or '-sup-' not in name or any(0 <= number - pid < 4 for pid in started)


def leaves():
    """Cgroup directories of rooms that have no member. Rooms come and go: compare twice."""
    found = set()
    for top, names, _ in os.walk('/sys/fs/cgroup'):
        for name in names:
            if re.fullmatch(r'strongroom-(sup-)?\d+', name) and is_of_ours(name):
                path = os.path.join(top, name)
                try:
                    with open(path + '/cgroup.procs') as f:
                        if not f.read():
                            found.add((path, os.stat(path).st_ino))
                except OSError:
                    pass
    return found


def our_mounts():
    with open('/proc/self/mountinfo') as f:
        return [line for line in f if ' strongroom ' in line or ' scratch ' in line]


def our_files():
    """Files of ours in the usual places, but the folders in which each user's rooms are found: anybody's first room makes one."""
    found = []
    for top in ('/tmp', '/run', '/var/tmp', '/dev/shm', os.environ.get('XDG_RUNTIME_DIR', '/nowhere')):
        try:
            found += [os.path.join(top, n) for n in os.listdir(top) 
                      if 'strongroom' in n.lower() and not re.match(r'strongroom(-[a-z]+[-._]|(-\d+)?$)', n)]  # tests' own folders
        except OSError:
            pass
    return found


class Traces:
    """Taken before; clean() afterwards says whether everything is as it was."""

    def __init__(self):
        self.leaves, self.mounts, self.files = leaves(), our_mounts(), our_files()

    def clean(self, word=None, seconds=2):
        if word:
            within(seconds, lambda: holding(word), 'processes left')
        if has_cgroup():  # else they are somebody else's
            within(seconds + 1, lambda: leaves() - self.leaves, 'cgroups left')
        within(seconds, lambda: [m for m in our_mounts() if m not in self.mounts], 'mounts left')
        within(seconds, lambda: [f for f in our_files() if f not in self.files], 'files left')


def children(pid):
    """Processes and undertakers whose parent is pid: {pid: name}."""
    found = {}
    for other in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/stat' % other) as f:
                head, _, rest = f.read().rpartition(')')
            if int(rest.split()[1]) == pid and rest.split()[0] != 'Z':
                found[int(other)] = head.partition('(')[2]
        except (OSError, ValueError):
            pass
    return found


def below(pid):
    """All its children and theirs."""
    found = list(children(pid))
    for child in found:
        found += children(child)
    return found


def pid_one(pid):
    """The room's pid 1 below the strongroom process pid."""
    end = time.monotonic() + HANG
    while time.monotonic() < end:
        for child, name in children(pid).items():
            if name != 'strongroom-end':
                return child
        time.sleep(0.005)
    raise AssertionError('no pid 1 below %d' % pid)


def undertaker(pid):
    return next((c for c, name in children(pid).items() if name == 'strongroom-end'), None)


def read_line(p):
    """The first line of a running room's stdout: tells that the program is there."""
    line, end = b'', time.monotonic() + HANG
    while not line.endswith(b'\n'):
        ready, _, _ = select.select([p.stdout], [], [], max(0, end - time.monotonic()))
        assert ready, 'the program said nothing in time'
        data = os.read(p.stdout.fileno(), 1)
        if not data:
            break
        line += data
    return line.decode('utf-8', 'replace').strip()


# --- the host meanwhile -----------------------------------------------------------------------------------------------

class Ping:
    """Measures how late a sleeping thread of this process wakes: the longest delay in seconds."""

    def __enter__(self):
        self.worst, self.on = 0.0, True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self):
        while self.on:
            before = time.monotonic()
            time.sleep(0.02)
            self.worst = max(self.worst, time.monotonic() - before - 0.02)

    def __exit__(self, *_):
        self.on = False
        self.thread.join()


class Memory:
    """Looks at a process's own peak memory (VmHWM) until it ends; in KiB."""

    def __init__(self, pid):
        self.pid, self.peak = pid, 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                if os.path.realpath('/proc/%d/exe' % self.pid) != os.path.realpath(PROGRAM):
                    time.sleep(0.002)  # still this program, before its execve
                    if not os.path.exists('/proc/%d' % self.pid):
                        return
                    continue
                with open('/proc/%d/status' % self.pid) as f:
                    found = re.search(r'VmHWM:\s+(\d+)', f.read())
            except OSError:
                return
            if not found:
                return
            self.peak = max(self.peak, int(found.group(1)))
            time.sleep(0.01)


# --- where a test may write -------------------------------------------------------------------------------------------

_folder = None


def folder():
    """This run's own directory, removed at the end."""
    global _folder
    if not _folder:
        _folder = tempfile.TemporaryDirectory(prefix='strongroom-test-', dir='/tmp')
        os.chmod(_folder.name, 0o755)
    return _folder.name


def path(name, text=None):
    p = os.path.join(folder(), name)
    if text is not None:
        os.makedirs(os.path.dirname(p), exist_ok=True)
        with open(p, 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())
    return p


_holders = None


def holder(limit):
    """By what this host holds a limit for this user."""
    global _holders
    if _holders is None:
        _holders = {k: set(v['enforced_by']) for k, v in room('/bin/true').record['limits'].items()}
    return _holders[limit]


def has_cgroup():
    return bool(holder('memory') & {'cgroup1', 'cgroup2'})


def can_nest():
    """Can this user make a user namespace by `unshare -r`?"""
    try:
        return outside('unshare', '-r', 'true').returncode == 0
    except OSError:
        return False


# --- running tests ----------------------------------------------------------------------------------------------------

def run_one(function):
    name = function.__name__.replace('_', '-')
    try:
        function()
        line = 'PASS ' + name
        verdict = 0
    except Skip as e:
        line, verdict = 'SKIP %s: %s' % (name, e), 2
    except Exception as e:  # a test's own mistakes are failures too
        where = [f for f in traceback.extract_tb(e.__traceback__) if 'room.py' not in f.filename][-1:]
        at = ' (%s:%d)' % (os.path.basename(where[0].filename), where[0].lineno) if where else ''
        line, verdict = 'FAIL %s: %s%s' % (name, ' '.join(str(e).split())[:700] or type(e).__name__, at), 1
    print(re.sub(r'[^\x20-\x7e]', '?', line), flush=True)
    return verdict


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.environ['LC_ALL'] = 'C.UTF-8'
    wanted = [a for a in sys.argv[1:] if not a.startswith('-')]
    counts = [0, 0, 0]
    times = []
    for function in tests:
        if wanted and not any(w in function.__name__.replace('_', '-') for w in wanted):
            continue
        began = time.monotonic()
        counts[run_one(function)] += 1
        times.append((time.monotonic() - began, function.__name__))
    if '--times' in sys.argv:
        for seconds, name in sorted(times, reverse=True)[:12]:
            print('%7.2f s %s' % (seconds, name))
    print('%d passed, %d failed, %d skipped' % tuple(counts), flush=True)
    sys.exit(1 if counts[1] else 0)
