"""streams: `strongroom cp` with rooms that live, in the manner of docker's, and what comes in and out as tar streams."""
import io
import json
import os
import subprocess
import tarfile
import tempfile

import room
import work
from room import same, test
from work import folder, manifest, verb


class Living:
    """A room that lives for one test."""
    count = 0

    def __enter__(self):
        Living.count += 1
        self.name = 'cp-%d-%d' % (os.getpid(), Living.count)
        verb('run', '-d', '--name', self.name)
        self.top = tempfile.mkdtemp(dir=work.HOME)
        return self

    def __exit__(self, *a):
        verb('rm', self.name)

    def sh(self, script):
        return verb('exec', self.name, '--', 'sh', '-c', script).stdout.decode()

    def out(self, path, to, status=0):
        return verb('cp', '%s:%s' % (self.name, path), to, status=status, cwd=self.top)

    def into(self, path, to, status=0):
        return verb('cp', path, '%s:%s' % (self.name, to), status=status, cwd=self.top)

    def names(self):
        return sorted(os.path.relpath(os.path.join(at, n), self.top) for at, dirs, files in os.walk(self.top) for n in dirs + files)


MAKE = ('cd /work; mkdir -p d/sub; echo one >d/f; echo two >d/sub/g; ln -s f d/good; ln -s /etc d/abs; ln -s ../../x d/up; '
        'mkfifo d/pipe; chmod 751 d/f; truncate -s 8M d/hole; ln d/f d/hard; touch -d @1000000000 d/f')


@test
def what_a_room_made_comes_out_as_docker_would_have_it():
    with Living() as r:
        r.sh(MAKE)
        done = r.out('/work/d', '.')
        same(r.names(), ['d', 'd/f', 'd/good', 'd/hard', 'd/hole', 'd/sub', 'd/sub/g'])
        for name in (b'd/pipe: left out', b'd/abs: left out', b'd/up: left out'):
            assert name in done.stderr, done.stderr
        s = os.stat(r.top + '/d/f')
        same((s.st_mode & 0o7777, s.st_mtime, s.st_nlink, s.st_uid), (0o751, 1e9, 2, os.geteuid()))
        same((os.path.getsize(r.top + '/d/hole'), os.stat(r.top + '/d/hole').st_blocks), (8 << 20, 0))
        r.out('/work/d', 'new')             # a folder that is not there: it becomes that
        r.out('/work/d/.', 'content')
        r.out('/work/d/f', 'file')
        r.out('work/d/f', 'new/sub')
        r.out('/work/d/sub/g', 'file')      # replaced
        same(sorted(os.listdir(r.top + '/new')), sorted(os.listdir(r.top + '/content')))
        same(sorted(os.listdir(r.top + '/new/sub')), ['f', 'g'])
        same(work.read(r.top, 'file'), 'two\n')
        assert b'it is not there' in r.out('/work/none', '.', status=None).stderr
        assert b'no folder' in r.out('/work/d', 'file', status=None).stderr
        assert b'it is not there' in r.out('/work/d/f/.', 'x', status=None).stderr
        assert b'host\'s system' in r.out('/', 'x', status=None).stderr


@test
def what_goes_into_a_room_is_the_rooms_own():
    with Living() as r:
        os.makedirs(r.top + '/in/b')
        work.write(r.top, 'in/a', '1')
        work.write(r.top, 'in/b/c', '2')
        os.chmod(r.top + '/in/a', 0o6755)
        before = manifest(r.top)
        r.into('in', '/work')
        r.into('in/.', '/work/new')
        r.into('in/a', '/work/new/b/')
        r.into('in/a', '/tmp/file')
        r.into('in/b/c', '/tmp/file')       # replaced
        same(r.sh('cd /work && find . | sort; cat /tmp/file; stat -c %a:%U /work/in/a').split(),
             ['.', './in', './in/a', './in/b', './in/b/c', './new', './new/a', './new/b', './new/b/a', './new/b/c', '2755:room'])
        same(manifest(r.top), before)
        assert b'no such folder' in r.into('in/a', '/work/no/such/', status=None).stderr
        assert b'Read-only' in r.into('in', '/usr', status=None).stderr
        done = r.into(big(r.top), '/work', status=None)
        assert b'copy: tar in the room' in done.stderr, done  # --file-size, or --disk
        assert b'more than 1048576 bytes' in verb('cp', '--max', '1M', r.top + '/big', r.name + ':/work', status=None).stderr


@test
def folders_with_many_files_go_both_ways():
    with Living() as r:
        os.mkdir(r.top + '/many')
        for i in range(600):
            work.write(r.top, 'many/%04d-%s' % (i, 'x' * 40), str(i))
        r.into('many', '/work')
        same(r.sh('ls /work/many | wc -l; cat /work/many/0599-*').split(), ['600', '599'])
        r.into('many/0007-' + 'x' * 40, '/work/one')
        r.out('/work/many', 'back')
        same(sorted(os.listdir(r.top + '/back')), sorted(os.listdir(r.top + '/many')))


def big(top):
    with open(top + '/big', 'wb') as f:
        f.truncate(1 << 30)
    return 'big'


@test
def a_link_in_the_room_leads_nowhere_but_in_the_room():
    with Living() as r:
        r.sh('ln -s /tmp /work/t; ln -s /etc /work/e; ln -s %s /work/h; mkdir /work/d; ln -s /etc/passwd /work/d/f' % r.top)
        work.write(r.top, 'a', 'x')
        before = manifest(r.top)
        r.into('a', '/work/t')
        same(r.sh('cat /tmp/a'), 'x')
        assert r.into('a', '/work/e', status=None).returncode != 0
        r.into('a', '/work/h')  # leads to nothing in the room, so the link itself is replaced
        same(r.sh('test -h /work/h || cat /work/h'), 'x')
        same(manifest(r.top), before, 'the host, through a link of the room')
        r.out('/work/d', '.')
        same(r.names(), ['a', 'd'])
        os.mkdir(r.top + '/real')
        os.symlink('real', r.top + '/d/f')   # a link of the host's own in the way is replaced, not followed
        r.sh('rm /work/d/f; echo new >/work/d/f')
        r.out('/work/d', '.')
        assert not os.path.islink(r.top + '/d/f') and os.listdir(r.top + '/real') == []


@test
def tar_streams_go_in_and_out():
    with Living() as r:
        r.sh(MAKE)
        got = r.out('/work/d', '-')
        with tarfile.open(fileobj=io.BytesIO(got.stdout)) as t:
            names = t.getnames()
        same(sorted(names), ['d', 'd/f', 'd/good', 'd/hard', 'd/hole', 'd/sub', 'd/sub/g'])
        same(subprocess.run([room.PROGRAM, 'cp', '-', r.name + ':/tmp'], input=got.stdout, timeout=room.HANG).returncode, 0)
        same(r.sh('cd /tmp/d && cat f sub/g && readlink good && stat -c %s hole').split(), ['one', 'two', 'f', '8388608'])
        evil = io.BytesIO()
        with tarfile.open(fileobj=evil, mode='w') as t:
            for name, target in (('out', '/work'), ('../up', None), ('/abs', None), ('ok', None)):
                e = tarfile.TarInfo(name)
                e.type, e.linkname = (tarfile.SYMTYPE, target) if target else (tarfile.REGTYPE, '')
                t.addfile(e, io.BytesIO(b''))
        done = subprocess.run([room.PROGRAM, 'cp', '-', r.name + ':/tmp/d/sub'], input=evil.getvalue(), timeout=room.HANG,
                              stderr=subprocess.PIPE)
        same((done.returncode, done.stderr.count(b'left out')), (0, 3), done.stderr)
        same(r.sh('ls /tmp/d/sub').split(), ['g', 'ok'])
        for bad, why in ((b'no tar' * 1000, b'tar'), (got.stdout[:700], b'')):
            done = subprocess.run([room.PROGRAM, 'cp', '-', r.name + ':/tmp'], input=bad, timeout=room.HANG, stderr=subprocess.PIPE)
            assert done.returncode != 0 and why in done.stderr, done
        assert b'no such folder' in r.into('-', '/tmp/none', status=None).stderr
        done = verb('cp', '--max', '1M', r.name + ':/work/d', 'x', status=None, cwd=r.top)
        assert done.returncode == 0, done.stderr  # holes are nothing
        r.sh('head -c 3000000 /dev/zero >/work/d/big')
        done = verb('cp', '--max', '1M', r.name + ':/work/d', 'y', status=None, cwd=r.top)
        assert done.returncode != 0 and b'more than 1048576 bytes' in done.stderr, done.stderr


@test
def wrong_words_of_cp_are_told():
    for words, why in ((['a', 'b'], b'one side'), (['r:/a', 'r:/b'], b'one side'), (['a'], b'one source'), (['--no', 'a', 'b'], b'unknown option'),
                       (['no-such-room:/x', '.'], b'no room of that name'), (['--max', 'much', 'a', 'b:/c'], b'not a size')):
        done = verb('cp', *words, status=None)
        assert done.returncode != 0 and why in done.stderr, (words, done)


def piped(feed, *words, status=0):
    done = subprocess.run([room.PROGRAM, 'run', *words], input=feed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=room.HANG)
    assert status is None or done.returncode == status, done
    return done


def packed(*names, compress=''):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:' + compress) as t:
        for name in names:
            e = tarfile.TarInfo(name)
            e.size, e.mode = 3, 0o4755
            t.addfile(e, io.BytesIO(b'abc'))
    return out.getvalue()


@test
def a_stream_on_stdin_is_the_rooms_folder_and_one_on_stdout_its_results():
    for compress in ('', 'gz', 'xz'):
        done = piped(packed('a', 'd/b', '../up', '/abs', compress=compress), '--copy-in', '-:/work/in', '--copy-out', '/work/out:-', '--', 'sh', '-c',
                     'find in -type f | sort; stat -c %a in/a; echo more >>in/a; mkdir out; cp -r in/. out; ln -s /etc out/bad; mkfifo out/p')
        same(done.stderr.splitlines()[2:5], [b'in/a', b'in/d/b', b'755'], done.stderr)
        same(done.stderr.count(b'--copy-in -: '), 2, done.stderr)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as t:
            same(sorted(t.getnames()), ['out', 'out/a', 'out/d', 'out/d/b'])
            same(t.extractfile('out/a').read(), b'abcmore\n')
    same(piped(packed('f'), '--copy-in', '-:/data', '--copy-out', '/data/f:-', '--', 'true').stdout[:100].rstrip(b'\0'), b'f')


@test
def what_is_mounted_below_comes_out_in_the_stream():
    """Folders that were copied in, workspaces, --tmpfs, one within another; what is the host's own does not."""
    one, two, three, hosts = (folder({'f': name, 'd/g': name}, name=name) for name in ('one', 'two', 'three', 'hosts'))
    os.mkdir(one + '/two')
    done = piped(b'', '--copy-in', one + ':/work/out/one', '--copy-in', two + ':/work/out/one/two', '-w', three, '--at', '/work/out/three',
                 '--tmpfs', '/work/out/deep/t', '-v', hosts + ':/work/out/hosts', '--apply', 'never', '--copy-out', '/work/out:-', '--', 'sh', '-c',
                 'cd /work/out; echo more >>one/f; echo t >deep/t/new; rm three/f; mkfifo one/p; ln -s /etc one/bad; echo top >top')
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as t:
        names = t.getnames()
        same(sorted(names), sorted(set(names)), 'a name twice')
        same({n for n in names if t.getmember(n).isfile()}, {'out/top', 'out/one/f', 'out/one/d/g', 'out/one/two/f', 'out/one/two/d/g', 'out/three/d/g', 'out/deep/t/new'})
        same(t.extractfile('out/one/f').read(), b'onemore\n')
    same(subprocess.run(['tar', '-t'], input=done.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE).stderr, b'', 'the end of the stream')
    for c in json.loads(verb('ls', '--json').stdout):
        if c['dir'] == three:
            verb('discard', c['id'])


@test
def wrong_streams_make_no_room():
    for feed, words, why in ((b'no tar' * 100, ['--copy-in', '-:/a'], b'archive format'), (packed('x')[:400], ['--copy-in', '-:/a'], b'tar stream'),
                             (packed(*map(str, range(100))), ['--copy-in', '-:/a', '--inodes', '64'], b'more than 64 entries'),
                             (b'', ['--copy-in', '-'], b'no name'), (b'', ['--copy-in', '-:/a', '--copy-in', '-:/b'], b'one stream'),
                             (b'', ['--copy-out', '/a:-', '--copy-out', '/b:-'], b'one stream'), (b'', ['-d', '--copy-in', '-:/a'], b'--detach')):
        done = piped(feed, *words, '--', 'echo', 'ran', status=None)
        assert done.returncode in (2, 125) and why in done.stderr and b'ran' not in done.stdout + done.stderr, (words, done)
