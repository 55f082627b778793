"""gitview: a review of a repository: what git tracks, what it does not, what is its own; all by the host's word."""
import os
import random
import subprocess

import room
import work
from commits import git, repository
from room import same, test
from terminal import at_terminal, plain
from work import folder, manifest, read, run, verb, write

ME = 'git config --global safe.directory "*"; git config --global user.name a; git config --global user.email a@b.c; '
FILES = {'a.txt': 'a\n', 'b.txt': 'b\n', '.gitignore': '*.log\nbuild/\n!keep.log\n', 'sub/.gitignore': '/x\n', 'sub/x1': '1\n'}


def inside(script, top, **more):
    return run(ME + script, top, '-e', 'HOME=/tmp', **more)


def classes(r):
    return {c['path']: c.get('git') for c in work.review(r)['changes']}


def listed(r, *words):
    return plain(verb('review', '--list', *words, r.id).stdout)


@test
def each_change_has_its_class_and_git_its_own_few_lines():
    top = repository(FILES)
    write(top, 'note', 'mine\n')
    write(top, 'old.log', 'o\n')
    git(top, 'branch', 'topic')
    first = git(top, 'rev-parse', '--short=7', 'HEAD').strip()
    r = inside('echo 2 >>a.txt; git commit -qam two; echo 3 >>a.txt; git commit -qam three; git branch -q -D topic; git tag v1; git branch side; '
               'git rev-parse --short=7 HEAD; rm note old.log b.txt; mkdir build; echo o >build/o; echo k >keep.log; echo x >sub/x; echo y >sub/y', top)
    last = r.out.decode().strip()
    seen = classes(r)
    same({p: seen[p] for p in seen if not p.startswith('.git/')},
         {'a.txt': 'tracked', 'b.txt': 'tracked', 'note': 'untracked', 'old.log': 'ignored', 'build': 'ignored', 'build/o': 'ignored',
          'keep.log': 'untracked', 'sub/x': 'ignored', 'sub/y': 'untracked'})
    same({seen[p] for p in seen if p.startswith('.git/')}, {'internal'})
    text = listed(r)
    for line in ('main: 2 new commits, %s..%s' % (first, last), 'side: 2 new commits, a new branch, at %s' % last,
                 'topic: BRANCH DELETED, was %s' % first, '1 tag, index, 6 new objects', 'of these in .git'):
        assert line in text, (line, text)
    order = [text.index(w) for w in ('\nDeleted', '\nModified', '\nUntracked', '\nIgnored by git', '\nIn .git')]
    same(order, sorted(order), text)
    assert 'note' in text.split('\nModified')[0] and ', untracked' in text and 'B, ignored' in text and '.git/objects' not in text, text
    assert all(len(line) <= 80 for line in text.partition('\n\n')[2].splitlines()), text
    names = verb('review', '--name-only', r.id).stdout.decode().split()
    same([n for n in names if '.git/' in n], ['.git/'])
    every = verb('review', '--name-only', '--all', r.id).stdout.decode().split()
    same(sorted(n.rstrip('/') for n in every), sorted(seen))
    assert '.git/objects/' in listed(r, '--all') and '\nIn .git' not in listed(r, '--all')
    stat = plain(verb('review', '--stat', r.id).stdout)
    assert 'main: 2 new commits' in stat and '.git/index' not in stat and '.git/index' in plain(verb('review', '--stat', '--all', r.id).stdout), stat
    assert work.review(r)['git'][0].startswith('main: 2 new commits')
    patch = verb('review', '--patch', r.id).stdout
    assert b'a.txt' in patch and b'.git/' not in patch, patch
    subprocess.run(['git', 'apply', '--check', '-'], cwd=top, input=patch, check=True)
    verb('apply', r.id)
    same(git(top, 'rev-list', '--count', 'main').strip(), '3')
    git(top, 'fsck', '--strict')


@test
def history_that_is_rewritten_or_lost_is_said_loudly():
    top = repository(FILES)
    write(top, 'a.txt', '2\n')
    git(top, 'commit', '-qam', 'two')
    git(top, 'branch', 'other')
    git(top, 'pack-refs', '--all')
    for script, said in (('git commit -q --amend -m other', 'main: 1 new commit, HISTORY REWRITTEN'), ('git branch -D -q other', 'other: BRANCH DELETED'),
                         ('git reset -q --hard HEAD~1', 'main: HISTORY REWRITTEN'), ('git checkout -q --detach', 'HEAD: now at'),
                         ('git checkout -q -b new', 'HEAD: now on the branch new'), ('git gc -q --prune=now', 'REMOVED'),
                         ('rm -r .git/objects/??', 'REMOVED'), ('echo 0123456789012345678901234567890123456789 >.git/refs/heads/main', 'main: moved')):
        r = inside(script, top)
        text = listed(r)
        assert said in text.partition('\nIn .git')[2], (script, text)
        verb('discard', r.id)
    r = inside('rm -rf .git', top)
    text = listed(r)
    assert '- .git/' in text.partition('\nDeleted')[2] and '\nIn .git' not in text and 'mass-deletion' in text, text
    verb('discard', r.id)


@test
def what_could_run_is_never_summed_up():
    top = repository(FILES)
    names = {'.git/hooks/pre-commit': 'git-hook', '.git/config': 'git-config', '.git/commondir': 'git-config', 'sub/.git': 'git-config',
             'bare/config': 'git-config', '.git/info/attributes': None, '.git/objects/info/alternates': None, '.git/index.sh': None,
             '.git/objects/ab/hook': None, '.git/refs/heads/link': None}
    r = run('cd .git; echo evil >hooks/pre-commit; printf "[core]\\n\\tfsmonitor = evil\\n" >>config; echo ../evil >commondir; mkdir -p info objects/info; '
            'echo "* filter=x" >info/attributes; echo /evil >objects/info/alternates; echo x >index.sh; mkdir -p objects/ab; echo x >objects/ab/hook; '
            'ln -s ../../config refs/heads/link; cd ..; echo "gitdir: ../bare" >sub/.git; mkdir bare; printf "[alias]\\n\\tx = !evil\\n" >bare/config', top)
    text = listed(r)
    for name, alarm in names.items():
        assert ' %s' % name in text, (name, text)
        assert alarm is None or any(alarm in line and name in line for line in text.splitlines()), (name, text)
    same([c.get('alarm') for c in work.review(r)['changes'] if c['path'] == '.git/hooks/pre-commit'], ['git-hook'])
    done = verb('apply', '--only-clean', r.id, status=125)
    assert b'alarm' in done.stderr
    verb('discard', r.id)


@test
def a_room_cannot_say_what_is_ignored_or_tracked():
    top = repository({'a.txt': 'a\n', 'b.txt': 'b\n'})
    r = inside('printf "*\\n" >.gitignore; mkdir -p .git/info; printf "*\\n" >.git/info/exclude; echo evil >n.py; git rm -q --cached a.txt; rm a.txt; '
               'mkdir -p d; printf "*\\n" >d/.gitignore; echo x >d/x', top)
    seen = classes(r)
    same([seen[p] for p in ('n.py', 'a.txt', 'd/x', '.gitignore')], ['untracked', 'tracked', 'untracked', 'untracked'])
    verb('discard', r.id)


@test
def what_cannot_be_read_is_said_and_nothing_is_hidden():
    for spoil, said in (('git update-index --split-index', 'index is split'), ('echo DIRC >.git/index', 'no known form'),
                        ('rm .git/index; mkfifo .git/index', 'no known form'), ('rm .git/index; ln -s /etc/passwd .git/index', 'no known form'),
                        ('head -c 100 .git/index >x; mv x .git/index', 'no known form'), ('mv .git ../g; echo gitdir: ../g >.git', 'elsewhere')):
        top = repository({'a.txt': 'a\n', '.gitignore': '*.log\n'})
        subprocess.run(spoil, shell=True, cwd=top, check=True)
        r = run('echo 2 >a.txt; echo l >x.log', top)
        text = listed(r)
        assert 'what git tracks is not known' in text and said in text, (spoil, text)
        same(classes(r), {'a.txt': None, 'x.log': None}, spoil)
        verb('discard', r.id)
    top = folder({'a.txt': 'a\n', '.gitignore': '*.log\n'})
    r = run('echo l >x.log; rm a.txt', top)
    same(classes(r), {'a.txt': None, 'x.log': None}, 'no repository')
    assert '\nAdded' in listed(r) and 'git' not in listed(r).partition('Deleted')[2]
    verb('discard', r.id)


@test
def a_room_cannot_forge_commits_or_lines():
    """A commit under a wrong name, a log full of commits, a name with an escape."""
    top = repository({'a.txt': 'a\n'})
    r = inside('f=$(git rev-parse HEAD); e=$(echo "$f" | sed "s|^..|&/|"); mkdir -p .git/objects/aa; cp ".git/objects/$e" '
               '.git/objects/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa >.git/refs/heads/main; '
               'for i in 1 2 3 4 5; do echo "$f $f a <a> 1 +0000 commit: x" >>.git/logs/refs/heads/main; done; '
               'printf "%s\\n" "$f" >".git/refs/heads/$(printf "e\\033[2Jv\\nil")"; printf "ref: refs/heads/\\033[31mred\\n" >.git/HEAD', top)
    text = verb('review', '--list', r.id).stdout.decode()
    assert 'new commit' not in text and 'main: moved' in text and '\033' not in text and '\\x1b[2Jv\\nil' in text, text
    verb('discard', r.id)


@test
def ignored_is_what_git_ignores():
    """Against git itself, with rules and trees that chance made."""
    chance = random.Random(11)
    words = ['a', 'b', 'ab', 'x.o', 'x.c', '.h', 'A', 'd e', '[z]', 'build']
    parts = words + ['*', '**', '?', '*.o', 'a*', '[ab]', '[!a]', '[a-x].?', '\\[z\\]', '*b*', 'x.[[:alpha:]]']
    total = 0
    for _ in range(8):
        top = repository({'seed': 's\n', 'a/t': 't\n'})
        for where in ('', 'a/', 'a/b/', 'build/'):
            os.makedirs(os.path.join(top, where), exist_ok=True)
            rules = [chance.choice(['', '', '', '!', '/']) + '/'.join(chance.choice(parts) for _ in range(chance.choice((1, 1, 2, 3)))) +
                     chance.choice(['', '', '/', ' ']) for _ in range(chance.randrange(6))]
            write(top, where + '.gitignore', '\n'.join(rules) + '\n')
        paths = sorted({'/'.join(chance.choice(words) for _ in range(chance.randrange(1, 5))) for _ in range(150)})
        write(top, 'list', '\n'.join(paths) + '\n')
        r = run('while IFS= read -r p; do mkdir -p "$(dirname "$p")" && [ ! -e "$p" ] && echo x >"$p"; done <list 2>/dev/null; true', top)
        changes = {c['path']: c for c in work.review(r)['changes'] if c['change'] == 'added' and c['type'] == 'file'}
        total += len(changes)
        verb('apply', r.id)
        done = subprocess.run(['git', 'check-ignore', '-z', '--stdin', '-v', '-n'], cwd=top, input='\0'.join(changes).encode(), stdout=subprocess.PIPE)
        fields = done.stdout.decode().split('\0')
        wanted = {fields[i + 3]: bool(fields[i + 2]) and not fields[i + 2].startswith('!') for i in range(0, len(fields) - 3, 4)}
        wrong = {p: (wanted[p], changes[p]['git']) for p in changes if (changes[p]['git'] == 'ignored') != wanted[p]}
        same(wrong, {}, 'as git says')
        verb('discard', r.id)
    assert total > 100, total


@test
def at_a_terminal_git_is_one_question():
    top = repository(FILES)
    before = manifest(top)
    r = inside('echo 2 >>a.txt; git commit -qam two; echo n >n.txt; echo evil >.git/hooks/post-merge', top)
    status, said, asked = at_terminal([room.PROGRAM, 'review', r.id], [b'r', b'a', b'r', b'a', b'y'])
    text = plain(said)
    assert status == 0 and 'Accept this work of git' in asked[3] and 'main: 1 new commit' in text, (asked, text)
    same(git(top, 'log', '-1', '--format=%s').strip(), 'two')
    same((read(top, 'a.txt'), os.path.exists(top + '/n.txt'), os.path.exists(top + '/.git/hooks/post-merge')), ('a\n2\n', False, False))
    verb('undo', r.id)
    same(manifest(top), before)
    status, said, asked = at_terminal([room.PROGRAM, 'review', '--anew', r.id], [b'n', b'n', b'n', b'o', b'r', b'q'])
    decided = [c['path'] for c in work.review(r)['changes'] if c.get('decision')]
    assert len(decided) == 1 and decided[0].startswith('.git/'), (decided, asked)
    at_terminal([room.PROGRAM, 'review', '--anew', r.id, '--', 'a.txt', '.git'], [b'n', b'n', b'r', b'q'])
    decided = [c for c in work.review(r)['changes'] if c.get('decision')]
    same({c['git'] for c in decided}, {'internal'})
    assert len(decided) > 5 and not any(c.get('alarm') for c in decided), decided
    verb('discard', r.id)
