"""work: what the tests of workspaces share: folders with something in them, rooms over them, manifests, the verbs."""
import hashlib
import json
import os
import subprocess
import tempfile

import room
from room import same

HOME = os.environ['HOME']


def folder(files=None, name='work'):
    """A new folder with these files: text, None for a folder, a tuple ('link', target)."""
    top = os.path.join(tempfile.mkdtemp(dir=HOME), name)
    os.mkdir(top)
    for path, text in (files if files is not None else {'a.txt': 'old\n', 'b.txt': 'b\n', 'dir/c.txt': 'c\n'}).items():
        full = os.path.join(top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if text is None:
            os.makedirs(full, exist_ok=True)
        elif isinstance(text, tuple):
            os.symlink(text[1], full)
        else:
            with open(full, 'wb') as f:
                f.write(text if isinstance(text, bytes) else text.encode())
    return top


def manifest(top):
    """Everything that can be seen of a tree, but for the times of folders, which apply and undo both touch."""
    found = {}
    top = os.fsencode(top)
    for at, folders, files in os.walk(top):
        for name in folders + files + ([b''] if at == top else []):
            path = os.path.join(at, name) if name else at
            s = os.lstat(path)
            what = [oct(s.st_mode), s.st_uid, s.st_gid]
            if os.path.islink(path):
                what.append(os.readlink(path))
            elif os.path.isfile(path):
                what += [s.st_size, s.st_mtime_ns]
                if s.st_size < 1 << 26:
                    with open(path, 'rb') as f:
                        what.append(hashlib.sha256(f.read()).hexdigest())
            found[os.path.relpath(path, top)] = what
    return found


def run(script, top, *options, **more):
    """A room over `top`; r.work is what the result says of the first workspace."""
    r = room.sh(script, options=['-w', top, '--apply', 'never', *options], **more)
    r.work = (r.record or {}).get('workspaces') or [None]
    r.work = r.work[0]
    r.id = r.work and r.work['changes']
    return r


def verb(*words, status=0, **more):
    """One of the verbs about changes."""
    done = subprocess.run([room.PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=room.HANG, **more)
    assert status is None or done.returncode == status, '%s: status %d, err %r' % (' '.join(words), done.returncode, done.stderr[-300:])
    return done


def names(r):
    return set(verb('review', '--name-only', r.id).stdout.decode('utf-8', 'surrogateescape').splitlines())


def ids():
    """Of changes to folders of this run; root has one store, whoever runs tests."""
    return {x['id'] for x in json.loads(verb('ls', '--json').stdout) if x['dir'].startswith(HOME + '/')}


def review(r):
    return json.loads(verb('review', '--json', r.id).stdout)


def counts(r, deleted=0, modified=0, added=0):
    same([r.work[k] for k in ('deleted', 'modified', 'added')], [deleted, modified, added], 'counts of %s' % r)


def read(top, name):
    with open(os.path.join(top, name), encoding='utf-8', errors='surrogateescape') as f:
        return f.read()


def write(top, name, text):
    with open(os.path.join(top, name), 'w', encoding='utf-8') as f:
        f.write(text)
