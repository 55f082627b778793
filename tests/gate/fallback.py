"""fallback: rooms whose kernel has no nftables, which it seems to lack behind a filter of our own: one listener for each port that a rule lists."""
import contextlib
import socket

import gate
from gate import ALLOW, EXT, PYTHON, TRY, equal, has, python, test

# What strongroom is started under: socket(AF_NETLINK, …, NETLINK_NETFILTER) says EPROTONOSUPPORT.
WITHOUT = [PYTHON, '-c', '''
import ctypes, os, struct, sys
rows = [(0x20, 0, 0, 0), (0x15, 0, 5, 41), (0x20, 0, 0, 16), (0x15, 0, 3, 16), (0x20, 0, 0, 32), (0x15, 0, 1, 12), (6, 0, 0, 0x50000 | 93), (6, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *r) for r in rows))
libc = ctypes.CDLL(None, use_errno=True)
filter = struct.pack("HxxxxxxQ", len(rows), ctypes.addressof(code))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.c_char_p(filter), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
''']


@contextlib.contextmanager
def without_nftables():
    before = list(gate.before)
    gate.before[:] = [*before, *WITHOUT]
    try:
        yield
    finally:
        gate.before[:] = before


@test
def without_nftables_listed_ports_lead_out_and_the_receipt_says_so():
    with without_nftables():
        r = python(ALLOW, TRY + 'for x in (("allowed.test", 80), ("denied.test", 80), ("%s", 80), ("allowed.test", 81)): print(t(*x))' % EXT)
        equal(r.record['receipt']['gate']['state'], 'degraded', r)
        equal(r.out.split(), ['REACHED', 'refused', 'refused', 'refused'], r)
        r = python([*ALLOW, '--require', 'gate'], 'print("RAN")')
        equal((r.status, r.out), (125, ''), r)
        has(r.err, 'gate', r)


@test
def without_nftables_no_rule_leads_loopback_to_the_hosts():
    listeners = [socket.create_server(('127.0.0.1', 80)), socket.create_server(('::1', 80), family=socket.AF_INET6)]
    inside = (('127.0.0.1', 80), ('127.9.9.9', 80), ('::1', 80), ('::ffff:127.0.0.1', 80), ('0.0.0.0', 80), ('::', 80), ('localhost', 80), ('198.18.0.1', 80), ('fd57::1', 80))
    options = ['--allow', '127.0.0.0/8:80', '--allow', '[::1]:80', '--allow', '198.0.0.0/8:80', '--allow', '[::/0]:80', '--allow', 'rebind.test:80']
    reached = []
    for way in (without_nftables, contextlib.nullcontext):  # both ways: the address is the room's own
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
def without_nftables_servers_in_the_room_have_the_ports_that_no_rule_lists():
    code = ('def serve(f, a, p):\n s = socket.socket(f); s.setsockopt(1, 2, 1); s.bind((a, p)); s.listen()\n'
            ' def go():\n  while 1:\n   c, _ = s.accept(); c.sendall(b"room"); c.close()\n threading.Thread(target=go, daemon=True).start()\n'
            'serve(2, "127.0.0.1", 8080); serve(10, "::1", 8443); serve(2, "0.0.0.0", 9000)\n'
            'for a in (("127.0.0.1", 8080), ("localhost", 8080), ("::1", 8443), ("127.0.0.1", 9000), ("198.18.0.1", 9000)):\n print(socket.create_connection(a, 5).recv(9).decode())\n'
            'try: serve(2, "127.0.0.1", 8088)\nexcept OSError as e: print(errno.errorcode[e.errno])')
    with without_nftables():
        r = python(['--allow', 'four.test:8088'], code)
    equal(r.out.split(), ['room'] * 5 + ['EADDRINUSE'], r)
