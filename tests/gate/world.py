#!/usr/bin/python3 -B
"""world: "the internet" of the gate's tests, in a network namespace of its own: names, web servers, an echo, and a log
of all that arrives, one line each on stdout. Started by run; told the folder of certificates and pages."""
import base64
import http.server
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time

EXT, DENIED, DNS, LAN, META = '198.51.100.7', '198.51.100.8', '198.51.100.53', '10.9.8.7', '169.254.169.254'
EXT6, DENIED6 = '2001:db8:57::7', '2001:db8:57::8'
LINK = 'fe80::53'  # on one link only
A, AAAA, CNAME = 1, 28, 5
NAMES = {
    'allowed.test': [(A, EXT), (AAAA, EXT6)],
    'four.test': [(A, EXT)],
    'six.test': [(AAAA, EXT6)],
    'half.test': [(AAAA, '2001:db8:57::dead'), (A, EXT)],
    'slow.test': [(AAAA, '2001:db8:57::dead'), (AAAA, '2001:db8:57::beef'), (A, '198.51.100.200'), (A, EXT)],
    'denied.test': [(A, DENIED), (AAAA, DENIED6)],
    'rebind.test': [(A, '127.0.0.1')],
    'rebind6.test': [(AAAA, '::1')],
    'mapped.test': [(AAAA, '::ffff:127.0.0.1')],
    'mapped10.test': [(AAAA, '::ffff:10.9.8.7')],
    'meta.test': [(A, META)],
    'lan.test': [(A, LAN)],
    'nat64.test': [(AAAA, '64:ff9b::a09:807')],
    'zero.test': [(A, '0.0.0.0')],
    'alias.test': [(CNAME, 'four.test'), (A, EXT)],
    'loop.test': [(CNAME, 'loop.test')],
    'own.test': [(A, '198.51.100.1')],
    'own2.test': [(A, '198.51.100.2')],
    'own6.test': [(AAAA, '2001:db8:57::1')],
    'own66.test': [(AAAA, '2001:db8:57::2')],
    'broad.test': [(A, '198.51.100.255')],
    'flip.test': 'flip',
    'lie.test': 'lie',
    'hang.test': 'hang',
    'lower.test': [(A, EXT)],
    'guess.test': 'guess',
    'storm.test': [(A, EXT)],
    'long.test': [(A, EXT)] * 16 + [(A, DENIED)] * 80,
    'chain.test': [(CNAME, 'c1.test'), (A, EXT)],
    'ring.test': [(CNAME, 'ring2.test')],
    'deny.test': [(A, DENIED)],
}
flips = [0]
lock = threading.Lock()


def log(*words):
    with lock:
        print(*words, flush=True)


def packed(name):
    return b''.join(bytes([len(x)]) + x.encode() for x in name.split('.')) + b'\0'


def question(packet):
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode('latin1'))
        at += 1 + packet[at]
    return '.'.join(labels).lower(), struct.unpack('>H', packet[at + 1:at + 3])[0], packet[12:at + 5]


def answer(packet, how):
    name, kind, asked = question(packet)
    log('dns', how, name, kind)
    rows = NAMES.get(name)
    if rows is None and name.endswith('.w.test'):
        rows = NAMES['four.test']
    if rows == 'hang':
        return None
    if rows == 'guess':  # a guesser's answer comes first: the right number by luck, but not the letters
        rows = [(A, EXT)] if how == 'tcp' else [(A, DENIED)]
        asked = asked if how == 'tcp' else asked.swapcase()
    if rows == 'lie':
        return packet[:2] + b'\x81\x80\0\1\0\x09\0\0\0\0' + asked + b'\xc0\xff' * 20
    if rows == 'flip':
        flips[0] += kind == A
        rows = [(A, EXT if flips[0] % 2 else '127.0.0.1')]
    if rows is None:
        return packet[:2] + b'\x81\x83\0\1\0\0\0\0\0\0' + asked
    if name == 'lower.test' and how == 'udp':
        asked = asked.lower()
    if len(rows) > 16 and how == 'udp':
        return packet[:2] + b'\x83\x80\0\1\0\0\0\0\0\0' + asked
    said = b''
    count = 0
    for its_kind, value in rows:
        if its_kind not in (kind, CNAME):
            continue
        data = packed(value) if its_kind == CNAME else socket.inet_pton(
            socket.AF_INET if its_kind == A else socket.AF_INET6, value)
        owner = packed('four.test') if name == 'alias.test' and its_kind == A else b'\xc0\x0c'
        said += owner + struct.pack('>HHIH', its_kind, 1, 5, len(data)) + data
        count += 1
    return packet[:2] + b'\x81\x80\0\1' + struct.pack('>HHH', count, 0, 0) + asked + said


def serve_udp(*at):
    s = socket.socket(socket.AF_INET6 if ':' in at[0] else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(at)
    while True:
        packet, peer = s.recvfrom(4096)
        try:
            said = answer(packet, 'udp')
        except (IndexError, struct.error):
            continue
        for i in range(40 if b'\5storm' in packet.lower() else 0):  # guesses, and no answer
            s.sendto(struct.pack('>H', struct.unpack('>H', packet[:2])[0] + 1 + i & 0xffff) + said[2:], peer)
        if said and b'\5storm' not in packet.lower():
            s.sendto(said, peer)


def serve_dns_tcp():
    s = socket.create_server((DNS, 53), backlog=64)
    while True:
        c, _ = s.accept()
        try:
            c.settimeout(3)
            size, = struct.unpack('>H', c.recv(2, socket.MSG_WAITALL))
            said = answer(c.recv(size, socket.MSG_WAITALL), 'tcp')
            for part in (b'', b'') if said is None else (struct.pack('>H', len(said)) + said[:7], said[7:]):
                c.sendall(part)
        except (OSError, IndexError, struct.error):
            pass
        c.close()


def log_udp(address, port):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    while True:
        packet, _ = s.recvfrom(4096)
        log('udp', address, port, len(packet))


def request(c, who):
    head = b''
    while b'\r\n\r\n' not in head and len(head) < 65536:
        got = c.recv(65536)
        if not got:
            return
        head += got
    path = head.split(b' ')[1].decode('latin1')
    if path.startswith('/bytes/'):
        size = int(path[7:])
        c.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % size)
        block = bytes(range(256)) * 256
        while size > 0:
            c.sendall(block[:size])
            size -= len(block)
        return
    body = ('here is %s\n' % who).encode()
    file = os.path.join(sys.argv[1], path.split('?')[0].lstrip('/'))
    if path != '/' and '..' not in path:
        try:
            body = open(file, 'rb').read()
        except OSError:
            c.sendall(b'HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
            return
    c.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % len(body) + body)


def echo(c):
    """Everything back, only after the other side has ended."""
    whole = b''
    while True:
        got = c.recv(65536)
        if not got:
            break
        whole += got
    c.sendall(b'%d bytes\n' % len(whole) + whole[-20:])


def one(c, peer, name, port, context):
    log('tcp', name, port, peer[0])
    try:
        c.settimeout(60)
        if port == 7:
            echo(c)
        elif port == 11:  # says something, does not listen, and goes: what is unread makes that a reset
            c.recv(1)
            time.sleep(0.1)
            c.sendall(b'x' * 20000 + b'end')
        elif port == 13:  # keeps talking after the other side has ended
            while c.recv(65536):
                pass
            for _ in range(20):
                c.sendall(b'y' * 10000)
                time.sleep(0.01)
        elif port in (9, 15):  # listens; 15 says that it does
            if port == 15:
                c.sendall(b'x')
            while c.recv(65536):
                pass
        elif context:
            with context.wrap_socket(c, server_side=True) as t:
                request(t, '%s:%d' % (name, port))
            return
        else:
            request(c, '%s:%d' % (name, port))
    except OSError:
        pass
    finally:
        c.close()


class Kept(http.server.BaseHTTPRequestHandler):
    """HTTP/1.1 that keeps its connections, tells each request, and says back in the body what it was sent."""
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self):
        body = b''
        if self.headers.get('Transfer-Encoding') == 'chunked':
            while True:
                size = int(self.rfile.readline().split(b';')[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    break
        else:
            body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        log('req', self.command, self.path, self.headers.get('Host'), len(body))
        if self.headers.get('Upgrade') == 'raw':
            self.send_response(101)
            self.send_header('Upgrade', 'raw')
            self.end_headers()
            self.close_connection = True
            self.connection.sendall(b'raw:' + self.connection.recv(99))
            return
        if self.path.startswith(('/slow', '/hang')):
            time.sleep(0.4 if self.path.startswith('/slow') else 20)
        said = ('%s %s\n%s' % (self.command, self.path, self.headers)).encode() + body
        self.send_response(200)
        self.send_header('X-Said', self.headers.get('Authorization', ''))
        if self.path.startswith('/chunked'):
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            self.wfile.write(b'%x\r\n%s\r\n0\r\n\r\n' % (len(said), said))
            return
        self.send_header('Content-Length', str(len(said)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(said)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer


class Lazy(Kept):
    """Reads no bodies: takes them for the next request, as simple servers do."""

    def answer(self):
        log('req', self.command, self.path, self.headers.get('Host'), 0)
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    do_GET = do_HEAD = do_DELETE = do_OPTIONS = do_POST = answer


def serve_kept(address, port, context=None, how=Kept):
    http.server.ThreadingHTTPServer.request_queue_size = 512
    s = http.server.ThreadingHTTPServer((address, port), how)
    s.daemon_threads = True
    s.handle_error = lambda *_: None
    if context:
        s.socket = context.wrap_socket(s.socket, server_side=True)
    s.serve_forever()


def proxied(c, name, port):
    """What a company's proxy does: looks the name up, connects."""
    log('proxied', name, port)
    rows = [v for k, v in NAMES.get(name, []) if k == A] or [name]
    try:
        return socket.create_connection((rows[0], port), 5)
    except OSError:
        return None


def pass_on(c, far):
    def back():
        try:
            while True:
                got = far.recv(65536)
                if not got:
                    break
                c.sendall(got)
            c.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    other = threading.Thread(target=back, daemon=True)
    other.start()
    while True:
        got = c.recv(65536)
        if not got:
            break
        far.sendall(got)
    far.shutdown(socket.SHUT_WR)
    other.join(20)


def http_proxy(c, login):
    head = b''
    while b'\r\n\r\n' not in head:
        got = c.recv(65536)
        if not got:
            return
        head += got
    lines = head.decode('latin1').split('\r\n')
    if login and 'Proxy-Authorization: Basic ' + base64.b64encode(login).decode() not in lines:
        c.sendall(b'HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n')
        return
    name, port = lines[0].split(' ')[1].rsplit(':', 1)
    far = proxied(c, name.strip('[]'), int(port))
    if not far:
        c.sendall(b'HTTP/1.1 502 No\r\n\r\n')
        return
    for piece in (b'HTTP/1.1 20', b'0 OK\r\nVia: x\r', b'\n\r\n'):  # as the network may cut it
        c.sendall(piece)
        time.sleep(0.02)
    pass_on(c, far)


def socks_proxy(c, login):
    c.recv(2)
    if c.recv(9) != (b'\2' if login else b'\0'):
        c.sendall(b'\5\xff')
        return
    c.sendall(b'\5\2' if login else b'\5\0')
    if login:
        said = c.recv(600)
        user, word = login.split(b':', 1)
        good = said == b'\1' + bytes([len(user)]) + user + bytes([len(word)]) + word
        c.sendall(b'\1\0' if good else b'\1\1')
        if not good:
            return
    asked = c.recv(600)
    if asked[3] == 3:
        name, port = asked[5:5 + asked[4]].decode(), asked[5 + asked[4]:]
    else:
        name = socket.inet_ntop(socket.AF_INET if asked[3] == 1 else socket.AF_INET6, asked[4:-2])
        port = asked[-2:]
    far = proxied(c, name, struct.unpack('>H', port)[0])
    c.sendall(b'\5\0\0\1\0\0\0\0\0\0' if far else b'\5\5\0\1\0\0\0\0\0\0')
    if far:
        pass_on(c, far)


def garbage_proxy(c, _):
    c.recv(9)
    c.sendall(b'220 ftp.test ready\r\n' * 900)


def over_tls(c, way):
    """Speaks TLS for the proxy on that port, as one in front of it does."""
    port, context = way
    s, far = context.wrap_socket(c, server_side=True), socket.create_connection((EXT, port), 5)
    up = True
    while True:
        ready = [s] if up and s.pending() else select.select([s, far] if up else [far], [], [], 20)[0]
        if s in ready:
            got = s.recv(65536)
            far.sendall(got)
            if not got:
                far.shutdown(socket.SHUT_WR)
                up = False
        if far in ready:
            got = far.recv(65536)
            s.sendall(got)
            if not got:
                s.settimeout(2)
                s.unwrap()
                return


def cut_proxy(c, context):
    """Its answers break off: TLS does not say that they were whole."""
    s = context.wrap_socket(c, server_side=True)
    s.recv(65536)
    s.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
    s.recv(65536)
    s.sendall(b'half of')
    time.sleep(0.2)


def serve_proxy(port, how, login=None):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((EXT, port))
    s.listen(512)

    def go(c):
        raw = c.dup()  # TLS takes it away
        try:
            c.settimeout(20)
            how(c, login)
        except (OSError, IndexError, ValueError):
            pass
        finally:
            c.close()
            raw.close()
    while True:
        threading.Thread(target=go, args=(s.accept()[0],), daemon=True).start()


def serve_tcp(address, port, context=None):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(512)
    while True:
        c, peer = s.accept()
        threading.Thread(target=one, args=(c, peer, address, port, context), daemon=True).start()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1] + '/server.pem', sys.argv[1] + '/server.key')
    unknown, expired = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    for made, name in ((unknown, 'unknown'), (expired, 'expired')):
        made.load_cert_chain('%s/%s.pem' % (sys.argv[1], name), sys.argv[1] + '/server.key')
    jobs = [(serve_udp, DNS, 53), (serve_udp, LINK, 53, 0, socket.if_nametoindex('inside'))] + [(serve_tcp, EXT, port) for port in (11, 13)]
    for address in (EXT, EXT6, DENIED, DENIED6, LAN, META):
        jobs += [(serve_tcp, address, 443, context)]
        jobs += [(serve_tcp, address, port) for port in (80, 22, 7, 9, 15, 8080)]
    jobs += [(serve_kept, EXT, 8088), (serve_kept, EXT, 8443, context), (serve_kept, EXT, 8087, None, Lazy), (serve_kept, EXT, 8444, context, Lazy)]
    jobs += [(serve_dns_tcp,), (log_udp, EXT, 443), (log_udp, EXT, 9999), (log_udp, EXT, 53), (log_udp, EXT6, 443)]
    jobs += [(serve_proxy, 3128, http_proxy), (serve_proxy, 3129, http_proxy, b'me:p w@d'), (serve_proxy, 1080, socks_proxy),
             (serve_proxy, 1081, socks_proxy, b'me:p w@d'), (serve_proxy, 3130, garbage_proxy),
             (serve_proxy, 3443, over_tls, (3128, context)), (serve_proxy, 3444, over_tls, (3129, context)),
             (serve_proxy, 3445, over_tls, (3128, unknown)), (serve_proxy, 3446, over_tls, (3128, expired)),
             (serve_proxy, 3447, cut_proxy, context), (serve_proxy, 3448, lambda c, _: time.sleep(60))]
    for job in jobs:
        threading.Thread(target=job[0], args=job[1:], daemon=True).start()
    log('ready')
    for line in sys.stdin:
        log(*line.split())


main()
