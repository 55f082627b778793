"""attacks: what a hostile room, a hostile network and an odd host try at the gate. Run by run, in the machine of gate.py."""
import os
import socket
import subprocess
import threading
import time

from gate import ALLOW, EXT, PROGRAM, PYTHON, TRY, arrivals, before, curl, equal, has, here, python, room, sh, test, told
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
def rings_of_aliases_end():
    begin = time.time()
    r = python(['--allow', 'ring.test:80', '--allow', 'loop.test:80'], TRY + 'print(t("ring.test", 80), t("loop.test", 80))')
    equal(r.out.split(), ['refused', 'refused'], r)
    assert time.time() - begin < 8
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

    def __init__(self, options, seconds=3):
        self.p = subprocess.Popen([*before, PROGRAM, 'run', *options, '--', 'sleep', str(seconds)], stdout=subprocess.DEVNULL, cwd='/')
        for _ in range(100):
            time.sleep(0.05)
            if gate.gates() and sleeping():
                break
        self.gate = int(gate.gates()[0])

    def __enter__(self):
        return self

    def __exit__(self, *what):
        for p in sleeping():
            os.kill(p, 15)
        self.p.wait(10)


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
