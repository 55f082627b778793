"""jobs: programs of a room that nobody sits before: what they print is kept and counted, what they read comes later."""
import json
import os
import re
import subprocess
import time

import room
from room import Traces, same, test
from rooms import Living, call

PROGRAM = room.PROGRAM
RING = 1 << 20


def start(x, *command, options=()):
    said = call('job', 'start', *options, x.name, '--', *command)
    assert re.fullmatch(r'\d+\n', said), said
    return said.strip()


def listed(x):
    return {str(j['id']): j for j in json.loads(call('job', 'list', '--json', x.name))}


def over(x, id):
    room.within(5, lambda: listed(x)[id]['state'] == 'runs', 'a program that should have ended')
    return listed(x)[id]


def part(x, id, *options):
    """The bytes, and how it stands."""
    read, write = os.pipe()
    p = subprocess.Popen([PROGRAM, 'job', 'output', *options, '--result-fd', str(write), x.name, id], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[write])
    os.close(write)
    out, err = p.communicate(timeout=room.HANG)
    with open(read, 'rb') as f:
        text = f.read()
    same((p.returncode, err), (0, b''), 'job output')
    return out, json.loads(text)


def refused(wanted, *words, status=125, feed=b''):
    r = subprocess.run([PROGRAM, 'job', *words], input=feed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
    assert r.returncode == status and wanted in r.stderr.decode(), (words, r.returncode, r.stderr)


@test
def it_runs_on_and_what_it_prints_is_kept():
    word, traces = room.token(), Traces()
    with Living() as x:
        id = start(x, '/bin/sh', '-c', 'pwd; echo $A; echo err >&2; sleep 0.3; echo late; sleep 100', word, options=['-e', 'A=b c', '-C', '/tmp'])
        room.within(3, lambda: listed(x)[id]['stdout'] < 14, 'its output')
        j = listed(x)[id]
        same((j['state'], j['exit_status'], j['stdout'], j['stderr']), ('runs', None, 14, 4))
        assert j['command'].startswith('/bin/sh -c pwd; echo $A') and j['age_ms'] >= 300, j
        same(call('job', 'output', x.name, id), '/tmp\nb c\nlate\n')
        same(call('job', 'output', '--stderr', x.name, id), 'err\n')
        same(part(x, id, '--offset', '5', '--limit', '4'), (b'b c\n', {'offset': 5, 'next_offset': 9, 'size': 14, 'lost': 0, 'ended': False}))
        same(part(x, id, '--offset', '99')[1]['next_offset'], 14)
        call('job', 'kill', x.name, id)
        j = over(x, id)
        same((j['state'], j['exit_status']), ('ended', 137))
        same(part(x, id)[1]['exit_status'], 137)
        same(call('job', 'list', x.name).split(' /bin')[0], '%s ended: 137' % id)
        id = start(x, 'sh', '-c', 'printf last; exit 3')
        same((over(x, id)['exit_status'], part(x, id)[0]), (3, b'last'))
    traces.clean(word)


@test
def it_reads_what_is_sent():
    with Living() as x:
        id = start(x, 'sh', '-c', 'while read -r a; do echo "got $a"; done; echo end')
        call('job', 'input', x.name, id, feed=b'1\n2\n')
        room.within(3, lambda: part(x, id)[0] != b'got 1\ngot 2\n', 'an answer')
        call('job', 'input', '--close', x.name, id, feed=b'3\n')
        over(x, id)
        same(part(x, id)[0], b'got 1\ngot 2\ngot 3\nend\n')
        refused('it has ended', 'input', x.name, id)
        id = start(x, 'sleep', '50')
        call('job', 'input', '--close', x.name, id, feed=b'')
        refused('its stdin was closed', 'input', x.name, id)
        # A program that does not read takes what its pipe holds; who sends is not held for ever.
        id = start(x, 'sh', '-c', 'head -c 10 >/dev/null; exec <&-; sleep 50')
        refused('reads no more', 'input', x.name, id, feed=b'x' * 300000)


@test
def much_output_keeps_its_end_and_its_count():
    with Living() as x:
        id = start(x, 'sh', '-c', 'seq -f %09g 1 300000; echo e >&2')
        j = over(x, id)
        same((j['stdout'], j['stderr']), (3000000, 2))
        out, r = part(x, id)
        same((len(out), r['offset'], r['lost'], r['size']), (RING, 3000000 - RING, 3000000 - RING, 3000000))
        same(out, b''.join(b'%09d\n' % i for i in range(1, 300001))[-RING:])
        same(part(x, id, '--limit', '10')[1]['next_offset'], 3000000 - RING + 10)
        r = subprocess.run([PROGRAM, 'job', 'output', x.name, id], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
        same((len(r.stdout), r.stderr), (RING, b'strongroom: note: %d earlier bytes are no longer kept\n' % (3000000 - RING)))
        # Read on while it is written: each byte once and in order, or counted as lost.
        id = start(x, 'sh', '-c', 'seq -f %09g 1 999999')
        at, lost, bad = 0, 0, 0
        while True:
            out, r = part(x, id, '--offset', str(at), '--limit', '200000')
            lost += r['lost']
            same(r['offset'], at + r['lost'])
            same(r['next_offset'], r['offset'] + len(out))
            first = r['offset'] + (-r['offset']) % 10
            lines = out[first - r['offset']:]
            bad += lines[:len(lines) // 10 * 10] != b''.join(b'%09d\n' % (first // 10 + 1 + i) for i in range(len(lines) // 10))
            at = r['next_offset']
            if r['ended'] and at == r['size']:
                break
        same((bad, at), (0, 9999990))


@test
def only_so_many_are_kept():
    with Living() as x:
        ids = [start(x, 'sleep', '100') for _ in range(16)]
        refused('too many of them run', 'start', x.name, '--', 'true')
        call('job', 'kill', x.name, ids[3])
        over(x, ids[3])
        new = start(x, 'true')
        assert ids[3] not in listed(x) and new in listed(x), listed(x)
        over(x, new)
        refused('no such program', 'output', x.name, ids[3])
        refused('no such program', 'input', x.name, '999')
        fds = len(os.listdir('/proc/%d/fd' % x.keeper()))
        for _ in range(20):
            over(x, start(x, 'sh', '-c', 'echo a'))
        room.within(3, lambda: len(os.listdir('/proc/%d/fd' % x.keeper())) > fds, 'descriptors of the keeper')
        same(len(listed(x)), 16)


@test
def one_cannot_harm_what_keeps_it():
    """Floods, children that hold on, closed and reopened descriptors."""
    word, traces = room.token(), Traces()
    with Living() as x:
        flood = start(x, 'sh', '-c', 'yes & yes >&2; :', word)
        left = start(x, 'sh', '-c', 'sleep 60 & (sleep 0.5; echo child) & exit 4', word)
        shut = start(x, 'sh', '-c', 'exec >&- 2>&- <&-; sleep 0.2; exit 5', word)
        again = start(x, 'sh', '-c', 'echo a >/dev/stdout; : >/dev/stdout; echo b', word)
        same(over(x, left)['exit_status'], 4)
        same(over(x, shut)['exit_status'], 5)
        over(x, again)
        same(part(x, again)[0], b'a\nb\n')
        room.within(3, lambda: part(x, left)[0] != b'child\n', 'what a child prints later')
        began = time.monotonic()
        x.exec('true')
        assert time.monotonic() - began < room.patience(1), 'the keeper is busy'
        call('job', 'kill', x.name, flood)
        over(x, flood)
        call('job', 'kill', x.name, left)  # what it left behind
    traces.clean(word)


@test
def wrong_words_are_refused():
    with Living() as x:
        for words, wanted in [([], 'wanted start'), (['stop', x.name], 'wanted start'), (['start', x.name], 'no command'), (['list'], 'no room'),
                              (['list', x.name, 'y'], 'name of a room only'), (['output', x.name], 'the ID'), (['output', x.name, 'x'], 'the ID'),
                              (['output', '--offset', '-1', x.name, '1'], '--offset'), (['list', '--offset', '1', x.name], 'unknown option'),
                              (['start', '-C', 'tmp', x.name, 'true'], 'absolute'), (['start', '-e', 'A', x.name, 'true'], 'NAME=VALUE'),
                              (['kill', '-s', '65', x.name, '1'], '--signal')]:
            refused(wanted, *words)
        refused('not found in the room', 'start', x.name, '--', '/no/such', status=127)
        same(listed(x), {})
        call('pause', x.name)
        refused('is paused', 'start', x.name, '--', 'true')
        call('resume', x.name)
    refused('no room of that name', 'list', x.name, status=127)
