"""proxy: going out by the proxy of a company. Imported by run; adds its tests to those of gate.py."""
import os
import signal

import gate
from gate import EXT, META, LAN, TRY, arrivals, equal, has, python, room, signalled, test, told, trusted

LOGIN = 'me:p%20w%40d'
WAYS = ['http://%s:3128' % EXT, 'http://%s@%s:3129' % (LOGIN, EXT), 'socks5://%s:1080' % EXT, 'socks5://%s@%s:1081' % (LOGIN, EXT),
        'https://four.test:3443', 'https://%s@%s:3444' % (LOGIN, EXT)]
BY_TLS = WAYS[4]


@test
def names_go_by_the_proxy_which_looks_them_up():
    trusted()
    for way in WAYS:
        since = len(told)
        r = python(['--upstream-proxy', way, '--allow', 'four.test:80,22'], TRY + 'print(t("four.test", 80))\n'
                   's = socket.create_connection(("four.test", 80), 5); s.sendall(b"GET /bytes/3000000 HTTP/1.0\\r\\n\\r\\n"); n = 0\nwhile 1:\n d = s.recv(65536)\n'
                   ' if not d: break\n n += len(d)\nprint(n > 3000000, t("denied.test", 80))')
        equal(r.out.split(), ['REACHED', 'True', 'refused'], r)
        equal([x for x in arrivals('dns', since) if way != BY_TLS], [], r)  # but for the proxy's own name
        equal([x[1:] for x in arrivals('proxied', since)], [['four.test', '80']] * 2, r)
        peer = next(x for x in r.record['network']['peers'] if x['name'] == 'four.test')
        equal((peer['verdict'], peer['address']), ('allowed', None), r)


@test
def a_listed_address_goes_by_the_proxy_and_a_private_one_directly():
    trusted()
    for way in (WAYS[3], BY_TLS):
        addresses_go_by(way)


def addresses_go_by(way):
    since = len(told)
    r = python(['--upstream-proxy', way, '--allow', EXT + ':80', '--allow', LAN + ':80', '--allow', 'lan.test:80 internal'],
               TRY + 'for h in ("%s", "%s", "lan.test", "%s"): print(t(h, 80))' % (EXT, LAN, META))
    equal(r.out.split(), ['REACHED', 'REACHED', 'REACHED', 'refused'], r)
    equal([x[1] for x in arrivals('proxied', since)], [EXT], r)


@test
def the_proxy_may_have_a_name_and_its_login_may_be_elsewhere():
    file = gate.folder + '/login'
    open(file, 'w').write('me:p w@d\n')
    os.chmod(file, 0o644)
    os.environ['OUR_PROXY'] = 'me:p w@d'
    trusted()
    for place, proxy in (('file:' + file, 'http://four.test:3129'), ('env:OUR_PROXY', 'http://four.test:3129'), ('env:OUR_PROXY', 'https://four.test:3444')):
        r = room(['--upstream-proxy', proxy, '--upstream-login', place, '--allow', 'allowed.test'],
                 ['sh', '-c', 'curl -sS -m 8 http://allowed.test/; env; cat /run/strongroom/policy.json; cat /proc/*/environ /proc/*/cmdline 2>/dev/null'])
        has(r.out, 'here is', r)
        for secret in ('p w@d', 'p%20', 'bWU6', 'four.test'):
            assert secret not in r.out + r.err + str(r.record), (secret, r)
    del os.environ['OUR_PROXY']


@test
def what_the_proxy_says_is_told():
    rows = [('http://%s:3129' % EXT, 'the upstream proxy wants a login'), ('http://me:untrue@%s:3129' % EXT, 'the upstream proxy does not take the login'),
            ('socks5://%s:1081' % EXT, 'the upstream proxy wants a login'), ('socks5://me:untrue@%s:1081' % EXT, 'the upstream proxy does not take the login'),
            ('socks5://me:untrue@%s:1080' % EXT, 'the upstream proxy does not take the login'),
            ('http://%s:3130' % EXT, 'what is there is no proxy of this kind'), ('socks5://%s:3130' % EXT, 'what is there is no proxy of this kind'),
            ('http://%s:4' % EXT, 'the upstream proxy cannot be reached'), ('http://nowhere.test:4', 'the upstream proxy cannot be reached')]
    rows += [('https://four.test:3444', 'the upstream proxy wants a login'), ('https://me:untrue@four.test:3444', 'the upstream proxy does not take the login'),
             ('https://four.test:3130', 'no TLS with the upstream proxy: '),
             ('https://alias.test:3443', "the upstream proxy's certificate is not good: hostname mismatch"),
             ('https://%s:3445' % EXT, "the upstream proxy's certificate is not good: self-signed certificate"),
             ('https://four.test:3446', "the upstream proxy's certificate is not good: certificate has expired"),
             ('https://four.test:4', 'the upstream proxy cannot be reached')]
    trusted()
    for way, said in rows:
        r = python(['--upstream-proxy', way, '--allow', 'four.test:80'], TRY + 'print(t("four.test", 80))')
        equal(r.out.split(), ['refused'], r)
        has(r.err, 'failed connect to four.test:80', r)
        has(r.err, said, r)
        assert 'untrue' not in r.err + str(r.record), r
    for way, said in ((WAYS[0], 'the upstream proxy says no (HTTP 502)'), (BY_TLS, 'the upstream proxy says no (HTTP 502)'), (WAYS[2], 'the upstream proxy says no (SOCKS 5)')):
        r = python(['--upstream-proxy', way, '--allow', 'four.test:81'], TRY + 'print(t("four.test", 81))')
        has(r.err, said, r)


@test
def a_proxy_that_never_answers_is_given_up():
    r = python(['--upstream-proxy', 'https://%s:3448' % EXT, '--allow', 'four.test:22'],
               'import socket\ns = socket.create_connection(("four.test", 22), 5); s.settimeout(60)\ntry: print(s.recv(9))\nexcept ConnectionResetError: print("given up")')
    equal(r.out.strip(), 'given up', r)
    has(r.err, 'failed connect to four.test:22: the upstream proxy cannot be reached', r)


@test
def tls_is_opened_inside_the_tls_of_a_proxy():
    trusted()
    r = room(['--upstream-proxy', BY_TLS, '--allow', 'allowed.test:8443 http=GET:/yes'],
             ['sh', '-c', 'curl -sS -m 8 https://allowed.test:8443/yes; curl -sS -m 8 https://allowed.test:8443/no'])
    has(r.out, 'GET /yes', r)
    assert 'GET /no' not in r.out, r
    has(r.err, 'denied', r)


@test
def an_end_that_the_proxy_did_not_say_is_a_break():
    trusted()
    r = python(['--upstream-proxy', 'https://four.test:3447', '--allow', 'four.test:22'], 'import socket\ns = socket.create_connection(("four.test", 22), 8); '
               's.sendall(b"x"); s.settimeout(8); n = b""\ntry:\n while 1:\n  d = s.recv(99)\n  if not d: break\n  n += d\n print("whole", n)\n'
               'except ConnectionResetError: print("broken", n)')
    has(r.out, "broken b'half of'", r)


@test
def halves_of_a_connection_end_alone_behind_a_proxy():
    trusted()
    for way in (WAYS[0], BY_TLS):
        r = python(['--upstream-proxy', way, '--allow', 'four.test:7'], 'import socket\ns = socket.create_connection(("four.test", 7), 8); s.settimeout(8)\n'
                   'import threading\nsent = b"x" * 3000000\nthreading.Thread(target=lambda: (s.sendall(sent), s.shutdown(1))).start()\n'
                   'print(s.recv(99))')
        has(r.out, '3000000 bytes', r)


MARK = ['--allow', 'lan.test:80 internal']  # goes directly


def once_marked():
    """True once the room's program has been at MARK."""
    since = len(told)
    return lambda: [x for x in arrivals('tcp', since) if x[1] == LAN]


@test
def many_go_by_the_tls_of_a_proxy_at_once():
    trusted()
    signalled(once_marked(), signal.SIGSTOP, signal.SIGCONT)  # more than can wait in its socket
    r = python(['--upstream-proxy', BY_TLS, '--allow', 'four.test:15', *MARK], 'import socket, threading, time\ngood = []\ndef one():\n s = socket.create_connection(("four.test", 15), 20)\n'
               ' s.settimeout(20); s.sendall(b"abc"); good.append(s.recv(3) == b"x"); all_in.wait(20)\nall_in = threading.Barrier(100)\n'
               's = socket.create_connection(("four.test", 15), 20); s.settimeout(20); s.recv(1); socket.create_connection(("lan.test", 80)); time.sleep(0.5)\n'
               'them = [threading.Thread(target=one) for _ in range(100)]\n[t.start() for t in them]; [t.join() for t in them]\nprint(len(good), all(good))')
    equal(r.out.split(), ['100', 'True'], r)


@test
def who_speaks_tls_dies_and_nothing_looks_whole():
    trusted()
    signalled(once_marked(), signal.SIGKILL)
    r = python(['--upstream-proxy', BY_TLS, '--allow', 'four.test:15,80', *MARK], TRY + 's = socket.create_connection(("four.test", 15), 8); s.settimeout(8); s.recv(1); t("lan.test", 80)\n'
               'try: print("end", s.recv(1))\nexcept ConnectionResetError: print("broken")\nprint(t("four.test", 80))')
    equal(r.out.split(), ['broken', 'refused'], r)
    assert any('failed connect to four.test:80: ' + x in r.err for x in ('strongroom-intercept is not there to speak TLS', 'the upstream proxy broke the connection off')), r


@test
def a_wrong_proxy_is_one_clear_line():
    for word, said in (('proxy:3128', 'a proxy begins with http://, https:// or socks5://'), ('http://proxy', 'one host and one port'),
                       ('http://me:geheim@pro xy:1', 'one host and one port'), ('http://me:ge%0dheim@proxy:1', 'the login is not'),
                       ('http://*.a.org:1', 'one host and one port'), ('http://a.org:1,2', 'one host and one port')):
        r = room(['--upstream-proxy', word, '--allow', 'four.test'], ['true'])
        equal(r.status, 125, r)
        has(r.err, said, r)
        assert 'heim' not in r.err, r
    r = room(['--upstream-login', 'env:X', '--allow', 'four.test'], ['true'])
    has(r.err, 'there is no --upstream-proxy', r)
    r = room(['--upstream-proxy', WAYS[0], '--upstream-login', 'env:NOT_THERE', '--allow', 'four.test'], ['true'])
    equal(r.status, 125, r)
    has(r.err, 'env:NOT_THERE: that variable is not set', r)
    r = room(['--upstream-proxy', 'http://me:geheim@proxy:1', '--upstream-login', 'env:HOME', '--allow', 'four.test'], ['true'])
    equal(r.status, 125, r)
    has(r.err, 'has a login already', r)
    assert 'geheim' not in r.err, r
    r = room(['--upstream-proxy', WAYS[0], '--upstream-login', 'me:geheim', '--allow', 'four.test'], ['true'])
    assert 'geheim' not in r.err and r.status == 125, r
