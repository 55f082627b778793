"""wire: a client of our own, byte for byte, and the list of tests that use it."""
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(TOP / 'tests/system'))  # behind our own folder: a file of the same name is meant here
from room import HANG, patience, within  # noqa: E402, F401

PROGRAM = os.environ.get('STRONGROOM', str(TOP / 'build/strongroom'))
MODERN = {'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {}}
WAIT = HANG
tests = []
_tally = {'PASS': 0, 'FAIL': 0, 'SKIP': 0}


class Skip(Exception):
    pass


def test(fn):
    tests.append(fn)
    return fn


def say(verdict, name, why=''):
    _tally[verdict] += 1
    print('%s %s%s' % (verdict, name, ': ' + ' '.join(str(why).split())[:400] if why else ''), flush=True)


def run(words):
    for fn in tests:
        if words and not any(w in fn.__name__ for w in words):
            continue
        name = fn.__name__.replace('_', ' ')
        try:
            fn()
            say('PASS', name)
        except Skip as e:
            say('SKIP', name, e)
        except Exception as e:
            say('FAIL', name, '%s: %s' % (type(e).__name__, e))
        finally:
            for s in list(Server.alive):
                s.kill()
    print('%(PASS)d passed, %(FAIL)d failed, %(SKIP)d skipped' % _tally)
    return _tally['FAIL'] > 0


def same(got, wanted, what=''):
    assert got == wanted, '%s: %r instead of %r' % (what or 'got', got, wanted)


class Server:
    """One `strongroom mcp`; its lines are read by a thread, so that nothing here ever blocks it."""
    alive = []

    def __init__(self, *options, env=None, read=True):
        self.p = subprocess.Popen([PROGRAM, 'mcp', *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=env)
        self.lines, self.raw, self.aside, self.number = queue.Queue(), [], [], 0
        Server.alive.append(self)
        if read:
            self.reader = threading.Thread(target=self._read, daemon=True)
            self.reader.start()

    def _read(self):
        for line in self.p.stdout:
            self.raw.append(line)
            self.lines.put(line)
        self.lines.put(None)

    def write(self, data):
        self.p.stdin.write(data)
        self.p.stdin.flush()

    def send(self, message):
        self.write(json.dumps(message).encode() + b'\n')

    def line(self, seconds=WAIT):
        line = self.lines.get(timeout=seconds)
        assert line is not None, 'the server ended: %s' % self.p.stderr.read()
        return json.loads(line)

    def quiet(self, seconds=0.3):
        try:
            raise AssertionError('unexpected: %r' % self.lines.get(timeout=seconds))
        except queue.Empty:
            pass

    def answer(self, id, seconds=WAIT):
        """The answer to one request; what comes meanwhile is put aside."""
        end = time.monotonic() + seconds
        for m in self.aside:
            if m.get('id') == id and 'method' not in m:
                self.aside.remove(m)
                return m
        while True:
            m = self.line(max(0.01, end - time.monotonic()))
            if m.get('id') == id and 'method' not in m:
                return m
            self.aside.append(m)

    def request(self, method, params=None, id=None, modern=False, meta=None):
        self.number += 1
        id = self.number if id is None else id
        params = dict(params or {})
        if modern or meta:
            params['_meta'] = {**(MODERN if modern else {}), **(meta or {})}
        self.send({'jsonrpc': '2.0', 'id': id, 'method': method, 'params': params})
        return id

    def ask(self, method, params=None, **more):
        return self.answer(self.request(method, params, **more))

    def start(self, name, meta=None, modern=False, **arguments):
        return self.request('tools/call', {'name': name, 'arguments': arguments}, meta=meta, modern=modern)

    def tool(self, name, **arguments):
        """The structured result of a call that must succeed."""
        r = self.answer(self.start(name, **arguments))
        assert 'result' in r and not r['result']['isError'], r
        structured = r['result']['structuredContent']
        same(json.loads(r['result']['content'][0]['text']), structured, 'text beside the structure')
        return structured

    def refused(self, name, **arguments):
        """The text of a tool error."""
        r = self.answer(self.start(name, **arguments))
        assert r['result']['isError'] is True, r
        return r['result']['content'][0]['text']

    def close(self):
        """Ends as a client does; returns how long that took."""
        began = time.monotonic()
        self.p.stdin.close()
        self.p.wait(timeout=HANG)
        took = time.monotonic() - began
        self.kill()
        return took

    def kill(self):
        if self in Server.alive:
            Server.alive.remove(self)
        if self.p.poll() is None:
            self.p.kill()
        self.p.wait()

    def _below(self):
        """The process that starts strongroom is ours; below it are the one that reads what we say, and jobs."""
        for pid in pathlib.Path('/proc/%d/task/%d/children' % (self.p.pid, self.p.pid)).read_text().split():
            try:
                yield pid, pathlib.Path('/proc/%s/comm' % pid).read_text().strip() == 'strongroom-mcp'
            except FileNotFoundError:
                pass  # it has ended

    def children(self):
        return [pid for pid, serves in self._below() if not serves]

    def reader_pid(self):
        return next(int(pid) for pid, serves in self._below() if serves)


def processes_with(word):
    """Command lines of this machine in which the word stands."""
    found = []
    for name in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            line = (name / 'cmdline').read_bytes()
        except OSError:
            continue
        if word.encode() in line:
            found.append(line.replace(b'\0', b' ').decode(errors='replace'))
    return found


def nap(seconds):
    """The time of a sleep that nobody else on this machine sleeps."""
    return '%s%07d' % (seconds, os.getpid())


def there(word, count=1):
    within(HANG, lambda: len(processes_with(word)) < count, 'not there: %s' % word)


def gone(word, seconds=3):
    within(seconds, lambda: processes_with(word), 'still there')
