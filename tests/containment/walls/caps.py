# caps: no capability, none to be had.
SETS = ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')


@probe('all five sets are empty')
def sets(): return ' '.join(s for s in SETS if int(status(s), 16))


@probe('the secure bits are set and locked')
def bits():
    have = libc.prctl(27, 0, 0, 0, 0)
    return have & 0b1111 != 0b1111 and 'bits %x' % have   # no root, no fix-up of ids; both for good


@probe('none can be taken')
def taken():
    head = struct.pack('Ii', 0x20080522, 0)
    call(126, head, struct.pack('IIIIII', 1 << 21, 1 << 21, 0, 0, 0, 0))
    return 'effective ' + status('CapEff')


@probe('none can be given to a file')
def given():
    name = SCRATCH + '/given'
    open(name, 'w').close()
    os.setxattr(name, 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 10, 0, 0, 0))
    return 'given'


@probe('none comes with another program')
def program():
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 1)
        os.execv('/bin/sh', ['sh', '-c', 'while read -r k v; do [ "$k" = CapEff: ] && echo "$v"; done </proc/self/status'])
    os.close(writer)
    got = os.read(reader, 100).decode().strip()
    os.waitpid(child, 0)
    return int(got, 16) != 0 and got
