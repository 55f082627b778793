"""terminal: with -t the program has a terminal of its own, and the caller's is as it was afterwards."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import room
from room import Skip, Traces, ended, same, sh, test


class Terminal:
    """strongroom on a terminal of ours, as the foreground job of a session."""

    def __init__(self, command, options=('-t',), rows=30, cols=100, word=None):
        self.master, slave = pty.openpty()
        self.resize(rows, cols)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.seen = b''
        record_read, record_write = os.pipe()
        argv = [room.PROGRAM, 'run', '--result-fd', str(record_write), *options, '--', *command]

        def foreground():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.p = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=foreground,
                                  pass_fds=(record_write,))
        os.close(record_write)
        room.started.append(self.p.pid)
        self.record_fd = record_read

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))

    def type(self, keys):
        os.write(self.master, keys if isinstance(keys, bytes) else keys.encode())

    def pump(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                return

    def expect(self, pattern):
        """Waits for the pattern on the screen; what was before it is forgotten. Returns the match."""
        end = time.monotonic() + room.HANG
        while True:
            found = re.search(pattern if isinstance(pattern, bytes) else pattern.encode(), self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found
            left = end - time.monotonic()
            assert left > 0, 'no %r on the screen: %r' % (pattern, self.seen[-500:])
            self.pump(min(left, 0.2))

    def reads(self, name):
        """Until a program of that name has the room's terminal and sleeps."""
        def elsewhere():
            for pid in room.below(self.p.pid):
                with open('/proc/%d/stat' % pid) as f:
                    head, _, rest = f.read().rpartition(')')
                state, _, group, _, _, foreground = rest.split()[:6]
                if head.partition('(')[2] == name and (state, foreground) == ('S', group):
                    return None
            return 'not ' + name
        room.within(5, elsewhere, 'in the foreground')

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO)

    def end(self):
        """Waits for the end; returns status and result; the terminal must be as before."""
        end = time.monotonic() + room.HANG
        while self.p.poll() is None:
            if time.monotonic() > end:
                self.p.kill()
                self.p.wait()
                raise AssertionError('hung; on the screen: %r' % self.seen[-500:])
            self.pump(0.02)
        self.pump(0)
        same(termios.tcgetattr(self.slave)[:4], self.before[:4], 'the terminal afterwards')
        text = b''
        while True:
            data = os.read(self.record_fd, 65536)
            if not data:
                break
            text += data
        os.close(self.record_fd)
        os.close(self.slave)
        os.close(self.master)
        record = json.loads(text) if text else None
        if record:
            room.check_record(record)
            t = record['teardown']
            same((t['survivors'], t['mounts'], t['cgroups']), (0, 0, 0), 'teardown')
        return self.p.returncode, record


def shell(script, **more):
    return Terminal(['/bin/sh', '-c', script], **more)


@test
def a_terminal_of_its_own():
    t = shell('tty; test -t 0 && test -t 1 && test -t 2 && echo three; ls /dev/pts; echo $TERM; exit 5')
    t.expect(r'/dev/pts/0\r\n')
    t.expect('three')
    t.expect('xterm-256color')
    same(t.end()[0], 5)


@test
def window_size_and_its_changes():
    t = shell('stty size; trap "stty size; exit 3" WINCH; echo ready; while :; do sleep 0.05; done', rows=31, cols=91)
    t.expect('31 91')
    t.expect('ready')
    t.resize(44, 133)
    t.expect('44 133')
    same(t.end()[0], 3)


@test
def keys_are_bytes_in_raw_mode():
    t = shell('stty raw -echo; echo ready; head -c 6 | od -An -tx1; stty sane')
    t.expect('ready')
    t.type(b'\x01\x03\x1a\x04\x7f\xff')
    t.expect('01 03 1a 04 7f ff')
    same(t.end()[0], 0)


@test
def a_line_is_edited_and_echoed_once():
    t = shell('echo ready; read x; echo "got <$x>"')
    t.expect('ready')
    t.type('wrong\x15right\r')
    t.expect('got <right>')
    same(t.end()[0], 0)
    same(t.seen.count(b'right'), 0)


@test
def end_of_file_is_ctrl_d():
    t = shell('echo ready; cat; echo end; exit 4')
    t.expect('ready')
    t.type('a line\r')
    t.expect(r'a line\r\na line\r\n')
    t.type('\x04')
    t.expect('end')
    same(t.end()[0], 4)


@test
def ctrl_c_is_the_programs():
    t = shell('trap "echo caught; exit 6" INT; echo ready; while :; do sleep 0.05; done')
    t.expect('ready')
    t.type('\x03')
    t.expect('caught')
    same(t.end()[0], 6)
    t = Terminal(['/bin/sh', '-c', 'echo ready; exec sleep 100'])
    t.expect('ready')
    t.type('\x03')
    same(t.end()[0], 130)


@test
def ctrl_c_twice_ends_what_ignores_it():
    word, traces = room.token(), Traces()
    t = Terminal(['/bin/sh', '-c', 'trap "" INT TERM HUP; echo ready; while :; do sleep 1; done', word])
    t.expect('ready')
    t.type('\x03')
    time.sleep(0.3)
    t.type('\x03')
    status, record = t.end()
    same((status, record['outcome']), (137, 'interrupted'))
    traces.clean(word)


@test
def ctrl_c_twice_is_no_end_to_what_answers():
    """An interpreter's prompt after each Ctrl-C is an answer."""
    t = Terminal([room.PYTHON, '-IS', '-i', '-q'])
    t.expect('>>> ')
    for _ in range(3):
        t.reads('python3')  # the prompt is there before the read is
        t.type('\x03')
        t.expect('KeyboardInterrupt')
        t.expect('>>> ')
    t.type('print(6*7)\r')
    t.expect(r'42\r\n')
    t.type('raise SystemExit(9)\r')
    same(t.end()[0], 9)


@test
def job_control_in_a_shell():
    t = Terminal(['/bin/bash', '--norc', '-i'], options=['-t', '-e', 'PS1=% '])
    t.expect('% ')
    t.type('sleep 100 &\r')
    t.expect(r'\[1\] \d+')
    t.type('fg\r')
    t.expect('sleep 100')
    t.reads('sleep')
    t.type('\x1a')
    t.expect('Stopped')
    t.type('bg\r')
    t.expect(r'sleep 100 &')
    t.type('jobs\r')
    t.expect('Running')
    t.type('kill %1; wait $!; echo s=$?\r')
    t.expect(r's=143')
    t.type('sleep 100\r')
    t.reads('sleep')
    t.type('\x03')
    t.expect('% ')
    t.type('echo s=$?; exit 7\r')
    t.expect('s=130')
    same(t.end()[0], 7)


@test
def raw_while_it_runs():
    t = shell('echo ready; sleep 0.3')
    t.expect('ready')
    assert t.is_raw(), 'the caller\'s terminal is not raw'
    same(t.end()[0], 0)


@test
def the_terminal_is_restored_on_every_way_out():
    """end() compares the settings each time."""
    ways = {
        'exit': ('exit 0', None, 0),
        'crash': ('kill -SEGV $$', None, 139),
        'not found': (None, None, 127),
        'timeout': ('sleep 100', 'timeout', 124),
        'output': ('exec yes', 'output', 153),
        'term': ('echo ready; exec sleep 100', signal.SIGTERM, 143),
        'term ignored': ('trap "" TERM; echo ready; while :; do sleep 1; done', signal.SIGTERM, 137),
        'hup': ('trap "" HUP; echo ready; while :; do sleep 1; done', signal.SIGHUP, 137),
        'sane broken inside': ('stty raw -echo; exit 3', None, 3),
    }
    for name, (script, how, status) in ways.items():
        options = ['-t', '--timeout', '%dms' % (800 * room.SLOW) if how == 'timeout' else '60s', '--output', '200k']
        t = Terminal(['/bin/sh', '-c', script] if script else ['/no/such/program'], options=options)
        if isinstance(how, signal.Signals):
            t.expect('ready')
            t.p.send_signal(how)
        try:
            same(t.end()[0], status, name)
        except AssertionError as e:
            raise AssertionError('%s: %s' % (name, e))


@test
def a_terminal_that_goes_away_ends_the_room():
    word, traces = room.token(), Traces()
    t = Terminal(['/bin/sh', '-c', 'trap "" HUP INT TERM; echo ready; while :; do sleep 1; done', word])
    t.expect('ready')
    os.close(t.slave)
    os.close(t.master)
    os.close(t.record_fd)
    try:
        t.p.wait(room.HANG)
    except subprocess.TimeoutExpired:
        t.p.kill()
        t.p.wait()
        raise AssertionError('the room outlives its terminal')
    traces.clean(word)


@test
def stopping_and_going_on_with_a_terminal():
    """SIGTSTP from outside (not typed): the terminal is given back while we are stopped, and taken again."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    # A shell with job control above us, so that our group is not an orphan.
    script = 'set -m; "$0" run -t -- /bin/sh -c "echo ready; while :; do sleep 0.05; done"; echo stopped=$?; read x; fg >/dev/null; echo over=$?'
    p = subprocess.Popen(['/bin/bash', '-c', script, room.PROGRAM], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                         preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    seen = b''

    def see(what):
        nonlocal seen
        end = time.monotonic() + room.HANG
        while what not in seen:
            assert time.monotonic() < end, 'no %r: %r' % (what, seen)
            if select.select([master], [], [], 0.1)[0]:
                seen += os.read(master, 65536)
    try:
        see(b'ready')
        who = next(c for c, name in room.children(p.pid).items() if name == 'strongroom')
        os.kill(who, signal.SIGTSTP)
        see(b'stopped=')
        assert termios.tcgetattr(slave)[3] & termios.ICANON, 'stopped with the terminal in raw mode'
        os.write(master, b'\n')
        room.within(3, lambda: termios.tcgetattr(slave)[3] & termios.ICANON, 'not raw again after fg')
        os.kill(who, signal.SIGTERM)
        see(b'over=')
        same(termios.tcgetattr(slave)[3], before[3], 'local modes')
    finally:
        p.kill()
        p.wait()
        os.close(master)
        os.close(slave)


@test
def without_t_there_is_no_terminal():
    t = shell('tty; (: </dev/tty) 2>&1; ps -o tty= -p $$ 2>/dev/null; test -t 1 || echo none', options=())
    t.expect('not a tty')
    t.expect('No such device|cannot open')
    t.expect('none')
    same(t.end()[0], 0)


@test
def without_t_the_callers_terminal_cannot_be_typed_into():
    t = Terminal([room.PYTHON, '-IS', '-c', '''
import fcntl, termios, os
for fd in (0, 1, 2):
    try: fcntl.ioctl(fd, termios.TIOCSTI, b"x"); print("typed")
    except OSError as e: print("refused", e.errno)
'''], options=())
    for _ in range(3):
        t.expect(r'refused \d+')
    same(t.end()[0], 0)


@test
def with_t_and_no_terminal_outside():
    """The program has one; its bytes come and go through our pipes."""
    r = ended(room.room('/bin/sh', '-c', 'test -t 0 && tty; read x; echo "<$x>"', options=['-t'], feed=b'word\n'), 'exited', 0)
    assert b'/dev/pts/0\r\n' in r.out and b'<word>\r\n' in r.out, r


@test
def end_of_stdin_is_end_of_the_terminals_input():
    r = ended(room.room('/bin/cat', options=['-t', '--timeout', '5s'], feed=b'abc\n'), 'exited', 0)
    assert r.out.endswith(b'abc\r\n'), r


@test
def closing_the_terminal_before_the_end_is_no_hangup():
    t = Terminal([room.PYTHON, '-IS', '-c', 'import os, time; os.write(1, b"out"); [os.close(n) for n in (0, 1, 2)]; time.sleep(0.3); '
                  'os.open("/dev/tty", 2); os.write(0, b"again"); os._exit(4)'])
    t.expect('out')
    t.expect('again')
    same(t.end()[0], 4)


@test
def much_output_through_a_terminal():
    r = ended(sh('stty -opost; seq 1 30000', options=['-t']), 'exited', 0)
    same(r.out, b''.join(b'%d\n' % i for i in range(1, 30001)))


@test
def programs_find_their_terminal_by_name():
    t = Terminal([room.PYTHON, '-IS', '-c', 'import os; print(os.ttyname(0), os.tcgetpgrp(0) == os.getpgrp(), os.getsid(0) == os.getpid(), open("/dev/tty") is not None)'])
    t.expect('/dev/pts/0 True True True')
    same(t.end()[0], 0)


if __name__ == '__main__':
    room.main()
