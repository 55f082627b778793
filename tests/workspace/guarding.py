"""guarding: --guard-deletes: mass deletion is seen while it happens."""
import os
import subprocess
import time

import room
import work
from room import ended, refused, same, test
from terminal import at_terminal, plain
from work import folder, manifest, run, verb, write

MANY = {'d%d/f%d' % (i // 20, i): 'x\n' for i in range(200)}


def slow_delete(then='sleep 30'):
    return 'rm -r d0 d1 d2; find d3 d4 d5 -type f -delete; echo gone >told; %s' % then


@test
def a_room_that_deletes_too_much_is_ended():
    top = folder(MANY)
    before = manifest(top)
    began = time.monotonic()
    r = run(slow_delete(), top, '--guard-deletes', '60')
    took = time.monotonic() - began
    ended(r, 'guard', 137)
    assert took < room.patience(15), took
    assert b'more than 60 files of the workspace were deleted' in r.err and b'--guard-deletes' in r.err, r.err
    same(manifest(top), before)
    assert r.work['deleted'] >= 60 and r.id, r.work
    verb('apply', '--only-clean', r.id, status=125)
    verb('discard', r.id)


@test
def what_the_guard_ended_is_not_made_real_unasked():
    top = folder(MANY)
    before = manifest(top)
    for mode in ('always', 'clean'):
        r = run(slow_delete(), top, '--guard-deletes', '60', '--apply', mode)
        ended(r, 'guard', 137)
        same(manifest(top), before)
        assert b'not applied: the guard' in r.err, r.err
        verb('discard', r.id)


@test
def a_share_of_the_files_is_a_bound_too():
    top, more = folder(MANY), folder({'m%d' % i: 'x\n' for i in range(100)})
    r = run(slow_delete(), top, '-w', more, '--guard-deletes', '20%')
    ended(r, 'guard', 137)
    assert b'more than 60 files of the workspace were deleted (20%)' in r.err, r.err
    r = ended(run('rm -r d0 d1; sleep 2; echo end', top, '--guard-deletes', '20%'), 'exited', 0)
    same((r.out, r.work['deleted']), (b'end\n', 42), 'as many as allowed')
    r = ended(run('rm d0/f1; sleep 20', folder({'d0/f1': '1', 'b': '2'}), '--guard-deletes', '1%'), 'guard', 137)
    write(top, '.strongroom.yaml', 'guard-deletes: 30%\n')
    for words in (['--guard-deletes', '10%'], ['--guard-deletes', '5000']):
        write(os.path.dirname(top), 'p.yaml', 'guard-deletes: %s\n' % words[1])
        done = subprocess.run([room.PROGRAM, 'run', '-w', top, '-p', os.path.dirname(top) + '/p.yaml', '--', 'true'], cwd=top,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert done.returncode == 125 and b'may only tighten' in done.stderr, (words, done)
    shown = subprocess.run([room.PROGRAM, 'policy', 'show', '--guard-deletes', '7%'], stdout=subprocess.PIPE).stdout
    assert b'guard-deletes: 7%' in shown.replace(b'"', b''), shown


@test
def the_layer_on_disk_is_guarded_too():
    top = folder(MANY)
    r = run(slow_delete(), top, '--guard-deletes', '60', '--upper', 'disk')
    ended(r, 'guard', 137)
    verb('discard', r.id)


@test
def what_is_no_deletion_is_none():
    """New files that go again, changed ones, a folder made anew, and as many as allowed."""
    top = folder(MANY)
    script = ('mkdir n; for i in $(seq 300); do echo $i >n/$i; done; rm -r n; for f in d0/* d1/*; do echo y >$f; done; '
              'rm -r d3; mkdir d3; for i in $(seq 60 79); do echo z >d3/f$i; done; rm -r d4 d5 d6; sleep 2; echo end')
    r = ended(run(script, top, '--guard-deletes', '60'), 'exited', 0)
    same((r.out, r.work['deleted']), (b'end\n', 63), r)
    verb('discard', r.id)
    r = run('rm -r d3; mkdir d3; for i in $(seq 60 79); do echo z >d3/f$i; done; rm -r d4 d5 d6 d7/f140; sleep 30', top, '--guard-deletes', '60')
    ended(r, 'guard', 137)
    verb('discard', r.id)


@test
def at_a_terminal_everything_stands_still_until_there_is_an_answer():
    top = folder(MANY)
    script = slow_delete('sleep 1; for i in 1 2 3 4 5 6 7 8; do sleep 0.3; done; echo went on')

    def answer(word, rest=(b'd\n',)):
        pid_said = at_terminal([room.PROGRAM, 'run', '-w', top, '--guard-deletes', '60', '--apply', 'never', '--', '/bin/sh', '-c', script],
                               [word, *rest], prompt=b'anything else ends it: ')
        return pid_said
    status, said, asked = answer(b'yes\n')
    assert status == 137 and b'went on' not in said and 'every process is stopped' in plain(said), (status, said)
    status, said, asked = answer(b'go on\n', [b'go on\n'] * 3)
    assert status == 0 and b'went on' in said and len(asked) >= 1, (status, said, asked)


@test
def a_project_may_only_lower_it():
    top = folder(MANY)
    write(top, '.strongroom.yaml', 'guard-deletes: 60\n')

    def go(*options):
        return subprocess.run([room.PROGRAM, 'run', '-w', top, '--apply', 'never', *options, '--', '/bin/sh', '-c', slow_delete('sleep 30')], cwd=top,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, timeout=room.HANG)
    same(go().returncode, 137)
    write(os.path.dirname(top), 'p.yaml', 'guard-deletes: 50\n')
    done = go('-p', os.path.dirname(top) + '/p.yaml')
    assert done.returncode == 125 and b'only tighten' in done.stderr, done
    for bad in ('0', '-1', 'x', '100%'):
        refused(room.room('true', options=['-w', top, '--guard-deletes', bad], record=False), 'not a number of files')
