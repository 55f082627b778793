"""hostile: programs that attack the supervisor, the account it gives, and what the caller did not mean to show.

Hazards run in rooms only.
"""
import ctypes
import os
import pty
import shutil
import subprocess
import tempfile
import time

import room
from room import OWNS_UIDS, Skip, ended, python, same, sh, test

FLOOD = 'while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done'


class Folder:
    """A folder of the host for one test, open to everybody."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='strongroom-hostile-', dir='/tmp')
        os.chmod(self.path, 0o755)
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


# --- a reader that does not read --------------------------------------------------------------------------------------

def flood_unread_terminal(options, action=None):
    """stdout is a terminal that nobody reads: a write to it waits for ever."""
    master, slave = pty.openpty()
    try:
        p = room.start([*options], ['/bin/sh', '-c', FLOOD], stdout=slave)
        os.close(slave)
        if action:
            action(p)
        return room.finish(p)
    finally:
        os.close(master)


@test
def an_unread_terminal_does_not_stop_the_clock():
    ended(flood_unread_terminal(['--timeout', '500ms']), 'timeout', 124)


@test
def an_unread_terminal_does_not_keep_signals_away():
    def end(p):
        room.pid_one(p.pid)
        time.sleep(0.5)
        p.terminate()
    ended(flood_unread_terminal(['-t'], end), status=143)


# --- a rootfs from a stranger -----------------------------------------------------------------------------------------

def small_rootfs(path, **links):
    """A root that has one program, a static one. links: names in it that lead elsewhere; usr may be one of them."""
    os.makedirs(path + '/real/bin')
    shutil.copy(room.PROGRAM, path + '/real/bin/tool')
    os.symlink('usr/bin', path + '/bin')
    for name, target in {'usr': 'real', **links}.items():
        at = os.path.join(path, name.replace('__', '/'))
        os.makedirs(os.path.dirname(at), exist_ok=True)
        os.symlink(target, at)
    return path


def shown(rootfs):
    """Host paths that the room's system is made of."""
    r = ended(room.room('/bin/tool', 'version', options=['--rootfs', rootfs]), 'exited', 0)
    assert r.out.startswith(b'strongroom '), r
    r = room.room('/bin/tool', options=['--rootfs', rootfs, '--dry-run'], record=False)
    return [line.split()[1] for line in r.out.decode().splitlines() if line.split()[0] == 'ro']


@test
def links_of_a_rootfs_stay_inside_of_it():
    with Folder() as path:
        os.mkdir(path + '/secret')
        root = small_rootfs(path + '/root', etc__alternatives=path + '/secret', etc__ssl='../../secret')
        same(shown(root), [root + '/real'])


@test
def a_rootfs_may_not_show_the_host_as_its_own():
    with Folder() as path:
        root = small_rootfs(path + '/root', etc__alternatives='/', etc__ssl__certs='../../../../../..')
        same(shown(root), [root + '/real', root, root])


# --- names in the room --------------------------------------------------------------------------------------------------

SETID = [f for f in ('/usr/bin/su', '/usr/bin/passwd') if os.path.exists(f) and os.stat(f).st_mode & 0o6000]
MASKED = 'for f in %s /proc/cmdline; do [ -s $f ] && echo $f; done; (: > /usr/bin/su) 2>/dev/null; true' % ' '.join(SETID)


@test
def masks_hold_where_the_policy_covers_run():
    for options in (['--tmpfs', '/run'], ['-v', '/usr/share:/run'], ['--tmpfs', '/run', '--hide', '/usr/share']):
        r = ended(sh(MASKED + '; ls /usr/share | head -n 1', options=options), 'exited', 0)
        same(r.out.split(), [] if '--hide' in options else r.out.split()[-1:], str(options))


@test
def a_mount_in_a_tmpfs_finds_its_place():
    with Folder() as path:
        open(path + '/file', 'w').close()
        for inner in (path + ':/opt/in', path + ':/opt/in:rw', path + '/file:/opt/in/file'):
            r = ended(sh('ls /opt/in', options=['--tmpfs', '/opt', '-v', inner]), 'exited', 0)
            same(r.out, b'file\n', inner)


@test
def a_tmpfs_in_a_strangers_folder_does_not_follow_links_out():
    """The link would lead the host's way while the room is built, and the room's way later: then nothing would be there."""
    with Folder() as path:
        os.symlink('/tmp', path + '/cache')
        r = ended(sh('touch /opt/cache/here; ls /tmp', options=['-v', path + ':/opt', '--tmpfs', '/opt/cache']), 'exited', 0)
        same(r.out, b'here\n')
        r = ended(sh('df /tmp | tail -n 1; df /work | tail -n 1',
                     options=['-v', path + ':/opt', '--tmpfs', '/opt/cache:1M']), 'exited', 0)
        sizes = [line.split()[1] for line in r.out.splitlines()]
        same(sizes[0], b'1024', 'the tmpfs is not where the room finds it')


@test
def what_is_mounted_in_a_writable_folder_stays_there():
    """Else a read-only .git could be moved aside, and another one put in its place."""
    with Folder() as path:
        os.mkdir(path + '/keep')
        os.mkdir(path + '/other')
        for name in ('file', 'hidden'):
            open(path + '/' + name, 'w').close()
        if OWNS_UIDS:
            os.chown(path, 4242, 4242)
        r = ended(sh('cd /opt; mv keep away; rm -f file; rm -f hidden; mv other hidden; echo x > new; mv -f new file; ls',
                     options=['-v', path + ':/opt:rw', '-v', path + '/keep:/opt/keep', '-v', path + '/file:/opt/file',
                              '--hide', '/opt/hidden']), 'exited', 0)
        assert {b'keep', b'file', b'hidden'} <= set(r.out.split()), r
        same(sorted(set(os.listdir(path)) - {'new', 'other'}), ['file', 'hidden', 'keep'])
        same(os.path.getsize(path + '/file'), 0)


DEVICES = 'for d in null zero full random urandom tty; do chmod 600 /dev/$d && echo $d; done 2>/dev/null; echo x >/dev/null'


@test
def the_owner_of_a_device_cannot_change_it():
    """Root that may not change its uid is root outside, whatever it is called inside."""
    r = ended(sh(DEVICES), 'exited', 0)
    same(r.out, b'')
    if not OWNS_UIDS:
        return
    drop = '-setuid,-setgid'
    before = [os.stat('/dev/' + n).st_mode for n in ('null', 'zero')]
    try:
        r = ended(sh(DEVICES, before=['setpriv', '--bounding-set', drop, '--inh-caps', drop]), 'exited', 0)
        same(r.out, b'')
        same([os.stat('/dev/' + n).st_mode for n in ('null', 'zero')], before)
    finally:
        for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty'):
            if os.stat('/dev/' + name).st_mode & 0o777 == 0o600:
                os.chmod('/dev/' + name, 0o666)


# --- the account ------------------------------------------------------------------------------------------------------

HIDDEN = '''
import ctypes, os, sys, time
for i in range(12):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)
        b = bytearray(b"x") * (20 << 20)
        time.sleep(2)
        os._exit(0)
time.sleep(3)
'''


@test
def a_name_does_not_hide_memory():
    """Without a memory cgroup we read /proc/PID/status, whose first line is the process's own to choose."""
    for name in ('plain', 'RssAnon:0', 'RssAnon:\t0\nRss'):
        r = python(HIDDEN, name, options=['-m', '100M', '--prefer', 'memory'])
        if room.has_cgroup():
            assert r.limit('memory')['hits'], r
        else:
            ended(r, 'memory', 137)


FORGETTING = '''
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
end = time.monotonic() + 8
while time.monotonic() < end:
    if os.fork() == 0:
        while time.process_time() < 0.2: pass
        os._exit(0)
    time.sleep(0.21)
'''


@test
def children_that_nobody_waits_for_use_processor_time_too():
    if 'cgroup2' not in room.holder('pids'):
        raise Skip('no cgroup that accounts for processor time')
    r = ended(python(FORGETTING, options=['--cpu-time', '1s', '--cpus', '2', '--prefer', 'cpus']), 'cpu-time', 152)
    assert r.seconds < room.patience(4), r.seconds


@test
def a_signal_of_ones_own_is_no_limit():
    for options in ([], ['--cpu-time', 'unlimited'], ['--cpu-time', '2s']):
        r = ended(sh('kill -XCPU $$', options=options), 'signalled', 152)
        same(r.limit('cpu-time')['hits'], 0)
        assert b'raise' not in r.err, r
    r = ended(sh('kill -XFSZ $$', options=['--file-size', 'unlimited']), 'signalled', 153)
    same(r.limit('file-size')['hits'], 0)


# --- output that is read late -----------------------------------------------------------------------------------------

# More than one pipe holds, less than two: the program ends, and what it said waits for the reader.
def read_late(seconds, options=(), action=None):
    p = room.start(['--timeout', '60s', *options], ['/usr/bin/seq', '1', '20000'])
    time.sleep(seconds)
    if action:
        action(p)
    return room.finish(p)


@test
def a_pager_gets_all_when_it_turns_the_page():
    r = ended(read_late(11), 'exited', 0)
    same(r.out.count(b'\n'), 20000)


@test
def nobody_waits_for_a_reader_against_the_callers_wish():
    r = ended(read_late(1, action=lambda p: p.terminate()), 'exited', 125)
    assert r.out.count(b'\n') < 20000 and b'the rest of it is lost' in r.err, r


@test
def output_that_is_not_taken_in_time_is_told_as_lost():
    r = ended(read_late(12, options=['--timeout', '1s']), 'exited', 125)
    assert r.out.count(b'\n') < 20000 and b'the rest of it is lost' in r.err, r


# --- the room's own pid 1 ----------------------------------------------------------------------------------------------

STARVE = '''
import os, time
for act in (lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)), lambda: os.sched_setaffinity(1, {0}),
            lambda: os.setpriority(os.PRIO_PROCESS, 1, 19), lambda: os.setpriority(os.PRIO_PGRP, 1, 19),
            lambda: os.setpriority(os.PRIO_USER, 0, 19)):
    try: act(); print("starved", flush=True)
    except OSError: pass
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for i in range(100):
    if os.fork() == 0:
        while 1: pass
time.sleep(20)
'''


@test
def pid_1_cannot_be_starved():
    """In the idle class, on one processor with a hundred that never sleep, it took longer to die than teardown waits."""
    r = ended(python(STARVE, options=['--timeout', '500ms']), 'timeout', 124)
    same(r.out, b'')


# --- names for an explanation ------------------------------------------------------------------------------------------

@test
def a_name_asks_no_automounter():
    """Below an automounter's folder a name is a question to another machine, or to nobody: here it is never answered."""
    if not OWNS_UIDS:
        raise Skip('only root mounts')
    libc = ctypes.CDLL(None, use_errno=True)
    asked, ask = os.pipe()
    with Folder() as path:
        options = 'fd=%d,pgrp=%d,minproto=5,maxproto=5,indirect' % (ask, os.getpgrp())
        if libc.mount(b'never', path.encode(), b'autofs', 0, options.encode()) < 0:
            raise Skip('no autofs here: ' + os.strerror(ctypes.get_errno()))
        try:
            r = ended(room.room('/bin/cat', path + '/secret.example/x', options=['--explain', '--timeout', '2s']), 'exited', 1)
            os.set_blocking(asked, False)
            try:
                same(os.read(asked, 4096), b'', 'asked')
            except BlockingIOError:
                pass
            assert b'No such file' in r.err, r
        finally:
            os.close(ask)
            os.close(asked)
            libc.umount2(path.encode(), 2)


# --- a host whose mounts are shared, as systemd makes them -------------------------------------------------------------

@test
def no_mount_of_a_room_reaches_a_host_whose_mounts_are_shared():
    script = """
        mount --make-rshared /
        cat /proc/self/mountinfo >"$2/before"
        "$1" run -- true
        "$1" run -v "$2/w":/work/f:rw -v /etc:/work/f/sub -- test -e /work/f/sub/passwd
        "$1" run -q -w "$2/w" -- touch "$2/w/new"
        "$1" run --tmpfs /opt/f -- true
        cat /proc/self/mountinfo >"$2/after"
        [ ! -e "$2/state" ] || chmod -R u+rwX "$2/state" # overlayfs keeps a folder shut
        diff "$2/before" "$2/after"
    """
    with Folder() as folder:
        os.makedirs(folder + '/w/sub')
        done = subprocess.run(['unshare', *([] if room.ROOT else ['-r']), '-m', 'sh', '-ec', script, 'sh', room.PROGRAM, folder],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=dict(os.environ, XDG_STATE_HOME=folder + '/state'))
        same((done.returncode, done.stdout), (0, ''))


if __name__ == '__main__':
    room.main()
