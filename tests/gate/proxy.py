"""proxy: going out by the proxy of a company. Imported by run; adds its tests to those of gate.py."""
import os

import gate
from gate import EXT, META, LAN, TRY, arrivals, equal, has, python, room, test, told

LOGIN = 'me:p%20w%40d'
WAYS = ['http://%s:3128' % EXT, 'http://%s@%s:3129' % (LOGIN, EXT), 'socks5://%s:1080' % EXT, 'socks5://%s@%s:1081' % (LOGIN, EXT)]


@test
def names_go_by_the_proxy_which_looks_them_up():
    for way in WAYS:
        since = len(told)
        r = python(['--upstream-proxy', way, '--allow', 'four.test:80,22'], TRY + 'print(t("four.test", 80))\n'
                   's = socket.create_connection(("four.test", 80), 5); s.sendall(b"GET /bytes/3000000 HTTP/1.0\\r\\n\\r\\n"); n = 0\nwhile 1:\n d = s.recv(65536)\n'
                   ' if not d: break\n n += len(d)\nprint(n > 3000000, t("denied.test", 80))')
        equal(r.out.split(), ['REACHED', 'True', 'refused'], r)
        equal(arrivals('dns', since), [], r)
        equal([x[1:] for x in arrivals('proxied', since)], [['four.test', '80']] * 2, r)
        peer = next(x for x in r.record['network']['peers'] if x['name'] == 'four.test')
        equal((peer['verdict'], peer['address']), ('allowed', None), r)


@test
def a_listed_address_goes_by_the_proxy_and_a_private_one_directly():
    since = len(told)
    r = python(['--upstream-proxy', WAYS[3], '--allow', EXT + ':80', '--allow', LAN + ':80', '--allow', 'lan.test:80 internal'],
               TRY + 'for h in ("%s", "%s", "lan.test", "%s"): print(t(h, 80))' % (EXT, LAN, META))
    equal(r.out.split(), ['REACHED', 'REACHED', 'REACHED', 'refused'], r)
    equal([x[1] for x in arrivals('proxied', since)], [EXT], r)


@test
def the_proxy_may_have_a_name_and_its_login_may_be_elsewhere():
    file = gate.folder + '/login'
    open(file, 'w').write('me:p w@d\n')
    os.chmod(file, 0o644)
    os.environ['OUR_PROXY'] = 'me:p w@d'
    for place in ('file:' + file, 'env:OUR_PROXY'):
        r = room(['--upstream-proxy', 'http://four.test:3129', '--upstream-login', place, '--allow', 'allowed.test'],
                 ['sh', '-c', 'curl -sS -m 8 http://allowed.test/; env; cat /run/strongroom/policy.json; cat /proc/*/environ /proc/*/cmdline 2>/dev/null'])
        has(r.out, 'here is', r)
        for secret in ('p w@d', 'p%20', 'bWU6', 'four.test'):
            assert secret not in r.out + r.err + str(r.record), (secret, r)
    del os.environ['OUR_PROXY']


@test
def what_the_proxy_says_is_told():
    rows = [('http://%s:3129' % EXT, 'the upstream proxy wants a login'), ('http://me:wrong@%s:3129' % EXT, 'the upstream proxy does not take the login'),
            ('socks5://%s:1081' % EXT, 'the upstream proxy wants a login'), ('socks5://me:wrong@%s:1081' % EXT, 'the upstream proxy does not take the login'),
            ('socks5://me:wrong@%s:1080' % EXT, 'the upstream proxy does not take the login'),
            ('http://%s:3130' % EXT, 'what is there is no proxy of this kind'), ('socks5://%s:3130' % EXT, 'what is there is no proxy of this kind'),
            ('http://%s:4' % EXT, 'the upstream proxy cannot be reached'), ('http://nowhere.test:4', 'the upstream proxy cannot be reached')]
    for way, said in rows:
        r = python(['--upstream-proxy', way, '--allow', 'four.test:80'], TRY + 'print(t("four.test", 80))')
        equal(r.out.split(), ['refused'], r)
        has(r.err, 'failed connect to four.test:80', r)
        has(r.err, said, r)
        assert 'wrong' not in r.err + str(r.record), r
    for way, said in ((WAYS[0], 'the upstream proxy says no (HTTP 502)'), (WAYS[2], 'the upstream proxy says no (SOCKS 5)')):
        r = python(['--upstream-proxy', way, '--allow', 'four.test:81'], TRY + 'print(t("four.test", 81))')
        has(r.err, said, r)


@test
def a_wrong_proxy_is_one_clear_line():
    for word, said in (('proxy:3128', 'a proxy begins with http:// or socks5://'), ('http://proxy', 'one host and one port'),
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
