"""inside: what a connection may carry. Imported by gate.py, whose tests, machine and rooms these use."""
from gate import ALLOW, arrivals, equal, has, python, room, test, told
import gate

gate.tests.clear()
KEPT = ['--allow', 'four.test:8088 http', '--allow', 'allowed.test']
# say(name, port, bytes…): sends them one by one, waits for an answer between; what came back, and whether it was closed.
SAY = ('def say(h, p, *parts):\n s = socket.create_connection((h, p), 5); s.settimeout(3); got = b""\n try:\n'
       '  for x in parts:\n   s.sendall(x); d = s.recv(65536)\n   if not d: return got, "closed"\n   got += d\n  return got, "open"\n'
       ' except TimeoutError: return got, "waits"\n except OSError: return got, "closed"\n finally: s.close()\n'
       'def hello(name, ext=b"", piece=99999):\n'
       ' n = name.encode(); e = (struct.pack(">HHHBH", 0, len(n) + 5, len(n) + 3, 0, len(n)) + n if n else b"") + ext\n'
       ' b = b"\\3\\3" + b"R" * 32 + b"\\0" + b"\\0\\2\\x13\\1\\1\\0" + struct.pack(">H", len(e)) + e; m = b"\\1" + struct.pack(">I", len(b))[1:] + b\n'
       ' return b"".join(b"\\x16\\3\\1" + struct.pack(">H", len(m[i:i+piece])) + m[i:i+piece] for i in range(0, len(m), piece))\n'
       'def get(host, path="/", more=""): return ("GET %s HTTP/1.1\\r\\nHost: %s\\r\\n%s\\r\\n" % (path, host, more)).encode()\n')


def refuses(options, calls, words, count=None):
    """Each call is refused without a byte from the server, and the record says why."""
    r = python(options, SAY + ''.join('print(%s)\n' % c for c in calls), 60)
    equal(r.out.splitlines(), ["(b'', 'closed')"] * len(calls), r)
    why = [d['why'] for d in r.record['denials'] if d['layer'] == 'gate']
    for w in words:
        assert any(w in x for x in why), 'no %r in %r; %s' % (w, why, r)
    return r


@test
def a_hello_for_another_name_is_refused():
    r = refuses(ALLOW, ['say("allowed.test", 443, hello("denied.test"))', 'say("allowed.test", 443, hello("denied.test", piece=1))',
                        'say("allowed.test", 80, hello("evil.test"))'], ['its TLS hello names denied.test', 'names evil.test'])
    has(r.err, 'denied connect to allowed.test:443', r)


@test
def a_hello_without_a_name_or_with_a_hidden_one_is_refused():
    r = refuses(ALLOW, ['say("allowed.test", 443, hello(""))', 'say("allowed.test", 443, hello("allowed.test", b"\\xfe\\x0d\\0\\0"))'],
                ['names no host', 'encrypted'])
    has(r.err, "--allow 'allowed.test:443 ech'", r)
    has(r.err, "--allow 'allowed.test:443 any'", r)


@test
def what_is_neither_tls_nor_http_is_refused():
    since = len(told)
    refuses(ALLOW, ['say("allowed.test", 443, b"SSH-2.0-probe\\r\\n")', 'say("allowed.test", 80, b"\\x80\\x2e\\1\\3\\1" + bytes(50))',
                    'say("allowed.test", 80, b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n")', 'say("allowed.test", 443, b"\\x16\\3\\1\\xff\\xff" + bytes(99))',
                    'say("allowed.test", 80, b"CONNECT denied.test:443 HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n")'],
            ['neither TLS nor HTTP', 'HTTP/2 without TLS', 'tunnel'])
    equal([x for x in arrivals('req', since)], [])


@test
def a_hello_in_pieces_passes():
    r = python(ALLOW, SAY + 's = socket.create_connection(("allowed.test", 443), 5); h = hello("allowed.test", piece=9)\n'
               'for i in range(0, len(h), 11): s.sendall(h[i:i+11]); time.sleep(0.002)\ns.settimeout(3); print(len(s.recv(999)) > 0)')
    equal(r.out, 'True\n', r)  # the server's alert: it knows no such cipher


@test
def another_host_in_a_request_is_refused():
    since = len(told)
    refuses(KEPT, ['say("four.test", 8088, get("evil.test"))', 'say("four.test", 8088, get("four.test").replace(b"/ ", b"http://evil.test/ "))',
                   'say("four.test", 8088, get("four.test", more="Host: evil.test\\r\\n"))', 'say("four.test", 8088, get("four.test:80"))',
                   'say("four.test", 8088, b"GET / HTTP/1.1\\r\\n\\r\\n")', 'say("four.test", 8088, get("four.test", more="Content-Length: 1\\r\\nTransfer-Encoding: chunked\\r\\n"))'],
            ['has the Host evil.test', 'is for evil.test', 'two Host fields', 'has no Host', 'a length beside chunks'])
    equal(arrivals('req', since), [])


@test
def each_request_of_a_connection_is_read():
    since = len(told)
    r = python(KEPT, SAY + 'a, b = say("four.test", 8088, get("four.test:8088"), get("four.test:8088", "/2"), get("evil.test", "/3"))\nprint(a.count(b"HTTP/1.1 200"), b)\n'
               'a, b = say("four.test", 8088, get("four.test:8088", "/4") + get("evil.test", "/5"))\nprint(a.count(b"HTTP/1.1 200"))')
    equal(r.out.split(), ['2', 'closed', '1'], r)
    equal([x[2] for x in arrivals('req', since)], ['/', '/2', '/4'], r)


@test
def bodies_and_chunks_pass():
    code = ('import http.client\nc = http.client.HTTPConnection("four.test", 8088, timeout=5)\n'
            'for path, body, chunked in (("/a", b"x" * 200000, False), ("/chunked", iter([b"GET / HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n", b"y" * 70000]), True), ("/b", None, False)):\n'
            ' c.request("POST" if body else "GET", path, body, {"Transfer-Encoding": "chunked"} if chunked else {}, encode_chunked=chunked); r = c.getresponse(); print(r.status, len(r.read()) > 20)\n'
            'c.request("HEAD", "/h"); r = c.getresponse(); r.read(); c.request("GET", "/after"); print(c.getresponse().read()[:10])')
    since = len(told)
    r = python(KEPT, code)
    equal(r.out.split('\n')[:4], ['200 True'] * 3 + ["b'GET /after'"], r)
    equal([int(x[4]) for x in arrivals('req', since)], [200000, 70035, 0, 0, 0], r)


@test
def an_upgrade_passes_when_the_server_agrees():
    r = python(KEPT, SAY + 'print(say("four.test", 8088, get("four.test:8088", more="Connection: upgrade\\r\\nUpgrade: raw\\r\\n"), b"\\0\\1\\2anything"))\n'
               'print(say("four.test", 8088, get("four.test:8088", more="Connection: upgrade\\r\\nUpgrade: other\\r\\n"), b"\\0\\1\\2anything")[1])')
    has(r.out, "raw:\\x00\\x01\\x02anything", r)
    has(r.out, '\nclosed\n', r)


@test
def http2_is_not_asked_for():
    r = python(KEPT, SAY + 'print(b"pgrade" in say("four.test", 8088, get("four.test:8088", more="Upgrade: h2c\\r\\nX: y\\r\\n"))[0])')
    equal(r.out, 'False\n', r)


@test
def words_of_a_rule_say_what_passes():
    code = SAY + ('print(say("allowed.test", 443, b"SSH-2.0-x\\r\\n\\r\\n")[0][:9], say("four.test", 7, b"x")[1])\n'
                  'print(say("six.test", 80, b"GET / HTTP/1.0\\r\\n\\r\\n"))')
    r = python(['--allow', 'allowed.test any', '--allow', 'four.test:7 any', '--allow', 'six.test:80 tls'], code)
    has(r.out, "waits", r)
    has(r.out, "(b'', 'closed')", r)
    has(r.err, 'six.test:80: what it says is no TLS hello', r)


@test
def the_rule_that_names_it_best_decides():
    code = SAY + 'print(say("a.w.test", 80, get("b.w.test"))[1], say("b.w.test", 80, get("a.w.test"))[0][:12])'
    r = python(['--allow', '*.w.test any', '--allow', 'a.w.test:80'], code)
    equal(r.out, "closed b'HTTP/1.1 200'\n", r)


@test
def bad_words_are_refused():
    for rule, words in (('a.test any tls', 'any is more than'), ('a.test tsl', 'unknown word'), ('a.test https', 'unknown word')):
        r = room(['--allow', rule], ['true'])
        equal(r.status, 125, r)
        has(r.err, words, r)
    r = room(['--deny', 'a.test tls', '--allow', 'b.test'], ['true'])
    has(r.err, 'only a rule that allows has words', r)


@test
def who_says_nothing_first_is_not_answered():
    r = python(ALLOW, 's = socket.create_connection(("allowed.test", 80), 5); s.shutdown(1); s.settimeout(5); print(s.recv(9))')
    equal(r.out, "b''\n", r)
