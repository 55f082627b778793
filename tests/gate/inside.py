"""inside: what a connection may carry. Imported by gate.py, whose tests, machine and rooms these use."""
import base64
import signal
import threading
import time

from gate import ALLOW, HANG, arrivals, curl, equal, has, patience, python, room, test, told, trusted
import gate

gate.tests.clear()
KEPT = ['--allow', 'four.test:8088 http', '--allow', 'allowed.test']
# say(name, port, bytes…): sends them one by one, waits for an answer between; what came back, and whether it was closed.
SAY = ('import select\ndef say(h, p, *parts):\n s = socket.create_connection((h, p), 20); s.settimeout(6); got = b""\n try:\n'
       '  for x in parts:\n   s.sendall(x); d = s.recv(65536)\n   if not d: return got, "closed"\n   got += d\n'
       '   while select.select([s], [], [], 0.1)[0]:\n    d = s.recv(65536)\n    if not d: return got, "closed"\n    got += d\n  return got, "open"\n'
       ' except TimeoutError: return got, "waits"\n except OSError: return got, "closed"\n finally: s.close()\n'
       'def hello(name, ext=b"", piece=99999):\n'
       ' n = name.encode(); e = (struct.pack(">HHHBH", 0, len(n) + 5, len(n) + 3, 0, len(n)) + n if n else b"") + ext\n'
       ' b = b"\\3\\3" + b"R" * 32 + b"\\0" + b"\\0\\2\\x13\\1\\1\\0" + struct.pack(">H", len(e)) + e; m = b"\\1" + struct.pack(">I", len(b))[1:] + b\n'
       ' return b"".join(b"\\x16\\3\\1" + struct.pack(">H", len(m[i:i+piece])) + m[i:i+piece] for i in range(0, len(m), piece))\n'
       'def get(host, path="/", more=""): return ("GET %s HTTP/1.1\\r\\nHost: %s\\r\\n%s\\r\\n" % (path, host, more)).encode()\n')


def refuses(options, calls, words, count=None):
    """Each call is refused without a byte from the server, and the record says why."""
    r = python(options, SAY + ''.join('print(%s)\n' % c for c in calls))
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
               'for i in range(0, len(h), 11): s.sendall(h[i:i+11]); time.sleep(0.002)\ns.settimeout(20); print(len(s.recv(999)) > 0)')
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


# --- requests, in the clear -------------------------------------------------------------------------------------------

ASKED = ['--allow', 'four.test:8088 http=GET:/open/* http=POST:/in/*/new']


@test
def requests_that_no_rule_has_are_refused():
    since = len(told)
    code = SAY + ('for m, p in (("GET", "/open/a?x=../"), ("HEAD", "/open/"), ("POST", "/in/7/new"), ("GET", "/open/%41%20b")):\n'
                  ' print(say("four.test", 8088, get("four.test:8088", p).replace(b"GET", m.encode(), 1))[0][:12].decode())\n'
                  'for m, p in (("GET", "/"), ("POST", "/open/a"), ("DELETE", "/in/7/new"), ("GET", "/open/../x"), ("GET", "/open/%2e%2e/x"), ("GET", "/open/%2E./x"), ("GET", "/open//x"),\n'
                  '  ("GET", "/open/..;/x"), ("GET", "/open/..%2fx"), ("GET", "/open\\\\..\\\\x"), ("GET", "//open/x"), ("GET", "/open/%252e%252e/x"), ("GET", "/open/a#b"), ("GET", "/OPEN/a"), ("get", "/open/a")):\n'
                  ' print(say("four.test", 8088, get("four.test:8088", p).replace(b"GET", m.encode(), 1)))\n'
                  'print(say("four.test", 8088, get("four.test:8088", "/open/a", "X-HTTP-Method-Override: DELETE\\r\\n")))')
    r = python(ASKED, code)
    equal(r.out.splitlines(), ['HTTP/1.1 200'] * 4 + ["(b'', 'closed')"] * 16, r)
    equal(len(arrivals('req', since)), 4, r)
    has(r.err, "no http word of the rule has its request: DELETE /in/7/new; allow with: --http 'DELETE four.test:8088/in/7/new'\n", r)


@test
def the_option_for_a_request_is_one_that_works():
    """Also with a query; none where it would say more or less than the request does."""
    r = curl(ASKED, 'http://four.test:8088/new?x=1')
    has(r.err, "GET /new?x=1; allow with: --http 'GET four.test:8088/new'\n", r)
    equal(curl(['--http', 'GET four.test:8088/new'], 'http://four.test:8088/new?x=1').status, 0)
    for path in ('/a*b', "/it's", '/' + 'x' * 70, '/%41'):
        r = curl(ASKED, 'http://four.test:8088' + path)
        has(r.err, 'no http word of the rule has its request: GET /', r)
        assert 'allow with' not in r.err, r


@test
def words_of_the_rooms_are_escaped_once():
    r = python(KEPT, SAY + 'print(say("four.test", 8088, b"GET / HTTP/1.1\\r\\nHost: a\\x1b[2Jb\\r\\n\\r\\n"))')
    refused = python(KEPT, SAY + 'print(say("four.test", 8088, get("\\xe2\\x80\\xaeevil\\\\test".encode("latin1").decode("utf8"), "/")))')
    assert '\x1b' not in r.err, r
    has(refused.err, 'its request has the Host \\xe2\\x80\\xaeevil\\\\test\n', refused)


@test
def trailers_obey_the_rules_of_fields():
    since = len(told)
    head = 'get("four.test:8088", "/open/x", "Transfer-Encoding: chunked\\r\\n").replace(b"GET", b"POST")'
    for rules, line, wanted in ((KEPT, 'Host: evil.test', 'field that belongs before it: Host'), (KEPT, 'Content-Length: 3', 'before it: Content-Length'),
                                (['--allow', 'four.test:8088 http=POST:/open/*'], 'X-HTTP-Method-Override: DELETE', 'before it: X-HTTP-Method-Override')):
        refuses(rules, ['say("four.test", 8088, %s + b"1\\r\\nx\\r\\n0\\r\\n%s\\r\\n\\r\\n")' % (head, line)], [wanted])
    r = python(KEPT, SAY + 'print(say("four.test", 8088, %s + b"1\\r\\nx\\r\\n0\\r\\nX-Sum: 1\\r\\n\\r\\n")[0][:12])' % head.replace('b"POST"', 'b"PUT"'))
    equal(r.out, "b'HTTP/1.1 200'\n", r)
    equal([x[1] for x in arrivals('req', since)], ['PUT'])


@test
def who_waits_before_the_body_is_told_to_go_on():
    """And the server never hears of it: what it takes for the next request would depend on whether it wants the body."""
    trusted()
    for where, rules in (('http://four.test:8088', KEPT), ('https://four.test:8443', ['--allow', 'four.test:8443 http=*:/*'])):
        since = len(told)
        r = curl(rules, '--expect100-timeout', '6', '-w', '%{time_total}', '-H', 'Expect: 100-continue', '-d', 'x' * 9000, where + '/e')
        equal(r.status, 0, r)
        assert 'Expect' not in r.out and float(r.out.rsplit('x', 1)[1]) < 4, r
        equal([(x[2], x[4]) for x in arrivals('req', since)], [('/e', '9000')])
    since = len(told)
    r = python(KEPT, SAY + 'print(say("four.test", 8088, get("four.test:8088", "/1", "Expect: 100-continue\\r\\nContent-Length: %d\\r\\n" % len(get("evil.test", "/2"))),'
               ' get("evil.test", "/2"), get("evil.test", "/3")))')
    has(r.out, "(b'HTTP/1.1 100 Continue\\r\\n\\r\\nHTTP/1.1 200 OK", r)
    equal([x[2] for x in arrivals('req', since)], ['/1'], r)


@test
def no_request_hides_in_a_body_that_servers_do_not_expect():
    """Where a body has no meaning, servers may not read it, and take it for the next request: so it is the last one of its connection."""
    since = len(told)
    code = SAY + ('import ssl\nhidden = b"POST /hidden HTTP/1.1\\r\\nHost: evil.test\\r\\nX: y\\r\\n\\r\\n"\nways = ("Content-Length: %d\\r\\n" % len(hidden), hidden), ("Transfer-Encoding: chunked\\r\\n", b"%x\\r\\n%s\\r\\n0\\r\\n\\r\\n" % (len(hidden), hidden))\n'
                  'for m in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):\n for field, body in ways:\n'
                  '  for more in ("", "Connection: keep-alive\\r\\nconnection: Upgrade\\r\\nUpgrade: x\\r\\n"): print(say("four.test", 8087, get("four.test:8087", "/open", field + more).replace(b"GET", m, 1) + body)[1])\n'
                  'c = ssl.create_default_context().wrap_socket(socket.create_connection(("four.test", 8444), 9), server_hostname="four.test"); c.sendall(get("four.test:8444", "/open", ways[0][0]) + hidden); c.settimeout(6); n = 0\n'
                  'try:\n while c.recv(999): pass\n print("closed")\nexcept OSError as e: print("closed")\n'
                  'print(say("four.test", 8088, get("four.test:8088", "/fat", "Content-Length: 3\\r\\n") + b"abc")[0][-3:])')
    trusted()
    r = python(['--allow', 'four.test:8087,8444 http=*:/open', '--allow', 'four.test:8088 http'], code)
    equal(r.out.split(), ['closed'] * 17 + ["b'abc'"], r)
    equal([tuple(x[1:4]) for x in arrivals('req', since)], [(m, '/open', 'four.test:8087') for m in ('GET', 'HEAD', 'DELETE', 'OPTIONS') for _ in range(4)]
          + [('GET', '/open', 'four.test:8444'), ('GET', '/fat', 'four.test:8088')], r)


@test
def a_request_waits_for_the_whole_answer():
    """In the clear and in TLS; the second one is sent at once."""
    trusted()
    code = SAY + ('import ssl\nfor p in (8088, 8443):\n s = socket.create_connection(("four.test", p), 5); s.settimeout(8)\n if p == 8443: s = ssl.create_default_context().wrap_socket(s, server_hostname="four.test")\n'
                  ' h = "four.test:%d" % p\n s.sendall(get(h, "/chunked/1") + get(h, "/2").replace(b"GET", b"HEAD") + get(h, "/slow/3") + get(h, "/4", "Connection: close\\r\\n"))\n b = b""\n'
                  ' while 1:\n  d = s.recv(9999)\n  if not d: break\n  b += d\n print(b.count(b"HTTP/1.1 200"), b.rstrip()[-17:])')
    since = len(told)
    r = python([*KEPT, '--allow', 'four.test:8443 http=*:/*'], code)
    equal(r.out.splitlines(), ["4 b'Connection: close'"] * 2, r)
    equal([x[2] for x in arrivals('req', since)], ['/chunked/1', '/2', '/slow/3', '/4'] * 2, r)


@test
def the_list_of_requests_says_the_same():
    code = SAY + ('for p in ("/open/a", "/shut/a"): print(say("four.test", 8088, get("four.test:8088", p)))\n')
    def heads(words):
        return [bool(x.strip('[]')) and '200' in x for x in python(words, code).out.splitlines()]
    equal(heads(['--http', 'GET four.test:8088/open/*']), [True, False])
    equal(heads(['--http', 'GET four.test:8088/open/*', '--http', 'GET four.test:8088/shut/*']), [True, True])


# --- requests, in TLS -------------------------------------------------------------------------------------------------

JUDGED = ['--allow', 'four.test:443,8443 http=GET:/*', '--allow', 'allowed.test']


@test
def many_are_opened_up_at_once():
    trusted()
    since = len(told)
    gate.signalled(lambda: [x for x in arrivals('tcp', since) if x[2] == '80'], signal.SIGSTOP, signal.SIGCONT)  # more than can wait in its socket
    r = python([*JUDGED, '--files', '2048'], SAY + 'import ssl, threading, time\ngood = []\nx = ssl.create_default_context()\ndef one():\n s = x.wrap_socket(socket.create_connection(("four.test", 8443), 20), server_hostname="four.test")\n'
               ' s.settimeout(20); s.sendall(get("four.test:8443", "/a")); good.append(s.recv(99)[9:12] == b"200")\none(); socket.create_connection(("allowed.test", 80)); time.sleep(0.5)\n'
               'them = [threading.Thread(target=one) for _ in range(100)]\n[t.start() for t in them]; [t.join() for t in them]\nprint(len(good), all(good))')
    equal(r.out.split(), ['101', 'True'], r)


@test
def curl_wget_python_node_and_git_are_opened_up():
    trusted()
    since = len(told)
    for command, wanted in ((['curl', '-sS', '-m', '8', 'https://four.test:8443/a'], 'GET /a'), (['curl', '-sS', '-m', '8', '-d', 'x', 'https://four.test:8443/a'], None),
                            (['wget', '-T', '8', '-t', '1', '-q', '-O', '-', 'https://four.test:8443/w'], 'GET /w'),
                            ([gate.PYTHON, '-c', 'import urllib.request; print(urllib.request.urlopen("https://four.test:8443/p", timeout=8).read().decode())'], 'GET /p'),
                            (['node', '-e', 'fetch("https://four.test:8443/n").then(r => r.text()).then(t => console.log(t))'], 'GET /n'),
                            (['env', '-i', '/usr/bin/openssl', 's_client', '-connect', 'four.test:8443', '-servername', 'four.test', '-verify_return_error', '-brief'], 'issuer'),
                            (['git', '-c', 'core.askPass=true', 'clone', '-q', 'https://four.test/repo.git', '/work/r'], '')):
        if not gate.shutil.which(command[0]):
            continue
        r = room(JUDGED, command)
        if wanted is None:
            assert r.status != 0, r
            has(r.err, 'POST /a', r)
        elif wanted == 'issuer':
            has(r.out + r.err, 'O = strongroom', r)
            has(r.out + r.err, 'Verification: OK', r)
        else:
            equal(r.status, 0, r)
            has(r.out, wanted, r)
    equal([x[2] for x in arrivals('req', since)], ['/a', '/w', '/p', '/n'])
    assert r.record['network']['authority'] and len(r.record['network']['authority']) == 64, r.record['network']


@test
def other_tls_goes_on_untouched():
    trusted()
    r = python(JUDGED, 'import ssl\nfor h, p in (("allowed.test", 443), ("four.test", 8443)):\n c = ssl.create_default_context().wrap_socket(socket.create_connection((h, p), 5), server_hostname=h)\n'
               ' print(dict(x[0] for x in c.getpeercert()["issuer"])["commonName"], c.selected_alpn_protocol())')
    equal(r.out.splitlines(), ['allowed.test None', 'authority of one room None'], r)


@test
def a_server_that_nobody_vouches_for_is_not_reached():
    trusted()
    since = len(told)
    r = curl(['--allow', 'alias.test:443 http=GET:/*'], '-k', 'https://alias.test/')
    assert r.status != 0, r
    has(r.err, 'certificate is not good', r)
    equal(arrivals('req', since), [])


@test
def kept_connections_chunks_and_other_protocols_pass_in_tls():
    trusted()
    code = ('import http.client, ssl\nc = http.client.HTTPSConnection("four.test", 8443, timeout=5)\n'
            'for i in range(3):\n c.request("POST", "/chunked", iter([b"y" * 70000, b"z"]), {"Transfer-Encoding": "chunked"}, encode_chunked=True); r = c.getresponse(); print(r.status, len(r.read()) > 70000)\n'
            's = ssl.create_default_context().wrap_socket(socket.create_connection(("four.test", 8443), 5), server_hostname="four.test")\n'
            's.sendall(b"GET / HTTP/1.1\\r\\nHost: four.test:8443\\r\\nUpgrade: raw\\r\\n\\r\\n"); d = s.recv(999); s.sendall(b"\\0raw"); print(s.recv(999))')
    r = python(['--allow', 'four.test:8443 http=*:/*'], code)
    equal(r.out.splitlines(), ['200 True'] * 3 + ["b'raw:\\x00raw'"], r)


OPENED = ('import ssl\nk = ssl.create_default_context()\ndef opened(): return k.wrap_socket(socket.create_connection(("four.test", 8443), 5), server_hostname="four.test")\n'
          'def ask(path): return ("GET %s HTTP/1.1\\r\\nHost: four.test:8443\\r\\n\\r\\n" % path).encode()\n')


@test
def an_answer_comes_after_the_room_has_ended_its_half():
    """The end as programs make it, without TLS's own word, and with it."""
    trusted()
    code = OPENED + ('for how in (0, 1):\n s = opened(); s.sendall(ask("/slow/" + str(how)).replace(b"GET", b"POST").replace(b"\\r\\n\\r\\n", b"\\r\\nContent-Length: 300000\\r\\n\\r\\n") + b"z" * 300000)\n'
                     ' if how == 0: socket.socket.shutdown(s, 1)\n else:\n  s.settimeout(0)\n  try: s.unwrap()\n  except (BlockingIOError, ssl.SSLError): pass\n'
                     ' n = 0; s.settimeout(5)\n while 1:\n  d = socket.socket.recv(s, 99999)\n  if not d: break\n  n += len(d)\n print(n > 300000, n)')
    since = len(told)
    r = python(['--allow', 'four.test:8443 http=*:/*'], code)
    equal(r.out.count('True'), 2, r)
    equal([x[4] for x in arrivals('req', since)], ['300000'] * 2, r)


@test
def connections_that_nobody_waits_for_end():
    """The room breaks off while the server keeps silent; who goes without a word is asked (the kernel's keepalive)."""
    trusted()
    code = OPENED + ('a = opened(); a.sendall(ask("/hang")); time.sleep(0.3); a.setsockopt(1, 13, struct.pack("ii", 1, 0)); a.close()\n'
                     'b = opened(); b.sendall(ask("/hang")); print("open", flush=True); time.sleep(2)')
    out, times_seen = [], 0
    t = threading.Thread(target=lambda: out.append(python(['--allow', 'four.test:8443 http=*:/*'], code)))
    t.start()
    timers, until = [], time.time() + HANG
    while t.is_alive() and time.time() < until and (len(timers) != 1 or times_seen < 20):
        timers = [x.split()[5][:2] for x in open('/proc/net/tcp') if x.split()[2].endswith(':20FB') and x.split()[3] == '01']
        times_seen = times_seen + 1 if len(timers) == 1 else 0
        time.sleep(0.02)
    t.join()
    r = out[0]
    equal(timers, ['02'], r)  # one connection is left, and it is looked after
    times = sorted(e['duration_ms'] for e in r.record['network']['events'] if e['kind'] == 'tcp')
    assert len(times) == 2 and times[0] < patience(900) and times[1] > 1900, times


# --- secrets ----------------------------------------------------------------------------------------------------------

VALUE = 'the-real-value-7Q'


def secret_room(options, command):
    gate.os.environ['MY_TOKEN'] = VALUE
    try:
        return room(['--allow', 'four.test:8088,8443', '--allow', 'six.test', *options], command)
    finally:
        del gate.os.environ['MY_TOKEN']


@test
def a_secret_reaches_its_host_and_never_the_room():
    trusted()
    code = ('import base64, http.client, os, sys, time\nmark = os.environ["TOKEN"]; print(len(mark), mark[:4])\n'
            'for c in (http.client.HTTPConnection("four.test", 8088, timeout=5), http.client.HTTPSConnection("four.test", 8443, timeout=5)):\n'
            ' for h in ("Bearer " + mark, "Basic " + base64.b64encode(("user:" + mark).encode()).decode()):\n'
            '  c.request("GET", "/q?key=" + mark, headers={"Authorization": h}); r = c.getresponse(); r.read(); print(r.headers["X-Said"] == h if h[1] == "e" else r.headers["X-Said"])\n')
    since = len(told)
    r = secret_room(['--secret', 'TOKEN=env:MY_TOKEN@four.test:8088', '--secret', 'TOKEN=env:MY_TOKEN@four.test:8443'], [gate.PYTHON, '-c', code])
    equal(r.status, 0, r)
    equal(r.out.splitlines()[:2], ['40 srs_', 'True'], r)
    equal([x[2] for x in arrivals('req', since)], ['/q?key=' + VALUE] * 4, r)
    assert base64.b64encode(('user:' + VALUE).encode()).decode()[:-4] not in r.out, r  # as the server said it back
    assert VALUE not in r.err and VALUE not in str(r.record), r


@test
def a_secret_goes_to_no_other_host_and_not_in_the_clear():
    trusted()
    since = len(told)
    code = ('import http.client, os\nfor p in (8088,):\n c = http.client.HTTPConnection("four.test", p, timeout=5); c.request("GET", "/" + os.environ["TOKEN"]); print(c.getresponse().status)\n'
            's = socket.create_connection(("four.test", 8443), 5)\ns.sendall(b"TRACE / HTTP/1.1\\r\\nHost: four.test:8443\\r\\n\\r\\n")\ns.settimeout(3)\ntry: print(s.recv(9))\nexcept OSError: print("cut")')
    r = secret_room(['--secret', 'TOKEN=env:MY_TOKEN@four.test:8443'], [gate.PYTHON, '-c', 'import socket\n' + code])
    has(r.out, '200\n', r)
    paths = [x[2] for x in arrivals('req', since)]
    assert paths and paths[0].startswith('/srs_'), paths


@test
def the_value_is_nowhere_in_the_room():
    trusted()
    r = secret_room(['--secret', 'TOKEN=env:MY_TOKEN@four.test:8443', '--env', 'OTHER=x'],
                    ['sh', '-c', 'env; cat /run/strongroom/policy.json; grep -rl --exclude=pagemap "%s" /proc /run /etc /work /tmp 2>/dev/null; echo done' % (VALUE[:9] + '[-]real')])
    assert VALUE not in r.out, r
    equal((r.out.splitlines()[-1], 'TOKEN=srs_' in r.out), ('done', True), r)


@test
def bytes_of_connections_that_are_opened_up_count():
    trusted()
    code = ('import http.client, ssl\nc = http.client.HTTPSConnection("four.test", 8443, timeout=5); n = 0\ntry:\n'
            ' for i in range(40):\n  c.request("POST", "/", b"x" * 50000); n += len(c.getresponse().read())\nexcept (OSError, http.client.HTTPException): print("cut", n)\n'
            'try:\n c = http.client.HTTPSConnection("four.test", 8443, timeout=5); c.request("GET", "/")\n print(c.getresponse().status)\nexcept (OSError, http.client.HTTPException): print("no more")')
    for words in (['--secret', 'TOKEN=env:MY_TOKEN@four.test:8443', '--allow', 'four.test:8443 max-bytes=1M'], ['--allow', 'four.test:8443 http=*:/* max-bytes=1M']):
        gate.os.environ['MY_TOKEN'] = VALUE
        r = python(words, code)
        w = r.out.split()
        equal((w[0], w[2:]), ('cut', ['no', 'more']), r)
        assert 300000 < int(w[1]) < 524288, r
        has(r.err, 'all bytes are used up of the rule four.test:8443', r)
        total = sum(x['bytes_up'] + x['bytes_down'] for x in r.record['network']['peers'] if x['kind'] == 'tcp')
        assert 900000 < total <= 1 << 20, (total, r)
    r = python(['--allow', 'four.test:8443 http=*:/* max-bytes=1M'], code.replace('range(40)', 'range(4)').replace('except (OSError, http.client.HTTPException): print("cut", n)', 'finally: print(n > 200000)'))
    equal(r.out.split(), ['True', '200'], r)  # what was lent and not used has come back


@test
def a_changed_head_is_within_the_bytes_of_its_rule():
    since = len(told)
    gate.os.environ['MY_TOKEN'] = VALUE
    r = python(['--secret', 'TOKEN=env:MY_TOKEN@four.test:8088', '--allow', 'four.test:8088 max-bytes=100'],
               SAY + 'print(say("four.test", 8088, get("four.test:8088", "/" + os.environ["TOKEN"], "X: " + "y" * 90 + "\\r\\n")))')
    equal(r.out, "(b'', 'closed')\n", r)
    has(r.err, 'all bytes are used up of the rule', r)
    equal(arrivals('req', since), [])


@test
def remedies_keep_what_the_rule_says():
    """Who follows one must not open more than was missing."""
    r = python(['--allow', 'lan.test http=GET:/ok* max-conns=9 note=ours'], SAY + 'print(say("lan.test", 80, get("lan.test", "/ok")))')
    has(r.err, "allow with: --allow 'lan.test:80 internal http=GET:/ok* max-conns=9'", r)
    r = python(['--allow', '*.test:80 internal http=GET:/ok*'], SAY + 'print(say("four.test", 80, b"HELO you\\r\\n\\r\\n"))')
    has(r.err, 'denied connect to four.test:80', r)
    assert 'allow with' not in r.err, r


@test
def mistakes_with_secrets_are_told():
    for words, said in ((['--secret', 'T@evil.test'], 'no rule allows that host'), (['--secret', 'T'], 'a secret is NAME'), (['--secret', 'T=env:NOT_THERE@six.test'], 'it is not set\nstrongroom: hint: export it'),
                        (['--allow', 'four.test:8081', '--secret', 'T=env:MY_TOKEN@four.test'], 'at that port\nstrongroom: hint: add --allow four.test:443, or write the secret\'s port: …@four.test:8081'),
                        (['--secret', '1T@six.test'], 'a secret is NAME'), (['--secret', 'T=cmd:x@six.test'], 'comes from'), (['--secret', 'T=file:/nowhere@six.test'], 'No such file or directory\nstrongroom: hint: name a file'),
                        (['--secret', 'T=env:MY_TOKEN@six.test', '--env', 'T=x'], 'the room\'s variable T is set by --env, too'), (['-e', 'MY_TOKEN', '--secret', 'MY_TOKEN@six.test'], 'set by --env'),
                        (['--secret', 'PATH=env:MY_TOKEN@six.test'], 'PATH is a variable that the room needs for itself')):
        r = secret_room(words, ['true'])
        equal(r.status, 125, r)
        has(r.err, said, r)


@test
def opening_up_costs_little():
    trusted()
    code = ('import ssl\nk = ssl.create_default_context()\ndef one(h):\n a = time.perf_counter(); c = k.wrap_socket(socket.create_connection((h, 443), 5), server_hostname=h); c.sendall(b"GET / HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n" % h.encode()); c.recv(99); c.close(); return time.perf_counter() - a\n'
            'def bulk(h):\n c = k.wrap_socket(socket.create_connection((h, 443), 5), server_hostname=h); c.sendall(b"GET /bytes/60000000 HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n" % h.encode()); a = time.perf_counter(); n = 0; b = bytearray(1 << 17)\n'
            ' while 1:\n  i = c.recv_into(b)\n  if not i: break\n  n += i\n return n / 1e6 / (time.perf_counter() - a)\n'
            't = [sorted(one(h) for _ in range(40))[20] * 1e3 for h in ("allowed.test", "four.test")]; b = [bulk(h) for h in ("allowed.test", "four.test")]\n'
            'print("%.2f ms untouched, %.2f ms opened up; %.0f and %.0f MB/s" % (*t, *b))')
    r = python(JUDGED, code)
    equal(r.status, 0, r)
    print('     (%s)' % r.out.strip())


# --- attacks ----------------------------------------------------------------------------------------------------------

@test
def names_in_opened_tls_are_compared_too():
    """The hello names the host, the request another one; and a tunnel is asked for behind a good request."""
    trusted()
    since = len(told)
    code = SAY + OPENED + ('def says(*parts):\n s = opened(); s.settimeout(4); got = b""\n try:\n  for x in parts:\n   s.sendall(x)\n   while 1:\n    d = s.recv(65536)\n    if not d: return "closed"\n'
                           '    got += d\n    if b"Host:" in got: got = b""; break\n except OSError: return "closed"\n return "open"\n'
                           'h = "four.test:8443"\nfor p in ((get("evil.test", "/1"),), (get(h, "/ok1"), get("evil.test", "/2")), (get(h, "/ok2"), b"CONNECT evil.test:443 HTTP/1.1\\r\\nHost: four.test:8443\\r\\n\\r\\n"),\n'
                           '  (b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n",), (b"\\x16\\3\\1\\0\\5hello",), (get(h, "/ok3"),)): print(says(*p))\n'
                           'for w in (get("four.test:8088", "/ok4"), b"CONNECT evil.test:443 HTTP/1.1\\r\\nHost: four.test:8088\\r\\n\\r\\n"): pass\n'
                           'print(say("four.test", 8088, get("four.test:8088", "/ok4"), w)[1])\n')
    r = python([*KEPT, '--allow', 'four.test:8443 http=*:/*'], code)
    equal(r.out.split(), ['closed'] * 5 + ['open', 'closed'], r)
    equal([x[2] for x in arrivals('req', since)], ['/ok1', '/ok2', '/ok3', '/ok4'], r)


@test
def hellos_of_any_form_reach_no_other_name():
    """Each byte of a good hello changed, cut, doubled, and noise: what passes names the host, and the gate lives."""
    since = len(told)
    code = SAY + ('import random\nrandom.seed(5)\ng = hello("allowed.test"); e = hello("evil.test"); passed = 0\n'
                  'def odd(i):\n b = bytearray(g)\n k = i % 5\n if k == 0: b[random.randrange(len(b))] ^= 1 << random.randrange(8)\n if k == 1: b = b[:random.randrange(1, len(b))] + e\n if k == 2: b = bytearray(random.randrange(256) for _ in range(random.randrange(1, 400)))\n'
                  ' if k == 3: b = bytearray(e); b[random.randrange(len(b))] ^= 1 << random.randrange(8)\n if k == 4: b = bytearray(b"\\x16\\3\\1" + struct.pack(">H", random.randrange(65536))) + b[5:] + e\n return bytes(b)\n'
                  'def one(i):\n s = socket.create_connection(("allowed.test", 443), 5); s.settimeout(0.4)\n try: s.sendall(odd(i)); s.shutdown(1); s.recv(99)\n except OSError: pass\n s.close()\n'
                  'for i in range(300): one(i)\nprint(say("allowed.test", 80, get("allowed.test"))[0][:12])\n')
    r = python(ALLOW, code)
    equal(r.out, "b'HTTP/1.1 200'\n", r)
    seen = [d['why'] for d in r.record['denials'] if d['layer'] == 'gate']
    assert any('names evil.test' in x for x in seen) and any('no TLS hello' in x or 'neither TLS' in x for x in seen), seen
    equal([x for x in arrivals('tcp', since) if x[1] not in (gate.EXT, gate.EXT6)], [])


@test
def requests_in_odd_clothes_reach_no_other_host_or_path():
    """What servers read in two ways does not reach one; what they read in one way does, and what hides behind it does not."""
    since = len(told)
    code = SAY + ('H = b"Host: four.test:8088\\r\\n"\nbad = [b"GET /bad HTTP/1.1\\r\\n" + x + b"\\r\\n" for x in (\n'
                  ' H + b"Content-Length: 3\\r\\nTransfer-Encoding: chunked\\r\\n", H + b"Content-Length: 3\\r\\nContent-Length: 3\\r\\n", H + b"Content-Length: 3, 3\\r\\n", H + b"Content-Length: +3\\r\\n", H + b"Content-Length: 0x3\\r\\n",\n'
                  ' H + b"Content-Length: 99999999999999999999\\r\\n", H + b"Content-Length:\\r\\n", H + b"Transfer-Encoding: chunked, identity\\r\\n", H + b"Transfer-Encoding: xchunked\\r\\n", H + b"Transfer-Encoding: chunked\\r\\nTransfer-Encoding: x\\r\\n",\n'
                  ' H + b"Transfer-Encoding:\\x0bchunked\\r\\n", H + b"Transfer-Encoding : chunked\\r\\n", H + b"Transfer-Encoding\\r\\n : chunked\\r\\n", H + b"X: y\\r\\n Host: evil.test\\r\\n", b" " + H, H[:-2] + b"\\n", H + b"X: a\\nHost: evil.test\\r\\n", H + b"X: a\\rb\\r\\n",\n'
                  ' H + b"X: a\\0b\\r\\n", H + b": y\\r\\n", H + H, b"Host: evil.test\\r\\n" + H, b"Host: four.test:8088, evil.test\\r\\n", b"Host: evil.test@four.test:8088\\r\\n", b"Host: four.test:8088@evil.test\\r\\n", b"Host: four.test:8088/evil.test\\r\\n", b"Host: four.test#evil.test\\r\\n",\n'
                  ' b"Host: four.test:80:8088\\r\\n", b"Host: four.test:080088\\r\\n", b"Host: four.test..:8088\\r\\n", b"Host: four.test\\xe3\\x80\\x82:8088\\r\\n", b"Host: 198.51.100.7:8088\\r\\n", b"Host:\\r\\n", b"X-Host: four.test:8088\\r\\n", b"Host: \\x00four.test:8088\\r\\n")]\n'
                  'bad += [l + b"\\r\\n" + H + b"\\r\\n" for l in (b"GET /bad", b"GET /bad HTTP/0.9", b"GET /bad HTTP/2.0", b"GET /bad http/1.1", b"GET /bad HTTP/1.10", b"GET  /bad HTTP/1.1", b"GET /bad x HTTP/1.1", b"GET\\t/bad HTTP/1.1", b"GET /bad\\tHTTP/1.1", b" GET /bad HTTP/1.1",\n'
                  ' b"\\r\\nGET /bad HTTP/1.1", b"GET http://evil.test/bad HTTP/1.1", b"GET http://four.test@evil.test/bad HTTP/1.1", b"GET http://four.test\\\\@evil.test/bad HTTP/1.1", b"GET HTTP://evil.test?@four.test:8088/bad HTTP/1.1", b"GET https://four.test:8088.evil.test/bad HTTP/1.1", b"GET ftp://four.test:8088/bad HTTP/1.1",\n'
                  ' b"GET bad HTTP/1.1", b"CONNECT four.test:8088 HTTP/1.1", b"G(T /bad HTTP/1.1", b"PRI * HTTP/2.0", b"GET /bad\\0 HTTP/1.1")]\nbad.append(b"\\x80\\x2e\\1\\3\\1" + bytes(60)); bad.append(b"GET /bad HTTP/1.1\\n" + H + b"\\n"); bad.append(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n")\n'
                  'for x in bad:\n r = say("four.test", 8088, x)\n if r != (b"", "closed"): print(x, r)\n'
                  'C = b"POST /ok HTTP/1.1\\r\\n" + H + b"Transfer-Encoding: chunked\\r\\n\\r\\n"; E = get("evil.test", "/bad")\n'
                  'for x in (b"3\\r\\nabc\\r\\n0\\r\\n\\r\\n" + E, b"3;x=y\\r\\nabc\\r\\n00\\r\\n\\r\\n" + E, b"0;a\\r\\nX: y\\r\\n\\r\\n" + E): print(say("four.test", 8088, C + x)[1])\n'
                  'for x in (b"-3\\r\\nabc", b"0x3\\r\\nabc", b"3\\nabc\\n0\\n\\n", b"ffffffffffffffffff\\r\\n", b"3;\\n\\r\\nabc", b"\\r\\n0\\r\\n\\r\\n", b"3\\r\\nabcX\\r\\n0\\r\\n\\r\\n", b"0\\r\\n Host: evil\\r\\n\\r\\n"): print(say("four.test", 8088, C + x + E)[1])\n'
                  'print(say("four.test", 8088, b"GET http://FOUR.test.:8088/ok HTTP/1.1\\r\\nhOsT:\\tFour.Test:8088\\t\\r\\n\\r\\n")[0][9:12])')
    r = python(KEPT, code)
    equal(r.out.split('\n')[:-1], ['closed'] * 11 + ["b'200'"], r)
    equal([x for x in arrivals('req', since) if x[2] not in ('/ok', 'http://FOUR.test.:8088/ok') or not x[3].lower().startswith('four.test')], [], r)


@test
def hellos_in_odd_clothes_reach_no_other_name():
    since = len(told)
    code = SAY + ('def ext(t, b): return struct.pack(">HH", t, len(b)) + b\ndef names(*n): b = b"".join(bytes([k]) + struct.pack(">H", len(x)) + x for k, x in n); return ext(0, struct.pack(">H", len(b)) + b)\n'
                  'def made(e, piece=16000, more=b""):\n b = b"\\3\\3" + b"R" * 32 + b"\\0" + b"\\0\\2\\x13\\1\\1\\0" + struct.pack(">H", len(e)) + e; m = b"\\1" + struct.pack(">I", len(b))[1:] + b + more\n'
                  ' return b"".join(b"\\x16\\3\\1" + struct.pack(">H", len(m[i:i+piece])) + m[i:i+piece] for i in range(0, len(m), piece))\n'
                  'A, E = (0, b"allowed.test"), (0, b"evil.test"); a, e = names(A), names(E)\n'
                  'bad = [made(x) for x in (a + e, e + a, a + a, names(A, E), names(E, A), names(A, (1, b"x")), names((1, b"allowed.test")), names((0, b"allowed.test\\0")), names((0, b"allowed.test\\0.evil.test")), names((0, b"allowed.test..")), names((0, b"")), names((0, b".")), names(), ext(0, b""),\n'
                  '  names((0, b"a" * 300 + b".allowed.test")), names((0, b"allowed.test evil.test")), names((0, b"198.51.100.7")), names((0, b"\\xc3\\xa4llowed.test")), ext(0, a[4:] + b"x"), a[:-1], a + ext(0xfe0d, b"x" * 99), b"".join(ext(0x8000 + i, b"") for i in range(200)) + a)]\n'
                  'bad += [made(a, more=made(e)[5:]), made(a)[:11] + b"\\x15\\3\\1\\0\\2\\1\\0" + made(a)[11:], b"\\x16\\3\\1\\0\\0" + made(a), b"\\x16\\2\\0" + made(a)[3:], b"\\x17" + made(a)[1:], b"\\x80\\x2e\\1\\3\\1" + bytes(60), b"\\x16\\3\\1\\x40\\0\\1\\0\\x7f\\xff\\3\\3" + bytes(16379) + b"\\x16\\3\\1\\x40\\0" + bytes(9000), get("allowed.test")]\n'
                  'for i, x in enumerate(bad):\n r = say("allowed.test", 443, x) if x[:3] != b"GET" else say("four.test", 443, get("four.test"))\n if r != (b"", "closed"): print(i, x[:40], r)\n'
                  'for x in (made(names((0, b"AlloweD.TEST"))), made(ext(0x0a0a, b"") + a + ext(0xfafa, b"\\0")), made(a, 1), made(a + ext(35, b"t" * 200), 7), made(a) + made(e), made(a + ext(21, b"p" * 5000), 40)):\n'
                  ' try: s = socket.create_connection(("allowed.test", 443), 9); s.settimeout(9); s.sendall(x); print(len(s.recv(99)) > 0)\n except OSError as err: print(err)\n s.close()')
    r = python([*ALLOW, '--allow', 'four.test:443 tls'], code)
    equal(r.out.split('\n')[:-1], ['True'] * 6, r)
    equal([x for x in arrivals('tcp', since) if x[1] not in (gate.EXT, gate.EXT6)], [])


@test
def who_speaks_slowly_is_cut_and_holds_nobody_up():
    """Heads, hellos and requests in opened TLS that come byte by byte: 30 s, and no more; others pass meanwhile."""
    trusted()
    code = SAY + OPENED + ('import select\nh = hello("four.test"); begin = time.time(); slow = []\n'
                           'for i in range(150): slow.append((socket.create_connection(("four.test", 8088), 5), b"GET / HTTP/1.1\\r\\nX: " + b"y" * 999))\n'
                           'for i in range(100): slow.append((socket.create_connection(("four.test", 443), 5), h))\n'
                           'for i in range(20): slow.append((opened(), b"GET / HTTP/1.1\\r\\nX: " + b"y" * 999))\n'
                           'for i in range(20): slow.append((socket.create_connection(("four.test", 8443), 5), hello("four.test")))\n'
                           'ends = {}\nfor n in range(80):\n for i, (s, w) in enumerate(slow):\n  if i in ends: continue\n  try:\n   s.setblocking(False)\n   if n < len(w): s.send(w[n:n+1])\n   if select.select([s], [], [], 0)[0] and s.recv(99) == b"": ends[i] = time.time()\n'
                           '  except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError): pass\n  except OSError: ends[i] = time.time()\n'
                           ' if n == 4: print(say("four.test", 8088, get("four.test:8088"))[0][:12])\n if len(ends) == len(slow): break\n time.sleep(0.5)\n'
                           'print(len(ends) == len(slow), "%.1f" % (min(ends.values()) - begin), "%.1f" % (max(ends.values()) - begin))\n')
    r = python([*KEPT, '--allow', 'four.test:443', '--allow', 'four.test:8443 http=*:/*'], code)
    out = r.out.split()
    equal(out[:3], ["b'HTTP/1.1", "200'", 'True'], r)
    assert 24 < float(out[3]) and float(out[4]) < patience(42), r


@test
def strongroom_intercept_killed_amid_its_work():
    """What is open there ends, and nothing goes on unseen instead."""
    trusted()
    code = OPENED + ('a = opened(); a.sendall(ask("/hang")); print("open", flush=True); a.settimeout(9)\ntry: print("got", a.recv(9))\nexcept OSError: print("got cut")\n'
                     'def more(p):\n try:\n  s = k.wrap_socket(socket.create_connection(("four.test", p), 5), server_hostname="four.test"); s.sendall(ask("/unseen")); return s.recv(9)\n except OSError: return "cut"\n'
                     'print(more(8443), more(8443))\n')
    since, out = len(told), []
    t = threading.Thread(target=lambda: out.append(python(['--allow', 'four.test:8443 http=*:/*'], code)))
    t.start()
    for _ in range(1000):
        time.sleep(0.05)
        found = [int(p) for p in gate.os.listdir('/proc') if p.isdigit() and gate.comm(p) == 'strongroom-inte' and gate.has_memory(p)]
        if found and [x for x in told[since:] if x[0] == 'req']:
            break
    time.sleep(0.5)
    equal(len(found), 1)
    gate.os.kill(found[0], 9)
    t.join()
    r = out[0]
    has(r.out, 'got cut' if 'got cut' in r.out else "got b''", r)
    has(r.out, 'cut cut\n', r)
    has(r.err, 'strongroom-intercept', r)
    assert '/unseen' not in [x[2] for x in arrivals('req', since)]
