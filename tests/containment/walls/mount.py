# mount: a mount table of the room's own that tells nothing and cannot be changed.
MS_REMOUNT, MS_BIND, MS_REC, MS_SHARED = 32, 4096, 16384, 1 << 20
place = SCRATCH + '/mounted'


@probe('the mount table is not the host\'s', bare='the bare run has one of its own')
def own(): return foreign_space('mnt')


@probe('the mount table tells nothing')
def silent(): return text('/proc/self/mountinfo')[:80]


def mounted(source, kind, flags, data=None):
    os.makedirs(place, exist_ok=True)
    call(165, source, place.encode(), kind, flags, data)
    call(166, place.encode(), 2)
    return 'mounted'


@probe('no file system can be mounted')
def fresh(): return mounted(b'none', b'tmpfs', 0)


@probe('no folder can be bound')
def bound(): return mounted(b'/', None, MS_BIND | MS_REC)


@probe('the root cannot be remounted')
def remounted(): return 'answered %d' % call(165, None, b'/', None, MS_REMOUNT | MS_BIND, None)


@probe('mounts cannot be shared')
def shared(): return 'answered %d' % call(165, None, b'/', None, MS_SHARED, None)


@probe('no copy of a tree can be taken')
def tree(): return 'descriptor %d' % call(428, -100, b'/', 0x8001)


@probe('no file system can be prepared')
def prepared(): return 'descriptor %d' % call(430, b'tmpfs', 0)


@probe('mount attributes cannot be changed')
def attributes(): return reaches(442, -1, b'', 0, ctypes.create_string_buffer(32), 32)


@probe('the root cannot be changed')
def root():
    os.chroot(SCRATCH)
    return 'chroot worked'


@probe('the root cannot be swapped')
def swapped(): return reaches(155, b'/proc', b'/proc')
