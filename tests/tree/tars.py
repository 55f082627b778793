"""tars: strongroom-tar with streams that were made to do harm. Driven over its socket, as strongroom drives it."""
import array
import gzip
import io
import os
import socket
import struct
import subprocess
import tarfile
import threading

from treelib import TOP
from treetest import check, test

ORDER = struct.Struct("<4I2Q256s256s")
REPORT = struct.Struct("<2IiI3Q2048s")
EXTRACT, PACK, FILTER = 1, 2, 3
STRICT, MEMBER, FILE = 1, 2, 4
PROGRAM = TOP / "build-host/src/helpers/tar/strongroom-tar"


class Done:
    def __init__(self, report, told, out):
        self.code, self.files, self.bytes, self.left_out = report[2], report[4], report[5], report[6]
        self.why, self.told, self.out = report[7].split(b"\0")[0].decode(), told, out


def run(what, first, second, flags=0, name=b"", only=b"", entries=100000, most=1 << 30, feed=None, take=False, hold=None):
    """One order. `feed`: bytes for a pipe as first end; `take`: what comes out of a pipe as second end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    out = io.BytesIO()
    threads = []
    if feed is not None:
        first, into = os.pipe()
        threads.append(threading.Thread(target=pour, args=(into, feed)))
    if take:
        reader, second = os.pipe()
        threads.append(threading.Thread(target=lambda: out.write(open(reader, "rb").read())))
    process = subprocess.Popen([PROGRAM], preexec_fn=lambda: os.dup2(theirs.fileno(), 3), close_fds=True, pass_fds=[3],
                               env={}, stdin=subprocess.DEVNULL)
    theirs.close()
    fds = array.array("i", [first, second])
    ours.sendmsg([ORDER.pack(what, 1, flags, 0, entries, most, name, only)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    for fd in [first] * (feed is not None) + [second] * take + ([hold] if hold is not None else []):
        os.close(fd)
    for t in threads:
        t.start()
    told = []
    while True:
        data = ours.recv(REPORT.size + 1)
        if len(data) != REPORT.size:
            raise RuntimeError(f"{len(data)} bytes; status {process.wait(60)}")
        got = REPORT.unpack(data)
        if got[0] == 2:
            break
        told.append(got[7].split(b"\0")[0].decode())
    process.wait(60)
    for t in threads:
        t.join(10)
    ours.close()
    return Done(got, told, out.getvalue())


def pour(fd, data):
    try:
        with open(fd, "wb") as f:
            f.write(data)
    except BrokenPipeError:
        pass


def tar(*entries, kind=tarfile.PAX_FORMAT):
    """A stream of (name, bytes or type, more)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as t:
        for name, what, more in entries:
            e = tarfile.TarInfo(name)
            e.mode = 0o6777
            data = None
            if isinstance(what, bytes) and len(what) != 1:
                e.size, data = len(what), io.BytesIO(what)
            else:
                e.type = what
            for key, value in more.items():
                setattr(e, key, value)
            t.addfile(e, data)
    return out.getvalue()


def into(folder, data, **more):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return run(EXTRACT, None, fd, feed=data, **more)
    finally:
        os.close(fd)


def everything(top):
    return sorted(os.path.relpath(os.path.join(at, n), top) for at, folders, files in os.walk(top) for n in folders + files)


HARM = [
    ("/abs", b"xx", {}), ("../up", b"xx", {}), ("a/../../up", b"xx", {}), ("..", b"xx", {}), ("new\nline", b"xx", {}),
    ("x" * 300, b"xx", {}), ("d/" * 2100 + "deep", b"xx", {}),
    ("null", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 3}), ("disk", tarfile.BLKTYPE, {"devmajor": 8}),
    ("pipe", tarfile.FIFOTYPE, {}),
    ("out", tarfile.SYMTYPE, {"linkname": "/etc"}), ("out/passwd", b"xx", {}),
    ("up", tarfile.SYMTYPE, {"linkname": ".."}), ("up/escaped", b"xx", {}),
    ("here", tarfile.SYMTYPE, {"linkname": "."}), ("here/through", b"xx", {}),
    ("there", tarfile.SYMTYPE, {"linkname": "lies"}), ("there", b"xx", {}),
    ("hard", tarfile.LNKTYPE, {"linkname": "../outside"}), ("hard2", tarfile.LNKTYPE, {"linkname": "lies-out"}),
    ("hard3", tarfile.LNKTYPE, {"linkname": "/etc/passwd"}),
    ("lies/f", b"xx", {}), ("lies-out", b"xx", {}), ("good", b"fine", {}), ("good2", tarfile.LNKTYPE, {"linkname": "./good"}),
]


@test("nothing in a tar stream leads out of the folder that it is unpacked in")
def hostile(b):
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        base = b.top / f"k{kind}"
        top, outside = base / "in", base / "outside"
        top.mkdir(parents=True)
        outside.write_text("untouched")
        os.symlink("../outside", top / "lies-out")
        os.symlink("..", top / "lies")
        got = into(top, tar(*HARM, kind=kind))
        check(got.code == 0 and got.left_out == 17, f"{got.code} {got.why} {got.left_out} {got.told}")
        check(everything(base) == ["in", "in/good", "in/good2", "in/here", "in/lies", "in/lies-out", "in/out",
                                   "in/out/passwd", "in/there", "in/up", "in/up/escaped", "outside"], everything(base))
        check(outside.read_text() == "untouched" and os.readlink(top / "lies") == "..", "outside")
        check(not (top / "lies-out").is_symlink() and (top / "lies-out").read_text() == "xx", "replaced, not written through")
        good = os.stat(top / "good")
        check(good.st_mode & 0o7777 == 0o775 and good.st_ino == os.stat(top / "good2").st_ino, oct(good.st_mode))


@test("a member of a room's stream has the name that was asked for, and no other")
def member(b):
    top = b.top / "in"
    top.mkdir()
    got = into(top, tar(("d", tarfile.DIRTYPE, {}), ("d/f", b"one", {}), ("other/g", b"two", {}), ("h", b"three", {})),
               flags=MEMBER, name=b"mine")
    check(got.code == 0 and set(everything(top)) == {"mine", "mine/f", "mine/g"}, f"{got.told} {everything(top)}")
    got = into(top, tar(("d", tarfile.DIRTYPE, {}), ("x/y", b"no", {}), ("z", b"yes", {})), flags=FILE, name=b"one")
    check((top / "one").read_text() == "yes" and got.left_out == 2, got.told)


@test("a tar stream that is too much ends, and says so")
def bounds(b):
    top = b.top / "in"
    top.mkdir()
    bomb = gzip.compress(tar(*[("big", bytes(50 << 20), {})]))
    got = into(top, bomb, most=1 << 20)
    check(got.code == 7 and "more than 1048576 bytes" in got.why, f"{got.code} {got.why}")
    check((top / "big").stat().st_blocks * 512 < 3 << 20, "it was unpacked first")
    got = into(top, tar(*[(f"f{i}", b"xx", {}) for i in range(20)]), entries=10)
    check(got.code == 7 and "more than 10 entries" in got.why, got.why)
    got = run(FILTER, None, None, feed=bomb, take=True, most=1 << 20)
    check(got.code == 7, got.why)


@test("what is no tar stream is refused, and a torn one ends")
def torn(b):
    top = b.top / "in"
    top.mkdir()
    whole = tar(("a", b"x" * 5000, {}), ("b", b"y" * 5000, {}))
    check(into(top, b"this is no tar stream" * 100).code != 0, "text")
    check(into(top, whole[:3000]).code != 0, "torn in a file")
    check(into(top, b"").code == 0, "nothing is an empty stream")
    check(into(top, gzip.compress(whole)[:60]).code != 0, "torn gzip")


@test("the filter lets nothing through that would not be unpacked")
def filtered(b):
    got = run(FILTER, None, None, feed=tar(*HARM), take=True)
    check(got.code == 0, got.why)
    with tarfile.open(fileobj=io.BytesIO(got.out)) as t:
        names = {m.name: m for m in t}
    check("out" not in names and "null" not in names and "up" not in names, sorted(names))
    check(all(not n.startswith(("/", "..")) and m.mode & 0o7000 == 0 for n, m in names.items()), sorted(names))
    check(all(m.isreg() or m.isdir() or m.issym() or m.islnk() for m in names.values()), "kinds")


@test("a folder is packed as it is, but for what never comes out of a room")
def packed(b):
    src = b.top / "src"
    (src / "d/e").mkdir(parents=True)
    (src / "d/f").write_bytes(b"x" * 100000)
    os.chmod(src / "d/f", 0o6755)
    (src / "d/\u00fc\u4e2d").write_text("u")
    os.symlink("f", src / "d/l")
    os.symlink("../../../etc/passwd", src / "d/bad")
    os.mkfifo(src / "d/p")
    fd = os.open(src, os.O_RDONLY | os.O_DIRECTORY)
    got = pack(fd, name=b"top")
    os.close(fd)
    check(got.code == 0 and got.left_out == 2, f"{got.why} {got.told}")
    with tarfile.open(fileobj=io.BytesIO(got.out)) as t:
        check(sorted(t.getnames()) == ["top", "top/d", "top/d/e", "top/d/f", "top/d/l", "top/d/\u00fc\u4e2d"], t.getnames())
        check(t.getmember("top/d/f").mode == 0o755 and t.extractfile("top/d/f").read() == b"x" * 100000, "f")


def pack(fd, **more):
    """PACK: the stream is the first end, and the folder the second."""
    out = io.BytesIO()
    reader, writer = os.pipe()
    thread = threading.Thread(target=lambda: out.write(open(reader, "rb").read()))
    thread.start()
    got = run(PACK, writer, fd, flags=STRICT, hold=writer, **more)
    thread.join(10)
    got.out = out.getvalue()
    return got
