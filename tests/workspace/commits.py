"""commits: apply --commit: exactly what was applied, by the agent, and nothing of a repository's words is run."""
import os
import shutil
import stat
import subprocess

import room
import work
from room import Skip, same, test
from work import folder, manifest, read, run, verb, write

ENV = {**os.environ, 'GIT_CONFIG_NOSYSTEM': '1', 'GIT_CONFIG_GLOBAL': '/dev/null', 'GIT_OPTIONAL_LOCKS': '0', 'GIT_AUTHOR_NAME': 'U', 'GIT_AUTHOR_EMAIL': 'u@e.x',
       'GIT_COMMITTER_NAME': 'U', 'GIT_COMMITTER_EMAIL': 'u@e.x'}


def git(top, *words, check=True):
    done = subprocess.run(['git', *words], cwd=top, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert not check or done.returncode == 0, (words, done.stderr)
    return done.stdout.decode()


def repository(files=None, commit=True):
    if not shutil.which('git'):
        raise Skip('no git here')
    top = folder(files or {'a.txt': 'a\n', 'b.txt': 'b\n', 'c.txt': 'c\n', '.gitignore': '*.log\n'})
    git(top, 'init', '-q', '-b', 'main', '.')
    git(top, 'config', 'user.name', 'The User')
    git(top, 'config', 'user.email', 'user@example.org')
    if commit:
        git(top, 'add', '-A')
        git(top, 'commit', '-qm', 'one')
    return top


def commit(r, *words, **more):
    clean = {k: v for k, v in os.environ.items() if not k.startswith('GIT_')}
    return verb('apply', '--commit', 'Do a thing\n\nand say why', r.id, *words, env=more.pop('env', clean), **more)


def refused(r, top, said, before, *words):
    done = commit(r, *words, status=None)
    assert done.returncode in (125, 127) and said in done.stderr.decode(), done.stderr
    same(manifest(top), before, said)


@test
def a_commit_is_exactly_what_was_applied_and_what_the_user_had_stays():
    top = repository()
    write(top, 'staged', 'staged\n')
    git(top, 'add', 'staged')
    write(top, 'c.txt', 'c\nmine, not staged\n')
    write(top, 'untracked', 'mine\n')
    before = manifest(top)
    r = run('echo new >a.txt; rm b.txt; mkdir d; printf "\\0\\1" >"d/sp ace\\"q"; chmod +x d/*; ln -s a.txt link; echo log >x.log; echo no >no', top)
    done = commit(r, '--except', 'no')
    same(git(top, 'log', '-1', '--format=%an <%ae>|%cn <%ce>|%B').strip(),
         'strongroom agent <agent@strongroom.invalid>|The User <user@example.org>|Do a thing\n\nand say why')
    same(git(top, 'diff-tree', '-r', '--no-commit-id', '--name-status', '-z', 'HEAD').split('\0')[:-1],
         ['M', 'a.txt', 'D', 'b.txt', 'A', 'd/sp ace"q', 'A', 'link'])
    same(git(top, 'ls-tree', '-r', '--format=%(objectmode) %(path)', 'HEAD', 'd', 'link').split('\n')[1], '120000 link')
    same(git(top, 'status', '--porcelain').splitlines(), [' M c.txt', 'A  staged', '?? untracked'])
    same(read(top, 'x.log'), 'log\n', 'an ignored file is applied, and not committed')
    same(git(top, 'rev-list', '--count', 'HEAD').strip(), '2')
    git(top, 'fsck', '--strict')
    second = done.stderr.decode().split('strongroom undo ')[1].split()[0]
    verb('undo', second)
    verb('undo', r.id)
    same(manifest(top), before, 'the folder after both were undone')
    commit(r, '--author', 'Some Body <b@example.org>', 'a.txt', env={**ENV, 'HOME': '/nonexistent', 'XDG_STATE_HOME': os.environ['XDG_STATE_HOME']})
    same(git(top, 'log', '-1', '--format=%an %ae|%cn').strip(), 'Some Body b@example.org|U')


@test
def nothing_that_a_repository_names_is_run():
    top = repository()
    outside = folder({}, 'outside')
    proof = os.path.join(outside, 'proof')
    evil = os.path.join(top, 'evil')
    write(top, 'evil', '#!/bin/sh\necho ran "$0" "$@" >>%s\necho ran >>%s/.git/ran\necho ran >>%s/ran\ncat\n' % (proof, top, top))
    os.chmod(evil, 0o755)
    write(top, '.gitattributes', '* filter=evil diff=evil merge=evil text\n')
    git(top, 'add', '-A')
    git(top, 'commit', '-qm', 'two')
    for hook in ('pre-commit', 'post-commit', 'reference-transaction', 'post-index-change', 'commit-msg', 'prepare-commit-msg',
                 'pre-auto-gc', 'post-rewrite', 'fsmonitor-watchman', 'post-checkout', 'update', 'post-update'):
        shutil.copy(evil, top + '/.git/hooks/' + hook)
    write(top, '.git/included', '[core]\n\tfsmonitor = %s\n\thooksPath = %s/.git/hooks\n' % (evil, top))
    with open(top + '/.git/config', 'a', encoding='utf-8') as f:
        f.write(''.join('[%s]\n\t%s\n' % (s, '\n\t'.join(x.replace('EVIL', evil) for x in lines)) for s, lines in (
            ('core', ['fsmonitor = EVIL', 'editor = EVIL', 'pager = EVIL', 'sshCommand = EVIL', 'gitProxy = EVIL',
                      'askPass = EVIL', 'alternateRefsCommand = EVIL', 'worktree = /', 'untrackedCache = true']),
            ('filter "evil"', ['clean = EVIL', 'smudge = EVIL', 'process = EVIL', 'required = true']),
            ('diff "evil"', ['textconv = EVIL', 'command = EVIL']), ('merge "evil"', ['driver = EVIL']), ('diff', ['external = EVIL']),
            ('commit', ['gpgSign = true', 'template = EVIL']), ('gpg', ['program = EVIL']), ('credential', ['helper = !EVIL']),
            ('alias', ['%s = !EVIL' % c for c in ('commit-tree', 'fast-import', 'update-ref', 'read-tree', 'rev-parse', 'symbolic-ref')]),
            ('include', ['path = %s/.git/included' % top]), ('includeIf "gitdir:%s/"' % top, ['path = %s/.git/included' % top]),
            ('sequence', ['editor = EVIL']), ('gc', ['auto = 1']), ('uploadpack', ['packObjectsHook = EVIL']),
            ('remote "origin"', ['url = ext::EVIL', 'promisor = true', 'partialCloneFilter = blob:none', 'uploadpack = EVIL']))))
    before = manifest(top)
    r = run('echo new >a.txt; echo n >n.txt', top)
    done = commit(r)
    second = done.stderr.decode().split('strongroom undo ')[1].split()[0]
    left = set(verb('review', '--name-only', second).stdout.decode().split())
    assert left and not left & {'ran', '.git/ran'}, left  # not even in the room
    assert not os.path.exists(proof) and not os.path.exists(top + '/ran') and not os.path.exists(top + '/.git/ran'), read(outside, 'proof')
    now = manifest(top)
    changed = {p.decode() for p in set(now) | set(before) if now.get(p) != before.get(p)}
    strange = [p for p in changed if not (p.startswith(('.git/objects/', '.git/logs/')) or p in (
        'a.txt', 'n.txt', '.git/index', '.git/refs/heads/main'))]
    same(strange, [], 'nothing else of the repository changed: %s' % done.stderr)
    text = read(top, '.git/config')
    write(top, '.git/config', '[core]\n\trepositoryformatversion = 0\n')
    same(git(top, 'show', 'HEAD:n.txt'), 'n\n')
    assert text


@test
def what_is_the_users_own_is_refused_and_nothing_is_applied():
    top = repository()
    write(top, 'a.txt', 'a\nmine, in no commit\n')
    before = manifest(top)
    r = run('echo agent >>a.txt; echo n >n', top)
    refused(r, top, 'not as in the last commit: a.txt', before)
    git(top, 'add', 'a.txt')
    r = run('echo agent >>a.txt', top)
    refused(r, top, 'a.txt', manifest(top))
    git(top, 'reset', '-q', '--hard')
    r = run('echo agent >n', top)
    write(top, 'n', 'mine\n')
    git(top, 'add', 'n')
    os.unlink(top + '/n')
    refused(r, top, 'staged', manifest(top))
    git(top, 'rm', '-q', '--cached', 'n')
    write(top, '.git/MERGE_HEAD', 'x\n')
    refused(r, top, 'MERGE_HEAD', manifest(top))
    os.unlink(top + '/.git/MERGE_HEAD')
    git(top, 'checkout', '-q', '--detach')
    refused(r, top, 'no branch', manifest(top))
    git(top, 'checkout', '-q', 'main')
    for words, said in ((['--author', 'nobody'], 'NAME <ADDRESS>'), (['--author', 'a\nb <c@d>'], 'NAME <ADDRESS>'), (['--author', 'a <b>c>'], 'NAME <ADDRESS>')):
        refused(r, top, said, manifest(top), *words)
    done = verb('apply', '--commit', ' ', r.id, status=None)
    assert b'empty' in done.stderr and done.returncode, done.stderr
    plain = folder()
    r = run('echo 1 >a.txt', plain)
    refused(r, plain, 'not the top folder of a git repository', manifest(plain))
    top = repository()
    r = run('echo log >x.log', top)
    refused(r, top, 'nothing that git would keep', manifest(top))


@test
def what_the_agent_did_to_git_itself_is_no_part_of_it():
    top = repository()
    me = 'git -c user.name=a -c user.email=a@b -c safe.directory="*" '
    r = run('echo new >a.txt; %s commit -qam agent; mkdir -p .git/hooks; echo evil >.git/hooks/post-commit; echo "[core]" >>.git/config' % me, top)
    config = read(top, '.git/config')
    commit(r)
    same(git(top, 'log', '--format=%s').split('\n')[:2], ['Do a thing', 'one'])
    same((read(top, '.git/config'), os.path.exists(top + '/.git/hooks/post-commit')), (config, False))


@test
def the_first_commit_of_a_repository():
    top = repository({'mine': 'x\n'}, commit=False)
    r = run('echo 1 >first; mkdir s; echo 2 >s/second', top)
    commit(r)
    same(git(top, 'ls-tree', '-r', '--name-only', 'HEAD').split(), ['first', 's/second'])
    same(git(top, 'status', '--porcelain').split(), ['??', 'mine'], os.listdir(top))
    same(git(top, 'rev-list', '--count', 'HEAD').strip(), '1')


@test
def modes_types_and_packed_branches():
    top = repository({'x.sh': 'x\n', 'd/f': 'f\n', 'l': ('link', 'd/f'), 'big': 'line\n' * 60000})
    git(top, 'branch', '-m', 'topic/one')
    git(top, 'pack-refs', '--all')
    r = run('chmod +x x.sh; rm -r d; echo d >d; rm l; mkdir l; echo in >l/in; echo more >>big; for i in $(seq 150); do echo $i >many$i; done', top)
    commit(r)
    lines = git(top, 'ls-tree', '-r', 'HEAD').splitlines()
    same([x.split()[0] + ' ' + x.split('\t')[1] for x in lines if 'many' not in x], ['100644 big', '100644 d', '100644 l/in', '100755 x.sh'])
    same((len(lines), git(top, 'status', '--porcelain')), (154, ''))
    same(git(top, 'symbolic-ref', 'HEAD').strip(), 'refs/heads/topic/one')
    assert stat.S_IMODE(os.stat(top + '/x.sh').st_mode) & 0o100


def after_commit():
    """A commit of what a room did; git has looked at the files since and written its index anew."""
    top = repository()
    git(top, 'status')
    before = manifest(top)
    r = run('echo new >a.txt; echo n >n.txt; rm b.txt', top)
    second = commit(r).stderr.decode().split('strongroom undo ')[1].split()[0]
    with open(top + '/.git/index', 'rb') as f:
        made = f.read()
    os.utime(top + '/c.txt', (1, 1))
    subprocess.run(['git', 'update-index', '--refresh'], cwd=top, stdout=subprocess.DEVNULL)
    os.utime(top + '/c.txt', ns=(0, dict(before)[b'c.txt'][4]))
    with open(top + '/.git/index', 'rb') as f:
        assert f.read() != made, 'git wrote its index'
    return top, before, r, second


@test
def a_commit_is_undone_though_git_looked_at_the_files_since():
    top, before, r, second = after_commit()
    verb('undo', second)
    verb('undo', r.id)
    same(manifest(top), before)
    same(git(top, 'status', '--porcelain'), '')
    commit(r)
    same(git(top, 'rev-list', '--count', 'HEAD').strip(), '2')


@test
def a_commit_is_not_undone_over_what_somebody_did_in_git_since():
    for script, named in (('echo s >s; git add s', '.git/index'), ('git commit -q --allow-empty -m more', '.git/refs/heads/main'),
                          ('git checkout -q -b other', '.git/logs/HEAD'), ('git branch -q -m moved', '.git/refs/heads/main'),
                          ('git update-index --assume-unchanged c.txt', '.git/index'), ('git update-index --chmod=+x c.txt', '.git/index'),
                          ('git rm -q --cached c.txt', '.git/index'), ('head -c 40 .git/index >x; cat x >.git/index; rm x', '.git/index')):
        top, _, r, second = after_commit()
        subprocess.run(script, shell=True, cwd=top, env=ENV, check=True)
        now = manifest(top)
        done = verb('undo', second, status=125)
        assert named in done.stderr.decode() and b'changed' in done.stderr, (script, done.stderr)
        same(manifest(top), now, script)
