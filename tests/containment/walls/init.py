# init: pid 1 is ours and out of reach. Without a room the probes are aimed at a child, as nobody may touch the host's.
def target():
    if not BARE:
        return 1
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)   # ends with the probe
        os.write(writer, b'x')
        os.closerange(1, 64)
        signal.alarm(30)
        signal.pause()
    os.read(reader, 1)
    return child


def looks(name):
    pid = target()
    try:
        path = '/proc/%d/%s' % (pid, name)
        if name in ('cwd', 'root', 'exe', 'ns/mnt'):
            return os.readlink(path)
        if os.path.isdir(path):
            return os.listdir(path) and 'lists'
        return opens(path) and 'opens'
    finally:
        if BARE:
            os.kill(pid, signal.SIGKILL)


for name in ('mem', 'environ', 'cwd', 'root', 'exe', 'maps', 'fd', 'auxv', 'ns/mnt'):
    probe('its %s is closed' % name)(lambda name=name: looks(name))


@probe('its command line tells nothing of the caller')
def words(): return TOKEN in text('/proc/%d/cmdline' % target()) and 'it shows ours'


@probe('it cannot be traced')
def traced():
    call(101, 16, target(), 0, 0)
    return 'attached'


@probe('its memory cannot be read')
def memory():
    buffer = ctypes.create_string_buffer(8)
    here, there = struct.pack('QQ', ctypes.addressof(buffer), 8), struct.pack('QQ', ctypes.addressof(buffer), 8)
    return 'read %d' % call(310, target(), here, 1, there, 1, 0)


@probe('its program cannot be written', bare=HOST['root'] or 'a user may not write the file')
def program():
    try:
        os.close(os.open('/proc/%d/exe' % target(), os.O_WRONLY))
        return 'opens'
    except OSError as e:
        return e.errno == errno.ETXTBSY and 'only because it runs'


@probe('signals do not end it', bare=None)
def signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV, signal.SIGSTOP, signal.SIGKILL):
        try:
            os.kill(1, number)
        except OSError:
            pass
    time.sleep(0.1)
    return 'State:\tT' in text('/proc/1/status') and 'stopped'
