"""stdio: what goes in and comes out of a room is the program's, byte for byte; so is its exit status."""
import fcntl
import os
import random
import resource
import signal
import socket
import subprocess
import tempfile
import time

import room
from room import ended, sh, same, test

MIB = 1 << 20
noise = random.Random(1).randbytes(10 * MIB)


@test
def ten_mebibytes_through_stdin_and_stdout():
    r = ended(room.room('/bin/cat', feed=noise), 'exited', 0)
    assert r.out == noise, 'other bytes came back (%d of %d)' % (len(r.out), len(noise))
    same(r.record['bytes'], {'stdin': len(noise), 'stdout': len(noise), 'stderr': 0})


@test
def ten_mebibytes_through_stderr():
    r = ended(sh('cat >&2', feed=noise), 'exited', 0)
    assert r.err == noise
    same(r.record['bytes']['stderr'], len(noise))


@test
def both_outputs_stay_apart():
    r = ended(sh('i=0; while [ $i -lt 300 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done'), 'exited', 0)
    same(r.out, b''.join(b'out%d\n' % i for i in range(300)))
    same(r.err, b''.join(b'err%d\n' % i for i in range(300)))


@test
def every_byte_value_and_no_final_newline():
    data = bytes(range(256)) * 3
    same(ended(room.room('/bin/cat', feed=data), 'exited', 0).out, data)


def replied(script, feed=b'', size=None):
    """What a script, or a command, wrote to its stdin."""
    with tempfile.TemporaryFile() as f:
        command = ('/bin/sh', '-c', script) if isinstance(script, str) else script
        r = room.room(*command, options=['--reply-fd', str(f.fileno())], feed=feed, pass_fds=(f.fileno(),))
        return r, os.pread(f.fileno(), size or 1 << 27, 0)


@test
def a_reply_goes_where_it_should():
    r, said = replied('cat; echo answer >&0; exit 4', noise[:MIB])
    ended(r, 'exited', 4)
    same((r.out == noise[:MIB], said), (True, b'answer\n'), 'stdin came whole, and the reply by itself')
    r, said = replied('exit 0', b'nobody reads this')
    same((ended(r, 'exited', 0).out, said), (b'', b''))
    r, said = replied('head -c 3000000 /dev/zero >&0; kill -KILL $$')
    same((r.record['outcome'], len(said)), ('signalled', 3000000), 'a reply of one that was killed')
    same(ended(room.room('/bin/sh', '-c', 'echo x >&0 2>/dev/null || echo closed', feed=b'x'), 'exited', 0).out, b'closed\n', 'without the option')


@test
def a_reply_has_a_bound():
    r, said = replied([room.PYTHON, '-ISc', 'import os\nfor _ in range(80): os.write(0, bytes(1 << 20))'])
    same(len(said), 64 * MIB, 'bytes of the reply')
    assert r.status != 0, 'it was told nothing'


@test
def descriptors_in_a_reply_are_dropped():
    """It is a socket: the program may send what it has open, and gains nothing by it."""
    send = 'import socket, array\ns = socket.socket(fileno=0)\nfor _ in range(2000): s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1]))])'
    r, said = replied([room.PYTHON, '-ISc', send])
    same((ended(r, 'exited', 0).out, said), (b'', b'x' * 2000))


@test
def a_slow_reader_gets_all():
    data = noise[:2 * MIB]
    r = ended(room.room('/bin/cat', feed=data, slow=0.01), 'exited', 0)
    assert r.out == data


@test
def a_slow_writer_is_waited_for():
    p = room.start([], ['/bin/cat'], stdin=subprocess.PIPE)
    for part in (b'one ', b'two ', b'three'):
        p.stdin.write(part)
        p.stdin.flush()
        time.sleep(0.1)
    same(ended(room.finish(p), 'exited', 0).out, b'one two three')


@test
def a_byte_arrives_when_it_is_written():
    p = room.start([], ['/bin/cat'], stdin=subprocess.PIPE)
    for word in ('first', 'second'):
        p.stdin.write(word.encode() + b'\n')
        p.stdin.flush()
        same(room.read_line(p), word)
    ended(room.finish(p), 'exited', 0)


@test
def a_closed_reader_is_sigpipe_to_the_program():
    p = room.start([], ['/usr/bin/yes'])
    room.read_line(p)
    p.stdout.close()
    p.stdout = None
    r = ended(room.finish(p), 'signalled', 128 + signal.SIGPIPE)
    same(r.record['program_signal'], signal.SIGPIPE)


@test
def a_closed_reader_of_stderr_is_sigpipe_too():
    p = room.start(['-q'], ['/bin/sh', '-c', 'echo go; exec yes >&2'])
    room.read_line(p)
    p.stderr.close()
    p.stderr = None
    ended(room.finish(p), 'signalled', 128 + signal.SIGPIPE)


@test
def a_program_that_does_not_read_ends_all_the_same():
    p = room.start([], ['/bin/true'], stdin=subprocess.PIPE)
    r = room.finish(p, noise)
    ended(r, 'exited', 0)


@test
def a_program_ends_though_its_stdin_stays_open():
    p = room.start([], ['/bin/sh', '-c', 'read x; echo got $x'], stdin=subprocess.PIPE)
    p.stdin.write(b'word\n')
    p.stdin.flush()
    keep = os.dup(p.stdin.fileno())
    r = ended(room.finish(p), 'exited', 0)
    os.close(keep)
    same(r.out, b'got word\n')
    assert r.seconds < room.patience(5)


@test
def stdin_at_its_end_is_at_its_end():
    same(ended(sh('cat; echo end', feed=b''), 'exited', 0).out, b'end\n')


@test
def output_file_is_written_where_it_stands():
    name = room.path('plain', 'head\n')
    with open(name, 'r+b') as f:
        f.seek(5)
        ended(room.room('/bin/echo', 'tail', stdout=f), 'exited', 0)
    same(open(name, 'rb').read(), b'head\ntail\n')


@test
def output_file_opened_for_append_is_appended_to():
    name = room.path('append', 'first\n')
    with open(name, 'ab') as f:
        ended(sh('echo second; echo third >&2', stdout=f, stderr=f), 'exited', 0)
    same(sorted(open(name, 'rb').read().split()), [b'first', b'second', b'third'])
    assert open(name, 'rb').read().startswith(b'first\n')


@test
def input_file_is_read_from_where_it_stands():
    name = room.path('input', b'skipped' + noise[:300000])
    with open(name, 'rb') as f:
        os.lseek(f.fileno(), 7, os.SEEK_SET)
        r = ended(room.room('/bin/cat', stdin=f), 'exited', 0)
    assert r.out == noise[:300000]


@test
def the_room_cannot_reopen_the_callers_file():
    name = room.path('reopen', '')
    with open(name, 'wb') as f:
        sh('echo in >/dev/stdout; : >/proc/self/fd/1; echo out', stdout=f)
    same(open(name, 'rb').read(), b'in\nout\n')


@test
def sockets_carry_stdio():
    ours, theirs = socket.socketpair()
    p = room.start([], ['/bin/cat'], stdin=theirs, stdout=theirs)
    theirs.close()
    ours.settimeout(room.HANG)
    ours.sendall(noise[:50000])
    ours.shutdown(socket.SHUT_WR)
    got = b''
    while True:
        data = ours.recv(65536)
        if not data:
            break
        got += data
    ended(room.finish(p), 'exited', 0)
    assert got == noise[:50000], len(got)


@test
def dev_null_everywhere():
    r = ended(sh('cat; echo x; echo y >&2; exit 5', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), 'exited', 5)
    same(r.record['bytes'], {'stdin': 0, 'stdout': 2, 'stderr': 2})


@test
def closed_standard_descriptors():
    for closed in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)):
        words = ' '.join('%d%s&-' % (n, '<' if n == 0 else '>') for n in closed)
        # Another file must not slip into the place of the closed one: the result has a descriptor of its own.
        done = room.outside('/bin/sh', '-c', 'exec 7>"$2"; "$1" run --result-fd 7 -- /bin/sh -c '
                            '"readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >/work/x; [ \\$(wc -l </work/x) = 3 ] && exit 7" %s'
                            % words, 'sh', room.PROGRAM, room.path('closed.json'))
        same(done.returncode, 7, 'closed %s: %r' % (closed, done))
        assert open(room.path('closed.json')).read().startswith('{"strongroom"')


@test
def the_callers_descriptors_keep_their_flags():
    read_end, write_end = os.pipe()
    before = fcntl.fcntl(write_end, fcntl.F_GETFL)
    ended(room.room('/bin/echo', 'x', stdout=write_end), 'exited', 0)
    same(fcntl.fcntl(write_end, fcntl.F_GETFL), before, 'flags of stdout')
    same(os.read(read_end, 10), b'x\n')
    os.close(read_end)
    os.close(write_end)


@test
def output_that_does_not_block_loses_nothing():
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    p = room.start([], ['/usr/bin/head', '-c', '500000', '/dev/zero'], stdout=write_end)
    os.close(write_end)
    got = 0
    while True:
        data = os.read(read_end, 4096)
        if not data:
            break
        got += len(data)
        if got < 50000:
            time.sleep(0.005)
    os.close(read_end)
    ended(room.finish(p), 'exited', 0)
    same(got, 500000)


@test
def a_full_disk_under_stdout_is_told():
    """The program's own write went into the room's pipe and succeeded: only we know that it was lost."""
    with open('/dev/full', 'wb') as full:
        r = room.room('/bin/echo', 'x', stdout=full)
    assert b'strongroom: ' in r.err and b'No space left' in r.err, r
    same(r.status, 125, str(r))


@test
def a_bound_of_file_sizes_under_stdout_is_told():
    with tempfile.TemporaryFile() as small:
        r = room.room('/bin/sh', '-c', 'head -c 5000 /dev/zero', stdout=small,
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
        same(os.fstat(small.fileno()).st_size, 1000)
    assert b'strongroom: ' in r.err and b'File too large' in r.err, r
    assert r.status in (125, 128 + signal.SIGPIPE), r  # the latter, where it writes once more after that


@test
def a_held_pipe_does_not_hold_the_room():
    began = time.monotonic()
    r = ended(sh('(trap "" HUP TERM INT; sleep 100) & (setsid sleep 100 &) & echo done'), 'exited', 0)
    same(r.out, b'done\n')
    assert time.monotonic() - began < room.patience(2)


@test
def what_was_written_last_is_not_lost():
    for _ in range(5 if room.EMULATED else 20):
        r = ended(sh('head -c 60000 /dev/zero; exec true'), 'exited', 0)
        same(len(r.out), 60000)


# --- how it ends ------------------------------------------------------------------------------------------------------

@test
def exit_statuses():
    wanted = range(256) if not room.EMULATED else (0, 1, 2, 42, 124, 125, 126, 127, 128, 137, 255)
    for n in wanted:
        r = ended(sh('exit %d' % n, record=n % 8 == 0), None, n)
        same((r.out, r.err), (b'', b''), 'exit %d' % n)
        if r.record:
            same((r.record['outcome'], r.record['program_exit'], r.record['program_signal']), ('exited', n, None))


@test
def signals():
    quiet = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG}
    wanted = [s for s in signal.Signals if s not in quiet] if not room.EMULATED else [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV]
    for n in wanted:
        if n in (signal.SIGXCPU,):
            continue  # a limit's signal: below
        r = sh('kill -%d $$' % n)
        same((r.status, r.record['program_signal']), (128 + n, int(n)), '%s: %s' % (n.name, r))
        ended(r, 'signalled')


@test
def a_signal_that_is_passed_on_reaches_the_program():
    p = room.start([], ['/bin/sh', '-c', 'trap "exit 33" USR1; trap "exit 34" TERM; echo ready; while :; do sleep 0.05; done'])
    room.read_line(p)
    p.send_signal(signal.SIGUSR1)
    ended(room.finish(p), 'exited', 33)


@test
def status_124_is_a_timeout():
    r = ended(room.room('/bin/sleep', '100', options=['--timeout', '300ms']), 'timeout', 124)
    same(r.limit('timeout')['hits'], 1)
    assert r.seconds < room.patience(3)
    assert b'timeout limit' in r.err and b'--timeout' in r.err, r


@test
def status_125_is_no_room():
    room.refused(room.room('/bin/true', options=['--no-such-option']), 'unknown option')


@test
def status_126_is_not_executable():
    for name in ('/usr', '/etc/passwd', '/usr/share'):
        r = room.refused(room.room(name), 'run %s in the room' % name, status=126)
        same(r.record['outcome'], 'not-run')
    script = room.path('script', 'no interpreter line\n')
    os.chmod(script, 0o755)
    room.refused(room.room('/work/s', options=['-v', script + ':/work/s']), 'Exec format error', '#!', status=126)


@test
def status_127_is_not_found():
    for name in ('no-such-program', '/no/such/program', './nothing', '/usr/bin/true/x'):
        r = room.refused(room.room(name), name, status=127)
        same(r.record['outcome'], 'not-run')


@test
def our_words_go_to_stderr_only_with_prefix():
    r = room.room('/bin/echo', 'data', options=['--explain', '--json', '--trace-steps'])
    same(r.out, b'data\n')
    for line in r.err.decode().splitlines():
        assert line.startswith(('strongroom: ', '{"strongroom"')), line


if __name__ == '__main__':
    room.main()
