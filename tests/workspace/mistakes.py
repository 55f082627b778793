"""mistakes: what agents do to projects, by mistake or not, and what becomes of it."""
import os
import re
import socket
import stat
import subprocess

import room
import work
from room import Skip, ended, same, test
from work import counts, folder, manifest, read, run, verb, write


def project():
    files = {'src/%d.c' % i: 'int f%d(void) { return %d; }\n' % (i, i) for i in range(40)}
    files.update({'README': 'text\n', 'bin/tool': b'\x7fELF' + bytes(200), 'dup/1': 'same\n', 'dup/2': 'same\n', 'keep/x': 'x\n'})
    top = folder(files)
    os.chmod(top + '/bin/tool', 0o755)
    return top


def over_project(script, top=None, *options, alarms=None, **more):
    """Runs the mistake; the project must stay; the apply must do what the script would have done; undo must undo it."""
    top = top or project()
    before = manifest(top)
    r = ended(run(script, top, *options, **more), 'exited', 0)
    same(manifest(top), before, 'the project while nobody has decided')
    if alarms is not None:
        assert (r.work['alarms'] > 0) == alarms, (r.work, verb('review', '--list', r.id).stdout)
    return top, before, r


def twin(top, script):
    """The same script done directly to a copy."""
    other = os.path.join(os.path.dirname(top), 'twin')
    subprocess.run(['cp', '-a', top, other], check=True)
    subprocess.run(['/bin/sh', '-c', script], cwd=other, check=True, stdout=subprocess.DEVNULL)
    return other


def contents(top):
    """As manifest(), without what differs between two doings of the same."""
    return {p: [v[0], *v[3:4], *(v[5:6])] for p, v in manifest(top).items() if p != b'.'}


def shown(r, *wanted):
    """The list, as people see it; each of `wanted` stands in it, in this order."""
    text, at = verb('review', '--list', r.id).stdout.decode('utf-8', 'replace'), 0
    for word in wanted:
        found = re.compile(word, re.M).search(text, at)
        assert found, 'no %r (behind %d) in the list:\n%s' % (word, at, text[:1500])
        at = found.end()
    return text


def all_of_it(script, alarms=None, shows=(), top=None, clean=None):
    top = top or project()
    other = twin(top, script)
    top, before, r = over_project(script, top, alarms=alarms)
    shown(r, *shows)
    if alarms:
        done = verb('apply', '--only-clean', r.id, status=125)
        assert (clean or 'alarm').encode() in done.stderr, done.stderr
        same(manifest(top), before, 'the project after an apply that alarms refuse')
    verb('apply', r.id)
    same(contents(top), contents(other), 'applied and done directly')
    verb('undo', r.id)
    same(manifest(top), before, 'the project after the undo')
    verb('discard', r.id)


@test
def rm_rf_of_the_project():
    all_of_it('rm -rf ./*', True, [r'^\d+ deleted', r'! mass-deletion +many files deleted at once: 45 files', '^Deleted', r'- src/ +40 in it'], clean='mass-deletion')


@test
def duplicates_are_deleted():
    all_of_it('rm dup/2 keep/x', False, ['^2 deleted', '^Deleted', 'dup/2', 'keep/x'])


@test
def whatever_has_the_same_bytes_is_deleted():
    top = project()
    for i in range(12):
        write(top, 'src/same%d' % i, 'the same\n')
    script = 'find . -type f -print0 | sort -z | xargs -0 sha256sum | awk "seen[\\$1]++ {print \\$2}" | xargs rm'
    all_of_it(script, False, ['^12 deleted', '^Deleted', 'dup/2', 'src/same1 '], top)


@test
def a_formatter_goes_over_everything():
    all_of_it('sed -i "s/return/  return/" src/*.c', False, ['^0 deleted.*40 modified', '^Modified', r'M src/0\.c'])


@test
def a_dependency_folder_explodes():
    all_of_it('for i in $(seq 60); do mkdir -p node_modules/p$i/lib; for j in $(seq 10); do echo $i >node_modules/p$i/lib/$j.js; done; done', False,
              ['721 added', '^Added', r'\+ node_modules/ +720 in it'])


@test
def a_chmod_storm():
    all_of_it('chmod -R a-w src; chmod 700 keep; chmod +x README', False, ['43 modified', r'README +mode 644 -> 755', r'keep/ +mode 755 -> 700', r'src/0\.c +mode 644 -> 444'])


@test
def a_binary_is_replaced():
    all_of_it('printf "\\177ELFevil" >bin/tool', True, ['! binary-replaced +bin/tool', '^To be looked at', 'M bin/tool'], clean='binary-replaced:bin/tool')


@test
def a_case_only_rename():
    all_of_it('mv README readme; mv src SRC', True, ['! mass-deletion', '^Deleted', '- README', r'- src/ +40 in it', '^Added', r'\+ SRC/ +40 in it', r'\+ readme'])


@test
def folders_become_files_and_files_become_folders():
    all_of_it('rm -r dup; echo f >dup; rm README; mkdir README; echo x >README/x', None, ['^Deleted', '- README', '- dup/', '^Added', r'\+ README/', r'\+ dup '])


@test
def a_hook_is_planted():
    all_of_it('mkdir -p .git/hooks; printf "#!/bin/sh\\nevil\\n" >.git/hooks/post-checkout; chmod +x .git/hooks/post-checkout', True,
              [r'! git-hook +\.git/hooks/post-checkout', 'git runs it by itself: .*evil', '^To be looked at', r'\+ \.git/hooks/post-checkout'],
              clean='git-hook:.git/hooks/post-checkout')


@test
def links_to_the_system_stay_links():
    top = project()
    all_of_it('ln -s /etc etc; ln -s /etc/passwd keep/p; ln -s ../../../../../../etc/shadow up; ln -s dup/1 inside', True,
              ['! link-out +etc', '-> /etc$', '! link-out +keep/p', '! link-out +up', '^To be looked at', '^Added', r'\+ inside +link'],
              top, clean='link-out:etc')


@test
def the_host_goes_on_meanwhile():
    top = project()
    p = room.start(['-w', top, '--apply', 'never'], ['/bin/sh', '-c', 'for i in 1 2 3; do echo mine >src/$i.c; done; rm src/4.c src/5.c; echo n >new; echo; read go'],
                   stdin=subprocess.PIPE)
    os.read(p.stdout.fileno(), 1)
    write(top, 'src/1.c', 'theirs\n')
    write(top, 'src/4.c', 'theirs\n')
    write(top, 'new', 'theirs\n')
    before = manifest(top)
    r = ended(room.finish(p, b'\n'), 'exited', 0)
    r.id = r.record['workspaces'][0]['changes']
    shown(r, r'in conflict: the host changed them', r'src/4\.c +.*CONFLICT', r'src/1\.c +.*CONFLICT')
    done = verb('apply', r.id, status=125)
    assert b'conflict' in done.stderr and b'src/4.c' in done.stderr and b'new: ' in done.stderr, done.stderr
    same(manifest(top), before, 'a refused apply')
    verb('apply', '--skip-conflicts', r.id)
    same([read(top, n) for n in ('src/1.c', 'src/2.c', 'src/3.c', 'src/4.c', 'new')], ['theirs\n', 'mine\n', 'mine\n', 'theirs\n', 'theirs\n'])
    assert not os.path.exists(top + '/src/5.c')
    write(top, 'src/2.c', 'theirs, after the apply\n')
    done = verb('undo', r.id, status=125)
    assert b'changed since' in done.stderr, done.stderr
    write(top, 'src/2.c', 'mine\n')
    verb('discard', r.id)


@test
def a_link_that_leads_out_is_no_way_out():
    top = project()
    outside = folder({'secret': 'untouched\n'})
    script = 'rm -r keep; ln -s %s keep; echo owned >keep/secret 2>/dev/null; ln -s /etc/passwd p; true' % outside
    top, before, r = over_project(script, top, alarms=True)
    verb('apply', r.id, status=None)
    same(read(outside, 'secret'), 'untouched\n')
    verb('discard', r.id)


@test
def a_link_on_the_host_is_not_followed_by_apply():
    top = project()
    outside = folder({'1.c': 'outside\n'})
    top, before, r = over_project('echo new >src/1.c', top)
    os.rename(top + '/src', top + '/src.old')
    os.symlink(outside, top + '/src')
    verb('apply', r.id, status=None)
    same(read(outside, '1.c'), 'outside\n')
    verb('discard', r.id)


@test
def special_files_are_never_made_real():
    script = 'mkfifo pipe; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'sock\')"; echo x >plain'
    top, before, r = over_project(script)
    verb('apply', r.id, status=None)
    assert not os.path.lexists(top + '/pipe') and not os.path.lexists(top + '/sock')
    verb('discard', r.id)


@test
def a_sparse_giant_takes_no_room():
    top, before, r = over_project('truncate -s 10G giant; echo end >>giant', None, '--file-size', '20G')
    verb('apply', r.id)
    s = os.stat(top + '/giant')
    assert s.st_size == (10 << 30) + 4 and s.st_blocks * 512 < 64 << 20, s
    verb('undo', r.id)
    assert not os.path.exists(top + '/giant')
    verb('discard', r.id)


@test
def hostile_names_are_shown_safely():
    script = ('python3 -c "\n'
              'for n in (b\'new\\nline\', b\'esc\\x1b]0;owned\\x07\', b\'bad\\xff\', b\'-rf\', b\'a b\', b\'\\xe2\\x80\\xaertl\'):\n'
              '    open(n, \'w\').write(\'x\')\n"')
    top, before, r = over_project(script)
    for words in (['--list'], ['--name-only'], ['--stat'], ['--patch'], []):
        said = verb('review', *words, r.id).stdout
        assert b'\x1b]' not in said and b'\x07' not in said, (words, said)
    work.review(r)
    verb('apply', r.id)
    assert os.path.exists(os.fsencode(top) + b'/new\nline') and os.path.exists(os.fsencode(top) + b'/bad\xff')
    verb('discard', r.id)


@test
def a_deep_tree():
    script = 'python3 -c "\nimport os\nfor _ in range(1500):\n    os.mkdir(\'d\'); os.chdir(\'d\')\n"'
    top, before, r = over_project(script)
    verb('review', '--stat', r.id)
    verb('discard', r.id)


@test
def unreadable_folders_of_the_rooms_own():
    top, before, r = over_project('mkdir shut; echo x >shut/x; chmod 0 shut/x shut')
    verb('review', '--list', r.id)
    verb('discard', r.id)


@test
def a_git_history_is_rewritten():
    if subprocess.run(['sh', '-c', 'command -v git'], stdout=subprocess.DEVNULL).returncode:
        raise Skip('no git here')
    top = project()
    git = 'git -c user.name=a -c user.email=a@b.c -c init.defaultBranch=main -c safe.directory="*" '
    subprocess.run(git + 'init -q . && git add -A && ' + git + 'commit -qm one && echo 2 >>README && ' + git + 'commit -qam two', shell=True, cwd=top, check=True)
    top, before, r = over_project(git + 'reset -q --hard HEAD~1; ' + git + 'commit -q --amend -m rewritten', top)
    shown(r, r'README', r'main: 1 new commit, HISTORY REWRITTEN')
    verb('apply', r.id)
    log = subprocess.run(git + 'log --format=%s', shell=True, cwd=top, stdout=subprocess.PIPE, check=True).stdout
    same(log, b'rewritten\n')
    assert subprocess.run(git + 'fsck --no-dangling', shell=True, cwd=top, stderr=subprocess.DEVNULL).returncode == 0
    verb('undo', r.id)
    same(manifest(top), before)
    verb('discard', r.id)
