"""copies: what is copied into a room and out of it."""
import os
import socket

import room
from room import ended, refused, same, test
from work import HOME, folder, manifest, read, write


@test
def a_copy_may_be_changed_and_the_original_stays():
    top = folder()
    before = manifest(top)
    r = ended(room.sh('cat /work/work/a.txt; echo z >>/work/work/a.txt; rm -r work/dir; cat /tmp/x/b; echo q >/tmp/x/b',
                      options=['--copy-in', top, '--copy-in', top + '/b.txt:/tmp/x/b']), 'exited', 0)
    same((r.out, manifest(top), r.record['workspaces']), (b'old\nb\n', before, []))
    os.chmod(top + '/a.txt', 0o755)
    same(room.sh('stat -c %a a.txt', options=['--copy-in', top + '/a.txt']).out, b'755\n')


@test
def wrong_copies_are_refused():
    top = folder()
    os.mkfifo(top + '/pipe')
    for options, said in ((['--copy-in', top + '/none'], 'No such file'), (['--copy-in', top + '/pipe'], 'neither a file'),
                          (['--copy-in', top + '/a.txt:/srv/a'], '/work, /tmp'), (['--copy-out', '/work'], 'no folder of the host'),
                          (['--copy-out', '/:' + top], 'whole room'), (['--copy-out', '/work:' + top + '/a.txt'], 'Not a directory'),
                          (['--copy-out', '/work:' + top + '/no/where'], 'No such file'), (['--copy-out', 'work:' + top], 'must start with /')):
        refused(room.room('true', options=options, record=False), said)


@test
def results_come_out():
    out = folder({})
    r = ended(room.sh('mkdir -p res/d; echo 1 >res/1; echo 2 >res/d/2; ln -s 1 res/l; echo s >single',
                      options=['--copy-out', '/work/res:' + out, '--copy-out', '/work/single:' + out + '/new']), 'exited', 0)
    same((read(out, '1'), read(out, 'd/2'), os.readlink(out + '/l'), read(out, 'new/single')), ('1\n', '2\n', '1', 's\n'))
    same([c['failed'] for c in r.record['copies']], [None, None])


@test
def results_come_out_of_a_room_that_was_ended():
    out = folder({})
    r = room.sh('echo 1 >1; sleep 60', options=['--copy-out', '/work:' + out, '--timeout', '1500ms'])
    same((r.record['outcome'], read(out, '1')), ('timeout', '1\n'))


@test
def what_is_not_there_is_told():
    out = folder({})
    r = room.sh('true', options=['--copy-out', '/work/none:' + out])
    assert r.status == 125 and b'copy out /work/none: No such file' in r.err, r
    for also in (['--quiet'], ['--explain']):
        r = room.sh('true', options=['--copy-out', '/work/none:' + out, *also])
        same((r.status, r.err.count(b'strongroom: copy out /work/none: No such file')), (125, 1))


@test
def what_is_mounted_in_it_comes_out_too():
    top, shown, out = folder({'a': '1', 'd/b': '2'}), folder({'host': 'H'}), folder({})
    options = ['--copy-in', top + ':/work/in', '--tmpfs', '/work/t', '-v', shown + ':/work/host', '-v', shown + '/host:/work/file', '--quiet']
    script = 'echo 3 >in/d/c; rm in/a; echo 4 >t/t; mkdir in/e; ln -s / in/e/out'
    r = ended(room.sh(script, options=[*options, '--copy-out', '/work:' + out]), 'exited', 0)
    same({os.path.relpath(os.path.join(d, f), out) for d, _, files in os.walk(out) for f in files}, {'in/d/b', 'in/d/c', 't/t'})
    same((r.record['copies'][0]['left_out'], read(out, 'in/d/c'), sorted(os.listdir(top))), (1, '3\n', ['a', 'd']))
    out = folder({})  # a folder with the program's own script, which is the host's
    r = ended(room.sh('mv in/d in/f; echo 5 >in/f/g', options=['-v', shown + '/host:/work/file', '--copy-in', top + ':/work/in', '--copy-out', '/work/in:' + out]), 'exited', 0)
    same((sorted(os.listdir(out + '/f')), r.record['copies'][0]['left_out']), (['b', 'g'], 0))
    out = folder({})  # a file in the place of a mount that was moved away with what holds it
    r = ended(room.sh('mv p q && mkdir p && echo x >p/in && echo secret >p/beside', options=['--copy-in', top + ':/work/p/in', '--copy-out', '/work:' + out]), 'exited', 0)
    same((sorted(os.listdir(out + '/p')), read(out, 'p/in')), (['beside', 'in'], 'x\n'))


@test
def links_lead_nowhere():
    secret, out = folder({'secret': 'CANARY'}), folder({})
    r = ended(room.sh('ln -s %s abs; ln -s ../../../../../../..%s rel; ln -s %s dir; ln -s nowhere dangling; echo ok >ok; ln -s ok good' %
                      (secret + '/secret', secret + '/secret', secret), options=['--copy-out', '/work:' + out]), 'exited', 0)
    same(sorted(os.listdir(out)), sorted(set(os.listdir(out)) & {'ok', 'good', 'dangling'}))
    assert 'ok' in os.listdir(out) and b'links that lead out' in r.err, r
    r = room.sh('ln -s %s out' % secret, options=['--copy-out', '/work/out:' + out, '--ro', secret])
    assert r.status == 125 and not os.path.exists(out + '/secret'), r
    r = room.sh('ln -s . l; mkdir x; echo 1 >x/1', options=['--copy-out', '/work/l/x:' + out])
    assert r.status == 125 and b'link' in r.err, r


@test
def special_files_and_bits_stay_behind():
    out = folder({})
    r = ended(room.python('import os, socket\n'
                          'os.mkfifo("fifo"); socket.socket(socket.AF_UNIX).bind("sock"); open("f", "w").write("x")\n'
                          'os.mkdir("deep"); os.chdir("deep")\n'
                          'for _ in range(300): os.mkdir("d"); os.chdir("d")\n', options=['--copy-out', '/work:' + out], ), 'exited', 0)
    same(sorted(os.listdir(out)), ['deep', 'f'])


@test
def what_is_there_is_not_replaced_through_a_link():
    out, other = folder({}), folder({'x': 'other\n'})
    os.symlink(other, out + '/d')
    room.sh('mkdir d; echo evil >d/x', options=['--copy-out', '/work:' + out])
    same(read(other, 'x'), 'other\n')
@test
def a_file_that_stands_in_the_way_is_named():
    out = folder({'s/b': 'mine\n'})
    r = room.sh('mkdir -p res/s; echo 1 >res/s/b', options=['--copy-out', '/work/res:' + out])
    assert r.status == 125 and b'copy s/b: File exists' in r.err, r
    same(read(out, 's/b'), 'mine\n')


@test
def what_lies_there_keeps_its_mode_and_is_not_replaced():
    out = folder({'key': 'secret\n', 'private/x': 'x\n'})
    os.chmod(out + '/key', 0o600)
    os.chmod(out + '/private', 0o700)
    room.sh('mkdir -p res/key res/private; chmod 777 res/key res/private; echo n >res/private/new', options=['--copy-out', '/work/res:' + out])
    same((oct(os.stat(out + '/key').st_mode & 0o777), read(out, 'key')), ('0o600', 'secret\n'), 'a file where the room has a folder')
    same((oct(os.stat(out + '/private').st_mode & 0o777), read(out, 'private/new')), ('0o700', 'n\n'), 'a folder that was there')


