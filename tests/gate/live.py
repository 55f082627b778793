"""live: what is told about a gate, what changes while a room lives, and what comes in. Standard library only; see run."""
import json
import os
import subprocess
import tempfile

import gate
from gate import ALLOW, EXT, EXT6, LAN, PROGRAM, TRY, before, curl, equal, has, python, room, test

gate.tests.clear()  # these are a suite of their own


def strongroom(*words, limit=20):
    return subprocess.run([*before, PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=limit, cwd='/', text=True)


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
                          'sh', '-c', 'curl -s http://four.test/; curl -s http://four.test:81/; sleep 1.5'],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[write_end], cwd='/')
    os.close(write_end)
    with os.fdopen(read_end) as f:
        lines = [json.loads(f.readline()), json.loads(f.readline())]
        running = p.poll() is None
        rest = f.read()
    equal(p.wait(), 0)
    assert running, 'they came after the end'
    assert all(json.loads(x)['port'] == 81 for x in rest.splitlines()), rest  # tried over both families
    equal([(x['event'], x['verdict'], x['port'], x['allow']) for x in lines], [('network', 'allowed', 80, None), ('network', 'denied', 81, '--allow four.test:81')])


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
    equal(p.wait(timeout=20), 0)
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
    r = python(RULES, TRY + 'for x in %r: print(t(*x))' % (peers,), 90)
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
def the_remedies_work():
    r = curl(['--net', 'gate', *ALLOW], 'http://four.test/')
    remedy = next(e['allow'] for e in r.record['network']['events'])
    equal(remedy, '--allow four.test', r)
    equal(curl(remedy.split(), 'http://four.test/').status, 0)
