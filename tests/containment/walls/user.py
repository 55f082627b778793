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


@probe('supplementary groups cannot be changed', bare='unshare closes them too')
def groups():
    os.setgroups([0])
    return 'groups %s' % os.getgroups()
