# user: an identity of the room's own.
@probe('the user namespace is not the host\'s', bare='the bare run has one of its own')
def own(): return foreign_space('user')


@probe('not uid 0')
def nobody_special(): return os.getuid() == 0 and 'uid 0'


@probe('no way to become uid 0')
def become_root():
    os.setresuid(0, 0, 0)
    return 'resuid %s' % (os.getresuid(),)


@probe('no way to become uid 0 by group', )
def become_group():
    os.setresgid(0, 0, 0)
    return 'resgid %s' % (os.getresgid(),)


@probe('no way to another uid', bare='one id is mapped there too')
def become_other():
    os.setuid(4321)
    return 'uid 4321'


@probe('watches of files are few: whoever made the room shares them')
def watches():
    most, held = int(open('/proc/sys/fs/inotify/max_user_instances').read()), []
    try:
        while len(held) <= most // 4:
            held.append(call(294, 0))   # inotify_init1
    except OSError as e:
        return e.errno != errno.EMFILE and str(e)
    finally:
        for fd in held:
            os.close(fd)
    return '%d at once of %d' % (len(held), most)


@probe('a crash cannot be given to a program of the host\'s', bare='a host may forbid cores')
def crash_handler():
    """core_pattern with a pipe starts a program outside, as root, whatever RLIMIT_CORE is, but for 1. Else no core is to be had."""
    wanted = 1 if text('/proc/sys/kernel/core_pattern')[:1] in ('|', '@') else 0
    seen = []
    for how in (lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)), lambda: call(160, 4, bytes(16)), lambda: call(302, 0, 4, bytes(16), None)):
        if resource.getrlimit(resource.RLIMIT_CORE)[0] != wanted:
            return 'RLIMIT_CORE is %s' % (resource.getrlimit(resource.RLIMIT_CORE),)
        how()
        seen.append(resource.getrlimit(resource.RLIMIT_CORE)[0])
    return seen != [wanted] * 3 and seen


@probe('supplementary groups cannot be changed', bare='unshare closes them too')
def groups():
    os.setgroups([0])
    return 'groups %s' % os.getgroups()
