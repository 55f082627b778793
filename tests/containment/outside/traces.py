"""traces: a room leaves nothing on the host, and nothing for the next room; two rooms are strangers."""
import ctypes
import os
import subprocess
import time

WRITE = '''
import ctypes, os, sys
for place in ("/work", "/tmp", "/var/tmp", "/dev/shm", "/", "/run", "/etc", "/home", "/root", "/dev", "/dev/mqueue"):
    try: open(place + "/" + sys.argv[1], "w").close()
    except OSError: pass
ctypes.CDLL(None).shmget(%d, 4096, 0o1666)
print("done")
'''
LOOK = '''
import ctypes, os, sys
seen = [p for p in ("/work", "/tmp", "/var/tmp", "/dev/shm", "/", "/run") if os.path.exists(p + "/" + sys.argv[1])]
if ctypes.CDLL(None).shmget(%d, 0, 0) >= 0: seen.append("segment")
print("seen:" + " ".join(seen))
'''
WAIT = 'import time\nprint("up", flush=True)\ntime.sleep(30)\n'


def text(path):
    try:
        with open(path, errors='replace') as f:
            return f.read()
    except OSError:
        return ''


def leaves():
    """cgroups of rooms, of whoever's on this host."""
    found = set()
    for top, folders, _ in os.walk('/sys/fs/cgroup'):
        found |= {os.path.join(top, f) for f in folders if f.startswith('strongroom-')}
    return found


def pid_of(mark):
    for name in os.listdir('/proc'):
        if name.isdigit() and mark in text('/proc/%s/cmdline' % name) and 'time.sleep(30)' in text('/proc/%s/cmdline' % name):
            if 'strongroom' not in text('/proc/%s/comm' % name):
                return name


def run(suite, say):
    token = suite.host.token + '-trace'
    key = int(suite.host.token[-6:], 16) + 1

    def judge(good, what, detail=''):
        say('PASS' if good else 'FAIL', what, '' if good else detail)

    def python(code, mark=token):
        return suite.room() + ['/usr/bin/python3', '-I', '-S', '-c', code, mark]

    def output(argv):
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60).stdout.decode()

    mounts, waiting = text('/proc/self/mountinfo'), leaves()
    judge(output(python(WRITE % key)).strip() == 'done', 'a room writes where it may')
    seen = output(python(LOOK % key))
    judge(seen.strip() == 'seen:', 'the next room sees none of it', seen)
    left = [p for p in ('/tmp/', '/var/tmp/', '/dev/shm/', '/', '/run/', '/etc/', '/root/', '/home/', os.environ.get('HOME', '/') + '/') if os.path.exists(p + token)]
    judge(not left, 'the host has none of it', left)
    judge(ctypes.CDLL(None).shmget(key, 0, 0) < 0, 'the host has none of its memory')
    judge(text('/proc/self/mountinfo') == mounts, 'no mount stays')

    # Leaves of other people's rooms come and go; ours must be gone once they are not in use.
    end = time.monotonic() + 5
    while True:
        new = [d for d in leaves() - waiting if not text(d + '/cgroup.procs') and not text(d + '/tasks')]
        if not new or time.monotonic() > end:
            break
        time.sleep(0.1)
    judge(not new, 'no cgroup stays', new)

    # The suite's own look must be able to see: one run on the host itself.
    folder = suite.host.folder
    subprocess.run(['/usr/bin/python3', '-I', '-S', '-c', 'import sys; open(sys.argv[1], "w").close()', folder + '/' + token], stdin=subprocess.DEVNULL)
    judge(os.path.exists(folder + '/' + token), 'without a room a file stays, and is seen')

    rooms = [subprocess.Popen(python(WAIT, '%s-%d' % (token, n)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for n in (1, 2)]
    try:
        for r in rooms:
            r.stdout.readline()
        pids = [pid_of('%s-%d' % (token, n)) for n in (1, 2)]
        judge(all(pids), 'both rooms are found', pids)
        if all(pids):
            try:
                spaces = [[os.readlink('/proc/%s/ns/%s' % (p, k)) for k in ('user', 'pid', 'net', 'ipc', 'mnt', 'uts')] for p in pids]
            except PermissionError as e:
                say('SKIP', 'two rooms share no namespace', 'this user may not look: %s' % e)
            else:
                judge(not set(spaces[0]) & set(spaces[1]), 'two rooms share no namespace', spaces)
            uids = [text('/proc/%s/status' % p).split('Uid:')[1].split()[0] for p in pids]
            if suite.facts['root']:
                judge(uids[0] != uids[1] and '0' not in uids, 'two rooms have uids of their own', uids)
            else:
                judge(uids == [str(os.geteuid())] * 2, 'a user\'s rooms have the user\'s own uid', uids)
    finally:
        for r in rooms:
            r.terminate()
            r.wait()
            r.stdout.close()
            r.stderr.close()
