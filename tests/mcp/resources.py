"""resources: sandbox://ID/PATH: listed, read, bounded, exact; names that a hostile program chose."""
import base64
import json
import os

from rooms import living
from wire import Server, same, test


def read(s, uri, modern=False):
    r = s.ask('resources/read', {'uri': uri}, modern=modern)
    assert 'result' in r, r
    one, = r['result']['contents']
    same(one['uri'], uri)
    return one


def refused(s, uri, modern=False):
    r = s.ask('resources/read', {'uri': uri}, modern=modern)
    assert 'error' in r, r
    same((r['error']['code'], r['error'].get('data')), (-32602 if modern else -32002, {'uri': uri}), r)


def listed(s):
    return s.ask('resources/list')['result']['resources']


@test
def files_of_a_sandbox_are_read_in_both_eras():
    s, id = living()
    s.tool('sandbox_write_file', sandbox_id=id, path='a/b c.txt', content='é\n\tone\n')
    for modern in (False, True):
        same(read(s, 'sandbox://%s/work/a/b%%20c.txt' % id, modern), {'uri': 'sandbox://%s/work/a/b%%20c.txt' % id, 'mimeType': 'text/plain', 'text': 'é\n\tone\n'})
        for wrong in ('work/none', 'work/a/b%20c.txt/', 'work/a/b%20c.txt/x', '', 'work/a%2', 'work/a%zz', 'work/%00', 'work/a?x', 'work/a#x', 'x' * 5000, 'work/' + '%2e' * 2000):
            if wrong:
                refused(s, 'sandbox://%s/%s' % (id, wrong), modern)
    r = s.ask('resources/read', {'uri': 'sandbox://%s/work/a' % id}, modern=True)['result']
    same((r['ttlMs'], r['cacheScope']), (0, 'private'))
    assert read(s, 'sandbox://%s/../../etc/passwd' % id)['text'].count('\n') < 10, 'not the host\'s'
    for wrong in ('sandbox://', 'sandbox://%s' % id, 'sandbox:///work', 'file:///etc/passwd', '', 'sandbox://demo/work', 'sandbox://--help/x', 'sandbox://sbx-%s/x' % ('0' * 32),
                  'SANDBOX://%s/work' % id, 'sandbox://%s\x00/work' % id[:-1], 'sandbox://run-%s/stdout' % ('0' * 32)):
        r = s.ask('resources/read', {'uri': wrong})
        assert r['error']['code'] in (-32002, -32602), (wrong, r)
    for method in ('resources/subscribe', 'resources/unsubscribe'):
        same(s.ask(method, {'uri': 'sandbox://%s/work' % id})['error']['code'], -32601)
    s.tool('sandbox_kill', sandbox_id=id)
    refused(s, 'sandbox://%s/work/a' % id)
    same([x for x in listed(s) if id in x['uri']], [])
    s.close()


@test
def what_is_no_plain_text_comes_exactly():
    s, id = living()
    rows = {'nul': b'a\0b', 'escape': b'\x1b[2J\n', 'latin': b'caf\xe9\n', 'crlf': b'a\r\nb\r\n', 'all': bytes(range(256)), 'mixed': b'\xff\r\n\r\n', 'turned': 'a\u202eb'.encode(),
            'empty': b'', 'text': 'plain \U0001f600\n'.encode()}
    for name, data in rows.items():
        s.tool('sandbox_exec', sandbox_id=id, command='base64 -d > %s <<< %s' % (name, base64.b64encode(data).decode() or '""'))
        one = read(s, 'sandbox://%s/work/%s' % (id, name))
        if name in ('empty', 'text'):
            same((one['mimeType'], one['text']), ('text/plain', data.decode()), name)
        else:
            same((one['mimeType'], base64.b64decode(one['blob'])), ('application/octet-stream', data), name)
    r = s.tool('run_code', code='import sys; sys.stdout.buffer.write(bytes(range(256))); sys.stderr.write("e")')
    same(base64.b64decode(read(s, 'sandbox://%s/stdout' % r['run_id'])['blob']), bytes(range(256)))
    same(read(s, 'sandbox://%s/stderr' % r['run_id'])['text'], 'e')
    for wrong in ('stdin', 'stdout/', '/stdout', 'stdout%20', ''):
        refused(s, 'sandbox://%s/%s' % (r['run_id'], wrong))
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def reading_is_bounded_and_says_so():
    s, id = living()
    s.tool('sandbox_exec', sandbox_id=id, command='head -c 1048575 /dev/zero | tr "\\0" x > big; printf "\\303\\251" >> big; head -c 5000000 /dev/zero >> big; head -c 3000000 /dev/urandom > noise; '
           'mkfifo pipe; ln -s /proc/self/mem mem; ln -s loop loop; mkdir shut; chmod 0 shut; truncate -s 20M hole')
    one = read(s, 'sandbox://%s/work/big' % id)
    same((len(one['text']), one['_meta']), (1048575, {'strongroom/bytes': 1048575, 'strongroom/size': 6048577}), 'cut before a character')
    one = read(s, 'sandbox://%s/work/noise' % id)
    same((len(base64.b64decode(one['blob'])), one['_meta']['strongroom/size']), (1 << 20, 3000000))
    same(read(s, 'sandbox://%s/work/hole' % id)['_meta']['strongroom/size'], 20 << 20)
    for name in ('work/pipe', 'work/loop', 'dev/zero', 'dev/ptmx'):
        refused(s, 'sandbox://%s/%s' % (id, name))
    assert 'text' in read(s, 'sandbox://%s/proc/self/status' % id), 'a file that has no size'
    s.ask('resources/read', {'uri': 'sandbox://%s/work/mem' % id})
    s.ask('resources/read', {'uri': 'sandbox://%s/work/shut' % id})
    s.tool('sandbox_exec', sandbox_id=id, command='mkdir many; cd many; seq -f %g.txt 1500 | xargs touch')
    folder = json.loads(read(s, 'sandbox://%s/work/many' % id)['text'])
    same((len(folder['entries']), folder['truncated']), (1000, True))
    same(s.ask('ping')['result'], {})
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def hostile_names_lead_to_their_own_files():
    s, id = living()
    names = [b'a b', b'%41', b'a\nb', b'\x1b[2J', b'-rf', b'$(id)', b"q'uote\"", b'caf\xe9', 'é\u202e'.encode(), b'?x#y', b'..x', b'\\', b'a%2Fb', b'{"jsonrpc":"2.0"}', b'x' * 255]
    script = 'import sys, base64, os\nfor line in sys.stdin.read().split():\n  n = base64.b64decode(line)\n  open(b"/work/d/" + n, "wb").write(b"is " + n.hex().encode())'
    feed = ' '.join(base64.b64encode(n).decode() for n in names)
    s.tool('sandbox_exec', sandbox_id=id, command='mkdir d d/sub; python3 -c \'%s\' <<< "%s"; : > d/sub/deep' % (script, feed))
    mine = next(x for x in listed(s) if id in x['uri'])
    same((mine['uri'], mine['mimeType']), ('sandbox://%s/work/' % id, 'application/json'))
    top = json.loads(read(s, mine['uri'])['text'])['entries']
    same([(e['name'], e['type'], e['uri']) for e in top], [('d', 'folder', mine['uri'] + 'd/')])
    entries = json.loads(read(s, top[0]['uri'])['text'])['entries']
    same(len(entries), len(names) + 1)
    found = set()
    for e in entries:
        if e['type'] == 'folder':
            same(json.loads(read(s, e['uri'])['text'])['entries'][0]['name'], 'deep')
            continue
        assert not any(ord(c) < 32 and c not in '\n\t' or c == '\u202e' for c in e['name']), e
        assert e['uri'].isascii() and all(c not in e['uri'] for c in ' "\'\n\\?#{}'), e
        found.add(bytes.fromhex(read(s, e['uri'])['text'].split()[1]))
    same(found, set(names))
    for line in s.raw:
        assert all(32 <= b < 127 for b in line[:-1]), line
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def lists_are_paged():
    s = Server()
    for i in range(28):
        s.tool('run_code', language='bash', code='echo %d' % i)
    first = s.ask('resources/list')['result']
    same(len(first['resources']), 50)
    second = s.ask('resources/list', {'cursor': first['nextCursor']})['result']
    same((len(second['resources']), 'nextCursor' in second), (6, False))
    assert {x['uri'] for x in first['resources']}.isdisjoint(x['uri'] for x in second['resources'])
    for cursor in ('from-56', 'from-0', 'from-99999999999', 'from--1', 'x', '', 5, [], {'a': 1}):
        same(s.ask('resources/list', {'cursor': cursor})['error']['code'], -32602, cursor)
    template, = s.ask('resources/templates/list')['result']['resourceTemplates']
    same(template['uriTemplate'], 'sandbox://{sandbox_id}/{+path}')
    s.close()
