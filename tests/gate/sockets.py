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
from gate import HANG, PROGRAM, PYTHON, before, equal, has, patience, room, test

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


def python(options, code):
    return room(options, [PYTHON, '-c', 'import socket,sys,os,time,errno,json,array,threading\n' + ASK + code])


def strongroom(*words):
    return subprocess.run([*before, PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=HANG, cwd='/', text=True)


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
               'print(sum(c.recv(9) == b"%%d" %% i for i, c in enumerate(a)))' % s.path)
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
    out, err = p.communicate(timeout=HANG)
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
               'b = time.time(); print(ask("/run/x").decode(), time.time() - b)')
    said, seconds = r.out.split()
    assert said == 'hello' and float(seconds) < patience(2), r
    has(r.err, 'failed connect to unix:%s' % s.path, r)
    s.end()
    other.end()


@test
def floods_and_leavers():
    s = Server()
    r = python(['--allow', 'unix:%s=/run/x' % s.path], 'def leave():\n for i in range(200):\n  c = socket.socket(socket.AF_UNIX)\n  try:\n   c.connect("/run/x")\n   if i % 2: c.sendall(b"x" * 100)\n  except OSError: pass\n  c.close()\n'
               'a = [threading.Thread(target=leave) for _ in range(4)]\nfor t in a: t.start()\nfor t in a: t.join()\ntime.sleep(0.5)\nprint(ask("/run/x").decode())')
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
    for where in ('', '=/run/y', '=/tmp/y', '=/run/strongroom/y', '=/run/strongroom/sockets/a/b', '=/run/strongroom/sockets/../y', '=/run/strongroom/sockets'):
        r = strongroom('allow', 'speaking', 'unix:' + other.path + where)
        equal(r.returncode, 125, (where, r))
        has(r.stderr, 'not a clean absolute path' if '..' in where else 'in a room that lives, a socket can appear in /run/strongroom/sockets only', (where, r))
        has(r.stderr, 'hint: ' if '..' in where else 'hint: name its place there: unix:%s=/run/strongroom/sockets/%s' % (other.path, os.path.basename(other.path)), (where, r))
    equal(strongroom('allow', 'speaking', rule).returncode, 0)
    equal(say('ask'), 'hello')
    equal(strongroom('deny', 'speaking', 'unix:' + s.path).returncode, 0)
    assert say('ask') in ('cut', 'EPIPE', 'ECONNRESET')
    has(strongroom('rules', 'speaking').stdout, 'deny unix:%s\n' % s.path)
    out, err = p.communicate(timeout=HANG)
    equal(p.returncode, 0, err)
    equal(len(other.peers), 0)
    s.end()
    other.end()


def is_whole_root():
    return os.geteuid() == 0 and open('/proc/self/uid_map').read().split()[2] == '4294967295'


LATE = '/run/strongroom/sockets/'


class Talk:
    """A room with a name that does what it is told, one line each."""
    def __init__(self, name, *options):
        code = ('held = []\nfor w in sys.stdin:\n try: print(eval(w), flush=True)\n except OSError as e: print(errno.errorcode.get(e.errno, str(e)), flush=True)\n'
                ' except BaseException as e: print(repr(e), flush=True)\n')
        hold = 'def hold(path):\n c = socket.socket(socket.AF_UNIX); c.settimeout(5); c.connect(path); c.sendall(b"x"); held.append(c); return c.recv(1)\n'
        self.p = subprocess.Popen([*before, PROGRAM, 'run', '--name', name, *options, '--', PYTHON, '-uc', 'import socket,sys,os,errno,json\n' + ASK + hold + code],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd='/')
        equal(self.say('1'), '1')

    def say(self, words):
        self.p.stdin.write(words + '\n')
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind:
            self.p.kill()
        out, err = self.p.communicate(timeout=HANG)
        if not kind:
            equal((self.p.returncode, out), (0, ''), err)


def does(*words):
    r = strongroom(*words)
    equal(r.returncode, 0, r)
    return r.stdout


@test
def a_socket_comes_and_goes_while_the_room_lives():
    s, other = Server(), Server()
    with Talk('late', '--net', 'gate') as room:
        rule = 'unix:%s=%sdb.sock' % (s.path, LATE)
        equal(room.say('os.listdir("%s")' % LATE), '[]')
        has(does('allow', 'late', rule), rule)
        equal(room.say('os.listdir("%s")' % LATE), "['db.sock']")
        equal(room.say('ask("%sdb.sock")' % LATE), "b'hello'")
        equal(room.say('ask("%sdb.sock", b"x" * 100000) == b"x" * 100000' % LATE), 'True')
        equal(room.say('hold("%sdb.sock")' % LATE), "b'x'")
        assert s.peers[-1][1] == 4242 if before else s.peers[-1][1] >= 0x70000000 or not is_whole_root(), s.peers
        has(room.say('json.load(open("/run/strongroom/policy.json"))["rules"]'), 'unix:%sdb.sock' % LATE)
        assert s.path not in room.say('json.dumps([open("/run/strongroom/policy.json").read(), dict(os.environ)])')
        has(strongroom('allow', 'late', 'unix:%s=%sdb.sock' % (other.path, LATE)).stderr, 'the room has a socket %sdb.sock already' % LATE)
        room.say('globals().update(f=os.open("%sdb.sock", os.O_PATH))' % LATE)  # what it has open of the file leads nowhere, too
        has(does('withdraw', 'late', rule), '(1 connection cut)')
        equal(room.say('ask("/proc/self/fd/%d" % f)'), "b'ECONNREFUSED'")
        assert room.say('held[0].recv(1)') in ("b''", 'ECONNRESET')
        equal(room.say('os.listdir("%s")' % LATE), '[]')
        equal(room.say('ask("%sdb.sock")' % LATE), "b'ENOENT'")
        does('allow', 'late', rule)  # again, and another one under that name after it
        equal(room.say('ask("%sdb.sock")' % LATE), "b'hello'")
        does('withdraw', 'late', rule)
        before_other = len(s.peers)
        does('allow', 'late', 'unix:%s=%sdb.sock max-conns=1' % (other.path, LATE))
        equal(room.say('ask("%sdb.sock")' % LATE), "b'hello'")
        equal((len(other.peers), len(s.peers)), (1, before_other))
        does('deny', 'late', 'unix:' + other.path)
        assert room.say('ask("%sdb.sock")' % LATE) in ("b''", "b'EPIPE'", "b'ECONNRESET'")
    s.end()
    other.end()


@test
def the_place_of_late_sockets_is_closed_to_the_room():
    s = Server()
    with Talk('late', '--allow', 'unix:%s=%sfirst' % (s.path, LATE), '--allow', 'a.test:1') as room:
        equal(room.say('ask("%sfirst")' % LATE), "b'hello'")
        does('allow', 'late', 'unix:%s=%ssecond' % (s.path, LATE))
        for what, wanted in (('os.unlink("%ssecond")', ('EROFS',)), ('os.rename("%ssecond", "%sx")', ('EROFS', 'EACCES')), ('os.symlink("/x", "%sx")', ('EROFS',)), ('os.chmod("%ssecond", 0)', ('EROFS', 'EPERM')),
                             ('socket.socket(socket.AF_UNIX).bind("%sx")', ('EROFS',)), ('os.mkdir("%sx")', ('EROFS',)), ('os.chmod("%s", 0o777)', ('EROFS', 'EPERM')), ('os.link("%ssecond", "/tmp/x")', ('EXDEV', 'EROFS', 'EACCES', 'EPERM')),
                             ('os.rename("/run/strongroom/sockets", "/run/strongroom/x%.0s")', ('EBUSY', 'EROFS', 'EXDEV', 'EACCES'))):
            said = room.say(what % ((LATE,) * what.count('%')))
            assert said in wanted, (what, said)
        equal(room.say('sorted(os.listdir("/work") + os.listdir("/tmp") + os.listdir("/dev/shm"))'), '[]')
        equal(room.say('ask("%sfirst") + ask("%ssecond")' % (LATE, LATE)), "b'hellohello'")
        does('withdraw', 'late', 'unix:%s=%sfirst' % (s.path, LATE))  # was there from the beginning: stays, and leads nowhere
        equal(room.say('os.listdir("%s")' % LATE).count('first'), 1)
        assert room.say('ask("%sfirst")' % LATE) in ("b''", "b'EPIPE'", "b'ECONNRESET'")
        equal(room.say('ask("%ssecond")' % LATE), "b'hello'")
    s.end()


@test
def late_sockets_have_their_bound_and_give_their_places_back():
    s = Server()
    with Talk('late', '--net', 'gate') as room:
        for _ in range(12):  # more than slots, one after another
            for i in range(8):
                does('allow', 'late', 'unix:%s=%s%d' % (s.path, LATE, i)) if i < 1 or _ == 0 else None
            if _ == 0:
                has(strongroom('allow', 'late', 'unix:%s=%snine' % (s.path, LATE)).stderr, 'this room has 8 sockets, which is all that may be')
                for i in range(1, 8):
                    equal(room.say('ask("%s%d")' % (LATE, i)), "b'hello'")
                    does('withdraw', 'late', 'unix:%s=%s%d' % (s.path, LATE, i))
            equal(room.say('ask("%s0")' % LATE), "b'hello'")
            does('withdraw', 'late', 'unix:%s=%s0' % (s.path, LATE))
        for path, wanted in ((top + '/none', 'No such file'), ('/dev/null', 'Not a socket')):
            r = strongroom('allow', 'late', 'unix:%s=%sx' % (path, LATE))
            equal(r.returncode, 125, r)
            has(r.stderr, wanted, r)
        equal(room.say('os.listdir("%s")' % LATE), '[]')
    s.end()


@test
def where_the_policy_shows_something_no_socket_comes_late():
    s = Server()
    with Talk('late', '--net', 'gate', '--tmpfs', '/run/strongroom/sockets') as room:
        r = strongroom('allow', 'late', 'unix:%s=%sx' % (s.path, LATE))
        equal(r.returncode, 125, r)
        has(r.stderr, 'this room has no place for sockets that come while it lives', r)
    s.end()


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
    assert ended.wait(HANG)
    s.end()
