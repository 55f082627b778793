"""inbound: published ports, and what a program could make of them. Standard library only; see run for the machine they live in."""
import errno
import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

import gate
from gate import ALLOW, EXT, HANG, PROGRAM, PYTHON, before, equal, has, patience, python, room, test, within

gate.tests.clear()  # these are a suite of their own
MANY = int(os.environ.get('INBOUND_CONNECTIONS', '1000'))
port = 20000

SERVER = ('import socket,sys,os,time,threading,hashlib,errno\n'
          'def listen(port, host="127.0.0.1", backlog=1024):\n'
          ' s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET); s.setsockopt(1, 2, 1); s.bind((host, port)); s.listen(backlog); return s\n'
          'def ready(): print("ready", flush=True)\n'
          'def each(s, f):\n'
          ' def one(c, a):\n  try: f(c, a)\n  except OSError: pass\n  finally: c.close()\n'
          ' while 1: threading.Thread(target=one, args=s.accept(), daemon=True).start()\n'
          'def echo(c, a):\n while 1:\n  d = c.recv(65536)\n  if not d: return\n  c.sendall(d)\n')


def strongroom(*words):
    return subprocess.run([*before, PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=HANG, cwd='/', text=True)


def fresh():
    global port
    port += 1
    return port


class Serving:
    """A room that serves, spoken to meanwhile."""
    def __init__(self, options, code, wait=True):
        self.record = tempfile.TemporaryFile()
        self.p = subprocess.Popen([*before, PROGRAM, 'run', '--result-fd', str(self.record.fileno()), '--prefer', 'files', '--files', '4096', *options, '--', PYTHON, '-uc',
                                   SERVER + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  pass_fds=[self.record.fileno()], cwd='/', text=True)
        if wait:
            equal(self.p.stdout.readline(), 'ready\n', self.p.poll())

    def end(self, kill=True):
        if kill:
            self.p.send_signal(signal.SIGTERM)
        out, err = self.p.communicate(timeout=HANG)
        with self.record as f:
            f.seek(0)
            text = f.read()
            return self.p.returncode, err, json.loads(text) if text else None


def connect(at, host='127.0.0.1', timeout=HANG):
    s = socket.create_connection((host, at), timeout)
    return s


def ask(at, words=b'hello', host='127.0.0.1', timeout=HANG):
    """What an echo says, and '' for one that is refused or cut."""
    try:
        with connect(at, host, timeout) as s:
            s.sendall(words)
            s.shutdown(socket.SHUT_WR)
            got = b''
            while True:
                d = s.recv(65536)
                if not d:
                    return got
                got += d
    except ConnectionError:
        return b''
    except OSError as e:  # cut between the two calls
        if e.errno != errno.ENOTCONN:
            raise
        return b''


def inbound(record):
    return [e for e in record['network']['events'] if e['kind'] == 'inbound']


# --- what it is for ---------------------------------------------------------------------------------------------------

@test
def a_server_is_reached_with_and_without_a_gate():
    for options in ([], ALLOW, ['--net', 'gate']):
        at = fresh()
        r = Serving([*options, '--publish', '%d:8000' % at], 's = listen(8000); ready()\neach(s, lambda c, a: c.sendall(c.recv(99) + (" from %s" % a[0]).encode()))')
        equal([ask(at), ask(at, b'again')], [b'hello from 127.0.0.1', b'again from 127.0.0.1'])
        status, err, record = r.end()
        equal([(e['verdict'], e['reason'], e['address'], e['port'], e['bytes_up'], e['bytes_down'], e['rule']) for e in inbound(record)],
              [('allowed', 'published', '127.0.0.1', 8000, 20, 5, None)] * 2, record)
        equal(record['network']['published'], [{'address': '127.0.0.1', 'port': at, 'room_port': 8000}])
        equal('gate' in record['receipt'], bool(options))
        has(record['receipt']['net']['note'], 'published: 127.0.0.1:%d->8000' % at)


@test
def while_the_room_reaches_out():
    at = fresh()
    r = Serving(['--allow', 'four.test:80', '--publish', '%d:80' % at], 's = listen(80 if os.getuid() == 0 else 8080) if 0 else listen(8080); ready()\neach(s, echo)', wait=True)
    equal(ask(at), b'')  # nobody listens at 80
    r.end()
    at = fresh()
    r = Serving(['--allow', 'four.test:80', '--publish', '%d:8080' % at], 's = listen(8080); ready()\ndef f(c, a):\n c.recv(9); o = socket.create_connection(("four.test", 80), 8)\n'
                ' o.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); c.sendall(o.recv(999))\neach(s, f)')
    has(ask(at).decode(), 'here is ' + EXT)
    record = r.end()[2]
    equal(sorted(e['kind'] for e in record['network']['events']), ['inbound', 'tcp'])


@test
def any_free_port_is_told():
    r = Serving(['--publish', '0:8000', '--publish', '[::1]:0:8000'], 's = listen(8000); ready()\neach(s, echo)')
    lines = [r.p.stderr.readline(), r.p.stderr.readline()]
    ports = [int(x.split(' leads to port 8000 of the room')[0].rsplit(':', 1)[1]) for x in lines]
    assert lines[0].startswith('strongroom: note: 127.0.0.1:') and lines[1].startswith('strongroom: note: [::1]:'), lines
    equal([ask(ports[0]), ask(ports[1], host='::1')], [b'hello'] * 2)
    record = r.end()[2]
    equal([x['port'] for x in record['network']['published']], ports)


@test
def a_room_that_lives_on():
    name, at = 'publishing', fresh()
    r = strongroom('run', '-d', '--name', name, '--publish', '%d:8000' % at, '--publish', '0:9000')
    equal((r.returncode, r.stdout), (0, name + '\n'), r)
    other = int(r.stderr.split(':')[3].split()[0])
    equal(ask(at), b'')
    p = subprocess.Popen([*before, PROGRAM, 'exec', name, '--', PYTHON, '-uc', SERVER + 's = listen(8000); ready()\neach(s, echo)'], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd='/')
    equal(p.stdout.readline(), b'ready\n')
    equal(ask(at), b'hello')
    told = '127.0.0.1:%d->9000 127.0.0.1:%d->8000' % (other, at)
    has(strongroom('ps').stdout, told)
    equal([x['published'] for x in json.loads(strongroom('ps', '--json').stdout) if x['name'] == name], [told])
    equal(strongroom('pause', name).returncode, 0)
    held = connect(at)  # the gate answers, the server does not
    held.sendall(b'late')
    equal(strongroom('resume', name).returncode, 0)
    equal(held.recv(9), b'late')
    held.close()
    equal(strongroom('rm', name).returncode, 0)
    p.wait(timeout=HANG)
    again = socket.socket()
    again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    again.bind(('127.0.0.1', at))  # it is free again
    again.close()


@test
def both_families_inside_and_out():
    at = fresh()
    r = Serving(['--publish', '[::1]:%d:8000' % at, '--publish', '%d:8001' % at], 's = listen(8000, "::1"); t = listen(8001, "0.0.0.0"); ready()\n'
                'threading.Thread(target=each, args=(t, lambda c, a: c.sendall(c.recv(99) + a[0].encode())), daemon=True).start()\neach(s, lambda c, a: c.sendall(c.recv(99) + a[0].encode()))')
    equal(ask(at, host='::1'), b'hello::1')
    equal(ask(at), b'hello127.0.0.1')
    equal(sorted(e['address'] for e in inbound(r.end()[2])), ['127.0.0.1', '::1'])


@test
def another_address_of_the_host_is_told():
    at = fresh()
    r = Serving(['--publish', '198.51.100.1:%d:8000' % at], 's = listen(8000); ready()\neach(s, echo)')
    equal(ask(at, host='198.51.100.1'), b'hello')
    equal(ask(at), b'')
    status, err, record = r.end()
    has(err, 'note: --publish 198.51.100.1:%d:8000: whoever reaches that address of this host reaches port 8000 of the room' % at)
    assert 'note: --publish' not in python(['--publish', '127.0.0.1:%d:8000' % fresh()], 'print(1)').err


@test
def files_have_the_key_and_projects_may_not():
    at = fresh()
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        open(d + '/p.yaml', 'w').write('publish:\n  - "%d:8000"\n' % at)
        r = Serving(['-p', d + '/p.yaml'], 's = listen(8000); ready()\neach(s, echo)')
        equal(ask(at), b'hello')
        r.end()
        has(strongroom('policy', 'show', '-p', d + '/p.yaml').stdout, 'publish:\n  - 127.0.0.1:%d:8000\n' % at)
        open(d + '/.strongroom.yaml', 'w').write('publish: ["%d:8000"]\n' % at)
        p = subprocess.run([*before, PROGRAM, 'run', '--', 'true'], cwd=d, stderr=subprocess.PIPE, text=True)
        equal(p.returncode, 125, p)
        has(p.stderr, 'may only tighten', p)


@test
def the_room_reads_which_ports():
    r = room(['--publish', '%d:8000' % fresh(), '--publish', '%d:9' % fresh()], ['cat', '/run/strongroom/policy.json'])
    equal(json.loads(r.out)['published'], [8000, 9], r)
    assert str(port) not in r.out, r


# --- bytes ------------------------------------------------------------------------------------------------------------

@test
def half_close_both_ways():
    at = fresh()
    r = Serving(['--publish', '%d:8000' % at], 's = listen(8000); ready()\ndef f(c, a):\n n = 0\n while 1:\n  d = c.recv(65536)\n  if not d: break\n  n += len(d)\n'
                ' c.sendall(b"%d bytes" % n)\neach(s, f)')
    equal(ask(at, b'x' * 3000000), b'3000000 bytes')
    r.end()
    at = fresh()
    r = Serving(['--publish', '%d:8000' % at], 's = listen(8000); ready()\ndef f(c, a):\n c.sendall(b"first"); c.shutdown(1); print(len(c.recv(99)), flush=True)\neach(s, f)')
    s = connect(at)
    equal((s.recv(99), s.recv(99)), (b'first', b''))
    s.sendall(b'after')
    s.close()
    equal(r.p.stdout.readline(), '5\n')
    r.end()


@test
def a_slow_reader_holds_up_nobody_else():
    at = fresh()
    size = 60000000
    r = Serving(['--publish', '%d:8000' % at], 's = listen(8000); ready()\nb = bytes(range(256)) * 4096\ndef f(c, a):\n if c.recv(1) == b"e": c.sendall(b"e"); return\n'
                ' n = 0\n while n < %d: n += c.send(b[n %% 256:n %% 256 + min(len(b) - 256, %d - n)])\neach(s, f)' % (size, size))
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    slow.settimeout(HANG)
    slow.connect(('127.0.0.1', at))
    slow.sendall(b's')
    time.sleep(0.5)
    gates = [int(x) for x in os.listdir('/proc') if x.isdigit() and 'strongroom-gate' in cmdline(x)]
    begin = time.time()
    equal([ask(at, b'e') for _ in range(20)], [b'e'] * 20)
    assert time.time() - begin < patience(2), 'others wait'
    equal(len(gates), 1)
    resident = int(next(x for x in open('/proc/%d/status' % gates[0]) if x.startswith('VmRSS')).split()[1])
    assert resident < 32768, 'the gate holds %d KiB' % resident
    h, got = hashlib.sha256(), 0
    while True:
        d = slow.recv(1 << 20)
        if not d:
            break
        h.update(d)
        got += len(d)
    equal(got, size)
    want = (bytes(range(256)) * (size // 256 + 1))[:size]
    equal(h.hexdigest(), hashlib.sha256(want).hexdigest())
    r.end()


def cmdline(pid):
    try:
        return open('/proc/%s/cmdline' % pid).read()
    except OSError:
        return ''


@test
def a_server_that_dies_cuts_its_connections():
    at = fresh()
    r = Serving(['--publish', '%d:8000' % at], 's = listen(8000)\npid = os.fork()\nif pid == 0:\n ready()\n each(s, echo)\ns.close(); os.waitpid(pid, 0)\nprint("gone", flush=True); sys.stdin.read()')
    held = [connect(at) for _ in range(5)]
    for s in held:
        s.sendall(b'x')
        equal(s.recv(1), b'x')
    # the child is the second program of its name; the room is told by its own
    r2 = [p for p in os.listdir('/proc') if p.isdigit() and SERVER[:40] in cmdline(p) and 'strongroom' not in cmdline(p).split('\0')[0]]
    os.kill(int(max(r2, key=int)), signal.SIGKILL)
    equal(r.p.stdout.readline(), 'gone\n')
    begin = time.time()
    for s in held:
        try:
            equal(s.recv(9), b'')
        except ConnectionResetError:
            pass
    equal(ask(at), b'')
    assert time.time() - begin < patience(2)
    status, err, record = r.end()
    told = inbound(record)
    equal(sorted(e['verdict'] for e in told), ['allowed'] * 5 + ['broken'])
    has(err, "strongroom: failed connection from 127.0.0.1 to the room's port 8000: Connection refused")


@test
def the_rooms_end_cuts_them():
    at = fresh()
    r = Serving(['--publish', '%d:8000' % at], 's = listen(8000); ready()\neach(s, echo)')
    s = connect(at)
    s.sendall(b'x')
    equal(s.recv(1), b'x')
    record = r.end()[2]
    try:
        equal(s.recv(9), b'')
    except ConnectionResetError:
        pass
    equal([(e['verdict'], e['bytes_up'], e['bytes_down']) for e in inbound(record)], [('allowed', 1, 1)])
    try:
        connect(at)
        assert False, 'somebody still listens'
    except ConnectionRefusedError:
        pass


@test
def a_gate_that_is_killed_cuts_them():
    at = fresh()
    r = Serving(['--publish', '%d:8000' % at], 's = listen(8000); ready()\neach(s, echo)')
    s = connect(at)
    s.sendall(b'x')
    equal(s.recv(1), b'x')
    os.kill(next(int(x) for x in os.listdir('/proc') if x.isdigit() and 'strongroom-gate' in cmdline(x)), signal.SIGKILL)
    try:
        equal(s.recv(9), b'')
    except ConnectionResetError:
        pass
    time.sleep(0.1)
    equal(r.p.poll(), None)  # the room goes on
    try:
        connect(at)
        assert False, 'somebody still listens'
    except ConnectionRefusedError:
        pass
    record = r.end()[2]
    equal(record['network']['gate_lost'], True)


@test
def nobody_listening_is_told_at_once():
    at = fresh()
    r = Serving(['--publish', '%d:8000' % at], 'ready(); sys.stdin.read()')
    begin = time.time()
    equal([ask(at) for _ in range(300)], [b''] * 300)  # none of them meets itself
    assert time.time() - begin < patience(5), time.time() - begin
    record = r.end()[2]
    told = [x for x in record['network']['peers'] if x['kind'] == 'inbound']
    equal([(x['verdict'], x['reason'], x['why']) for x in told], [('broken', 'unreachable', 'Connection refused')])
    assert told[0]['count'] + record['network']['untold'] == 300, told


# --- bounds -----------------------------------------------------------------------------------------------------------

@test
def a_thousand_at_once():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    at = fresh()
    r = Serving(['--publish', '%d:8000' % at, '--files', '4096', '--pids', '64'], 's = listen(8000); ready()\nimport select\np = select.epoll(); all = {}\np.register(s, 1)\n'
                'while 1:\n for fd, e in p.poll():\n  if fd == s.fileno():\n   c, a = s.accept(); all[c.fileno()] = c; p.register(c, 1)\n   continue\n'
                '  d = all[fd].recv(4096)\n  if d: all[fd].sendall(d)\n  else: p.unregister(fd); all.pop(fd).close()\n')
    begin = time.time()
    held = [connect(at, timeout=30) for _ in range(min(MANY, 1024))]
    for i, s in enumerate(held):
        s.sendall(b'%d' % i)
    for i, s in enumerate(held):
        equal(s.recv(9), b'%d' % i)
    print('     (%d connections in %.2f s)' % (len(held), time.time() - begin))
    over, cut = [], 0
    for _ in range(1024 - len(held) + 5):  # five more than there may be
        try:
            over.append(connect(at))
            over[-1].sendall(b'x')
            cut += over[-1].recv(1) != b'x'
        except ConnectionError:
            cut += 1
    equal(cut, 5)
    for s in held + over:
        s.close()
    within(5, lambda: ask(at) != b'hello', 'places that are not given back')
    begin = time.time()
    for _ in range(500):
        equal(ask(at), b'hello')
    print('     (%.2f ms for connect, echo and close)' % ((time.time() - begin) * 2))
    record = r.end()[2]
    n = sum(x['count'] for x in record['network']['peers'] if x['kind'] == 'inbound' and x['verdict'] == 'allowed')
    assert 1024 + 501 == n or 1000 < n < 1024 + 501 <= n + record['network']['untold'], (n, record['network']['untold'])
    has(str(record['network']['peers']), 'too many connections at once')
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@test
def a_taken_port_is_an_error_before_any_room():
    taken = socket.socket()
    taken.bind(('127.0.0.1', 0))
    taken.listen()
    at = taken.getsockname()[1]
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o777)
        for words in ([], ['--allow', 'a.test'], ['-d', '--name', 'unborn']):
            r = strongroom('run', *words, '--publish', '%d:80' % at, '--rw', d, '--', 'touch', d + '/ran')
            equal((r.returncode, r.stdout, os.listdir(d)), (125, '', []), r)
            has(r.stderr, "publish the room's port 80: listen at 127.0.0.1:%d: Address in use" % at, r)
            has(r.stderr, 'hint: choose another port, or 0', r)
    equal('unborn' in strongroom('ps', '-q').stdout, False)
    r = strongroom('run', '--publish', '203.0.113.9:%d:80' % fresh(), '--', 'true')
    has(r.stderr, "hint: that address is none of this host's", r)
    if before:
        has(strongroom('run', '--publish', '81:80', '--', 'true').stderr, "hint: ports below 1024 are root's")
    taken.close()


@test
def wrong_words_are_refused():
    for value, wanted in (('80', 'wanted a port of the host and a port of the room'), ('80:', 'wanted a port'), (':80', 'wanted a port'), ('80:0', 'wanted a port'), ('65536:80', 'wanted a port'),
                          ('080:80', 'wanted a port'), ('localhost:80:80', 'not an address'), ('1.2.3:80:80', 'not an address'), ('::1:80:80', 'not an address'), ('[::1:80:80', 'not an address'),
                          ('[::ffff:127.0.0.1]:80:80', 'not an address'), ('[127.0.0.1]:80:80', 'not an address'), ('1:2:3:4', 'not an address'), ('80:80/udp', 'wanted a port'), ('-1:80', 'wanted a port'),
                          ('0x50:80', 'wanted a port'), (' 80:80', 'wanted a port')):
        r = strongroom('run', '--publish', value, '--', 'true')
        equal(r.returncode, 125, r)
        has(r.stderr, wanted, (value, r))
        has(r.stderr, 'hint: ', r)
    r = strongroom('run', '--publish', '8080:80', '--publish', '8080:81', '--', 'true')
    has(r.stderr, 'leads elsewhere already', r)
    r = strongroom('run', '--net', 'host', '--publish', '8080:80', '--', 'true')
    equal(r.returncode, 125, r)
    has(r.stderr, "with --net host the room's servers listen on the host itself", r)
    has(strongroom('run', *[w for i in range(17) for w in ('--publish', '0:%d' % (i + 1))], '--', 'true').stderr, 'more than 16')


@test
def sixteen_ports():
    r = Serving([w for i in range(16) for w in ('--publish', '0:%d' % (8000 + i))], 'a = [listen(8000 + i) for i in range(16)]; ready()\n'
                'def f(i): each(a[i], lambda c, x: c.sendall(b"%d" % len(c.recv(9))))\nfor i in range(15): threading.Thread(target=f, args=(i,), daemon=True).start()\nf(15)')
    ports = [int(r.p.stderr.readline().split(' leads to')[0].rsplit(':', 1)[1]) for _ in range(16)]
    equal([ask(p, b'x' * (1 + i % 9)) for i, p in enumerate(ports)], [b'%d' % (1 + i % 9) for i in range(16)])
    equal(r.end()[2]['network']['published'][15]['room_port'], 8015)


# --- what a program makes of it ---------------------------------------------------------------------------------------

@test
def the_way_in_leads_no_way_out():
    secret = socket.socket()
    secret.bind(('127.0.0.1', 0))
    secret.listen()
    at, own = fresh(), secret.getsockname()[1]
    code = ('import json\ns = listen(8000); ready()\nc, a = s.accept(); c.recv(9)\nout = {}\n'
            'def t(f):\n try: return str(f())\n except OSError as e: return errno.errorcode.get(e.errno, str(e))\n'
            # the host's ports by any name, and back to where the connection seems to come from
            'for x in (("127.0.0.1", %d), ("127.0.0.1", %d), ("198.51.100.1", %d), ("::1", %d), ("::ffff:127.0.0.1", %d), a, ("198.18.0.1", %d)):\n'
            ' out["%%s:%%d" %% x[:2]] = t(lambda: socket.create_connection(x[:2], 1))\n'
            # the connection's own socket, made to connect elsewhere
            'd = c.dup()\nout["again"] = t(lambda: d.connect(("127.0.0.1", %d)))\n'
            'import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n'
            'n = libc.connect(d.fileno(), bytes(16), 16)\nout["unspec"] = n\nout["then"] = t(lambda: d.connect(("127.0.0.1", %d)))\n'
            'out["fds"] = sorted(os.listdir("/proc/self/fd"))\nout["peer"] = a[0]\n'
            'tcp = [l.split() for f in ("/proc/net/tcp", "/proc/net/tcp6") for l in open(f).readlines()[1:]]\n'
            'out["listening"] = sorted({int(x[1].split(":")[1], 16) for x in tcp if x[3] == "0A"})\n'
            'print(json.dumps(out), flush=True); sys.stdin.read()' % (own, at, own, own, own, own, own, own))
    r = Serving(['--publish', '%d:8000' % at], code)
    s = connect(at)
    s.sendall(b'go')
    out = json.loads(r.p.stdout.readline())
    secret.settimeout(0.3)
    try:
        secret.accept()
        assert False, 'the host was reached: %r' % out
    except TimeoutError:
        pass
    for key, got in out.items():
        if ':' in key:
            assert got in ('ECONNREFUSED', 'ENETUNREACH', 'EADDRNOTAVAIL', 'timed out', 'EHOSTUNREACH'), (key, out)
    assert out['then'] in ('ECONNREFUSED', 'EISCONN', 'EINVAL'), out
    equal(out['listening'], [8000], out)  # nothing of ours stands inside
    equal([x for x in out['fds'] if int(x) > 7], [], out)
    r.end()
    secret.close()


@test
def with_a_gate_neither():
    at = fresh()
    code = ('import json\ns = listen(8000); ready()\nc, a = s.accept(); c.recv(9)\nout = {}\n'
            'for x in (("127.0.0.1", %d), ("198.51.100.1", %d), ("%s", 80), ("10.9.8.7", 80)):\n try:\n  o = socket.create_connection(x, 2); o.settimeout(2); o.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); out[x[0]] = o.recv(99).decode()\n'
            ' except OSError as e: out[x[0]] = ""\nprint(json.dumps(out), flush=True); sys.stdin.read()' % (at, at, EXT))
    r = Serving([*ALLOW, '--publish', '%d:8000' % at], code)
    s = connect(at)
    s.sendall(b'go')
    equal(set(json.loads(r.p.stdout.readline()).values()), {''})
    equal(len(inbound(r.end()[2])), 1)


@test
def a_server_that_never_accepts_blocks_nobody():
    at = fresh()
    r = Serving(['--name', 'deaf', '--publish', '%d:8000' % at, '--publish', '%d:8001' % (at + 5000)], 's = listen(8000, backlog=0); t = listen(8001); ready()\neach(t, echo)')
    held = [connect(at) for _ in range(300)]  # most of them find the queue of the room full
    begin = time.time()
    equal([ask(at + 5000) for _ in range(20)], [b'hello'] * 20)
    has(strongroom('ps', '-q').stdout, 'deaf\n')
    assert time.time() - begin < patience(3), 'others wait'
    for s in held:
        s.close()
    r.end()


@test
def floods_and_leavers_cost_nothing_lasting():
    at = fresh()
    r = Serving(['--publish', '%d:8000' % at], 's = listen(8000); ready()\neach(s, echo)')
    gate_pid = next(int(x) for x in os.listdir('/proc') if x.isdigit() and 'strongroom-gate' in cmdline(x))
    linger = b'\1\0\0\0\0\0\0\0'

    def leave(n):
        for i in range(n):
            s = connect(at)
            if i % 2:
                s.sendall(b'x' * 100)
            if i % 3:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            s.close()
    leave(300)
    equal(ask(at), b'hello')
    time.sleep(0.5)
    before_fds = len(os.listdir('/proc/%d/fd' % gate_pid)) if os.access('/proc/%d/fd' % gate_pid, os.R_OK) else 0
    threads = [threading.Thread(target=leave, args=(400,)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(ask(at), b'hello')
    end = time.time() + 20  # the server in the room takes its time over 1,600 leavers; what never goes is a leak
    while True:
        after = len(os.listdir('/proc/%d/fd' % gate_pid)) if before_fds else 0
        if after <= before_fds + 64:
            break
        assert time.time() < end, (before_fds, after)
        time.sleep(0.1)
    r.end()


@test
def a_room_short_of_files_says_so():
    at = fresh()
    r = Serving(['--publish', '%d:8000' % at, '--files', '24'], 's = listen(8000); ready()\neach(s, echo)')
    equal([ask(at) for _ in range(50)], [b'hello'] * 50)
    r.end()


@test
def events_come_while_it_happens():
    at = fresh()
    read_end, write_end = os.pipe()
    p = subprocess.Popen([*before, PROGRAM, 'run', '-q', '--events', 'fd:%d' % write_end, '--publish', '%d:8000' % at, '--', PYTHON, '-uc',
                          SERVER + 's = listen(8000); ready()\neach(s, echo)'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=[write_end], cwd='/')
    os.close(write_end)
    p.stdout.readline()
    equal(ask(at), b'hello')
    with os.fdopen(read_end) as f:
        line = json.loads(f.readline())
        equal((line['event'], line['kind'], line['verdict'], line['port'], line['bytes_up']), ('network', 'inbound', 'allowed', 8000, 5))
        p.terminate()
        p.wait(timeout=HANG)
    p.stdout.close()
