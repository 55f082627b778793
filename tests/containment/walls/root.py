# root: the system read-only; of everything else nothing.
EXPECTED = {'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'dev', 'etc', 'proc', 'run', 'tmp', 'usr', 'var', 'work', '.complete'}


@probe('no secret of the host is read')
def secrets():
    return ' '.join(p for p in HOST['secrets'] if opens(p))


@probe('no secret is read through a link')
def link():
    name = SCRATCH + '/link'
    for path in HOST['secrets']:
        if os.path.lexists(name):
            os.unlink(name)
        os.symlink(path, name)
        if opens(name):
            return path


@probe('no way up leads to a secret')
def upwards():
    for base in ('/', '/proc/self/root', '/proc/self/cwd', '/proc/1/root', '/proc/1/cwd', '/dev/fd/0'):
        for path in HOST['secrets']:
            if opens(base + '/..' * 30 + path):
                return base


@probe('only the folders of a room are there')
def folders(): return ' '.join(sorted(set(os.listdir('/')) - EXPECTED))


@probe('no password file')
def passwords(): return ' '.join(p for p in ('/etc/shadow', '/etc/gshadow', '/etc/sudoers', '/etc/ssh') if os.path.exists(p))


@probe('only the room\'s users are known', bare=HOST['users'] > 4 or 'this host has few')
def users(): return len(text('/etc/passwd').splitlines()) > 4 and 'the host\'s users'


@probe('no machine id', bare=bool(HOST['machine_id']) or 'this host has none')
def machine(): return HOST['machine_id'] and text('/etc/machine-id').strip() == HOST['machine_id'] and 'the host\'s'


@probe('no records of the host')
def records(): return ' '.join(p for p in ('/var/log', '/var/lib', '/run/lock', '/run/user', '/home', '/root', '/boot') if os.path.exists(p))


@probe('no folder of the system takes a file', bare=HOST['root'] or 'a user may not write there')
def creates():
    taken = []
    for folder in ('/', '/usr', '/usr/bin', '/usr/lib', '/etc', '/run', '/var', '/dev'):
        try:
            os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600))   # a file without a name
            taken.append(folder)
        except OSError as e:
            if e.errno == errno.EOPNOTSUPP and os.access(folder, os.W_OK):
                taken.append(folder)
    return ' '.join(taken)


@probe('no file of the system opens for writing', bare=HOST['root'] or 'a user may not write there')
def changes(): return ' '.join(p for p in ('/usr/lib/os-release', '/etc/passwd', '/etc/hosts', '/usr/bin/env') if opens(p, os.O_RDWR))


@probe('no set-user-ID program is seen', bare=HOST['setid'] or 'this host has none')
def setid():
    seen = []
    for folder in ('/usr/bin', '/usr/sbin'):
        for name in os.listdir(folder):
            try:
                mode = os.lstat(folder + '/' + name).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                seen.append(name)
    return ' '.join(seen)


@probe('set-user-ID bits and devices have no effect in the system')
def inert():
    flags = os.statvfs('/usr').f_flag
    return not (flags & os.ST_NOSUID and flags & os.ST_NODEV and flags & os.ST_RDONLY) and 'flags %x' % flags


@probe('no folder of the administrator\'s is seen', bare=HOST['local'] or 'none of them holds anything')
def local(): return ' '.join(p for p in ('/usr/local/etc', '/usr/local/share', '/usr/local/src') if os.path.isdir(p) and os.listdir(p))
