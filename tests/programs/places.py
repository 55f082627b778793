"""places: where a program of this suite runs: outside, and in a room.

Outside is made as like a room as an ordinary process can be: an unprivileged user, no network but loopback, the same
environment, limits and session. What then differs is the room's doing.
"""
import ctypes
import fcntl
import json
import os
import pwd
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
NOBODY = pwd.getpwnam("nobody")
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
OUTPUT_MAX = 4 << 20
LIBC = ctypes.CDLL(None, use_errno=True)


class Outcome:
    """What a program did: its exit status (None: out of time), its two outputs, what the room refused."""

    def __init__(self, status, out, err, refused=""):
        self.status, self.out, self.err, self.refused = status, out, err, refused

    def told(self):
        last = [line for line in self.err.strip().splitlines() if line.strip()][-3:]
        words = "out of time" if self.status is None else f"status {self.status}"
        return "; ".join([words] + last + ([f"refused: {self.refused}"] if self.refused else []))


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _seclude(uid, gid):
    """In the child, before exec: no network but loopback, then the user who may do nothing special."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    root = outer_uid == 0
    if LIBC.unshare(CLONE_NEWNET | (0 if root else CLONE_NEWUSER)) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if not root:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{outer_uid} {outer_uid} 1")
        _write("/proc/self/gid_map", f"{outer_gid} {outer_gid} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lo:
        fcntl.ioctl(lo, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    if root:
        _become(uid, gid)


def _become(uid, gid):
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _own_terminal():
    """Takes a terminal on stdin for the controlling one of this new session."""
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _limits():
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass # the C library's own
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o022)


class Places:
    """The suite's own folder, a copy of the program that anybody may start, and the ways to start things."""

    def __init__(self, program):
        self.root = os.geteuid() == 0
        self.uid, self.gid = (NOBODY.pw_uid, NOBODY.pw_gid) if self.root else (os.geteuid(), os.getegid())
        self.folder = tempfile.mkdtemp(prefix="strongroom-programs.")
        os.chmod(self.folder, 0o755)
        self.program = shutil.copy(program, os.path.join(self.folder, "strongroom"))
        self.cases = shutil.copytree(os.path.join(HERE, "cases"), os.path.join(self.folder, "cases"))
        self.source = self._copy_source()

    def _copy_source(self):
        """The project's own sources: what git knows (or everything but what was built), readable by all."""
        source = os.path.join(self.folder, "source")
        keep = ["Makefile", "LICENSE", "meson.build", "meson_options.txt", "src", "scripts", "policies", "bench", "tests",
                "man", "completion", "docs"]
        for name in keep:
            path = os.path.join(TOP, name)
            if os.path.isdir(path):
                shutil.copytree(path, os.path.join(source, name), symlinks=True,
                                ignore=shutil.ignore_patterns("cache", "results", "__pycache__", "*.corpus"))
            elif os.path.exists(path):
                os.makedirs(source, exist_ok=True)
                shutil.copy(path, source)
        return source

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def rooms(self):
        """The kinds of room that can be made here: name -> does an unprivileged user make it?"""
        return {"room": not self.root, "user's room": True} if self.root else {"room": True}

    def work(self):
        folder = tempfile.mkdtemp(dir=self.folder)
        os.mkdir(os.path.join(folder, "tmp"), 0o1777)
        if self.root:
            os.chown(folder, self.uid, self.gid)
            os.chown(os.path.join(folder, "tmp"), self.uid, self.gid)
        return folder

    def environment(self, work):
        return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": work,
                "TMPDIR": os.path.join(work, "tmp"), "USER": "room", "LOGNAME": "room", "LANG": "C.UTF-8",
                "SHELL": "/bin/sh", "TERM": "xterm-256color", "CASES": self.cases, "SOURCE": self.source}

    def start_outside(self, command, work, **streams):
        def before():
            _limits()
            _own_terminal()
            _seclude(self.uid, self.gid)
        return subprocess.Popen(command, cwd=work, env=self.environment(work), start_new_session=True,
                                preexec_fn=before, **streams)

    def room_command(self, command, options, result=None):
        told = ["--result-fd", str(result)] if result is not None else []
        return [self.program, "run", "-q", "-v", f"{self.cases}:/cases", "-v", f"{self.source}:/source",
                "-e", "CASES=/cases", "-e", "SOURCE=/source"] + told + options + ["--"] + command

    def start_room(self, command, options, unprivileged, result=None, **streams):
        if unprivileged:  # who cannot make cgroups; the limits are there to be wide, not to be tried
            options = options + ["--prefer", "memory,cpus,pids"]

        def before():
            _limits()
            _own_terminal()
            if self.root and unprivileged:
                _become(self.uid, self.gid)
        return subprocess.Popen(self.room_command(command, options, result), cwd="/", start_new_session=True,
                                preexec_fn=before, pass_fds=[] if result is None else [result], **streams)

    def outside(self, command, seconds):
        work = self.work()
        try:
            return _finish(self.start_outside(command, work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                              stderr=subprocess.PIPE), seconds)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def room(self, command, options, unprivileged, seconds):
        with tempfile.TemporaryFile() as result:
            limits = ["--timeout", f"{seconds}s"]
            process = self.start_room(command, limits + options, unprivileged, result.fileno(), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            outcome = _finish(process, seconds + 15)
            result.seek(0)
            outcome.refused = _refused(result.read())
        return outcome


def _refused(text):
    try:
        return ", ".join(f"{row['what']} x{row['count']}" for row in json.loads(text)["denials"])
    except (ValueError, KeyError):
        return ""


def _finish(process, seconds):
    try:
        out, err = process.communicate(timeout=seconds)
        status = process.returncode
    except subprocess.TimeoutExpired:
        status = None
    _end(process)
    if status is None:
        out, err = process.communicate()
    return Outcome(status, out[:OUTPUT_MAX].decode("utf-8", "replace"), err[:OUTPUT_MAX].decode("utf-8", "replace"))


def _end(process):
    """Ends what the program left behind in its process group; that group is of our own making."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
