# scratch: one capped place to write, empty at birth.
PLACES = ('/tmp', '/dev/shm') if BARE else ('/work', '/tmp', '/dev/shm')


@probe('all writable folders share one budget')
def budget(): return len({os.stat(p).st_dev for p in PLACES}) > 1 and 'more than one file system'


@probe('nothing is in them at birth')
def empty():
    return ' '.join(p for p in PLACES if p != SCRATCH and os.listdir(p))


@probe('set-user-ID bits and devices have no effect there')
def inert():
    flags = [os.statvfs(p).f_flag for p in (SCRATCH, '/tmp')]
    return not all(f & os.ST_NOSUID and f & os.ST_NODEV for f in flags) and 'flags %s' % flags


@probe('no program starts from shared memory', bare=HOST['shm_exec'] or 'nor on this host')
def runs():
    name = '/dev/shm/' + TOKEN + '-run'
    with open(name, 'w') as f:
        f.write('#!/bin/sh\nexit 0\n')
    os.chmod(name, 0o755)
    try:
        return os.spawnv(os.P_WAIT, name, [name]) == 0 and 'it ran'
    finally:
        os.unlink(name)


@probe('the root of the file system is out of reach', bare=None)
def above():
    up = os.stat('/work/..'), os.stat('/')
    return (up[0].st_dev, up[0].st_ino) != (up[1].st_dev, up[1].st_ino) and 'another folder'


@probe('files can be written, named, linked and locked', bare='they can there too')
def useful():
    with open(SCRATCH + '/one', 'w') as f:
        f.write('1')
        fcntl.flock(f, fcntl.LOCK_EX)
    os.rename(SCRATCH + '/one', SCRATCH + '/two')
    os.link(SCRATCH + '/two', SCRATCH + '/three')
    os.unlink(SCRATCH + '/two')
    os.unlink(SCRATCH + '/three')
