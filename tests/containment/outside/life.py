"""life: with the program, or with whoever started it, everything of the room ends."""
import os
import signal
import subprocess
import time

LONG = 'import signal, sys, time\nprint("up", flush=True)\ntime.sleep(60)\n'
DAEMON = '''
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    for n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
os.wait()
print("up", flush=True)
'''
DEAF = '''
import signal, time
for n in range(1, 32):
    try: signal.signal(n, signal.SIG_IGN)
    except (OSError, ValueError): pass
print("up", flush=True)
while True: time.sleep(1)
'''
STOPPED = '''
import os, signal, time
child = os.fork()
if child == 0:
    while True: time.sleep(1)
os.kill(child, signal.SIGSTOP)
print("up", flush=True)
time.sleep(60)
'''


def alive(mark):
    """Processes with that word among their arguments; those of a room show on the host too."""
    found = []
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open('/proc/%s/cmdline' % name, 'rb') as f:
                    if mark.encode() in f.read():
                        found.append(int(name))
            except OSError:
                pass
    return [p for p in found if p != os.getpid()]


def gone(mark, seconds=10):
    end = time.monotonic() + seconds
    while alive(mark):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def python(code, mark):
    return ['/usr/bin/python3', '-I', '-S', '-c', code, mark]


def start(suite, code, mark, options=()):
    p = subprocess.Popen(suite.room(options) + python(code, mark), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert p.stdout.readline() == b'up\n', p.stderr.read()[-200:]
    return p


def finish(p, mark):
    for pid in alive(mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    p.stdout.close()
    p.stderr.close()
    p.wait()


def run(suite, say):
    token = suite.host.token

    def judge(good, what, detail=''):
        say('PASS' if good else 'FAIL', what, '' if good else detail)

    for code, want in (('raise SystemExit(0)', 0), ('raise SystemExit(7)', 7), ('import os; os.kill(os.getpid(), 15)', 143), ('import os; os.kill(os.getpid(), 9)', 137)):
        got = subprocess.run(suite.room() + python(code, ''), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode
        judge(got == want, 'an end of %d is passed on' % want, 'got %d' % got)

    mark = token + '-bare'
    p = subprocess.Popen(python(DAEMON, mark), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.readline()
    p.wait()
    judge(alive(mark), 'without a room a daemon stays, and is seen', 'the suite does not see it')
    finish(p, mark)

    mark = token + '-daemon'
    begun = time.monotonic()
    p = start(suite, DAEMON, mark)
    p.communicate(timeout=90)   # the daemon still holds the program's stdout
    judge(time.monotonic() - begun < 30, 'a pipe held by a daemon holds nobody up', '%.1f s' % (time.monotonic() - begun))
    judge(gone(mark), 'a daemon ends with its room', alive(mark))
    finish(p, mark)

    for name, code in (('a deaf program', DEAF), ('a stopped child', STOPPED)):
        mark = token + '-timeout'
        p = start(suite, code, mark, ['--timeout', '4s'])   # time enough to say "up" on a busy emulated machine
        judge(p.wait(timeout=40) == 124, '%s ends at the timeout' % name, 'status %s' % p.returncode)
        judge(gone(mark), '%s leaves nothing at the timeout' % name, alive(mark))
        finish(p, mark)

    for name in ('SIGKILL', 'SIGTERM', 'SIGHUP', 'SIGINT'):
        for what, code in (('a program', LONG), ('a deaf program', DEAF)):
            mark = '%s-%s' % (token, name)
            p = start(suite, code, mark)
            os.kill(p.pid, getattr(signal, name))
            if name == 'SIGINT' and code == DEAF:   # the first is the program's to answer
                time.sleep(0.3)
                os.kill(p.pid, signal.SIGINT)
            try:
                p.wait(timeout=40)
                judge(gone(mark), '%s to strongroom ends %s' % (name, what), alive(mark))
            except subprocess.TimeoutExpired:
                judge(False, '%s to strongroom ends %s' % (name, what), 'strongroom still runs after 40 s')
                p.kill()
            finish(p, mark)
