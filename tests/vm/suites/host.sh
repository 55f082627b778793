#!/bin/sh
# host: the preconditions of the other suites: is this the machine that they believe to be on?
# Runs in the emulated machine as each of its personas ($STRONGROOM_VM: root, agent, scope, bare).
as=${STRONGROOM_VM:-?}
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); echo "PASS $*"; }
no() { failed=$((failed + 1)); echo "FAIL $*"; }
check() { # WHAT COMMAND...
    what=$1
    shift
    if why=$("$@" 2>&1); then ok "$what${why:+: $why}"; else no "$what${why:+: $why}"; fi
}
own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)

kernel() { uname -r; case $(uname -r) in 6.1.*) ;; *) return 1 ;; esac; }
unified() { [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] && [ "$(wc -l </proc/self/cgroup)" = 1 ]; }
has() { # FILE CONTROLLER...
    file=$1
    shift
    for c in "$@"; do grep -qw "$c" "$file" || { echo "no $c in $file"; return 1; }; done
}
user() { id -u; if [ "$as" = root ]; then [ "$(id -u)" = 0 ]; else [ "$(id -u)" = 4242 ]; fi; }
no_capability() { grep -E '^Cap(Inh|Prm|Eff|Amb):' /proc/self/status | grep -qv '0000000000000000$' && return 1; return 0; }

# The directory in which rooms' cgroups can be made; for `scope` the caller must first step aside into a child.
delegated() {
    if [ "$as" = agent ]; then dir=${own%/*}; else dir=$own; fi
    if [ "$as" != agent ]; then
        mkdir "$dir/aside" || return 1
        while read -r pid; do echo "$pid" >"$dir/aside/cgroup.procs"; done <"$dir/cgroup.procs"
        for c in cpu memory pids; do echo "+$c" >"$dir/cgroup.subtree_control" || return 1; done
    fi
    mkdir "$dir/probe" && has "$dir/probe/cgroup.controllers" cpu memory pids &&
        echo 10485760 >"$dir/probe/memory.max" && echo 5 >"$dir/probe/pids.max" && echo "5000 100000" >"$dir/probe/cpu.max" &&
        sh -c 'echo 0 >"$1/cgroup.procs" && grep -q "/probe$" /proc/self/cgroup' sh "$dir/probe" &&
        [ -w "$dir/probe/cgroup.kill" ]
    result=$?
    rmdir "$dir/probe"
    if [ "$as" != agent ]; then
        for c in cpu memory pids; do echo "-$c" >"$dir/cgroup.subtree_control"; done
        while read -r pid; do echo "$pid" >"$dir/cgroup.procs"; done <"$dir/aside/cgroup.procs"
        rmdir "$dir/aside"
    fi
    return $result
}
undelegated() { ! mkdir "$own/probe" 2>/dev/null && ! mkdir "${own%/*}/probe" 2>/dev/null; }
userns() { unshare -Ur true; }
rooms() { unshare -UrmpinuCf --mount-proc sh -c '[ $$ = 1 ] && mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work &&
    mount -t overlay -o userxattr,lowerdir=/usr,upperdir=/mnt/up,workdir=/mnt/work none /usr && touch /usr/new && [ -e /mnt/up/new ]'; }
landlock() { python3 -c '
import ctypes
abi = ctypes.CDLL(None).syscall(444, None, 0, 1)
print("ABI", abi)
raise SystemExit(abi != 2)'; }
seccomp() { python3 -c '
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
class Insn(ctypes.Structure): _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]
class Prog(ctypes.Structure): _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Insn))]
import platform
seccomp, getpid = (317, 39) if platform.machine() == "x86_64" else (277, 172)
# load the call number; getpid answers EPERM, all else is allowed
code = (Insn * 4)(Insn(0x20, 0, 0, 0), Insn(0x15, 0, 1, getpid), Insn(0x06, 0, 0, 0x00050001), Insn(0x06, 0, 0, 0x7fff0000))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.syscall(seccomp, 1, 0, ctypes.byref(Prog(4, code))) == 0, ctypes.get_errno()
raise SystemExit(not (libc.syscall(getpid) == -1 and ctypes.get_errno() == 1))'; }
private() { ! cat /etc/shadow >/dev/null 2>&1; }
temporary() { f=$(mktemp) && rm "$f" && [ "$(stat -c %a /tmp)" = 1777 ] && [ -w /dev/shm ]; }
terminal() { python3 -c 'import os; print(os.ttyname(os.openpty()[1]))'; }
table() { unshare -Urn python3 -c '
import socket
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER: asks for the rule generation
s.bind((0, 0))
s.send(bytes([20, 0, 0, 0, 16, 10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
kind = s.recv(4096)[4:6]
raise SystemExit(kind != bytes([15, 10]))'; }

check "runs as $as" user
check "kernel is 6.1" kernel
check "cgroup v2 only" unified
check "controllers at the top" has /sys/fs/cgroup/cgroup.subtree_control cpu memory pids
check "controllers here" has "$own/cgroup.controllers" cpu memory pids
if [ "$as" = bare ]; then check "no delegation" undelegated; else check "a delegated cgroup takes limits and members" delegated; fi
[ "$as" = root ] || check "no capability" no_capability
[ "$as" = root ] || check "/etc/shadow is closed" private
check "user namespace" userns
check "all namespaces of a room, overlay in it" rooms
check "landlock" landlock
check "seccomp filter" seccomp
check "temporary folders" temporary
check "pseudo terminal" terminal
check "nf_tables in a network namespace" table

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
