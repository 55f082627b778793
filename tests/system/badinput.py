"""badinput: whatever a caller or a host does wrong, the answer is one clear line and the right status, or a room whose
receipt tells the truth. Never a crash, never a hang, never a silent weakening."""
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile

import room
from room import Skip, Traces, ended, refused, same, sh, test


def run(*options, command=('/bin/true',), **more):
    return room.room(*command, options=options, **more)


def no_crash(r):
    """A clear refusal, or a room that ran."""
    if r.status == 125:
        return refused(r)
    assert r.status in (0, 124), r
    return r


# --- values -----------------------------------------------------------------------------------------------------------

SIZES = ['', ' ', '-1', '-1M', '1X', 'M', '0x10', '1e9', '1M ', ' 1M', '99999999999999999999', '99999999999999999999G', '1.2.3M', 'nan', '١M', '1\n', '+5M', '5MM']
COUNTS = ['', '-1', '1.5', 'a', '18446744073709551616', '99999999999999999999999', '1k', '0x10', '1 2', '+3']
TIMES = ['', '-1s', '1y', 's', '99999999999999999999s', '1.5.5s', '1s2', 'inf']
PATHS = ['', 'relative', '/a/../etc', '/no/such', 'x' * 300, '/' + 'x' * 5000]
WRONG = {
    'memory': SIZES + ['1k', '0', '9999P'], 'disk': SIZES + ['1k'], 'file-size': SIZES + ['1'], 'output': [s for s in SIZES],
    'cpus': ['', '-1', '0', '0.0001', 'a', '1e3', '99999999999', '.'],
    'pids': COUNTS + ['0', '1'], 'files': COUNTS + ['0', '15', '99999999'], 'inodes': COUNTS + ['0', '1'],
    'timeout': TIMES + ['0'], 'cpu-time': TIMES + ['0', '1ms'],
    'volume': PATHS + ['/etc', '/etc:', ':/x', '/etc:x', '/etc:/x:rx', '/etc:/x:ro:rw', '/no/such:/x', '/etc:/x/../y', '/etc:/', '/etc:/proc', '/etc:/proc/1', '/etc:/dev/null'],
    'ro': PATHS, 'rw': PATHS, 'tmpfs': ['', 'x', '/t:', '/t:x', '/t:-1', '/', '/proc/x'],
    'hide': ['', 'x', '/a/../b'], 'rootfs': PATHS, 'workdir': ['', 'x', '/no/such', '/etc/passwd'],
    'env': ['', '=', '=x', 'A B=1', 'A\n=1', b'A=\xff'], 'env-file': ['', '/no/such', '/etc', '/dev/full/x', '/proc/self/mem'],
    'hostname': ['', '-a', 'a-', 'a b', 'ä', 'x' * 100, 'a/b', '\x1b[31m'], 'name': ['', '/', 'a b', 'x' * 200, '../x'],
    'uid': ['', '0', '-1', 'root', '4294967295', '4294967296', '1.5'],
    'require': ['', ',', 'nothing', 'user,', 'seccomp,,pid', 'x' * 5000], 'prefer': ['', ',', 'nothing', 'all-of-it'],
    'allow': ['', 'http://a.org', 'a.org:0', 'a.org:x', '127.1', '*', 'a.org/b', '10.0.0.1/8'],
    'deny': ['', 'a.org:', '[::1', '1.2.3.4 internal'],
    'workspace': ['', '/', 'x', '/no/such', '/etc/passwd', '/proc', '/usr', '/etc', '/etc/..'], 'at': ['', '/x', 'x'], 'apply': ['', 'yes', 'Ask'],
    'accept': ['', 'nonsense', 'git-hook:', 'git-hook:/etc', 'git-hook:../x', 'git-hook,build-file', 'git-hook:' + 'x' * 5000],
    'guard-deletes': COUNTS + ['0', '0%', '100%', '5%%', '%', '1000000001'],
    'upper': ['', 'ram', 'tmpfs:', 'tmpfs:1', 'disk:x', 'scratch:4M'], 'from': ['', '../x', 'no-such', 'x' * 100], 'copy-in': ['', 'x', '..', '/no/such', '/dev/null', '/etc/passwd:/srv/x'],
    'copy-out': ['', '/work', '/work:', ':/tmp', 'work:/tmp', '/:/tmp', '/work:/etc/passwd', '/work:/no/such/dir'],
    'upstream-proxy': ['', 'proxy:1', 'http://a', 'http://a:1/b', 'https://a', 'http://a:0'], 'upstream-login': ['', 'a:b', 'env:', 'file:', 'env:X'],
    'http': ['', 'GET', 'GET a.org', 'a.org/x', 'get a.org/x', 'GET /x', 'GET a.org/x y', ' a.org/x', 'GET 10.0.0.1/x', 'GET http://a.org/x', 'GET a.org:0/x'],
    'publish': ['', '80', '80:', '80:0', '65536:80', 'localhost:80:80', '[::1:80:80', '1.2.3:80:80', '0x50:80', '80:80/udp'],
    'net': ['', 'bridge', 'none,host'], 'args': ['', 'rw'],
    'policy': ['', '/no/such', '/etc', 'no-such', '../x', '/dev/null/x'], 'settings': ['', '/no/such', '/etc'],
    'secret': ['', '=', 'X', 'X@', '@example.org', '=env:A@example.org', 'A B@example.org', '1X@example.org', 'X=nope:A@example.org', 'X=env:@example.org',
               'X=env:STRONGROOM_NOT_SET@example.org', 'X=file:/no/such/file@example.org', 'X@*', 'X@exa mple.org', 'X@example.org:99999'],
    'events': ['', 'fd:', 'fd:x', 'fd:-1', '/no/such/dir/file'],
    'result': ['', '/no/such/dir/file', '/etc', '/proc/version', '/dev/null/x'],
    'reply-fd': ['', '0', '-1', 'x', '999', '99999999999', '1048577'],
    'result-fd': ['', '0', '-1', 'x', '999', '99999999999', '1048577'],
}


def wrong_values(names):
    for name in names:
        for value in WRONG[name]:
            flag = b'--' + name.encode() + b'=' + (value if isinstance(value, bytes) else value.encode())
            r = run(flag, record=False)
            try:
                refused(r)
            except AssertionError as e:
                raise AssertionError('--%s=%.40r: %s' % (name, value, e))


@test
def wrong_values_of_limits():
    wrong_values(['memory', 'disk', 'file-size', 'output', 'cpus', 'pids', 'files', 'inodes', 'timeout', 'cpu-time'])


@test
def wrong_values_of_files():
    wrong_values(['workspace', 'at', 'apply', 'accept', 'guard-deletes', 'upper', 'from', 'copy-in', 'copy-out', 'volume', 'ro', 'rw', 'tmpfs', 'hide', 'rootfs', 'workdir'])


@test
def wrong_values_of_words():
    wrong_values(['env', 'env-file', 'hostname', 'name', 'uid', 'require', 'prefer', 'net', 'allow', 'deny', 'http', 'publish', 'upstream-proxy', 'upstream-login', 'secret', 'args', 'policy', 'settings'])


@test
def wrong_places_for_the_result():
    wrong_values(['result', 'result-fd', 'reply-fd', 'events'])


@test
def every_option_with_a_value_is_tried_with_wrong_ones():
    r = room.finish(room.start(['--help'], None, record=False))
    known = set(re.findall(r'--([a-z-]+) [A-Z]', r.out.decode()))
    same(sorted(known - set(WRONG)), [], 'options without wrong values')


@test
def flags_take_no_value():
    for flag in ('json', 'explain', 'dry-run', 'trace-steps', 'quiet', 'help'):
        refused(run('--%s=yes' % flag, record=False), '--' + flag)
    no_crash(run('--tty=no'))


@test
def options_that_do_not_exist():
    refused(run('--memroy', '1G', record=False), 'did you mean --memory?')
    for flag in ('--', '-', '-z', '--=x', '---', '--\x1b[31m', '--' + 'x' * 5000, b'--\xff\xfe', '-\xc3'):
        r = room.finish(room.start([flag], None, record=False))
        refused(r, status=r.status if r.status == 127 else 125)


@test
def a_missing_value_is_named():
    for flag in ('--memory', '-m', '-v', '--result-fd', '-C'):
        refused(room.finish(room.start([flag], None, record=False)), 'needs a value')


@test
def no_command():
    for words in ([], ['--'], ['-q'], ['-q', '--'], ['--', '']):
        refused(room.finish(room.start(words, None, record=False)), 'command')


@test
def verbs_that_do_not_exist():
    for verb in ('rnu', '', '--bogus', '\x1b[31m', b'\xff', 'x' * 100000, '-'):
        r = room.finish(room.start([], None, record=False, verb=verb))
        refused(r, 'verb')
    r = room.outside(room.PROGRAM)
    same((r.returncode, r.stdout), (125, b''))
    assert r.stderr.startswith(b'strongroom: no verb'), r.stderr


@test
def no_argv_at_all():
    """execve with an empty argv is possible; the kernel puts an empty word there (or we must stand none)."""
    code = '''
import ctypes, os, sys
libc = ctypes.CDLL(None)
none = (ctypes.c_char_p * 1)(None)
libc.execve(sys.argv[1].encode(), none, none)
'''
    r = room.outside(room.PYTHON, '-IS', '-c', code, room.PROGRAM)
    same(r.returncode, 125, repr(r))


@test
def values_given_twice():
    r = ended(run('-m', '64M', '-m', '96M', '--prefer', 'memory'), 'exited', 0)
    same(r.limit('memory')['asked'], 96 << 20)
    r = no_crash(run('-v', '/usr/lib:/x', '-v', '/usr/share:/x'))
    r = no_crash(run('--tmpfs', '/x', '--tmpfs', '/x'))
    refused(run('--require', 'landlock', '--prefer', 'landlock', record=False), 'both required and preferred')


@test
def very_many_words():
    n = 2000 if room.EMULATED else 20000
    r = ended(room.room('/bin/sh', '-c', 'echo $#', 'sh', *['x'] * n), 'exited', 0)
    same(r.out, b'%d\n' % n)
    ended(room.room('/bin/echo', 'x' * 100000), 'exited', 0)
    no_crash(run(*['-q'] * 5000))
    no_crash(run('-' + 'q' * 5000))
    no_crash(run(*[w for i in range(3000) for w in ('-e', 'V%d=x' % i)], record=False))
    no_crash(run('-e', 'BIG=' + 'x' * 100000, record=False))


@test
def five_thousand_paths():
    n = 500 if room.EMULATED else 5000
    top = room.path('many')
    for i in range(n):
        os.makedirs('%s/%d' % (top, i), exist_ok=True)
    r = no_crash(run(*[w for i in range(n) for w in ('--ro', '%s/%d' % (top, i))], record=False))
    assert r.seconds < room.patience(20), r.seconds
    # The same one, five thousand times.
    no_crash(run(*['--ro', top] * n, record=False))
    # Two hundred are no trouble for anybody.
    r = run(*[w for i in range(200) for w in ('--ro', '%s/%d' % (top, i))])
    ended(r, 'exited', 0)


# --- paths ------------------------------------------------------------------------------------------------------------

@test
def paths_that_lead_nowhere():
    loop, dangling = room.path('loop'), room.path('dangling')
    os.symlink('loop', loop)
    os.symlink('/no/such/target', dangling)
    for name in (loop, dangling, loop + '/x', '/etc/passwd/x'):
        for flag in ('--ro', '--rw', '--rootfs', '-p'):
            refused(run(flag, name, record=False))
        refused(run('-v', name + ':/x', record=False))
    refused(run('--result', loop, record=False))


@test
def paths_while_the_host_renames():
    """The kernel gives up on a ".." below a root when anything is renamed meanwhile; we do not."""
    top = room.path('renamed')
    os.makedirs(top + '/usr/a/b/c')
    os.makedirs(top + '/etc/ssl')
    os.symlink('../' * 3 + 'usr/a/../a/../a/b/../b/c/../../..', top + '/etc/ssl/certs')
    os.makedirs(top + '/x')
    storm = subprocess.Popen([room.PYTHON, '-IS', '-c', 'import os,sys\nwhile 1: os.rename(sys.argv[1], sys.argv[1] + "y"); '
                              'os.rename(sys.argv[1] + "y", sys.argv[1])', top + '/x'])
    try:
        for _ in range(10 if room.EMULATED else 100):
            r = run('--rootfs', top, '--dry-run', record=False)
            same(r.status, 0, str(r))
    finally:
        storm.kill()
        storm.wait()


@test
def paths_that_must_not_be_read():
    if room.ROOT:
        secret = room.path('secret', 'x')
        os.chmod(secret, 0)
        no_crash(run('--ro', secret))
        return
    for name in ('/root/x', '/etc/shadow'):
        if not os.access(name, os.R_OK):
            r = run('-v', name + ':/x', record=False, command=('/bin/cat', '/x'))
            assert r.status != 0 and not r.out, r


@test
def special_files_as_paths():
    fifo = room.path('fifo')
    os.mkfifo(fifo)
    import socket
    s = socket.socket(socket.AF_UNIX)
    s.bind(room.path('sock'))
    for name in (fifo, room.path('sock'), '/dev/null', '/proc/self', '/proc/self/ns/net', '/'):
        r = run('-v', name + ':/x', record=False)
        assert r.status in (0, 125), r
        if r.status == 125:
            refused(r)
    no_crash(run('--env-file', fifo, record=False))
    for flag in ('-p', '--settings'):
        refused(run(flag, fifo, record=False))
    s.close()


@test
def names_with_every_byte():
    name = b'/tmp/' + os.path.basename(room.folder()).encode() + b'/odd \n\x1b[31m"\\\'$`'
    os.makedirs(name, exist_ok=True)
    r = run(b'--ro', name, command=('/bin/ls', '-d', name))
    assert r.status in (0, 125), r
    if r.status == 125:
        refused(r)
    bad = name + b'\xff\xfe'
    os.makedirs(bad, exist_ok=True)
    r = run(b'--ro', bad)
    assert r.status in (0, 125), r
    if r.status == 125:
        refused(r)


@test
def a_result_that_cannot_be_kept():
    r = run('--result', '/dev/full', record=False)
    refused(r, 'result', 'No space left')
    same(run('--result', '/dev/full', record=False, command=('/bin/sh', '-c', 'exit 3')).status, 3)
    with open('/dev/full', 'w') as full:
        r = run('--result-fd', str(full.fileno()), record=False, pass_fds=(full.fileno(),))
    refused(r, 'result')
    # A pipe that nobody reads any more.
    read_end, write_end = os.pipe()
    os.close(read_end)
    r = run('--result-fd', str(write_end), record=False, pass_fds=(write_end,))
    os.close(write_end)
    refused(r, 'result')
    # Open for reading only.
    with open('/etc/passwd') as f:
        r = run('--result-fd', str(f.fileno()), record=False, pass_fds=(f.fileno(),))
    refused(r, 'result')


@test
def a_reply_that_cannot_be_kept():
    with open('/etc/passwd') as f:
        r = run('--reply-fd', str(f.fileno()), pass_fds=(f.fileno(),), command=('/bin/sh', '-c', 'echo x >&0'))
    same(r.status, 125, r.err)
    for other in ('--tty', '--detach'):
        read_end, write_end = os.pipe()
        r = run(other, '--reply-fd', str(write_end), record=False, pass_fds=(write_end,))
        refused(r, 'reply-fd')
        os.close(write_end)
        os.close(read_end)


@test
def help_into_a_full_disk():
    with open('/dev/full', 'w') as full:
        for words in (['run', '--help'], ['help'], ['version'], ['run', '--dry-run', '/bin/true']):
            r = subprocess.run([room.PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, timeout=room.HANG)
            same(r.returncode, 125, str(words))
            assert b'No space left' in r.stderr, r.stderr


# --- what a process may inherit ---------------------------------------------------------------------------------------

def limited(**limits):
    def apply():
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, 'RLIMIT_' + name), (value, value))
    return apply


@test
def few_descriptors():
    for n in (16, 12, 8, 5, 3):
        r = run(record=False, preexec_fn=limited(NOFILE=n))
        assert r.status in (0, 125), 'RLIMIT_NOFILE %d: %s' % (n, r)
        if r.status == 125:
            refused(r, *(['ulimit -n'] if n == 16 else []))


@test
def few_descriptors_that_may_be_more():
    """What only the soft bound refuses, we may have."""
    for n in (3, 8, 16):
        r = run(record=False, preexec_fn=lambda n=n: resource.setrlimit(resource.RLIMIT_NOFILE, (n, 1024)))
        same(r.status, 0, str(r))


@test
def no_processor_time():
    """The kernel may be faster than our words."""
    for hard in (0, resource.RLIM_INFINITY):
        r = run(record=False, preexec_fn=lambda h=hard: resource.setrlimit(resource.RLIMIT_CPU, (0, h)))
        if r.status not in (-signal.SIGXCPU, -signal.SIGKILL):
            refused(r, 'processor time', 'ulimit -t')


@test
def no_process_more():
    r = run(record=False, preexec_fn=limited(NPROC=0))
    assert r.status in (125, 126) and b'Resource temporarily' in r.err and b'ulimit -u' in r.err, r


@test
def no_bytes_in_files():
    """A room without a layer on disk needs none; one that makes its own root does."""
    r = run(record=False, preexec_fn=limited(FSIZE=0))
    same(r.status, 0, str(r))
    refused(run('--allow', 'example.org', record=False, preexec_fn=limited(FSIZE=0)), 'File too large', 'ulimit -f')


@test
def helpers_live_within_the_callers_bounds():
    """Of address space they take no more than there is, and say so when that is too little."""
    r = run('--allow', 'example.org', record=False, preexec_fn=limited(AS=128 << 20))
    same(r.status, 0, str(r))
    with tempfile.NamedTemporaryFile(mode='w', suffix='.yaml') as f:
        f.write('hostname: inside\n')
        f.flush()
        r = run('-p', f.name, record=False, preexec_fn=limited(AS=128 << 20))
        same(r.status, 0, str(r))


@test
def little_address_space():
    """Too little for the plan, for the words about it, or enough."""
    said = 0
    for mib in (4, 5, 6, 8, 10, 16):
        r = run(record=False, preexec_fn=limited(AS=mib << 20))
        assert r.status in (0, 125), 'RLIMIT_AS %d MiB: %s' % (mib, r)
        if r.status == 125:
            refused(r, 'Out of memory', 'ulimit -v')
            said += 1
    assert said, 'not even 4 MiB were too little'


@test
def a_file_where_the_room_has_a_folder():
    with tempfile.TemporaryDirectory(dir='/tmp') as top:
        os.chmod(top, 0o755)
        os.makedirs(top + '/folder/sub')
        with open(top + '/file', 'w') as f:
            f.write('x')
        folder, file = top + '/folder', top + '/file'
        for options in (['-v', folder + ':/work/x', '-v', file + ':/work/x/sub'], ['-v', file + ':/work'], ['-v', file + ':/usr/share'],
                        ['-v', folder + ':/data', '-v', file + ':/data/sub'], ['-v', file + ':/tmp'], ['-v', file + ':/etc']):
            refused(run(*options, record=False), 'show ' + file, 'Is a directory', 'folder')
        refused(run('-v', folder + ':/usr/bin/true', record=False), 'show ' + folder, 'Not a directory', 'folder')


@test
def many_open_descriptors():
    keep = [os.open('/dev/null', os.O_RDONLY) for _ in range(300)]
    top = os.dup2(keep[0], 900)
    for fd in keep:
        os.set_inheritable(fd, True)
    r = ended(room.room('/bin/ls', '/proc/self/fd', pass_fds=(*keep, top)), 'exited', 0)
    for fd in (*keep, top):
        os.close(fd)
    same(r.out.split(), [b'0', b'1', b'2', b'3'])


@test
def a_tiny_stack():
    for size in (16 << 10, 64 << 10, 128 << 10):
        r = run(record=False, preexec_fn=limited(STACK=size))
        # The kernel itself refuses argv and environment that do not fit into a quarter of it.
        assert r.status in (0, 125, 126, -signal.SIGKILL, -signal.SIGSEGV) and not (r.status < 0 and size > 64 << 10), '%d: %s' % (size, r)


@test
def small_limits_of_the_caller():
    for limits in ({'FSIZE': 0}, {'NPROC': 1}, {'CPU': 1}, {'AS': 64 << 20}, {'DATA': 8 << 20}, {'MEMLOCK': 0}, {'SIGPENDING': 0}, {'CORE': 0}, {'MSGQUEUE': 0}):
        r = run(record=False, preexec_fn=limited(**limits))
        assert r.status in (0, 125, 126), '%r: %s' % (limits, r)
        if r.status == 125:
            refused(r)


@test
def signals_blocked_and_ignored():
    def rude():
        signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 65)) - {9, 19, 32, 33})
        for n in range(1, 65):
            try:
                signal.signal(n, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
    r = ended(room.room('/bin/grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status', preexec_fn=rude), 'exited', 0)
    same(r.out.split(), [b'SigBlk:', b'0' * 16, b'SigIgn:', b'0' * 16])
    ended(room.room('/bin/sleep', '9', options=['--timeout', '200ms'], preexec_fn=rude), 'timeout', 124)


@test
def umask_zero_and_full():
    for mask in (0, 0o777):
        name = room.path('umask%o.json' % mask)
        r = ended(sh('umask; mkdir d; stat -c %a d', options=['--result', name], record=False, preexec_fn=lambda: os.umask(mask)), None, 0)
        same(r.out.split(), [b'0022', b'755'], 'umask %o' % mask)
        same(os.stat(name).st_mode & 0o077, 0, 'the result file')


@test
def a_deleted_working_directory():
    gone = room.path('gone')
    os.makedirs(gone)
    r = room.outside('/bin/sh', '-c', 'cd "$2" && rmdir "$2" && exec "$1" run -- /bin/pwd', 'sh', room.PROGRAM, gone)
    same((r.returncode, r.stdout), (0, b'/work\n'), repr(r))


@test
def a_working_directory_that_may_not_be_read():
    closed = room.path('closed')
    os.makedirs(closed)
    r = room.outside('/bin/sh', '-c', 'cd "$2" && chmod 0 "$2" && exec "$1" run -- /bin/pwd', 'sh', room.PROGRAM, closed)
    os.chmod(closed, 0o755)
    if not room.ROOT:  # a policy may lie there that only tightens: not to be passed over
        same(r.returncode, 125)
        assert b'.strongroom.yaml: Permission denied' in r.stderr, r.stderr
        return
    same((r.returncode, r.stdout), (0, b'/work\n'), repr(r))


@test
def an_empty_and_a_huge_environment():
    same(ended(room.room('/bin/true', env={}), 'exited', 0).err, b'')
    env = {'V%d' % i: 'x' * 1000 for i in range(1000)}
    ended(room.room('/bin/true', env=env), 'exited', 0)
    env = {'HOME': '/no/such', 'XDG_CONFIG_HOME': '\xff' * 50, 'PATH': '', 'LD_PRELOAD': '/no/such.so', 'TERM': '\x1b'}
    ended(room.room('/bin/true', env=env), 'exited', 0)


# --- hosts that lack something ----------------------------------------------------------------------------------------

def elsewhere(script, *unshare, user=None):
    """strongroom in changed surroundings: a shell below `unshare`, "$@" is the command to run."""
    command = ['unshare', *([] if room.ROOT else ['-r']), *unshare, '/bin/sh', '-c', script, 'sh', room.PROGRAM]
    if not room.ROOT and not room.can_nest():
        raise Skip('no user namespaces for this user')
    done = room.outside(*command)
    r = room.Result(command)
    r.status, r.out, r.err = done.returncode, done.stdout, done.stderr
    return r


def degraded(r, *layers):
    """The room ran, and says which layers are less than on."""
    same(r.status, 0, str(r))
    record = json.loads(re.search(rb'(?m)^\{.*\}$', r.err).group(0))
    room.check_record(record)
    for name in layers:
        layer = record['receipt'][name]
        assert layer['state'] != 'on' and (layer.get('note') or layer.get('errno')), '%s: %r' % (name, layer)
    return record


@test
def without_proc():
    refused(elsewhere('mount -t tmpfs none /proc && exec "$1" run -- /bin/true', '-m'), '/proc')
    r = elsewhere('umount -l /proc && exec "$1" run -- /bin/true', '-m')
    if b'umount' not in r.err:
        refused(r, '/proc')


@test
def with_a_proc_of_somebody_else():
    refused(elsewhere('exec "$1" run -- /bin/true', '-p', '-f'), '/proc', 'hint')


@test
def with_a_fresh_proc_in_a_process_namespace():
    r = elsewhere('exec "$1" run --json -- /bin/true', '-p', '-f', '--mount-proc')
    same(r.status, 0, str(r))


@test
def with_a_masked_proc():
    """As in a container: the kernel then refuses a new /proc."""
    if room.ROOT:
        script = 'mount -t tmpfs none /proc/sys && exec setpriv --reuid 4242 --regid 4242 --clear-groups "$1" run %s -- /bin/true'
    else:
        script = 'mount -t tmpfs none /proc/sys && exec "$1" run %s -- /bin/true'
    r = elsewhere(script % '', '-m')
    if r.status == 0:
        raise Skip('this kernel mounts a /proc all the same')
    refused(r, 'proc', '--prefer proc')
    degraded(elsewhere(script % '--json --prefer proc', '-m'), 'proc')


@test
def without_user_namespaces():
    if not room.can_nest():
        raise Skip('none here')
    r = room.outside('unshare', '-r', '/bin/sh', '-c', 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$1" run -- /bin/true', 'sh', room.PROGRAM)
    result = room.Result([])
    result.status, result.out, result.err = r.returncode, r.stdout, r.stderr
    refused(result, 'namespaces', 'max_user_namespaces')


@test
def without_other_namespaces():
    if not room.can_nest():
        raise Skip('none here')
    for name in ('pid', 'net', 'mnt', 'uts', 'ipc', 'cgroup', 'time'):
        r = room.outside('unshare', '-r', '/bin/sh', '-c', 'echo 0 >/proc/sys/user/max_%s_namespaces && exec "$1" run %s -- /bin/true' % (name, '--json' if name in ('cgroup', 'time') else ''), 'sh', room.PROGRAM)
        result = room.Result([])
        result.status, result.out, result.err = r.returncode, r.stdout, r.stderr
        if name in ('cgroup', 'time') and r.returncode == 0:
            degraded(result, {'cgroup': 'cgroup-ns', 'time': 'time'}[name])
        else:
            refused(result)


@test
def without_cgroups():
    script = 'mount -t tmpfs none /sys/fs/cgroup && exec "$1" run %s -- /bin/true'
    record = degraded(elsewhere(script % '--json', '-m'), 'cgroup')
    same(record['limits']['memory']['enforced_by'], ['watch'])
    refused(elsewhere(script % '--require cgroup', '-m'), 'cgroup')
    refused(elsewhere(script % '-m 64M', '-m'), 'memory', '--prefer memory')


@test
def without_sys():
    degraded(elsewhere('umount -l /sys 2>/dev/null; mount -t tmpfs none /sys && exec "$1" run --json -- /bin/true', '-m'), 'cgroup')


@test
def with_read_only_cgroups():
    degraded(elsewhere('for m in $(grep -o " /sys/fs/cgroup[^ ]*" /proc/self/mountinfo); do mount -o remount,bind,ro $m || exit 9; done; '
                       'exec "$1" run --json -- /bin/true', '-m'), 'cgroup')


@test
def below_unshare():
    if not room.can_nest():
        raise Skip('no user namespaces for this user')
    r = room.outside('unshare', '-r', room.PROGRAM, 'run', '--json', '--', '/usr/bin/id', '-u')
    result = room.Result([])
    result.status, result.out, result.err = r.returncode, r.stdout, r.stderr
    degraded(result, 'uids')
    same(r.stdout, b'1000\n')


@test
def below_two_levels_of_unshare():
    if not room.can_nest():
        raise Skip('no user namespaces for this user')
    r = room.outside('unshare', '-rmpnif', '--mount-proc', 'unshare', '-rmpnif', '--mount-proc', room.PROGRAM, 'run', '--', '/usr/bin/id', '-u')
    same((r.returncode, r.stdout), (0, b'1000\n'), repr(r))


@test
def a_room_inside_a_room_is_refused():
    r = room.room(room.PROGRAM, 'run', '--', '/bin/true', options=['--ro', room.PROGRAM])
    same(r.status, 125, str(r))
    assert r.err.startswith(b'strongroom: ') and b'hint' in r.err, r


@test
def inside_a_chroot():
    """A chroot that is no mount point: the kernel refuses user namespaces in it."""
    script = '''
mkdir -p "$2/proc" "$2/dev" "$2/usr" "$2/tmp" || exit 9
mount --rbind /usr "$2/usr" && mount --rbind /proc "$2/proc" && mount --rbind /dev "$2/dev" || exit 9
ln -sfn usr/bin "$2/bin"; ln -sfn usr/lib "$2/lib"; ln -sfn usr/lib64 "$2/lib64"; cp "$1" "$2/strongroom" || exit 9
PATH=$PATH:/usr/sbin exec chroot "$2" /strongroom run -- /bin/true
'''
    top = room.path('chroot')
    os.makedirs(top, exist_ok=True)
    command = ['unshare', *([] if room.ROOT else ['-r']), '-m', '/bin/sh', '-c', script, 'sh', room.PROGRAM, top]
    if not room.ROOT and not room.can_nest():
        raise Skip('no user namespaces for this user')
    done = room.outside(*command)
    r = room.Result(command)
    r.status, r.out, r.err = done.returncode, done.stdout, done.stderr
    assert r.status != 9, r
    refused(r, 'chroot', 'hint')


@test
def inside_a_network_namespace_without_loopback():
    r = elsewhere('exec "$1" run -- /bin/true', '-n')
    same(r.status, 0, str(r))


@test
def under_no_new_privs_and_without_capabilities():
    r = room.outside('setpriv', '--no-new-privs', *(['--bounding-set=-all', '--inh-caps=-all'] if room.ROOT else []), room.PROGRAM,
                     'run', '--prefer', 'pids', '--', '/bin/true')
    result = room.Result([])
    result.status, result.out, result.err = r.returncode, r.stdout, r.stderr
    no_crash(result)
    if room.ROOT:
        refused(result, 'CAP_SETFCAP', 'another user')


@test
def a_command_that_only_the_host_has_names_what_shows_it():
    tool = room.path('host tools/bin/some-tool', '#!/bin/sh\necho here\n')
    bare = room.path('host tools/bin/no-loader', '#!/no/such/loader\n')
    folder = os.path.dirname(os.path.dirname(tool))
    link = os.path.join(folder, 'link')
    os.chmod(tool, 0o755)
    os.chmod(bare, 0o755)
    os.symlink(tool, link)
    environment = dict(os.environ, PATH=os.path.dirname(tool) + ':' + os.environ['PATH'])
    for name, hint in (('some-tool', "is this host's %s: show it with --ro %s," % (tool, folder)), (tool, 'the room does not show it: --ro ' + folder),
                       (link, 'leads to %s, which the room does not show: --ro %s' % (tool, folder)), ('no-such-tool', "not in the room's PATH"),
                       ('/no/such/tool', 'the room sees')):
        r = room.room(name, record=False, env=environment)
        same((r.status, hint in r.err.decode()), (127, True), str(r))
    r = room.room('ldconfig', options=['-e', 'PATH=/usr/bin'], record=False, env=dict(os.environ, PATH='/usr/sbin'))
    same((r.status, b"/usr/sbin/ldconfig is there, but not in the room's PATH" in r.err), (127, True), str(r))
    r = room.room(tool, options=['--ro', folder], record=False)
    same((r.status, r.out), (0, b'here\n'))
    same(room.room(bare, options=['--ro', folder], record=False).status, 127)


CONTAINERS_ROOT = '+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+setfcap'


@test
def as_the_root_of_a_container():
    """docker's root by default: uids to give away, but no right to mount. Files of the host are shown all the same."""
    if not room.ROOT and not room.can_nest():
        raise Skip('no user namespaces for this user')
    top = os.path.dirname(room.path('container/ro/file', 'seen'))
    own = ['setpriv', '--bounding-set=-all,' + CONTAINERS_ROOT, '--inh-caps=-all'] if room.ROOT else ['unshare', '-r']
    space = os.path.join(os.path.dirname(top), 'space')
    os.makedirs(space)
    environment = dict(os.environ, XDG_STATE_HOME=os.path.join(os.path.dirname(top), 'state'))
    r = room.outside(*own, room.PROGRAM, 'run', '--json', '--ro', top, '--rw', space, '-w', top + ':/copy', '--', '/bin/sh', '-c',
                     'cat %s/file && echo real >%s/out && echo more >>/copy/file' % (top, space), env=environment)
    result = room.Result([])
    result.status, result.out, result.err = r.returncode, r.stdout, r.stderr
    degraded(result, 'uids')
    same(r.stdout, b'seen')
    same(open(space + '/out').read(), 'real\n')
    r = room.outside(*own, room.PROGRAM, 'apply', env=environment)
    same((r.returncode, open(top + '/file').read()), (0, 'seenmore\n'), repr(r))
    if '4294967295' in open('/proc/self/uid_map').read() and room.ROOT:  # without files, a uid of its own
        r = room.outside(*own, room.PROGRAM, 'run', '--json', '--', '/bin/true')
        result.status, result.out, result.err = r.returncode, r.stdout, r.stderr
        same(degraded(result)['receipt']['uids']['state'], 'on')
        r = room.outside(*own, room.PROGRAM, 'run', '--require', 'uids', '--ro', top, '--', '/bin/true')
        result.status, result.out, result.err = r.returncode, r.stdout, r.stderr
        refused(result, 'CAP_SYS_ADMIN', 'hint')


@test
def roots_own_uid_is_not_left_without_a_bound_on_processes():
    """The kernel bounds no processes of its uid 0: without a cgroup there is no room, unless somebody says so."""
    if not room.ROOT and not room.can_nest():
        raise Skip('no user namespaces for this user')
    path = room.path('unbound/file', 'text')
    run = 'setpriv --bounding-set=-all,%s --inh-caps=-all "$1" run %%s --ro %s -- /bin/true' % (CONTAINERS_ROOT, path)
    script = 'for m in $(grep -o " /sys/fs/cgroup[^ ]*" /proc/self/mountinfo); do mount -o remount,bind,ro $m || exit 9; done; exec ' + run
    if not room.ROOT:  # our 0 is somebody else's number outside, and that one is bounded
        degraded(elsewhere(script.replace(run, '"$1" run --json --ro %s -- /bin/true' % path), '-m'), 'cgroup')
        return
    refused(elsewhere(script % '', '-m'), 'pids', 'another user than root')
    accepted = elsewhere(script % '--json --prefer pids', '-m')
    record = json.loads(accepted.err)
    same((accepted.status, record['limits']['pids']['enforced_by'], record['receipt']['uids']['state']), (0, [], 'degraded'))


if __name__ == '__main__':
    room.main()
