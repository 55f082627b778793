# proc: a /proc of the room's own, read-only, without facts of the host.
@probe('nothing in /proc opens for writing')
def writable():
    names = ('self/oom_score_adj', 'self/comm', 'self/clear_refs', 'self/timerslack_ns', 'self/uid_map', 'self/attr/current',
             'sys/kernel/core_pattern', 'sys/kernel/hostname', 'sys/kernel/modprobe', 'sys/vm/drop_caches', 'sysrq-trigger',
             'sys/net/ipv4/ip_forward', 'sys/user/max_user_namespaces', 'sys/fs/binfmt_misc/register', 'irq/default_smp_affinity')
    return ' '.join(n for n in names if opens('/proc/' + n, os.O_WRONLY))


@probe('no fact of the host is read')
def facts():
    names = ('cmdline', 'keys', 'key-users', 'timer_list', 'config.gz', 'sched_debug', 'latency_stats', 'kcore', 'kmsg', 'slabinfo',
             'vmallocinfo', 'kpagemap', 'kpagecount', 'kpageflags')
    seen = []
    for name in names:
        try:
            if text('/proc/' + name, 64):
                seen.append(name)
        except OSError:
            pass
    return ' '.join(seen)


@probe('the boot id is not the host\'s')
def boot(): return text('/proc/sys/kernel/random/boot_id').strip() == HOST['boot_id'] and HOST['boot_id']


@probe('kernel addresses are not told', bare='nor to an ordinary user')
def addresses():
    return any(int(l.split()[0], 16) for l in text('/proc/kallsyms', 4000).splitlines()[:20] if l) and 'addresses'


@probe('/proc is there, and the room\'s', bare='it is there too')
def there(): return os.readlink('/proc/self') != str(os.getpid()) and 'another table'
