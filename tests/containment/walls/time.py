# time: the host's uptime is not told, its clock not touched.
@probe('the uptime is not the host\'s')
def uptime():
    up = time.clock_gettime(time.CLOCK_BOOTTIME)
    return up >= HOST['uptime'] - 1 and 'up %.0f s' % up


@probe('the time of boot is not told')
def boot():
    line = [l for l in text('/proc/stat', 1 << 20).splitlines() if l.startswith('btime')]
    return line and abs(int(line[0].split()[1]) - HOST['boot_time']) < 3 and line[0]


@probe('the clock cannot be set', bare='asks for a capability over the whole machine')
def clock():
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return 'set'


@probe('the clock cannot be slewed', bare='asks for a capability over the whole machine')
def slewed():
    request = ctypes.create_string_buffer(208)
    struct.pack_into('I', request, 0, 0x4000)   # ADJ_TICK
    struct.pack_into('q', request, 88, 10000)
    return 'answered %d' % call(159, request)
