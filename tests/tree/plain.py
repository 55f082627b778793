"""plain: what people do, and what agents do to people's folders."""
import contextlib
import errno
import json
import os
import shutil
import stat
import struct
import subprocess

from treelib import JSON, LIST, NAMES, PATCH, STAT, Died, differ, manifest
from treetest import Skip, check, test


def fill(b):
    """A small project with one of everything."""
    (b.lower / "a").mkdir()
    (b.lower / "a/x.txt").write_text("one\ntwo\nthree\n")
    (b.lower / "a/gone").write_text("bye\n")
    (b.lower / "dir").mkdir(mode=0o750)
    for i in range(5):
        (b.lower / f"dir/f{i}").write_text(f"{i}\n")
    (b.lower / "t").write_text("file\n")
    os.symlink("a/x.txt", b.lower / "l")
    (b.lower / "replaced").mkdir()
    (b.lower / "replaced/old").write_text("old\n")
    (b.lower / "folder").mkdir()
    (b.lower / "folder/in").write_text("in\n")
    (b.lower / "same").write_text("same\n")
    (b.lower / "mode").write_text("mode\n")


WORK = """
echo four >>a/x.txt; chmod 755 a/x.txt; rm a/gone; rm -r dir; mkdir new; echo hi >new/f; ln new/f new/g; mkdir new/empty
rm t; mkdir t; echo in >t/in; rm l; ln -s a/gone l; rm -r replaced; mkdir replaced; echo n >replaced/new
rm -r folder; echo now a file >folder; printf 'a\\0b' >bin; touch same; chmod 600 mode; mkdir -m 700 deep; mkdir -m 500 deep/er
"""


def ready(b, work=WORK):
    fill(b)
    b.start()
    b.room(work)
    got = b.store()
    check(got.code == 0, f"store: {got.why}")
    return got


def direct(b, work=WORK):
    """The same work done to a copy of the workspace, without any room."""
    copy = b.top / "direct"
    subprocess.run(["cp", "-a", b.lower, copy], check=True)
    subprocess.run(["sh", "-c", work], cwd=copy, check=True)
    return manifest(copy, times=False)


@test("what is listed is what was done")
def listed(b):
    got = ready(b)
    t = got.totals
    check((t["deleted"], t["modified"], t["added"]) == (11, 3, 11), f"totals: {t}")
    names = b.show(NAMES).text.decode().split()
    check(set(names) == {"a/gone", "dir/", *(f"dir/f{i}" for i in range(5)), "t", "replaced/old", "folder/", "folder/in", "l",
                         "a/x.txt", "mode", "new/", "new/f", "new/g", "new/empty/", "t/", "t/in", "replaced/new", "folder",
                         "bin", "deep/", "deep/er/"}, f"names: {names}")
    check("same" not in names, "a file that was only touched is listed")
    check(len(names) - names[::-1].index("t") - 1 < names.index("a/x.txt"), "deletions do not come first")


@test("applied is what the same work does without a room")
def applied(b):
    ready(b)
    wanted = direct(b)
    got = b.apply()
    check(got.code == 0, f"apply: {got.why} {got.text}")
    check(b.state() == "applied", b.state())
    bad = differ(wanted, manifest(b.lower, times=False))
    check(not bad, bad)
    check(os.stat(b.lower / "new/f").st_ino == os.stat(b.lower / "new/g").st_ino, "a hard link became two files")


@test("an access list that the workspace passes on changes no mode of what is applied")
def access_list(b):
    rows = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, bits, who) for tag, bits, who in (
        (1, 7, 0xffffffff), (2, 7, 1234), (4, 5, 0xffffffff), (16, 5, 0xffffffff), (32, 0, 0xffffffff)))
    ready(b)
    try:
        os.setxattr(b.lower, "system.posix_acl_default", rows)
    except OSError as e:
        raise Skip(f"no access lists here: {e.strerror}") from e
    wanted = {p.relative_to(b.upper): stat.S_IMODE(p.lstat().st_mode) for p in b.upper.rglob("*") if p.is_file()}
    got = b.apply()
    check(got.code == 0, f"apply: {got.why} {got.text}")
    now = {p: stat.S_IMODE((b.lower / p).lstat().st_mode) for p in wanted}
    check(now == wanted and len(now) > 4, f"{now} instead of {wanted}")


@test("undo gives everything back, times included")
def undone(b):
    ready(b)
    before = manifest(b.lower)
    check(b.apply().code == 0, "apply")
    got = b.undo()
    check(got.code == 0, f"undo: {got.why} {got.text}")
    bad = differ(before, manifest(b.lower))
    check(not bad and b.state() == "undone", bad or b.state())
    wanted = direct(b)
    got = b.apply()
    check(got.code == 0, f"apply again: {got.why} {got.text}")
    bad = differ(wanted, manifest(b.lower, times=False))
    check(not bad, f"again: {bad}")


@contextlib.contextmanager
def elsewhere(b):
    """A folder on another file system than the tree's."""
    shm = f"/dev/shm/strongroom-tree-{os.getpid()}"
    if os.stat("/dev/shm").st_dev == os.stat(b.top).st_dev:
        raise Skip("no second file system")
    os.mkdir(shm)
    try:
        yield shm
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", shm], check=False)
        shutil.rmtree(shm)


@test("a state folder on another file system keeps and undoes the same")
def other_file_system(b):
    with elsewhere(b) as shm:
        b.entry = type(b.entry)(shm)
        ready(b)
        wanted, before = direct(b), manifest(b.lower)
        changed = b.lower / "a/x.txt"
        numbers = {changed.stat().st_ino}
        check(b.apply().code == 0, "apply")
        bad = differ(wanted, manifest(b.lower, times=False))
        check(not bad, f"applied: {bad}")
        got = b.undo()
        check(got.code == 0, f"undo: {got.why}")
        bad = differ(before, manifest(b.lower))
        check(not bad, f"undone: {bad}")
        noted = (b.entry / "restored").stat().st_size
        for turn in range(3):  # what came back is a copy each time
            got = b.apply()
            check(got.code == 0, f"apply again, {turn}: {got.why}")
            bad = differ(wanted, manifest(b.lower, times=False))
            check(not bad, f"applied again: {bad}")
            got = b.undo()
            check(got.code == 0, f"undo again: {got.why}")
            bad = differ(before, manifest(b.lower))
            check(not bad, f"undone again: {bad}")
            check((b.entry / "restored").stat().st_size == noted, "what was noted of an inode that is free now stays")
            numbers.add(changed.stat().st_ino)
        times = changed.stat()
        for i in range(100):  # a file system may give a number that it had given before
            other = b.top / f"other-{i}"
            other.write_bytes(changed.read_bytes())
            if other.stat().st_ino not in numbers:
                break
        shutil.copystat(changed, other)
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        os.rename(other, changed)
        check(b.apply().code == errno.EBUSY, "another file in the place of what came back is a conflict")


def attributes(top):
    return {os.path.relpath(at, top): {n: os.getxattr(at, n) for n in os.listxattr(at)} for at, _, _ in os.walk(top)}


@test("a state folder on another file system keeps attributes and access lists of folders, and gives none to what is in them")
def other_file_system_attributes(b):
    with elsewhere(b) as shm:
        rows = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, bits, who) for tag, bits, who in (
            (1, 7, 0xffffffff), (2, 7, 1234), (4, 5, 0xffffffff), (16, 7, 0xffffffff), (32, 0, 0xffffffff)))
        try:
            os.setxattr(shm, "user.try", b"1")
            fill(b)
            os.setxattr(b.lower / "replaced", "user.colour", b"red")
            os.setxattr(b.lower / "folder", "user.colour", b"blue")
            if os.geteuid() == 0:  # others cannot name other users to the confined program
                os.setxattr(b.lower / "folder", "system.posix_acl_default", rows)
                os.setxattr(b.lower / "folder", "system.posix_acl_access", rows)
                os.chmod(b.lower / "replaced", 0o555)
        except OSError as e:
            raise Skip(f"no attributes here: {e.strerror}") from e
        b.entry = type(b.entry)(shm)
        b.start()
        b.room("chmod 755 replaced; rm -r replaced dir")
        os.rmdir(b.upper / "folder") if (b.upper / "folder").is_dir() else None
        os.mknod(b.upper / "folder", stat.S_IFCHR, 0)  # a room without these ids cannot remove what is in it
        got = b.store()
        check(got.code == 0, f"store: {got.why}")
        before, had = manifest(b.lower), attributes(b.lower)
        got = b.apply()
        check(got.code == 0, f"apply: {got.why} {got.text}")
        check(not (b.lower / "folder").exists() and not (b.lower / "replaced").exists(), "not applied")
        check(b.undo().code == 0, "undo")
        bad = differ(before, manifest(b.lower))
        check(not bad, f"undone: {bad}")
        check(attributes(b.lower) == had, f"{attributes(b.lower)} instead of {had}")
        check(not os.listxattr(b.lower / "folder/in"), "a file got the list that its folder passes on")


@test("a kill inside an undo from another file system lets nothing be a conflict later", build="build-fault")
def other_file_system_killed(b):
    with elsewhere(b) as shm:
        b.entry = type(b.entry)(shm)
        (b.lower / "x").write_text("one\n")
        (b.lower / "gone").write_text("bye\n")
        b.start()
        b.room("echo two >>x; rm gone; echo new >new")
        check(b.store().code == 0, "store")
        before = manifest(b.lower)
        check(b.apply().code == 0 and b.undo().code == 0, "apply and undo")
        states = set()
        for n in range(1, 100):
            got = b.apply()
            check(got.code == 0, f"apply after a kill at step {n - 1}: {got.why} {got.text}")
            keep = [(b.lower / ".." / f"taken-{n}-{i}") for i in range(8)]
            for k in keep:  # numbers that were given back are others' now
                k.write_text("one\n")
            try:
                got = b.undo(fault=n)
                check(got.code == 0, f"undo: {got.why}")
                break
            except Died:
                states.add(b.state())
            got = b.recover()
            check(got.code == 0, f"recovery after step {n}: {got.why} {got.text}")
            if b.state() == "applied":
                got = b.undo()
                check(got.code == 0, f"undo after step {n}: {got.why} {got.text}")
            bad = differ(before, manifest(b.lower))
            check(not bad and not (b.entry / ".restored").exists(), f"after step {n}: {bad}")
        check(states == {"undoing", "undone"}, f"{states}")


@test("a path takes what lies below it and nothing else")
def paths(b):
    ready(b)
    got = b.apply(paths=["new/f", "dir"])
    check(got.code == 0, got.why)
    check((b.lower / "new/f").exists() and not (b.lower / "new/g").exists(), "new/f alone")
    check(not (b.lower / "dir").exists() and (b.lower / "a/gone").exists(), "dir alone")
    check(b.undo().code == 0 and (b.lower / "dir/f3").exists(), "undo of a part")
    got = b.apply(paths=["no/such"])
    check(got.code == 2 and b.state() == "undone", f"a path without a change: {got.code} {got.why}")


@test("a folder goes only with all that is in it")
def part_of_folder(b):
    ready(b)
    check(b.apply(paths=["dir/f1", "dir/f2"]).code == 0, "apply")
    check(sorted(p.name for p in (b.lower / "dir").iterdir()) == ["f0", "f3", "f4"], "dir")


@test("what the host changed meanwhile is refused, nothing else is lost")
def conflict(b):
    fill(b)
    b.start()
    b.room(WORK)
    (b.lower / "a/x.txt").write_text("the host's\n")
    (b.lower / "dir/f9").write_text("the host's\n")
    check(b.store().totals["conflicts"] == 2, "conflicts while the room ran")
    (b.lower / "new").write_text("after the room\n")
    before = manifest(b.lower)
    got = b.apply()
    check(got.code != 0 and "conflict" in got.why, f"{got.code} {got.why}")
    for path in ("a/x.txt", "dir/f9", "new"):
        check(f"  {path}: " in got.text.decode(), f"{path} is not told: {got.text}")
    check(not differ(before, manifest(b.lower)), "something changed")
    got = b.apply(flags=2)
    check(got.code == 0, f"skip: {got.why} {got.text}")
    check((b.lower / "a/x.txt").read_text() == "the host's\n" and (b.lower / "dir/f9").exists(), "the host's was lost")
    check(not (b.lower / "dir/f0").exists() and not (b.lower / "a/gone").exists(), "the rest was not applied")


@test("what the host put into folders that go is a conflict, and the rest can be applied")
def new_in_gone(b):
    for path in ("gone/deep/er/f", "gone/deep/g", "gone/h", "other/i", "swapped/j", "all/k"):
        (b.lower / path).parent.mkdir(parents=True, exist_ok=True)
        (b.lower / path).write_text("old\n")
    b.start()
    b.room("rm -r gone other swapped all; echo file >other; echo new >new")
    check(b.store().code == 0, "store")
    (b.lower / "gone/deep/er/hosts").write_text("the host's\n")
    (b.lower / "other/hosts").write_text("the host's\n")
    (b.lower / "swapped/j").rename(b.lower / "swapped/l")
    before = manifest(b.lower)
    got = b.apply()
    check(got.code == errno.EBUSY and "nothing was changed" in got.why and b.state() == "pending", f"{got.code} {got.why}")
    for path in ("gone/deep/er", "other", "swapped/j"):
        check(f"  {path}: " in got.text.decode(), f"{path} is not told: {got.text}")
    check(not differ(before, manifest(b.lower)), "something changed")
    got = b.apply(flags=2)
    check(got.code == 0, f"skip: {got.why} {got.text}")
    left = sorted(str(p.relative_to(b.lower)) for p in b.lower.rglob("*"))
    check(left == ["gone", "gone/deep", "gone/deep/er", "gone/deep/er/hosts", "new", "other", "other/hosts", "swapped", "swapped/l"], f"{left}")
    check(b.undo().code == 0 and not differ(before, manifest(b.lower)), "undo")
    got = b.apply(flags=2)
    check(got.code == 0 and not (b.lower / "all").exists(), f"again: {got.code} {got.why} {got.text}")


@test("undo refuses what somebody changed since")
def undo_conflict(b):
    ready(b)
    check(b.apply().code == 0, "apply")
    (b.lower / "replaced/new").write_text("mine now\n")
    got = b.undo()
    check(got.code == 16 and b.state() == "applied", f"{got.code} {got.why}")
    check((b.lower / "replaced/new").read_text() == "mine now\n", "it was touched")


@test("git apply takes the patch, and makes the same tree")
def patch(b):
    fill(b)
    (b.lower / "na me\t\"\\\n\u00e9").write_text("x\n")
    (b.lower / "no-end").write_text("a\nb")
    (b.lower / "bin2").write_bytes(bytes(range(256)) * 300)
    b.start()
    b.room(WORK + "printf 'a\\nc' >no-end; echo y >>'na me\t\"\\\n\u00e9'; printf x >>bin2; : >empty; rm bin; printf '\\000\\377' >bin")
    check(b.store().code == 0, "store")
    copy = b.top / "git"
    subprocess.run(["cp", "-a", b.lower, copy], check=True)
    got = b.show(PATCH)
    check(got.code == 0, got.why)
    done = subprocess.run(["git", "apply", "--check", "-"], input=got.text, cwd=copy, capture_output=True)
    check(done.returncode == 0, done.stderr.decode())
    subprocess.run(["git", "apply", "-"], input=got.text, cwd=copy, check=True)
    check(b.apply().code == 0, "apply")

    def files(top):
        return {p: w[5:] if len(w) > 5 else w[4:] for p, w in manifest(top, times=False).items() if w[0] != 0o040000 and p}
    bad = differ(files(copy), files(b.lower))
    check(not bad, bad)


@test("all formats agree, and the JSON is JSON")
def formats(b):
    ready(b)
    names = b.show(NAMES).text.decode().split()
    data = json.loads(b.show(JSON).text)
    check([c["path"] + ("/" if c["type"] == "folder" else "") for c in data["changes"]] == names, "names")
    check(data["totals"]["deleted"] == 11, "totals")
    for line in b.show(LIST).text.decode().splitlines():
        check(len(line) <= 80, f"{len(line)} columns: {line}")
    check("files changed" in b.show(STAT).text.decode(), "stat")


@test("discard leaves nothing")
def discard(b):
    ready(b, WORK + "chmod 0 new; mkdir -p shut/in; chmod 0 shut/in shut")
    (b.entry / ".upper/half").mkdir(parents=True)  # as of one that was killed while it copied a layer
    check(b.ask(11).code == 0, "discard")
    left = {p.name for p in b.entry.iterdir()} - {"meta", "state", "index"}
    check(not left, f"left: {left}")


@test("a crash at any step leaves the old or the new, and recovery the old", build="build-fault")
def crashes(b):
    ready(b)
    wanted, before = direct(b), manifest(b.lower)
    steps = 0
    for n in range(1, 1000):
        try:
            got = b.apply(fault=n)
            check(got.code == 0, f"step {n}: {got.why}")
            break
        except Died:
            steps = n
        left = b.state()
        got = b.recover()
        check(got.code == 0, f"recovery after step {n}: {got.why} {got.text}")
        bad = differ(before, manifest(b.lower))
        if bad and b.state() == "applied":
            bad = differ(wanted, manifest(b.lower, times=False)) or ("" if b.undo().code == 0 else "undo")
            bad = bad or differ(before, manifest(b.lower))
        check(not bad, f"after step {n} ({left}): {bad}")
        check(b.state() in ("pending", "undone"), f"after step {n}: {b.state()}")
    check(steps > 30, f"only {steps} steps")
    for n in range(1, 1000):
        try:
            got = b.undo(fault=n)
            check(got.code == 0, f"undo, step {n}: {got.why} {got.text}")
            break
        except Died:
            pass
        got = b.recover()
        check(got.code == 0, f"recovery after step {n} of undo: {got.why} {got.text}")
        now = manifest(b.lower)
        if b.state() == "applied":
            bad = differ(wanted, manifest(b.lower, times=False))
        else:
            bad = differ(before, now)
            got = b.apply()
            check(got.code == 0, f"apply after step {n}: {got.why} {got.text}")
        check(not bad, f"undo, after step {n} ({b.state()}): {bad}")
    bad = differ(before, manifest(b.lower))
    check(not bad, f"at last: {bad}")


MANY = """
for i in $(seq 60); do rm d/$i; done; for i in $(seq 61 120); do echo more >>d/$i; done; mkdir n; for i in $(seq 60); do echo $i >n/$i; done
"""


def many(b):
    """More operations than are put on the disk one by one, on several shelves of the stage."""
    (b.lower / "d").mkdir()
    for i in range(1, 131):
        (b.lower / f"d/{i}").write_text(f"{i}\n")
    b.start()
    b.room(MANY)
    got = b.store()
    check(got.code == 0 and got.totals["rows"] == 181, f"store: {got.why} {got.totals}")


@test("of many changes, too, a crash leaves the old or the new", build="build-fault")
def crashes_many(b):
    many(b)
    before = manifest(b.lower)
    wanted, seen, n = direct(b, MANY), set(), 1
    while "end" not in seen:
        try:
            got = b.apply(fault=n)
            check(got.code == 0, f"step {n}: {got.why}")
            seen.add("end")
        except Died:
            seen.add(b.state())
        if b.state() != "applied":
            got = b.recover()
            check(got.code == 0, f"recovery after step {n}: {got.why} {got.text}")
            bad = differ(before, manifest(b.lower))
            check(not bad and b.state() in ("pending", "undone"), f"after step {n} ({b.state()}): {bad}")
        else:
            bad = differ(wanted, manifest(b.lower, times=False))
            check(not bad, f"applied after step {n}: {bad}")
            got = b.undo()
            check(got.code == 0 and not differ(before, manifest(b.lower)), f"undo after step {n}: {got.why}")
        n += 1 if n > 300 or n < 8 else 13  # each of the first and the last; some of those for one file
        check(n < 400, "more steps than were thought of")
    check({"applying", "applied"} <= seen, f"{seen}")
    check(sorted(p.name for p in b.lower.iterdir()) == ["d"], "the stage is still there")


@test("what an earlier version applied is undone: its stage had no shelves")
def undo_flat(b):
    many(b)
    before = manifest(b.lower)
    check(b.apply().code == 0, "apply")
    old, journal = b.entry / "old", b.entry / "journal"
    check(len(list(old.glob("s*"))) == 3, f"shelves: {sorted(p.name for p in old.iterdir())}")
    for shelf in old.glob("s*"):
        for file in shelf.iterdir():
            file.rename(old / file.name)
        shelf.rmdir()
    data = journal.read_bytes()
    check(data[:8] == b"JNL1" + struct.pack("<I", 2), f"{data[:8]}")
    journal.write_bytes(data[:4] + struct.pack("<I", 1) + data[8:])
    got = b.undo()
    check(got.code == 0, f"undo: {got.why} {got.text}")
    bad = differ(before, manifest(b.lower))
    check(not bad, bad)


def texts(top, which="**/*"):
    """What the files of a folder say."""
    return [p.read_text() for p in top.glob(which) if p.is_file()]


def half_applied(b):
    """An apply that was killed when all was done but for the state."""
    (b.lower / "f").write_text("one\n")
    (b.lower / "g").write_text("gee\n")
    (b.lower / "h").write_text("aitch\n")
    (b.lower / "gone").write_text("was\n")
    b.start()
    b.room("echo two >f; echo two >g; echo two >h; echo n >new; echo m >more; echo k >kept; rm gone; mkdir d; echo i >d/in")
    check(b.store().code == 0, "store")
    check(b.apply().code == 0, "apply")


@test("recovery leaves what somebody wrote after the crash, and loses nothing")
def written_since(b):
    half_applied(b)
    (b.entry / "state").write_text("applying\n")
    with open(b.lower / "f", "a") as f:
        f.write("mine\n")
    for name in ("new", "g"):
        (b.lower / "tmp").write_text("mine\n")
        os.rename(b.lower / "tmp", b.lower / name)
    (b.lower / "gone").write_text("mine\n")
    (b.lower / "d/in").write_text("mine, and longer\n")
    got = b.recover()
    check(got.code == 0, f"recovery: {got.why} {got.text}")
    found = {str(p.relative_to(b.lower)): p.read_text() for p in b.lower.rglob("*") if p.is_file()}
    check(found == {"f": "two\nmine\n", "f.before-abcdef": "one\n", "g": "mine\n", "g.before-abcdef": "gee\n", "h": "aitch\n",
                    "new": "mine\n", "gone": "mine\n", "gone.before-abcdef": "was\n", "d/in": "mine, and longer\n"}, f"{found}")
    for name in (b"  f: changed since", b"  new: changed since", b"  gone: changed since"):
        check(name in got.text, f"{name}: {got.text}")
    check(b.state() == "undone", b.state())


@test("recovery of an undo leaves what somebody wrote after the crash", build="build-fault")
def written_since_undo(b):
    for n in range(4, 60):
        subprocess.run(["chmod", "-R", "u+rwx", b.top], check=False, capture_output=True)  # overlayfs shuts its own folder
        shutil.rmtree(b.top)
        for d in (b.lower, b.upper, b.work, b.merged, b.entry):
            d.mkdir(parents=True)
        half_applied(b)
        try:
            b.undo(fault=n)
            break
        except Died:
            pass
        if b.state() != "undoing":
            continue
        kept = {"one\n", "gee\n", "was\n"} - set(texts(b.lower, "*"))  # what is back already, is overwritten here
        for name in ("f", "g", "new", "gone"):
            (b.lower / "tmp").write_text("mine\n")
            os.rename(b.lower / "tmp", b.lower / name)
        got = b.recover()
        check(got.code == 0, f"{n}: {got.why} {got.text}")
        for name in ("f", "g", "new", "gone"):
            check((b.lower / name).read_text() == "mine\n", f"step {n}: {name}")
        gone = kept - set(texts(b.lower)) - set(texts(b.entry / "old"))
        check(not gone, f"step {n} ({b.state()}): lost {gone}")


@test("a crash of the recovery is recovered from, too", build="build-fault")
def crashes_twice(b):
    ready(b)
    before = manifest(b.lower)
    for n in (12, 30, 44):
        try:
            b.apply(fault=n)
            check(False, f"no step {n}")
        except Died:
            pass
        for m in range(1, 500):
            try:
                got = b.recover(fault=m)
                check(got.code == 0, f"{n}, recovery {m}: {got.why} {got.text}")
                break
            except Died:
                pass
        bad = differ(before, manifest(b.lower))
        check(not bad, f"{n}: {bad}")
