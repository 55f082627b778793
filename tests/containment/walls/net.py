# net: a network with nothing but its own loopback.
def stream(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.connect(address)
        return s.recv(100).decode() or 'connected'


def packet(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(1.5)
        s.sendto(TOKEN.encode(), address)
        return s.recv(100).decode() or 'answered'


def port(kind):
    if kind not in HOST['ports']:
        raise Skip('no such service on this host')
    return HOST['ports'][kind]


@probe('the network is not the host\'s')
def own(): return foreign_space('net')


@probe('the host\'s loopback is not reached')
def loopback(): return stream(socket.AF_INET, ('127.0.0.1', port('tcp4')))


@probe('the host\'s loopback is not reached by IPv6')
def loopback6(): return stream(socket.AF_INET6, ('::1', port('tcp6')))


@probe('the host\'s loopback is not reached by a mapped address')
def mapped(): return stream(socket.AF_INET6, ('::ffff:127.0.0.1', port('tcp4')))


@probe('no packet reaches the host\'s loopback')
def datagram(): return packet(socket.AF_INET, ('127.0.0.1', port('udp4')))


@probe('no route leads out', bare=HOST['route'] or 'this host has none')
def route():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(('192.0.2.1', 9))   # RFC 5737; connecting a datagram socket sends nothing
        return 'from %s' % s.getsockname()[0]


@probe('no other interface is listed', bare=HOST['interfaces'] > 1 or 'this host has only loopback')
def interfaces():
    names = [line.split(':')[0].strip() for line in text('/proc/net/dev').splitlines()[2:]]
    return ' '.join(n for n in names if n != 'lo' and not n.startswith(('sit', 'tunl', 'ip6', 'gre', 'erspan', 'ip_', 'ifb')))


@probe('an abstract stream socket of the host is not reached')
def abstract(): return stream(socket.AF_UNIX, '\0' + HOST['abstract'])


@probe('an abstract datagram socket of the host is not reached')
def abstract_packet():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(b'probe', '\0' + HOST['abstract'] + '-packet')
        return 'sent'


@probe('a socket file of the host is not reached')
def files(): return ' '.join(p for p in HOST['sockets'] if reached(p))


def reached(path):
    try:
        return stream(socket.AF_UNIX, path)
    except OSError:
        return None


@probe('sockets of the host are not listed')
def unix_list(): return TOKEN in text('/proc/net/unix', 1 << 20) and 'socket files are listed'


@probe('ports of the host are not listed')
def port_list(): return ':%04X ' % port('tcp4') in text('/proc/net/tcp', 1 << 20) and 'ports are listed'


@probe('no raw socket', bare='the host\'s network asks for its own capability')
def raw(): return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) and 'opened'


@probe('loopback cannot be changed', bare='the host\'s network asks for its own capability')
def change():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8916, struct.pack('16sHH4s8x', b'lo:7', 2, 0, b'\x0a\x4d\x00\x63'))
    return 'address set'


@probe('the room\'s own loopback works', bare='it works there too')
def works():
    with socket.create_server(('127.0.0.1', 0)) as server, socket.create_connection(server.getsockname(), 2) as s:
        server.accept()[0].sendall(b'x')
        return None if s.recv(1) == b'x' else 'it does not'
