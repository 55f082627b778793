"""hostile: programs that attack the supervisor, the account it gives, and what the caller did not mean to show.

Hazards run in rooms only.
"""
import os
import pty
import shutil
import tempfile
import time

import room
from room import ended, same, test

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
        return room.finish(p, limit=30)
    finally:
        os.close(master)


@test
def an_unread_terminal_does_not_stop_the_clock():
    ended(flood_unread_terminal(['--timeout', '500ms']), 'timeout', 124)


@test
def an_unread_terminal_does_not_keep_signals_away():
    def end(p):
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


if __name__ == '__main__':
    room.main()
