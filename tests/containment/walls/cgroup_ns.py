# cgroup-ns: no view of the host's cgroups.
@probe('no path in the cgroup tree is told', bare=HOST['in_cgroup'] or 'the suite sits at the top of all trees')
def path(): return ' '.join(l for l in text('/proc/self/cgroup').splitlines() if l.split(':', 2)[2] != '/')


@probe('the cgroup tree is not there')
def tree(): return os.path.exists('/sys/fs/cgroup') and '/sys/fs/cgroup is there'


@probe('no cgroup can be made')
def made():
    return os.path.isdir('/sys') and '/sys is there'
