"""What the host does to folders while a room works in them, and before the changes are applied."""
import os
import shutil

from treetest import check, test
from treelib import manifest, differ


def two(b):
    """A folder with a file, and another one of the same form, both older than the room."""
    for name in ("dir", "other"):
        (b.lower / name / "sub").mkdir(parents=True)
        (b.lower / name / "f").write_text("old\n")
        (b.lower / name / "sub/g").write_text("old\n")
    b.start()
    b.room("echo room >dir/f; echo new >dir/new; echo room >dir/sub/g; rm dir/sub/../sub/none 2>/dev/null; echo x >top")


def by_an_older(b):
    os.rename(b.lower / "dir", b.lower / "away")
    os.rename(b.lower / "other", b.lower / "dir")


def by_a_new(b):
    os.rename(b.lower / "dir", b.lower / "away")
    shutil.copytree(b.lower / "away", b.lower / "dir", copy_function=shutil.copy2)


def by_a_link(b):
    os.rename(b.lower / "dir", b.lower / "away")
    os.symlink("away", b.lower / "dir")


SWAPS = (by_an_older, by_a_new, by_a_link)


@test("a folder that the host replaced while the room ran is a conflict, with all in it")
def swapped_before(b):
    for swap in SWAPS:
        for d in list(b.lower.iterdir()):
            shutil.rmtree(d) if d.is_dir() and not d.is_symlink() else d.unlink()
        b.again()
        two(b)
        swap(b)
        before = manifest(b.lower)
        got = b.store()
        check(got.code == 0 and got.totals["conflicts"] >= (1 if swap is by_a_link else 3), f"{swap.__name__}: {got.why} {got.totals}")
        got = b.apply()
        check(got.code == 16 and not differ(before, manifest(b.lower)), f"{swap.__name__}: {got.code} {got.why}")
        got = b.apply(flags=2)
        check(got.code == 0, f"{swap.__name__}: the rest: {got.why}")
        (b.lower / "top").unlink()
        check(not differ(manifest(b.lower, False), before_without_times(before)), f"{swap.__name__}: the rest only")


def before_without_times(found):
    return {path: what[:4] + what[5:] if path else what[:3] for path, what in found.items()}


@test("a folder that the host replaced after the room is a conflict for what is new in it")
def swapped_after(b):
    for swap in SWAPS:
        for d in list(b.lower.iterdir()):
            shutil.rmtree(d) if d.is_dir() and not d.is_symlink() else d.unlink()
        b.again()
        two(b)
        check(b.store().totals["conflicts"] == 0, "too early")
        swap(b)
        before = manifest(b.lower)
        got = b.apply(paths=["dir/new"])
        check(got.code == 16 and b.state() == "pending", f"{swap.__name__}: {got.code} {got.why}")
        check("dir/new: " in got.text.decode() and not differ(before, manifest(b.lower)), f"{swap.__name__}: {got.text}")
        check(not (b.lower / "away/new").exists(), "through the link")


@test("what the host does in a folder is no conflict for the rest of it")
def worked_in(b):
    two(b)
    (b.lower / "dir/mine").write_text("x")
    (b.lower / "mine").write_text("x")
    (b.lower / "dir/sub/mine").write_text("x")
    check(b.store().totals["conflicts"] == 0 and b.apply().code == 0, "conflict")
    check((b.lower / "dir/new").read_text() == "new\n" and (b.lower / "dir/mine").exists(), "apply")
