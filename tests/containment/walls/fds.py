# fds: nothing open but the program's own three.
def alive(f):
    try:
        os.fstat(f)
        return True
    except OSError:
        return False


OPEN = [f for f in range(3, 4096) if alive(f)]   # looked at here, before a probe has its pipe


@probe('nothing is inherited')
def inherited():
    return ' '.join(map(str, OPEN))


@probe('the suite\'s secret is not open')
def secret():
    os.lseek(HOST['open_secret'], 0, 0)
    return os.read(HOST['open_secret'], 100).decode()


@probe('stdio names no file of the host', bare=None)
def stdio(): return ' '.join(l for l in (os.readlink('/proc/self/fd/%d' % f) for f in (0, 1, 2)) if l.startswith('/') and l != '/dev/null')


@probe('the working folder is the room\'s')
def folder(): return os.getcwd() != '/work' and os.getcwd()
