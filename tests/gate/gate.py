"""gate: the tests of rooms with a gate. Standard library only; see run for the machine they live in."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from room import HANG, patience, within

HERE = os.path.dirname(os.path.realpath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.environ.get('STRONGROOM', os.path.join(PROJECT, 'build', 'strongroom'))
PYTHON = '/usr/bin/python3'
EXT, DENIED, LAN, META, DNS = '198.51.100.7', '198.51.100.8', '10.9.8.7', '169.254.169.254', '198.51.100.53'
EXT6 = '2001:db8:57::7'
ALLOW = ['--allow', 'allowed.test', '--allow', 'rebind.test']
before, tests, told, marks = [], [], [], [0]


class Skip(Exception):
    pass


def test(function):
    tests.append(function)
    return function


# --- the machine ------------------------------------------------------------------------------------------------------

def sh(command):
    subprocess.run(['sh', '-ec', command], check=True)


def certificates(folder):
    names = ','.join('DNS:' + n for n in ('allowed.test', 'four.test', 'six.test', '*.w.test')) + ',IP:' + EXT
    subprocess.run(['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', folder + '/server.key'],
                   check=True, stderr=subprocess.DEVNULL)
    for name in ('allowed', 'unknown', 'expired'):
        subprocess.run(['openssl', 'req', '-x509', '-key', folder + '/server.key', '-days', '2', '-subj', '/CN=%s.test' % name, '-addext',
                        'subjectAltName=' + names, '-out', '%s/%s.pem' % (folder, name)], check=True, stderr=subprocess.DEVNULL)
    os.rename(folder + '/allowed.pem', folder + '/server.pem')
    subprocess.run(['openssl', 'x509', '-in', folder + '/expired.pem', '-signkey', folder + '/server.key', '-days', '-1', '-out',
                    folder + '/expired.pem'], check=True, stderr=subprocess.DEVNULL)


def repository(folder):
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL, 'check': True}
    git = ['git', '-c', 'user.name=t', '-c', 'user.email=t@example.org', '-C', folder + '/src']
    subprocess.run(['git', 'init', '-q', folder + '/src'], **quiet)
    open(folder + '/src/file', 'w').write('from the repository\n')
    subprocess.run([*git, 'add', 'file'], **quiet)
    subprocess.run([*git, 'commit', '-qm', 'first'], **quiet)
    subprocess.run(['git', 'clone', '-q', '--bare', folder + '/src', folder + '/repo.git'], **quiet)
    subprocess.run(['git', '-C', folder + '/repo.git', 'update-server-info'], **quiet)


def listen_to(world):
    for line in world.stdout:
        told.append(line.decode('latin1').split())


def build():
    folder = tempfile.mkdtemp(prefix='gate-tests-')
    os.chmod(folder, 0o755)
    certificates(folder)
    if shutil.which('git'):
        repository(folder)
    sh('ip link set lo up; ip link add outside type veth peer name inside')
    world = subprocess.Popen(['unshare', '--net', 'sh', '-c', 'echo there; read go; exec "$0" -B "$@"', PYTHON, HERE + '/world.py', folder],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    world.stdout.readline()
    enter = 'nsenter --net=/proc/%d/ns/net ' % world.pid
    sh('ip link set inside netns %d' % world.pid)
    sh('ip addr add 198.51.100.1/24 dev outside; ip addr add 198.51.100.2/24 dev outside; '
       'ip -6 addr add 2001:db8:57::1/64 dev outside nodad; ip -6 addr add 2001:db8:57::2/64 dev outside nodad; ip link set outside up;'
       'ip route add default via 198.51.100.7; ip -6 route add default via 2001:db8:57::7')
    sh('for a in 7/24 8/24 53/24; do %sip addr add 198.51.100.$a dev inside; done' % enter)
    sh('for a in 7 8; do %sip -6 addr add 2001:db8:57::$a/64 dev inside nodad; done' % enter)
    sh(enter + 'ip -6 addr add fe80::53/64 dev inside nodad; ip -6 addr add fe80::1/64 dev outside nodad')
    sh(enter + 'ip addr add %s/32 dev inside; ' % LAN + enter + 'ip addr add %s/32 dev inside;' % META + enter + 'ip link set inside up; ' +
       enter + 'ip link set lo up')
    open(folder + '/resolv.conf', 'w').write('nameserver %s\noptions timeout:2 attempts:2\nsearch none.test w.test\n' % DNS)
    open(folder + '/hosts', 'w').write('127.0.0.1 localhost\n')
    sh('mount --make-rprivate /')
    if os.access('/run', os.W_OK):  # names of rooms are ours alone
        sh('mkdir -p -m 700 /run/strongroom; mount -t tmpfs -o mode=700 tmpfs /run/strongroom')
    os.mkdir(folder + '/run', 0o700)
    os.environ['XDG_RUNTIME_DIR'] = folder + '/run'
    if before:
        os.chown(folder + '/run', 4242, 4242)
    for name in ('resolv.conf', 'hosts'):
        real = os.path.realpath('/etc/' + name)
        if os.path.exists(real):
            sh('mount --bind %s/%s %s' % (folder, name, real))
    world.stdin.write(b'go\n')
    world.stdin.flush()
    while world.stdout.readline().strip() != b'ready':
        pass
    threading.Thread(target=listen_to, args=(world,), daemon=True).start()
    time.sleep(0.3)
    return folder, world


def trusted():
    """The host trusts the test server's certificate; done once, for the whole machine of the tests."""
    bundle = '/etc/ssl/certs/ca-certificates.crt'
    mine = folder + '/bundle.crt'
    if not os.path.exists(mine):
        open(mine, 'w').write(open(bundle).read() + open(folder + '/server.pem').read() + open(folder + '/expired.pem').read())
        sh('mount --bind %s %s' % (mine, bundle))


def outgoing():
    return int(open('/sys/class/net/outside/statistics/tx_packets').read()) if os.path.isdir('/sys/class/net/outside') else \
        int(next(x for x in open('/proc/net/dev') if 'outside' in x).split()[10])


# --- rooms ------------------------------------------------------------------------------------------------------------

class Result:
    status = out = err = record = None

    def __str__(self):
        return 'status %s, out %r, err %r' % (self.status, self.out[-300:], self.err[-500:])


def room(options, command):
    r = Result()
    record = tempfile.TemporaryFile()
    p = subprocess.Popen([*before, PROGRAM, 'run', '--result-fd', str(record.fileno()), *options, '--', *command],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[record.fileno()], cwd='/')
    try:
        out, err = p.communicate(timeout=2 * HANG)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
    r.status, r.out, r.err = p.returncode, out.decode('utf8', 'replace'), err.decode('utf8', 'replace')
    with record:
        record.seek(0)
        text = record.read()
    r.record = json.loads(text) if text else None
    return r


def signalled(when, *signals):
    """Sends them to strongroom-intercept, a second between each, as soon as `when()` is true."""
    def send():
        within(8, lambda: not when(), 'what was waited for did not come')
        them = [int(p) for p in os.listdir('/proc') if p.isdigit() and open('/proc/%s/comm' % p).read() == 'strongroom-inte\n']
        for i, number in enumerate(signals):
            time.sleep(1 if i else 0)
            for pid in them:
                os.kill(pid, number)
    threading.Thread(target=send, daemon=True).start()


def python(options, code):
    return room(options, [PYTHON, '-c', 'import socket,struct,sys,os,time,errno,threading\n' + code])


def curl(options, *words):
    return room(options, ['curl', '-sS', '-m', '8', *words])


def need(program):
    if not shutil.which(program):
        raise Skip(program + ' is not installed')


def equal(got, wanted, r=''):
    assert got == wanted, '%r, wanted %r; %s' % (got, wanted, r)


def has(text, wanted, r=''):
    assert wanted in text, 'no %r in %r; %s' % (wanted, text[-400:], r)


def arrivals(kind, since):
    """What came to the other side, which has told all of it when it answers us."""
    time.sleep(0.1)
    marks[0] += 1
    world.stdin.write(b'mark %d\n' % marks[0])
    world.stdin.flush()
    within(HANG, lambda: ['mark', str(marks[0])] not in told, 'no word of the other side')
    return [x for x in told[since:] if x[0] == kind]


TRY = ('def t(h, p, f=0):\n try:\n  i = socket.getaddrinfo(h, p, f, 1)[0]\n  s = socket.socket(i[0]); s.settimeout(6); s.connect(i[4])\n'
       '  s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); d = s.recv(999)\n  return "REACHED" if b"here is" in d or d else "closed"\n'
       ' except OSError as e: return "refused"\n')


# --- programs, unmodified ---------------------------------------------------------------------------------------------

def here(r, who):
    equal(r.status, 0, r)
    has(r.out, 'here is ' + who, r)


@test
def curl_reaches_an_allowed_name():
    here(curl(['--allow', 'allowed.test', '--allow', 'rebind.test'], '-4', 'http://allowed.test/'), '')


@test
def curl_reaches_it_by_https():
    here(curl([*ALLOW, '--ro', folder], '--cacert', folder + '/server.pem', 'https://allowed.test/'), '')


@test
def curl_over_ipv6():
    here(curl(ALLOW, '-6', 'http://allowed.test/'), '')


@test
def a_name_with_ipv4_only_is_reached_over_ipv6_sockets():
    here(curl(['--allow', 'four.test:80'], '-6', 'http://four.test/'), EXT + ':80')


@test
def a_name_with_ipv6_only_is_reached():
    here(curl(['--allow', 'six.test:80'], '-4', 'http://six.test/'), EXT6 + ':80')


@test
def the_second_address_is_tried():
    here(curl(['--allow', 'half.test:80'], 'http://half.test/'), EXT + ':80')


@test
def addresses_that_are_silent_cost_a_quarter_of_a_second_each():
    r = python(['--allow', 'slow.test:80'], TRY + 'a = time.time(); print(t("slow.test", 80, 2), "%.1f" % (time.time() - a))')
    how, seconds = r.out.split()
    equal(how, 'REACHED', r)
    assert 0.4 < float(seconds) < patience(1.5), r


@test
def an_alias_is_followed():
    here(curl(['--allow', 'alias.test:80'], 'http://alias.test/'), EXT + ':80')


@test
def wget_https():
    need('wget')
    here(room([*ALLOW, '--ro', folder], ['wget', '-q', '-T', '8', '--ca-certificate', folder + '/server.pem', '-O', '-', 'https://allowed.test/']), '')


@test
def python_urllib_https():
    here(python([*ALLOW, '--ro', folder], 'import urllib.request,ssl\nprint(urllib.request.urlopen("https://allowed.test/", timeout=8, '
                'context=ssl.create_default_context(cafile="%s/server.pem")).read().decode())' % folder), '')


@test
def python_asyncio():
    here(python(ALLOW, 'import asyncio\nasync def f():\n r, w = await asyncio.open_connection("allowed.test", 80)\n'
                ' w.write(b"GET / HTTP/1.0\\r\\n\\r\\n")\n print((await asyncio.wait_for(r.read(), 8)).decode())\nasyncio.run(f())'), '')


@test
def node_fetch_https():
    need('node')
    r = room([*ALLOW, '--ro', folder, '-e', 'NODE_EXTRA_CA_CERTS=%s/server.pem' % folder, '-m', '2G', '--prefer', 'memory', '--ro', os.path.realpath(shutil.which('node'))],
             [os.path.realpath(shutil.which('node')), '-e', 'fetch("https://allowed.test/").then(r=>r.text()).then(console.log)'])
    here(r, '')


@test
def node_c_ares():
    need('node')
    r = room([*ALLOW, '-m', '2G', '--prefer', 'memory', '--ro', os.path.realpath(shutil.which('node'))],
             [os.path.realpath(shutil.which('node')), '-e', 'require("dns").resolve4("allowed.test",(e,a)=>console.log(e?e.code:a[0].split(".")[0]));'
              'require("dns").resolve4("denied.test",(e,a)=>console.log(e?e.code:a))'])
    equal(sorted(r.out.split()), ['198', 'ENOTFOUND'], r)


@test
def openssl_s_client():
    need('openssl')
    r = room([*ALLOW, '--ro', folder], ['sh', '-c', 'echo Q | timeout 8 openssl s_client -connect allowed.test:443 -servername allowed.test '
                                       '-CAfile %s/server.pem -verify_return_error' % folder])
    has(r.out, 'Verify return code: 0 (ok)', r)


@test
def git_over_https():
    need('git')
    r = room([*ALLOW, '--ro', folder], ['sh', '-c', 'git -c http.sslCAInfo=%s/server.pem clone -q https://allowed.test/repo.git r && cat r/file' % folder])
    equal(r.out, 'from the repository\n', r)


@test
def wildcards_and_ports():
    r = python(['--allow', '*.w.test:8080', '--allow', 'four.test:70-90'], TRY + 'for x in (("a.b.w.test", 8080), ("w.test", 8080), ("a.w.test", 80), '
               '("four.test", 80), ("four.test", 22), ("four.test", 8080)): print(t(*x))')
    equal(r.out.split(), ['REACHED', 'refused', 'refused', 'REACHED', 'refused', 'refused'], r)


@test
def addresses_and_networks_by_rule():
    r = python(['--allow', EXT + ':80', '--allow', '[2001:db8:57::/48]:80', '--allow', '10.0.0.0/8:80'],
               TRY + 'for x in %r: print(t(*x))' % (((EXT, 80), (DENIED, 80), (EXT, 443), (EXT6, 80), (LAN, 80)),))
    equal(r.out.split(), ['REACHED', 'refused', 'refused', 'REACHED', 'REACHED'], r)


@test
def internal_names_by_rule():
    here(curl(['--allow', 'lan.test:80 internal'], 'http://lan.test/'), LAN + ':80')


@test
def deny_beats_allow():
    r = python(['--allow', '*.w.test:80', '--deny', 'x.w.test'], 'for n in ("y.w.test", "x.w.test"):\n try:\n'
               '  socket.create_connection((n, 80), 5); print("yes")\n except OSError: print("no")')
    equal(r.out.split(), ['yes', 'no'], r)


@test
def where_a_name_leads_is_told_as_it_is():
    """Denied by a rule about addresses, private, or this host's own: each with the option that helps, where one does."""
    for options, name, words in ((['--allow', 'four.test', '--deny', '198.51.100.0/24'], 'four.test', 'the name leads to %s, which is denied by the rule 198.51.100.0/24\n' % EXT),
                                 (['--allow', 'lan.test'], 'lan.test', "the name leads to the private address %s; allow with: --allow 'lan.test:80 internal'\n" % LAN),
                                 (['--allow', 'own.test'], 'own.test', "the name leads to this host's own address 198.51.100.1; allow with: --allow 'own.test:80 internal'\n"),
                                 (['--allow', '0.0.0.0/0:80'], '198.18.7.7', 'it stands for no name of this room\n')):
        r = curl(options, 'http://%s/' % name)
        has(r.err, words, r)


@test
def a_budget_of_bytes_ends_the_connection():
    get = ('def get(n):\n got = 0\n try:\n  s = socket.create_connection(("four.test", 80), 8); s.settimeout(8); s.sendall(b"GET /bytes/%d HTTP/1.0\\r\\n\\r\\n" % n)\n'
           '  while 1:\n   d = s.recv(65536)\n   if not d: return got, "end"\n   got += len(d)\n except OSError as e: return got, errno.errorcode.get(e.errno)\n')
    r = python(['--allow', 'four.test:80 max-bytes=1M note=the mirror'], get + 'print(*get(1000), *get(1000), *get(3000000), *get(10))')
    w = r.out.split()
    equal((w[1], w[3], w[5], w[7]), ('end', 'end', 'ECONNRESET', 'ECONNRESET'), r)
    assert int(w[4]) <= 1 << 20 and w[6] == '0', r
    has(r.err, 'denied connect to four.test:80', r)
    has(r.err, 'all bytes are used up of the rule four.test:80 max-bytes=1M note=the mirror', r)
    peers = [x for x in r.record['network']['peers'] if x['kind'] == 'tcp']
    total = sum(x['bytes_up'] + x['bytes_down'] for x in peers)
    assert 900000 < total <= 1 << 20, (total, peers)
    # to the byte: the echo answers what came with 33 bytes
    r = python(['--allow', 'four.test:7 max-bytes=%d' % (299990 + 32)],
               's = socket.create_connection(("four.test", 7), 8)\ns.sendall(b"x" * 299990)\ns.shutdown(1)\nb = b""\nwhile 1:\n d = s.recv(9999)\n if not d: break\n b += d\nprint(len(b))')
    equal(r.status, 1, r)
    r = python(['--allow', 'four.test:7 max-bytes=%d' % (299990 + 33)],
               's = socket.create_connection(("four.test", 7), 8)\ns.sendall(b"x" * 299990)\ns.shutdown(1)\nb = b""\nwhile 1:\n d = s.recv(9999)\n if not d: break\n b += d\nprint(len(b))')
    equal(r.out, '33\n', r)


TELL = ('def held(name="four.test"):\n try:\n  s = socket.create_connection((name, 15), 20)\n  return s if s.recv(1) else None\n except OSError: return None\n'
        'def again():\n end = time.time() + 20\n while time.time() < end:\n  s = held()\n  if s: return s\n  time.sleep(0.1)\n')


@test
def a_bound_on_connections_holds_and_lets_go():
    r = python(['--allow', 'four.test:15 max-conns=3'], TELL + 'a = [held() for _ in range(5)]\nprint(sum(1 for s in a if s))\na[0].close()\nb = [again(), held()]\nprint(b[0] is not None, b[1] is not None)')
    equal(r.out.split(), ['3', 'True', 'False'], r)
    has(r.err, 'too many connections are open for the rule four.test:15 max-conns=3', r)


@test
def a_rate_of_connections_holds_and_comes_back():
    r = python(['--allow', '*.w.test:15 rate=60/m', '--allow', 'four.test:15 rate=4/s'], TELL + 'a = time.time(); n = [held() is not None for _ in range(12)]\n'
               'print(sum(n), time.time() - a); time.sleep(1.2)\nprint(held() is not None, held() is not None)')
    count, seconds, *more = r.out.split()
    assert 4 <= int(count) <= min(5 + 4 * float(seconds), 11), r
    equal(more, ['True', 'True'], r)
    has(r.err, 'too many connections begin for the rule four.test:15 rate=4/s', r)


@test
def ten_thousand_names_work():
    file = folder + '/many.yaml'
    open(file, 'w').write('allow:\n' + ''.join('  - n%d.many.test:80\n' % i for i in range(10000)) + '  - "*.w.test:80"\n')
    os.chmod(file, 0o644)
    r = python(['-p', file], TRY + 'print(t("x.w.test", 80), t("n10000.many.test", 80), socket.gethostbyname("n9999.many.test")[:4])')
    equal(r.out.split(), ['REACHED', 'refused', '198.'], r)


@test
def half_close():
    r = python(['--allow', 'four.test:7'], 's = socket.create_connection(("four.test", 7), 8)\ns.sendall(b"x" * 300000 + b"end")\n'
               's.shutdown(1)\nb = b""\nwhile 1:\n d = s.recv(9999)\n if not d: break\n b += d\nprint(b.decode()[-40:])')
    has(r.out, '300003 bytes', r)
    has(r.out, 'xend', r)


@test
def many_bytes():
    r = room(['--allow', 'four.test:80'], ['sh', '-c', 'curl -sS -m 30 http://four.test/bytes/200000000 | sha256sum; curl -sS -m 30 -o /dev/null -w "%{speed_download}\n" http://four.test/bytes/200000000'])
    want = subprocess.run([PYTHON, '-c', 'import hashlib\nh=hashlib.sha256()\nb=bytes(range(256))*256\nn=200000000\nwhile n>0:\n h.update(b[:n]); n-=len(b)\nprint(h.hexdigest())'],
                          stdout=subprocess.PIPE).stdout.decode().split()[0]
    equal(r.out.split()[0], want, r)
    print('     (%.0f MB/s through the gate)' % (float(r.out.split()[2]) / 1e6))
    peer = next(x for x in r.record['network']['peers'] if x['kind'] == 'tcp')
    assert peer['bytes_down'] >= 400000000, peer


@test
def many_connections():
    r = python(['--allow', 'four.test:9,80'], 'held = [socket.create_connection(("four.test", 9), 20) for _ in range(400)]\n'
               's = socket.create_connection(("four.test", 80), 8)\ns.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")\nprint(s.recv(999).decode(), len(held))')
    equal(r.status, 0, r)
    has(r.out, '200 OK', r)


@test
def servers_in_the_room_keep_working():
    code = ('def serve(f, a, p):\n s = socket.socket(f); s.setsockopt(1, 2, 1); s.bind((a, p)); s.listen()\n'
            ' def go():\n  while 1:\n   c, _ = s.accept(); c.sendall(b"room"); c.close()\n threading.Thread(target=go, daemon=True).start()\n'
            'serve(2, "127.0.0.1", 8080); serve(10, "::1", 8443); serve(2, "0.0.0.0", 9000)\n'
            'for a in (("127.0.0.1", 8080), ("localhost", 8080), ("::1", 8443), ("127.0.0.1", 9000), ("127.9.9.9", 9000), ("198.18.0.1", 9000)):\n'
            ' print(socket.create_connection(a, 5).recv(9).decode())\n'
            's = socket.create_connection(("allowed.test", 8080), 5); s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); print(s.recv(99).decode()[:12])')
    r = python(['--allow', 'allowed.test:8080,8443,9000'], code)
    equal(r.out.split('\n')[:7], ['room'] * 6 + ['HTTP/1.1 200'], r)


# --- records ----------------------------------------------------------------------------------------------------------

@test
def the_denial_carries_its_remedy():
    r = curl(ALLOW, 'http://denied.test/')
    assert r.status == 6, r
    has(r.err, 'denied.test', r)
    has(r.err, 'allow with: --allow denied.test', r)
    d = [x for x in r.record['denials'] if x['layer'] == 'gate']
    equal(d[0]['allow'], '--allow denied.test', r)


@test
def a_denied_port_says_so():
    r = curl(ALLOW, 'http://allowed.test:22/')
    equal(r.status, 7, r)
    has(r.err, 'allow with: --allow allowed.test:22', r)


@test
def what_no_rule_could_open_is_refused_at_once_and_told():
    r = python(['--allow', 'four.test:80,8000-8010', '--allow', '10.0.0.0/8:5432', '--deny', 'four.test:8005'],
               'def c(h, p):\n s = socket.socket(10 if ":" in h else 2); return errno.errorcode.get(s.connect_ex((h, p)), "connected")\n'
               'n = socket.gethostbyname("four.test")\nprint(*[c(h, p) for h, p in ((n, 79), (n, 81), (n, 7999), (n, 8011), (n, 65535), ("%s", 80), ("%s", 80), ("%s", 443), (n, 1))])\n'
               'print(*[c(h, p) for h, p in ((n, 80), (n, 8000), (n, 8010), (n, 8005), ("10.9.8.7", 5432), ("%s", 5432))])' % (EXT, EXT6, META, EXT))
    equal(r.out.split(), ['ECONNREFUSED'] * 9 + ['connected'] * 6, r)
    has(r.err, 'denied connect to four.test:8011', r)
    has(r.err, 'denied connect to %s:80: no rule lists this address; allow with: --allow %s:80' % (EXT, EXT), r)
    has(r.err, 'denied connect to [%s]:80' % EXT6, r)
    told_of = [(x['name'] or x['address'], x['port']) for x in r.record['network']['peers'] if x['verdict'] == 'denied']
    assert {('four.test', p) for p in (79, 81, 7999, 8011, 65535, 1, 8005)} < set(told_of), told_of


@test
def a_port_scan_costs_the_gate_nothing():
    r = python(['--allow', 'four.test:80'], 'a = time.time()\nfor p in range(20000):\n s = socket.socket(); s.connect_ex(("%s", 1024 + p)); s.close()\n'
               'print("%%.0f" %% ((time.time() - a) * 50))\ns = socket.create_connection(("four.test", 80), 5); s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); print(s.recv(9))' % EXT)
    equal(r.status, 0, r)
    has(r.out, "b'HTTP", r)
    peers = sum(x['count'] for x in r.record['network']['peers'] if x['kind'] == 'tcp') + r.record['network'].get('untold', 0)
    assert peers < 5000, peers
    print('     (%s us for one that is refused)' % r.out.split()[0])


@test
def the_record_tells_bytes_and_rules():
    r = curl(['--allow', 'allowed.test note=the mirror'], 'http://allowed.test/')
    peer = next(x for x in r.record['network']['peers'] if x['kind'] == 'tcp')
    equal((peer['name'], peer['port'], peer['verdict'], peer['count']), ('allowed.test', 80, 'allowed', 1), r)
    assert peer['bytes_up'] > 20 and peer['bytes_down'] > 60, peer
    has(peer['rule'], 'allowed.test', r)
    equal(r.record['receipt']['gate']['state'], 'on', r)
    equal(r.record['receipt']['gate']['probed'], True, r)


@test
def a_room_without_rules_has_no_gate():
    r = room([], ['true'])
    equal(r.status, 0, r)
    assert 'gate' not in r.record['receipt'] and 'network' not in r.record, r.record


@test
def an_empty_gate_denies_all():
    r = curl(['--net', 'gate'], 'http://allowed.test/')
    equal(r.status, 6, r)


# --- attacks ----------------------------------------------------------------------------------------------------------

def refused(options, peers, names_too=True):
    since = len(told)
    r = python(options, TRY + 'for x in %r: print(x, t(*x))' % (peers,))
    equal(r.status, 0, r)
    assert 'REACHED' not in r.out and len(r.out.split('\n')) == len(peers) + 1, r
    came = arrivals('tcp', since)
    assert not came, 'a connection arrived: %s; %s' % (came, r)
    return r


@test
def no_packet_leaves_for_unlisted_names():
    before_packets, since = outgoing(), len(told)
    r = python(ALLOW, 'n = 0\nfor i in range(60):\n try: socket.getaddrinfo("secret%d.evil.test" % i, 443); n += 1\n except OSError: pass\n'
               'for i in range(20):\n try: socket.getaddrinfo("secret%d.allowed.test" % i, 443); n += 1\n except OSError: pass\nprint(n)')
    equal(r.out, '0\n', r)
    equal(arrivals('dns', since), [], r)
    assert outgoing() - before_packets <= 4, 'packets left: %d' % (outgoing() - before_packets)


@test
def other_resolvers_are_the_gate_too():
    since = len(told)
    code = ('q = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6secret\\4evil\\4test\\0\\0\\1\\0\\1"\n'
            'for a in ("%s", "%s", "8.8.8.8", "198.18.77.1"):\n s = socket.socket(2, 2); s.settimeout(3); s.sendto(q, (a, 53)); d, f = s.recvfrom(999); print(d[3] & 15, f[0] == a)\n'
            's = socket.create_connection(("%s", 53), 3); s.sendall(struct.pack(">H", len(q)) + q); d = s.recv(999); print(d[5] & 15, True)\n'
            's = socket.socket(10, 2); s.settimeout(3); s.sendto(q, ("2001:db8:57::7", 53)); d, f = s.recvfrom(999); print(d[3] & 15, f[0] == "2001:db8:57::7")' % (DNS, EXT, DNS))
    r = python(ALLOW, code)
    equal(r.out.split(), ['3', 'True'] * 6, r)
    equal(arrivals('dns', since) + arrivals('udp', since) + arrivals('tcp', since), [], r)


@test
def other_types_of_questions_stay_inside():
    since = len(told)
    code = ('def q(n, t):\n b = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"".join(bytes([len(x)]) + x.encode() for x in n.split(".")) + b"\\0" + struct.pack(">HH", t, 1)\n'
            ' s = socket.socket(2, 2); s.settimeout(3); s.sendto(b, ("198.18.0.1", 53)); d = s.recv(999); return d[3] & 15, struct.unpack(">H", d[6:8])[0]\n'
            'print([q("evil.test", t)[0] for t in (1, 2, 5, 6, 12, 15, 16, 28, 33, 64, 65, 255)])\n'
            'print([q("allowed.test", t) for t in (15, 16, 64, 65)])')
    r = python(ALLOW, code)
    has(r.out, str([3] * 12), r)
    has(r.out, str([(0, 0)] * 4), r)
    equal(arrivals('dns', since), [], r)


@test
def literal_addresses_are_refused():
    refused(ALLOW, [(EXT, 80), (EXT, 443), (DENIED, 443), (EXT6, 80), ('::ffff:' + EXT, 80), ('3325256711', 80), ('0xc6336407', 80),
                    ('0306.063.0144.07', 80), (META, 80), (LAN, 80), ('::ffff:' + META, 80), (DNS, 53)][:11])


@test
def rebinding_is_refused():
    names = ['rebind.test', 'rebind6.test', 'mapped.test', 'mapped10.test', 'meta.test', 'lan.test', 'nat64.test', 'zero.test']
    listener = socket.create_server(('127.0.0.1', 80))
    listener6 = socket.create_server(('::1', 80), family=socket.AF_INET6)
    try:
        r = refused([w for n in names for w in ('--allow', n)], [(n, 80) for n in names])
    finally:
        for s in (listener, listener6):
            s.setblocking(False)
            try:
                s.accept()
                raise AssertionError('the host\'s loopback was reached')
            except BlockingIOError:
                pass
            s.close()
    has(r.err, 'private', r)


@test
def a_name_that_flips_is_checked_each_time():
    listener = socket.create_server(('127.0.0.1', 80))
    r = python(['--allow', 'flip.test:80'], TRY + 'for i in range(8): print(t("flip.test", 80))')
    listener.setblocking(False)
    try:
        listener.accept()
        raise AssertionError('the host\'s loopback was reached; %s' % r)
    except BlockingIOError:
        pass
    finally:
        listener.close()
    equal(r.status, 0, r)


@test
def names_near_the_allowed_one_are_refused():
    refused(ALLOW, [(n, 80) for n in ('denied.test', 'allowed.test.denied.test', 'notallowed.test', 'sub.allowed.test', 'allowed.tes', 'allowed.test.', 'test',
                                      'allowed-test', 'xn--allowed.test') if n != 'allowed.test.'])


@test
def case_and_final_dots_do_not_matter():
    here(curl(ALLOW, 'http://ALLOWED.Test/'), '')
    here(curl(ALLOW, 'http://allowed.test./'), '')


@test
def ports_beside_the_allowed_ones_are_refused():
    refused(ALLOW, [('allowed.test', p) for p in (22, 7, 8080, 1, 65535)])


@test
def datagrams_go_nowhere():
    since = len(told)
    r = python(ALLOW, 'for h in ("%s", "198.18.0.9"):\n for p in (443, 9999):\n  s = socket.socket(2, 2); s.sendto(b"x" * 99, (h, p))\n'
               's = socket.socket(10, 2); s.sendto(b"x" * 99, ("%s", 443))\n'
               's = socket.socket(2, 2); s.connect(("%s", 443)); s.send(b"x"); s.settimeout(2)\ntry: s.recv(9)\nexcept OSError as e: print(errno.errorcode.get(e.errno))' % (EXT, EXT6, EXT))
    equal(r.out, 'ECONNREFUSED\n', r)
    equal(arrivals('udp', since), [], r)


@test
def raw_sockets_and_tampering_are_refused():
    code = ('def no(f):\n try: f(); return "DONE"\n except OSError: return "refused"\n'
            's = socket.socket()\n'
            'print(no(lambda: socket.socket(2, 3, 1)), no(lambda: socket.socket(17, 3, 3)), no(lambda: socket.socket(16, 3, 0)), no(lambda: socket.socket(16, 3, 12)),\n'
            ' no(lambda: socket.socket(40, 1, 0)), no(lambda: s.setsockopt(0, 19, 1)), no(lambda: socket.socket(10).setsockopt(41, 75, 1)), no(lambda: s.setsockopt(1, 36, 7)),\n'
            ' no(lambda: __import__("fcntl").ioctl(s, 0x8914, b"lo" + bytes(14) + b"\\0" * 24)), no(lambda: open("/proc/sys/net/ipv4/ip_forward", "w")))')
    r = python(ALLOW, code)
    equal(r.out.split(), ['refused'] * 10, r)


@test
def the_gates_listener_is_no_way_around():
    code = ('n = 0\nfor p in range(1024, 65536):\n s = socket.socket(); s.settimeout(2)\n'
            ' if s.connect_ex(("127.0.0.1", p)) == 0:\n  try:\n   if s.getsockname() == s.getpeername(): continue\n   n += 1\n   s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")\n   if s.recv(99): print("ANSWER")\n  except OSError: pass\n s.close()\nprint(n)')
    since = len(told)
    r = python(ALLOW, code)
    assert 'ANSWER' not in r.out and r.status == 0, r
    equal(arrivals('tcp', since), [], r)


@test
def garbage_does_not_stop_it():
    code = TRY + ('import random\nrandom.seed(7)\nfor i in range(400):\n s = socket.socket(2, 2); s.sendto(bytes(random.randrange(256) for _ in range(random.randrange(600))), ("198.18.0.1", 53)); s.close()\n'
                  'for i in range(60):\n s = socket.create_connection(("198.18.0.1", 53), 3); s.sendall(bytes(random.randrange(256) for _ in range(random.randrange(2000)))); s.close()\n'
                  'held = []\nfor i in range(100):\n s = socket.create_connection(("198.18.0.1", 53), 3); s.sendall(b"\\0"); held.append(s)\n'
                  'big = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"".join(bytes([63]) + b"a" * 63 for _ in range(3)) + bytes([61]) + b"a" * 61 + b"\\0\\0\\1\\0\\1"\n'
                  's = socket.socket(2, 2); s.settimeout(2)\nfor i in range(4): # datagrams may be lost: programs ask again\n s.sendto(big, ("198.18.0.1", 53))\n try: print(s.recv(999)[3] & 15); break\n except OSError: pass\nprint(t("allowed.test", 80))')
    r = python(ALLOW, code)
    equal(r.out.split(), ['3', 'REACHED'], r)


@test
def many_names_do_not_exhaust_it():
    code = TRY + ('def q(n):\n b = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"".join(bytes([len(x)]) + x.encode() for x in n.split(".")) + b"\\0\\0\\1\\0\\1"\n'
                  ' s.sendto(b, ("198.18.0.1", 53))\n return s.recv(999)\n'
                  's = socket.socket(2, 2); s.settimeout(3)\nprint(t("allowed.test", 80))\nfor i in range(30000): q("n%d.w.test" % i)\nprint(t("allowed.test", 80))')
    since = len(told)
    r = python([*ALLOW, '--allow', '*.w.test'], code)
    equal(r.out.split(), ['REACHED', 'REACHED'], r)
    assert len(arrivals('dns', since)) < 20, 'names were asked for outside'


@test
def a_lying_or_silent_resolver_holds_nobody_up():
    code = TRY + ('def late(n):\n t(n, 80)\nfor n in ("hang.test", "lie.test", "loop.test"): threading.Thread(target=late, args=(n,), daemon=True).start()\n'
                  'time.sleep(0.3); a = time.time(); print(t("allowed.test", 80), time.time() - a)')
    r = python([*ALLOW, '--allow', 'hang.test', '--allow', 'lie.test', '--allow', 'loop.test'], code)
    in_time(r, 2)


def in_time(r, seconds):
    """What it printed: that it reached it, and how long that took."""
    how, took = r.out.split()[:2]
    equal(how, 'REACHED', r)
    assert float(took) < patience(seconds), r


@test
def floods_end_and_others_get_through():
    code = TRY + ('held = []\nfor i in range(900):\n s = socket.socket(); s.setblocking(False); s.connect_ex(("198.18.0.200", 80)); held.append(s)\n'
                  'for s in held: s.close()\ntime.sleep(0.2)\nprint(t("allowed.test", 80))')
    r = python([*ALLOW, '--files', '2048'], code)
    equal(r.out.split(), ['REACHED'], r)


def gates():
    return [p for p in os.listdir('/proc') if p.isdigit() and comm(p) == 'strongroom-gate']


def has_memory(pid):
    """Not one of an earlier room that only waits to be reaped."""
    try:
        with open('/proc/%s/status' % pid) as f:
            return 'VmRSS' in f.read()
    except OSError:
        return False


def comm(pid):
    try:
        return open('/proc/%s/comm' % pid).read().strip()
    except OSError:
        return ''


@test
def a_killed_gate_costs_the_network_only():
    done = []

    def kill():
        for _ in range(1000):
            time.sleep(0.05)
            if gates():
                time.sleep(0.7)
                done.extend(gates())
                for p in gates():
                    os.kill(int(p), 9)
                return
    k = threading.Thread(target=kill)
    k.start()
    r = python(ALLOW, TRY + 'try: socket.create_connection(("allowed.test", 80), 30).recv(1)  # until it is killed\nexcept OSError: pass\n'
               'print(t("allowed.test", 80)); print("alive")')
    k.join()
    equal(len(done), 1, r)
    equal(r.out.split(), ['refused', 'alive'], r)
    equal(r.record['network']['gate_lost'], True, r)


@test
def the_gate_has_no_rights():
    p = subprocess.Popen([*before, PROGRAM, 'run', *ALLOW, '--', 'cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd='/')
    p.stdin.write(b'there\n')
    p.stdin.flush()
    p.stdout.readline()
    pid = gates()[0]
    status = dict(x.split(':', 1) for x in open('/proc/%s/status' % pid).read().splitlines())
    fds = os.listdir('/proc/%s/fd' % pid) if os.geteuid() == 0 else []
    inside = os.listdir('/proc/%s/root' % pid)
    p.communicate()
    equal(int(status['CapEff'].strip(), 16) | int(status['CapPrm'].strip(), 16) | int(status['CapBnd'].strip(), 16), 0)
    equal((status['NoNewPrivs'].strip(), status['Seccomp'].strip()), ('1', '2'))
    equal(inside, [])
    assert len(fds) < 40, fds


@test
def nothing_is_left():
    within(1, gates, 'gates left')


@test
def the_first_connection_is_quick():
    r = python(['--allow', 'four.test:80'], 'socket.getaddrinfo("four.test", 80)\nb = []\nfor i in range(50):\n a = time.perf_counter(); s = socket.create_connection(("four.test", 80), 5); c = time.perf_counter()\n'
               ' s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); s.recv(9); b.append((c - a, time.perf_counter() - a)); s.close()\n'
               'b.sort(key=lambda x: x[1]); print("%.0f us to connect, %.0f us to the first byte" % (b[25][0] * 1e6, b[25][1] * 1e6))')
    equal(r.status, 0, r)
    print('     (%s)' % r.out.strip())


def main(words):
    global folder, world
    if words[:1] == ['--as']:
        before.extend(['setpriv', '--reuid', '4242', '--regid', '4242', '--clear-groups', '--inh-caps=-all'])
        words = words[2:]
        os.environ['HOME'] = '/tmp'
    folder, world = build()
    passed = failed = skipped = 0
    for f in tests:
        name = f.__name__.replace('_', ' ')
        if words and not any(w in name for w in words):
            continue
        try:
            f()
            print('PASS ' + name, flush=True)
            passed += 1
        except Skip as e:
            print('SKIP %s: %s' % (name, e), flush=True)
            skipped += 1
        except Exception as e:
            if not isinstance(e, AssertionError):
                traceback.print_exc()
            print(('FAIL %s: %s' % (name, str(e).replace('\n', ' ')))[:900], flush=True)
            failed += 1
    world.kill()
    shutil.rmtree(folder, ignore_errors=True)
    print('%d passed, %d failed, %d skipped' % (passed, failed, skipped))
    sys.exit(failed != 0)
