"""tricks: odd sockets, the gate's own listeners, and words that would like to be more than words. Run by run, in the machine of gate.py."""
import json

from gate import ALLOW, DENIED, EXT, EXT6, TRY, arrivals, equal, has, python, test, told


@test
def the_gates_listeners_lead_nowhere_even_where_loopback_is_listed():
    """Who finds the port of a listener on the room's loopback and connects to it there, meant the room: a rule that lists 127.0.0.0/8 is for names."""
    code = ('met = 0\nfor h, f, table in (("127.0.0.1", 2, "tcp"), ("::1", 10, "tcp6")):\n rows = [x.split() for x in open("/proc/net/" + table).read().split("\\n")[1:] if x]\n'
            ' for p in {int(x[1].rsplit(":")[1], 16) for x in rows if x[3] == "0A"} - {53}:\n  s = socket.socket(f); s.settimeout(2)\n'
            '  met += 1\n  if s.connect_ex((h, p)) == 0:\n   try: s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); print("ANSWER" if s.recv(99) else "end")\n   except OSError: pass\n  s.close()\n'
            'print("met", met)')
    r = python(['--allow', '127.0.0.0/8:1-65535', '--allow', '[::1]:1-65535', '--allow', 'four.test'], code)
    equal(r.status, 0, r)
    has(r.out, 'met 2', r)
    assert 'ANSWER' not in r.out, r
    equal([(e['verdict'], e['address']) for e in r.record['network']['events'] if e['address'] and (e['address'].startswith('127.') or e['address'] == '::1')], [], r)


ODD = ('def ends(s):\n try:\n  s.settimeout(2); s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); return "REACHED" if s.recv(99) else "closed"\n except OSError as e: return "refused"\n'
       'def reach(how, peer):\n try: return ends(how(peer))\n except OSError as e: return "refused"\n'
       'def plain(peer, *bound, proto=0, options=(), f=2):\n s = socket.socket(f, 1, proto); s.settimeout(1)\n for o in options: s.setsockopt(*o)\n if bound: s.bind(bound)\n s.connect(peer); return s\n'
       'def open_fast(peer):\n s = socket.socket(); s.settimeout(5); s.sendto(b"GET / HTTP/1.0\\r\\n\\r\\n", 0x20000000, peer); return s\n'
       'import ctypes\ndef again(peer):\n s = plain((socket.gethostbyname("allowed.test"), 80)); libc = ctypes.CDLL(None); assert libc.connect(s.fileno(), bytes(16), 16) == 0; s.connect(peer); return s\n'
       'def late(peer):\n s = plain((socket.gethostbyname("allowed.test"), 80)); s.sendall(b"GET / HTTP/1.0\\r\\nX: "); t = plain(peer); return t\n'
       'def mapped(peer): return plain(("::ffff:" + peer[0], peer[1]), f=10)\n'
       'ways = [plain, open_fast, again, late, mapped, lambda p: plain(p, proto=262), lambda p: plain(p, "127.0.0.1", 0), lambda p: plain(p, "198.18.0.1", 0), lambda p: plain(p, "198.18.1.0", 80), lambda p: plain(p, p[0], 0),\n'
       ' lambda p: plain(p, "203.0.113.9", 53), lambda p: plain(p, options=[(1, 25, b"lo\\0")]), lambda p: plain(p, options=[(1, 5, 1)]), lambda p: plain(p, options=[(0, 24, 1), (0, 15, 1)]), lambda p: plain(p, options=[(0, 50, struct.pack("!I", 1))]),\n'
       ' lambda p: plain(p, options=[(0, 4, bytes([131, 7, 4]) + socket.inet_aton("198.51.100.8") + b"\\0")]), lambda p: plain(p, options=[(6, 30, 1)]), lambda p: plain(p, options=[(6, 31, b"mptcp")])]\n')


@test
def odd_sockets_take_the_same_way_as_all():
    """TCP Fast Open, a socket that was connected elsewhere before, MPTCP, sources of all kinds, a device, source routes, ULPs: none reaches what a plain one does not."""
    code = ODD + ('for peer in (("%s", 80), ("%s", 80), ("10.9.8.7", 80), ("169.254.169.254", 80), (socket.gethostbyname("allowed.test"), 8080)):\n for i, w in enumerate(ways): print(i, peer[0], reach(w, peer))\n'
                  'print("then", *[reach(w, (socket.gethostbyname("allowed.test"), 80)) for w in ways])') % (EXT, DENIED)
    since = len(told)
    r = python(ALLOW, code)
    equal(r.status, 0, r)
    lines = r.out.strip().split('\n')
    equal([x for x in lines[:-1] if not x.endswith(('refused', 'closed'))], [], r)
    equal(len(lines), 5 * 18 + 1, r)
    assert lines[-1].split()[1] == 'REACHED', r  # the plain way to the listed name
    for peer in (EXT6, DENIED):
        equal([x for x in arrivals('tcp', since) if x[1:2] == [peer]], [], r)


@test
def words_of_the_room_do_not_drive_the_terminal():
    """Names in questions, hellos and requests, with controls, line ends and turned text in them, are told escaped."""
    evil = b'e\x1b]0;owned\x07\x9b31m\n\r\xe2\x80\xae\xc2\x9bx.test'
    code = ('evil = %r\ndef label(b): return bytes([len(b)]) + b\n'
            'q = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + label(evil[:-5]) + label(b"test") + b"\\0\\0\\1\\0\\1"\nu = socket.socket(2, 2); u.settimeout(3); u.sendto(q, ("198.18.0.1", 53))\ntry: print(u.recv(999)[3] & 15)\nexcept OSError: print("none")\n'
            'sni = struct.pack(">BH", 0, len(evil)) + evil\next = struct.pack(">HHH", 0, len(sni) + 2, len(sni)) + sni\nbody = b"\\3\\3" + bytes(32) + b"\\0" + b"\\0\\2\\x13\\1" + b"\\1\\0" + struct.pack(">H", len(ext)) + ext\n'
            'hello = b"\\1" + struct.pack(">I", len(body))[1:] + body\n'
            'def say(p, b):\n s = socket.create_connection(("allowed.test", p), 5); s.settimeout(5); s.sendall(b)\n try: return s.recv(99)[:12]\n except OSError: return b""\n'
            'say(443, b"\\x16\\3\\1" + struct.pack(">H", len(hello)) + hello); say(80, b"GET / HTTP/1.1\\r\\nHost: " + evil.replace(b"\\n", b"").replace(b"\\r", b"") + b"\\r\\n\\r\\n")\n'
            'say(80, b"GET /" + evil[:8] + b" HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n"); say(80, b"G" + evil[:9] + b"T / HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n"); say(80, b"GET http://" + evil[:12] + b"/ HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n")\n'
            'soft = b"e\\xe2\\x80\\xae\\xc2\\x9bx.test"; say(80, b"GET / HTTP/1.1\\r\\nHost: " + soft + b"\\r\\n\\r\\n"); say(80, b"GET http://" + soft + b"/ HTTP/1.1\\r\\nHost: " + soft + b"\\r\\n\\r\\n")\nprint("said")') % evil
    r = python(ALLOW, code)
    has(r.out, 'said', r)
    has(r.err, 'denied look-up of e\\027', r)
    has(r.err, 'has the Host e\\xe2\\x80\\xae', r)
    bad = [c for c in r.err + json.dumps(r.record, ensure_ascii=False) if (ord(c) < 32 and c != '\n') or 0x7f <= ord(c) < 0xa0 or 0x202a <= ord(c) <= 0x202e]
    equal(bad, [], r)
    assert all(line.startswith('strongroom: ') for line in r.err.strip().split('\n')), r


@test
def short_names_are_looked_up_as_the_host_does():
    """Below the domains of its search list, in their order; what has a dot is looked up as it is."""
    since = len(told)
    r = python(['--allow', 'short:80 any', '--allow', 'a.nosuch:80 any'], TRY + 'print(t("short", 80), t("a.nosuch", 80))')
    equal(r.out.split(), ['REACHED', 'refused'], r)
    asked = [x[2].lower() for x in arrivals('dns', since)]
    assert {'short.none.test', 'short.w.test', 'a.nosuch'} == set(asked), asked
