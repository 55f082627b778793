"""words: what the shell offers while a verb about changes is typed."""
import json
import os
import subprocess

import room
import work
from room import same, test
from work import folder, run, verb

ASK = r'''
strongroom() { %s "$@"; }
source <(strongroom completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_strongroom
printf '%%s\n' "${COMPREPLY[@]}"
'''


def offered(*words, cwd=None):
    done = subprocess.run(['bash', '-c', ASK % room.PROGRAM, 'bash', 'strongroom', *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, timeout=room.HANG)
    same(done.stderr, b'', words)
    return set(done.stdout.decode().split())


@test
def each_verb_is_offered_its_own_words():
    top = folder()
    a, b = run('echo 1 >a.txt', top), run('echo 2 >a.txt', top)
    name = 'words-%s' % a.id
    verb('save', name, a.id)
    here = folder({'file': 'x', '$(touch ran)': 'x'})
    for given in ('review', 'apply', 'undo', 'discard'):
        assert {a.id, b.id} <= offered(given, '') and 'file' not in offered(given, ''), given
        assert '--guard-deletes' not in offered(given, '--'), given
    assert {'--stat', '--json', '--name-only'} <= offered('review', '--')
    same(offered('review', a.id[:5]) & {a.id, b.id}, {a.id})
    assert {a.id, b.id} <= offered('review', '--list', '')
    assert {a.id, b.id} <= offered('save', 'name', '')
    assert name in offered('save', '--delete', '') and name in offered('run', '--from', '')
    same((offered('save', ''), offered('ls', ''), offered('prune', '--older', '')), (set(), set(), set()))
    same((offered('ls', '--'), offered('prune', '--d')), ({'--json', '--name-only'}, {'--dry-run'}))
    same(offered('save', '--'), {'--list', '--json', '--delete'})
    assert {'git-hook', 'mass-deletion'} <= offered('apply', '--accept', '') & offered('run', '--accept', '')
    for words in (('apply', a.id, ''), ('apply', '--except', ''), ('review', a.id, '--', '')):
        assert 'file' in offered(*words, cwd=here), words
    assert '--guard-deletes' in offered('run', '--') and 'file' in offered('run', '', cwd=here)
    assert not os.path.exists(here + '/ran'), 'a name was run'
    for i in (a.id, b.id):
        verb('discard', i)
    verb('save', '--delete', name)


@test
def a_list_takes_no_id_and_json_says_whose_it_is():
    top = folder()
    r = run('echo 1 >a.txt', top)
    done = verb('ls', r.id, status=125)
    assert b'takes no ID' in done.stderr, done.stderr
    shown = verb('review', '--json', r.id).stdout
    assert shown.endswith(b'}\n'), shown[-40:]
    got = work.review(r)
    same((got['id'], got['state'], got['dir'], got['totals']['modified']), (r.id, 'pending', top, 1))
    verb('discard', r.id)


@test
def a_path_of_the_host_is_one_in_its_workspace():
    top = folder()
    r = run('echo 1 >a.txt; echo 2 >b.txt; echo 3 >dir/c.txt', top)
    same(verb('review', '--name-only', r.id, '--', top + '/dir').stdout, b'dir/c.txt\n')
    verb('apply', '--except', top + '/dir/c.txt', r.id, '--', top + '/dir', top + '/a.txt')
    same([work.read(top, p) for p in ('a.txt', 'b.txt', 'dir/c.txt')], ['1\n', 'b\n', 'c\n'])
    verb('undo', r.id)
    for other in (top + '2/a.txt', '/etc/a.txt'):
        verb('apply', r.id, '--', other, status=125)
    verb('discard', r.id)


@test
def what_refuses_says_what_mends_it():
    top = folder()
    r = run('echo 1 >a.txt', top)
    os.mkdir('%s/.strongroom-%s' % (top, r.id))
    done = verb('apply', r.id, status=125)
    assert b'nothing was changed\nstrongroom: hint: something of this name' in done.stderr, done.stderr
    os.rmdir('%s/.strongroom-%s' % (top, r.id))
    if not room.ROOT:
        os.chmod(top, 0o500)
        done = verb('apply', r.id, status=125)
        assert b'Permission denied; nothing was changed\nstrongroom: hint: the folder must be yours' in done.stderr, done.stderr
        os.chmod(top, 0o700)
    verb('apply', r.id)
    verb('discard', r.id)


@test
def one_that_cannot_be_read_is_not_said_to_be_gone():
    if room.ROOT:
        return
    top = folder()
    os.chmod(top + '/a.txt', 0)
    r = run('rm -f a.txt', top)
    shown = verb('review', r.id).stdout
    assert b'cannot be read' in shown and b'not there any more' not in shown, shown
    verb('discard', r.id)


@test
def who_applies_is_told_what_is_never_made_real():
    top = folder()
    deep = 'mkdir deep; cd deep; i=0; while [ $i -lt 25 ]; do mkdir %s; cd %s; i=$((i + 1)); done; echo x >x' % ('d' * 200, 'd' * 200)
    r = run('mkfifo pipe; echo 1 >a.txt; ' + deep, top)
    assert b'1 left out' not in r.err and b'2 left out' in r.err, r.err
    done = verb('apply', '--only-clean', r.id, status=125)
    assert b'and more alarms' in done.stderr and b'--accept' in done.stderr, done.stderr
    verb('apply', '--accept', 'special-file', r.id, status=125)
    same(work.read(top, 'a.txt'), 'old\n')
    assert b'2 left out' in verb('apply', r.id).stderr
    same((work.read(top, 'a.txt'), os.path.exists(top + '/pipe')), ('1\n', False))
    verb('undo', r.id)
    verb('apply', '--accept', 'special-file', '--accept', 'unreadable', r.id)
    verb('undo', r.id)
    assert b'left out' not in verb('apply', r.id, '--', 'a.txt').stderr
    verb('discard', r.id)


@test
def lists_line_up_and_say_whose_layers_are():
    short, wide = folder(name='w'), folder(name='w\u00e9\n' + 'x' * 4)
    rooms = [run('echo 1 >a.txt; : ' + '\u00e9' * 60, top) for top in (short, wide)]
    out = verb('ls').stdout.decode()
    head, *rows = out.splitlines()
    rows = [row for row in rows if row.split()[0] in {r.id for r in rooms}]
    at = {row.index('/bin/sh -c') for row in rows}
    same((len(rows), at), (2, {head.index('command')}))
    assert all(row.endswith('\u00e9...') for row in rows), rows
    name = 'lined-' + rooms[0].id
    verb('save', name, rooms[0].id)
    got = [x for x in json.loads(verb('save', '--list', '--json').stdout) if x['name'] == name]
    same([(x['id'], x['dir']) for x in got], [(rooms[0].id, short)])
    assert b'only with --list' in verb('save', '--json', name, status=125).stderr
    verb('save', '--delete', name)
    for r in rooms:
        verb('discard', r.id)


@test
def a_patch_that_cannot_be_says_of_which_file():
    top = folder({'a': 'a\n', 'huge': '\0'})
    r = run('echo b >a; truncate -s 40M huge', top)
    done = verb('review', '--patch', r.id, status=125)
    assert b'a patch of huge: it has more than 32 MiB' in done.stderr and b'behind --' in done.stderr, done.stderr
    assert b'+b' in verb('review', '--patch', r.id, '--', 'a').stdout
    verb('discard', r.id)


@test
def an_empty_word_is_not_everything():
    top = folder()
    r = run('echo 1 >a.txt; echo 1 >b.txt', top)
    for words in (('apply', '--', ''), ('apply', r.id, '--', 'a.txt', ''), ('apply', ''), ('discard', ''), ('review', ''), ('save', 'x', '')):
        done = verb(*words, status=125)
        assert b'an empty word' in done.stderr and b'hint: ' in done.stderr, (words, done.stderr)
    same((work.read(top, 'a.txt'), work.read(top, 'b.txt')), ('old\n', 'b\n'))
    verb('apply', r.id, '--', top)  # the workspace itself is all of it
    same((work.read(top, 'a.txt'), work.read(top, 'b.txt')), ('1\n', '1\n'))
    verb('undo', r.id)
    verb('apply', r.id, '--', top + '/', '.')
    verb('discard', r.id)
