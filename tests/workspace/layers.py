"""layers: where workspaces appear, where their changes lie, how much they may be, and what is done where no overlay works."""
import os
import shlex
import shutil
import subprocess
import time

import room
import work
from room import Skip, ended, refused, same, test
from work import counts, folder, manifest, read, run, verb, write


@test
def a_workspace_is_where_it_was_asked_for():
    top = folder()
    same(run('pwd; ls', top).out, (top + '\na.txt\nb.txt\ndir\n').encode())
    same(run('pwd; ls', top, '--at', '/proj').out, b'/proj\na.txt\nb.txt\ndir\n')
    same(run('pwd', top + ':/proj').out, b'/proj\n')
    same(run('pwd', top, '--at', '/work').out, b'/work\n')
    same(run('pwd; ls', top, '--at', '/usr/share').out, b'/usr/share\na.txt\nb.txt\ndir\n')
    same(run('pwd', top, '--at', '/p', cwd=top + '/dir').out, b'/p/dir\n')
    same(run('pwd', top, '-C', '/tmp').out, b'/tmp\n')
    link = os.path.dirname(top) + '/link'
    os.symlink(top, link)
    r = run('pwd; echo 1 >a.txt', link)
    same((r.out, r.work['dir']), ((link + '\n').encode(), top))
    verb('discard', r.id)
    same(ended(room.sh('pwd', options=['-w', '.'], cwd=top), 'exited', 0).out, (top + '\n').encode())


@test
def several_workspaces_are_kept_apart():
    one, two = folder(), folder()
    r = ended(room.sh('echo 1 >%s/a.txt; echo 2 >/two/a.txt' % one, options=['-w', one, '-w', two, '--at', '/two']), 'exited', 0)
    by = {w['dir']: w for w in r.record['workspaces']}
    same(by[two]['at'], '/two')
    verb('apply', by[two]['changes'])
    same((read(one, 'a.txt'), read(two, 'a.txt')), ('old\n', '2\n'))
    for w in by.values():
        verb('discard', w['changes'])


@test
def the_mount_table_stays_empty_and_nothing_of_ours_is_seen():
    r = run('cat /proc/self/mounts; ls -A / /work /tmp /dev/shm /run /run/strongroom | grep -xE "upper|changes|work"', folder())
    same(r.out, b'work\n')


@test
def the_layers_are_out_of_reach_and_cannot_be_forged():
    r = ended(run('python3 -c "\n'
                  'import os\n'
                  'for name, value in ((b\'user.overlay.opaque\', b\'y\'), (b\'trusted.overlay.opaque\', b\'y\'), (b\'user.overlay.redirect\', b\'/etc\')):\n'
                  '    try: os.setxattr(b\'dir\', name, value)\n'
                  '    except OSError: pass\n'
                  'try: os.mknod(\'w\', 0o020000, 0)\n'
                  'except OSError as e: print(e.errno)\n'
                  '"', folder()), 'exited', 0)
    same(r.out, b'1\n', 'making the mark of a deletion')
    if r.id:
        assert 'dir/c.txt' not in work.names(r), work.names(r)
        verb('discard', r.id)


@test
def the_receipt_tells_of_the_layer():
    r = ended(run('true', folder()), 'exited', 0)
    layer = r.record['receipt']['workspace']
    assert layer['state'] == ('on' if in_memory() else 'degraded') and layer['probed'], layer
    assert 'workspace' not in ended(room.sh('true')).record['receipt']


def uppers():
    return ([], ['--upper', 'tmpfs:16M'], ['--upper', 'disk'])


@test
def each_kind_of_upper_keeps_changes():
    for options in uppers():
        top = folder()
        before = manifest(top)
        r = ended(run('echo new >a.txt; rm -r dir; mkdir dir; echo y >dir/y; ln -s a.txt l; rm b.txt', top, *options), 'exited', 0)
        same(manifest(top), before, options)
        verb('apply', r.id)
        same((sorted(os.listdir(top)), os.listdir(top + '/dir'), read(top, 'l')), (['a.txt', 'dir', 'l'], ['y'], 'new\n'), options)
        verb('undo', r.id)
        same(manifest(top), before, options)
        verb('discard', r.id)
    r = ended(run('true', folder(), '--upper', 'disk'), 'exited', 0)
    same(r.id, None)
    same(r.record['receipt']['workspace']['state'], 'degraded')
    refused(room.room('true', options=['-w', folder(), '--upper', 'disk', '--require', 'workspace'], record=False), 'require the layer workspace')


def in_memory():
    """Can this kernel's tmpfs hold layers (since 6.6)? Else changes are on disk, and only watched."""
    return tuple(map(int, os.uname().release.split('.')[:2])) >= (6, 6)


@test
def changes_count_under_the_disk_limit():
    if not in_memory():
        raise Skip('changes are on disk here')
    script = 'head -c 6000000 /dev/zero >big 2>/dev/null; echo $?'
    r = ended(run(script, folder(), '--disk', '4M'), 'exited', 0)
    assert r.out == b'1\n' and r.limit('disk')['hits'], (r.out, r.limit('disk'))
    verb('discard', r.id)
    r = ended(run(script, folder(), '--upper', 'tmpfs:4M', '--disk', '64M'), 'exited', 0)
    same(r.out, b'1\n')
    verb('discard', r.id)
    r = ended(run('i=0; while [ $i -lt 400 ]; do : >f$i || exit 9; i=$((i+1)); done', folder(), '--inodes', '200'), 'exited')
    assert r.status != 0, r
    verb('discard', r.id)


@test
def changes_on_disk_are_watched():
    r = run('head -c 60000000 /dev/urandom >big; sync big; sleep 5', folder(), '--upper', 'disk:16M', '--file-size', '1G')
    same((r.record['outcome'], r.status), ('disk', 153), r)
    assert b'--upper disk:SIZE' in r.err and b'16M reached' in r.err, r.err
    verb('discard', r.id)


@test
def a_copy_serves_where_no_overlay_is_wanted():
    top = folder()
    before = manifest(top)
    had = work.ids()
    r = ended(run('echo new >a.txt; rm -r dir', top, '--copy-workspaces'), 'exited', 0)
    same((manifest(top), work.ids() - had), (before, {r.id}))
    layer = r.record['receipt']['workspace']
    assert layer['state'] == 'degraded' and 'copied' in layer['note'], layer
    verb('apply', r.id)
    same((read(top, 'a.txt'), sorted(os.listdir(top))), ('new\n', ['a.txt', 'b.txt']))
    verb('undo', r.id)
    same(manifest(top), before)
    verb('discard', r.id)


def nested(script, *words):
    """Below a user namespace of its own, where one may mount."""
    done = subprocess.run(['unshare', '-rm', '/bin/sh', '-ec', script, 'sh', *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=room.HANG)
    if b'unshare failed' in done.stderr or b'Operation not permitted' in done.stderr[:200]:
        raise Skip('no user namespace with mounts here')
    return done


@test
def what_no_overlay_can_lie_over_is_copied_and_said():
    """A workspace on an overlay that lies on an overlay already."""
    top = folder()
    script = ('m=$(mktemp -d); mount -t tmpfs t $m; mkdir $m/u1 $m/w1 $m/o1 $m/u2 $m/w2 $m/o2\n'
              'mount -t overlay o -o userxattr,lowerdir="$1",upperdir=$m/u1,workdir=$m/w1 $m/o1\n'
              'mkdir $m/x; mount -t tmpfs t $m/x; mkdir $m/x/u $m/x/w\n'
              'mount -t overlay o -o userxattr,lowerdir=$m/o1,upperdir=$m/x/u,workdir=$m/x/w $m/o2\n'
              'cd $m/o2; "$2" run -w . --at /p --apply always -- sh -c "cat a.txt; echo new >a.txt"; cat a.txt\n')
    done = nested(script, top, room.PROGRAM)
    assert done.stdout == b'old\nnew\n' and b'copies instead' in done.stderr, done
    done = nested(script.replace('run -w', 'run --require workspace -w'), top, room.PROGRAM)
    assert b'require' in done.stderr or b'show' in done.stderr, done
    same(done.stdout, b'', 'nothing was run')


@test
def what_is_mounted_in_a_workspace_is_no_obstacle():
    top = folder()
    script = ('mount -t tmpfs t "$1/dir"; echo mounted >"$1/dir/m"\n'
              '"$2" run -w "$1" --at /p --apply always -- sh -c "echo new >a.txt; ls dir"; cat "$1/a.txt"\n')
    done = nested(script, top, room.PROGRAM)
    assert done.stdout.endswith(b'new\n'), done


@test
def a_workspace_that_is_not_ours():
    if room.ROOT:
        raise Skip('root may read everything')
    r = ended(run('touch x; ls >/dev/null', '/etc/alternatives', '--at', '/p'), 'exited', 0)
    same(r.record['receipt']['workspace']['state'], 'on' if in_memory() else 'degraded')
    done = verb('apply', r.id, status=125)
    assert done.stderr.startswith(b'strongroom: '), done
    verb('discard', r.id)
    refused(room.room('true', options=['-w', '/root'], record=False), 'Permission denied')


@test
def roots_room_is_the_owner_of_the_folder():
    if not room.OWNS_UIDS:
        raise Skip('only root maps users')
    top = folder()
    for at, folders, files in os.walk(top):
        for name in folders + files:
            os.chown(os.path.join(at, name), 4242, 4242)
    os.chown(top, 4242, 4242)
    os.chmod(top + '/a.txt', 0o600)
    r = ended(run('id -u; cat a.txt; stat -c %U a.txt dir .; echo new >a.txt; echo x >x', top), 'exited', 0)
    same(r.out, b'1000\nold\nroom\nroom\nroom\n')
    verb('apply', r.id)
    for name in ('a.txt', 'x'):
        s = os.stat(os.path.join(top, name))
        same((s.st_uid, s.st_gid), (4242, 4242), name)
    verb('discard', r.id)


@test
def an_older_kernels_tmpfs_is_no_place_for_layers():
    program = os.path.join(room.PROJECT, 'build-fault/strongroom')
    if not os.path.exists(program) or room.EMULATED:
        raise Skip('no build for faults')
    top = folder()
    env = {**os.environ, 'STRONGROOM_FAULT': 'call:tmpfs-layers:95'}
    r = ended(room.sh('rm -r dir; mkdir dir; echo 1 >a.txt', options=['-w', top, '--apply', 'never'], program=program, env=env), 'exited', 0)
    layer = r.record['receipt']['workspace']
    assert layer['state'] == 'degraded' and 'on disk' in layer['note'], layer
    verb('apply', r.record['workspaces'][0]['changes'])
    same((read(top, 'a.txt'), os.listdir(top + '/dir')), ('1\n', []))


@test
def the_cost_does_not_depend_on_the_folder():
    small, large = folder(), folder()
    for i in range(4000):
        write(large, 'f%d' % i, '')
    script = 'true'
    best = {}
    for _ in range(7):
        for top in (small, large):
            r = ended(run(script, top), 'exited', 0)
            best[top] = min(best.get(top, 1e9), r.record['time']['build_us'])
    assert best[large] < best[small] + room.patience(3000), best


@test
def an_upgrade_while_the_room_lives_loses_nothing():
    top, out, bin = folder(), folder({}), folder({}, 'bin')
    for name in ('strongroom', 'strongroom-tree'):
        shutil.copy(os.path.join(os.path.dirname(room.PROGRAM), name), bin)
    p = subprocess.Popen([bin + '/strongroom', 'run', '-q', '-w', top, '--apply', 'always', '--copy-out', '/tmp/out:' + out, '--',
                          'sh', '-c', 'echo new >a.txt; mkdir /tmp/out; echo o >/tmp/out/o; echo up; read x'],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    same(p.stdout.readline(), b'up\n')
    for name in ('strongroom', 'strongroom-tree'):
        shutil.copy('/bin/false', bin + '/next')
        os.rename(bin + '/next', os.path.join(bin, name))
    said = p.communicate(b'\n', timeout=room.HANG)
    same((p.returncode, said), (0, (b'', b'')))
    same((read(top, 'a.txt'), read(out, 'o')), ('new\n', 'o\n'))


@test
def without_its_helper_nothing_begins():
    if any(os.path.exists(place + '/libexec/strongroom/strongroom-tree') for place in ('/usr', '/usr/local')):
        raise Skip('an installed strongroom-tree would be found')
    top, out, bin = folder(), folder({}), folder({}, 'bin')
    shutil.copy(room.PROGRAM, bin)
    for options in (['-w', top], ['--copy-out', '/tmp:' + out]):
        p = subprocess.run([bin + '/strongroom', 'run', *options, '--', 'echo', 'ran'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=room.HANG)
        assert p.returncode == 125 and p.stdout == b'' and b'start strongroom-tree: it is not there' in p.stderr, p
