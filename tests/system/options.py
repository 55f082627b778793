"""options: each option of `strongroom run --help` does what its line says."""
import itertools
import json
import os
import re
import socket
import subprocess

import room
from room import Skip, ended, python, refused, same, sh, test

covered = set()


def option(*names):
    """Marks a test as the proof of these options."""
    covered.update(names)
    return test


def plan(*options, command=('/bin/true',)):
    r = room.room(*command, options=[*options, '--dry-run'], record=False)
    same(r.status, 0, str(r))
    return r.out.decode()


# --- files ------------------------------------------------------------------------------------------------------------

@option('volume')
def volume_is_read_only_by_default():
    room.path('vol/file', 'text\n')
    where = room.path('vol')
    for mode in ('', ':ro'):
        r = ended(sh('cat /data/file; echo x >/data/file; echo x >/data/new', options=['-v', where + ':/data' + mode]), 'exited')
        same(r.out, b'text\n')
        assert r.status != 0 and b'Read-only' in r.err or b'denied' in r.err, r
    same(open(where + '/file').read(), 'text\n')


@option('volume')
def volume_rw_writes_the_host():
    where = room.path('volrw')
    room.path('volrw/file', 'old\n')
    if not room.ROOT:
        os.chmod(where, 0o755)
    r = ended(sh('echo new >/data/file && mkdir /data/dir && echo x >/data/dir/y && ls /data', options=['--volume', where + ':/data:rw']), 'exited', 0)
    same(r.out, b'dir\nfile\n')
    same(open(where + '/file').read(), 'new\n')
    st = os.stat(where + '/dir/y')
    same(st.st_uid, os.stat(where).st_uid, 'owner of what the room wrote')
    assert 'written there is real' in r.record['receipt']['root'].get('note', ''), r.record['receipt']['root']


@option('ro')
def ro_shows_a_path_at_its_place():
    where = room.path('ro')
    room.path('ro/file', 'text')
    r = ended(sh('cat %s/file && ! touch %s/x' % (where, where), options=['--ro', where]), 'exited', 0)
    same(r.out, b'text')


@option('ro')
def ro_files_side_by_side():
    names = ['f%d' % i for i in range(8)]
    for mode in (0o700, 0o755):
        where = room.path('beside%o' % mode)
        for name in (*names, 'unlisted'):
            path = room.path('beside%o/%s' % (mode, name), name)
            os.chmod(path, 0o600)
            if room.ROOT and name == 'f5':
                os.chown(path, 12345, 12346)
        if room.ROOT and mode == 0o700:
            os.chown(where, 12347, 12348)
        os.chmod(where, mode)
        show = [w for name in names for w in ('--ro', '%s/%s' % (where, name))]
        show += ['-v', '%s/f0:/elsewhere/g0' % where, '-v', '%s/f1:/elsewhere/g1' % where]
        r = ended(sh('cd %s && cat * /elsewhere/*; echo; ls; for f in * /elsewhere/*; do ! test -O $f && echo $f; echo x 2>/dev/null >$f && echo $f; done; '
                     'cat /usr/unlisted' % where, options=show), 'exited')
        same(r.out.decode().splitlines(), [''.join(names) + 'f0f1', *names])
    # A link is followed once, outside; and what is mounted on a file is what is shown in its place.
    os.symlink('f1', where + '/link')
    script = ('mount --bind "$1/unlisted" "$1/f3"; "$2" run %s -- /bin/sh -c "cd $1; cat *"'
              % ' '.join('--ro %s/%s' % (where, name) for name in (*names, 'link')))
    r = subprocess.run(['unshare', '-m' if room.ROOT else '-rm', '/bin/sh', '-c', script, 'sh', where, room.PROGRAM], stdout=subprocess.PIPE)
    same(r.stdout.decode(), ''.join(names).replace('f3', 'unlisted') + 'f1')


@option('rw')
def rw_shows_a_path_writable():
    where = room.path('rw')
    os.makedirs(where, exist_ok=True)
    ended(sh('echo real >%s/file' % where, options=['--rw', where]), 'exited', 0)
    same(open(where + '/file').read(), 'real\n')


@option('tmpfs')
def tmpfs_is_empty_writable_and_capped():
    r = ended(sh('ls -A /scratch; head -c 3000000 /dev/zero >/scratch/f; stat -c %s /scratch/f', options=['--tmpfs', '/scratch:1M']), 'exited', 0)
    assert b'No space' in r.err, r
    same(r.out, b'1048576\n')
    ended(sh('echo x >/more/y && cat /more/y', options=['--tmpfs', '/more']), 'exited', 0)


@option('hide')
def hide_masks_a_path():
    r = ended(sh('wc -c </etc/passwd; ls /usr/share | wc -l', options=['--hide', '/etc/passwd', '--hide', '/usr/share']), 'exited', 0)
    same(r.out.split(), [b'0', b'0'])


@option('rootfs')
def rootfs_is_another_system():
    """A tiny one: a static program and nothing else."""
    busybox = next((p for p in ('/bin/busybox', '/usr/bin/busybox') if os.path.exists(p)), None)
    if not busybox:
        raise Skip('no busybox-static here')
    top = room.path('rootfs')
    os.makedirs(top + '/usr/bin', exist_ok=True)
    if not os.path.exists(top + '/usr/bin/busybox'):
        with open(busybox, 'rb') as f, open(top + '/usr/bin/busybox', 'wb') as g:
            g.write(f.read())
        os.chmod(top + '/usr/bin/busybox', 0o755)
        os.symlink('busybox', top + '/usr/bin/sh')
        os.symlink('usr/bin', top + '/bin')
    r = ended(room.room('/bin/sh', '-c', 'busybox ls /usr/bin; busybox touch /usr/bin/x || echo closed', options=['--rootfs', top]), 'exited', 0)
    same(r.out, b'busybox\nsh\nclosed\n')
    ended(room.room('/usr/bin/env', options=['--rootfs', top]), 'not-run', 127)


@option('args')
def args_shows_what_the_command_names():
    room.path('args/script.sh', 'cat data.txt; echo x >data.txt || echo closed')
    room.path('args/data.txt', 'data\n')
    room.path('args/other.txt', 'other\n')
    here = room.path('args')
    r = ended(room.room('/bin/sh', 'script.sh', 'data.txt', cwd=here), 'exited', 0)
    same(r.out, b'data\nclosed\n')
    same(ended(room.room('/bin/ls', cwd=here), 'exited', 0).out, b'')
    r = ended(room.room('/bin/sh', 'script.sh', cwd=here, options=['--args', 'none']), 'exited')
    same((r.status, r.out), (2, b''), str(r))


@option('workdir')
def workdir_is_where_the_program_starts():
    same(ended(sh('pwd'), 'exited', 0).out, b'/work\n')
    for flag in (['-C', '/usr/lib'], ['--workdir', '/usr/lib'], ['--workdir=/usr/lib']):
        same(ended(sh('pwd', options=flag), 'exited', 0).out, b'/usr/lib\n', str(flag))
    refused(sh('pwd', options=['-C', '/nowhere/at/all']), 'workdir')


# --- environment ------------------------------------------------------------------------------------------------------

@option('env')
def env_sets_takes_and_keeps_out():
    outer = dict(os.environ, SECRET='s3cret', TAKEN='from outside')
    r = ended(room.room('/usr/bin/env', options=['-e', 'A=1', '--env', 'B=x=y z', '-e', 'TAKEN', '-e', 'MISSING', '-e', 'A=2', '-e', 'EMPTY='], env=outer), 'exited', 0)
    got = dict(line.split('=', 1) for line in r.out.decode().splitlines())
    same({k: got.get(k) for k in ('A', 'B', 'TAKEN', 'EMPTY')}, {'A': '2', 'B': 'x=y z', 'TAKEN': 'from outside', 'EMPTY': ''})
    same(sorted(set(got) - {'A', 'B', 'TAKEN', 'EMPTY'}), ['HOME', 'LANG', 'LOGNAME', 'PATH', 'SHELL', 'TMPDIR', 'USER'])


@option('env')
def the_command_is_looked_for_in_the_rooms_path():
    tool = room.path('path/only-here', '#!/bin/sh\necho "found $0"\n')
    os.chmod(tool, 0o755)
    folder = os.path.dirname(tool)
    show = ['--ro', folder, '-e', 'PATH=relative:%s:/usr/bin' % folder]
    same(room.room('only-here', options=show).out, b'found %s\n' % tool.encode())
    same(room.room('only-here', options=show[:2]).status, 127)
    refused(room.room('true', options=['-e', 'PATH=bin:.']), 'run true in the room', status=127)


@option('env')
def env_keeps_blanks_and_control_characters():
    r = ended(room.room('/usr/bin/env', options=['-e', 'RAW= \t\x7f\u20ac\n.']), 'exited', 0)
    assert 'RAW= \t\x7f\u20ac\n.\n'.encode() in r.out, r
    refused(room.room('/usr/bin/env', options=['-e', b'RAW=\xff']), 'not valid UTF-8')


@option('env')
def env_wins_over_the_presets():
    r = ended(sh('echo $HOME $LANG', options=['-e', 'HOME=/tmp', '-e', 'LANG=C']), 'exited', 0)
    same(r.out, b'/tmp C\n')


@option('env-file')
def env_file_is_read():
    name = room.path('envs', '# comment\n\nONE=1\nTWO=two words\r\nTAKEN\n')
    r = ended(room.room('/usr/bin/env', options=['--env-file', name, '-e', 'ONE=flag'], env=dict(os.environ, TAKEN='t')), 'exited', 0)
    lines = r.out.decode().splitlines()
    assert 'TWO=two words' in lines and 'TAKEN=t' in lines and 'ONE=flag' in lines, lines


# --- limits: what is asked arrives; bounds.py meets them --------------------------------------------------------------

@option('memory', 'cpus', 'cpu-time', 'pids', 'files', 'file-size', 'disk', 'inodes', 'output', 'timeout', 'prefer')
def limits_are_told_as_asked():
    asked = {'memory': ('96M', 96 << 20), 'cpus': ('0.5', 500), 'cpu-time': ('90s', 90000), 'pids': ('40', 40), 'files': ('64', 64),
             'file-size': ('3M', 3 << 20), 'disk': ('5M', 5 << 20), 'inodes': ('500', 500), 'output': ('70k', 70 << 10), 'timeout': ('1.5m', 90000)}
    options = [w for k, v in asked.items() for w in ('--' + k, v[0])]
    r = ended(sh('ulimit -n; ulimit -f; ulimit -t', options=[*options, '--prefer', 'memory,cpus']), 'exited', 0)
    same({k: r.limit(k)['asked'] for k in asked}, {k: v[1] for k, v in asked.items()})
    same(r.out.split(), [b'64', b'%d' % (3 << 11), b'91'])  # one second more: the supervisor is to see it first


@option('memory')
def limits_unlimited_are_not_asked():
    names = ['cpus', 'cpu-time', 'file-size', 'timeout', 'output']
    r = ended(room.room('/bin/true', options=[w for n in names for w in ('--' + n, 'unlimited')]), 'exited', 0)
    same([r.limit(n)['asked'] for n in names], [None] * len(names))


# --- identity ---------------------------------------------------------------------------------------------------------

@option('hostname')
def hostname_is_the_rooms():
    same(ended(sh('cat /proc/sys/kernel/hostname; uname -n'), 'exited', 0).out, b'room\nroom\n')
    r = ended(sh('cat /proc/sys/kernel/hostname; uname -n; grep -c lab-7.example /etc/hosts', options=['--hostname', 'lab-7.example']), 'exited', 0)
    same(r.out, b'lab-7.example\nlab-7.example\n1\n')


@option('name')
def name_is_in_the_result():
    same(ended(room.room('/bin/true', options=['--name', 'nightly.build_%d' % os.getpid()]), 'exited', 0).record['name'], 'nightly.build_%d' % os.getpid())


@option('uid')
def uid_is_chosen_and_never_root():
    same(ended(sh('id -u; id -g; id -G'), 'exited', 0).out, b'1000\n1000\n1000\n')
    for flag in (['--uid', '7'], ['-u', '7'], ['--user', '7']):
        r = ended(sh('id -u; id -g; id -un; touch f; stat -c %u f', options=flag), 'exited', 0)
        same(r.out, b'7\n7\nroom\n7\n')
    refused(room.room('/bin/true', options=['--uid', '0']), 'no root inside')


# --- walls ------------------------------------------------------------------------------------------------------------

@option('require')
def require_decides():
    if room.has_cgroup():
        ended(room.room('/bin/true', options=['--require', 'cgroup,landlock']), 'exited', 0)
    else:
        refused(room.room('/bin/true', options=['--require', 'cgroup']), 'cgroup', 'hint: ')
    if not room.OWNS_UIDS:
        refused(room.room('/bin/true', options=['--require', 'uids']), 'uids', '--prefer uids')
    for r in (room.room('/bin/true', options=['--require', 'all']),):
        assert r.status == 0 or r.status == 125, r
        if r.status == 0:
            same({v['state'] for v in r.record['receipt'].values()}, {'on'}, 'all layers required')


@option('require')
def limits_that_nothing_holds_are_refused():
    if room.has_cgroup():
        ended(room.room('/bin/true', options=['-m', '64M']), 'exited', 0)
        return
    refused(room.room('/bin/true', options=['-m', '64M']), 'memory', '--prefer memory')
    r = ended(room.room('/bin/true', options=['-m', '64M', '--prefer', 'memory']), 'exited', 0)
    same((r.limit('memory')['enforced_by'], r.limit('memory')['degraded']), (['watch'], True))


@option('allow')
@option('deny')
def allow_and_deny_choose_the_peers():
    r = ended(python('import socket\nfor n in ("a.example.org", "b.example.org", "example.org"):\n try: print(socket.getaddrinfo(n, 443)[0][4][0][:4])\n'
                     ' except OSError: print("none")', options=['--allow', '*.example.org:443', '--deny', 'b.example.org']), 'exited', 0)
    same(r.out.split()[1:], [b'none', b'none'])
    assert r.out.split()[0] in (b'198.', b'fd57'), r.out
    same(r.record['receipt']['gate']['state'], 'on')


@option('workspace', 'at', 'apply', 'upper', 'copy-workspaces', 'from', 'copy-in', 'copy-out')
def workspaces_and_copies_are_planned():
    top = os.path.dirname(room.path('options/space/file', 'text'))  # tests/workspace does the rest
    os.chmod(top, 0o755)
    text = plan('-w', top, '--at', '/space', '--apply', 'never', '--upper', 'disk:8M', '--copy-in', top + ':/work/c',
                '--copy-in', top + '/file', '--copy-out', '/work:' + top)
    assert 'layer %s -> /space' % top in text and 'layer %s -> /work/c' % top in text and 'copy  %s/file -> /work/file' % top in text, text
    assert 'upper' in plan('--workspace', top, '--copy-workspaces', '--from', 'x') and 'upper' not in plan()


def work_on(name, script, *options):
    """A folder with six files that `script` works on; and the result."""
    for i in range(6):
        top = os.path.dirname(room.path('options/%s/%d' % (name, i), 'text'))
    os.chmod(top, 0o777)
    return top, room.room('/bin/sh', '-c', script, options=['-q', '-w', top, *options])


@option('accept')
def an_accepted_alarm_is_applied():
    script = 'mkdir -p .git/hooks && echo x >.git/hooks/pre-commit'
    top, r = work_on('kept', script, '--apply', 'clean')
    assert not os.path.exists(top + '/.git'), r
    top, r = work_on('accepted', script, '--apply', 'clean', '--accept', 'git-hook')
    assert os.path.exists(top + '/.git/hooks/pre-commit'), r


@option('guard-deletes')
def who_deletes_too_much_is_ended():
    top, r = work_on('guarded', 'rm ?; sleep 60', '--guard-deletes', '3')
    ended(r, 'guard', 137)
    same(len(os.listdir(top)), 6)


@option('ask')
def nobody_is_asked_without_a_terminal():
    r = python('import socket\ntry: socket.create_connection(("a.example.org", 80), 9).recv(1)\nexcept OSError: print("refused")',
               options=['--net', 'gate', '--ask'])
    same(r.out, b'refused\n')
    assert b'--ask: there is no terminal' in r.err and b'denied look-up of a.example.org' in r.err, r


@option('upstream-proxy', 'upstream-login')
def the_upstream_proxy_is_gone_by():
    proxy = ['--upstream-proxy', 'http://127.0.0.1:1', '--allow', 'a.example.org:80']
    r = python('import socket\ntry: socket.create_connection(("a.example.org", 80), 5).recv(1)\nexcept OSError: print("refused")', options=proxy)
    assert b'the upstream proxy cannot be reached' in r.err, r
    refused(room.room('/bin/true', options=[*proxy, '--upstream-login', 'file:/no/such']), 'read the login')


@option('publish')
def a_published_port_leads_into_the_room():
    code = ('import socket\ns = socket.socket(); s.bind(("127.0.0.1", 8000)); s.listen(); print("x" * 0)\ns.settimeout(9); c, a = s.accept(); c.sendall(b"from " + a[0].encode())')
    read, write = os.pipe()
    os.set_inheritable(write, True)
    p = subprocess.Popen([room.PROGRAM, 'run', '--publish', '0:8000', '--', '/usr/bin/python3', '-uc', code], stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    line = p.stderr.readline().decode()
    assert line.startswith('strongroom: note: 127.0.0.1:') and line.endswith(' leads to port 8000 of the room\n'), line
    os.read(read, 9)
    with socket.create_connection(('127.0.0.1', int(line.split(':')[3].split()[0])), 9) as s:
        same(s.recv(99), b'from 127.0.0.1')
    same(p.wait(timeout=room.HANG), 0)
    p.stderr.close()
    os.close(read)


@option('net')
def net_none_and_host():
    there = 'import os,socket; print(sorted(n for _, n in socket.if_nameindex()))'
    r = sh('cat /proc/net/dev | wc -l')
    same(ended(r, 'exited', 0).out, b'3\n', 'interfaces: two lines of heading and lo')
    r = ended(room.room('/bin/true', options=['--net', 'host']), 'exited', 0)
    same(r.record['receipt']['net']['state'], 'off')
    assert 'shares' in r.record['receipt']['net']['note'], there


@option('offline')
def offline_closes_whatever_is_open():
    os.environ['TOKEN'] = 'value'
    look = 'grep -c . /proc/net/dev; grep network /run/strongroom/policy.json; echo "<$TOKEN>"; exec 3<>/dev/tcp/198.18.0.1/443'
    for more in (['--net', 'host'], ['--allow', 'example.org'], ['--net', 'gate'],
                 ['--http', 'GET example.org/*', '--secret', 'TOKEN=env:TOKEN@example.org', '--allow', 'example.org']):
        r = room.room('/bin/bash', '-c', look, options=[*more, '--offline'])
        same((r.status, r.out), (1, b'3\n  "network": "none",\n<>\n'), str(r))
        assert b'note: what would open the network has no effect: --offline' in r.err and b'Network is unreachable' in r.err, r
        same((r.record['receipt']['net']['state'], 'gate' in r.record['receipt']), ('on', False))
    same(sh('grep network /run/strongroom/policy.json', options=['--allow', 'example.org', '--offline=no']).out, b'  "network": "gate",\n')
    top = os.path.dirname(room.path('options/offline/.strongroom.yaml', 'offline: true\n'))
    r = sh('grep network /run/strongroom/policy.json', options=['--allow', 'example.org'], cwd=top)
    same(ended(r, 'exited', 0).out, b'  "network": "none",\n')
    with open(top + '/.strongroom.yaml', 'w') as f:
        f.write('offline: false\n')
    closed = room.path('options/closed.yaml', 'offline: true\n')
    refused(sh('true', options=['-p', closed], cwd=top), 'offline', 'may only tighten')
    r = room.outside(room.PROGRAM, 'why', 'example.org:443', '--allow', 'example.org', '--offline')
    same((r.returncode, r.stdout), (1, b'example.org:443: denied: --offline closes what any rule allows\n'))


# --- terminal (terminal.py does the work) -----------------------------------------------------------------------------

@option('tty', 'interactive')
def terminal_flags_are_taken():
    same(ended(sh('tty; cat', options=['-i'], feed=b'x'), 'exited').out, b'not a tty\nx')
    r = room.room('/bin/sh', '-c', 'tty', options=['-it'])
    assert r.status == 0 and b'/dev/pts/0' in r.out, r


# --- policy (tests/system/policy does the work) -----------------------------------------------------------------------

def need_reader():
    reader = os.path.join(room.PROJECT, 'build-host')
    if not any('strongroom-policy' in n for _, _, names in os.walk(reader) for n in names) and not os.path.exists('/usr/local/libexec/strongroom'):
        raise Skip('the reader of policy files is not built')


@option('policy', 'settings')
def profiles_are_found_and_unknown_ones_named():
    r = refused(room.room('/bin/true', options=['--policy', 'no-such-profile']), 'no-such-profile')
    r = refused(room.room('/bin/true', options=['--settings', '/no/such/file.json']), '/no/such/file.json')
    assert r.record is None


# --- this call --------------------------------------------------------------------------------------------------------

@option('dry-run')
def dry_run_prints_the_plan_and_builds_nothing():
    marker = room.path('marker-dir')
    os.makedirs(marker, exist_ok=True)
    text = plan('--rw', marker, '--hide', '/etc/passwd', command=['/usr/bin/touch', marker + '/made'])
    assert not os.listdir(marker), 'the program ran'
    numbers = [int(m) for m in re.findall(r'(?m)^ ?(\d+)  ', text)]
    same(numbers, list(range(1, len(numbers) + 1)), 'numbers of the steps')
    assert len(numbers) > 25, text
    for word in ('rw    %s -> %s' % (marker, marker), 'hide  /etc/passwd', 'exec  /usr/bin/touch', 'seccomp', 'landlock'):
        assert word in text, 'no %r in %s' % (word, text)


@option('dry-run')
def dry_run_escapes_names():
    name = room.path('odd\x1b[31m')
    os.makedirs(name, exist_ok=True)
    text = plan('--ro', name, command=['/bin/echo', 'a\nb\x1b'])
    assert '\x1b' not in text and '\nb' not in text, repr(text)


@option('explain')
def explain_tells_how_the_room_held():
    r = ended(sh('exit 3', options=['--explain']), 'exited', 3)
    text = r.err.decode()
    for word in ('exit status 3', 'receipt: ', 'layers on', 'teardown: survivors 0, mounts 0, cgroups 0', 'policy sha256 ', 'memory', 'held by'):
        assert word in text, 'no %r in %s' % (word, text)


@option('json', 'result', 'result-fd')
def ways_to_the_result():
    r = ended(sh('exit 4', options=['--json']), 'exited', 4)
    same(json.loads(r.err), r.record)
    refused(sh('exit 4', options=['--result', room.path('result.json')]), 'one place')


@option('result')
def result_file_is_new_and_private():
    name = room.path('private.json', 'x' * 100000)
    os.unlink(name)
    ended(sh('exit 4', record=False, options=['--result', name]), None, 4)
    room.check_record(json.load(open(name)))
    same(os.stat(name).st_mode & 0o777, 0o600)
    ended(sh('exit 5', record=False, options=['--result', name]), None, 5)
    same(json.load(open(name))['exit_status'], 5)


@option('result')
def results_are_written_when_there_is_no_room():
    name = room.path('noroom.json')
    ended(room.room('/no/such/program', record=False, options=['--result', name]), None, 127)
    same(json.load(open(name))['outcome'], 'not-run')
    ended(room.room('/bin/true', record=False, options=['--result', name, '-C', '/no/where']), None, 125)
    same(json.load(open(name))['outcome'], 'no-room')


@option('result-fd')
def result_descriptor_does_not_reach_the_program():
    r = ended(python('import os; print(sorted(map(int, os.listdir("/proc/self/fd"))))'), 'exited', 0)
    same(r.out, b'[0, 1, 2, 3]\n')  # 3 is the listing itself


@option('reply-fd')
def what_is_written_to_stdin_goes_to_a_descriptor():
    read_end, write_end = os.pipe()  # stdio.py does the rest
    ended(sh('echo asked; echo answered >&0', options=['--reply-fd', str(write_end)], pass_fds=(write_end,)), 'exited', 0)
    os.close(write_end)
    with os.fdopen(read_end, 'rb') as f:
        same(f.read(), b'answered\n')


@option('events')
def events_need_a_gate_and_a_place():
    name = room.path('events.jsonl')
    refused(room.room('/bin/true', record=False, options=['--events', name]), 'no gate')
    assert not os.path.exists(name), 'made for nothing'
    refused(room.room('/bin/true', record=False, options=['--net', 'gate', '--events', '/no/such/folder/x']), 'events')


@option('http')
def http_is_a_rule_the_other_way_round():
    text = room.outside(room.PROGRAM, 'policy', 'show', '--http', 'GET docs.example.org/*', '--http', 'POST docs.example.org:8443/x').stdout
    assert b'"docs.example.org:80,443 http=GET:/*"' in text and b'"docs.example.org:8443 http=POST:/x"' in text and b'net: gate' in text, text
    for words, said in ((['--http', 'GET a.test/*', '--allow', 'b.test', '--allow', 'a.test:443'], b'--allow a.test:80,443 http=GET:/* limits nothing where --allow a.test:443 lets every request pass'),
                        (['--http', 'GET a.test/*', '--allow', '*.w.test', '--allow', 'a.test:22', '--http', 'PUT a.test/x'], b''),
                        (['--http', 'GET https://a.test/x'], b'that is a URL')):
        r = room.outside(room.PROGRAM, 'run', *words, '--', 'true')
        assert said in r.stderr and (said or not r.stderr), (words, r.stderr)


@option('secret')
def secrets_are_marks_in_the_room():
    os.environ['STRONGROOM_TEST_SECRET'] = 'the-real-value'
    r = ended(room.room('/bin/sh', '-c', 'echo $TOKEN; env', options=['--secret', 'TOKEN=env:STRONGROOM_TEST_SECRET@example.org',
                                                                     '--allow', 'example.org']), 'exited', 0)
    assert len(r.out.splitlines()[0]) == 40 and b'the-real-value' not in r.out + r.err, r.out
    assert 'the-real-value' not in json.dumps(r.record)


@option('detach')
def detach_prints_the_name():
    name = 'options-%d' % os.getpid()
    r = room.outside(room.PROGRAM, 'run', '--detach', '--name', name, '--', 'true')
    same((r.returncode, r.stdout.decode()), (0, name + '\n'), repr(r.stderr))


@option('trace-steps')
def trace_steps_tells_each_step():
    r = ended(room.room('/bin/true', options=['--trace-steps']), 'exited', 0)
    for step in ('signals', 'root', 'pivot', 'seccomp', 'program'):
        assert re.search(r'strongroom:  %s +\d' % step, r.err.decode()), step
    for phase in ('= plan', '= clone', '= room built', 'total'):
        assert re.search(r'strongroom:  %s +\d' % phase, r.err.decode()), phase


@option('quiet')
def quiet_is_quiet():
    for flag in ('-q', '--quiet'):
        r = ended(room.room('/bin/sleep', '9', options=[flag, '--timeout', '100ms']), 'timeout', 124)
        same(r.err, b'')
        assert room.room('/no/such', options=[flag]).err, 'errors are said all the same'


@option('help')
def help_is_data_and_fits_the_line():
    for flag in ('-h', '--help'):
        r = room.room(record=False, options=[flag])
        r = room.finish(room.start([flag], None, record=False))
        same((r.status, r.err), (0, b''))
        assert max(map(len, r.out.decode().splitlines())) <= 80
    r = room.finish(room.start(['run'], None, record=False, verb='help'))
    assert b'--memory' in r.out


@test
def every_option_of_the_help_is_tried_here():
    r = room.finish(room.start(['--help'], None, record=False))
    known = set(re.findall(r'--([a-z-]+)', re.sub(r'(?s)^Usage.*?\n\n', '', r.out.decode())))
    same(sorted(known - covered), [], 'options without a test')
    same(sorted(covered - known), [], 'tests without an option')


@test
def notes_have_our_prefix():
    r = ended(room.room('/bin/true', options=['--disk', '2G']), 'exited', 0)
    assert r.err.startswith(b'strongroom: note: disk is larger than memory'), r


@test
def options_end_where_the_command_begins():
    same(ended(room.finish(room.start([], ['/bin/echo', '-q', '--', '--json'])), 'exited', 0).out, b'-q -- --json\n')
    r = room.finish(room.start(['--timeout=5s', '/bin/echo', '--timeout', 'x'], None))
    same(ended(r, 'exited', 0).out, b'--timeout x\n')
    r = room.finish(room.start(['-qe', 'A=1', '-eB=2', '-m=512M', '--prefer=memory', '/bin/sh', '-c', 'echo $A$B'], None))
    same(ended(r, 'exited', 0).out, b'12\n')


@test
def abstract_sockets_of_the_host_are_out_of_reach():
    s = socket.socket(socket.AF_UNIX)
    s.bind('\0strongroom-test-%d' % os.getpid())
    s.listen()
    r = python('import socket; s=socket.socket(socket.AF_UNIX); s.connect("\\0strongroom-test-%d")' % os.getpid(), options=['--net', 'host'])
    s.close()
    if r.status == 0 and r.record['landlock_abi'] < 6:
        # Only Landlock could tell them apart within one network, and it learned that with ABI 6: it must be said.
        told = r.record['receipt']['landlock']
        assert told['state'] == 'degraded' and told.get('note'), told
        return
    same(r.status, 1, str(r))


@test
def what_is_shown_in_scratch_folders_cannot_be_taken_away():
    file, folder = room.path('taken/file', 'text'), os.path.dirname(room.path('taken/in/file', 'text'))
    script = 'for x in /tmp/f /work/f /tmp/d; do mv $x $x.away && echo moved; rm -rf $x; ls -d $x; done 2>/dev/null; cat /tmp/f /work/f /tmp/d/file'
    r = sh(script, options=['-v', file + ':/tmp/f', '-v', file + ':/work/f', '-v', folder + ':/tmp/d'])
    same(r.out, b'/tmp/f\n/work/f\n/tmp/d\ntexttexttext')


@test
def every_two_of_the_larger_parts_fit_together():
    """Each has a process, a listener or a step of its own, which waits for another: together none may wait for ever."""
    top = os.path.dirname(room.path('pairs/ro/file', 'text'))
    for name in ('space', 'other', 'rw', 'out'):
        os.makedirs(os.path.join(os.path.dirname(top), name))
        room.path('pairs/%s/file' % name, 'text')
    base = os.path.dirname(top)
    os.environ.update(XDG_STATE_HOME=base + '/state', TOKEN='value')
    parts = {
        'explain': ['--explain'], 'json': ['--json'], 'trace': ['--trace-steps'], 'tty': ['-t'], 'uid': ['--uid', '1234'],
        'layer': ['-w', base + '/space'], 'on disk': ['-w', base + '/other', '--upper', 'disk:16M', '--apply', 'always'],
        'guard': ['-w', base + '/rw:/guarded', '--guard-deletes', '5'], 'in': ['--copy-in', base + '/rw:/work/in'],
        'out': ['--copy-out', '/tmp:' + base + '/out'], 'gate': ['--allow', 'example.org:443'], 'publish': ['--publish', '127.0.0.1:0:80'],
        'http': ['--allow', 'example.com http=GET:/*'], 'secret': ['--secret', 'TOKEN=env:TOKEN@example.net', '--allow', 'example.net:443'],
        'ro': ['--ro', top], 'tmpfs': ['--tmpfs', '/scratch:4M'], 'hide': ['--hide', '/usr/bin/env'], 'name': ['--name', 'pair-%d' % os.getpid()],
        'memory': ['-m', '128M', '--prefer', 'memory'], 'output': ['--output', '1M'],
    }
    for a, b in itertools.combinations(parts, 2):
        try:
            r = room.room('/bin/true', options=parts[a] + parts[b])
            ended(r, 'exited', 0)
        except AssertionError as e:
            raise AssertionError('%s and %s: %s' % (a, b, e)) from None


if __name__ == '__main__':
    room.main()
