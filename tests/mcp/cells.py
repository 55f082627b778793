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
from wire import Server, Skip, gone, nap, patience, same, test, there


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
def a_program_tells_its_last_value_too():
    s = Server()
    r = s.tool('run_code', code='x = {"a": [1, None]}\nprint("out")\nx')
    conforms(s, 'run_code', r)
    same((r['stdout'], r['exit_code'], plain(r)), ('out\n', 0, ["{'a': [1, None]}"]))
    same([v['text'] for v in r['values'] if v['type'] == 'application/json'], ['{"a": [1, null]}'])
    for code in ('x = 5', 'print(5)', '', 'None', 'raise SystemExit(3)\n5'):
        same(s.tool('run_code', code=code)['values'], [], code)
    r = s.tool('run_code', code='display(1)\nimport os\nif os.fork() == 0:\n    1 / 0\nos.wait()\n"two"')
    same(plain(r), ['1', "'two'"], 'of a program that forked')
    same(plain(s.tool('run_code', code='import asyncio\nawait asyncio.sleep(0)\n7')), ['7'])
    same(plain(s.tool('run_code', code='open("json.py", "w").write("1/0")\n[1]')), ['[1]'])
    r = s.tool('run_code', code='"\\x1b]0;x\\x07" + chr(0x202e)')
    assert all(ord(c) >= 32 for c in r['values'][0]['text']), r['values']
    r = s.tool('run_code', code='"q" * 200000', max_output_bytes=1000)
    same((r['values'][0]['truncated'], len(r['values'][0]['text'])), (True, 1000))
    same(s.tool('run_code', code='echo 1', language='bash')['values'], [])
    s.close()


@test
def a_program_of_javascript_tells_its_last_value():
    if subprocess.run(['sh', '-c', 'command -v node'], stdout=subprocess.DEVNULL).returncode:
        raise Skip('no node here')
    s = Server()

    def js(code, **more):
        return s.tool('run_code', language='javascript', code=code, **more)
    r = js('import fs from "fs";\nconst x = await Promise.resolve({a: [1, null]});\nconsole.log("out");\nx')
    conforms(s, 'run_code', r)
    same((r['stdout'], r['stderr'], r['exit_code'], plain(r)), ('out\n', '', 0, ['{ a: [ 1, null ] }']))
    same([v['text'] for v in r['values'] if v['type'] == 'application/json'], ['{"a":[1,null]}'])
    for code in ('const y = 5', 'console.log(5)', '', 'undefined', 'process.exit(0); 5'):
        same(js(code)['values'], [], code)
    r = js('display(1); setTimeout(() => console.log("later"), 50); "two"')
    same((plain(r), r['stdout']), (['1', "'two'"], 'later\n'), 'of a program that goes on')
    r = js('display(1); process.exitCode = 4; export const z = 7; z')
    same((plain(r), r['exit_code']), (['1', '7'], 4))
    same(plain(js('require.main === module && process.argv.length === 2 && __dirname === process.cwd()')), ['true'])
    same(plain(js('require("child_process").execSync("cat; echo child").toString()')), ["'child\\n'"], 'its stdin is empty for what it starts, too')
    for code in ('setTimeout(() => { throw new Error("late") }, 5); 1', 'Promise.reject(new Error("late")); 1', '\n\nthrow new Error("late")'):
        r = js(code)
        same((r['exit_code'], 'main.js:' in r['stderr'], '\nError: late\n' in r['stderr']), (1, True, True), r)
    parts, r = content(s, language='javascript', code='Buffer.from("%s", "hex")' % png().hex())
    same((parts[1]['type'], base64.b64decode(parts[1]['data'])), ('image', png()))
    r = js('require("fs").writeSync(0, "X 00000000 00000005\\nhello"); 5')
    same((r['exit_code'], r['values']), (0, []), 'a program that writes words of its own')
    same(js('while (true);', timeout_seconds=1)['timed_out'], True)
    s.close()


@test
def a_program_hands_out_pictures_and_tables():
    s = Server()
    parts, r = content(s, code=PICTURE + 'P()')
    same([(v['type'], v.get('content_index')) for v in r['values'] if v['type'] != 'text/plain'], [('image/png', 1), ('text/html', None)])
    same((parts[1]['type'], parts[1]['mimeType'], base64.b64decode(parts[1]['data'])), ('image', 'image/png', png() + b'\0'))
    s.close()


def has(*modules):
    return subprocess.run(['/usr/bin/python3', '-c', 'import ' + ', '.join(modules)], stderr=subprocess.DEVNULL).returncode == 0


@test
def figures_of_the_real_matplotlib_come_out_of_one_call():
    if not has('matplotlib', 'pandas'):
        raise Skip('python3-matplotlib and python3-pandas are not installed')
    s = Server('--timeout', '100s')
    parts, r = content(s, code='import matplotlib.pyplot as plt, pandas\nplt.plot([1, 2, 3])\npandas.DataFrame({"a": [1, 2]})')
    same(r['exit_code'], 0, r['stderr'])
    same([v['type'] for v in r['values']], ['text/plain', 'text/html', 'image/png'])
    assert '<table' in r['values'][1]['text'] and 'a' in r['values'][0]['text']
    picture = base64.b64decode(parts[1]['data'])
    same((picture[:8], r['values'][2]['bytes']), (png()[:8], len(picture)))
    width, height = struct.unpack('>II', picture[16:24])
    assert width >= 300 and height >= 200, (width, height)
    s.close()


@test
def what_a_program_forges_of_a_reply_stays_text_or_nothing():
    """The driver's channel is the program's, too: whatever it writes there is read by size and bound."""
    s = Server()
    forge = 'import os, sys\nfd = next(n for n in range(3, 20) if os.path.exists("/proc/self/fd/%d" % n) and os.readlink("/proc/self/fd/%d" % n).startswith("socket"))\n'

    def of(text, **more):
        parts, r = content(s, code=forge + text + '\nNone', **more)
        return parts, r
    frame = 'def f(kind, data): os.write(fd, b"%s 00000000 %08x\\n" % (kind, len(data)) + data)\n'
    parts, r = of(frame + 'f(b"V", b"image/png\\nno picture")\nf(b"V", b"text/plain\\n\\xff\\x1b[2J")\nf(b"O", b"text/html\\n999999999")')
    same([(v['type'], v['bytes']) for v in r['values']], [('image/png', 10), ('text/plain', 5), ('text/html', 999999999)])
    same((len(parts), r['values'][1]['text']), (1, '\ufffd\\x1b[2J'))
    for text in ('os.write(fd, b"V 00000000 ffffffff\\ntext/plain\\n")', 'os.write(fd, b"V 00000000 00000020\\ntext/plain\\nshort")',
                 'os.write(fd, b"D 00000000 00000004\\n000\\n")', 'os.write(fd, b"nonsense" * 100)', 'os.close(fd)', frame + 'f(b"V", b"no type")'):
        parts, r = of(text)
        same((len(parts), r['values']), (1, []), text)
    parts, r = of(frame + 'for i in range(5000): f(b"V", b"text/plain\\n%d" % i)')
    same(len(r['values']), 64)
    assert 'too many' in r['message'], r
    parts, r = of(frame + 'for i in range(20): f(b"V", b"image/png\\n" + %r + bytes(3 << 20))' % png())
    assert len(parts) <= 9 and sum(len(p.get('data', '')) for p in parts) <= 4 << 20, len(parts)
    s.close()


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
        same(plain(s.tool('run_code', sandbox_id=id, language='typescript', code='const q: number = z; q')), ['8'])
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
    call = s.start('run_code', sandbox_id=id, code='import subprocess\nsubprocess.run(["sleep", "%s"])\nx = 0' % nap('91.7'))
    there('sleep\x00' + nap('91.7'))
    s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': call}})
    gone('sleep\x00' + nap('91.7'))
    r = s.tool('run_code', sandbox_id=id, code='x')
    same((plain(r), r['cell']), (['42'], 4))
    # Calls at the same time wait for each other; a client that goes interrupts its own.
    calls = [s.start('run_code', sandbox_id=id, code='x += 1\ntime.sleep(0.05)\nx') for _ in range(6)]
    same(sorted(plain(s.answer(c)['result']['structuredContent'])[0] for c in calls), [str(43 + i) for i in range(6)])
    s.start('run_code', sandbox_id=id, code='time.sleep(60)')
    time.sleep(0.4)
    assert s.close() < patience(2.5)
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
    r = s.tool('run_code', sandbox_id=id, code='import os, threading, time\nthreading.Thread(target=lambda: (time.sleep(0.2), os._exit(1))).start()\nos.getpid()')
    s.tool('sandbox_exec', sandbox_id=id, command='while [ -e /proc/%s ]; do sleep 0.05; done; sleep 0.2' % plain(r)[0])
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
