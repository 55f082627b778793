"""protocol: the messages themselves, over a pipe: both eras, bad lines, order, cancelling, the end."""
import json
import os
import time

from wire import HANG, MODERN, Server, gone, nap, patience, same, test, there

OLD = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']


@test
def every_old_version_shakes_hands():
    for version in OLD:
        s = Server()
        r = s.ask('initialize', {'protocolVersion': version, 'capabilities': {}, 'clientInfo': {'name': 't', 'version': '1'}})
        same(r['result']['protocolVersion'], version)
        assert set(r['result']['capabilities']) == {'tools', 'resources'}, r
        assert r['result']['serverInfo']['name'] == 'strongroom' and r['result']['instructions']
        s.send({'jsonrpc': '2.0', 'method': 'notifications/initialized'})
        same(s.ask('ping')['result'], {})
        s.close()


@test
def both_eras_in_one_process():
    s = Server()
    d = s.ask('server/discover', modern=True)['result']
    assert d['supportedVersions'][0] == '2026-07-28' and d['resultType'] == 'complete' and d['ttlMs'] >= 0, d
    old = s.ask('tools/list')['result']
    new = s.ask('tools/list', modern=True)['result']
    same(old['tools'], new['tools'])
    assert 'resultType' not in old and '_meta' not in old, old.keys()
    same((new['resultType'], new['cacheScope'] in ('public', 'private')), ('complete', True))
    r = s.answer(s.start('run_code', modern=True, code='print(5)'))['result']
    same((r['resultType'], r['structuredContent']['stdout']), ('complete', '5\n'))
    same(s.ask('ping', modern=True)['error']['code'], -32601)
    same(s.ask('ping')['result'], {})
    s.close()


@test
def bad_lines_are_answered_and_the_next_is_served():
    s = Server()
    for line, code in [(b'{', -32700), (b'nonsense', -32700), (b'\xff\xfe', -32700), (b'[]', -32600),
                       (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600), (b'"x"', -32600),
                       (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600), (b'[' * 100000, -32600)]:
        s.write(line + b'\n')
        r = s.line()
        same((r['id'], r['error']['code']), (None, code), line[:50])
    s.write(b'\n\r\n')
    same(s.ask('ping')['result'], {})
    s.close()


@test
def huge_ids_come_back_exactly():
    s = Server()
    for id in (b'123456789012345678901234567890', b'-1', b'"' + b'x' * 1000 + b'"', b'"\\u0000\\"]}"'):
        s.write(b'{"jsonrpc":"2.0","id":' + id + b',"method":"ping"}\n')
        s.line()
        same(s.raw[-1], b'{"jsonrpc":"2.0","id":' + id + b',"result":{}}\n')
    s.write(b'{"jsonrpc":"2.0","id":"' + b'x' * 5000 + b'","method":"ping"}\n')
    same(s.line()['error']['code'], -32600)
    s.close()


@test
def a_message_that_is_too_long_is_dropped_and_the_next_is_served():
    s = Server()
    for _ in range(2):
        s.write(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"' + b'x' * (9 << 20) + b'"}}\n')
        same(s.line()['error']['code'], -32600)
        same(s.ask('ping')['result'], {})
    memory = int(open('/proc/%d/statm' % s.reader_pid()).read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    assert memory < 64 << 20, memory
    s.close()


@test
def unknown_members_are_ignored_and_unknown_methods_are_not():
    s = Server()
    s.send({'jsonrpc': '2.0', 'id': 1, 'method': 'tools/list', 'future': [{}], 'params': {'new': 1, '_meta': {'x/y': 2}}})
    assert s.answer(1)['result']['tools']
    same(s.ask('no/such')['error']['code'], -32601)
    same(s.ask('logging/setLevel', {'level': 'debug'})['error']['code'], -32601)
    same(s.ask('prompts/list')['error']['code'], -32601)
    s.send({'jsonrpc': '2.0', 'method': 'no/such/notification'})
    same(s.ask('tools/call', {'name': 'nope'})['error']['code'], -32602)
    same(s.ask('tools/call', {'arguments': {}})['error']['code'], -32602)
    same(s.ask('tools/list', {'cursor': 'x'})['error']['code'], -32602)
    same(s.ask('resources/read', {'uri': 'sandbox://x/y'})['error']['code'], -32002)
    same(s.ask('resources/read', {'uri': 'sandbox://x/y'}, modern=True)['error']['code'], -32602)
    same(s.ask('tools/list', meta={**MODERN, 'io.modelcontextprotocol/protocolVersion': '2030-01-01'})['error']['code'], -32022)
    s.close()


@test
def a_slow_call_does_not_hold_a_fast_one():
    s = Server()
    slow = s.start('run_code', code='import time; time.sleep(1.5); print("slow")')
    fast = s.start('run_code', code='print("fast")')
    same(s.ask('ping')['result'], {})
    first = s.line()
    same(first['id'], fast, 'first answer')
    same(s.answer(slow)['result']['structuredContent']['stdout'], 'slow\n')
    s.close()


@test
def a_cancelled_call_is_ended_and_not_answered():
    s = Server()
    id = s.start('run_code', language='bash', code='echo up; exec sleep ' + nap('1234.5'))
    there('sleep\x00' + nap('1234.5'))
    s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': id, 'reason': 'test'}})
    gone('sleep\x00' + nap('1234.5'), 2)
    s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': 'nobody'}})
    s.quiet()
    same(s.children(), [])
    s.close()


@test
def a_cancelled_call_that_ignores_signals_is_ended():
    s = Server()
    id = s.start('run_code', language='bash', code='trap "" TERM INT HUP; for i in $(seq 300); do sleep %s; done' % nap('0.31415'))
    there('sleep\x00' + nap('0.31415'))
    s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': id}})
    gone('sleep\x00' + nap('0.31415'), 2)
    s.quiet()
    s.close()


@test
def progress_rises_and_stops_with_the_answer():
    s = Server()
    id = s.start('run_code', meta={'progressToken': 'tok'}, code='import time\nfor i in range(7): print(i); time.sleep(0.4)')
    s.answer(id)
    told = [m['params'] for m in s.aside if m.get('method') == 'notifications/progress']
    assert 1 <= len(told) <= 15, told
    assert all(t['progressToken'] == 'tok' for t in told), told
    numbers = [t['progress'] for t in told]
    assert numbers == sorted(set(numbers)), numbers
    s.quiet(1.3)
    s.answer(s.start('run_code', code='import time; time.sleep(1.3)'))
    assert not [m for m in s.aside if m.get('method') == 'notifications/progress'][len(told):], 'told without a token'
    s.close()


@test
def a_subscription_is_acknowledged_cancelled_and_closed():
    s = Server()
    one = s.request('subscriptions/listen', {'notifications': {'toolsListChanged': True}}, modern=True)
    m = s.line()
    same((m['method'], m['params']['_meta']['io.modelcontextprotocol/subscriptionId']),
         ('notifications/subscriptions/acknowledged', one))
    two = s.request('subscriptions/listen', {'notifications': {}}, modern=True)
    s.line()
    s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': two}})
    s.quiet()
    s.p.stdin.close()
    same(s.line()['id'], one)
    s.p.wait(timeout=HANG)


@test
def a_thousand_calls_at_once():
    s = Server('--rooms', '4')
    ids = [s.start('run_code', language='bash', code='echo $((%d * 2))' % i) for i in range(1000)]
    same(s.ask('ping')['result'], {})
    assert len(s.children()) <= 4, s.children()
    for i, id in enumerate(ids[:60]):
        same(s.answer(id)['result']['structuredContent']['stdout'], '%d\n' % (i * 2))
    for id in ids[60:-20]:
        s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': id}})
    for i, id in enumerate(ids[-20:]):
        same(s.answer(id)['result']['structuredContent']['stdout'], '%d\n' % ((980 + i) * 2))
    s.close()


@test
def a_queue_that_is_full_says_so():
    s = Server('--rooms', '1')
    s.start('run_code', code='import time; time.sleep(60)')
    big = 'x = "%s"' % ('x' * 1000000)
    ids = [s.start('run_code', code=big) for _ in range(80)]
    r = s.answer(ids[-1])['result']
    assert r['isError'] and 'waiting' in r['content'][0]['text'], r
    s.close()


@test
def it_ends_within_two_seconds_of_the_end_of_its_input():
    s = Server()
    s.start('run_code', language='bash', code='trap "" TERM HUP; sleep {0} & sleep {0} & wait; wait'.format(nap('4321.5')))
    there('sleep\x00' + nap('4321.5'), 2)
    took = s.close()
    assert took < patience(2), took
    gone('sleep\x00' + nap('4321.5'))
    assert Server().close() < patience(0.5)


@test
def an_answer_that_is_nearly_there_comes_after_the_end_of_input():
    s = Server()
    id = s.start('run_code', code='print("last")')
    s.p.stdin.close()
    same(s.answer(id)['result']['structuredContent']['stdout'], 'last\n')
    s.p.wait(timeout=HANG)


@test
def killed_it_leaves_no_room():
    s = Server()
    s.start('run_code', language='bash', code='exec sleep ' + nap('5432.1'))
    there('sleep\x00' + nap('5432.1'))
    s.kill()
    gone('sleep\x00' + nap('5432.1'), 8)


@test
def a_client_that_does_not_read_is_not_waited_for_by_memory():
    s = Server(read=False)
    ask = b''.join(b'{"jsonrpc":"2.0","id":%d,"method":"tools/list"}\n' % i for i in range(1000))
    os.set_blocking(s.p.stdin.fileno(), False)
    sent, moved = 0, time.monotonic()
    while time.monotonic() - moved < 1.5:
        try:
            sent += os.write(s.p.stdin.fileno(), ask[sent % len(ask):])
            moved = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
        assert sent < 8 << 20, 'it went on reading: %d bytes' % sent
    memory = int(open('/proc/%d/statm' % s.reader_pid()).read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    assert memory < 80 << 20, memory
    s.kill()
