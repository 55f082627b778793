"""image: builds what the emulated machine boots from: kernel, initrd, root image, project image.

Runs on the build host, as root or any user, and installs nothing: the kernel comes out of Debian's package, the user
land is copied from this host's own packages (of another architecture: it is unpacked from Debian's, by scripts/foreign),
images are filled by `mkfs.ext4 -d`. Everything ends up in the cache directory, under a name made of the hash of its inputs. Trusts the host's package system; must not touch anything
outside the cache.
"""
import fcntl
import glob
import hashlib
import os
import re
import shutil
import stat
import subprocess
import time

HERE = os.path.dirname(os.path.realpath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(HERE, 'cache')
# The machine's architecture: qemu's program and package, where libraries lie, and the build that goes along as `build`.
ARCHES = {'amd64': ('/usr/bin/qemu-system-x86_64', 'qemu-system-x86', 'x86_64-linux-gnu', 'build'),
          'arm64': ('/usr/bin/qemu-system-aarch64', 'qemu-system-arm', 'aarch64-linux-gnu', 'build-arm64')}
arch = 'amd64'          # set once, before anything else is asked for
META_PACKAGE = 'linux-image-cloud-'
KERNEL_SERIES = '6.1.'
ROOT_IMAGE_MIB = 1024   # sparse: the room that the tests have to write
KEEP_IMAGES = 4         # of two architectures; older ones in the cache are removed

# What is needed to build: program -> Debian package.
TOOLS = {'/bin/busybox': 'busybox-static', '/usr/bin/cpio': 'cpio',
         '/usr/sbin/mkfs.ext4': 'e2fsprogs', '/usr/sbin/debugfs': 'e2fsprogs', '/usr/bin/python3': 'python3-minimal',
         '/usr/bin/apt-get': 'apt', '/usr/bin/dpkg-deb': 'dpkg', '/usr/bin/ldd': 'libc-bin'}
# Whose files make the user land, and those that are taken along if the host has them.
PACKAGES = ['base-passwd', 'bash', 'bsdutils', 'coreutils', 'dash', 'debianutils', 'diffutils', 'findutils', 'grep', 'gzip',
            'libc-bin', 'libpython3.11-minimal', 'libpython3.11-stdlib', 'mount', 'ncurses-base', 'ncurses-bin',
            'python3-minimal', 'python3.11-minimal', 'sed', 'tar', 'util-linux']
FOREIGN = ['busybox-static', 'ca-certificates', 'curl', 'hostname', 'iproute2', 'mawk', 'nftables', 'perl-base', 'procps']
OPTIONAL = ['gawk', 'iproute2', 'jq', 'mawk', 'nftables', 'perl-base', 'procps', 'strace', 'curl', 'ca-certificates']
SKIP = re.compile(r'^/usr/(share/(doc|man|locale|lintian|info|bash-completion|bug|menu)|lib/python3\.11/(idlelib|tkinter|lib2to3|'
                  r'pydoc_data|distutils|turtle\.py|ensurepip|config-3|test)|games|include)|^/etc/(cron|apparmor|init\.d)')
# Modules that the initrd loads to see its disks, and those that must be there for autoload.
BOOT_MODULES = ['virtio_pci', 'virtio_blk']
MODULES = ['fs/overlayfs', 'fs/fuse', 'drivers/virtio', 'drivers/block/virtio_blk.ko', 'drivers/net/veth.ko', 'drivers/net/tun.ko',
           'drivers/net/dummy.ko', 'drivers/net/virtio_net.ko', 'drivers/net/net_failover.ko', 'net/core', 'net/netfilter',
           'net/ipv4', 'net/ipv6', 'net/bridge', 'net/802', 'net/llc', 'net/packet', 'net/unix', 'net/vmw_vsock', 'net/sched', 'lib']
# Of the project: what goes along. Build directories without their intermediate files.
PAYLOAD = ['tests', 'examples', 'docs', 'profiles', 'build', 'build-host']
NOT_PAYLOAD = re.compile(r'(^tests/vm/cache|\.(o|a|d|ninja)$|\.p/|/meson-(private|logs|info)/|/__pycache__/|/\.ninja_)')


class Trouble(Exception):
    """Something that keeps the machine from being built; the text says what mends it."""


def output(*argv, **more):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    if done.returncode:
        raise Trouble('%s: %s' % (' '.join(argv[:3]), (done.stderr.strip() or 'status %d' % done.returncode)[-400:]))
    return done.stdout


def check_tools():
    if os.uname().machine != 'x86_64':
        raise Trouble('the emulated machine: is for x86_64 hosts only')
    tools = dict([ARCHES[arch][:2]], **TOOLS)
    missing = sorted({package for program, package in tools.items() if not os.path.exists(program)})
    if missing:
        raise Trouble('emulated machine: packages missing: %s\nhint: apt-get install %s' % (' '.join(missing), ' '.join(missing)))


def digest(*parts):
    h = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        h.update(b'%d:' % len(data) + data)
    return h.hexdigest()[:16]


def content(*paths):
    return [open(p, 'rb').read() for p in paths]


def prune(pattern):
    """Old generations go; the newest stay. Whoever has one open keeps it open."""
    found = sorted(glob.glob(os.path.join(CACHE, pattern)), key=os.path.getmtime)
    for path in found[:-KEEP_IMAGES]:
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


# --- kernel -----------------------------------------------------------------------------------------------------------

def busybox():
    return '/bin/busybox' if arch == 'amd64' else os.path.join(CACHE, arch, 'usr/bin/busybox')


def foreign():
    """Another architecture's packages, unpacked: kernel, user land, busybox."""
    tree = os.path.join(CACHE, arch)
    output(PROJECT + '/scripts/foreign', arch, tree, META_PACKAGE + arch, *PACKAGES, *FOREIGN)
    return tree


def foreign_kernel():
    tree = foreign()
    release = os.listdir(tree + '/usr/lib/modules')[0]
    place = os.path.join(CACHE, 'kernel-%s-%s' % (release, digest(*content(tree + '/.packages'))))
    if os.path.isdir(place):
        os.utime(place)
        return place
    work = os.path.join(CACHE, 'new-kernel-%s.%d' % (release, os.getpid()))
    os.makedirs(work)
    shutil.copy2(tree + '/boot/vmlinuz-' + release, work + '/vmlinuz')
    take_modules(tree + '/usr/lib/modules', work, release)
    os.rename(work, place)
    prune('kernel-*-cloud-%s-*' % arch)
    return place


def kernel():
    """The unpacked kernel package: a directory of the cache with vmlinuz and modules/ in it."""
    if arch != 'amd64':
        return foreign_kernel()
    have = sorted(glob.glob(os.path.join(CACHE, 'kernel-*-cloud-amd64-*')), key=os.path.getmtime)
    try:
        depends = output('apt-cache', 'depends', META_PACKAGE + arch)
        package = re.search(r'Depends: (linux-image-\S*cloud-amd64)', depends).group(1)
        if not package.startswith('linux-image-' + KERNEL_SERIES):
            raise Trouble('%s is not of series %s' % (package, KERNEL_SERIES))
        version = re.search(r'Candidate: (\S+)', output('apt-cache', 'policy', package)).group(1)
    except (Trouble, AttributeError) as e:
        if have:
            return have[-1]
        raise Trouble('emulated machine: no kernel: %s\nhint: apt-get update' % (e if isinstance(e, Trouble) else META_PACKAGE + arch + ': not known'))
    place = os.path.join(CACHE, 'kernel-%s-%s' % (package[len('linux-image-'):], re.sub(r'[^0-9A-Za-z.+-]', '_', version)))
    if os.path.isdir(place):
        os.utime(place)
        return place
    work = place.replace('kernel-', 'new-kernel-') + '.%d' % os.getpid()
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    try:
        output('apt-get', 'download', package, cwd=work)
        output('dpkg-deb', '-x', glob.glob(work + '/*.deb')[0], work + '/x')
    except Trouble as e:
        shutil.rmtree(work)
        if have:
            return have[-1]
        raise Trouble('emulated machine: cannot download the kernel package: %s\nhint: apt-get update; network access is needed once' % e)
    release = os.listdir(work + '/x/lib/modules')[0]
    os.rename(glob.glob(work + '/x/boot/vmlinuz-*')[0], work + '/vmlinuz')
    take_modules(work + '/x/lib/modules', work, release)
    shutil.rmtree(work + '/x')
    os.unlink(glob.glob(work + '/*.deb')[0])
    os.rename(work, place)
    prune('kernel-*-cloud-amd64-*')
    return place


def take_modules(all_of_them, work, release):
    tree = work + '/modules/lib/modules/' + release
    for name in MODULES:
        source = '%s/%s/kernel/%s' % (all_of_them, release, name)
        target = '%s/kernel/%s' % (tree, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        elif os.path.exists(source):
            shutil.copy2(source, target)
    for name in glob.glob('%s/%s/modules.*' % (all_of_them, release)):
        shutil.copy2(name, tree)
    output('/bin/busybox', 'depmod', '-b', work + '/modules', release)


def boot_order(tree):
    """The boot modules' files, each after those that it needs."""
    needs = {}
    for line in open(tree + '/modules.dep'):
        path, _, rest = line.partition(':')
        needs[path] = rest.split()
    by_name = {os.path.basename(p)[:-3].replace('-', '_'): p for p in needs}
    order, todo = [], [by_name[m] for m in reversed(BOOT_MODULES)]
    while todo:
        missing = [n for n in needs[todo[-1]] if n not in order]
        if missing:
            todo += missing
        else:
            path = todo.pop()
            if path not in order:
                order.append(path)
    return order


def initrd(kernel_place):
    inputs = [os.path.join(HERE, 'guest/initrd-init'), busybox(), __file__]
    place = os.path.join(CACHE, 'initrd-%s.cpio' % digest(os.path.basename(kernel_place), *content(*inputs)))
    if os.path.exists(place):
        return place
    work = '%s.%d' % (place.replace('initrd-', 'new-initrd-'), os.getpid())
    os.makedirs(work + '/bin')
    os.makedirs(work + '/modules')
    shutil.copy2(busybox(), work + '/bin/busybox')
    shutil.copy2(inputs[0], work + '/init')
    os.chmod(work + '/init', 0o755)
    tree = glob.glob(kernel_place + '/modules/lib/modules/*')[0]
    order = boot_order(tree)
    for path in order:
        shutil.copy2(os.path.join(tree, path), work + '/modules')
    with open(work + '/modules/order', 'w') as f:
        f.writelines(os.path.basename(p) + '\n' for p in order)
    names = '\n'.join(sorted(os.path.relpath(os.path.join(d, n), work) for d, ds, fs in os.walk(work) for n in ds + fs)) + '\n'
    with open(place + '.new', 'wb') as f:
        subprocess.run(['cpio', '-o', '-H', 'newc', '-R', '+0:+0', '--quiet'], cwd=work, input=names.encode(), stdout=f, check=True)
    os.rename(place + '.new', place)
    shutil.rmtree(work)
    prune('initrd-*')
    return place


# --- files ------------------------------------------------------------------------------------------------------------

class Tree:
    """A directory that becomes a file system. Paths are those of this host with the links of its top resolved."""
    def __init__(self, top):
        self.top = top
        self.done = set()

    def path(self, host_path):
        return self.top + host_path

    def add(self, host_path, target=None):
        """Copies one file or link (not its content, if a directory: only the directory). Unreadable ones are left out."""
        real = os.path.join(os.path.realpath(os.path.dirname(host_path)), os.path.basename(host_path))
        target = target or real
        if target in self.done:
            return
        self.done.add(target)
        try:
            kind = os.lstat(real).st_mode
            there = self.path(target)
            if stat.S_ISDIR(kind):
                os.makedirs(there, exist_ok=True)
            elif stat.S_ISREG(kind) or stat.S_ISLNK(kind):
                os.makedirs(os.path.dirname(there), exist_ok=True)
                if stat.S_ISLNK(kind):  # copy2 would look where a link leads, and stumble over a pipe
                    os.symlink(os.readlink(real), there)
                else:
                    shutil.copy2(real, there)
        except PermissionError:
            pass

    def libraries(self, files):
        """Adds the shared libraries of those of `files` (host paths) that have any."""
        elves = [f for f in files if is_dynamic(f)]
        found = set()
        for i in range(0, len(elves), 200):
            text = subprocess.run(['ldd'] + elves[i:i + 200], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True).stdout
            found.update(re.findall(r'^\s+(?:\S+ => )?(/\S+) \(0x', text, re.M))
        for library in sorted(found):
            while True:   # the name asked for, then what it points to
                self.add(library)
                if not os.path.islink(library):
                    break
                library = os.path.join(os.path.dirname(library), os.readlink(library))

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), 'w') as f:
            f.write(text)
        os.chmod(self.path(path), mode)


def is_dynamic(path):
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        with open(path, 'rb') as f:
            head = f.read(20)
        return head[:4] == b'\x7fELF' and head[16] in (2, 3)
    except OSError:
        return False


def make_ext4(tree, image, mib, own):
    """`own`: {path: (uid, gid)}; everything else belongs to root, whoever builds."""
    if os.path.exists(image):
        os.unlink(image)
    output('/usr/sbin/mkfs.ext4', '-q', '-F', '-d', tree, '-E', 'root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1',
           '-m', '0', '-O', '^metadata_csum', image, '%dM' % mib)
    orders = []
    if os.geteuid() != 0:
        for where, dirs, files in os.walk(tree):
            for name in dirs + files:
                path = '/' + os.path.relpath(os.path.join(where, name), tree)
                orders += ['sif "%s" uid 0' % path, 'sif "%s" gid 0' % path]
    for path, (uid, gid) in own.items():
        orders += ['sif "%s" uid %d' % (path, uid), 'sif "%s" gid %d' % (path, gid)]
    if orders:
        script = image + '.orders'
        with open(script, 'w') as f:
            f.write('\n'.join(orders) + '\n')
        output('/usr/sbin/debugfs', '-w', '-f', script, image)
        os.unlink(script)


# --- root image -------------------------------------------------------------------------------------------------------

def package_state():
    text = output('dpkg-query', '-W', '-f', '${Package} ${Version} ${db:Status-Abbrev}\n')
    wanted = set(PACKAGES + OPTIONAL)
    have = {l.split()[0]: l for l in text.splitlines() if l.split()[0] in wanted and ' ii' in l}
    missing = [p for p in PACKAGES if p not in have]
    if missing:
        raise Trouble('emulated machine: packages missing: %s\nhint: apt-get install %s' % (' '.join(missing), ' '.join(missing)))
    return have


def own_land(tree, packages):
    """This host's own programs."""
    work = tree.top
    os.makedirs(work + '/usr')
    for name in ('bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'):
        os.makedirs('%s/usr/%s' % (work, name), exist_ok=True)
        os.symlink('usr/' + name, '%s/%s' % (work, name))
    files = [f for p in sorted(packages) for f in output('dpkg', '-L', p).splitlines() if f != '/.' and not SKIP.match(f)]
    files += ['/usr/bin/python3', '/bin/busybox', '/usr/bin/awk', '/etc/alternatives/awk']
    for path in files:
        if os.path.lexists(path) and path not in ('/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'):
            tree.add(path)
    for path in glob.glob('/usr/lib/python3.11/**/__pycache__/*.pyc', recursive=True):
        if not SKIP.match(path) and os.path.exists(work + os.path.dirname(os.path.dirname(path))):
            tree.add(path)
    tree.libraries(files)


def foreign_land(tree):
    """Another architecture's, as its packages have them; what their scripts would have made is made here."""
    source = os.path.join(CACHE, arch)

    def leave_out(where, names):
        inside = where[len(source):]
        return [n for n in names if SKIP.match('%s/%s' % (inside, n)) or '%s/%s' % (inside, n) in ('/boot', '/usr/lib/modules', '/.packages')]
    shutil.copytree(source, tree.top, symlinks=True, ignore=leave_out)
    for name in glob.glob(tree.top + '/usr/*bin/*'):
        if os.path.basename(os.path.realpath(name)) == 'kmod':  # reads an index that busybox does not write
            os.unlink(name)
    for link, to in (('awk', 'mawk'), ('sh', 'dash')):
        if not os.path.lexists('%s/usr/bin/%s' % (tree.top, link)):
            os.symlink(to, '%s/usr/bin/%s' % (tree.top, link))


def root_image(kernel_place):
    packages = package_state() if arch == 'amd64' else {'': open(os.path.join(CACHE, arch, '.packages')).read()}
    guest = sorted(glob.glob(HERE + '/guest/*'))
    key = digest(os.path.basename(kernel_place), sorted(packages.values()), *content(__file__, busybox(), *guest))
    place = os.path.join(CACHE, 'root-%s.ext4' % key)
    if os.path.exists(place) and os.path.exists(place + '.list'):
        os.utime(place)
        return place
    work = os.path.join(CACHE, 'new-root-%s.%d' % (key, os.getpid()))
    shutil.rmtree(work, ignore_errors=True)
    tree = Tree(work)
    if arch == 'amd64':
        own_land(tree, packages)
    else:
        foreign_land(tree)
    for applet in output('/bin/busybox', '--list').split():
        if not any(os.path.lexists('%s/usr/%s/%s' % (work, d, applet)) for d in ('bin', 'sbin')):
            os.symlink('/bin/busybox', '%s/usr/bin/%s' % (work, applet))
    if not os.path.lexists(work + '/usr/sbin/modprobe'):  # where the kernel looks when it wants a module
        os.symlink('/bin/busybox', work + '/usr/sbin/modprobe')
    shutil.copytree(kernel_place + '/modules/lib/modules', work + '/usr/lib/modules')
    for path in guest:
        tree.add(path, '/vm/' + os.path.basename(path))
        os.chmod(work + '/vm/' + os.path.basename(path), 0o755)
    furnish(tree)
    make_ext4(work, place + '.new', ROOT_IMAGE_MIB, {'/home/agent': (4242, 4242), '/home/agent/.profile': (4242, 4242), '/etc/shadow': (0, 42)})
    with open(place + '.list', 'w') as f:
        f.writelines('/%s\n' % os.path.relpath(os.path.join(d, n), work) for d, _, fs in os.walk(work) for n in fs)
    os.rename(place + '.new', place)
    os.utime(place)
    shutil.rmtree(work)
    prune('root-*.ext4')
    for path in glob.glob(CACHE + '/root-*.list'):
        if not os.path.exists(path[:-len('.list')]):
            os.unlink(path)
    return place


def furnish(tree):
    """/etc and the empty directories: a small host with the things that a room must not show."""
    for path in ('dev', 'proc', 'sys', 'run', 'mnt', 'opt', 'srv', 'media', 'project', 'etc/ssl', 'var/lib', 'var/log', 'var/cache',
                 'usr/local/bin', 'usr/local/share', 'home/agent'):
        os.makedirs(tree.path('/' + path), exist_ok=True)
    for path, mode in (('/tmp', 0o1777), ('/var/tmp', 0o1777), ('/root', 0o700), ('/home/agent', 0o755)):
        os.makedirs(tree.path(path), exist_ok=True)
        os.chmod(tree.path(path), mode)
    if not os.path.lexists(tree.path('/var/run')):
        os.symlink('/run', tree.path('/var/run'))
    tree.write('/etc/passwd', 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n'
               'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nagent:x:4242:4242:agent:/home/agent:/bin/bash\n')
    tree.write('/etc/group', 'root:x:0:\ndaemon:x:1:\ntty:x:5:\nshadow:x:42:\nnogroup:x:65534:\nagent:x:4242:\n')
    tree.write('/etc/shadow', 'root:*:19000:0:99999:7:::\nagent:!:19000:0:99999:7:::\n', 0o640)
    tree.write('/etc/hostname', 'strongroom-vm\n')
    tree.write('/etc/hosts', '127.0.0.1 localhost\n127.0.1.1 strongroom-vm\n::1 localhost ip6-localhost\n')
    tree.write('/etc/resolv.conf', 'nameserver 192.0.2.53\n')
    tree.write('/etc/nsswitch.conf', 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n')
    tree.write('/etc/machine-id', '5f3c2b1a5f3c2b1a5f3c2b1a5f3c2b1a\n')
    tree.write('/etc/os-release', 'PRETTY_NAME="Debian GNU/Linux 12 (emulated)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n')
    tree.write('/etc/ld.so.conf', '/lib/{0}\n/usr/lib/{0}\n/usr/local/lib\n'.format(ARCHES[arch][2]))
    tree.write('/etc/profile', 'PATH=/usr/local/bin:/usr/bin:/bin\nexport PATH\n')
    tree.write('/home/agent/.profile', '')


# --- project image ----------------------------------------------------------------------------------------------------

def project_image(image, root, word, jobs):
    """The project as built: read-only at /project. `jobs`: rows of (suite, persona, seconds, command)."""
    work = image + '.tree'
    tree = Tree(work)
    files = []
    build = ARCHES[arch][3]
    for top in PAYLOAD if arch == 'amd64' else [p for p in PAYLOAD if not p.startswith('build')] + [build]:
        for where, dirs, names in os.walk(os.path.join(PROJECT, top)):
            short = os.path.relpath(where, PROJECT)
            short = 'build' + short[len(build):] if top == build else short
            dirs[:] = [d for d in dirs if not NOT_PAYLOAD.search('%s/%s/' % (short, d)) and not NOT_PAYLOAD.search('%s/%s' % (short, d))]
            for name in dirs:  # empty ones, and links to some
                tree.add(os.path.join(where, name), '/%s/%s' % (short, name))
            for name in names:
                if not NOT_PAYLOAD.search('%s/%s' % (short, name)):
                    tree.add(os.path.join(where, name), '/%s/%s' % (short, name))
                    files.append(os.path.join(where, name))
    extra = Tree(work + '/.vm/root')
    extra.done.update(open(root + '.list').read().split('\n'))
    extra.libraries([f for f in files if '/build' in f])
    for part in ('build', 'build-host') if arch == 'amd64' else ():
        install(os.path.join(PROJECT, part), extra.top)
    tree.write('/.vm/word', word + '\n', 0o600)
    tree.write('/.vm/jobs', ''.join('%s\t%s\t%d\t%s\n' % job for job in jobs))
    size = sum(os.lstat(os.path.join(d, n)).st_size + 4096 for d, ds, fs in os.walk(work) for n in fs + ds)
    make_ext4(work, image, size * 5 // 4 // (1 << 20) + 16, {})
    shutil.rmtree(work)


def install(build, top):
    """The product as `make install` would place it, beneath `top`; the guest lays that over its root. Nothing, if not built."""
    if os.path.exists(build + '/build.ninja') and shutil.which('meson'):
        done = subprocess.run(['meson', 'install', '-C', build, '--no-rebuild', '--quiet', '--destdir', top], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print('SKIP installed layout of %s: %s' % (os.path.basename(build), done.stdout.strip().split('\n')[-1][:200]), flush=True)


def sweep():
    """What killed runs and killed builders left; called under the lock, and no run is older than some minutes."""
    for path in glob.glob(CACHE + '/run-*') + glob.glob(CACHE + '/new-*') + glob.glob(CACHE + '/*.new'):
        if time.time() - os.stat(path).st_mtime > 7200:
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def locked():
    """One builder at a time; the others wait and then find everything in the cache."""
    os.makedirs(CACHE, exist_ok=True)
    f = open(os.path.join(CACHE, 'lock'), 'w')
    fcntl.flock(f, fcntl.LOCK_EX)
    return f
