"""decide: review, apply, undo, discard, and what --apply decides by itself."""
import json
import os
import subprocess

import room
import work
from room import ended, refused, same, test
from terminal import at_terminal, plain
from work import counts, folder, ids, manifest, read, run, verb, write


@test
def nothing_is_real_before_it_was_applied_and_undo_takes_it_back():
    top = folder()
    before = manifest(top)
    r = ended(run('echo new >a.txt; rm b.txt; mkdir n; echo x >n/x; rm -r dir; cat a.txt', top), 'exited', 0)
    same(r.out, b'new\n')
    same(manifest(top), before, 'the folder while nobody has decided')
    assert {'a.txt', 'b.txt', 'n/x', 'dir/c.txt'} <= {n.rstrip('/') for n in work.names(r)}, work.names(r)
    verb('apply', r.id)
    same(read(top, 'a.txt'), 'new\n')
    same(sorted(os.listdir(top)), ['a.txt', 'n'], 'the folder after the apply')
    verb('undo', r.id)
    same(manifest(top), before, 'the folder after the undo')
    verb('apply', r.id)
    same(read(top, 'n/x'), 'x\n')
    verb('discard', r.id)
    assert r.id not in work.ids()
    same(read(top, 'n/x'), 'x\n', 'what was applied stays')


@test
def discard_forgets_and_the_folder_stays():
    top = folder()
    before = manifest(top)
    r = run('rm -rf ./*; echo x >new', top)
    verb('discard', r.id)
    assert r.id not in work.ids() and b'none with this ID' in verb('review', r.id, status=None).stderr
    same(manifest(top), before)


@test
def a_room_that_changes_nothing_keeps_nothing():
    top = folder()
    had = work.ids()
    r = ended(run('cat a.txt; touch x; rm x', top), 'exited', 0)
    same((r.id, r.work['failed']), (None, None), r)
    same(work.ids(), had)


@test
def only_the_named_paths_are_applied():
    top = folder()
    r = run('echo 1 >a.txt; echo 2 >b.txt; echo 3 >dir/c.txt; echo 4 >dir/d.txt', top)
    verb('apply', r.id, 'b.txt', 'dir')
    same([read(top, n) for n in ('a.txt', 'b.txt', 'dir/c.txt', 'dir/d.txt')], ['old\n', '2\n', '3\n', '4\n'])
    verb('undo', r.id)
    same(read(top, 'b.txt'), 'b\n')
    verb('discard', r.id)


@test
def what_the_host_changed_meanwhile_is_not_overwritten():
    top = folder()
    p = room.start(['-w', top, '--apply', 'never'], ['/bin/sh', '-c', 'echo mine >a.txt; echo mine >b.txt; echo; read go'], stdin=subprocess.PIPE)
    os.read(p.stdout.fileno(), 1)  # the room runs
    write(top, 'a.txt', 'theirs\n')
    r = ended(room.finish(p, b'\n'), 'exited', 0)
    r.id = r.record['workspaces'][0]['changes']
    before = manifest(top)
    done = verb('apply', r.id, status=125)
    assert b'conflict' in done.stderr, done.stderr
    same(manifest(top), before, 'nothing of a refused apply')
    verb('apply', '--skip-conflicts', r.id)
    same((read(top, 'a.txt'), read(top, 'b.txt')), ('theirs\n', 'mine\n'))
    verb('discard', r.id)


@test
def what_was_written_just_before_the_room_is_no_conflict():
    top = folder()
    for i in range(12):
        write(top, 'a.txt', 'before %d\n' % i)  # within the same tick of the kernel's clock, now and then
        r = run('echo after %d >a.txt' % i, top)
        verb('apply', r.id)
        same(read(top, 'a.txt'), 'after %d\n' % i)
        verb('discard', r.id)


@test
def apply_always_and_clean_decide_by_themselves():
    top = folder()
    r = ended(run('echo 1 >a.txt', top, '--apply', 'always'), 'exited', 0)
    same((read(top, 'a.txt'), r.work['state']), ('1\n', 'applied'))
    verb('undo', r.id)
    same(read(top, 'a.txt'), 'old\n')
    r = ended(run('echo 2 >a.txt', top, '--apply', 'clean'), 'exited', 0)
    same((read(top, 'a.txt'), r.work['alarms']), ('2\n', 0))
    r = run('mkdir -p .git/hooks; echo evil >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit', top, '--apply', 'clean')
    assert r.work['alarms'] > 0 and 'alarm' in r.work['failed'] and not os.path.exists(top + '/.git'), r.work
    same(r.status, 125, 'what was to be made real is not')
    r = run('echo 3 >a.txt; exit 7', top, '--apply', 'clean')
    same((r.status, read(top, 'a.txt')), (7, '2\n'), 'a program that failed')


@test
def a_question_is_only_asked_on_a_terminal():
    top = folder()
    r = room.sh('echo 1 >a.txt', options=['-w', top])
    assert b'kept as ' in r.err and b'?' not in r.err, r.err
    same(read(top, 'a.txt'), 'old\n')


@test
def on_a_terminal_the_answer_decides():
    top = folder()

    def answer(keys, script='echo 1 >a.txt'):
        return at_terminal([room.PROGRAM, 'run', '-w', top, '--', '/bin/sh', '-c', script], keys)
    status, said, _ = answer([b'k\n'])
    same((status, read(top, 'a.txt')), (0, 'old\n'), said)
    status, said, asked = answer([b'x\n', b'r\n', b'a', b'n', b'a\n'])
    text = plain(said)
    assert '+1' in text and '-old' in text and asked[2].startswith('Accept this modification'), said
    same((status, read(top, 'a.txt')), (0, '1\n'), said)
    status, said, asked = answer([b'r\n', b'r', b'n', b'a\n', b'k\n'], 'echo 2 >a.txt; echo 3 >b.txt')
    same((read(top, 'a.txt'), read(top, 'b.txt')), ('1\n', 'b\n'), 'nothing was accepted')
    status, said, asked = answer([b'r\n', b'r', b'a', b'y'], 'echo 2 >a.txt; echo 3 >b.txt')
    same((read(top, 'a.txt'), read(top, 'b.txt')), ('1\n', '3\n'), said)
    had = work.ids()
    status, said, _ = answer([b'd\n'], 'echo 2 >a.txt')
    same((read(top, 'a.txt'), work.ids()), ('1\n', had), said)


@test
def two_applies_at_once_are_one():
    top = folder({str(i): 'old' for i in range(300)})
    r = run('for i in *; do echo new >$i; done', top)
    both = [subprocess.Popen([room.PROGRAM, 'apply', r.id], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(4)]
    said = [p.communicate(timeout=room.HANG)[1] for p in both]
    same(sorted(p.returncode for p in both).count(0), 1, said)
    same({read(top, str(i)) for i in range(300)}, {'new\n'})
    verb('undo', r.id)
    same({read(top, str(i)) for i in range(300)}, {'old'})
    verb('discard', r.id)


@test
def another_folder_in_its_place_is_refused():
    top = folder()
    r = run('echo 1 >a.txt', top)
    os.rename(top, top + '.moved')
    done = verb('apply', r.id, status=125)
    assert b'No such file' in done.stderr, done.stderr
    os.mkdir(top)
    done = verb('apply', r.id, status=125)
    assert b'another folder' in done.stderr, done.stderr
    same(os.listdir(top), [])
    os.rmdir(top)
    os.rename(top + '.moved', top)
    verb('apply', r.id)
    same(read(top, 'a.txt'), '1\n')
    verb('discard', r.id)


@test
def ids_may_be_shortened_and_the_newest_is_meant():
    top = folder()
    r = run('echo 1 >a.txt', top)
    if not room.ROOT:  # root's store is not this test's alone
        verb('apply')
        same(read(top, 'a.txt'), '1\n')
        assert b'none with this ID' in verb('review', 'zzzzzz', status=None).stderr
    assert verb('review', '--stat', r.id[:5], status=None).returncode == 0
    rows = json.loads(verb('ls', '--json').stdout)
    row = [x for x in rows if x['id'] == r.id][0]
    same((row['dir'], row['at']), (top, top))
    assert row['command'].startswith('/bin/sh -c'), row
    verb('discard', r.id)


@test
def prune_forgets_what_is_old():
    top = folder()
    kept, gone = run('echo 1 >a.txt', top), run('echo 2 >a.txt', top, '--apply', 'always')
    assert gone.id not in verb('prune', '--older', '1h', '--dry-run').stdout.decode().split()
    said = verb('prune', '--older', '0s', '--dry-run').stdout.decode().split()
    assert gone.id in said and kept.id not in said, said
    assert gone.id in work.ids()
    if not room.ROOT:
        verb('prune', '--older', '0s')
        assert gone.id not in work.ids() and kept.id in work.ids()
        verb('prune', '--older', '0s', '--pending')
        same(work.ids(), set())


@test
def a_saved_layer_begins_further_rooms():
    top = folder()
    before = manifest(top)
    name = 'layer-%d' % os.getpid()
    r = run('echo 1 >a.txt; rm -r dir; mkdir dir; echo n >n', top)
    assert b'saved %s as %s;' % (r.id.encode(), name.encode()) in verb('save', name, r.id).stderr
    assert name in verb('save', '--list').stdout.decode().split()
    assert b'choose another name' in verb('save', name, r.id, status=125).stderr
    verb('discard', r.id)
    r = ended(run('cat a.txt n; ls dir; echo 2 >>a.txt', top, '--from', name), 'exited', 0)
    same((r.out, manifest(top)), (b'1\nn\n', before))
    verb('apply', r.id)
    same((read(top, 'a.txt'), read(top, 'n'), os.listdir(top + '/dir')), ('1\n2\n', 'n\n', []))
    verb('undo', r.id)
    same(manifest(top), before)
    verb('discard', r.id)
    verb('save', '--delete', name)
    assert name not in verb('save', '--list').stdout.decode().split()
    refused(room.room('true', options=['-w', top, '--from', name], record=False), 'none of this name')
    refused(room.room('true', options=['--from', name], record=False), 'wants one workspace')


@test
def wrong_words_are_told():
    for words, said in ((['review', '--jsn'], 'did you mean --json'), (['apply', '--only-clean=1'], 'takes no value'),
                        (['undo', 'a', 'b'], 'one word too many'), (['prune', '--older', 'x'], 'not a time'),
                        (['prune', '--older'], 'needs a value'), (['discard', '../x'], 'none with this ID'),
                        (['review', ''], 'neither an ID nor a path')):
        done = verb(*words, status=None)
        assert done.returncode in (125, 127) and said.encode() in done.stderr and done.stdout == b'', (words, done)


@test
def wrong_options_are_refused():
    top = folder()
    for options, said in ((['-w', top + '/missing'], 'No such file'), (['-w', top + '/a.txt'], 'Not a directory'),
                          (['-w', '/'], 'no workspace'), (['-w', top + '/../x'], '--at'), (['--at', '/x'], 'no workspace before it'),
                          (['-w', top, '-w', top + '/dir'], 'lies in the workspace'), (['-w', top, '--apply', 'maybe'], 'never, ask'),
                          (['-w', top, '--upper', 'ram'], 'tmpfs'), (['-w', top, '--upper', 'disk:1'], 'out of range'),
                          (['-w', top, '--upper', 'scratch:4M'], '--disk'), (['-w', top, '--at', '/proc/x'], '/proc')):
        refused(room.room('true', options=options, record=False), said)
@test
def what_is_left_out_takes_no_place():
    """A file that became a pipe stays the file; a pipe that went stays, and holds nothing else up."""
    top = folder()
    os.mkfifo(top + '/pipe')
    r = run('rm a.txt pipe; mkfifo a.txt; echo n >new', top)
    verb('apply', r.id)
    same((read(top, 'a.txt'), os.path.exists(top + '/pipe'), read(top, 'new')), ('old\n', True, 'n\n'))


@test
def the_store_is_no_workspace():
    state = os.environ.get('XDG_STATE_HOME') or work.HOME + '/.local/state'
    run('true', folder())  # now it is there
    state = '/var/lib' if room.ROOT else state
    for top in (state, state + '/strongroom', state + '/strongroom/changes'):
        r = room.sh('true', options=['-w', top, '--apply', 'never'])
        same(r.status, 125, str(r))
        assert b'keeps its changes in there' in r.err, r.err


def entry_of(r):
    top = '/var/lib/strongroom' if os.geteuid() == 0 else os.environ['XDG_STATE_HOME'] + '/strongroom'
    return os.path.join(top, 'changes', r.id)


@test
def a_half_done_apply_is_taken_back_by_who_writes_and_by_who_forgets_it():
    top = folder()
    r = run('echo two >a.txt; echo n >new', top)
    verb('apply', r.id)
    write(entry_of(r), 'state', 'applying\n')
    verb('review', r.id)
    verb('ls')
    same((read(top, 'a.txt'), read(entry_of(r), 'state')), ('two\n', 'applying\n'), 'who only reads changes nothing')
    assert r.id not in verb('prune', '--pending', '--older', '0s', '--dry-run').stdout.decode().split()
    os.rename(top, top + '.away')
    verb('discard', r.id, status=125)
    os.rename(top + '.away', top)
    write(top, 'new', 'mine, and longer\n')
    said = verb('discard', r.id).stderr
    assert b'new: changed since' in said, said
    same((read(top, 'a.txt'), read(top, 'new')), ('old\n', 'mine, and longer\n'))
    assert r.id not in ids()


ALARMS = ('echo 1 >a.txt; mkdir -p .git/hooks sub; echo evil >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; '
          'echo "all:; evil" >Makefile; echo "all:; evil" >sub/Makefile')


@test
def an_alarm_is_accepted_by_its_name_and_no_other_with_it():
    top = folder()
    before = manifest(top)
    r = run(ALARMS, top)
    for words, said in ((['--only-clean'], 'more alarms'), (['--accept', 'git-hook'], 'alarm build-file:Makefile'),
                        (['--accept', 'git-hook', '--accept', 'build-file:Makefile'], 'alarm build-file:sub/Makefile'),
                        (['--accept', 'git-hook:.git/hooks/pre', '--accept', 'build-file'], 'alarm git-hook:.git/hooks/pre-commit'),
                        (['--accept', 'git-config', '--accept', 'build-file'], 'alarm git-hook')):
        done = verb('apply', r.id, *words, status=125)
        assert said in done.stderr.decode() and b'--accept' in done.stderr, (words, done.stderr)
        same(manifest(top), before, words)
    for word, said in (('git-hok', 'did you mean git-hook'), ('git-hook:', 'path is not one'), ('git-hook:../x', 'path is not one'),
                       ('build-file:/etc', 'path is not one'), ('mass-deletion:x', 'about the whole'), ('all', 'no such alarm')):
        done = verb('apply', r.id, '--accept', word, status=None)
        assert done.returncode != 0 and said in done.stderr.decode(), (word, done.stderr)
        refused(room.room('true', options=['-w', top, '--accept', word], record=False), said)
        same(manifest(top), before, word)
    verb('apply', r.id, '--accept', 'git-hook:.git/hooks', '--accept', 'build-file:sub', '--accept', 'build-file:Makefile')
    same((read(top, 'a.txt'), os.path.exists(top + '/sub/Makefile')), ('1\n', True))
    verb('undo', r.id)
    same(manifest(top), before)
    verb('apply', r.id, '--except', '.git', '--except', 'sub', '--accept', 'build-file')
    same((os.path.exists(top + '/.git/hooks/pre-commit'), os.path.exists(top + '/Makefile')), (False, True))
    verb('discard', r.id)


@test
def a_run_accepts_alarms_and_a_project_cannot():
    top = folder({'a.txt': 'old\n', **{'d/%d' % i: 'x' for i in range(12)}})
    r = run(ALARMS, top, '--apply', 'clean', '--accept', 'git-hook')
    assert 'build-file' in r.work['failed'] and r.status == 125, r.work
    r = ended(run(ALARMS, top, '--apply', 'clean', '--accept', 'git-hook', '--accept', 'build-file'), 'exited', 0)
    same((r.work['state'], read(top, 'a.txt')), ('applied', '1\n'))
    r = run('rm -r d', top, '--apply', 'clean', '--accept', 'git-hook')
    assert 'mass-deletion' in r.work['failed'] and os.path.exists(top + '/d'), r.work
    write(os.path.dirname(top), 'p.yaml', 'apply: clean\naccept: [mass-deletion]\n')
    r = ended(run('rm -r d', top, '--apply', 'clean', '-p', os.path.dirname(top) + '/p.yaml'), 'exited', 0)
    same(os.path.exists(top + '/d'), False)
    write(top, '.strongroom.yaml', 'accept: [git-hook]\n')
    done = subprocess.run([room.PROGRAM, 'run', '-w', top, '--', 'true'], cwd=top, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert done.returncode == 125 and b'may only tighten' in done.stderr, done
