"""interpreters: cells of Python, JavaScript and bash that keep their state in a room, and cells that attack what runs them."""
import base64
import json
import os
import re
import select
import signal
import struct
import subprocess
import time
import zlib

import room
from room import Skip, Traces, same, test
from rooms import Living, call

PROGRAM = room.PROGRAM
LANGUAGES = ('python', 'javascript', 'bash')
# Finds the driver's own channel, which no cell should touch.
CHANNEL = 'import os\nchannel = next(int(f) for f in os.listdir("/proc/self/fd") if "socket" in os.readlink("/proc/self/fd/" + f))\n'


def has_node():
    return os.path.exists('/usr/bin/node')


class Cell:
    """One cell on its way. Afterwards: out, err, status, r (the result)."""

    def __init__(self, x, language, code, *options, group=None):
        self.read, write = os.pipe()
        self.p = subprocess.Popen([PROGRAM, 'exec', '--interpreter', language, '--result-fd', str(write), *options, x.name],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[write])
        os.close(write)
        self.p.stdin.write(code if isinstance(code, bytes) else code.encode())
        self.p.stdin.close()
        self.p.stdin = None

    def busy(self):
        """It has printed: the cell runs."""
        assert select.select([self.p.stdout], [], [], room.HANG)[0], 'the cell prints nothing'
        return self

    def end(self):
        import threading
        got = []
        reader = threading.Thread(target=lambda: got.append(open(self.read, 'rb').read()))
        reader.start()
        try:
            out, err = self.p.communicate(timeout=room.HANG)
        except subprocess.TimeoutExpired:
            self.p.kill()
            raise AssertionError('the cell does not come back')
        reader.join(5)
        self.out, self.err, self.status = out.decode(errors='replace'), err.decode(errors='replace'), self.p.returncode
        assert got and got[0], 'no result: %r' % self.err
        self.r = json.loads(got[0])
        same(self.r['exit_status'], self.status, 'exit status')
        return self

    def values(self, type='text/plain'):
        return [v.get('text') for v in self.r['values'] if v['type'] == type]


def cell(x, language, code, *options):
    return Cell(x, language, code, *options).end()


def value(x, language, code):
    c = cell(x, language, code)
    same((c.status, c.err), (0, ''), code)
    return c.values()


def png(width=1):
    def part(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    return b'\x89PNG\r\n\x1a\n' + part(b'IHDR', struct.pack('>IIBBBBB', width, 1, 8, 0, 0, 0, 0)) + \
        part(b'IDAT', zlib.compress(b'\0' + b'x' * width)) + part(b'IEND', b'')


# --- what a cell is ---------------------------------------------------------------------------------------------------

@test
def python_keeps_its_state():
    with Living() as x:
        c = cell(x, 'python', 'import sys\nx = 5\nprint("out")\nprint("err", file=sys.stderr)\nx + 1')
        same((c.out, c.err, c.status), ('out\n', 'err\n', 0))
        same((c.r['outcome'], c.r['began'], c.r['state'], c.r['cell'], c.r['bytes']), ('exited', 'new', 'kept', 1, {'stdout': 4, 'stderr': 4}))
        same((c.values(), c.values('application/json')), (['6'], ['6']))
        c = cell(x, 'python', 'x * 2')
        same((c.values(), c.r['began'], c.r['cell']), (['10'], 'kept', 2))
        same(value(x, 'python', 'x = None; x'), [])
        same(value(x, 'python', '_ = 3'), [])
        c = cell(x, 'python', '{"a": [1, (2,)], "b": None}')
        same(json.loads(c.values('application/json')[0]), {'a': [1, [2]], 'b': None})
        same(cell(x, 'python', 'float("nan")').values('application/json'), [])
        c = cell(x, 'python', 'def f(n):\n    return 1 / n\n')
        c = cell(x, 'python', 'f(0)')
        same((c.status, c.r['error']), (1, {'name': 'ZeroDivisionError', 'text': 'division by zero'}))
        assert 'File "cell-8.py", line 1, in <module>\n    f(0)\n' in c.err and '<string>' not in c.err, c.err
        assert 'File "cell-7.py", line 2, in f\n    return 1 / n\n' in c.err, c.err
        c = cell(x, 'python', 'x = (')
        assert c.status == 1 and 'SyntaxError' in c.err and 'x = (\n' in c.err, c.err
        same(value(x, 'python', 'import asyncio\nawait asyncio.sleep(0.01)\n7'), ['7'])
        same(value(x, 'python', 'async def g():\n    return 8\nawait g()'), ['8'])
        c = cell(x, 'python', 'input()')
        same(c.r['error']['name'], 'EOFError')
        same((cell(x, 'python', 'sys.exit(3)').status, cell(x, 'python', 'raise SystemExit("bye")').err), (3, 'bye\n'))
        same(value(x, 'python', 'from __future__ import annotations\ndef h(a: nosuch): pass\n1'), ['1'])
        same(value(x, 'python', 'def h(a: nosuch): pass\nimport inspect; inspect.getsource(f)'), [repr('def f(n):\n    return 1 / n\n')])
        same(value(x, 'python', 'own = __import__("os").getpid()'), [])
        same(value(x, 'python', 'pid = os.fork() if "os" in globals() else __import__("os").fork()\nif pid == 0: print("child")\n'
                                'else: __import__("os").waitpid(pid, 0)\nx'), [])
        same(value(x, 'python', '__import__("os").getpid() == own'), ['True'])
        same(cell(x, 'python', 'print("é")\nsys.stdout.close()').out, 'é\n')
        same(cell(x, 'python', 'print("again")').out, 'again\n')
        # A file of the working directory is the cells', not ours.
        same(value(x, 'python', 'open("json.py", "w").write("v = 9"); open("traceback.py", "w").write(""); None'), [])
        c = cell(x, 'python', '__import__("os")._exit(0)')
        same(value(x, 'python', '[1]'), ['[1]'])


@test
def values_come_in_every_form_they_have():
    with Living() as x:
        one = 'class P:\n    def _repr_png_(self): return %r\n    def _repr_html_(self): return "<b>é</b>"\n    def __repr__(self): return "P!"\n' % png()
        c = cell(x, 'python', one + 'display(P(), 3)\nP()')
        same((c.values(), c.values('text/html')), (['P!', '3', 'P!'], ['<b>é</b>'] * 2))
        pictures = [v for v in c.r['values'] if v['type'] == 'image/png']
        same([base64.b64decode(v['base64']) for v in pictures], [png()] * 2)
        # What is no picture is none, whatever it says it is; and one too large is told of.
        c = cell(x, 'python', 'class Q:\n    def _repr_png_(self): return b"no picture, whatever it says"\nQ()')
        same([(v['bytes'], 'base64' in v) for v in c.r['values'] if v['type'] == 'image/png'], [(28, False)])
        c = cell(x, 'python', 'class Q:\n    def _repr_png_(self): return %r + bytes(5 << 20)\nQ()' % png())
        same([(v['bytes'], 'base64' in v) for v in c.r['values'] if v['type'] == 'image/png'], [(len(png()) + (5 << 20), False)])
        c = cell(x, 'python', 'class Q:\n    def __repr__(self): return 1 / 0\n    def _repr_html_(self): return 1 / 0\nQ()')
        assert 'without a repr' in c.values()[0] and 'ZeroDivisionError' in c.err and c.status == 0, c.err
        same(cell(x, 'python', '"\\0\\x1b[2J\\ud800"').values(), ["'\\x00\\x1b[2J\\ud800'"])
        text = cell(x, 'python', 'list(range(10**6))').values()[0]
        assert len(text) < 70000 and text.endswith('characters left out ...]'), text[-80:]
        same(len(cell(x, 'python', 'for i in range(3000): display(i)').r['values']), 1024)
        # For a person: as text, behind what was printed before it.
        said = call('exec', '--interpreter', 'python', x.name, feed=b'print("a")\ndisplay(P())\n7')
        same(said, 'a\nP!\n[image/png, %d bytes]\n7\n' % len(png()))


@test
def figures_come_as_pictures():
    """With a stand-in for matplotlib: what matters is who asks whom for what."""
    with Living() as x:
        code = '''
import sys, types
class Figure:
    def __init__(self, number): self.number = number
    def savefig(self, file, format): assert format == "png"; file.write(%r)
Figure.__module__ = "matplotlib.figure"
plt = types.ModuleType("matplotlib.pyplot")
plt.figures = {}
def figure(n=None):
    n = len(plt.figures) + 1 if n is None else n
    return plt.figures.setdefault(n, Figure(n))
plt.figure, plt.get_fignums, plt.close = figure, lambda: list(plt.figures), lambda what: plt.figures.clear()
sys.modules["matplotlib"], sys.modules["matplotlib.pyplot"] = types.ModuleType("matplotlib"), plt
import os
os.environ["MPLBACKEND"]
''' % png(7)
        same(value(x, 'python', code), ["'agg'"])
        c = cell(x, 'python', 'plt.figure(); plt.figure()\nprint(1)')
        same([base64.b64decode(v['base64']) for v in c.r['values'] if v['type'] == 'image/png'], [png(7)] * 2)
        same(cell(x, 'python', 'plt.get_fignums()').values(), ['[]'])
        same(len([v for v in cell(x, 'python', 'plt.figure()').r['values'] if v['type'] == 'image/png']), 1)
        same(len([v for v in cell(x, 'python', 'Figure(None)').r['values'] if v['type'] == 'image/png']), 1)


@test
def javascript_keeps_its_state():
    if not has_node():
        raise Skip('no node here')
    with Living() as x:
        c = cell(x, 'javascript', 'const x = 5; console.log("out"); console.error("err"); x + 1')
        same((c.out, c.err, c.values(), c.status), ('out\n', 'err\n', ['6'], 0))
        same(value(x, 'javascript', 'const x = 6; let y = await Promise.resolve(x * 7); y'), ['42'])
        same(cell(x, 'javascript', '({a: [1, null], y})').values('application/json'), ['{"a":[1,null],"y":42}'])
        same(value(x, 'javascript', 'import fs, {existsSync as e} from "fs";\nimport * as os from "node:os"; [typeof fs.readFileSync, e("/"), typeof os.EOL, "import(1)"]'),
             ["[ 'function', true, 'string', 'import(1)' ]"])
        same(value(x, 'javascript', 'fs.writeFileSync("m.mjs", "export default 9"); (await import("./m.mjs")).default'), ['9'])
        same(value(x, 'javascript', 'undefined'), [])
        c = cell(x, 'javascript', 'function f() {\n  throw new TypeError("no");\n}\nf()')
        same((c.status, c.r['error']), (1, {'name': 'TypeError', 'text': 'no'}))
        assert c.err.startswith('cell-7.js:2\n  throw new TypeError("no");\n        ^\n') and '[eval]' not in c.err and 'node:' not in c.err, c.err
        c = cell(x, 'javascript', 'let z = ;')
        assert c.status == 1 and c.err.startswith('cell-8.js:1\nlet z = ;\n') and 'SyntaxError' in c.err, c.err
        same(cell(x, 'javascript', 'throw null').status, 1)
        same(value(x, 'javascript', 'require("child_process").execSync("cat; ls /proc/self/fd | wc -l").toString()'), ["'4\\n'"])
        data = ', '.join(str(b) for b in png())
        c = cell(x, 'javascript', 'Buffer.from([%s])' % data)
        same([base64.b64decode(v['base64']) for v in c.r['values'] if v['type'] == 'image/png'], [png()])
        c = cell(x, 'javascript', 'setTimeout(() => { throw new Error("late") }, 1); await new Promise((r) => setTimeout(r, 50)); 2')
        assert c.values() == ['2'] and 'Error: late' in c.err, c.err
        same(value(x, 'typescript', 'const q: number = 3; q'), ['3'])
        c = cell(x, 'typescript', 'interface A {\n  b: number;\n}\nconst s = `a\n${q}`;\n\nfunction f(a: A): never {\n  throw new Error(s + a.b);\n}\nf({ b: 1 })')
        assert c.status == 1 and c.err.startswith('cell-14.js:8\n  throw new Error(s + a.b);') and 'at cell-14.js:10:1' in c.err, c.err
        same(value(x, 'javascript', 'x'), ['6'])


@test
def bash_keeps_its_state():
    with Living() as x:
        c = cell(x, 'bash', 'x=5; f() { echo "f $1 $x"; }\ncd /tmp\necho err >&2\nf 1')
        same((c.out, c.err, c.status, c.r['values']), ('f 1 5\n', 'err\n', 0, []))
        same(cell(x, 'bash', 'f 2; pwd; (exit 7)').out, 'f 2 5\n/tmp\n')
        c = cell(x, 'bash', 'read y; echo "got $?"; cat; echo \'!\'"!$x"; false')
        same((c.out, c.status), ('got 1\n!!5\n', 1))
        c = cell(x, 'bash', 'nosuch\nif x; fi')
        same(c.status, 2)
        assert 'line 2: syntax error' in c.err, c.err
        c = cell(x, 'bash', 'nosuch; sleep 60 & echo $x')
        same((c.out, c.err), ('5\n', 'bash: nosuch: command not found\n'))
        same(cell(x, 'bash', '').status, 0)
        c = cell(x, 'bash', 'echo bye; exit 3')
        same((c.out, c.status, c.r['outcome'], c.r['state']), ('bye\n', 3, 'ended', 'gone'))
        c = cell(x, 'bash', 'echo "<$x>"')
        same((c.out, c.r['began']), ('<>\n', 'new'))
        long = 'v=%s; echo ${#v}' % ('é' * 200000)
        same(int(cell(x, 'bash', long).out) in (200000, 400000), True, 'a long cell')


@test
def an_interrupt_keeps_the_state():
    busy = {'python': ['while True: pass', 'import time; time.sleep(60)', 'import asyncio; await asyncio.sleep(60)',
                       'import subprocess; subprocess.run(["sleep", "60"])'],
            'javascript': ['for (;;);', 'await 1; for (;;);', 'await new Promise(() => {})', 'require("child_process").execSync("sleep 60")'],
            'bash': ['f() { while :; do :; done; }; g() { f; echo wrong; }; g; echo wrong', 'sleep 60; echo wrong', 'y=$(sleep 60; echo 1); echo wrong',
                     'sleep 60 | cat; echo wrong']}
    set_x = {'python': 'x = 42', 'javascript': 'var x = 42', 'bash': 'x=42'}
    say = {'python': 'print("busy", flush=True)\n', 'javascript': 'console.log("busy");', 'bash': 'echo busy;'}
    get_x = {'python': 'print(x)', 'javascript': 'console.log(x)', 'bash': 'echo $x'}
    word, traces = room.token(), Traces()
    with Living() as x:
        for language in LANGUAGES if has_node() else ('python', 'bash'):
            cell(x, language, set_x[language])
            for code in busy[language]:
                c = cell(x, language, code, '--timeout', '300ms')
                same((c.r['outcome'], c.status, c.r['state'], c.out), ('timeout', 124, 'kept', ''), '%s: %s: %s' % (language, code, c.err))
                same(cell(x, language, get_x[language]).out, '42\n', language)
            for sig in (signal.SIGINT, signal.SIGTERM):
                c = Cell(x, language, say[language] + busy[language][0]).busy()
                c.p.send_signal(sig)
                began = time.monotonic()
                c.end()
                assert time.monotonic() - began < room.patience(0.6), 'it took %.2f s' % (time.monotonic() - began)
                same((c.r['outcome'], c.status, c.r['state']), ('interrupted', 130, 'kept'), language)
                same(cell(x, language, get_x[language]).out, '42\n', language)
    traces.clean(word)


@test
def what_does_not_hear_is_ended():
    deaf = {'python': 'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass',
            'javascript': 'require("fs").readSync(require("fs").openSync("/tmp/f", "r"), Buffer.alloc(1))',
            'bash': 'trap "" INT; while :; do :; done'}
    with Living() as x:
        call('exec', x.name, '--', 'mkfifo', '/tmp/f')
        for language in LANGUAGES if has_node() else ('python', 'bash'):
            c = cell(x, language, deaf[language], '--timeout', '500ms')
            same((c.r['outcome'], c.status, c.r['state']), ('timeout', 124, 'gone'), language)
        room.within(3, lambda: x.status()['programs'], 'programs left')
        r = subprocess.run([PROGRAM, 'exec', '--interpreter', 'python', '--timeout', '100ms', x.name], input=deaf['python'].encode(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
        same(r.returncode, 124)
        assert b'its state is gone\nstrongroom: hint: the next cell starts anew' in r.stderr, r.stderr
        c = cell(x, 'python', '1')
        same((c.r['began'], c.r['cell']), ('new', 1))


@test
def cells_wait_for_each_other():
    with Living() as x:
        many = [Cell(x, 'python', 'import time\nn = globals().get("n", 0) + 1\nprint("a", n)\ntime.sleep(0.05)\nprint("b", n)') for _ in range(8)]
        said = [c.end().out for c in many]
        same(sorted(said), ['a %d\nb %d\n' % (i, i) for i in range(1, 9)])
        slow = Cell(x, 'python', 'print("slow", flush=True)\ntime.sleep(60)').busy()
        before = x.clients()
        waiting = [Cell(x, 'python', '1') for _ in range(16)]
        room.within(10, lambda: x.clients() < before + 16, 'less than sixteen in line')
        r = subprocess.run([PROGRAM, 'exec', '--interpreter', 'python', x.name], input=b'1', stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
        same(r.returncode, 125)
        assert b'too many wait' in r.stderr and b'hint: ' in r.stderr, r.stderr
        waiting[3].p.terminate()  # in line: it only goes
        same(waiting[3].p.wait(room.HANG), 125)
        os.close(waiting[3].read)
        slow.p.send_signal(signal.SIGINT)
        same(slow.end().r['outcome'], 'interrupted')
        for i, c in enumerate(waiting):
            if i != 3:
                same(c.end().values(), ['1'])


# --- what a cell may do to it -----------------------------------------------------------------------------------------

@test
def an_interpreter_that_ends_says_so():
    with Living() as x:
        for code, status in [('import os; os._exit(9)', 9), ('import os; os.kill(os.getpid(), 9)', 137), ('import os; os.abort()', 134),
                             ('import ctypes; ctypes.string_at(0)', 139)]:
            cell(x, 'python', 'x = 1')
            c = cell(x, 'python', 'print("before", flush=True)\n' + code)
            same((c.status, c.r['outcome'], c.r['state'], c.out), (status, 'ended', 'gone', 'before\n'), code)
            same(cell(x, 'python', 'x').r['error']['name'], 'NameError')
        # Between two cells.
        c = cell(x, 'python', 'import os, threading, time\nthreading.Thread(target=lambda: (time.sleep(0.2), os._exit(4))).start()')
        room.within(5, lambda: x.status()['programs'], 'an interpreter that should have ended')
        c = cell(x, 'python', '5')
        same((c.values(), c.r['began']), (['5'], 'lost'))
        if has_node():
            c = cell(x, 'javascript', 'process.exit(4)')
            same((c.status, c.r['outcome'], c.err), (4, 'ended', ''))
        same(cell(x, 'bash', 'kill -9 $$').status, 137)


@test
def children_that_hold_on_do_not_hold_us():
    word, traces = room.token(), Traces()
    with Living() as x:
        c = cell(x, 'python', 'import os, time\nif os.fork() == 0:\n    while True: time.sleep(60)  # %s' % word)
        same((c.status, c.r['state']), (0, 'kept'))
        c = cell(x, 'python', 'os._exit(5)')
        same((c.status, c.r['outcome']), (5, 'ended'))
        same(value(x, 'python', '6'), ['6'])
        c = cell(x, 'bash', '(sleep 60) & sleep 61 & disown; echo $!')
        same(c.status, 0)
        c = cell(x, 'python', 'import subprocess; p = subprocess.Popen(["sh", "-c", "until [ -e go ]; do sleep 0.05; done; echo late; : > done"], cwd="/work")\nprint("now")')
        same(c.out, 'now\n')
        x.sh(': > /work/go; until [ -e /work/done ]; do sleep 0.05; done')
        same(cell(x, 'python', 'print("then")').out, 'late\nthen\n')
    traces.clean(word)


@test
def the_channel_cannot_be_abused():
    attacks = ['os.close(channel)', 'os.write(channel, b"garbage" * 10)', 'os.write(channel, b"V 00000001 ffffffff\\n")',
               'os.write(channel, b"G %08x 00000000\\n" % 1)', 'os.write(channel, b"D 00000063 00000004\\n000\\n")',
               'os.write(channel, b"V %08x 00000003\\nabc" % N)', 'os.write(channel, b"O %08x 0000000d\\ntext/plain\\n1x" % N)',
               'os.write(channel, b"D %08x 00000004\\n999\\n" % N)', 'os.write(channel, b"D %08x 00000000\\n" % N)',
               'os.dup2(os.open("/dev/null", 2), channel)\nwhile True: pass']
    with Living() as x:
        for attack in attacks:
            c = cell(x, 'python', 'print("x", flush=True)\nN = 1\n' + CHANNEL + attack, '--timeout', '1s')
            assert c.r['outcome'] in ('ended', 'timeout') and c.r['state'] == 'gone' and c.out == 'x\n', (attack, c.r, c.err)
        # It may lie about its own cell; then the next cell is not confused.
        c = cell(x, 'python', CHANNEL + 'os.write(channel, b"V 00000001 0000000e\\ntext/plain\\nlie")\nos.write(channel, b"D 00000001 00000004\\n000\\n")')
        same((c.values(), c.r['outcome']), (['lie'], 'exited'))
        c = cell(x, 'python', '5')
        assert c.r['outcome'] == 'ended' and c.r['state'] == 'gone', c.r
        same(value(x, 'python', '6'), ['6'])
        # A descriptor that is sent along goes nowhere; half a message does not hold us.
        c = cell(x, 'python', CHANNEL + 'import socket, array\ns = socket.socket(fileno=os.dup(channel))\n'
                 's.sendmsg([b"V"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])\nimport time; time.sleep(60)', '--timeout', '500ms')
        same((c.r['outcome'], c.r['state']), ('timeout', 'gone'))
        c = cell(x, 'python', CHANNEL + 'os.write(channel, b"V 00000001 00400000\\ntext/plain\\n" + b"z" * (4 << 20))')
        same(c.r['state'], 'gone')


@test
def output_is_counted_and_bounded():
    with Living() as x:
        c = cell(x, 'python', 'import sys, os\nx = 3\nfor i in range(1 << 14): os.write(1, b"x" * 65536)', '--output', '1M')
        same((c.r['outcome'], c.status, c.r['state'], len(c.out)), ('output', 153, 'kept', 1 << 20), c.err[-300:])
        assert c.r['bytes']['stdout'] >= 1 << 20, c.r
        same(value(x, 'python', 'x'), ['3'])
        c = cell(x, 'bash', 'y=4; head -c 3000000 /dev/zero; echo e >&2', '--output', '10k')
        same((c.r['outcome'], c.r['state'], len(c.out)), ('output', 'kept', 10240))
        same(cell(x, 'bash', 'echo $y').out, '4\n')
        c = cell(x, 'python', 'print("y" * 9999)', '--output', '10000')
        same((c.r['outcome'], len(c.out), c.r['bytes']['stdout']), ('exited', 10000, 10000))
        # The same for commands.
        r = subprocess.run([PROGRAM, 'exec', '--output', '5000', x.name, '--', 'sh', '-c', 'yes & yes >&2; sleep 60'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
        same((r.returncode, len(r.stdout) + len(r.stderr)), (153, 5000))
        room.within(3, lambda: x.status()['programs'] > 2, 'programs that printed too much')
        same(len(x.exec('sh', '-c', 'printf 12345', options=['--output', '5'])), 5)


@test
def a_client_that_is_killed_leaves_an_interpreter_that_works():
    with Living() as x:
        cell(x, 'python', 'x = 1')
        c = Cell(x, 'python', 'import time\nprint("here", flush=True)\ntime.sleep(60)').busy()
        c.p.kill()
        c.p.communicate()
        os.close(c.read)
        c = cell(x, 'python', '7')
        same((c.values(), c.r['began']), (['7'], 'lost'))
        room.within(3, lambda: x.status()['programs'] > 1, 'programs left behind')


@test
def wrong_words_are_refused():
    with Living() as x:
        for words, wanted in [(['--interpreter', 'cobol', x.name], b'not a language'), (['--interpreter', 'python', x.name, '--', 'true'], b'takes no command'),
                              (['--interpreter', 'python', '-t', x.name], b'only'), (['--result-fd', '77', x.name, '--', 'true'], b'not an open'),
                              (['--result-fd', '1', x.name, '--', 'true'], b'without --interpreter'), (['--output', 'x', x.name, '--', 'true'], b'not a size')]:
            r = subprocess.run([PROGRAM, 'exec', *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
            assert r.returncode == 125 and wanted in r.stderr, (words, r.returncode, r.stderr)
        for code, wanted in [(b'a\0b', b'zero byte'), (b'#' * ((1 << 20) + 1), b'longer than')]:
            r = subprocess.run([PROGRAM, 'exec', '--interpreter', 'python', x.name], input=code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
            assert r.returncode == 125 and wanted in r.stderr, r.stderr
        same(cell(x, 'python', 'v = 1' + ' ' * ((1 << 20) - 5)).status, 0)
        call('pause', x.name)
        r = subprocess.run([PROGRAM, 'exec', '--interpreter', 'bash', x.name], input=b'1', stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
        assert r.returncode == 125 and b'is paused' in r.stderr and b'hint: ' in r.stderr, r.stderr
        call('resume', x.name)
    r = subprocess.run([PROGRAM, 'exec', '--interpreter', 'python', x.name], input=b'1', stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
    assert r.returncode == 127 and b'no room of that name' in r.stderr, r.stderr


@test
def a_room_that_ends_takes_the_cell_along():
    with Living() as x:
        c = Cell(x, 'python', 'import time; print(1, flush=True); time.sleep(60)').busy()
        call('rm', x.name)
        c.end()
        same((c.r['outcome'], c.r['state']), ('ended', 'gone'))


@test
def the_command_that_reads_it_is_confined():
    with Living() as x:
        c = Cell(x, 'python', 'import time; print(1, flush=True); time.sleep(60)').busy()
        status = open('/proc/%d/status' % c.p.pid).read()
        c.p.terminate()
        c.end()
        for wanted in ('NoNewPrivs:\t1', 'Seccomp:\t2', 'CapEff:\t0000000000000000', 'CapPrm:\t0000000000000000'):
            assert wanted in status, status
        if room.OWNS_UIDS:
            assert re.search(r'^Uid:\s+65534\s+65534\s+65534\s+65534', status, re.M), status
