"""sockets: programs of a room and socket files of the host's. Standard library only; see run for the machine they live in."""
import array
import hashlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import gate
from gate import PROGRAM, PYTHON, before, equal, has, room, test

gate.tests.clear()  # these are a suite of their own
top = tempfile.mkdtemp(prefix='gate-sockets-')
os.chmod(top, 0o777)
number = 0


class Server(threading.Thread):
    """Answers at a socket file; what it sees of each client is kept."""
    def __init__(self, path=None, answer=None, backlog=512, listens=True):
        super().__init__(daemon=True)
        global number
        number += 1
        self.path = path or '%s/s%d' % (top, number)
        self.answer = answer or self.echo
        self.peers, self.fds, self.held = [], [], []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(self.path)
        os.chmod(self.path, 0o777)
        self.sock.listen(backlog)
        if listens:
            self.start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            self.peers.append(struct.unpack('3i', c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        try:
            self.answer(c)
        except OSError:
            pass
        finally:
            c.close()

    def echo(self, c):
        while True:
            d, fds, _, _ = socket.recv_fds(c, 65536, 8)
            self.fds += fds
            if not d:
                return
            c.sendall(d)

    def end(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        os.unlink(self.path)


def python(options, code, limit=40):
    return room(options, [PYTHON, '-c', 'import socket,sys,os,time,errno,json,array,threading\n' + ASK + code], limit)


def strongroom(*words, limit=20):
    return subprocess.run([*before, PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit, cwd='/', text=True)


ASK = ('def ask(path, words=b"hello", timeout=8):\n try:\n  s = socket.socket(socket.AF_UNIX); s.settimeout(timeout); s.connect(path); s.sendall(words); s.shutdown(1); b = b""\n'
       '  while 1:\n   d = s.recv(65536)\n   if not d: return b\n   b += d\n except OSError as e: return errno.errorcode.get(e.errno, str(e)).encode()\n')


def told(r):
    return [(e['verdict'], e['kind'], e['name'], e['reason'], e['bytes_up'], e['bytes_down']) for e in r.record['network']['events']]


# --- what it is for ---------------------------------------------------------------------------------------------------

@test
def a_socket_is_reached_under_its_own_path_and_another():
    s = Server()
    for where in ('', '=/run/db/a.sock', '=/tmp/a.sock', '=/work/deep/er/a.sock', '=/dev/shm/a', '=/a.sock', '=/var/lib/x/a.sock'):
        r = python(['--allow', 'unix:' + s.path + where], 'print(ask("%s").decode())' % (where[1:] or s.path))
        equal(r.out, 'hello\n', r)
        equal(told(r), [('allowed', 'unix', s.path, 'rule', 5, 5)], r)
        equal(r.record['network']['events'][0]['rule'], 'unix:' + s.path + where, r)
    r = python(['--tmpfs', '/scratch', '--allow', 'unix:%s=/scratch/a.sock' % s.path], 'print(ask("/scratch/a.sock").decode())')
    equal(r.out, 'hello\n', r)
    s.end()


@test
def the_server_sees_the_rooms_own_user():
    s = Server()
    r = python(['--allow', 'unix:%s' % s.path], 'print(ask("%s").decode())' % s.path)
    equal(r.out, 'hello\n', r)
    uid = 4242 if before else r.record['host_uid']
    equal([p[1] for p in s.peers], [uid], r)
    if not before and os.geteuid() == 0 and r.record['host_uid'] >= 0x70000000:
        assert s.peers[0][1] != 0 and s.peers[0][2] != 0, s.peers
        os.chmod(s.path, 0o700)  # root's alone: not the room's
        r = python(['--allow', 'unix:%s' % s.path], 'print(ask("%s").decode())' % s.path)
        has(r.err, 'failed connect to unix:%s: Permission denied' % s.path, r)
        equal(len(s.peers), 1)
    s.end()


@test
def bytes_and_ends_pass_both_ways():
    want = hashlib.sha256(bytes(range(256)) * 65536).hexdigest()

    def answer(c):
        h = hashlib.sha256()
        while True:
            d = c.recv(65536)
            if not d:
                break
            h.update(d)
        c.sendall(h.hexdigest().encode())
        c.sendall(bytes(range(256)) * 65536)
    s = Server(answer=answer)
    r = python(['--allow', 'unix:%s' % s.path], 'import hashlib\nb = ask("%s", bytes(range(256)) * 65536, 20)\nprint(b[:64].decode(), hashlib.sha256(b[64:]).hexdigest())' % s.path)
    equal(r.out.split(), [want, want], r)
    equal(told(r), [('allowed', 'unix', s.path, 'rule', 1 << 24, (1 << 24) + 64)], r)
    s.end()


@test
def many_connections_at_once():
    s = Server()
    r = python(['--allow', 'unix:%s' % s.path, '--files', '2000', '--prefer', 'files'], 'a = []\nfor i in range(300):\n c = socket.socket(socket.AF_UNIX); c.settimeout(20); c.connect("%s"); c.sendall(b"%%d" %% i); a.append(c)\n'
               'print(sum(c.recv(9) == b"%%d" %% i for i, c in enumerate(a)))' % s.path, 60)
    equal(r.out, '300\n', r)
    s.end()


@test
def eight_sockets_and_no_more():
    all = [Server() for _ in range(9)]
    r = python([w for s in all[:8] for w in ('--allow', 'unix:' + s.path)], 'for p in %r: print(ask(p, p.encode()).decode())' % [s.path for s in all[:8]])
    equal(r.out.split(), [s.path for s in all[:8]], r)
    r = strongroom('run', *[w for s in all for w in ('--allow', 'unix:' + s.path)], '--', 'true')
    equal(r.returncode, 125, r)
    has(r.stderr, 'more than 8 sockets', r)
    for s in all:
        s.end()


@test
def bounds_hold():
    s = Server()
    r = python(['--allow', 'unix:%s max-conns=2' % s.path], 'a = []\nfor i in range(4):\n c = socket.socket(socket.AF_UNIX); c.settimeout(5); c.connect("%s")\n try: c.sendall(b"x"); a.append(c.recv(1) == b"x")\n'
               ' except OSError: a.append(False)\n a.append(c)\nprint(a[0::2])' % s.path)
    equal(r.out, '[True, True, False, False]\n', r)
    has(r.err, 'too many connections are open for the rule unix:%s max-conns=2' % s.path, r)
    r = python(['--allow', 'unix:%s max-bytes=1k' % s.path], 'print(len(ask("%s", b"x" * 100)), len(ask("%s", b"x" * 5000)) < 5000)' % (s.path, s.path))
    equal(r.out, '100 True\n', r)
    s.end()


@test
def files_and_why_know_them():
    s = Server()
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        open(d + '/p.yaml', 'w').write('allow:\n  - "unix:%s=/run/x.sock"\n' % s.path)
        r = python(['-p', d + '/p.yaml'], 'print(ask("/run/x.sock").decode())')
        equal(r.out, 'hello\n', r)
        r = strongroom('why', 'unix:' + s.path, '-p', d + '/p.yaml')
        equal(r.returncode, 0, r)
        has(r.stdout, 'unix:%s: allowed by --allow unix:%s=/run/x.sock' % (s.path, s.path), r)
        r = strongroom('why', 'unix:' + s.path, '-p', d + '/p.yaml', '--net', 'gate', '--allow', 'a.test')
        equal(r.returncode, 0, r)
        r = strongroom('why', 'unix:/other', '-p', d + '/p.yaml')
        equal(r.returncode, 1, r)
        has(r.stdout, 'unix:/other: denied: no rule allows it; allow with: --allow unix:/other', r)
    r = strongroom('run', '--allow', 'unix:' + s.path, '--deny', 'unix:' + s.path, '--', 'true')
    has(r.stderr, 'can never match', r)
    s.end()


# --- where it leads ---------------------------------------------------------------------------------------------------

@test
def a_server_may_begin_anew():
    s = Server()
    code = ('print(ask("/run/s").decode(), flush=True); sys.stdin.readline()\nprint(ask("/run/s").decode(), flush=True); sys.stdin.readline()\nprint(ask("/run/s").decode(), flush=True); sys.stdin.readline()\n'
            'print(ask("/run/s").decode(), flush=True)')
    p = subprocess.Popen([*before, PROGRAM, 'run', '--allow', 'unix:%s=/run/s' % s.path, '--', PYTHON, '-uc', 'import socket,sys,os,errno\n' + ASK + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, cwd='/')

    def step(wanted):
        p.stdin.write('\n')
        p.stdin.flush()
        return p.stdout.readline()
    equal(p.stdout.readline(), 'hello\n')
    s.end()
    first = step('')
    again = Server(s.path)
    second = step('')
    again.end()
    other = Server()
    os.symlink(other.path, s.path)
    third = step('')
    out, err = p.communicate(timeout=20)
    assert first != 'hello\n' and second == 'hello\n' and third != 'hello\n', (first, second, third, err)
    equal(other.peers, [])
    has(err, 'failed connect to unix:%s: No such file or directory' % s.path)
    has(err, 'failed connect to unix:%s: Symbolic link loop' % s.path)
    os.unlink(s.path)
    other.end()


@test
def wrong_paths_are_refused_before_there_is_a_room():
    s = Server()
    os.mkdir(top + '/folder')
    open(top + '/file', 'w').close()
    os.symlink(s.path, top + '/link')
    ok = 'unix:' + s.path
    for rule, wanted in (('unix:' + top + '/none', 'open the socket for the room: %s/none: No such file' % top), ('unix:/no/such/folder/s', 'No such file'), ('unix:' + top + '/folder', 'Not a socket'),
                         ('unix:' + top + '/file', 'Not a socket'), ('unix:' + top + '/link', 'it is a symbolic link'), ('unix:@abstract', 'abstract sockets have no file'), ('unix:relative', 'not a clean absolute path of a socket'),
                         ('unix:', 'not a clean absolute path of a socket'), ('unix:/', 'not a clean'), ('unix:/a/../b', 'not a clean'), ('unix://a', 'not a clean'), ('unix:/a/', 'not a clean'), (ok + '=', 'not a clean absolute path in the room'),
                         (ok + '=x', 'path in the room'), (ok + '=/a/../b', 'path in the room'), (ok + '=/' + 'x' * 120, 'too long'), (ok + '=/proc/x', "is the room's own"), (ok + '=/usr/lib/x.sock', 'that place is taken'),
                         (ok + '=/tmp', 'that place is taken'), (ok + '=/run', 'that place is taken'), (ok + '=/etc/ssl/certs/x', 'that place is taken'), (ok + ' tls', 'is not looked at'), (ok + ' internal', 'internal is for names'),
                         (ok + ' http=GET:/x', 'http= is for names'), (ok + ':80', 'No such file')):
        r = strongroom('run', '--allow', rule, '--', 'echo', 'RAN')
        equal((r.returncode, r.stdout), (125, ''), (rule, r))
        has(r.stderr, wanted, (rule, r))
        has(r.stderr, 'hint: ', (rule, r))
    r = strongroom('run', '--allow', ok + '=/run/a', '--allow', 'unix:%s/file=/run/a' % top, '--', 'true')
    has(r.stderr, 'another socket has that place in the room', r)
    r = strongroom('run', '--allow', ok + '=/run/a', '--allow', 'unix:%s/file=/run/a/b' % top, '--', 'true')
    has(r.stderr, 'another socket has that place in the room', r)
    r = strongroom('run', '--ro', top, '--allow', ok, '--', 'true')  # nothing is made in folders of the host's
    has(r.stderr, 'that place is taken', r)
    equal(s.peers, [])
    s.end()
    shutil.rmtree(top + '/folder')
    os.unlink(top + '/link')


@test
def the_room_is_not_told_where_the_host_has_it():
    s = Server()
    r = room(['--allow', 'unix:%s=/run/x.sock' % s.path], ['sh', '-c', 'cat /run/strongroom/policy.json; ls -R /run; env; cat /proc/self/mountinfo /proc/net/unix'])
    has(r.out, '"unix:/run/x.sock"', r)
    assert top not in r.out, r
    s.end()


# --- what a program makes of it ---------------------------------------------------------------------------------------

@test
def no_descriptor_passes_in_either_direction():
    secret = open('/etc/hostname')

    def answer(c):
        d, fds, flags, _ = socket.recv_fds(c, 100, 8)
        got.append((d, len(fds)))
        socket.send_fds(c, [b'a file'], [secret.fileno()])
        c.recv(9)
    got = []
    s = Server(answer=answer)
    r = python(['--allow', 'unix:' + s.path], 'c = socket.socket(socket.AF_UNIX); c.settimeout(8); c.connect("%s")\n'
               'socket.send_fds(c, [b"here"], [os.open("/", os.O_RDONLY), 0, 1])\nd, fds, flags, _ = socket.recv_fds(c, 100, 8)\nprint(d.decode(), len(fds))' % s.path)
    equal(r.out, 'a file 0\n', r)
    equal(got, [(b'here', 0)], r)
    s.end()


@test
def nor_do_claims_of_who_speaks():
    def answer(c):
        c.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        d, control, _, _ = c.recvmsg(100, 256)
        got.append([struct.unpack('3i', x[2])[1] for x in control if x[1] == socket.SCM_CREDENTIALS])
        c.sendall(b'done')
    got = []
    s = Server(answer=answer)
    r = python(['--allow', 'unix:' + s.path], 'import struct\nc = socket.socket(socket.AF_UNIX); c.settimeout(8); c.connect("%s"); time.sleep(0.3)\n'
               'c.sendmsg([b"me"], [(socket.SOL_SOCKET, 2, struct.pack("3i", os.getpid(), os.getuid(), os.getgid()))]); print(c.recv(9).decode())' % s.path)
    equal(r.out, 'done\n', r)
    own = 4242 if before else r.record['host_uid']  # others than root have one user, which is the gate's, too
    equal(len(got), 1)
    assert got[0] and (before or got[0][0] != own), (got, own)
    s.end()


@test
def nothing_else_is_opened():
    s, other = Server(), Server()
    r = python(['--allow', 'unix:%s=/run/x.sock' % s.path], 'def t(f):\n try: f(); return "REACHED"\n except OSError as e: return errno.errorcode.get(e.errno, str(e))\n'
               'def c(kind, path): socket.socket(socket.AF_UNIX, kind).connect(path)\n'
               'print(t(lambda: c(1, "%s")), t(lambda: c(1, "%s")), t(lambda: c(2, "/run/x.sock")), t(lambda: c(5, "/run/x.sock")), t(lambda: os.unlink("/run/x.sock")), t(lambda: os.rename("/run/x.sock", "/run/y")),'
               ' t(lambda: os.symlink("/x", "/run/y")), t(lambda: socket.create_connection(("198.51.100.7", 80), 3)), t(lambda: socket.getaddrinfo("four.test", 80)), t(lambda: open("/run/x.sock", "w")))\nprint(ask("/run/x.sock").decode())' % (s.path, other.path))
    words = r.out.split()
    equal(words[-1], 'hello', r)
    equal(words[:7], ['ENOENT', 'ENOENT', 'EPROTOTYPE', 'EPROTOTYPE', 'EROFS', 'EROFS', 'EROFS'], r)
    assert 'REACHED' not in words, r
    equal((len(s.peers), len(other.peers)), (1, 0))
    s.end()
    other.end()


@test
def a_server_that_takes_nobody_blocks_nobody():
    s, other = Server(backlog=0, listens=False), Server()
    r = python(['--allow', 'unix:%s=/run/deaf' % s.path, '--allow', 'unix:%s=/run/x' % other.path], 'a = []\nfor i in range(50):\n c = socket.socket(socket.AF_UNIX); c.settimeout(5); c.connect("/run/deaf"); a.append(c)\n'
               'b = time.time(); print(ask("/run/x").decode(), time.time() - b < 2)')
    equal(r.out, 'hello True\n', r)
    has(r.err, 'failed connect to unix:%s' % s.path, r)
    s.end()
    other.end()


@test
def floods_and_leavers():
    s = Server()
    r = python(['--allow', 'unix:%s=/run/x' % s.path], 'def leave():\n for i in range(200):\n  c = socket.socket(socket.AF_UNIX)\n  try:\n   c.connect("/run/x")\n   if i % 2: c.sendall(b"x" * 100)\n  except OSError: pass\n  c.close()\n'
               'a = [threading.Thread(target=leave) for _ in range(4)]\nfor t in a: t.start()\nfor t in a: t.join()\ntime.sleep(0.5)\nprint(ask("/run/x").decode())', 60)
    equal(r.out, 'hello\n', r)
    s.end()


# --- while the room lives ---------------------------------------------------------------------------------------------

@test
def withdrawing_cuts_and_what_was_withdrawn_can_come_back():
    s, other = Server(), Server()
    rule = 'unix:%s=/run/x' % s.path
    code = ('held = socket.socket(socket.AF_UNIX); held.settimeout(5); held.connect("/run/x"); held.sendall(b"x"); held.recv(1)\nprint("ready", flush=True)\nfor w in sys.stdin:\n'
            ' if w == "held\\n":\n  try: print("gone" if held.recv(1) == b"" else "?", flush=True)\n  except OSError as e: print("gone" if e.errno == 104 else e, flush=True)\n'
            ' else: print(ask("/run/x").decode() or "cut", flush=True)\n')
    p = subprocess.Popen([*before, PROGRAM, 'run', '--name', 'speaking', '--allow', rule, '--', PYTHON, '-uc', 'import socket,sys,os,errno\n' + ASK + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, cwd='/')

    def say(word):
        p.stdin.write(word + '\n')
        p.stdin.flush()
        return p.stdout.readline().strip()
    equal(p.stdout.readline(), 'ready\n')
    equal(say('ask'), 'hello')
    r = strongroom('withdraw', 'speaking', rule)
    has(r.stdout, '(1 connection cut)', r)
    equal(say('held'), 'gone')
    assert say('ask') in ('cut', 'EPIPE', 'ECONNRESET')
    r = strongroom('allow', 'speaking', 'unix:%s=/run/y' % other.path)
    equal(r.returncode, 125, r)
    has(r.stderr, 'sockets are opened when the room begins', r)
    equal(strongroom('allow', 'speaking', rule).returncode, 0)
    equal(say('ask'), 'hello')
    equal(strongroom('deny', 'speaking', 'unix:' + s.path).returncode, 0)
    assert say('ask') in ('cut', 'EPIPE', 'ECONNRESET')
    has(strongroom('rules', 'speaking').stdout, 'deny unix:%s\n' % s.path)
    out, err = p.communicate(timeout=20)
    equal(p.returncode, 0, err)
    equal(len(other.peers), 0)
    s.end()
    other.end()


@test
def the_rooms_end_closes_them():
    ended = threading.Event()

    def answer(c):
        c.sendall(b'x')
        try:
            c.recv(9)
        finally:
            ended.set()
    s = Server(answer=answer)
    r = python(['--allow', 'unix:' + s.path], 'c = socket.socket(socket.AF_UNIX); c.connect("%s"); print(c.recv(1))\nos._exit(0)' % s.path)
    equal(r.status, 0, r)
    assert ended.wait(3)
    s.end()
