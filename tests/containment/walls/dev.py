# dev: a few harmless devices.
NODES = {'null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'pts', 'shm', 'fd', 'stdin', 'stdout', 'stderr'}


@probe('only harmless devices are there')
def names(): return ' '.join(sorted(set(os.listdir('/dev')) - NODES))


@probe('no terminal of the host is listed')
def terminals(): return HOST['bare'] and 'not asked' or ' '.join(n for n in os.listdir('/dev/pts') if n.isdigit())


@probe('no device can be made', bare='a user namespace forbids it too')
def made():
    os.mknod(SCRATCH + '/device', stat.S_IFCHR | 0o666, os.makedev(1, 3))
    return 'made'


@probe('the terminals of a room are few: the host has but so many')
def terminals_most():
    held = []
    try:
        while len(held) <= 64:
            held.append(os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY))
    except OSError as e:
        return e.errno != errno.ENOSPC and str(e)
    finally:
        for fd in held:
            os.close(fd)
    return '%d at once' % len(held)


@probe('the devices do their work', bare='they do there too')
def work():
    with open('/dev/zero', 'rb') as zero, open('/dev/urandom', 'rb') as random, open('/dev/null', 'wb') as null:
        if zero.read(4) != bytes(4) or random.read(16) == random.read(16) or null.write(b'x') != 1:
            return 'they do not'
    try:
        os.write(os.open('/dev/full', os.O_WRONLY), b'x')
        return '/dev/full takes bytes'
    except OSError as e:
        return e.errno != errno.ENOSPC and str(e)
