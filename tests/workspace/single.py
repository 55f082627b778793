"""single: decisions about single changes, at a terminal and by words, and that nothing else becomes real."""
import json
import os
import re

import room
import work
from room import same, test
from terminal import at_terminal, plain
from work import folder, manifest, read, run, verb, write

SCRIPT = ('echo new >a.txt; rm b.txt; echo x >n.txt; mkdir -p fresh/deep; for i in 1 2 3; do echo $i >fresh/$i; done; '
          'echo d >fresh/deep/d; printf "#!/bin/sh\\nevil\\n" >.envrc; rm -r dir')
FILES = {'a.txt': 'old\n', 'b.txt': 'b\n', 'dir/c.txt': 'c\n', 'dir/d.txt': 'd\n'}


def changed(script=SCRIPT, files=None):
    top = folder(files or FILES)
    return top, manifest(top), run(script, top)


def review(r, keys, *words, **more):
    return at_terminal([room.PROGRAM, 'review', *words, r.id], keys, **more)


def decisions(r):
    return {c['path']: c.get('decision') for c in work.review(r)['changes']}


@test
def at_a_terminal_each_change_gets_its_answer_and_apply_does_what_was_accepted():
    top, before, r = changed()
    status, said, asked = review(r, [b'a', b'r', b'r', b'a', b'n', b'a', b'o', b'a', b'r', b'a', b'n', b'q', b'y'])
    same(status, 0, said[-300:])
    text = plain(said)
    order = [m.start() for m in (re.search(w, text) for w in (r'deletion', r'\.envrc \(added\)', r'a\.txt \(modified\)', r'n\.txt \(added\)'))]
    same(order, sorted(order), 'deletions first, then what could run, then modified, then added')
    assert 'b.txt (deleted)' in text and '-b' in text and '+new' in text and '2 entries in it' in text, text
    same(asked[-1], 'Apply what is accepted now [y/n]? ', asked)
    same((os.path.exists(top + '/b.txt'), os.path.exists(top + '/dir/d.txt')), (False, True), asked)
    same((read(top, 'a.txt'), os.path.exists(top + '/.envrc')), ('new\n', False), asked)
    same(sorted(os.listdir(top + '/fresh')), ['1', '3'], asked)
    assert b'rejected' in said and b'undecided left out' in said, said[-400:]
    verb('undo', r.id)
    same(manifest(top), before)
    same(decisions(r)['a.txt'], 'accepted', 'decisions outlive apply and undo')
    verb('apply', r.id)
    same(read(top, 'a.txt'), 'new\n')
    verb('discard', r.id)


@test
def what_was_decided_is_kept_when_the_terminal_goes():
    top, before, r = changed()
    review(r, [b'r', b'q'])
    same(sorted(p for p, d in decisions(r).items() if d), ['b.txt'])
    review(r, [b'\x03'])
    same(decisions(r)['b.txt'], 'rejected')
    done = verb('apply', r.id, status=125)
    assert b'nothing of this was accepted' in done.stderr, done.stderr
    same(manifest(top), before)
    assert b'1 rejected' in verb('review', '--list', r.id).stdout
    verb('review', '--anew', '--list', r.id)
    assert not any(decisions(r).values())
    verb('apply', r.id)
    assert not os.path.exists(top + '/b.txt')
    verb('discard', r.id)


@test
def keys_that_nobody_meant_decide_nothing():
    """What was typed ahead, arrows (which send an A), and a key that means nothing."""
    top, _, r = changed()
    status, said, asked = review(r, [b'\x1b[A', b'\x1bOA', b'za', b'A', b'n', b'\x1b[3~', b'q'])
    assert not any(decisions(r).values()), (decisions(r), asked)
    assert 'accept all that is open' in plain(said), said
    verb('discard', r.id)


@test
def what_is_typed_before_the_question_is_no_answer():
    _, _, r = changed()
    status, said, asked = review(r, [b'q'], rows=200, early=b'a')
    same((len(asked), [d for d in decisions(r).values() if d]), (1, []), plain(said))
    verb('discard', r.id)


@test
def all_that_is_open_never_takes_what_raises_an_alarm():
    top, _, r = changed()
    status, said, asked = review(r, [b'r', b'A', b'y', b'q', b'n'])
    got = decisions(r)
    same((got['.envrc'], got['a.txt'], got['fresh/deep/d']), (None, 'accepted', 'accepted'), (got, asked))
    assert 'rejected' in got.values(), got
    review(r, [b'R', b'y', b'n'])
    same(decisions(r)['.envrc'], 'rejected')
    verb('discard', r.id)


@test
def a_folder_that_comes_whole_is_one_and_can_be_opened():
    top, _, r = changed('mkdir new; for i in 1 2 3 4 5; do echo $i >new/$i; done')
    status, said, asked = review(r, [b'o', b'r', b'a', b'r', b'c', b'q', b'n'])
    same(decisions(r), {'new': None, 'new/1': 'rejected', 'new/2': 'accepted', 'new/3': 'rejected', 'new/4': None, 'new/5': None}, plain(said))
    verb('apply', r.id)
    same(os.listdir(top + '/new'), ['2'])
    verb('discard', r.id)
    top, _, r = changed('mkdir new; for i in 1 2 3 4 5; do echo $i >new/$i; done')
    review(r, [b'a', b'n'])
    same(set(decisions(r).values()), {'accepted'})
    verb('discard', r.id)


@test
def a_name_that_changed_its_type_is_one_decision():
    top, before, r = changed('rm -r dir; echo f >dir')
    status, said, asked = review(r, [b'a', b'y'])
    same(len(asked), 2, asked)
    same(read(top, 'dir'), 'f\n')
    verb('undo', r.id)
    same(manifest(top), before)
    verb('review', '--anew', '--list', r.id)
    review(r, [b'r'])
    same(set(decisions(r).values()), {'rejected'})
    verb('discard', r.id)


@test
def a_rejected_file_in_a_folder_that_goes_keeps_the_folder():
    top, before, r = changed('rm -r dir; echo f >dir')
    verb('apply', '--except', 'dir/c.txt', r.id)
    same(os.listdir(top + '/dir'), ['c.txt'], 'a file cannot take the place of a folder with something in it')
    verb('undo', r.id)
    same(manifest(top), before)
    verb('discard', r.id)
    top, before, r = changed('rm -r dir')
    verb('apply', '--except', 'dir/c.txt', r.id)
    same(os.listdir(top + '/dir'), ['c.txt'])
    verb('undo', r.id)
    same(manifest(top), before)
    verb('discard', r.id)


@test
def words_choose_as_keys_do():
    top, before, r = changed()
    verb('apply', '--except', 'dir/', '--except', './.envrc', '--except=fresh/deep', r.id)
    same((os.path.exists(top + '/dir/c.txt'), os.path.exists(top + '/.envrc'), sorted(os.listdir(top + '/fresh'))),
         (True, False, ['1', '2', '3']))
    same((read(top, 'a.txt'), os.path.exists(top + '/b.txt')), ('new\n', False))
    verb('undo', r.id)
    same(manifest(top), before)
    verb('apply', r.id, './fresh/', '--except', 'fresh/2')
    same(sorted(os.listdir(top + '/fresh')), ['1', '3', 'deep'])
    same(read(top, 'a.txt'), 'old\n')
    verb('undo', r.id)
    review(r, [b'r', b'q', b'n'])  # b.txt
    verb('apply', r.id, 'b.txt', status=125)
    assert os.path.exists(top + '/b.txt'), 'a path does not overrule a rejection'
    verb('apply', '--all', r.id, 'b.txt')
    assert not os.path.exists(top + '/b.txt')
    verb('undo', r.id)
    same(manifest(top), before)
    verb('discard', r.id)


@test
def a_conflict_is_told_and_an_accepted_one_stays_a_conflict():
    top, _, r = changed()
    write(top, 'a.txt', 'theirs, later\n')
    review(r, [b'A', b'y', b'q', b'n'])
    done = verb('apply', r.id, status=125)
    assert b'a.txt' in done.stderr and b'changed on the host' in done.stderr, done.stderr
    same(read(top, 'a.txt'), 'theirs, later\n')
    verb('apply', '--skip-conflicts', r.id)
    same((read(top, 'a.txt'), os.path.exists(top + '/b.txt')), ('theirs, later\n', False))
    verb('discard', r.id)


@test
def hostile_names_and_texts_reach_the_terminal_escaped_and_within_80_columns():
    script = ('python3 -c "\n'
              'for n in (b\'esc\\x1b]0;owned\\x07\', b\'csi\\x1b[2J\', b\'c1\\xc2\\x9b2J\', b\'rtl\\xe2\\x80\\xae\', b\'nl\\nAccept this? \'):\n'
              '    open(n, \'wb\').write(n + b\'\\x1b[8mhidden\\r+fine\\n\')\n"')
    top, _, r = changed(script)
    status, said, asked = review(r, [b'n'] * 5 + [b'q'])
    left = re.sub(rb'\x1b\[[0-9;]*m|\x1b\[A\r\x1b\[K', b'', said)
    assert b'\x1b' not in left and b'\x07' not in left and b'\xc2\x9b' not in left and b'\xe2\x80\xae' not in left, left
    assert not re.search(rb'\r[^\n]', left.replace(b'\r\r\n', b'\r\n')), left
    assert b'\x1b[8m' not in said and b'\\x1b[8mhidden' in said, said
    same(len(asked), 5, asked)
    same(max(len(x) for x in asked) <= 80, True, asked)
    verb('discard', r.id)


@test
def who_looks_holds_who_applies_off_and_decisions_are_about_one_list():
    top, before, r = changed()
    review(r, [b'a', b'q', b'n'])
    state = '/var/lib/strongroom' if room.ROOT else os.environ['XDG_STATE_HOME'] + '/strongroom'
    path = os.path.join(state, 'changes', r.id, 'decisions')
    good = open(path, 'rb').read()
    for bad in (good[:40], good[:-1] + b'\x07', good[:12] + b'\x01' + good[13:], good + b'\x01', b'', good[:16] + b'\xff' + good[17:]):
        with open(path, 'wb') as f:
            f.write(bad)
        done = verb('apply', r.id, status=125)
        assert b'decisions' in done.stderr, (bad, done.stderr)
        same(manifest(top), before)
    verb('review', '--anew', '--list', r.id)
    same(os.path.exists(path), False)
    verb('discard', r.id)


@test
def lists_are_as_wide_as_the_terminal_and_names_line_up():
    top = folder({'a.txt': 'old\n', 'ü\u00e9\u4e2d.txt': 'old\n'})
    r = run('echo more >>a.txt; for f in *.txt; do echo x >>"$f"; done; : %s' % ('y' * 60), top)
    for columns, ends in ((80, {80}), (120, {120}), (1000, {240})):
        lines = plain(at_terminal([room.PROGRAM, 'review', '--list', r.id], [], columns=columns)[1]).splitlines()
        same({len(line) for line in lines if line.startswith('  M ')}, ends, lines)
    same({len(line) for line in verb('review', '--list', r.id).stdout.decode().splitlines() if line.startswith('  M ')}, {80})
    for columns, cut in ((80, True), (300, False)):
        line = [x for x in plain(at_terminal([room.PROGRAM, 'ls'], [], columns=columns)[1]).splitlines() if r.id in x]
        same(line[0].endswith('...'), cut, line)
    verb('discard', r.id)


@test
def a_mode_alone_counts_no_bytes():
    top = folder({'a': 'x' * 1000, 'b': 'y'})
    r = run('chmod 700 a; echo z >>b', top)
    said = [(t['bytes_added'], t['bytes_deleted']) for t in (r.work, json.loads(verb('review', '--json', r.id).stdout)['totals'])]
    same(said[0], said[1], 'the same everywhere')
    assert b'(+3B -1B)' in verb('apply', r.id).stderr
    verb('discard', r.id)
