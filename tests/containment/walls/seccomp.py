# seccomp: what a program needs of the kernel, and no more.
NOTHING = ctypes.create_string_buffer(512)

# Arguments that do no harm anywhere: absent files, bad descriptors, wrong numbers.
FOR_ANYBODY = {
    'keyctl': (250, 0, -3, 0), 'add_key': (248, b'user', b'probe', b'x', 1, -1), 'request_key': (249, b'user', b'probe-none', None, -1),
    'ptrace': (101, 0x4200, -1, 0, 0), 'process_vm_readv': (310, -1, None, 0, None, 0, 0), 'process_vm_writev': (311, -1, None, 0, None, 0, 0),
    'name_to_handle_at': (303, -100, b'/nowhere', NOTHING, NOTHING, 0), 'personality': (135, 0x0040000),
    'vmsplice': (278, -1, None, 0, 0), 'pidfd_getfd': (438, -1, 0, 0), 'open_tree of nothing': (428, -1, b'', 0),
    'set_mempolicy': (238, 99, None, 0), 'mbind': (237, 0, 0, 99, None, 0, 0), 'migrate_pages': (256, 0, 0, None, None), 'move_pages': (279, 0, 0, None, None, None, 0),
    'quotactl': (179, 0x800007 << 8, None, 0, None), 'landless setns': (308, -1, 0), 'seccomp clone3': (435, None, 0),
}
# Calls that the kernel keeps from ordinary users, or that a kernel may be built without: held bare as well.
FOR_FEW = {
    'bpf': (321, 0, NOTHING, 8), 'perf_event_open': (298, NOTHING, 0, -1, -1, 0), 'userfaultfd': (323, 0), 'io_uring_setup': (425, 1, NOTHING),
    'io_uring_enter': (426, -1, 0, 0, 0, 0, 0), 'io_uring_register': (427, -1, 0, 0, 0), 'memfd_secret': (447, 0), 'kcmp': (312, -1, -1, 0, 1, 0),
    'init_module': (175, None, 0, b''), 'finit_module': (313, -1, b'', 0), 'delete_module': (176, b'no_such_module', 0x800),
    'kexec_load': (246, 0, 99999, None, 0xffff), 'kexec_file_load': (320, -1, -1, 0, None, 0), 'acct': (163, b'/nowhere/x'), 'swapon': (167, b'/nowhere/x', 0),
    'reboot': (169, 0, 0, 0, None), 'syslog': (103, 10, None, 0), 'iopl': (172, 3), 'ioperm': (173, 0x80, 1, 1), 'modify_ldt': (154, 0, NOTHING, 0),
    'fanotify_init': (300, 0, 0), 'open_by_handle_at': (304, -1, NOTHING, 0), 'lookup_dcookie': (212, 0, NOTHING, 16), 'vhangup': (153,),
    'process_madvise': (440, -1, None, 0, 0, 0), 'statmount': (457, None, None, 0, 99), 'listmount': (458, None, None, 0, 99), 'uselib': (134, b'/nowhere'),
}
for name, arguments in FOR_ANYBODY.items():
    probe('%s is closed' % name)(lambda a=arguments: reaches(*a))
for name, arguments in FOR_FEW.items():
    probe('%s is closed' % name, bare='the kernel may refuse an ordinary user, or lack it')(lambda a=arguments: reaches(*a))


@probe('a filter is on', bare=not HOST['filtered'] or 'the suite itself runs under one')
def on(): return status('Seccomp') != '2' and 'mode ' + status('Seccomp')


@probe('an unknown call is answered ENOSYS', bare='by the kernel too')
def unknown():
    try:
        return 'answered %d' % call(4000)
    except OSError as e:
        return e.errno != errno.ENOSYS and str(e)


def machine_code(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()


@probe('the 32-bit door is closed', bare=HOST['door32'] or 'this kernel has none')
def door32():
    if platform.machine() == 'aarch64':   # a process cannot change over to it; a program that is of it can be started
        program = os.memfd_create('arm')
        os.write(program, bytes.fromhex(HOST['arm32']))
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            try:
                os.execve(program, ['arm'], {})
            finally:
                os._exit(2)
        end = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if end == 2:
            raise Skip('no program of it can be started')
        return end != -signal.SIGSYS and 'ended with %d' % end
    answer = ctypes.c_int(machine_code(b'\xb8\x14\0\0\0\xcd\x80\xc3')).value   # mov $20 (getpid), %eax; int $0x80; ret
    return answer > 0 and 'answered %d' % answer


@probe('the x32 door is closed', bare='Debian\'s kernels have none')
def doorx32(): return reaches(0x40000000 + 39)


def has_ioctl(request): return reaches(16, 0, request, NOTHING)


@probe('no lease can be held on a file: it makes who opens it outside wait')
def lease():
    with open(SCRATCH + '/leased', 'w') as f:
        f.write('x')
    with open(SCRATCH + '/leased') as f:
        fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        return 'held'


@probe('no folder tells of changes by signals: what that takes is counted nowhere', bare='a kernel may be built without')
def notify():
    folder = os.open(SCRATCH, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.fcntl(folder, fcntl.F_NOTIFY, fcntl.DN_CREATE)
        return 'it does'
    except OSError as e:
        return e.errno != errno.EINVAL and str(e)
    finally:
        os.close(folder)


@probe('no delegation can be held on a folder', bare='only young kernels know it')
def delegation(): return reaches(72, os.open(SCRATCH, os.O_RDONLY | os.O_DIRECTORY), 1040, NOTHING)


@probe('no huge page of the host can be taken', bare='a host may have set none aside')
def huge():
    seen = []
    for name, wanted, words in (('mmap', errno.ENOMEM, (9, 0, 2 << 20, 3, 0x40022, -1, 0)), ('mmap, high bits', errno.ENOMEM, (9, 0, 2 << 20, 3, 1 << 40 | 0x40022, -1, 0)),
                                ('memfd_create', errno.EINVAL, (319, b'x', 4)), ('memfd_create of 1G', errno.EINVAL, (319, b'x', 4 | 30 << 26))):
        try:
            call(*words)
            seen.append(name)
        except OSError as e:
            if e.errno != wanted:
                seen.append('%s: %s' % (name, e))
    mmap.mmap(-1, 2 << 20).close()
    return ', '.join(seen)


@probe('no page is merged with those of others', bare='a kernel may be built without')
def merged():
    with mmap.mmap(-1, 1 << 16) as m:
        try:
            m.madvise(12)
            return 'MADV_MERGEABLE'
        except OSError as e:
            m.madvise(4)   # MADV_DONTNEED
            return e.errno != errno.EINVAL and str(e)


@probe('no key can be typed into a terminal')
def typed(): return has_ioctl(0x5412)


@probe('no key can be typed with high bits set')
def typed_high(): return has_ioctl(1 << 32 | 0x5412)


@probe('no console can be pasted into')
def pasted(): return has_ioctl(0x541c)


@probe('only the ordinary families of sockets are open')
def families():
    seen = []
    for family in list(range(3, 10)) + list(range(11, 46)):
        for kind in (1, 2, 3, 5):
            try:
                socket.socket(family, kind).close()
                seen.append(str(family))
            except OSError:
                pass
    return ' '.join(seen)


@probe('only the ordinary protocols are open', bare='a host may have none of the others')
def protocols():
    seen = []
    for kind, protocol in ((1, 132), (5, 132), (6, 33), (1, 262), (2, 136), (2, 1), (3, 255)):
        try:
            socket.socket(socket.AF_INET, kind, protocol).close()
            seen.append('%d/%d' % (kind, protocol))
        except OSError:
            pass
    return ' '.join(seen)
