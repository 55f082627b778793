"""fixture: what a careless host has around a room: secrets in files, arguments, environment and memory, and services.

All of it is made by the suite, carries its token, belongs to the suite's own user, and goes away with it.
"""
import ctypes
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
# A program of 32-bit ARM's ABI, which asks for its pid (20) and, when it is answered, ends with 1.
ARM32 = struct.pack('<21I', 0x464c457f, 0x10101, 0, 0, 0x280002, 1, 0x10054, 52, 0, 0x5000000, 0x200034, 1, 0,   # an ELF file's head
                    1, 0, 0x10000, 0x10000, 104, 104, 5, 0x10000) + \
    struct.pack('<5I', 0xe3a07014, 0xef000000, 0xe3a00001, 0xe3a07001, 0xef000000)                                # its code
# Ends with 0 when the kernel answers calls of the 32-bit ABI.
DOOR32 = {'x86_64': 'import ctypes, mmap\n'
                    'p = mmap.mmap(-1, 4096, prot=7); p.write(b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3")\n'
                    'ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(p)))()',
          'aarch64': 'import os\n'
                     'f = os.memfd_create("arm"); os.write(f, bytes.fromhex("%s"))\n'
                     'child = os.fork()\n'
                     'child or os.execve(f, ["arm"], {})\n'
                     'raise SystemExit(os.waitpid(child, 0)[1] != 1 << 8)' % ARM32.hex()}
# mq_open, mq_unlink, add_key, keyctl
NUMBERS = {'x86_64': (240, 241, 248, 250), 'aarch64': (180, 181, 217, 219)}
MQ_OPEN, MQ_UNLINK, ADD_KEY, KEYCTL = NUMBERS[os.uname().machine]
KINDS = ('user', 'pid', 'mnt', 'net', 'ipc', 'uts', 'cgroup', 'time')


def text(path):
    try:
        with open(path, errors='replace') as f:
            return f.read(1 << 20)
    except OSError:
        return ''


class Host:
    def __init__(self, token):
        self.token, self.root = token, os.geteuid() == 0
        self.made, self.sockets, self.facts = [], [], {}
        self.folder = tempfile.mkdtemp(prefix=token + '-')
        self.made.append(self.folder)
        self.scratch = self.folder + '/scratch'
        os.mkdir(self.scratch)

    def __enter__(self):
        self.files()
        self.services()
        self.objects()
        code = 'import time\nprint("up", flush=True)\ntime.sleep(1000)'
        self.victim = subprocess.Popen(['/usr/bin/python3', '-I', '-S', '-c', code, self.token], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, env={'SECRET': self.token}, start_new_session=True)
        self.victim.stdout.readline()
        self.open_secret = os.open(self.secrets[0], os.O_RDONLY)
        os.set_inheritable(self.open_secret, True)
        self.environment = {'PATH': '/usr/bin:/bin:/usr/sbin:/sbin', 'HOME': os.environ.get('HOME', '/'), 'SUITE_SECRET': self.token,
                            'AWS_SECRET_ACCESS_KEY': self.token, 'SSH_AUTH_SOCK': '/tmp/' + self.token}
        return self

    def __exit__(self, *_):
        self.victim.kill()
        self.victim.wait()
        self.victim.stdout.close()
        os.close(self.open_secret)
        for s in self.sockets:
            s.close()
        if self.segment is not None:
            libc.shmctl(self.segment, 0, None)
        if self.queue:
            libc.syscall(MQ_UNLINK, self.token.encode())
        if self.key is not None:
            libc.syscall(KEYCTL, 3, self.key)   # KEYCTL_REVOKE
        for place in reversed(self.made):
            subprocess.run(['/bin/rm', '-rf', '--', place], stdin=subprocess.DEVNULL)

    def files(self):
        self.secrets, self.files_of_sockets = [], []
        places = ['/tmp', '/var/tmp', '/dev/shm', os.environ.get('HOME', '/nowhere'), '/run/user/%d' % os.geteuid()]
        if self.root:
            places += ['/run', '/usr/local/share', '/usr/local/etc', '/srv', '/var/lib']
        for place in places:
            folder = '%s/%s' % (place.rstrip('/'), self.token)
            try:
                os.mkdir(folder, 0o755)
            except OSError:
                continue
            self.made.append(folder)
            with open(folder + '/secret', 'w') as f:
                f.write(self.token)
            self.secrets.append(folder + '/secret')
            self.files_of_sockets.append(folder + '/socket')

    def serve(self, s):
        self.sockets.append(s)

        def stream():
            while True:
                try:
                    with s.accept()[0] as c:
                        c.sendall(b'reached')
                except OSError:
                    return

        def packet():
            while True:
                try:
                    _, who = s.recvfrom(1000)
                    if who:
                        s.sendto(b'reached', who)
                except OSError:
                    return
        kind = s.type
        if kind == socket.SOCK_STREAM:
            s.listen(20)
        threading.Thread(target=stream if kind == socket.SOCK_STREAM else packet, daemon=True).start()

    def services(self):
        self.ports = {}
        for name, family, kind, address in (('tcp4', socket.AF_INET, socket.SOCK_STREAM, '127.0.0.1'), ('tcp6', socket.AF_INET6, socket.SOCK_STREAM, '::1'),
                                            ('udp4', socket.AF_INET, socket.SOCK_DGRAM, '127.0.0.1')):
            s = socket.socket(family, kind)
            try:
                s.bind((address, 0))
            except OSError:
                s.close()
                continue
            self.ports[name] = s.getsockname()[1]
            self.serve(s)
        for kind, name in ((socket.SOCK_STREAM, '\0' + self.token), (socket.SOCK_DGRAM, '\0' + self.token + '-packet')):
            s = socket.socket(socket.AF_UNIX, kind)
            s.bind(name)
            self.serve(s)
        for path in self.files_of_sockets:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.bind(path)
            os.chmod(path, 0o666)
            self.serve(s)

    def objects(self):
        libc.shmat.restype = ctypes.c_void_p
        self.segment_key = int(self.token[-7:], 16)
        number = libc.shmget(self.segment_key, 4096, 0o1600)
        self.segment = number if number >= 0 else None
        if self.segment is not None:
            ctypes.memmove(libc.shmat(number, None, 0), self.token.encode(), len(self.token))
        queue = libc.syscall(MQ_OPEN, self.token.encode(), os.O_RDWR | os.O_CREAT, 0o600, None)
        self.queue = queue >= 0
        if self.queue:
            os.close(queue)
        libc.syscall.restype = ctypes.c_long
        key = libc.syscall(ADD_KEY, b'user', self.token.encode(), self.token.encode(), ctypes.c_long(len(self.token)), ctypes.c_long(-4))
        self.key = key if key > 0 else None

    def describe(self):
        """What the probes are told."""
        route = False
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.connect(('192.0.2.1', 9))
                route = True
            except OSError:
                pass
        setid = any(os.lstat(d + n).st_mode & 0o6000 for d in ('/usr/bin/', '/usr/sbin/') for n in os.listdir(d) if os.path.isfile(d + n) and not os.path.islink(d + n))
        door32 = subprocess.run(['/usr/bin/python3', '-I', '-S', '-c', DOOR32[os.uname().machine]],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        btime = [int(l.split()[1]) for l in text('/proc/stat').splitlines() if l.startswith('btime')]
        return dict(
            token=self.token, root=self.root, scratch=self.scratch, victim=self.victim.pid, secrets=self.secrets, sockets=self.files_of_sockets,
            ports=self.ports, abstract=self.token, segment=self.segment, segment_key=self.segment_key, queue=self.queue, key=self.key,
            open_secret=self.open_secret, namespaces={k: os.readlink('/proc/self/ns/' + k) for k in KINDS}, name=os.uname().nodename,
            uptime=time.clock_gettime(time.CLOCK_BOOTTIME), boot_time=btime[0] if btime else 0, route=route, interfaces=len(socket.if_nameindex()), setid=setid,
            door32=door32, arm32=ARM32.hex(), machine_id=text('/etc/machine-id').strip(), boot_id=text('/proc/sys/kernel/random/boot_id').strip(),
            in_cgroup=any(l.split(':', 2)[2] != '/' for l in text('/proc/self/cgroup').splitlines()), keys_listed=bool(text('/proc/keys')),
            users=len(text('/etc/passwd').splitlines()), filtered='Seccomp:\t2' in text('/proc/self/status'), shm_exec=not os.statvfs('/dev/shm').f_flag & os.ST_NOEXEC,
            local=any(os.path.isdir(p) and bool(os.listdir(p)) for p in ('/usr/local/etc', '/usr/local/share', '/usr/local/src')))
