# inside: stands in front of each file of walls/ in the one text that the suite hands to python3 in a room.
#
# A probe asks one wall one question. It answers by what it returns: nothing when it was refused or saw nothing, a few
# words when it got through. OSError counts as refused. Each probe runs in a child of its own with a clock, so one that is
# killed by the filter, hangs, or breaks something ends only itself.
# The same text also runs without a room (run --without-room), where every probe must get through: that shows that it can
# fail. A probe that is held there too names the reason: bare='...'. One that would do harm there: bare=None, not run.
import ctypes, errno, fcntl, json, mmap, os, platform, resource, select, signal, socket, stat, struct, sys, time

HOST = json.loads(sys.argv[1])   # what the suite planted outside, and facts of the host
BARE, TOKEN = HOST['bare'], HOST['token']
SCRATCH = HOST['scratch'] if BARE else '/work'
REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)
SECONDS = 10
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
probes = []


class Skip(Exception):
    pass


def probe(name, bare=True):
    def keep(function):
        probes.append((name, bare, function))
        return function
    return keep


def word(value):
    if value is None:
        return ctypes.c_ulong(0)
    return ctypes.c_ulong(value & (1 << 64) - 1) if isinstance(value, int) else value


# The numbers of x86_64 that the probes name, on the architectures that share one table (asm-generic/unistd.h). None: not there.
GENERIC = {0: 63, 9: 222, 16: 29, 56: 220, 72: 25, 101: 117, 103: 116, 126: 91, 134: None, 135: 92, 153: 58, 154: None, 155: 41, 159: 171, 160: 164, 163: 89, 165: 40, 166: 39,
           167: 224, 169: 142, 172: None, 173: None, 175: 105, 176: 106, 179: 60, 212: 18, 237: 235, 238: 237, 240: 180, 246: 104, 248: 217, 249: 218, 250: 219,
           256: 238, 272: 97, 278: 75, 279: 239, 294: 26, 298: 241, 300: 262, 302: 261, 303: 264, 304: 265, 308: 268, 310: 270, 311: 271,
           312: 272, 313: 273, 319: 279, 320: 294, 321: 280, 323: 282}


def call(number, *arguments):
    """One raw system call, by its number on x86_64 (from 424 on they are the same everywhere). Raises OSError."""
    if platform.machine() != 'x86_64' and number < 424:
        number = GENERIC[number]   # KeyError: a probe that the table does not know, which must not pass for refused
        if number is None:
            raise OSError(errno.ENOSYS, 'no such call on this architecture')
    values = [word(a) for a in arguments] + [ctypes.c_ulong(0)] * (6 - len(arguments))
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *values)
    if answer == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def reaches(number, *arguments):
    """Words when the kernel itself answered, be it with an error about the arguments; None when the call is closed."""
    try:
        return 'answered %d' % call(number, *arguments)
    except OSError as e:
        return None if e.errno in REFUSED else 'answered ' + errno.errorcode.get(e.errno, str(e.errno))


def text(path, limit=1 << 16):
    f = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(f, limit).decode('utf-8', 'replace')
    finally:
        os.close(f)


def opens(path, flags=os.O_RDONLY):
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
        return True
    except OSError:
        return False


def status(key):
    for line in text('/proc/self/status').splitlines():
        if line.startswith(key + ':'):
            return line.split(':', 1)[1].strip()
    raise Skip('no %s in /proc/self/status' % key)


def foreign_space(name):
    """Are we in the host's own namespace of that kind?"""
    link = os.readlink('/proc/self/ns/' + name)
    return link if link == HOST['namespaces'][name] else None


def tell(name, bare, answer, detail=''):
    detail = ''.join(c if 32 <= ord(c) < 127 else '?' for c in str(detail))[:200]
    os.write(1, (json.dumps(dict(name=name, bare=bare, answer=answer, detail=detail)) + '\n').encode())


def ask(function):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS)
        try:
            got = function()
            words = ['broke', str(got)] if got else ['held', '']
        except OSError as e:
            words = ['held', errno.errorcode.get(e.errno, str(e))]
        except Skip as e:
            words = ['skip', str(e)]
        except BaseException as e:
            words = ['error', repr(e)]
        os.write(writer, json.dumps(words).encode()[:4000])
        os._exit(0)
    os.close(writer)
    got = b''
    while select.select([reader], [], [], SECONDS + 2)[0]:
        piece = os.read(reader, 4096)
        if not piece:
            break
        got += piece
    os.close(reader)
    os.kill(child, signal.SIGKILL)
    ended = os.waitpid(child, 0)[1]
    if got:
        return json.loads(got.decode())
    if os.WIFSIGNALED(ended) and os.WTERMSIG(ended) in (signal.SIGSYS, signal.SIGSEGV):
        return ['held', 'ended by ' + signal.Signals(os.WTERMSIG(ended)).name]
    return ['broke', 'did not come back']


def ask_all():
    for name, bare, function in probes:
        if BARE and bare is None:
            continue
        tell(name, bare, *ask(function))
    os.write(1, b'"end"\n')
