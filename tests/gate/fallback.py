"""fallback: rooms whose kernel has no nftables, which it seems to lack behind a filter of our own: one listener for each port that a rule lists,
in a second network behind a link, or, where there is none, in the room's own."""
import contextlib
import os
import socket
import subprocess

import gate
from gate import ALLOW, EXT, EXT6, HANG, PROGRAM, PYTHON, TRY, equal, has, python, test, within

# What strongroom is started under: socket(AF_NETLINK, …, NETLINK_NETFILTER) says EPROTONOSUPPORT; where "unlinked" is said, no second network can be made
# either: unshare(CLONE_NEWNET) says ENOSPC.
WITHOUT = [PYTHON, '-c', '''
import ctypes, os, platform, struct, sys
make, unshare = (41, 272) if platform.machine() == "x86_64" else (198, 97)
rows = [(0x20, 0, 0, 0), (0x15, 0, 3, unshare), (0x20, 0, 0, 16), (0x15, 0, 1, 0x40000000), (6, 0, 0, 0x50000 | 28)] if sys.argv[1] == "unlinked" else []
rows += [(0x20, 0, 0, 0), (0x15, 0, 5, make), (0x20, 0, 0, 16), (0x15, 0, 3, 16), (0x20, 0, 0, 32), (0x15, 0, 1, 12), (6, 0, 0, 0x50000 | 93), (6, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *r) for r in rows))
libc = ctypes.CDLL(None, use_errno=True)
filter = struct.pack("HxxxxxxQ", len(rows), ctypes.addressof(code))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.c_char_p(filter), 0, 0) == 0, ctypes.get_errno()
os.execvp(sys.argv[2], sys.argv[2:])
''']
# In a room: a server at an address, which says "room".
SERVE = ('def serve(f, a, p):\n s = socket.socket(f); s.setsockopt(1, 2, 1); s.bind((a, p)); s.listen()\n'
         ' def go():\n  while 1:\n   c, _ = s.accept(); c.sendall(b"room"); c.close()\n threading.Thread(target=go, daemon=True).start()\n'
         'def ask(a):\n try: return socket.create_connection(a, 5).recv(9).decode()\n except OSError as e: return errno.errorcode[e.errno]\n')


@contextlib.contextmanager
def without_nftables(how='linked'):
    before = list(gate.before)
    gate.before[:] = [*before, *WITHOUT, how]
    try:
        yield
    finally:
        gate.before[:] = before


def without_either():
    return without_nftables('unlinked')


BOTH = (without_nftables, without_either)


@test
def without_nftables_listed_ports_lead_out_and_the_receipt_says_so():
    for way, said in zip(BOTH, ('by a link', 'no link (No space left on device): only listed ports lead to the gate, and no server in the room has them')):
        with way():
            r = python(ALLOW, TRY + 'for x in (("allowed.test", 80, 2), ("allowed.test", 80, 10), ("denied.test", 80), ("%s", 80), ("allowed.test", 81)): print(t(*x))' % EXT)
            equal(r.record['receipt']['gate']['state'], 'degraded', r)
            equal(r.record['receipt']['gate']['probed'], False, r)
            has(r.record['receipt']['gate']['note'], said, r)
            equal(r.record['receipt']['net'].get('note'), "the gate's link besides" if way is without_nftables else None, r)
            equal(r.out.split(), ['REACHED', 'REACHED', 'refused', 'refused', 'refused'], r)
            told = {(e['verdict'], e['name'] or e['address'], e['port'], e['reason']) for e in r.record['network']['events'] if e['kind'] == 'tcp'}
            seen = {('denied', 'allowed.test', 81, 'no-rule')} if way is without_nftables else set()
            equal(told, {('allowed', 'allowed.test', 80, 'rule'), ('denied', EXT, 80, 'address-not-listed')} | seen, r)
            r = python([*ALLOW, '--require', 'gate'], 'print("RAN")')
            equal((r.status, r.out), (125, ''), r)
            has(r.err, 'gate', r)


@test
def without_nftables_no_rule_leads_loopback_to_the_hosts():
    listeners = [socket.create_server(('127.0.0.1', 80)), socket.create_server(('::1', 80), family=socket.AF_INET6)]
    inside = (('127.0.0.1', 80), ('127.9.9.9', 80), ('::1', 80), ('::ffff:127.0.0.1', 80), ('0.0.0.0', 80), ('::', 80), ('localhost', 80), ('198.18.0.1', 80), ('fd57::1', 80))
    options = ['--allow', '127.0.0.0/8:80', '--allow', '[::1]:80', '--allow', '198.0.0.0/8:80', '--allow', '[::/0]:80', '--allow', 'rebind.test:80']
    reached = []
    for way in (*BOTH, contextlib.nullcontext):  # all ways: the address is the room's own
        with way():
            r = python(options, TRY + 'for x in %r: print(t(*x))' % (inside,))
        assert 'REACHED' not in r.out and len(r.out.split('\n')) == len(inside) + 1, r
        for s in listeners:
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    s.accept()
                    reached.append(way.__name__)
    for s in listeners:
        s.close()
    equal(reached, [])


@test
def without_nftables_servers_in_the_room_have_any_port_also_the_listed():
    code = SERVE + ('serve(2, "127.0.0.1", 8080); serve(10, "::1", 8080); serve(2, "127.0.0.1", 8443); serve(2, "0.0.0.0", 9000); serve(10, "::", 9001)\n'
                    'for a in (("127.0.0.1", 8080), ("localhost", 8080), ("::1", 8080), ("127.0.0.1", 8443), ("127.5.5.5", 9000), ("198.18.0.1", 9000), ("fd57::1", 9001), ("198.18.0.1", 9001)): print(ask(a))\n'
                    'print(t("four.test", 8080), t("four.test", 9000))')
    with without_nftables():
        r = python(['--allow', 'four.test:8080,8443,9000,9001'], TRY + code)
    equal(r.out.split(), ['room'] * 8 + ['REACHED', 'refused'], r)  # nobody listens at the other one's 9000
    with without_nftables():  # whoever is asked for from outside stays who it was
        r = python(['--allow', '[::/0]:8080', '--allow', '0.0.0.0/0:8080'], TRY + SERVE + 'serve(2, "0.0.0.0", 8080); serve(10, "::1", 8080)\nprint(ask(("127.0.0.1", 8080)), t("%s", 8080), t("%s", 8080))' % (EXT, EXT6))
    equal(r.out.split(), ['room', 'REACHED', 'REACHED'], r)


@test
def without_a_link_either_servers_in_the_room_have_the_ports_that_no_rule_lists():
    code = SERVE + ('serve(2, "127.0.0.1", 8080); serve(10, "::1", 8443); serve(2, "0.0.0.0", 9000)\n'
                    'for a in (("127.0.0.1", 8080), ("localhost", 8080), ("::1", 8443), ("127.0.0.1", 9000), ("198.18.0.1", 9000)): print(ask(a))\n'
                    'try: serve(2, "127.0.0.1", 8088)\nexcept OSError as e: print(errno.errorcode[e.errno])')
    with without_either():
        r = python(['--allow', 'four.test:8088'], code)
    equal(r.out.split(), ['room'] * 5 + ['EADDRINUSE'], r)


@test
def without_nftables_any_resolver_answers():
    """UDP and TCP, at addresses of both families: somebody else's, the room's own, its loopback."""
    code = ('q = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4four\\4test\\0\\0\\1\\0\\1"\n'
            'for h in ("9.9.9.9", "198.18.0.1", "127.0.0.53", "198.18.0.2", "10.0.0.1", "2620:fe::9", "fd57::1", "::1"):\n for kind in (2, 1):\n'
            '  s = socket.socket(10 if ":" in h else 2, kind); s.settimeout(5)\n  try: s.connect((h, 53)); s.sendall(struct.pack("!H", len(q)) * (kind == 1) + q); d = s.recv(512)[2 * (kind == 1):]; print(d[:2] == q[:2] and d[7])\n'
            '  except OSError as e: print(h, e)\n')
    for way in BOTH:
        with way():
            r = python(['--allow', 'four.test:80'], code)
        equal(r.out.split(), ['1'] * 16, r)


@test
def without_nftables_the_link_leads_to_the_gate_only():
    """What is neither a listed port nor a question for names goes nowhere, at once, and no packet leaves the machine; nor does the room hear of a second network."""
    code = ('def c(f, k, a):\n s = socket.socket(f, k); s.settimeout(3)\n try:\n  s.connect(a)\n  if k == 2: s.send(b"x"); s.recv(9)\n  return "connected"\n except OSError as e: return errno.errorcode.get(e.errno, str(e))\n'
            'for a in ("%s", "198.18.0.2", "10.9.8.7", "169.254.169.254", "255.255.255.255"): print(c(2, 1, (a, 81)), c(2, 2, (a, 81)))\n'
            'for a in ("%s", "fd57::2"): print(c(10, 1, (a, 81)), c(10, 2, (a, 81)))\n'
            'began = time.monotonic(); print({c(2, 2, ("203.0.113.%%d" %% i, 443)) for i in range(200)}, time.monotonic() - began < 2)\n'
            'print(*sorted(x.split(":")[0].strip() for x in open("/proc/net/dev").read().split("\\n")[2:] if x))') % (EXT, EXT6)
    with without_nftables():
        sent = gate.outgoing() + 4  # what a kernel says by itself
        r = python(['--allow', 'four.test:80'], code)
        assert gate.outgoing() <= sent, 'packets left'
    lines = r.out.split('\n')
    equal(lines[:4], ['ECONNREFUSED ECONNREFUSED'] * 4, r)
    assert 'connected' not in r.out, r
    equal(lines[5:7], ['ECONNREFUSED ECONNREFUSED'] * 2, r)
    equal(lines[7], "{'ECONNREFUSED'} True", r)
    equal(lines[8], 'gate lo', r)


@test
def without_nftables_a_scan_of_addresses_fills_no_table_of_the_hosts():
    """The kernel's neighbours are one table for all networks: a room has one row of each family there, whatever it tries."""
    with without_nftables():
        r = Living('scan', '--allow', 'four.test:80')
    r.does('[(s.connect((a % (i >> 8, i & 255), 9)), s.send(b"x")) for i in range(1000) for f, a in ((2, "203.%d.113.%d"), (10, "2001:db8::%x:%x")) for s in [socket.socket(f, 2)]] and 0')
    children = open('/proc/%d/task/%d/children' % (r.p.pid, r.p.pid)).read().split()
    room = next(p for p in children if os.readlink('/proc/%s/ns/net' % p) != os.readlink('/proc/self/ns/net'))
    rows = subprocess.run(['nsenter', '--net=/proc/%s/ns/net' % room, 'ip', 'neigh', 'show', 'nud', 'all', 'dev', 'gate'], capture_output=True, text=True)
    r.end()
    equal(rows.returncode, 0, rows)
    equal(sorted({x.split()[0] for x in rows.stdout.split('\n') if x and not x.startswith('ff02::')}), ['198.18.0.2', 'fe80::1'], rows)


@test
def without_nftables_much_passes_whole():
    code = ('def one(f):\n s = socket.socket(f); s.connect((socket.getaddrinfo("allowed.test", 7, f)[0][4][0], 7)); b = os.urandom(1 << 20)\n for _ in range(8): s.sendall(b)\n'
            ' s.shutdown(1); d = b""\n while 1:\n  x = s.recv(99)\n  if not x: break\n  d += x\n print(d == b"8388608 bytes\\n" + b[-20:])\none(2); one(10)')
    with without_nftables():
        r = python(['--allow', 'allowed.test:7'], code)
    equal(r.out.split(), ['True'] * 2, r)


class Living:
    """A room with a name, whose program does what it is told in lines of Python."""
    def __init__(self, name, *options):
        self.name = name
        self.p = subprocess.Popen([*gate.before, PROGRAM, 'run', '--name', name, *options, '--', PYTHON, '-uc', 'import socket,sys,os,errno,threading,time\n' + TRY + SERVE +
                                   'print("ready")\nfor line in sys.stdin: print(eval(line))'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd='/')
        equal(self.p.stdout.readline(), b'ready\n')

    def does(self, line):
        self.p.stdin.write(line.encode() + b'\n')
        self.p.stdin.flush()
        return self.p.stdout.readline().decode().strip()

    def say(self, *words):
        return subprocess.run([*gate.before, PROGRAM, words[0], self.name, *words[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANG, cwd='/')

    def end(self):
        self.p.stdin.close()
        self.p.wait(timeout=HANG)


@test
def without_nftables_rules_that_come_later_lead_out():
    for way in BOTH:
        with way():
            r = Living('later', '--allow', 'four.test:80')
            equal([r.does('t("four.test", %d)' % p) for p in (80, 8080, 7)], ['REACHED', 'refused', 'refused'])
            done = r.say('allow', 'four.test:8080,7')  # a usual one, and one that nobody thought of
            equal(done.returncode, 0, done)
            linked = way is without_nftables
            equal('not every port of it leads out' in done.stdout, not linked, done)
            equal([r.does('t("four.test", %d)' % p) for p in (80, 8080)], ['REACHED', 'REACHED' if linked else 'refused'])
            if linked:
                equal(r.does('(serve(2, "127.0.0.1", 7777), ask(("127.0.0.1", 7777)))[1]'), 'room')
                equal(r.does('(lambda s: (s.connect((socket.gethostbyname("four.test"), 7)), s.sendall(b"echo"), s.shutdown(1), s.recv(99))[3])(socket.socket())'), r"b'4 bytes\necho'")
                equal(r.say('withdraw', 'four.test:8080,7').returncode, 0)
                equal(r.does('t("four.test", 8080)'), 'refused')
                equal(r.say('allow', 'four.test:8080,7').returncode, 0)
                equal(r.does('t("four.test", 8080)'), 'REACHED')
                done = r.say('allow', 'six.test:1000-1999')  # more than there are sockets for
                has(done.stdout, 'not every port of it leads out', done)
                equal(r.does('t("four.test", 80)'), 'REACHED')
            r.end()


@test
def without_nftables_published_ports_lead_in():
    with socket.create_server(('127.0.0.1', 0)) as s:
        at = s.getsockname()[1]
    with without_nftables():
        r = Living('inward', '--allow', 'four.test:8080', '--publish', '%d:8080' % at)
        r.does('serve(2, "127.0.0.1", 8080)')
        equal(socket.create_connection(('127.0.0.1', at), HANG).recv(9), b'room')
        equal(r.does('t("four.test", 8080)'), 'REACHED')
        r.end()


@test
def without_nftables_a_killed_gate_takes_the_link_along():
    with without_nftables():
        r = Living('orphan', '--allow', 'four.test:8080')
        equal(r.does('t("four.test", 8080)'), 'REACHED')
        for p in gate.gates():
            os.kill(int(p), 9)
        within(HANG, lambda: r.does('t("%s", 8080)' % EXT) != 'refused', 'reached without a gate')
        within(HANG, lambda: 'gate:' in r.does('open("/proc/net/dev").read().replace(chr(10), " ")'), 'the link is there')
        equal(r.does('(serve(2, "127.0.0.1", 8080), ask(("127.0.0.1", 8080)))[1]'), 'room')
        r.end()


@test
def without_nftables_nothing_of_the_link_is_left():
    """Of six networks that a user may have at a time each room takes two: what stayed would soon be too much."""
    script = 'echo 6 >/proc/sys/user/max_net_namespaces && shift && exec "$@"'
    with without_nftables():
        before = list(gate.before)
        gate.before[:] = [*before[:-len(WITHOUT) - 1], 'unshare', '-r', 'sh', '-c', script, '-', '-', *WITHOUT, 'linked']
        try:
            for _ in range(9):
                def again():
                    r = python(ALLOW, TRY + 'print(t("allowed.test", 80))')
                    return '' if r.status == 0 and 'by a link' in r.record['receipt']['gate']['note'] and r.out == 'REACHED\n' else str(r)
                within(HANG, again, 'the kernel keeps networks of rooms that have ended')
        finally:
            gate.before[:] = before


@test
def without_nftables_a_room_in_a_user_namespace_has_a_link_too():
    with without_nftables():
        before = list(gate.before)
        gate.before[:] = [*before[:-len(WITHOUT) - 1], 'unshare', '-r', *WITHOUT, 'linked']
        try:
            r = python(['--allow', 'four.test:8080'], TRY + SERVE + 'serve(2, "127.0.0.1", 8080)\nprint(ask(("127.0.0.1", 8080)), t("four.test", 8080))')
        finally:
            gate.before[:] = before
    has(r.record['receipt']['gate']['note'], 'by a link', r)
    equal(r.out.split(), ['room', 'REACHED'], r)


@test
def without_nftables_what_is_refused_is_told_as_by_the_rooms_kernel():
    """Each one as it was meant, ports with a listener not twice, and of many not so many that it costs anything."""
    code = ('def c(f, a):\n s = socket.socket(f); s.settimeout(5)\n return errno.errorcode.get(s.connect_ex(a), "connected")\n'
            'four = socket.gethostbyname("four.test")\nprint(c(2, (four, 81)), c(2, ("%s", 443)), c(10, ("%s", 443)), c(10, ("::ffff:%s", 444)), c(2, (four, 82)))\n' % (EXT, EXT6, EXT))
    records = []
    for way in (without_nftables, contextlib.nullcontext):
        with way():
            r = python(['--allow', 'four.test:80', '--deny', '%s:444' % EXT], code)
        equal(r.out.split(), ['ECONNREFUSED'] * 5, r)
        records.append(sorted(((e['verdict'], e['name'], e['address'], e['port'], e['reason'], e['rule'], e['allow']) for e in r.record['network']['events'] if e['kind'] == 'tcp'), key=repr))
    equal(records[0], records[1])
    with without_nftables():
        r = python(['--allow', 'four.test:80'], 'for i in range(4000):\n s = socket.socket(); s.setsockopt(1, 13, struct.pack("ii", 1, 0)); s.connect_ex(("203.0.113.9", 1000 + i)); s.close()\nprint("done")')
    equal(r.out, 'done\n', r)
    told = r.record['network']['untold'] + sum(x['count'] for x in r.record['network']['peers'])
    assert 100 <= told <= 3000, told
