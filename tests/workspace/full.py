"""full: a store that cannot take what a room did, and bounds of the caller's that would cost the work. Nothing of it is
lost, and it is said where it is."""
import os
import re
import resource
import subprocess

import room
import work
from room import same, test
from work import folder, manifest, read, verb

STATE = '/var/lib/strongroom' if room.OWNS_UIDS else os.path.join(work.HOME, 'state', 'strongroom')


def beside_small_store(size, script):
    """A shell script where a tmpfs of this size is the store; $1 is strongroom."""
    os.makedirs(STATE, mode=0o700, exist_ok=True)
    spaces = ['unshare', '--mount'] if room.OWNS_UIDS else ['unshare', '--mount', '--user', '--map-root-user']
    line = 'mount -t tmpfs -o mode=700,size=%s store "$0" || exit 77; %s' % (size, script)
    done = subprocess.run([*spaces, 'sh', '-c', line, STATE, room.PROGRAM], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG,
                          env=dict(os.environ, TMPDIR=work.HOME))
    assert done.returncode != 77, done.stderr
    return done


@test
def what_the_store_cannot_take_is_kept_elsewhere_and_can_be_brought_back():
    top = folder()
    before = manifest(top)
    done = beside_small_store('1m', '"$1" run -w %s --apply never -- sh -c "head -c 3000000 /dev/urandom >big; rm a.txt"' % top)
    said = re.search(rb'the changes are in (\S+/strongroom-([a-z2-7]{6})) \(in the store as changes/', done.stderr)
    assert said, done.stderr
    where, id_ = said.group(1).decode(), said.group(2).decode()
    same(os.path.getsize(where + '/upper/big'), 3000000)
    same(manifest(top), before)
    same(os.stat(where).st_mode & 0o777, 0o700)
    os.makedirs(STATE + '/changes', mode=0o700, exist_ok=True)
    subprocess.run(['mv', where, STATE + '/changes/' + id_], check=True)
    same(set(verb('review', '--name-only', id_).stdout.decode().split()), {'a.txt', 'big'})
    verb('apply', id_)
    assert os.path.getsize(top + '/big') == 3000000 and not os.path.exists(top + '/a.txt')
    verb('undo', id_)
    same(manifest(top), before)
    verb('discard', id_)


@test
def what_is_kept_but_not_listed_is_listed_when_somebody_asks():
    top = folder()
    done = beside_small_store('4m', '''
        head -c 3200k /dev/zero >"$0/filler"; "$1" run -w %s --apply never -- sh -c "i=0; while [ \\$i -lt 3000 ]; do : >n\\$i; i=\\$((i+1)); done; head -c 700000 /dev/urandom >big"
        "$1" ls --json; "$1" prune --older 0s; "$1" review --name-only && exit 3
        rm "$0/filler"; "$1" review --name-only | wc -l; "$1" apply; "$1" ls --json''' % top)
    assert b'but not listed (strongroom review tries again)' in done.stderr, done.stderr
    out = done.stdout.decode().splitlines()
    assert done.returncode == 0 and '"state":"unlisted"' in out[0], done
    same(out[1], '3001')
    assert '"state":"applied"' in out[-1], out
    same(read(top, 'n2999'), '')


@test
def where_nothing_takes_it_the_result_says_so_and_no_half_of_it_stays():
    top = folder()  # covered below, where the room cannot see what was in /tmp
    done = beside_small_store('300k', '''
        exec 9<.; for p in /var/tmp /dev/shm; do mount -t tmpfs -o size=100k t $p; done; export TMPDIR=/dev/shm
        mount -t tmpfs -o size=100k t /mnt; mkdir /mnt/w; mount --bind %s /mnt/w; mount --move /mnt /tmp
        "$1" run -w /tmp/w --apply never -- sh -c "head -c 3000000 /dev/urandom >big"
        echo "status $?"; ls -A /var/tmp /tmp /dev/shm "$0/changes"''' % top)
    assert b'the changes are lost' in done.stderr, done.stderr
    assert b'status 125' in done.stdout, done.stdout
    assert b'changes:' in done.stdout and not re.search(rb'strongroom-[a-z2-7]{6}$|^[a-z2-7]{6}$', done.stdout, re.M), done.stdout


def bounded(top, what, soft, hard, *options):
    before = lambda: resource.setrlimit(getattr(resource, 'RLIMIT_' + what), (soft, hard))
    return room.sh('echo more >a.txt', options=['-w', top, '--apply', 'always', *options], record=False, preexec_fn=before)


@test
def a_bound_that_would_cost_the_changes_is_refused_before_the_program_runs():
    """Sizes of files, address space: the copy or the list of the changes could not be made."""
    for what, soft, hard, words in (('FSIZE', 0, 0, (b'ulimit -f', b'limited to 0')), ('FSIZE', 1 << 20, resource.RLIM_INFINITY, (b'ulimit -f', b'64M')),
                                    ('FSIZE', 100 << 20, resource.RLIM_INFINITY, (b'--file-size 100M',)), ('AS', 64 << 20, 64 << 20, (b'ulimit -v', b'64M'))):
        top = folder()
        before = manifest(top)
        r = bounded(top, what, soft, hard)
        same(r.status, 125, str(r))
        assert all(w in r.err for w in words), r
        same(manifest(top), before)


@test
def within_bounds_that_leave_enough_changes_are_kept():
    for what, soft, hard, options in (('FSIZE', 100 << 20, 100 << 20, []), ('FSIZE', 100 << 20, resource.RLIM_INFINITY, ['--file-size', '100M']),
                                      ('AS', 2 << 30, 2 << 30, [])):
        top = folder()
        r = bounded(top, what, soft, hard, *options)
        same(r.status, 0, str(r))
        same(read(top, 'a.txt'), 'more\n')
        verb('undo')
        verb('discard')
