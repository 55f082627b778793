"""words: odd arguments and odd beginnings: no crash, no forged line, nothing of the caller let in."""
import os
import resource
import signal
import subprocess

ECHO = 'import os, sys\nprint(len(sys.argv) - 1, len(os.fsencode(sys.argv[-1])))'
OPEN = '''
import os
def there(f):
    try: return os.readlink("/proc/self/fd/%d" % f)
    except OSError: return None
links = [there(f) for f in range(12)]
os._exit(40 + sum(1 for l in links if l and not l.startswith(("/dev/null", "pipe:", "/proc"))))
'''
MASK = 'import signal\nprint(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), [n for n in (2, 15, 17) if signal.getsignal(n) == signal.SIG_IGN])'


def run(suite, say):
    python = ['/usr/bin/python3', '-I', '-S', '-c']

    def judge(good, what, detail=''):
        say('PASS' if good else 'FAIL', what, '' if good else detail)

    def room(command, before=None, env=None):
        return subprocess.run(suite.room() + command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, preexec_fn=before, env=env)

    r = room(['/no\x1b[2J\x1b]0;taken\x07such'])
    judge(r.returncode == 127 and b'\x1b' not in r.stdout + r.stderr, 'no control character reaches the terminal', r)
    r = room(['/no\nstrongroom: all is well'])
    judge(b'\nstrongroom: all is well' not in r.stderr, 'a name forges no line', r)
    r = room(python + [ECHO] + ['x' * 100000] * 6)
    judge(r.returncode == 0 and r.stdout == b'6 100000\n', 'long arguments arrive', r.stderr)
    r = room(python + [ECHO] + ['y'] * 15000)
    judge(r.returncode == 0 and r.stdout == b'15000 1\n', 'many arguments arrive', r.stderr)
    r = room(python + [ECHO, os.fsdecode(b'\xff\xfe\x80')])
    judge(r.stdout == b'1 3\n', 'bytes that are no text arrive', r)
    r = room(python + [ECHO, ''])
    judge(r.stdout == b'1 0\n', 'an empty argument arrives', r)
    r = subprocess.run([suite.program, 'run', '--', '--privileged'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    judge(r.returncode == 127, 'what comes behind -- is no option', r)

    for name, closed in (('stdin', (0,)), ('stdout', (1,)), ('stderr', (2,)), ('all three', (0, 1, 2))):
        p = subprocess.Popen(suite.room() + python + [OPEN], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             preexec_fn=lambda closed=closed: [os.close(f) for f in closed])
        judge(p.wait(timeout=60) == 40, 'without %s nothing else is open in the room' % name, 'status %d' % p.returncode)

    def blocked():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD, signal.SIGINT])
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    r = room(python + [MASK], blocked)
    judge(r.stdout == b'0 []\n', 'blocked and ignored signals stay outside', r)
    r = room(python + ['print("ok")'], lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16)))
    judge((r.returncode, r.stdout) == (0, b'ok\n') or r.returncode == 125, 'sixteen descriptors suffice, or it says so', r)
    r = room(python + ['print("ok")'], env={'LD_PRELOAD': '/nowhere/taken.so', 'LD_LIBRARY_PATH': '/tmp', 'PYTHONPATH': '/tmp', 'IFS': 'x'})
    judge(r.stdout == b'ok\n' and b'taken' not in r.stderr, 'the caller\'s loader settings stay outside', r)
    gone = os.path.join(suite.host.folder, 'gone')

    def nowhere():
        os.mkdir(gone)
        os.chdir(gone)
        os.rmdir(gone)
    r = room(python + ['import os\nprint(os.getcwd())'], nowhere)
    judge(r.returncode in (0, 125) and b'unreachable' not in r.stdout, 'a working folder that is gone does no harm', r)
