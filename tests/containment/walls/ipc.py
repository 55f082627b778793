# ipc: System V and POSIX objects of the room's own.
libc.shmat.restype = ctypes.c_void_p


@probe('the objects are not the host\'s')
def own(): return foreign_space('ipc')


def attached(number):
    at = libc.shmat(number, None, 0o10000)
    if not at or at == ctypes.c_void_p(-1).value:
        return None
    return TOKEN.encode() in ctypes.string_at(at, 100) and 'read the host\'s segment'


@probe('a segment of the host is not found by key', bare=HOST['segment'] is not None or 'none could be made')
def by_key():
    number = libc.shmget(HOST['segment_key'], 0, 0)
    return number >= 0 and attached(number)


@probe('a segment of the host is not found by number', bare=HOST['segment'] is not None or 'none could be made')
def by_number(): return HOST['segment'] is not None and attached(HOST['segment'])


@probe('a segment of the host is not listed', bare=HOST['segment'] is not None or 'none could be made')
def listed(): return len(text('/proc/sysvipc/shm').splitlines()) > 1 and 'segments are listed'


@probe('a message queue of the host is not opened', bare=HOST['queue'] or 'none could be made')
def queue(): return 'descriptor %d' % call(240, TOKEN.encode(), os.O_RDWR, 0, 0)


@probe('shared memory of the host is not seen')
def shared(): return TOKEN in ' '.join(os.listdir('/dev/shm')) and 'the host\'s /dev/shm'
