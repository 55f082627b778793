"""observe: --explain tells what was out of reach, and the option that it names is the one that helps."""
import errno
import os
import shlex

import room
from room import ended, sh, test


def watched(script, *options):
    """Runs a script with --explain; the denials of the layers root and net, by object."""
    r = sh(script, options=['--explain', *options])
    assert r.record['outcome'] in ('exited', 'signalled'), r
    ended(r)
    denials = r.record['receipt']['denials']
    if denials['state'] != 'on':
        assert denials.get('errno') == errno.EBUSY, denials
        raise room.Skip('an outer sandbox listens: nothing can be told')
    return r, {d['object']: d for d in r.record['denials'] if 'object' in d}


@test
def a_file_out_of_reach_names_the_option_that_shows_it():
    path = room.path('observe/told', 'the text')
    script = 'cat ' + shlex.quote(path)
    r, seen = watched(script)
    assert r.out == b'' and path in seen, seen
    assert seen[path]['layer'] == 'root' and seen[path]['what'] == 'open' and seen[path]['count'] >= 1, seen
    option = shlex.split(seen[path]['allow'])
    r, seen = watched(script, *option)
    assert r.out == b'the text' and path not in seen, (r, seen)


@test
def a_read_only_file_names_the_option_that_opens_it():
    path = room.path('observe/kept', 'old')
    os.chmod(path, 0o666)
    script = 'echo new > ' + shlex.quote(path)
    r, seen = watched(script, '--ro', path)
    assert seen[path]['allow'] == '--rw ' + path, seen
    r, seen = watched(script, *shlex.split(seen[path]['allow']))
    with open(path, encoding='ascii') as f:
        assert f.read() == 'new\n', r


@test
def what_cannot_be_made_is_told_without_an_option():
    r, seen = watched('mkdir /usr/new-folder; rm -f /usr/bin/env')
    assert seen['/usr/new-folder']['allow'] is None, seen
    assert seen['/usr/bin/env']['what'] == 'delete', seen


@test
def what_means_the_asker_is_not_out_of_reach():
    names = ['/proc/self/cgroup', '/proc/self/status', '/proc/mounts', '/proc/net/dev', '/dev/fd/0', '/dev/stdin']
    with open('/proc/self/cgroup', encoding='ascii') as f:  # known to the kernel, so that a look finds the host's
        f.read()
    r, seen = watched('for n in %s; do cat $n >/dev/null || exit 1; done' % ' '.join(names))
    assert r.status == 0 and not seen, (r, seen)


@test
def a_peer_out_of_reach_is_told():
    r, seen = watched('%s -IS -c \'import socket; socket.socket().connect_ex(("192.0.2.1", 443))\'' % room.PYTHON)
    assert seen['192.0.2.1:443']['layer'] == 'net' and seen['192.0.2.1:443']['allow'] == '--net host', seen


@test
def names_are_escaped_for_people_and_exact_for_programs():
    name = '/etc/\x1b]0;x\x07\nHELD'
    r, seen = watched('mkdir "%s" 2>/dev/null' % name)
    assert name in seen, seen
    assert b'\x1b]0;' not in r.err and b'\nHELD' not in r.err, r.err


@test
def a_room_with_a_workspace_and_copies_is_watched_too():
    top, other = os.path.dirname(room.path('observe/space/file', 'old')), room.path('observe/other', 'text')
    os.environ['XDG_STATE_HOME'] = os.path.join(os.path.dirname(top), 'state')
    r, seen = watched('echo new >file; chmod 755 file; cat ' + other, '-w', top, '--copy-in', top + '/file:/work/copy',
                      '--copy-out', '/work/copy:' + top + '/out')
    assert other in seen and r.record['workspaces'][0]['changes'], r.record['workspaces']


@test
def nobody_is_watched_unasked():
    r = ended(sh('cat /etc/shadow'))
    assert not [d for d in r.record['denials'] if 'object' in d], r.record['denials']


@test
def a_name_that_is_no_text_does_no_harm():
    script = ('import ctypes,os; libc=ctypes.CDLL(None)\n'
              'for a in (0, 1, 2**47 - 1, ctypes.addressof(ctypes.create_string_buffer(b"x" * 9000))):\n'
              '    libc.open(ctypes.c_void_p(a), 0)\n'
              'libc.unlink(b"/" + b"y" * 4000); print("alive")')
    r = ended(room.python(script, options=['--explain']), 'exited', 0)
    assert r.out == b'alive\n', r
