"""live: what is told about a gate, what changes while a room lives, and what comes in. Standard library only; see run."""
import json
import os
import re
import socket
import subprocess
import tempfile
import time

import gate
from gate import ALLOW, EXT, EXT6, HANG, LAN, PROGRAM, TRY, before, curl, equal, has, python, room, test, within

gate.tests.clear()  # these are a suite of their own


def strongroom(*words):
    return subprocess.run([*before, PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=HANG, cwd='/', text=True)


# --- the record -------------------------------------------------------------------------------------------------------

@test
def each_decision_is_an_event():
    r = python(['--allow', 'four.test:80 note=the mirror', '--deny', 'x.w.test'], TRY + 'for x in (("four.test", 80), ("four.test", 80), ("four.test", 81), '
               '("%s", 443), ("x.w.test", 80)): t(*x)' % EXT)
    n = r.record['network']
    told = [(e['verdict'], e['kind'], e['name'] or e['address'], e['port'], e['reason']) for e in n['events']]
    equal(sorted(told), sorted([('allowed', 'tcp', 'four.test', 80, 'rule')] * 2 + [('denied', 'tcp', 'four.test', 81, 'no-rule'), ('denied', 'tcp', EXT, 443, 'address-not-listed')] +
                               [('denied', 'dns', 'x.w.test', 0, 'rule')] * 2), r)  # asked for both families
    first = n['events'][0]
    equal((first['rule'], first['note'], first['address']), ('four.test:80 note=the mirror', 'the mirror', EXT), r)
    assert first['bytes_up'] > 10 and first['bytes_down'] > 20 and first['at_ms'] > 0, first
    equal([e['allow'] for e in n['events'] if e['port'] in (81, 443)], ['--allow four.test:81', '--allow %s:443' % EXT], r)
    equal(n['events_left_out'], 0, r)


@test
def the_events_of_a_result_are_bounded():
    r = python(['--allow', 'four.test:1-999'], 'for i in range(600):\n try: socket.create_connection(("198.18.9.%d" % (i % 250), 1 + i), 2)\n except OSError: pass')
    n = r.record['network']
    equal((len(n['events']), len(n['peers'])), (256, 128), r)
    assert n['events_left_out'] > 100 and n['untold'] > 300, n['events_left_out']


@test
def events_are_told_while_they_happen():
    read_end, write_end = os.pipe()
    p = subprocess.Popen([*before, PROGRAM, 'run', '-q', '--events', 'fd:%d' % write_end, '--allow', 'four.test:80', '--',
                          'sh', '-c', 'curl -s http://four.test/; curl -4 -s http://four.test:81/; sleep 0.1; curl -s http://four.test/; read end'],
                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[write_end], cwd='/')
    os.close(write_end)
    lines = []
    with os.fdopen(read_end) as f:
        while [x['port'] for x in lines].count(80) < 2:  # behind the last one comes nothing that could take it along
            lines.append(json.loads(f.readline()))
        time.sleep(0.5)
        running = p.poll() is None
        p.stdin.close()
        rest = f.read()
    equal(p.wait(), 1)  # nothing was there to be read
    assert running, 'they came after the end'
    equal(rest, '')
    told = [(x['event'], x['verdict'], x['port'], x['allow']) for x in lines]
    allowed, denied = ('network', 'allowed', 80, None), ('network', 'denied', 81, '--allow four.test:81')
    equal(([told[0], told[-1]], set(told[1:-1])), ([allowed, allowed], {denied}))


@test
def events_go_into_a_file():
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o777)
        r = room(['--events', d + '/e', '--net', 'gate'], ['curl', '-s', 'http://denied.test/'])
        lines = [json.loads(x) for x in open(d + '/e')] if os.access(d + '/e', os.R_OK) else []
    equal({(x['kind'], x['name']) for x in lines}, {('dns', 'denied.test')}, r)


@test
def a_reader_of_events_that_does_not_read_holds_nobody_up():
    read_end, write_end = os.pipe()
    p = subprocess.Popen([*before, PROGRAM, 'run', '-q', '--events', 'fd:%d' % write_end, '--allow', 'four.test:1-999', '--', gate.PYTHON, '-c',
                          'import socket\nfor i in range(450):\n try: socket.create_connection(("198.18.9.9", 1 + i), 2)\n except OSError: pass'],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[write_end], cwd='/')
    os.close(write_end)
    equal(p.wait(timeout=HANG), 0)
    with os.fdopen(read_end) as f:
        lines = [json.loads(x) for x in f]
    assert 50 < len(lines) < 450, len(lines)


@test
def events_want_a_gate_and_a_place():
    for words, wanted in ((['--events', 'fd:1'], 'no gate'), (['--net', 'gate', '--events', 'fd:99'], 'descriptor 99'), (['--net', 'gate', '--events', '/nonexistent/x'], 'No such'),
                          (['--net', 'gate', '--events', 'fd:x'], 'not a descriptor')):
        r = strongroom('run', *words, '--', 'true')
        equal(r.returncode, 125, r)
        has(r.stderr, wanted, r)


# --- what the room may read -------------------------------------------------------------------------------------------

def notice(options):
    r = room(options, ['sh', '-c', 'cat /run/strongroom/policy.json; (echo x >/run/strongroom/policy.json) 2>/dev/null && echo WRITTEN; '
                                   'rm -f /run/strongroom/policy.json 2>/dev/null && echo REMOVED'])
    assert 'WRITTEN' not in r.out and 'REMOVED' not in r.out, r
    return json.loads(r.out)


@test
def the_room_reads_its_list():
    equal(notice([])['network'], 'none')
    equal(notice(['--hostname', 'x'])['network'], 'none')
    n = notice(['--allow', 'four.test:80 note=secret words', '--deny', 'x.w.test'])
    equal((n['network'], n['rules'], n['rules_left_out']), ('gate', [{'action': 'allow', 'rule': 'four.test:80'}, {'action': 'deny', 'rule': 'x.w.test'}], 0))
    assert 'secret' not in json.dumps(n)
    many = notice([w for i in range(900) for w in ('--allow', '%s.%s.n%d.test' % ('a' * 60, 'b' * 60, i))])
    equal((len(many['rules']) + many['rules_left_out']), 900)


# --- why --------------------------------------------------------------------------------------------------------------

RULES = ['--allow', 'allowed.test', '--allow', '*.w.test:80', '--deny', 'x.w.test', '--allow', 'four.test:70-90', '--allow', 'lan.test:80 internal', '--allow', 'rebind.test',
         '--allow', EXT + ':22', '--allow', '[%s]:80' % EXT6, '--allow', '10.0.0.0/8:8080']
ASKED = {  # peer: does the gate let it through? None: the rules do, and what the name leads to is refused
    'allowed.test:80': True, 'allowed.test:22': False, 'sub.allowed.test:80': False, 'y.w.test:80': True, 'y.w.test:443': False, 'x.w.test:80': False, 'w.test:80': False,
    'four.test:80': True, 'four.test:7': False, 'lan.test:80': True, 'rebind.test:80': None, 'denied.test:80': False, EXT + ':22': True, EXT + ':80': False,
    '[%s]:80' % EXT6: True, '[%s]:22' % EXT6: False, LAN + ':8080': True, LAN + ':80': False, 'ALLOWED.test.:80': True}


@test
def why_says_what_the_gate_does():
    peers = [(p.rsplit(':', 1)[0].strip('[]'), int(p.rsplit(':', 1)[1])) for p in ASKED]
    r = python(RULES, TRY + 'for x in %r: print(t(*x))' % (peers,))
    for (peer, wanted), did in zip(ASKED.items(), r.out.split()):
        w = strongroom('why', peer, *RULES)
        equal((did == 'REACHED', w.returncode), (wanted is True, 1 if wanted is False else 0), '%s: %s%s' % (peer, w.stdout, did))
        if wanted is None:
            has(w.stdout, 'must be a public address', peer)
        if wanted is False:
            allow = next((e['allow'] for e in r.record['network']['events'] if '%s:%d' % (e['name'] or e['address'], e['port']) == peer.replace('[', '').replace(']', '')), None)
            if allow:  # the same remedy
                has(w.stdout, allow, peer)
    equal(len(r.out.split()), len(ASKED), r)


@test
def why_knows_what_is_the_rooms_own():
    for peer, status, said in (('127.0.0.5:80', 0, "the room's own loopback"), ('[::1]:80', 0, "the room's own loopback"), ('0.0.0.0:80', 0, "the room's own loopback"),
                               ('169.254.169.254:80', 1, 'no rule lists this private address; allow with: --allow 169.254.169.254:80'), ('8.8.8.8:81', 1, 'no rule allows it')):
        r = strongroom('why', peer, '--allow', '0.0.0.0/0:80')
        equal(r.returncode, status, r)
        has(r.stdout, said, peer)


@test
def the_remedies_work():
    r = curl(['--net', 'gate', *ALLOW], 'http://four.test/')
    remedy = next(e['allow'] for e in r.record['network']['events'])
    equal(remedy, '--allow four.test', r)
    equal(curl(remedy.split(), 'http://four.test/').status, 0)


# --- rooms that have a name -------------------------------------------------------------------------------------------

class Named:
    """A room that runs `code` and is spoken to meanwhile."""
    def __init__(self, name, options, code):
        self.record = tempfile.TemporaryFile()
        self.name = name
        self.p = subprocess.Popen([*before, PROGRAM, 'run', '--name', name, '--result-fd', str(self.record.fileno()), *options, '--', gate.PYTHON, '-uc',
                                   'import socket,time,sys,os,json,threading\n' + TRY + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  pass_fds=[self.record.fileno()], cwd='/', text=True)
        equal(self.p.stdout.readline(), 'ready\n')

    def line(self, word=''):
        """Says a word to the program and hears what it answers."""
        self.p.stdin.write(word + '\n')
        self.p.stdin.flush()
        return self.p.stdout.readline().rstrip('\n')

    def say(self, verb, *words):
        return strongroom(verb, self.name, *words)

    def end(self):
        out, err = self.p.communicate(timeout=HANG)
        with self.record as f:
            f.seek(0)
            return self.p.returncode, err, json.loads(f.read())


TRIES = 'print("ready")\nfor x in sys.stdin:\n w = x.split()\n if w[:1] == ["end"]: break\n print(t(w[0], int(w[1])))\n'


def home():
    top = '/run' if not before and os.access('/run', os.W_OK) else os.environ['XDG_RUNTIME_DIR']
    return top + '/strongroom/rooms/'


@test
def rules_change_while_the_room_lives():
    n = Named('changing', ['--allow', 'four.test:80'], TRIES)
    equal(n.line('allowed.test 80'), 'refused')
    r = n.say('allow', 'allowed.test:80 note=for a while', '*.w.test:80')
    equal((r.returncode, r.stdout), (0, 'from now on: allow allowed.test:80 note=for a while\nfrom now on: allow *.w.test:80\n'), r)
    equal([n.line(x) for x in ('allowed.test 80', 'a.w.test 80', 'four.test 80', 'allowed.test 22')], ['REACHED', 'REACHED', 'REACHED', 'closed'][:3] + [n.line('allowed.test 22')])
    equal(n.say('deny', 'b.w.test').returncode, 0)
    equal([n.line(x) for x in ('a.w.test 80', 'b.w.test 80')], ['REACHED', 'refused'])
    equal(n.say('rules').stdout, 'allow four.test:80\nallow allowed.test:80 note=for a while\nallow *.w.test:80\ndeny b.w.test\n')
    equal(n.say('withdraw', 'allowed.test:80', 'deny b.w.test').returncode, 0)
    equal([n.line(x) for x in ('allowed.test 80', 'b.w.test 80')], ['refused', 'REACHED'])
    equal(n.say('allow', 'allowed.test:80').returncode, 0)
    equal(n.line('allowed.test 80'), 'REACHED')
    status, err, record = n.end()
    equal(status, 0, err)
    told = {e['rule'] for e in record['network']['events'] if e['name'] == 'allowed.test' and e['verdict'] == 'allowed'}
    equal(told, {'allowed.test:80 note=for a while', 'allowed.test:80'})
    equal((record['name'], record['network']['rule_changes']), ('changing', 6))


@test
def rules_are_looked_at_before_any_holds():
    n = Named('misspelt', ['--allow', 'four.test:80 max-conns=3'], TRIES)
    for verb, wrong, said in (('allow', '--deny', 'not a host name'), ('allow', 'http://x.test', 'that is a URL'), ('deny', 'x.test internal', 'only a rule that allows'),
                              ('withdraw', 'x.test:0', 'a port is a number')):
        r = n.say(verb, 'four.test:80' if verb == 'withdraw' else 'allowed.test', wrong)
        equal((r.returncode, r.stdout), (125, ''), r)
        has(r.stderr, '%s %s: %s' % (verb, wrong, said), r)
    r = n.say('allow', 'four.test:80 max-conns=4')  # of two such the first one would decide
    equal((r.returncode, r.stdout), (125, ''), r)
    has(r.stderr, 'other bounds hold for it: allow four.test:80 max-conns=3', r)
    equal(n.say('rules').stdout, 'allow four.test:80 max-conns=3\n')
    equal(n.say('withdraw', 'allow four.test:80 max-conns=3').returncode, 0)
    equal(n.say('allow', 'four.test:80 max-conns=4', 'four.test:80 max-conns=4 http=GET:/x').returncode, 0)
    equal(n.end()[0], 0)


@test
def several_rules_hold_together_or_not_at_all():
    n = Named('together', ['--allow', 'four.test:80', '--deny', 'x.w.test'], TRIES)
    before = n.say('rules').stdout
    for words, wanted in ((('allow', 'allowed.test:80', 'x.w.test:80'), 'allow: none of these 2 rules was taken: x.w.test:80: it can never match'),
                          (('allow', 'allowed.test:80', 'a.w.test:80', 'four.test:80 max-conns=1'), 'none of these 3 rules was taken: four.test:80 max-conns=1: other bounds'),
                          (('allow', 'allowed.test:80 max-conns=1', 'allowed.test:80 max-conns=2'), 'other bounds hold for it: allow allowed.test:80 max-conns=1'),
                          (('withdraw', 'four.test:80', 'deny x.w.test', 'allowed.test:80'), 'none of these 3 rules was taken: allowed.test:80: no such rule holds here'),
                          (('withdraw', 'four.test:80', 'four.test:80'), 'no such rule holds here'),
                          (('withdraw', 'nobody.test internal'), 'no such rule holds here'),
                          (('allow', 'allowed.test:80', 'unix:/nowhere/at/all=/run/strongroom/sockets/x'), 'none of these 2 rules was taken: unix:/nowhere/at/all'),
                          (('allow', *('a%d.w.test:80' % i for i in range(33))), '33 rules are too many for one request'),
                          (('deny', *('%s.w.test' % (str(i) + 'a' * 40 + '.' + 'b' * 60 + '.' + 'c' * 60) for i in range(30))), '30 rules are too many for one request')):
        r = n.say(*words)
        equal((r.returncode, r.stdout), (125, ''), r)
        has(r.stderr, wanted, r)
        equal(n.say('rules').stdout, before)
    equal([n.line(x) for x in ('allowed.test 80', 'a.w.test 80', 'four.test 80')], ['refused', 'refused', 'REACHED'])
    r = n.say('allow', 'allowed.test:80', 'four.test:80', 'allowed.test:80')
    equal((r.returncode, r.stdout), (0, 'from now on: allow allowed.test:80\nheld already: allow four.test:80\nheld already: allow allowed.test:80\n'), r)
    r = n.say('withdraw', 'deny x.w.test', 'allowed.test:80')
    equal((r.returncode, r.stdout), (0, 'withdrawn: deny x.w.test\nwithdrawn: allow allowed.test:80\n'), r)
    equal(n.say('allow', 'allowed.test:80', *('a%d.w.test:80' % i for i in range(31))).stdout.count('from now on: allow '), 32)
    equal([n.line(x) for x in ('allowed.test 80', 'a30.w.test 80', 'x.w.test 80')], ['REACHED', 'REACHED', 'refused'])
    status, err, record = n.end()
    equal(status, 0, err)
    equal(record['network']['rule_changes'], 1 + 2 + 32)


@test
def the_list_is_there_for_programs_too():
    n = Named('listed', ['--allow', 'four.test:80 note=the "first"', '--deny', 'x.w.test', *(w for i in range(300) for w in ('--allow', 'n%d.w.test:443' % i))], TRIES)
    r = n.say('rules')
    lines = r.stdout.splitlines()
    equal(len(lines), 302)
    words = strongroom('rules', '--json', n.name)
    equal(words.returncode, 0, words)
    equal(['%s %s' % (x['action'], x['rule']) for x in json.loads(words.stdout)], lines)
    has(words.stdout, '"rule": "four.test:80 note=the \\"first\\""')
    n.say('withdraw', 'x.w.test')
    equal(len(json.loads(strongroom('rules', '--json', n.name).stdout)), 301)
    equal(n.end()[0], 0)
    closed = Named('listed', [], 'print("ready")\nsys.stdin.read()\n')
    equal(json.loads(strongroom('rules', '--json', closed.name).stdout), [])
    equal(closed.end()[0], 0)


@test
def a_withdrawn_rule_cuts_its_connections():
    code = ('held = {h: socket.create_connection((h, 9), 5) for h in ("four.test", "allowed.test", "a.w.test")}\nprint("ready")\nsys.stdin.readline()\ntime.sleep(0.3)\n'
            'def alive(s):\n s.settimeout(0.5)\n try: return "gone" if s.recv(9) == b"" else "?"\n except TimeoutError: return "alive"\n except OSError: return "cut"\n'
            'print([alive(held[h]) for h in held])\nsys.stdin.read()\n')
    n = Named('cutting', ['--allow', 'four.test:9', '--allow', 'allowed.test:9', '--allow', '*.w.test:9'], code)
    r = n.say('withdraw', 'four.test:9')
    has(r.stdout, '(1 connection cut)', r)
    has(n.say('deny', 'a.w.test').stdout, '(1 connection cut)')
    equal(n.line(), str(['cut', 'alive', 'cut']))
    status, err, record = n.end()
    equal(status, 0, err)
    equal(sorted((e['name'], e['reason']) for e in record['network']['events']), [('a.w.test', 'withdrawn'), ('allowed.test', 'rule'), ('four.test', 'withdrawn')])


@test
def an_address_that_stood_for_a_withdrawn_name_leads_nowhere():
    code = 'a = socket.getaddrinfo("four.test", 80)[0][4]\nprint("ready")\nsys.stdin.readline()\nprint(t(a[0], 80), t("four.test", 80))\n'
    n = Named('forgetting', ['--allow', 'four.test:80', '--allow', '*.w.test:80'], code)
    n.say('withdraw', 'four.test:80')
    equal(n.line(), 'refused refused')
    r = n.end()
    equal([(e['kind'], e['name'], e['reason']) for e in r[2]['network']['events'] if e['kind'] == 'tcp'], [('tcp', None, 'address-not-listed')])


@test
def the_rooms_list_is_renewed():
    code = 'print("ready")\nfor x in sys.stdin: print(json.dumps([r["rule"] for r in json.load(open("/run/strongroom/policy.json"))["rules"]]))\n'
    n = Named('reading', ['--allow', 'four.test:80'], code)
    equal(n.line(), '["four.test:80"]')
    n.say('allow', 'a-rather-long-name.w.test:1,2,3,4,5,6,7,8')
    equal(n.line(), '["four.test:80", "a-rather-long-name.w.test:1,2,3,4,5,6,7,8"]')
    n.say('withdraw', 'four.test:80', 'a-rather-long-name.w.test:1,2,3,4,5,6,7,8')
    equal(n.line(), '[]')
    equal(n.end()[0], 0)


@test
def wrong_changes_are_refused():
    n = Named('strict', ['--allow', 'four.test:80', '--deny', 'x.w.test'], TRIES)
    for words, wanted in ((('allow', 'x.w.test:80'), 'can never match'), (('allow', 'http://a/'), 'that is a URL'), (('allow', 'a..b'), 'not a host name'), (('withdraw', 'five.test'), 'no such rule'),
                          (('deny', 'a\nb'), 'not a rule'), (('allow', 'a' * 1500), 'not a rule'), (('allow', '\x1b[31m.test'), 'not a rule')):
        r = n.say(*words)
        equal(r.returncode, 125, r)
        has(r.stderr, wanted, r)
        assert '\x1b' not in r.stderr, r
    r = n.say('allow', 'four.test:80')
    equal((r.returncode, r.stdout), (0, 'held already: allow four.test:80\n'), r)
    equal(n.say('rules').stdout, 'allow four.test:80\ndeny x.w.test\n')
    equal(n.end()[0], 0)
    closed = Named('closed', [], 'print("ready")\nsys.stdin.read()\n')
    has(closed.say('allow', 'four.test:80').stderr, 'start it with --net gate')
    equal(closed.say('rules').stdout, '')
    equal(closed.end()[0], 0)
    has(strongroom('allow', 'nobody', 'a.test').stderr, 'no room of that name runs')
    for words in (('allow',), ('allow', 'x'), ('rules', 'x', 'y'), ('rules', '--json'), ('rules', '../x'), ('rules', '')):
        assert strongroom(*words).returncode != 0, words


@test
def a_name_is_taken_once_and_given_back():
    n = Named('only', ['--net', 'gate'], TRIES)
    r = strongroom('run', '--name', 'only', '--', 'true')
    equal(r.returncode, 125, r)
    has(r.stderr, 'a room of that name is there already', r)
    folder = home() + 'only'
    equal([oct(os.stat(folder).st_mode & 0o777), oct(os.stat(folder + '/control').st_mode & 0o777)], ['0o700', '0o600'])
    pid, start, ident = open(folder + '/identity').read().split()
    equal(start, open('/proc/%s/stat' % pid).read().rsplit(')', 1)[1].split()[19])
    equal(len(ident), 32)
    equal(n.end()[0], 0)
    assert not os.path.exists(folder)
    equal(strongroom('run', '--name', 'only', '--', 'true').returncode, 0)


@test
def what_killed_rooms_left_is_swept_away():
    n = Named('killed', ['--net', 'gate'], TRIES)
    os.kill(int(open(home() + 'killed/identity').read().split()[0]), 9)
    n.p.wait()
    n.p.communicate()
    within(2, lambda: [x for x in os.listdir('/proc') if x.isdigit() and gate.comm(x) == 'room-init' and gate.has_memory(x)], 'a room')
    assert os.path.exists(home() + 'killed/control')
    has(strongroom('rules', 'killed').stderr, 'no room of that name runs')
    equal(strongroom('run', '--name', 'another', '--', 'true').returncode, 0)
    assert 'killed' not in os.listdir(home()), os.listdir(home())


@test
def the_socket_takes_no_nonsense():
    n = Named('sound', ['--net', 'gate'], TRIES)
    frame = lambda kind, text=b'', version=1, value=0, size=None: (  # noqa: E731
        version.to_bytes(4, 'little') + kind.to_bytes(4, 'little') + (len(text) if size is None else size).to_bytes(4, 'little') + value.to_bytes(4, 'little')).ljust(16) + text.ljust(4080, b'\0')
    rows = re.findall(r'^    X\((\w+), "\w+", (?:CLIENT|ROOM),', open(gate.PROJECT + '/src/rooms/frames.h').read(), re.M)
    kinds = {name: i + 1 for i, name in enumerate(rows)}
    bad = [b'', b'x', b'x' * 4096, frame(1)[:-1], frame(1) + b'x', frame(0), frame(99), frame(kinds['LINES']), frame(kinds['REFUSED'], b'no'), frame(1, version=2), frame(1, size=5), frame(2), frame(2, b'a\tb'),
           frame(kinds['LEASE'], b'a\nb'), frame(2, b'a\xff'), frame(2, b'a', size=4097), frame(1, value=0x80000000)]
    for x in bad:
        s = socket_to('sound')
        s.send(x)
        if len(x) == 4096 and x[:4] != frame(1)[:4]:  # it is told which version this is
            equal(s.recv(5000), frame(kinds['REFUSED'], b'another version'), x[:40])
        equal(s.recv(5000), b'', x[:40])
        s.close()
    many = [socket_to('sound') for _ in range(84)]  # more than are heard at once; they ask nothing
    for s in many[:70]:
        s.close()
    s = socket_to('sound')
    for s2 in many[70:]:
        s2.close()
    s.send(frame(1))
    equal(len(s.recv(5000)), 4096)
    s.close()
    equal(n.say('allow', 'four.test:80').returncode, 0)
    equal(n.line('four.test 80'), 'REACHED')
    equal(n.end()[0], 0)


def socket_to(name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(home() + name + '/control')  # waits while too many others do
    s.settimeout(5)
    return s


@test
def the_room_cannot_speak_to_its_own_socket():
    code = ('print("ready")\nsys.stdin.readline()\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(3)\n'
            'try: s.connect("/rooms/inward/control"); s.send((1).to_bytes(4, "little") * 2 + bytes(4088)); print(len(s.recv(5000)))\nexcept OSError as e: print(e)\n')
    subprocess.run([*before, PROGRAM, 'run', '--name', 'x', '--', 'true'])  # now the folder is there
    n = Named('inward', ['--net', 'gate', '-v', home().rstrip('/') + ':/rooms:ro'], code)
    said = n.line()
    equal(n.end()[0], 0)
    assert said in ('0', '[Errno 104] Connection reset by peer', '[Errno 32] Broken pipe'), said


@test
def others_cannot_speak_to_a_room():
    if before or os.geteuid() != 0:
        raise gate.Skip('root only')
    n = Named('private', ['--net', 'gate'], TRIES)
    r = subprocess.run(['setpriv', '--reuid', '4242', '--regid', '4242', '--clear-groups', PROGRAM, 'allow', 'private', 'a.test'], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, cwd='/')
    equal(r.returncode != 0, True, r)
    os.chmod('/run/strongroom', 0o755)
    os.chmod(home(), 0o755)
    os.chmod(home() + 'private', 0o755)
    os.chmod(home() + 'private/control', 0o666)  # even then: its credentials are looked at
    try:
        probe = subprocess.run(['setpriv', '--reuid', '4242', '--regid', '4242', '--clear-groups', gate.PYTHON, '-c', 'import socket\n'
                                's = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(3); s.connect("%sprivate/control")\n'
                                'try: s.send((1).to_bytes(4, "little") * 2 + bytes(4088)); print(len(s.recv(5000)))\nexcept OSError: print(0)' % home()], stdout=subprocess.PIPE, text=True)
        equal(probe.stdout, '0\n')
    finally:
        os.chmod(home(), 0o700)
        os.chmod('/run/strongroom', 0o700)
    equal(n.end()[0], 0)


@test
def what_a_withdrawn_rule_let_pass_inside_is_cut():
    """Of two equal rules the second goes: the connection is the first one's, but what passed in it was more."""
    gate.trusted()
    code = ('import http.client, ssl\nc = http.client.HTTPSConnection("four.test", 8443, timeout=5, context=ssl.create_default_context())\nprint("ready")\n'
            'for x in sys.stdin:\n try: c.request("GET", x.strip()); r = c.getresponse(); r.read(); print(r.status)\n except (OSError, http.client.HTTPException): print("cut"); c.close()\n')
    n = Named('inner', ['--allow', 'four.test:8443 http=GET:/a/*', '--allow', 'four.test:8443 http=GET:/b/*', '--allow', 'six.test:80'], code)
    equal([n.line('/b/1'), n.line('/a/1')], ['200', '200'])
    has(n.say('withdraw', 'six.test:80').stdout, 'six.test')
    equal(n.line('/b/2'), '200')
    has(n.say('withdraw', 'four.test:8443 http=GET:/b/*').stdout, '(1 connection cut)')
    equal([n.line('/b/3'), n.line('/b/3'), n.line('/a/3')], ['cut', 'cut', '200'])
    n.say('allow', 'four.test:8443 http=GET:/c/*')
    equal((n.line('/c/1'), n.say('allow', 'four.test:8443 http=GET:/c/*').stdout), ('cut', 'held already: allow four.test:8443 http=GET:/c/*\n'))
    has(n.say('withdraw', 'four.test:8443').stderr, 'several rules speak of it')
    equal(n.say('rules').stdout, 'allow four.test:8443 http=GET:/a/*\nallow four.test:8443 http=GET:/c/*\n')
    equal(n.end()[0], 0)
    n = Named('whole', ['--allow', 'four.test:8443 http=GET:/a/*', '--allow', 'four.test:8443', '--ro', gate.folder], code.replace('_context()', '_context(cafile="%s/server.pem")' % gate.folder))
    equal([n.line('/b/1'), n.line('/a/1')], ['200', '200'])
    has(n.say('withdraw', 'four.test:8443').stdout, '(1 connection cut)')  # TLS had passed untouched
    equal(n.line('/a/2'), 'cut')
    equal(n.end()[0], 0)
    n = Named('wordless', ['--allow', 'four.test:8088 http', '--allow', 'four.test:8088 any'], 'print("ready")\nfor x in sys.stdin:\n s = socket.create_connection(("four.test", 8088), 5)\n s.sendall(b"GET / HTTP/1.1\\r\\n")\n'
              ' print("open"); sys.stdin.readline()\n s.settimeout(1)\n try: print("cut" if not s.recv(9) else "?")\n except TimeoutError: print("alive")\n except OSError: print("cut")\n')
    equal(n.line('x'), 'open')
    has(n.say('withdraw', 'four.test:8088 any').stdout, '(1 connection cut)')
    equal(n.line('x'), 'cut')
    equal(n.end()[0], 0)


# --- learning ---------------------------------------------------------------------------------------------------------

@test
def what_was_learnt_is_a_policy_that_suffices():
    since, packets = len(gate.told), gate.outgoing()
    code = 'import socket\n' + TRY + 'for x in (("four.test", 80), ("a.w.test", 8080), ("%s", 22), ("four.test", 80), ("x.w.test", 80)): print(t(*x))' % EXT
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        r = strongroom('learn', '--deny', 'x.w.test', '--', gate.PYTHON, '-c', code)
        equal(r.returncode, 0, r)
        assert 'REACHED' not in r.stderr and gate.arrivals('tcp', since) + gate.arrivals('dns', since) == [], r
        assert gate.outgoing() - packets <= 4, 'packets left'
        equal(r.stdout, 'net: gate\nallow:\n  - "four.test:80"\n  - "a.w.test:8080"\n  - "%s:22"\n' % EXT, r)
        with open(d + '/p.yaml', 'w') as f:
            f.write(r.stdout)
        again = room(['-p', d + '/p.yaml'], [gate.PYTHON, '-c', code])
        equal(again.out.split(), ['REACHED', 'REACHED', 'REACHED', 'REACHED', 'refused'], again)
        twice = strongroom('learn', '-p', d + '/p.yaml', '--', gate.PYTHON, '-c', code.replace('x.w.test', 'six.test'))
        equal(sorted(twice.stdout.split('\n')[2:-1]), sorted(r.stdout.split('\n')[2:-1] + ['  - "six.test:80"']), twice)


@test
def an_open_gate_learns_in_one_run():
    """All that is public is reached, as words of the rules to come need it; private addresses and the host's own are not."""
    since = len(gate.told)
    code = ('import socket\n' + TRY + 'def raw(h, p, w):\n s = socket.create_connection((h, p), 5); s.sendall(w); s.settimeout(8); return s.recv(99)[:6]\n'
            'for x in (("four.test", 80), ("a.w.test", 8080), ("%s", 22), ("lan.test", 80), ("10.9.8.7", 80), ("169.254.169.254", 80), ("198.51.100.2", 80), ("x.w.test", 80), ("rebind.test", 80)): print(t(*x))\n'
            'print(raw("six.test", 80, b"HELO / x\\r\\n\\r\\n"))\nprint(raw("allowed.test", 80, b"GET / HTTP/1.1\\r\\nHost: other.test\\r\\n\\r\\n"))\n' % EXT)
    r = strongroom('learn', '--open', '--deny', 'x.w.test', '--', gate.PYTHON, '-c', code)
    equal(r.returncode, 0, r)
    lines = r.stdout.splitlines()  # the rules come in the order in which connections ended
    equal((lines[:3], sorted(lines[3:])), (['# learnt behind an open gate: what the program reached, it reached', 'net: gate', 'allow:'], sorted([
        '  - "four.test:80"', '  - "a.w.test:8080"', '  - "%s:22"' % EXT, '  - "198.51.100.2:80"', '  - "six.test:80 any"', '  - "allowed.test:80 any"',
        *('  # - "%s"  # a private address: only if this is meant' % x for x in ('lan.test:80 internal', '10.9.8.7:80', '169.254.169.254:80', 'rebind.test:80 internal'))])), r)
    equal([x for x in r.stderr.split() if x in ('REACHED', 'refused')], ['REACHED'] * 3 + ['refused'] * 6, r)
    has(r.stderr, 'THE GATE IS OPEN', r)
    assert LAN not in [x[1] for x in gate.arrivals('tcp', since)]
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        with open(d + '/p.yaml', 'w') as f:
            f.write(r.stdout)
        again = room(['-p', d + '/p.yaml'], [gate.PYTHON, '-c', code.replace(', ("198.51.100.2", 80)', '')])
        equal([x for x in again.out.split() if x in ('REACHED', 'refused')], ['REACHED'] * 3 + ['refused'] * 5, again)
        equal(again.status, 0, again)


@test
def learning_keeps_what_rules_say():
    """What a rule of the caller's let through stays as narrow and as wide as that rule made it."""
    rules = ['--allow', 'lan.test internal note=the "lan"', '--allow', 'four.test http=GET:/* max-conns=9', '--allow', '*.w.test', '--allow', 'meta.test',
             '--allow', '169.254.0.0/16:80', '--allow', '10.0.0.0/8:8080', '--allow', 'allowed.test']
    code = 'import socket\n' + TRY + 'for x in (("lan.test", 80), ("four.test", 80), ("a.w.test", 80), ("meta.test", 80), ("10.9.8.7", 8080), ("six.test", 80)): print(t(*x))'
    r = strongroom('learn', *rules, '--', gate.PYTHON, '-c', code)
    lines = r.stdout.splitlines()  # the rules come in the order in which connections ended
    equal((lines[:2], sorted(lines[2:])), (['net: gate', 'allow:'], [
        '  - "10.9.8.7:8080"', '  - "169.254.169.254:80"', '  - "a.w.test:80"', '  - "four.test:80 http=GET:/* max-conns=9"',
        '  - "lan.test:80 internal note=the \\"lan\\""', '  - "meta.test:80"', '  - "six.test:80"']), r)
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        with open(d + '/p.yaml', 'w') as f:
            f.write(r.stdout)
        again = room(['-p', d + '/p.yaml'], [gate.PYTHON, '-c', code])
        equal(again.out.split(), ['REACHED'] * 6, again)


@test
def learning_keeps_secrets():
    """Each for the endpoints that were reached, and not for those that the policy does not allow: it must be one."""
    gate.os.environ['MY_TOKEN'] = 'the-real-value'
    try:
        words = ['--secret', 'T=env:MY_TOKEN@*.w.test:80', '--secret', 'T=env:MY_TOKEN@a.w.test:80', '--secret', 'T=env:MY_TOKEN@six.test:80', '--secret', 'U=env:MY_TOKEN@four.test:80',
                 '--allow', '*.w.test', '--allow', 'six.test', '--allow', 'four.test']
        code = 'import socket\n' + TRY + 'for x in (("four.test", 80), ("a.w.test", 80), ("allowed.test", 80)): print(t(*x))'
        r = strongroom('learn', *words, '--', gate.PYTHON, '-c', code)
        allow, secret = r.stdout.split('secret:\n')
        equal((sorted(allow.splitlines()[2:]), secret), (['  - "a.w.test:80"', '  - "allowed.test:80"', '  - "four.test:80"'],
                                                         '  - "T=env:MY_TOKEN@a.w.test:80"\n  - "U=env:MY_TOKEN@four.test:80"\n'), r)
        with tempfile.TemporaryDirectory() as d:
            os.chmod(d, 0o755)
            with open(d + '/p.yaml', 'w') as f:
                f.write(r.stdout)
            again = room(['-p', d + '/p.yaml'], ['sh', '-c', 'echo $T $U'])
            equal([len(x) for x in again.out.split()], [40, 40], again)
    finally:
        del gate.os.environ['MY_TOKEN']


@test
def learning_needs_a_gate_and_a_room():
    equal(strongroom('learn', '--', 'true').stdout, 'net: gate\n')
    for words, wanted in ((['--net', 'none', '--', 'true'], 'leave out --net'), (['--ask', '--', 'true'], 'leave out --ask'), (['--'], 'no command'), (['--', '/nonexistent'], 'No such file')):
        r = strongroom('learn', *words)
        assert r.returncode != 0 and r.stdout == '', r
        has(r.stderr, wanted, r)
