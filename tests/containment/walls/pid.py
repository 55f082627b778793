# pid: a process table of the room's own.
@probe('the process table is not the host\'s')
def own(): return foreign_space('pid')


@probe('a host process cannot be signalled')
def signalled():
    os.kill(HOST['victim'], 0)
    return 'pid %d is there' % HOST['victim']


@probe('a host process cannot be opened')
def opened(): return 'descriptor %d' % call(434, HOST['victim'], 0)


@probe('limits of a host process cannot be read')
def limits(): return 'answered %d' % call(302, HOST['victim'], 7, 0, ctypes.create_string_buffer(16))


@probe('no command line of the host is listed')
def listed():
    for name in os.listdir('/proc'):
        if name.isdigit() and int(name) == HOST['victim']:
            return TOKEN in text('/proc/%s/cmdline' % name) and 'pid ' + name


@probe('few processes are listed')
def few():
    seen = [n for n in os.listdir('/proc') if n.isdigit()]
    return len(seen) > 4 and '%d processes' % len(seen)


@probe('orphans are reaped', bare='the host\'s process 1 reaps as well')
def orphans():
    for _ in range(40):
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                time.sleep(0.02)
            os._exit(0)
        os.waitpid(child, 0)
    time.sleep(0.5)
    dead = 0
    for name in os.listdir('/proc'):
        try:
            dead += name.isdigit() and text('/proc/%s/stat' % name).rsplit(')', 1)[1].split()[0] == 'Z'
        except OSError:
            pass
    return dead > 4 and '%d dead ones wait' % dead
