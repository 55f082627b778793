"""treelib: drives strongroom-tree as strongroom does, and makes layers with the kernel's own overlay."""
import array
import os
import pathlib
import shutil
import socket
import stat
import struct
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
COMMAND = struct.Struct("<6IQqq4000s")
REPORT = struct.Struct("<2IiIQ8I2Q9Q3Q2IQ256s16000s")
OPEN, PATHS, PICK, STORE, SHOW, ROWS, DIFF, APPLY, UNDO, RECOVER, DISCARD, COPY, EXCEPT, DECIDE = range(1, 15)
LIST, FULL, STAT, NAMES, JSON, PATCH = range(1, 7)
READY, FAILED, TEXT, ROW, DONE = range(1, 6)
COPY_UPPER, SKIP_CONFLICTS, ONLY_CLEAN, DECIDED, FOLDED, ONE, REST = 1, 2, 4, 32, 64, 128, 256
ACCEPTED, REJECTED = 1, 2
TOTALS = ("deleted", "modified", "added", "bytes_deleted", "bytes_added", "alarms", "conflicts", "left_out", "rows")


class Died(Exception):
    """The program ended without an answer."""


class Answer:
    def __init__(self):
        self.code, self.why, self.hint, self.text, self.rows, self.totals, self.decided = 0, "", "", b"", [], {}, ()


class Session:
    """One strongroom-tree. Directories are paths, or None."""

    def __init__(self, upper=None, lower=None, entry=None, writable=False, build="build", fault=None, user=None, wait=60):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = {"STRONGROOM_FAULT": f"tree:{fault}"} if fault else {}
        program = TOP / build / "strongroom-tree"

        def before():
            os.dup2(theirs.fileno(), 3)
            if user:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)

        # Whoever starts it has the descriptors: opened by us.
        fds = [os.open(d, os.O_PATH | os.O_DIRECTORY) if i < 2 else os.open(d, os.O_RDONLY | os.O_DIRECTORY)
               for i, d in enumerate((upper, lower, entry)) if d is not None]
        flags = sum(1 << i for i, d in enumerate((upper, lower, entry)) if d is not None) | (8 if writable else 0)
        self.process = subprocess.Popen([program], env=env, preexec_fn=before, close_fds=True, pass_fds=[3],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs.close()
        self.sock = ours
        self.sock.settimeout(wait)
        self._send(OPEN, flags=flags, fds=fds)
        for fd in fds:
            os.close(fd)
        got = self._take()
        if got[0] != READY:
            raise RuntimeError(f"not ready: {self._text(got)}")

    def _send(self, kind, flags=0, what=0, count=0, row=0, since=(0, 0), text=b"", fds=()):
        data = COMMAND.pack(kind, 1, flags, what, count, len(text), row, since[0], since[1], text)
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], anc)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Died from e

    def _take(self):
        try:
            data = self.sock.recv(REPORT.size + 1)
        except ConnectionResetError as e:
            raise Died from e
        if len(data) != REPORT.size:
            raise Died(f"{len(data)} bytes; status {self.process.wait(60)}")
        return REPORT.unpack(data)

    @staticmethod
    def _text(got):
        return got[-1].split(b"\0")[0].decode()

    def call(self, kind, paths=(), picks=(), excepts=(), **more):
        for piece, path in [(PATHS, p) for p in paths] + [(EXCEPT, p) for p in excepts]:
            data = os.fsencode(path) + b"\0"
            for at in range(0, len(data), 4000):
                self._send(piece, text=data[at:at + 4000])
        if picks:
            data = array.array("I", picks).tobytes()
            for at in range(0, len(data), 4000):
                self._send(PICK, text=data[at:at + 4000])
        self._send(kind, **more)
        answer = Answer()
        while True:
            got = self._take()
            if got[0] == TEXT:
                answer.text += got[-1][:got[3]]
            elif got[0] == ROW:
                answer.rows.append({"row": got[4], "kind": got[5], "file": got[6], "alarm": got[7], "conflict": got[8], "decision": got[10], "inside": got[27],
                                    "path": got[-1][:got[3]].decode(), "why": got[-2].split(b"\0")[0].decode()})
            else:
                answer.code, answer.why = got[2], self._text(got) if got[2] else ""
                answer.hint = got[-2].split(b"\0")[0].decode()
                answer.totals = dict(zip(TOTALS, got[15:24]))
                answer.decided = got[24:27]
                return answer

    def close(self):
        self.sock.close()
        self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.close()


def manifest(top, times=True):
    """Everything of a tree that undo must give back: path → what."""
    out = {}
    top = os.fsencode(str(top))
    todo = [top]
    while todo:
        folder = todo.pop()
        for e in os.scandir(folder):
            s = e.stat(follow_symlinks=False)
            what = [stat.S_IFMT(s.st_mode), stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid]
            if times:
                what.append(s.st_mtime_ns)
            if stat.S_ISREG(s.st_mode):
                with open(e.path, "rb") as f:
                    what.append(f.read())
            elif stat.S_ISLNK(s.st_mode):
                what.append(os.readlink(e.path))
            elif stat.S_ISDIR(s.st_mode):
                todo.append(e.path)
            out[e.path[len(top) + 1:]] = tuple(what)
    s = os.lstat(top)
    out[b""] = (stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid) + ((s.st_mtime_ns,) if times else ())
    return out


def differ(a, b, count=5):
    """What is not the same in two manifests, for people; "" when all is."""
    bad = [p for p in sorted(set(a) | set(b)) if a.get(p) != b.get(p)]
    return "; ".join(f"{p!r}: {str(a.get(p))[:120]} / {str(b.get(p))[:120]}" for p in bad[:count]) + \
        (f" and {len(bad) - count} more" if len(bad) > count else "")


class Bench:
    """A workspace (lower), a layer over it (upper), an entry to keep it in. In a folder of its own."""

    def __init__(self, top, build="build"):
        self.top = pathlib.Path(top)
        self.build = build
        self.lower, self.upper, self.work, self.merged = (self.top / n for n in ("lower", "upper", "work", "merged"))
        self.entry = self.top / "entry"
        for d in (self.lower, self.upper, self.work, self.merged, self.entry):
            d.mkdir()

    def start(self):
        """What the host stamps from now on, it changed while the room ran."""
        time.sleep(0.012)  # a tick of the kernel's clock
        self.since = divmod(time.clock_gettime_ns(time.CLOCK_REALTIME), 10 ** 9)

    def room(self, script, shell="sh"):
        """Runs a shell script on an overlay over the workspace, as a room would be."""
        options = f"userxattr,lowerdir={self.lower},upperdir={self.upper},workdir={self.work}"
        done = subprocess.run(["unshare", "-Urm", "sh", "-c", 'mount -t overlay overlay -o "$1" "$2" && cd "$2" && exec "$3" -c "$4"',
                               "sh", options, self.merged, shell, script], capture_output=True, timeout=900)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode(errors="replace")[-500:])

    def write_meta(self):
        s = os.lstat(self.lower)
        lines = {"id": "abcdef", "dir": self.lower, "at": "/w", "upper": "tmpfs", "command": "x", "policy": "", "outcome": "ok",
                 "exit-status": 0, "ended-sec": 0, "dev": s.st_dev, "ino": s.st_ino, "started-sec": self.since[0],
                 "started-nsec": self.since[1]}
        (self.entry / "meta").write_text("".join(f"{k} {v}\n" for k, v in lines.items()))

    def store(self, copy=True):
        self.write_meta()
        with Session(self.upper, self.lower, self.entry, build=self.build) as s:
            return s.call(STORE, flags=COPY_UPPER if copy else 0, since=self.since)

    def ask(self, kind, writable=False, fault=None, **more):
        upper = self.entry / "upper"
        with Session(upper if upper.exists() else None, self.lower, self.entry, writable, build=self.build, fault=fault) as s:
            return s.call(kind, **more)

    def show(self, what, **more):
        return self.ask(SHOW, what=what, **more)

    def apply(self, **more):
        return self.ask(APPLY, writable=True, **more)

    def undo(self, **more):
        return self.ask(UNDO, writable=True, **more)

    def recover(self, **more):
        return self.ask(RECOVER, writable=True, **more)

    def state(self):
        return (self.entry / "state").read_text().strip()

    def again(self):
        """As before the room ran."""
        for d in (self.upper, self.work, self.entry):
            subprocess.run(["chmod", "-R", "u+rwx", d], check=False, capture_output=True)
            shutil.rmtree(d)
            d.mkdir()
