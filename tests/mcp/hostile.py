"""hostile: what a client could send and what a program could print, byte for byte, to bring the server down or to be taken for it."""
import base64
import json
import os
import time

from rooms import living
from wire import HANG, MODERN, Server, patience, same, test

MANY = int(os.environ.get('MCP_CALLS', '1000'))


def rss(s):
    with open('/proc/%d/statm' % s.reader_pid()) as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def initialize(s, **more):
    return s.request('initialize', {'protocolVersion': '2025-11-25', 'capabilities': {}, 'clientInfo': {'name': 't', 'version': '1'}}, **more)


def cancel(s, **params):
    s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': params})


@test
def a_thousand_calls_are_all_answered():
    s = Server('--rooms', '8')
    began = time.monotonic()
    ids = {s.start('run_code', language='bash', code='echo $((%d * 3)); exit $((%d %% 100))' % (i, i)): i for i in range(MANY)}
    same(s.ask('ping')['result'], {}, 'meanwhile')
    seen = set()
    while len(seen) < MANY:
        m = s.aside.pop() if s.aside else s.line()
        r, i = m['result']['structuredContent'], ids[m['id']]
        same((r['stdout'], r['exit_code']), ('%d\n' % (i * 3), i % 100), i)
        seen.add(m['id'])
    same(seen, set(ids))
    took = time.monotonic() - began
    print('# %d calls at once: %.1f s, %.1f ms each; %.1f MiB resident' % (MANY, took, took * 1000 / MANY, rss(s) / 2**20))
    same(s.children(), [])
    assert len(os.listdir('/proc/%d/fd' % s.reader_pid())) < 90, 'descriptors'
    s.close()


@test
def ids_of_all_kinds_come_back_and_none_is_mixed_up():
    s = Server()
    ids = [0, -0, 1, '1', -1, 2**31, 2**53 + 1, 2**63 - 1, -2**63, '', ' ', 'é', '\u2028', '\0', '\ud83d\ude00', 'a' * 1000, '{"id":5}', 'null']
    for id in dict.fromkeys(json.dumps(i) for i in ids):
        s.write(b'{"jsonrpc":"2.0","id":%s,"method":"ping"}\n' % id.encode())
        s.line()
        same(s.raw[-1], b'{"jsonrpc":"2.0","id":%s,"result":{}}\n' % id.encode())
    for id in ('1.0', '1e2', '-', '01', '+1', 'true', '[1]', '{"a":1}', '1.5', 'NaN', '"\\ud800"', '0x1', '1' + '0' * 2000):
        s.write(b'{"jsonrpc":"2.0","id":%s,"method":"ping"}\n' % id.encode())
        m = s.line()
        assert m['id'] is None and m['error']['code'] in (-32600, -32700), (id, m)
    same(s.ask('ping')['result'], {})
    s.close()


@test
def an_id_is_used_by_one_call_at_a_time():
    s = Server()
    s.start('run_code', language='bash', code='sleep 0.5; echo first')
    s.send({'jsonrpc': '2.0', 'id': s.number, 'method': 'ping'})
    m = s.line()
    same((m['id'], m['error']['code']), (s.number, -32600))
    same(s.line()['result']['structuredContent']['stdout'], 'first\n')
    s.send({'jsonrpc': '2.0', 'id': s.number, 'method': 'ping'})
    same(s.line(), {'jsonrpc': '2.0', 'id': s.number, 'result': {}})
    s.close()


@test
def keys_that_stand_twice_are_refused():
    """Two readers of such a message could each see another one."""
    s = Server()
    for line in (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}',
                 b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_code","arguments":{"code":"1","code":"2"}}}',
                 b'{"jsonrpc":"2.0","id":1,"\\u0069d":2,"method":"ping"}', b'{"jsonrpc":"2.0","\\u0069d":2,"method":"ping"}'):
        s.write(line + b'\n')
        m = s.line()
        assert m['id'] is None and m['error']['code'] in (-32600, -32700), (line, m)
    same(s.ask('ping')['result'], {})
    s.close()


@test
def bytes_that_are_no_text_are_refused():
    s = Server()
    call = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_code","arguments":{"language":"bash","code":"echo %s"}}}\n'
    for bad in (b'\xff', b'\xc3', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xc0\x80', b'\x00', b'\x01', b'\\ud800', b'\\udc00\\ud800', b'\\x41', b'\\u12'):
        s.write(call % bad)
        m = s.line()
        same((m['id'], m['error']['code']), (None, -32700), bad)
    s.write(call % b'$((6*7)) \\u00e9 \\ud83d\\ude00 \xc3\xa9')
    same(s.line()['result']['structuredContent']['stdout'], '42 é \U0001f600 é\n')
    # A zero byte is text to JSON, and no part of a path, an id or a variable.
    same(s.tool('run_code', code='print(len("a\0b"))')['exit_code'], 1)
    for name, arguments in (('sandbox_read_file', {'sandbox_id': 'run-\0', 'path': 'stdout'}), ('sandbox_exec', {'sandbox_id': 'sbx-' + '0' * 32 + '\0', 'command': '1'}),
                            ('sandbox_create', {'env': {'A': 'x\0y'}}), ('explain_denial', {'endpoint': 'a\0b'})):
        assert s.refused(name, **arguments), name
    for method in ('ping\0', '\0', 'tools/list\0x'):
        same(s.ask(method)['error']['code'], -32600, method)
    for method, params in (('tools/call', {'name': 'run_code\0', 'arguments': {'code': '1'}}), ('resources/read', {'uri': 'sandbox://x\0'}), ('initialize', {'protocolVersion': '2025-11-25\0'}),
                           ('tools/list', {'cursor': 'from-1\0'})):
        same(s.ask(method, params)['error']['code'], -32602, method)
    s.write(b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    same(s.line()['error']['code'], -32700, 'a byte order mark')
    s.close()


@test
def messages_of_every_wrong_shape_are_answered():
    s = Server()
    rows = [('{}', -32600), ('{"id":1}', -32600), ('{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600), ('{"jsonrpc":2.0,"id":1,"method":"ping"}', -32600),
            ('{"jsonrpc":"2.0","id":1,"method":5}', -32600), ('{"jsonrpc":"2.0","id":1,"method":null}', -32600), ('{"jsonrpc":"2.0","id":1,"method":""}', -32601),
            ('{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32602), ('{"jsonrpc":"2.0","id":1,"method":"ping","params":5}', -32602),
            ('{"jsonrpc":"2.0","id":1,"method":"tools/call"}', -32602), ('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":5}}', -32602),
            ('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":5}}', -32602), ('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":5}}', None),
            ('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"progressToken":{}}}}', None),
            ('{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":5}}}', -32602),
            ('[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]', -32600), ('[]', -32600), ('null', -32600), ('5', -32600),
            ('"ping"', -32600), ('{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}', -32700), ('{"a":1,}', -32700),
            ("{'a':1}", -32700), ('{"jsonrpc":"2.0","id":1,"method":"ping"', -32700), ('Content-Length: 40', -32700)]
    for text, code in rows:
        s.write(text.encode() + b'\n')
        m = s.line()
        same(m.get('error', {}).get('code'), code, text)
    for quiet in ('{"jsonrpc":"2.0","id":7,"result":{}}', '{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x"}}', '{"jsonrpc":"2.0","method":"ping"}',
                  '{"jsonrpc":"2.0","method":"notifications/cancelled"}', '{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}', '', '\r'):
        s.write(quiet.encode() + b'\n')
    s.quiet()
    same(s.ask('ping')['result'], {})
    s.close()


@test
def depth_is_bounded_and_costs_nothing():
    s = Server()
    for n, code in ((60, None), (70, -32600), (1000000, -32600)):
        s.write(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + b'[' * n + b']' * n + b'}}\n')
        same(s.line().get('error', {}).get('code'), code, n)
        s.write(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + b'{"a":' * n + b'1' + b'}' * n + b'}}\n')
        same(s.line().get('error', {}).get('code'), code, n)
    s.write(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"' + b'[' * 1000 + b'"}}\n')
    same(s.line()['result'], {}, 'brackets within a text')
    same(s.ask('ping')['result'], {})
    s.close()


@test
def requests_of_many_megabytes_are_served():
    s, id = living()
    text = ('%07d ' * 900000) % tuple(range(900000))
    same(s.tool('sandbox_write_file', sandbox_id=id, path='big', content=text)['bytes'], len(text))
    same(s.tool('sandbox_exec', sandbox_id=id, command='wc -c < big; tail -c 8 big')['stdout'], '%d\n0899999 ' % len(text))
    assert '1048576' in s.refused('run_code', code='x' * (1 << 21))
    s.write(b'{"jsonrpc":"2.0","id":"many","method":"ping","params":{' + b','.join(b'"k%d":[%d]' % (i, i) for i in range(300000)) + b'}}\n')
    same(s.answer('many')['result'], {})
    same(s.ask('ping')['result'], {})
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def bytes_come_in_any_pieces():
    s = Server()
    whole = b''.join(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}\r\n\n' % i for i in range(40))
    for i in range(0, len(whole), 7):
        s.write(whole[i:i + 7])
    for i in range(40):
        same(s.line(), {'jsonrpc': '2.0', 'id': i, 'result': {}})
    s.close()


@test
def cancelling_what_is_not_there_changes_nothing():
    s = Server()
    done = s.start('run_code', language='bash', code='echo done')
    s.answer(done)
    first = initialize(s, id='init')
    cancel(s, requestId=first)
    assert 'result' in s.answer('init')
    for wrong in ({'requestId': done}, {'requestId': 'init'}, {'requestId': None}, {'requestId': [1]}, {'requestId': {}}, {}, {'requestId': 1e300}, {'requestId': True},
                  {'requestId': '1'}, {'requestId': 999, 'reason': 5}):
        cancel(s, **wrong)
    running = s.start('run_code', language='bash', code='sleep 0.4; echo kept')
    cancel(s, requestId=str(running))
    cancel(s, requestId=running + 0.0)
    s.send({'jsonrpc': '2.0', 'id': 'asked', 'method': 'notifications/cancelled', 'params': {'requestId': running}})
    same(s.answer('asked')['error']['code'], -32601, 'a notification sent as a request')
    same(s.answer(running)['result']['structuredContent']['stdout'], 'kept\n')
    for _ in range(2):  # twice
        one = s.start('run_code', language='bash', code='sleep 60')
        time.sleep(0.1)
        cancel(s, requestId=one)
        cancel(s, requestId=one)
    s.quiet()
    same(s.children(), [])
    s.close()


@test
def calls_that_wait_are_told_of_and_cancelled():
    s = Server('--rooms', '1')
    first = s.start('run_code', language='bash', code='sleep 2.3; echo a')
    second = s.start('run_code', meta={'progressToken': 0}, language='bash', code='echo b')
    third = s.start('run_code', meta={'progressToken': 'x'}, language='bash', code='echo c')
    time.sleep(1.2)
    cancel(s, requestId=third)
    same([s.answer(i)['result']['structuredContent']['stdout'] for i in (first, second)], ['a\n', 'b\n'])
    told = [(m['params']['progressToken'], m['params']['progress'], m['params']['message']) for m in s.aside if m.get('method') == 'notifications/progress']
    mine = [t[1] for t in told if t[0] == 0]
    assert mine and mine == sorted(set(mine)) and 'waiting' in told[0][2], told
    assert len([t for t in told if t[0] == 'x']) <= 1, told
    s.quiet(0.5)
    s.close()


@test
def who_asks_for_much_and_reads_nothing_is_bounded():
    """One line of a hundred bytes asks for a megabyte: lines wait as long as answers do."""
    s = Server(read=False)
    s.send({'jsonrpc': '2.0', 'id': 1, 'method': 'tools/call', 'params': {'name': 'run_code', 'arguments': {'code': 'print("x" * 1100000)', 'max_output_bytes': 1000}}})
    run = json.loads(s.p.stdout.readline())['result']['structuredContent']['run_id']
    ask = b''.join(b'{"jsonrpc":"2.0","id":%d,"method":"resources/read","params":{"uri":"sandbox://%s/stdout"}}\n' % (i, run.encode()) for i in range(4000))
    os.set_blocking(s.p.stdin.fileno(), False)
    sent, moved = 0, time.monotonic()
    while sent < len(ask) and time.monotonic() - moved < 1:
        try:
            sent += os.write(s.p.stdin.fileno(), ask[sent:])
            moved = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    assert sent < len(ask), 'it went on reading'
    assert rss(s) < 100 << 20, rss(s)
    for i in range(100):  # who begins to read gets all of it, in order
        same(json.loads(s.p.stdout.readline())['id'], i)
        assert rss(s) < 100 << 20, rss(s)
    s.kill()


@test
def the_end_of_input_within_a_call_or_a_line():
    for rest, answers in ((b'', []), (b'{"jsonrpc":"2.0","id":5,"method":"ping"}', [5]), (b'{"jsonrpc":"2.0","id":5,"me', [None])):
        s = Server()
        s.start('run_code', language='bash', code='sleep 30')
        s.write(rest)
        s.p.stdin.close()
        began = time.monotonic()
        same([s.line()['id'] for _ in answers], answers)
        s.p.wait(timeout=HANG)
        assert time.monotonic() - began < patience(2), 'it took its time'
        same(s.p.returncode, 0)
        s.kill()
    s = Server(read=False)  # nobody reads, and the input ends
    s.write(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n' * 1400)
    assert s.close() < patience(3)  # two, and what a busy machine takes


@test
def words_of_a_room_in_errors_are_shown_and_not_obeyed():
    s, id = living()
    evil = '\x1b]0;t\x07\x1b[2J\u202e\r\n{"jsonrpc":"2.0","id":1,"result":{}}'
    s.tool('sandbox_exec', sandbox_id=id, command='mkdir -p "$(printf %s)"; ln -s nowhere bad; mkfifo pipe; mkdir shut; printf "\\377\\376" > "$(printf "b\\377")"' % "'a\\033[31m\\nb'")
    texts = [s.refused('sandbox_read_file', sandbox_id=id, path=evil), s.refused('sandbox_list_files', sandbox_id=id, path=evil),
             s.refused('sandbox_write_file', sandbox_id=id, path='/proc/' + evil, content=''), s.refused('run_code', **{'code': '1', evil: 1}),
             s.refused('run_code', code='1', language=evil), s.refused('sandbox_exec', sandbox_id=evil, command='1'),
             s.refused('explain_denial', endpoint=evil)]
    texts.append(s.ask('no/' + evil)['error']['message'])
    texts.append(s.ask('tools/call', {'name': evil})['error']['message'])
    for text in texts:
        assert not any(ord(c) < 32 and c not in '\n\t' or ord(c) in (0x7f, 0x9b, 0x202e) for c in text), text
    listed = s.tool('sandbox_list_files', sandbox_id=id, path='.')['entries']
    assert {'bad', 'pipe', 'shut', 'a\\x1b[31m\nb', 'b\ufffd'} <= {e['name'] for e in listed}, listed
    for line in s.raw:
        assert all(32 <= b < 127 for b in line[:-1]), line
        json.loads(line)
    began = time.monotonic()
    assert 'plain file' in s.refused('sandbox_write_file', sandbox_id=id, path='pipe', content='x'), 'a pipe that nobody reads'
    assert time.monotonic() - began < patience(20)
    same(s.ask('ping')['result'], {})
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def a_program_cannot_speak_for_the_server():
    """It has no way to the server's own descriptors: all that it writes is an output, whatever it looks like."""
    s = Server()
    lines = '{"jsonrpc":"2.0","id":2,"result":{"content":[],"isError":false}}\n' * 50
    script = 'import os\nfor fd in range(64):\n  try: os.write(fd, %r.encode())\n  except OSError: pass\nfor p in ("/proc/1/fd/1", "/proc/self/fd/1", "/dev/stdout", "/dev/fd/1", "/proc/%%d/fd/1" %% os.getppid()):\n' \
             '  try: open(p, "w").write(%r)\n  except OSError: pass' % (lines, lines)
    one = s.start('run_code', code=script)
    two = s.start('run_code', language='bash', code='sleep 0.7; echo real')
    assert s.answer(one)['result']['structuredContent']['stdout'].startswith('{"jsonrpc"')
    same(s.answer(two)['result']['structuredContent']['stdout'], 'real\n')
    same(len(s.raw), 2, 'lines')
    s.close()
