"""asked: a person at a terminal is asked about endpoints that no rule lists. Imported by run; each test has a terminal of its own."""
import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time

import gate
from gate import EXT, EXT6, HANG, PROGRAM, PYTHON, TRY, before, equal, has, patience, room, test, told, within

gate.tests.clear()  # these are a suite of their own
CODE = re.compile(r'once: o(..)   always in this room: a(..)   no: n')


class Seat:
    """strongroom run as a person starts it: a session, and a terminal that controls it."""

    def __init__(self, options, code, words=()):
        self.master, slave = os.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 300, 0, 0))
        self.record = tempfile.TemporaryFile()
        self.seen = ''

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.p = subprocess.Popen([*before, PROGRAM, 'run', '--result-fd', str(self.record.fileno()), *options, '--',
                                   *(words or [PYTHON, '-uc', 'import socket,sys,os,time,threading\n' + TRY + code])], stdin=slave, stdout=slave, stderr=slave,
                                  pass_fds=[self.record.fileno()], cwd='/', preexec_fn=take_terminal, env={**os.environ, 'TERM': 'xterm'})
        os.close(slave)

    def read(self, seconds):
        """Some more of what the terminal shows; False: nothing came."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            got = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += got.decode('utf8', 'replace')
        return bool(got)

    def wait(self, text, seconds=HANG):
        """Until the terminal shows it, behind what was waited for before; what stands in front of it."""
        until = time.time() + seconds
        while text not in self.seen:
            left = until - time.time()
            assert left > 0 and (self.read(left) or self.p.poll() is None), 'no %r: %r' % (text, self.seen[-600:])
        front, self.seen = self.seen.split(text, 1)
        return front

    def question(self, endpoint):
        """Its two characters."""
        self.wait('strongroom asks: the program in the room wants to connect to\r\n    %s\r\n' % endpoint)
        text = self.wait('> ')
        m = CODE.search(text)
        assert m and m[1] == m[2], text
        return m[1]

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        while self.read(0.3) or self.p.poll() is None:
            pass
        self.p.wait(HANG)
        os.close(self.master)
        with self.record as f:
            f.seek(0)
            return self.p.returncode, self.seen, json.loads(f.read())


def tcp(record):
    return [(e['verdict'], e['name'] or e['address'], e['port'], e['rule']) for e in record['network']['events'] if e['kind'] == 'tcp']


@test
def once_always_and_no():
    s = Seat(['--ask', '--net', 'gate'], 'for x in ("four.test", "four.test", "allowed.test", "allowed.test", "six.test", "six.test"): print(x, t(x, 80))\n'
             'import json; print("list", [x["rule"] for x in json.load(open("/run/strongroom/policy.json"))["rules"]])\n')
    s.type('o' + s.question('four.test:80') + '\n')
    s.wait('strongroom: allowed once\r\n')
    s.wait('four.test REACHED')
    s.type('n\n' if not s.question('four.test:80') else 'no\n')
    s.wait('four.test refused')
    s.type('a' + s.question('allowed.test:80') + '\n')
    s.wait('allowed.test REACHED')
    s.wait('allowed.test REACHED')  # and it was not asked again
    s.type('n\n' if s.question('six.test:80') else '')
    s.wait('six.test refused')
    s.wait('six.test refused')
    s.wait("list ['allowed.test:80']")
    status, text, record = s.end()
    equal(status, 0, text)
    has(text, 'strongroom: allowed for this room: allowed.test:80; keep it with: --allow allowed.test:80\r\n')
    equal(text.count('strongroom asks'), 0, text)
    got = tcp(record)
    equal([x for x in got if x[0] == 'allowed'], [('allowed', 'four.test', 80, 'four.test:80 note=asked, allowed once'), ('allowed', 'allowed.test', 80, 'allowed.test:80 note=asked, allowed for this room'),
                                                  ('allowed', 'allowed.test', 80, 'allowed.test:80 note=asked, allowed for this room')])
    equal({x[1] for x in got if x[0] == 'denied'}, {'four.test', 'six.test'})
    equal(record['network']['rule_changes'], 1)


@test
def addresses_are_asked_about_but_not_private_ones():
    s = Seat(['--ask', '--net', 'gate', '--deny', 'x.w.test'], 'for x in (("127.0.0.9", 80), ("10.9.8.7", 80), ("169.254.169.254", 80), ("198.51.100.2", 80), ("::ffff:10.9.8.7", 80), ("x.w.test", 80), ("rebind.test", 80), ("%s", 80)): print(*x, t(*x))\n' % EXT)
    s.type('a' + s.question('rebind.test:80') + '\n')
    s.wait('rebind.test 80 refused')
    s.type('o' + s.question(EXT + ':80') + '\n')
    s.wait(EXT + ' 80 REACHED')
    status, text, record = s.end()
    equal(status, 0, text)
    got = tcp(record)
    equal([x[1] for x in got if x[0] == 'allowed'], [EXT], got)
    assert ('denied', 'rebind.test', 80, 'rebind.test:80 note=asked, allowed for this room') in got, got


@test
def the_rules_of_a_name_hold_for_what_was_allowed():
    """SNI and Host are compared as for any rule. (And half a line that was typed before the question is no part of the answer.)"""
    s = Seat(['--ask', '--net', 'gate'], 's = socket.create_connection(("four.test", 80), 9); s.sendall(b"GET / HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n"); s.settimeout(5)\ntry: print("got", s.recv(99))\nexcept OSError: print("got cut")\n')
    s.type('xyz')
    s.type('o' + s.question('four.test:80') + '\n')
    s.wait('allowed once')
    assert 'HTTP' not in s.wait('got') + s.seen
    has(s.end()[1], 'its request has the Host evil.test')


@test
def only_the_characters_of_this_question_allow():
    s = Seat(['--ask', '--net', 'gate'], 'print("begin"); sys.stdin.readline()\nprint(t("four.test", 80))\n')
    s.wait('begin')
    s.type('once\na\no\nyes\n')  # the first line is the program's; the rest was typed before the question, and is thrown away
    code = s.question('four.test:80')
    for wrong in ('o', 'once', 'y', '', 'o' + code[::-1] + 'x', 'o' + code.upper() + '1', 'oo', 'x' * 200, 'a' + chr(ord(code[0]) ^ 1) + code[1]):
        s.type(wrong + '\n')
        s.wait('please: ')
    s.type('o%s \n' % code)
    s.wait('REACHED')
    equal(s.end()[0], 0)


@test
def the_programs_words_stand_outside_of_questions():
    """It prints before, during and after; sequences that are open are ended, what it prints meanwhile waits."""
    code = ('def talk():\n for i in range(400): print("noise %d allow it? answer: o22" % i); time.sleep(0.002)\n'
            'k = threading.Thread(target=talk); k.start(); sys.stdout.write("\\x1b]0;hidden \\x1b[8m"); print(t("four.test", 80)); k.join(); print("done")\n')
    s = Seat(['--ask', '--net', 'gate'], code)
    front = s.wait('strongroom asks: the program in the room wants to connect to\r\n    four.test:80\r\n')
    assert front.endswith('\x18\x1b\\\x1b[!p\x1b[0m\x1b(B\x0f\x1b[?25h\r\n'), front[-60:]
    text = s.wait('> ')
    m = CODE.search(text)
    assert m and 'noise' not in text, text
    until = time.time() + 1
    while time.time() < until:
        s.read(0.1)
    equal(s.seen, '')  # it prints all the time, and nothing of it is shown
    s.type('n\n')
    s.wait('strongroom: denied\r\n')
    s.wait('noise 399')
    equal(s.end()[0], 0)


@test
def in_a_terminal_of_its_own_too():
    """-t: keys that answer do not reach the program, and those that do not, do."""
    s = Seat(['--ask', '--net', 'gate', '-t'], 'import tty\ntty.setraw(0); sys.stdout.write("begin\\r\\n"); k = os.read(0, 99); r = t("four.test", 80); k += os.read(0, 99); sys.stdout.write("%s %r\\r\\n" % (r, k))\n')
    s.wait('begin')
    s.type('q')
    code = s.question('four.test:80')
    mode = termios.tcgetattr(s.master)[3]
    assert mode & termios.ICANON and mode & termios.ECHO
    s.type('o%s\n' % code)
    s.wait('allowed once')
    within(HANG, lambda: termios.tcgetattr(s.master)[3] & termios.ICANON, 'no keys for the program')
    s.type('w')
    s.wait("REACHED b'qw'")
    equal(s.end()[0], 0)


@test
def control_keys_mean_no():
    for key in ('\x03', '\x04'):
        s = Seat(['--ask', '--net', 'gate'], 'print(t("four.test", 80)); print("still here")\n')
        s.question('four.test:80')
        s.type(key)
        s.wait('strongroom: denied')
        s.wait('refused')
        s.wait('still here')
        equal(s.end()[0], 0)


@test
def a_flood_of_questions_ends():
    s = Seat(['--ask', '--net', 'gate'], 'def one(n): t(n, 80)\nk = [threading.Thread(target=one, args=("n%d.w.test" % i,)) for i in range(60)]\nfor x in k: x.start()\nfor x in k: x.join()\nprint("over")\n')
    for i in range(8):
        s.wait('strongroom asks')
        s.wait('> ')
        s.type('n\n')
        s.wait('strongroom: denied')
    s.wait('8 were refused: nothing is asked any more')
    front = s.wait('over')
    assert 'asks' not in front, front
    status, text, record = s.end()
    equal(status, 0, text)
    equal([x for x in tcp(record) if x[0] != 'denied'], [])


@test
def names_that_are_no_names_ask_nothing():
    """Controls, line ends and turned text have no address, so nobody connects to them; the longest name that has one is shown whole."""
    long = '.'.join(['a' * 63] * 3 + ['b' * 61])
    code = ('def ask(*labels):\n u = socket.socket(2, 2); u.settimeout(5)\n u.sendto(b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"".join(bytes([len(x)]) + x for x in labels) + b"\\0\\0\\1\\0\\1", ("198.18.0.1", 53))\n return u.recv(999)[3] & 15\n'
            'for x in (b"\\x1b]0;x\\7", b"a\\r\\nstrongroom asks", b"\\xe2\\x80\\xaex", b"\\xc2\\x9bm", b"a b", b"a\\0b", b"a.b", b"-a"): print("is", ask(x, b"test"))\nprint(t("%s", 80)); print("over")\n' % long)
    s = Seat(['--ask', '--net', 'gate'], code)
    for _ in range(8):
        s.wait('is 3')
    s.type('o' + s.question(long + ':80') + '\n')
    front = s.wait('over')
    assert 'asks' not in front and '\x9b' not in front, front
    equal(s.end()[0], 0)


@test
def equal_connections_share_a_question():
    s = Seat(['--ask', '--allow', 'six.test:80', '--net', 'gate'], 'r = []; n = []\ndef one():\n s = socket.create_connection(("four.test", 80), 60); n.append(1); s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); r.append(s.recv(99)[:4])\n'
             'k = [threading.Thread(target=one) for i in range(20)]\nfor x in k: x.start()\nwhile len(n) < 20: time.sleep(0.05)\nprint("meanwhile", t("six.test", 80))\nfor x in k: x.join()\nprint(r.count(b"HTTP"))\n')
    since = len(told)
    code = s.question('four.test:80')
    within(HANG, lambda: not [x for x in told[since:] if x[:2] == ['tcp', EXT6]], 'nobody comes meanwhile')
    time.sleep(0.5)
    s.type('o%s\n' % code)
    s.wait('meanwhile REACHED')
    s.wait('20\r\n')
    equal(s.end()[0], 0)


@test
def nobody_answers():
    begin = time.time()
    s = Seat(['--ask', '--net', 'gate'], 's = socket.create_connection(("four.test", 80), 60)\ntry: s.sendall(b"x"); print(s.recv(9))\nexcept OSError: print("cut")\n')
    s.question('four.test:80')
    s.wait('nobody has answered: denied')
    assert 29 < time.time() - begin < patience(45)
    equal(s.end()[0], 0)


@test
def the_end_of_the_room_takes_its_question_along():
    s = Seat(['--ask', '--net', 'gate', '--timeout', '4s'], 't("four.test", 80)\n')
    s.question('four.test:80')
    s.wait('strongroom: the room has ended')
    status, text, record = s.end()
    equal((status, record['outcome']), (124, 'timeout'), text)


@test
def a_gate_that_dies_takes_its_question_along():
    s = Seat(['--ask', '--net', 'gate'], 'print(t("four.test", 80)); print("still here")\n')
    code = s.question('four.test:80')
    os.kill(int(gate.gates()[0]), signal.SIGKILL)
    s.wait('still here') if s.type('o%s\n' % code) else s.wait('still here')
    equal(s.end()[0], 0)


@test
def without_a_terminal_all_is_denied_at_once():
    begin = time.time()
    r = room(['--ask', '--net', 'gate'], [PYTHON, '-c', 'import socket\n' + TRY + 'print(t("four.test", 80))'])
    equal((r.status, r.out), (0, 'refused\n'), r)
    has(r.err, 'there is no terminal to ask on', r)
    assert time.time() - begin < patience(10)
    for words, why in ((['--ask'], 'has no gate'), (['--ask', '--net', 'gate', '--detach'], 'nobody sits before')):
        r = room(words, ['true'])
        equal(r.status, 125, r)
        has(r.err, why, r)


@test
def what_was_allowed_is_cut_by_a_later_deny():
    s = Seat(['--ask', '--net', 'gate', '--name', 'asked'], 'a = socket.create_connection(("four.test", 9), 20); a.sendall(b"x"); print("open"); a.settimeout(8)\ntry: print("got", a.recv(9))\nexcept OSError: print("got cut")\n')
    s.type('o' + s.question('four.test:9') + '\n')
    s.wait('allowed once')
    time.sleep(0.5)
    r = subprocess.run([*before, PROGRAM, 'allow', 'asked', 'six.test:80'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd='/')
    equal((r.returncode, r.stdout), (0, 'from now on: allow six.test:80\n'), r)
    r = subprocess.run([*before, PROGRAM, 'deny', 'asked', 'four.test'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd='/')
    has(r.stdout, '(1 connection cut)', r)
    s.wait('got cut')
    equal(s.end()[0], 0)
