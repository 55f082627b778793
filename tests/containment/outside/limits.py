"""limits: each bound holds, and the caller is told which. The same program must get through where the bound is wider."""
import json
import os
import subprocess
import tempfile
import time

MEMORY = 'm = bytearray(%d << 20)\nfor i in range(0, len(m), 4096): m[i] = 1\nimport time\ntime.sleep(0.3)\nprint("through")'
MEMORY_FAMILY = '''
import os, time
for _ in range(4):
    if os.fork() == 0:
        m = bytearray(%d << 20)
        for i in range(0, len(m), 4096): m[i] = 1
        time.sleep(1.5)
        os._exit(0)
ends = [os.wait()[1] for _ in range(4)]
if not any(ends): print("through")
'''
FORKS = '''
import os, signal, time
children = []
try:
    for _ in range(40):
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
        children.append(child)
    print("through")
except OSError as e:
    print(e.errno)
for c in children: os.kill(c, signal.SIGKILL)
'''
THREADS = '''
import os, threading
threading.stack_size(131072)  # the least that every architecture takes
done = threading.Event()
try:
    for _ in range(40): threading.Thread(target=done.wait, daemon=True).start()
    print("through", flush=True)
except RuntimeError as e: print(e, flush=True)
os._exit(0)   # a thread's own end needs libgcc_s, which a small system lacks
'''
FILES = '''
import os
try:
    for _ in range(60): os.dup(0)
    print("through")
except OSError as e: print(e.errno)
'''
FILL = '''
import os
try:
    for n in range(20):
        with open("%s/" + str(n), "wb", buffering=0) as f:
            if f.write(bytes(1 << 20)) != 1 << 20: raise OSError(28, "short")
    print("through")
except OSError as e: print(e.errno)
'''
INODES = '''
import os
try:
    for n in range(200): os.close(os.open("/work/%d" % n, os.O_CREAT | os.O_WRONLY))
    print("through")
except OSError as e: print(e.errno)
'''
LARGE = '''
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    os.truncate(os.open("/work/large", os.O_CREAT | os.O_RDWR), 8 << 20)
    print("through")
except OSError as e: print(e.errno)
'''
FLOOD = '''
import os
for _ in range(48): os.write(%d, b"x" * 65536)
os.write(2, b"through\\n")
'''
SPIN = 'import os, time\nend = time.process_time() + 3\nwhile time.process_time() < end: pass\nprint("through")'
SLEEP = 'import time\ntime.sleep(3)\nprint("through")'

# name, program, limit, narrow, wide, statuses that are good when narrow (None: any)
CASES = (
    ('memory', MEMORY % 160, 'memory', '64M', '512M', (137, 1)),
    ('memory of a family', MEMORY_FAMILY % 64, 'memory', '128M', '600M', None),
    ('processes', FORKS, 'pids', '20', '100', None),
    ('threads', THREADS, 'pids', '20', '100', None),
    ('open files', FILES, 'files', '32', '256', None),
    ('bytes in /work', FILL % '/work', 'disk', '8M', '64M', None),
    ('bytes in /tmp', FILL % '/tmp', 'disk', '8M', '64M', None),
    ('bytes in /dev/shm', FILL % '/dev/shm', 'disk', '8M', '64M', None),
    ('files in /work', INODES, 'inodes', '100', '1000', None),
    ('size of a file', LARGE, 'file-size', '4M', '16M', None),
    ('output', FLOOD % 1, 'output', '1M', '16M', (153,)),
    ('talk', FLOOD % 2, 'output', '1M', '16M', (153,)),
    ('wall time', SLEEP, 'timeout', '1s', '30s', (124,)),
    ('processor time', SPIN, 'cpu-time', '1s', '30s', (152,)),
)


def run(suite, say):
    record = os.path.join(tempfile.mkdtemp(prefix='record-', dir=suite.host.folder), 'result')

    def attempt(code, limit, value):
        begun = time.monotonic()
        done = subprocess.run([suite.program, 'run', '--timeout', '90s'] * (limit != 'timeout') + [suite.program, 'run'] * (limit == 'timeout') + suite.options +
                              ['--result', record, '--%s=%s' % (limit, value), '--', '/usr/bin/python3', '-I', '-S', '-c', code],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        with open(record) as f:
            return done, json.load(f), time.monotonic() - begun

    for name, code, limit, narrow, wide, good in CASES:
        done, result, took = attempt(code, limit, narrow)
        through = b'through' in done.stdout + done.stderr
        say('FAIL' if through or (good and done.returncode not in good) else 'PASS', '%s: bounded' % name,
            'status %d, %r' % (done.returncode, (done.stdout[-60:] + done.stderr[-160:])) if through or (good and done.returncode not in good) else '')
        say('PASS' if took < 30 else 'FAIL', '%s: ended in time' % name, '' if took < 30 else '%.1f s' % took)
        done, result, took = attempt(code, limit, wide)
        through = b'through' in done.stdout + done.stderr
        say('PASS' if through and done.returncode == 0 else 'FAIL', '%s: the same gets through a wider bound' % name,
            '' if through and done.returncode == 0 else 'status %d, %r' % (done.returncode, (done.stdout[-60:] + done.stderr[-160:])))

    # Nobody reads: the clock goes on.
    p = subprocess.Popen(suite.room(['--timeout', '2s'])[:2] + ['--timeout', '2s'] + suite.options + ['--', '/usr/bin/python3', '-I', '-S', '-c', FLOOD % 1],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        say('PASS' if p.wait(timeout=60) != 0 else 'FAIL', 'a reader that does not read stops no clock')
    except subprocess.TimeoutExpired:
        say('FAIL', 'a reader that does not read stops no clock', 'still there after 60 s')
        p.kill()
        p.wait()
    p.stdout.close()
