"""attacks: what a hostile room, a hostile network and an odd host try at the gate. Run by run, in the machine of gate.py."""
import os
import socket
import subprocess
import threading
import time

from gate import ALLOW, EXT, HANG, PROGRAM, PYTHON, TELL, TRY, arrivals, before, curl, equal, has, here, in_time, patience, python, test, told, within
import gate


# --- an odd host ------------------------------------------------------------------------------------------------------

@test
def resolv_conf_may_be_a_link():
    """As systemd-resolved and resolvconf make it."""
    work = gate.folder + '/etc-over'
    os.makedirs(work + '/up')
    os.makedirs(work + '/work')
    script = ('mount -t overlay over -o lowerdir=/etc,upperdir=%s/up,workdir=%s/work /etc && cd /etc && rm -f resolv.conf hosts && '
              'ln -s %s/resolv.conf resolv.conf && ln -s %s/hosts hosts && exec "$@"' % (work, work, gate.folder, gate.folder))
    kept = list(before)
    before[:0] = ['unshare', '--mount', 'sh', '-ec', script, 'sh']
    try:
        here(curl(['--allow', 'four.test:80'], 'http://four.test/'), '')
    finally:
        before[:] = kept


@test
def a_resolver_may_be_one_of_a_link():
    number = socket.if_nametoindex('outside')
    for zone, reached in (('outside', True), (str(number), True), ('lo', False)):
        conf = gate.folder + '/link.conf'
        open(conf, 'w').write('nameserver fe80::53%%%s\n' % zone)
        kept = list(before)
        before[:0] = ['unshare', '--mount', 'sh', '-ec', 'mount --bind %s %s; exec "$@"' % (conf, os.path.realpath('/etc/resolv.conf')), 'sh']
        try:
            r = curl(['--allow', 'four.test:80'], 'http://four.test/')
        finally:
            before[:] = kept
        equal('here is' in r.out, reached, r)


# --- addresses --------------------------------------------------------------------------------------------------------

class Listeners:
    """Servers of the host that nobody may reach."""

    def __init__(self, *addresses):
        self.sockets = [socket.create_server(a, family=socket.AF_INET6 if ':' in a[0] else socket.AF_INET) for a in addresses]

    def __enter__(self):
        return self

    def __exit__(self, *what):
        came = []
        for s in self.sockets:
            s.setblocking(False)
            try:
                s.accept()
                came.append(s.getsockname())
            except BlockingIOError:
                pass
            s.close()
        if what[0] is None:
            assert not came, 'the host was reached at %s' % came


@test
def the_hosts_own_addresses_are_refused():
    names = ['own.test', 'own2.test', 'own6.test', 'own66.test', 'broad.test']
    with Listeners(('0.0.0.0', 80), ('2001:db8:57::1', 80), ('2001:db8:57::2', 80)):
        r = python([w for n in names for w in ('--allow', n + ':80')], TRY + 'for n in %r: print(t(n, 80))' % names)
        equal(r.out.split(), ['refused'] * 5, r)


@test
def the_hosts_own_addresses_by_rule():
    with socket.create_server(('198.51.100.2', 80)) as s:
        r = python(['--allow', 'own2.test:80 internal'], 's = socket.create_connection(("own2.test", 80), 4); s.sendall(b"x"); time.sleep(0.3); print("sent")')
        equal(r.out, 'sent\n', r)
        s.setblocking(False)
        s.accept()[0].close()


@test
def a_network_of_everything_does_not_open_the_host():
    with Listeners(('0.0.0.0', 80), ('::1', 80)):
        r = python(['--allow', '0.0.0.0/0:80', '--allow', '[::/0]:80'], TRY + 'for a in ("169.254.169.254", "10.9.8.7", "%s", "2001:db8:57::7"): print(t(a, 80))' % EXT)
        equal(r.out.split(), ['refused', 'refused', 'REACHED', 'REACHED'], r)


@test
def a_network_does_not_open_the_hosts_own_public_addresses():
    """Neither one that lists everything nor the host's own, nor does a name lead there; an address by itself does."""
    for rules in (['0.0.0.0/0:80', '[::/0]:80'], ['198.51.100.0/24:80', '[2001:db8:57::/64]:80']):
        with Listeners(('0.0.0.0', 80), ('2001:db8:57::1', 80)):
            r = python([w for x in rules + ['own.test:80', 'own6.test:80'] for w in ('--allow', x)],
                       TRY + 'for a in ("198.51.100.1", "198.51.100.2", "2001:db8:57::1", "own.test", "own6.test", "%s"): print(t(a, 80))' % EXT)
        equal(r.out.split(), ['refused'] * 5 + ['REACHED'], r)
        has(r.err, "denied connect to 198.51.100.1:80: it is this host's own, which no network opens that a rule lists; allow with: --allow 198.51.100.1:80", r)
    with socket.create_server(('198.51.100.2', 80)) as s:
        r = python(['--allow', '0.0.0.0/0:80', '--allow', '198.51.100.2:80'], 's = socket.create_connection(("198.51.100.2", 80), 4); s.sendall(b"x"); print("sent")')
        equal(r.out, 'sent\n', r)


# --- a hostile or odd network -----------------------------------------------------------------------------------------

@test
def long_answers_come_over_tcp():
    since = len(told)
    here(curl(['--allow', 'long.test:80'], 'http://long.test/'), EXT + ':80')
    assert ['dns', 'tcp', 'long.test', '1'] in arrivals('dns', since), told[since:]


@test
def a_resolver_that_lowers_letters_is_asked_over_tcp():
    since = len(told)
    here(curl(['--allow', 'lower.test:80'], 'http://lower.test/'), EXT + ':80')
    assert ['dns', 'tcp', 'lower.test', '1'] in arrivals('dns', since), told[since:]


@test
def a_guessed_answer_is_not_believed():
    here(curl(['--allow', 'guess.test:80'], 'http://guess.test/'), EXT + ':80')


@test
def who_guesses_on_and_on_is_not_listened_to():
    """After so many answers to other questions the server is asked over TCP, where nobody guesses; at once, not when time is up."""
    since, begin = len(told), time.time()
    here(curl(['--allow', 'storm.test:80'], 'http://storm.test/'), EXT + ':80')
    assert ['dns', 'tcp', 'storm.test', '1'] in arrivals('dns', since), told[since:]
    assert time.time() - begin < patience(1.2), time.time() - begin


@test
def rings_of_aliases_end():
    begin = time.time()
    r = python(['--allow', 'ring.test:80', '--allow', 'loop.test:80'], TRY + 'print(t("ring.test", 80), t("loop.test", 80))')
    equal(r.out.split(), ['refused', 'refused'], r)
    assert time.time() - begin < patience(8)
    has(r.err, 'nobody knows an address for this name', r)


@test
def what_came_before_a_reset_arrives():
    code = ('def one():\n s = socket.create_connection(("four.test", 11), 8); s.sendall(b"unread" * 1000); n = 0\n try:\n  while 1:\n   d = s.recv(99999)\n'
            '   if not d: return n, "end"\n   n += len(d)\n except OSError as e: return n, errno.errorcode[e.errno]\nprint([one() for _ in range(10)])')
    r = python(['--allow', 'four.test:11'], code)
    equal(r.out.strip(), str([(20003, 'ECONNRESET')] * 10), r)


@test
def the_other_half_goes_on():
    r = python(['--allow', 'four.test:13'], 's = socket.create_connection(("four.test", 13), 8); s.sendall(b"x"); s.shutdown(1); n = 0\n'
               'while 1:\n d = s.recv(99999)\n if not d: break\n n += len(d)\nprint(n)')
    equal(r.out, '200000\n', r)


# --- the gate's own process -------------------------------------------------------------------------------------------

class Running:
    """A room that lives for a while, and its gate."""

    def __init__(self, options, seconds=100):
        self.p = subprocess.Popen([*before, PROGRAM, 'run', *options, '--', 'sleep', str(seconds)], stdout=subprocess.DEVNULL, cwd='/')
        within(HANG, lambda: not (gate.gates() and sleeping()), 'no room')
        self.gate = int(gate.gates()[0])

    def __enter__(self):
        return self

    def __exit__(self, *what):
        for p in sleeping():
            os.kill(p, 15)
        self.p.wait(HANG)


def sleeping():
    return [int(p) for p in os.listdir('/proc') if p.isdigit() and gate.comm(p) == 'sleep']


@test
def the_gate_is_not_root():
    with Running(ALLOW) as r:
        status = dict(x.split(':', 1) for x in open('/proc/%d/status' % r.gate).read().splitlines())
        ids = [int(x) for x in status['Uid'].split() + status['Gid'].split()]
        alone = [n for n in ('mnt', 'ipc', 'uts') if os.readlink('/proc/%d/ns/%s' % (r.gate, n)) == os.readlink('/proc/self/ns/' + n)] \
            if os.geteuid() == 0 and not before else []
    if open('/proc/self/uid_map').read().split()[2] == '4294967295':  # root of a user namespace without a nobody is another user already
        assert 0 not in ids, ids
    equal(alone, [])


@test
def a_stopped_gate_goes_on():
    """Stop and continue interrupt a waiting call; the short list of calls must bear it."""
    with Running(ALLOW) as r:
        for _ in range(5):
            os.kill(r.gate, 19)
            time.sleep(0.02)
            os.kill(r.gate, 18)
            time.sleep(0.02)
        equal([int(p) for p in gate.gates()], [r.gate])


@test
def the_room_cannot_find_the_gate():
    with Running(ALLOW):
        r = python(ALLOW, 'n = [open("/proc/%s/comm" % p).read().strip() for p in os.listdir("/proc") if p.isdigit()]\nprint("strongroom-gate" in n, len(n))')
    has(r.out, 'False', r)


def used(pid):
    """Seconds of processor time."""
    words = open('/proc/%d/stat' % pid).read().rsplit(')', 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')


@test
def a_gate_without_descriptors_waits_quietly():
    code = TRY + ('time.sleep(1.2)\nheld = []\nfor i in range(40):\n s = socket.socket(); s.setblocking(False); s.connect_ex(("198.18.1.1", 9)); held.append(s)\n'
                  'time.sleep(1.5)\nfor s in held: s.close()\nprint(t("four.test", 80))')
    out, kept = [], list(before)
    before[:0] = ['prlimit', '--nofile=50:50']
    k = threading.Thread(target=lambda: out.append(python(['--allow', 'four.test:80', '--allow', 'hang.test:9', '--files', '48'],
                                                       'for n in ("four.test", "hang.test"): socket.getaddrinfo(n, 80)\n' + code)))
    k.start()
    within(HANG, lambda: not gate.gates(), 'no gate')
    time.sleep(0.5)
    before[:] = kept
    pid = int(gate.gates()[0])
    time.sleep(1.2)
    begin = used(pid)
    time.sleep(0.8)
    took = used(pid) - begin
    k.join()
    equal(out[0].out.split(), ['REACHED'], out[0])
    assert took < 0.2, 'the gate took %.2f of 0.8 s' % took


# --- floods and much of everything ------------------------------------------------------------------------------------

NETLOAD = os.path.join(gate.PROJECT, 'build', 'bench', 'netload')


def state_of(pid):
    """Resident KiB, and descriptors (root only)."""
    rss = next(int(x.split()[1]) for x in open('/proc/%d/status' % pid) if x.startswith('VmRSS'))
    try:
        return rss, len(os.listdir('/proc/%d/fd' % pid))
    except PermissionError:
        return rss, 0


def gate_under(options, argv, between, limit=60):
    """Runs argv in a room; calls between(gate's pid) while it lives, whenever it prints a line."""
    p = subprocess.Popen([*before, PROGRAM, 'run', '-q', '--timeout', '%ds' % limit, *options, '--', *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd='/')
    lines = []
    for line in p.stdout:
        lines.append(line.decode().strip())
        between(next(p for p in map(int, gate.gates()) if gate.has_memory(p)))
    p.wait(HANG)
    return lines, p.stderr.read().decode()


@test
def twenty_thousand_connections_leave_nothing():
    count = int(os.environ.get('GATE_SOAK', '20000'))
    server = subprocess.Popen([NETLOAD, 'serve', '198.51.100.2', '7777'], stdout=subprocess.PIPE)
    server.stdout.readline()
    step = count // 4
    script = 'sleep 0.2; echo begin; for i in 1 2 3 4; do /tool many own2.test 7777 %d 64; sleep 0.3; echo step; done; sleep 0.5' % step
    seen = []
    begin = time.time()
    try:
        out, err = gate_under(['--allow', 'own2.test:7777 internal', '-v', NETLOAD + ':/tool'], ['sh', '-c', script], lambda pid: seen.append(state_of(pid)), 100 + count // 500)
    finally:
        server.kill()
        server.wait()
    took = time.time() - begin
    equal(out, ['begin'] + ['done %d' % step, 'failed 0', 'step'] * 4, err)
    early, late = seen[3], seen[-1]  # after the first quarter, and at the end
    print('     (%d connections in %.1f s; %d KiB and %d descriptors, then %d KiB and %d)' % (count, took, *early, *late))
    assert late[0] <= early[0] + 256 and late[1] <= early[1], seen


@test
def a_flood_does_not_fill_the_hosts_tables():
    """Each connection of the host's is remembered there for two minutes, and for all its programs there is one table: who opens too many waits."""
    count = 27000
    server = subprocess.Popen([NETLOAD, 'serve', '198.51.100.2', '7777'], stdout=subprocess.PIPE)
    server.stdout.readline()
    begin = time.time()
    try:
        r = gate.room(['--allow', 'own2.test:7777 internal', '-v', NETLOAD + ':/tool'], ['/tool', 'many', 'own2.test', '7777', str(count), '64'])
    finally:
        server.kill()
        server.wait()
    took = time.time() - begin
    equal(r.out, 'done %d\nfailed 0\n' % count, r)
    assert took > (count - 24576) / 300 - 1, 'only %.1f s' % took


@test
def connections_that_hang_half_open_end():
    """A peer that never answers costs a row for a while, and no more."""
    code = TRY + ('held = []\nfor i in range(300):\n s = socket.socket(); s.setblocking(False); s.connect_ex(("198.51.100.77", 80)); held.append(s)\n'
                  'time.sleep(0.5); print(t("four.test", 80))')
    r = python(['--allow', '198.51.100.77:80', '--allow', 'four.test:80', '--files', '1000'], code)
    equal(r.out.split(), ['REACHED'], r)


@test
def slow_questions_do_not_hold_up_others():
    code = TRY + ('held = []\nfor i in range(200):\n s = socket.create_connection(("198.18.0.1", 53), 3); s.sendall(b"\\0\\x20"); held.append(s)\n'
                  'a = time.time(); print(t("allowed.test", 80), time.time() - a)\n'
                  's = socket.create_connection(("allowed.test", 80)); s.sendall(b"G"); held.append(s)\nprint(t("allowed.test", 80))')
    r = python([*ALLOW, '--files', '512'], code)
    in_time(r, 2)
    equal(r.out.split()[2], 'REACHED', r)


# --- names and addresses in odd clothes -------------------------------------------------------------------------------

@test
def names_at_their_limits():
    long = '.'.join(['a' * 49] * 4 + ['b' * 42, 'w.test'])
    code = TRY + 'def u(n):\n try: return t(n, 80)\n except UnicodeError: return "refused"\nfor n in %r: print(u(n))' % ([long, 'a' * 63 + '.w.test', 'a' * 64 + '.w.test', 'xn--bcher-kva.w.test', 'A.W.TEST', 'a.w.test.', 'b\xfccher.w.test'],)
    r = python(['--allow', '*.w.test:80'], code)
    equal(r.out.split(), ['REACHED'] * 2 + ['refused'] + ['REACHED'] * 4, r)


@test
def look_alikes_are_refused():
    names = ['xn--llowed-cgb.test', 'allowed.test.evil.test', 'allowed\\046test', 'ALLOWED.TEST.EVIL.TEST', '%61llowed.test', 'allowed.test%00.evil.test',
             'allowed.test@denied.test', '*.allowed.test', '_.allowed.test']
    since = len(told)
    r = python(ALLOW, TRY + 'def u(n):\n try: return t(n, 80)\n except (UnicodeError, ValueError): return "refused"\nfor n in %r: print(u(n))' % names)
    equal(r.out.split(), ['refused'] * len(names), r)
    equal(arrivals('dns', since) + arrivals('tcp', since), [], r)


@test
def every_spelling_of_an_address_is_refused():
    spellings = ['127.1', '0177.0.0.1', '0x7f.1', '2130706433', '::ffff:127.0.0.1', '::127.0.0.1', '169.254.43518', '0xa9fea9fe', '2852039166', '::ffff:169.254.169.254',
                 '64:ff9b::a9fe:a9fe', '2002:a9fe:a9fe::1', '10.9.2055', '012.011.010.07', 'fe80::1', '[::]', '0', '0.0.0.0', '198.51.100.1', '198.51.25607', '::ffff:198.51.100.7']
    with Listeners(('0.0.0.0', 80), ('::1', 80)):
        since = len(told)
        r = python(ALLOW, TRY + 'for a in %r: print(t(a, 80))' % spellings)
        equal(r.out.split(), ['refused'] * len(spellings), r)
        equal(arrivals('tcp', since), [], r)


@test
def no_packet_of_any_protocol_leaves():
    """UDP, QUIC's port, ICMP echo by an unprivileged socket, raw: nothing is counted on the host's side."""
    code = ('def no(f):\n try: return f()\n except OSError as e: return errno.errorcode[e.errno]\n'
            'q = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6secret\\4evil\\4test\\0\\0\\1\\0\\1"\n'
            'for i in range(200):\n for p in (53, 443, 123, 9999):\n  s = socket.socket(2, 2); no(lambda: s.sendto(q, ("198.51.100.7", p)))\n'
            '  s6 = socket.socket(10, 2); no(lambda: s6.sendto(q, ("2001:db8:57::7", p))); s.close(); s6.close()\n'
            'print(no(lambda: socket.socket(2, 2, 1)), no(lambda: socket.socket(2, 3, 1)), no(lambda: socket.socket(10, 3, 58)), no(lambda: socket.socket(2, 5, 132)))')
    packets = gate.outgoing()
    r = python(ALLOW, code)
    equal(r.status, 0, r)
    assert 'socket' not in r.out.lower(), r
    assert gate.outgoing() - packets <= 4, 'packets left: %d' % (gate.outgoing() - packets)


@test
def a_scan_of_ports_finds_nothing():
    """Every port of a listed name and of an address: only the listed one answers, and nobody outside hears of it."""
    since = len(told)
    code = ('def scan(h):\n found = 0\n for p in list(range(1, 1200)) + [8080, 8443, 65535]:\n  if p in (53, 80): continue\n  s = socket.socket(); s.settimeout(3)\n'
            '  try: s.connect((h, p)); s.sendall(b"x"); found += len(s.recv(9))\n  except OSError: pass\n  s.close()\n return found\nprint(scan("allowed.test"), scan("198.51.100.8"))')
    r = python(['--allow', 'allowed.test:80'], code)
    equal(r.out, '0 0\n', r)
    equal(arrivals('tcp', since), [], r)


@test
def a_tunnel_request_to_a_server_stays_with_that_server():
    """CONNECT is bytes like others: the gate dials nothing because of them."""
    since = len(told)
    python(['--allow', 'four.test:80 any'], 's = socket.create_connection(("four.test", 80), 5); s.sendall(b"CONNECT 10.9.8.7:80 HTTP/1.1\\r\\nHost: 10.9.8.7:80\\r\\n\\r\\n'
           'GET / HTTP/1.0\\r\\n\\r\\n"); print(s.recv(999))')
    equal([x for x in arrivals('tcp', since) if x[1] != EXT], [])


@test
def the_rooms_own_network_cannot_be_changed():
    """Each way by its own answer: from the kernel, which asks for a right (EPERM) or is told that it is read-only, or from the filter, as
    where there is no such call, family or device."""
    code = ('import ctypes, errno, fcntl\ndef no(f):\n try: f(); return "DONE"\n except OSError as e: return errno.errorcode[e.errno]\n'
            'def call(name, *words):\n lib = ctypes.CDLL(None, use_errno=True)\n return "DONE" if getattr(lib, name)(*words) == 0 else errno.errorcode[ctypes.get_errno()]\n'
            's = socket.socket()\ndef io(n, b): return no(lambda: fcntl.ioctl(s, n, b))\n'
            'print(io(0x8914, b"lo" + bytes(38)), io(0x8916, b"lo" + bytes(38)), io(0x890b, bytes(120)), io(0x890c, bytes(120)), io(0x89a0, b"br0" + bytes(13)))\n'
            'print(*[no(lambda p=p: open("/proc/sys/net/" + p, "w").write("1")) for p in ("ipv4/ip_forward", "ipv4/conf/all/route_localnet", "ipv6/conf/all/forwarding", "ipv4/ip_unprivileged_port_start")])\n'
            'print(*[no(lambda n=n: socket.socket(16, 3, n)) for n in (0, 4, 12, 9, 16)])\n'
            'print(no(lambda: open("/dev/net/tun", "r+b")), no(lambda: s.bind(("0.0.0.0", 53))), call("unshare", 0x40000000), call("setns", 0, 0x40000000))')
    r = python(ALLOW, code)
    equal([x.split() for x in r.out.splitlines()],
          [['EPERM'] * 2 + ['ENOTTY'] * 3, ['EROFS'] * 4, ['EAFNOSUPPORT'] * 5, ['ENOENT', 'EACCES', 'EPERM', 'EPERM']], r)


@test
def a_resolver_behind_https_is_no_way_out():
    """By its name, by its address, and by another name's connection."""
    since = len(told)
    code = ('import ssl\nk = ssl.create_default_context(); k.check_hostname = False; k.verify_mode = 0\n'
            'def doh(where, sni, host):\n try:\n  s = k.wrap_socket(socket.create_connection((where, 443), 5), server_hostname=sni); s.sendall(("GET /dns-query?dns=AAAB HTTP/1.1\\r\\nHost: %%s\\r\\n\\r\\n" %% host).encode()); return "REACHED" if s.recv(99) else "closed"\n'
            ' except OSError: return "refused"\n'
            'for x in (("denied.test", "denied.test", "denied.test"), ("%s", "denied.test", "denied.test"), ("8.8.8.8", "dns.google", "dns.google"), ("allowed.test", "denied.test", "denied.test")): print(doh(*x))' % gate.DENIED)
    r = python(ALLOW, code)
    equal(r.out.split(), ['refused'] * 4, r)
    equal([x for x in arrivals('tcp', since) if x[1] not in (EXT, gate.EXT6)], [])


@test
def a_gate_killed_amid_transfers():
    """What moves, waits or is looked up ends; the room goes on, and nothing stays behind."""
    code = ('def get():\n try:\n  s = socket.create_connection(("four.test", 80), 8); s.settimeout(8); s.sendall(b"GET /bytes/900000000 HTTP/1.0\\r\\n\\r\\n"); n = 0\n  while 1:\n   d = s.recv(65536)\n'
            '   if not d: return "end"\n   n += len(d)\n   time.sleep(0.001)\n   if n > 1 << 20: ready.set()\n except OSError: return "cut"\n'
            'def put():\n try:\n  s = socket.create_connection(("four.test", 9), 8); s.settimeout(8)\n  while 1: s.sendall(b"x" * 65536); time.sleep(0.001)\n except OSError: return "cut"\n'
            'def wait():\n try:\n  s = socket.create_connection(("hang.test", 80), 8); s.settimeout(8); s.sendall(b"x"); return "cut" if not s.recv(9) else "?"\n except OSError: return "cut"\n'
            'ready = threading.Event(); out = []\nks = [threading.Thread(target=lambda f=f: out.append(f())) for f in (get, get, put, put, wait)]\nfor k in ks: k.start()\nready.wait(8); print("ready", flush=True)\nfor k in ks: k.join()\nprint(*out)\n'
            'try: print(socket.getaddrinfo("four.test", 80))\nexcept OSError: print("no names")\n')
    p = subprocess.Popen([*before, PROGRAM, 'run', '--allow', 'four.test:80,9', '--allow', 'hang.test:80', '--', PYTHON, '-uc', 'import socket,threading,time\n' + code],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd='/')
    equal(p.stdout.readline(), 'ready\n')
    os.kill(next(x for x in map(int, gate.gates()) if gate.has_memory(x)), 9)
    out, err = p.communicate(timeout=HANG)
    equal((p.returncode, out.splitlines()), (0, ['cut cut cut cut cut', 'no names']), err)
    has(err, 'the gate ended early', err)
    equal([x for x in gate.gates() if gate.has_memory(int(x))], [])


@test
def a_full_table_refuses_and_recovers():
    """More connections than the gate has rows for: those beyond are refused and told, and rows come back."""
    kept = list(before)
    code = TRY + TELL + ('a = [held() for _ in range(90)]\nprint(sum(1 for s in a if s))\nfor s in a:\n if s: s.shutdown(1)\n'
                         'b = again()\nprint(t("four.test", 80), b is not None)\n')
    before[:0] = ['prlimit', '--nofile=704:704']
    try:
        r = python(['--allow', 'four.test:15,80', '--files', '256'], code)
    finally:
        before[:] = kept
    equal(r.out.split(), ['64', 'REACHED', 'True'], r)
    has(r.err, 'too many names or connections at once', r)
