"""cells: run_code with a sandbox_id: state from call to call, values and pictures, interrupts, and what hostile cells send."""
import base64
import json
import os
import struct
import subprocess
import time
import zlib

from rooms import living
from tools import INJECTIONS, conforms
from wire import Server, gone, same, test


def png(n=1):
    def part(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    return b'\x89PNG\r\n\x1a\n' + part(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 0, 0, 0, 0)) + part(b'tEXt', b'x' * n) + part(b'IEND', b'')


PICTURE = 'class P:\n    def __init__(self, n=1): self.n = n\n    def _repr_png_(self): return %r + bytes(self.n)\n    def _repr_html_(self): return "<b>" + "h" * self.n\n' % png()


def content(s, **arguments):
    r = s.answer(s.start('run_code', **arguments))['result']
    assert r['isError'] is False, r
    return r['content'], r['structuredContent']


def plain(r):
    return [v['text'] for v in r['values'] if v['type'] == 'text/plain']


@test
def what_one_cell_defines_the_next_one_has():
    s, id = living()
    r = s.tool('run_code', sandbox_id=id, code='import sys\nx = 5\nprint("out")\nprint("err", file=sys.stderr)\nx + 1')
    conforms(s, 'run_code', r)
    same((r['stdout'], r['stderr'], r['exit_code'], r['outcome'], r['state'], r['cell'], r['timed_out']), ('out\n', 'err\n', 0, 'exited', 'kept', 1, False))
    same(r['values'], [{'type': 'text/plain', 'bytes': 1, 'text': '6'}])
    assert 'message' not in r, r
    r = s.tool('run_code', sandbox_id=id, code='{"x": x}')
    same([(v['type'], v['text']) for v in r['values']], [('text/plain', "{'x': 5}"), ('application/json', '{"x": 5}')])
    r = s.tool('run_code', sandbox_id=id, code='def f(n):\n    return 1 / n\nf(0)')
    conforms(s, 'run_code', r)
    same((r['exit_code'], r['outcome'], r['error']), (1, 'exited', {'name': 'ZeroDivisionError', 'text': 'division by zero'}))
    assert 'File "cell-3.py", line 2, in f\n    return 1 / n\n' in r['stderr'], r['stderr']
    same(s.tool('run_code', sandbox_id=id, language='bash', code='y=7; cd /tmp')['values'], [])
    r = s.tool('run_code', sandbox_id=id, language='bash', code='echo $y $PWD')
    same((r['stdout'], r['cell']), ('7 /tmp\n', 2))
    if os.path.exists('/usr/bin/node'):
        s.tool('run_code', sandbox_id=id, language='javascript', code='const z = await Promise.resolve(8)')
        same(plain(s.tool('run_code', sandbox_id=id, language='javascript', code='z')), ['8'])
        r = s.tool('run_code', sandbox_id=id, language='typescript', code='const q: number = z; q')
        assert plain(r) == ['8'] or 'node 22.13' in r['stderr'], r
    # The state is the sandbox's, not the connection's.
    s.close()
    s = Server()
    same(plain(s.tool('run_code', sandbox_id=id, code='x')), ['5'])
    s.tool('sandbox_kill', sandbox_id=id)
    assert 'is gone' in s.refused('run_code', sandbox_id=id, code='x')
    s.close()


@test
def pictures_come_as_images():
    s, id = living()
    got, r = content(s, sandbox_id=id, code=PICTURE + 'display(P(2))\nP(3)')
    conforms(s, 'run_code', r)
    same([c['type'] for c in got], ['text', 'image', 'image'])
    same([(c['mimeType'], base64.b64decode(c['data'])) for c in got[1:]], [('image/png', png() + bytes(2)), ('image/png', png() + bytes(3))])
    same([v['content_index'] for v in r['values'] if v['type'] == 'image/png'], [1, 2])
    same(json.loads(got[0]['text']), r)
    # No picture, however it is called; too many; too large: only told of, with their exact size.
    got, r = content(s, sandbox_id=id, code='class Q:\n    def _repr_png_(self): return b"GIF89a"\nQ()')
    same((len(got), [v for v in r['values'] if v['type'] == 'image/png']), (1, [{'type': 'image/png', 'bytes': 6}]))
    assert r['message'].startswith('1 values were too many or too large'), r['message']
    got, r = content(s, sandbox_id=id, code='for i in range(12): display(P())')
    same((len(got), len([v for v in r['values'] if v['type'] == 'image/png'])), (9, 12))
    assert '4 values were' in r['message'], r['message']
    got, r = content(s, sandbox_id=id, code='display(P(2500000))\nP(2500000)')
    same((len(got), [v['bytes'] for v in r['values'] if v['type'] == 'image/png']), (2, [2500000 + len(png())] * 2))
    got, r = content(s, sandbox_id=id, code='P(9 << 20)')
    same((len(got), [v['bytes'] for v in r['values'] if v['type'] == 'image/png']), (1, [(9 << 20) + len(png())]))
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def long_values_are_cut_and_counted():
    s, id = living()
    r = s.tool('run_code', sandbox_id=id, code='display("v" * 50000)\nprint("o" * 5000)', max_output_bytes=1000)
    conforms(s, 'run_code', r)
    v = r['values'][0]
    same((v['bytes'], len(v['text']), v['truncated'], r['stdout_bytes'], r['truncated']), (50002, 1000, True, 5001, True))
    same(s.tool('sandbox_read_file', sandbox_id=r['run_id'], path='stdout')['content'], 'o' * 5000 + '\n')
    r = s.tool('run_code', sandbox_id=id, code=PICTURE + 'P(20000)')
    html = next(v for v in r['values'] if v['type'] == 'text/html')
    same((html['bytes'], len(html['text']), html['truncated']), (20003, 8192, True))
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def output_has_the_users_bound():
    s, id = living('--output', '100k')
    r = s.tool('run_code', sandbox_id=id, code='x = 4\nwhile True: print("y" * 1000)')
    conforms(s, 'run_code', r)
    same((r['outcome'], r['state'], r['exit_code']), ('output', 'kept', 153))
    assert r['stdout_bytes'] >= 102400 and 'state are kept' in r['message'], r['message']
    same(plain(s.tool('run_code', sandbox_id=id, code='x')), ['4'])
    r = s.tool('sandbox_exec', sandbox_id=id, command='yes')
    same((r['outcome'], r['stdout_bytes']), ('output', 102400))
    same(s.tool('sandbox_exec', sandbox_id=id, command='echo a')['outcome'], 'exited')
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def a_timeout_or_a_cancelled_call_keeps_the_state():
    s, id = living()
    s.tool('run_code', sandbox_id=id, code='import time\nx = 42')
    r = s.tool('run_code', sandbox_id=id, code='print("early")\nwhile True: pass', timeout_seconds=1)
    conforms(s, 'run_code', r)
    same((r['timed_out'], r['outcome'], r['exit_code'], r['stdout'], r['state']), (True, 'timeout', 124, 'early\n', 'kept'))
    assert r['message'].startswith('the cell was interrupted; variables and other state are kept. the time limit'), r['message']
    call = s.start('run_code', sandbox_id=id, code='import subprocess\nsubprocess.run(["sleep", "91.7"])\nx = 0')
    time.sleep(0.6)
    s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': call}})
    gone('sleep\x0091.7')
    r = s.tool('run_code', sandbox_id=id, code='x')
    same((plain(r), r['cell']), (['42'], 4))
    # Calls at the same time wait for each other; a client that goes interrupts its own.
    calls = [s.start('run_code', sandbox_id=id, code='x += 1\ntime.sleep(0.05)\nx') for _ in range(6)]
    same(sorted(plain(s.answer(c)['result']['structuredContent'])[0] for c in calls), [str(43 + i) for i in range(6)])
    s.start('run_code', sandbox_id=id, code='time.sleep(60)')
    time.sleep(0.4)
    assert s.close() < 2.5
    s = Server()
    same(plain(s.tool('run_code', sandbox_id=id, code='x')), ['48'])
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def a_lost_state_is_said():
    s, id = living()
    s.tool('run_code', sandbox_id=id, code='x = 1')
    r = s.tool('run_code', sandbox_id=id, code='import os\nos._exit(7)')
    conforms(s, 'run_code', r)
    same((r['outcome'], r['exit_code'], r['state']), ('ended', 7, 'gone'))
    assert r['message'].startswith('the interpreter ended; its state is gone, and the next cell starts anew'), r['message']
    same(s.tool('run_code', sandbox_id=id, code='x')['error']['name'], 'NameError')
    s.tool('run_code', sandbox_id=id, code='import os, threading, time\nthreading.Thread(target=lambda: (time.sleep(0.2), os._exit(1))).start()')
    time.sleep(0.6)
    assert 'had ended since the last cell' in s.tool('run_code', sandbox_id=id, code='2')['message']
    r = s.tool('run_code', sandbox_id=id, code='import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass', timeout_seconds=1)
    same((r['outcome'], r['state'], r['timed_out']), ('timeout', 'gone', True))
    same(plain(s.tool('run_code', sandbox_id=id, code='3')), ['3'])
    r = s.tool('run_code', sandbox_id=id, language='bash', code='exit 3')
    same((r['exit_code'], r['state']), (3, 'gone'))
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def no_value_reaches_the_protocol():
    s, id = living()
    before = len(s.raw)
    channel = 'import os\nchannel = next(int(f) for f in os.listdir("/proc/self/fd") if "socket" in os.readlink("/proc/self/fd/" + f))\n'
    for text in INJECTIONS:
        r = s.tool('run_code', sandbox_id=id, code='class T:\n    def __repr__(self): return %r\n    def _repr_html_(self): return %r\nraise_ = T()\nT()' % (text, text))
        for v in r['values']:
            for c in v['text']:
                assert c in '\n\t' or (ord(c) >= 32 and not 0x7f <= ord(c) <= 0x9f and ord(c) not in [0x2028, 0x2029, *range(0x202a, 0x202f), *range(0x2066, 0x206a)]), (text, v)
        r = s.tool('run_code', sandbox_id=id, code='raise Exception(%r)' % text)
        conforms(s, 'run_code', r)
    for attack in ('os.write(channel, b"{}" * 50)', 'os.write(channel, b"V 00000001 00000010\\n\\x1b[2J\\n{\\"jsonrpc\\":1")', 'os.close(channel)'):
        r = s.tool('run_code', sandbox_id=id, code=channel + attack, timeout_seconds=2)
        conforms(s, 'run_code', r)
        same(r['state'], 'gone', attack)
    for line in s.raw[before:]:
        assert all(32 <= b < 127 for b in line[:-1]), line
        json.loads(line)
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def what_cannot_be_is_told_to_the_model():
    s, id = living()
    assert 'fresh sandbox' in s.refused('run_code', sandbox_id=id, code='1', memory_mb=64)
    assert 'fresh sandbox' in s.refused('run_code', sandbox_id=id, code='1', explain=True)
    assert 'zero byte' in s.refused('run_code', sandbox_id=id, code='a\0b')
    assert 'sandbox_create' in s.refused('run_code', sandbox_id='demo', code='1')
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()
