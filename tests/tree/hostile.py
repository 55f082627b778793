"""hostile: layers that were written to do harm."""
import json
import os
import random
import subprocess
import sys
import time

from treelib import (APPLY, COPY, COPY_UPPER, DISCARD, JSON, LIST, SHOW, STAT, STORE, UNDO, Session, differ, manifest)
from treetest import Skip, check, test


def changes(b):
    return {c["path"]: c for c in json.loads(b.show(JSON).text)["changes"]}


@test("what would run outside raises an alarm, with its line")
def handoff(b):
    (b.lower / ".git/hooks").mkdir(parents=True)
    (b.lower / ".git/config").write_text("[core]\n\tbare = false\n")
    (b.lower / "package.json").write_text('{"scripts":{"test":"jest"}}\n')
    (b.lower / "tool").write_bytes(b"\x7fELF\0\0")
    os.chmod(b.lower / "tool", 0o755)
    b.start()
    b.room("""
printf '#!/bin/sh\\ncurl hook\\n' >.git/hooks/pre-commit; printf '\\tfsmonitor = evil\\n' >>.git/config; echo 'eval x' >.envrc
mkdir .husky .vscode .ssh .github .github/workflows; echo npm test >.husky/pre-push; echo '{"run":1}' >.vscode/tasks.json
echo key >.ssh/authorized_keys; echo on: >.github/workflows/x.yml; echo 'import os;os' >evil.pth; echo all: >Makefile
echo '{"scripts":{"test":"jest","postinstall":"curl p"}}' >package.json; echo x >>tool; ln -s ../../etc/shadow out; ln -s tool in
touch suid; chmod 4755 suid; mkfifo fifo; echo plain >plain; echo 'alias x=y' >.bashrc; echo registry=evil >.npmrc
""")
    check(b.store().code == 0, "store")
    got = {p: (c.get("alarm"), c.get("detail", "")) for p, c in changes(b).items() if c.get("alarm")}
    wanted = {".git/hooks/pre-commit": ("git-hook", "curl hook"), ".git/config": ("git-config", "fsmonitor = evil"),
              ".envrc": ("shell-entry", "eval x"), ".husky/pre-push": ("hook-manager", "npm test"),
              ".vscode/tasks.json": ("editor", '{"run":1}'), ".ssh/authorized_keys": ("ssh", "key"),
              ".github/workflows/x.yml": ("ci-file", "on:"), "evil.pth": ("python-start", "import os;os"),
              "Makefile": ("build-file", "all:"), "package.json": ("package-script", '"postinstall":"curl p"'),
              "tool": ("binary-replaced", ""), "out": ("link-out", "-> ../../etc/shadow"), "suid": ("set-id", ""),
              "fifo": ("special-file", ""), ".bashrc": ("shell-start", "alias x=y"), ".npmrc": ("package-config", "registry=evil")}
    check(got == wanted, f"{sorted(set(got.items()) ^ set(wanted.items()))}")
    before = manifest(b.lower)
    answer = b.apply(flags=4)
    check(answer.code == 1 and not differ(before, manifest(b.lower)), f"only-clean: {answer.code} {answer.why}")
    check(b.apply().code == 0, "apply")
    check(os.lstat(b.lower / "suid").st_mode & 0o7777 == 0o755, "set-id came out")
    check(not os.path.lexists(b.lower / "fifo"), "a pipe came out")


@test("a harmless change of a configuration is no alarm")
def harmless(b):
    (b.lower / ".git").mkdir()
    (b.lower / ".git/config").write_text("[core]\n\tbare = false\n")
    (b.lower / "package.json").write_text('{"scripts":{"test":"jest"}}\n')
    b.start()
    b.room("printf '[user]\\n\\tname = b\\n' >>.git/config; echo '{\"version\":\"2\",\"scripts\":{\"test\":\"jest\"}}' >package.json")
    check(b.store().totals["alarms"] == 0, b.show(LIST).text)
    check(b.apply(flags=4).code == 0, "only-clean")


@test("mass deletion is told with its share")
def mass(b):
    (b.lower / "src").mkdir()
    for i in range(40):
        (b.lower / f"src/{i}").write_text("x")
    b.start()
    b.room("rm src/1* src/2*")
    check(b.store().totals["alarms"] == 1, "no alarm")
    check("mass-deletion" in b.show(LIST).text.decode() and "of 40" in b.show(LIST).text.decode(), b.show(LIST).text)


@test("names neither drive a terminal nor get lost")
def names(b):
    bad = [b"new\nline", b"esc\x1b]0;x\x07\x1b[2J", b"bad\xff\xfe", b"-rf", b"\xe2\x80\xaertl", b"x" * 255, b"cr\rname", b"~", b"*"]
    for n in bad[:3]:
        (b.lower / os.fsdecode(n)).write_text("old\n")
    b.start()
    b.room("rm ./new*; for f in ./esc*; do echo new >\"$f\"; done")
    for n in bad[3:]:
        (b.upper / os.fsdecode(n)).write_text("made\n")
    check(b.store().code == 0, "store")
    for what in range(1, 5):
        text = b.show(what).text
        check(b"\x1b" not in text and b"\r" not in text and b"\x07" not in text and b"\xe2\x80\xae" not in text, f"format {what}")
    check(b.apply().code == 0, "apply")
    left = set(os.listdir(os.fsencode(b.lower)))
    check(left == set(bad[1:]), f"{left ^ set(bad[1:])}")


@test("folders nested 1000 deep are walked, applied, undone and discarded")
def deep(b):
    (b.lower / "keep").write_text("x")
    before = manifest(b.lower)
    b.start()
    b.room("import os\nfor i in range(1000):\n os.mkdir('d'); os.chdir('d')\nopen('f','w').write('deep')", shell="python3")
    got = b.store()
    check(got.code == 0 and got.totals["added"] == 1001, f"store: {got.why} {got.totals}")
    check(b.apply().code == 0, "apply")
    got = b.undo()
    check(got.code == 0, f"undo: {got.why}")
    check(not differ(before, manifest(b.lower)), "undo")
    check(b.ask(11).code == 0, "discard")
    subprocess.run(["rm", "-rf", b.upper / "d"], check=True)


@test("what is nested absurdly deep is left out, as one")
def too_deep(b):
    b.start()
    b.room("import os\nfor i in range(20000):\n os.mkdir('d'); os.chdir('d')\n", shell="python3")
    got = b.store()
    check(got.code == 0 and got.totals["left_out"] == 1 and got.totals["alarms"] == 1, f"{got.why} {got.totals}")
    subprocess.run(["rm", "-rf", b.upper / "d"], check=True)


@test("a layer nested absurdly deep is discarded in time that grows with its size alone")
def deep_discard(b):
    levels, layer = 8000, b.entry / "upper"
    layer.mkdir()
    b.start()
    b.write_meta()
    script = (f"import os\nos.mkdir('hung.1')\nfor i in range({levels}):\n os.mkdir('d'); os.chdir('d')\n"
              " i and os.chmod('..', 0o500)\n")
    subprocess.run([sys.executable, "-c", script], cwd=layer, check=True)
    with Session(layer, None, b.entry, wait=300) as s:
        got = s.call(DISCARD)
        with open(f"/proc/{s.process.pid}/stat", encoding="ascii") as f:
            took = sum(map(int, f.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    check(got.code == 0 and not layer.exists(), f"{got.code} {got.why}")
    check(took < 3, f"{took:.1f} s of a processor for {levels} levels")


BIG = bool(os.environ.get("STRONGROOM_BIG"))  # as large as they come: minutes, and gigabytes in the temporary folder
PEAK_MIB = 512


def measured(b, kind, writable=False, **more):
    """A verb in a session of its own, its seconds and the most memory that the program held, in MiB."""
    upper = b.entry / "upper"
    begun = time.monotonic()
    with Session(upper if kind != STORE else b.upper, b.lower, b.entry, writable, wait=900) as s:
        got = s.call(kind, **more)
        with open(f"/proc/{s.process.pid}/status", encoding="ascii") as f:
            peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) / 1024
    check(got.code == 0, f"{kind}: {got.why}")
    if BIG:
        print(f"# verb {kind}: {time.monotonic() - begun:.1f} s, at most {peak:.0f} MiB", flush=True)
    check(peak < PEAK_MIB, f"verb {kind} held {peak:.0f} MiB")
    return got


def through_all(b, rows):
    b.write_meta()
    got = measured(b, STORE, flags=COPY_UPPER, since=b.since)
    check(got.totals["rows"] == rows, got.totals)
    for what in (LIST, STAT):
        measured(b, SHOW, what=what)
    measured(b, APPLY, writable=True)


@test("many tiny files go through review, apply and undo in bounded memory")
def many(b):
    count = 1000000 if BIG else 5000
    b.start()
    b.room(f"import os\nos.mkdir('flat')\nfor i in range({count}):\n"
           f" d = f'd{{i // 1000}}' if i % 2 else 'flat'\n if i % 1000 == 1: os.mkdir(d)\n"
           " with open(f'{d}/f{i}', 'w') as f: f.write(str(i))", shell="python3")
    through_all(b, count + 1 + count // 1000)
    check((b.lower / "flat/f0").read_text() == "0" and (b.lower / f"d0/f{999}").read_text() == "999", "apply")
    measured(b, UNDO, writable=True)
    check(os.listdir(b.lower) == [], "undo")


@test("a sparse giant stays sparse")
def sparse(b):
    b.start()
    b.room("truncate -s 10G giant; printf end >>giant; printf x | dd of=giant bs=1 seek=5000000000 conv=notrunc 2>/dev/null")
    through_all(b, 1)
    for path in (b.entry / "upper/giant", b.lower / "giant"):
        s = os.stat(path)
        check(s.st_size == (10 << 30) + 3 and s.st_blocks < 1000, f"{path}: {s.st_size} bytes in {s.st_blocks} blocks")
    measured(b, UNDO, writable=True)
    check(not (b.lower / "giant").exists(), "undo")


@test("copying out takes nothing that leads astray")
def copy_out(b):
    b.start()
    src, dst = b.upper, b.lower
    (src / "ok").write_text("fine")
    os.link(src / "ok", src / "hard")
    for name, target in (("abs", "/etc/passwd"), ("rel", "../../x"), ("good", "ok")):
        os.symlink(target, src / name)
    os.mkfifo(src / "fifo")
    (src / "suid").write_text("x")
    os.chmod(src / "suid", 0o6777)
    (src / "new\nline").write_text("x")
    os.truncate(os.open(src / "giant", os.O_CREAT | os.O_RDWR), 5 << 30)
    (src / ".git/hooks").mkdir(parents=True)
    (src / ".git/hooks/x").write_text("x")
    with Session(src, dst, None, True) as s:
        got = s.call(COPY, flags=16)
    check(got.code == 0, got.why)
    check(sorted(os.listdir(dst)) == [".git", "good", "hard", "ok", "suid"], os.listdir(dst))
    check(os.lstat(dst / "suid").st_mode & 0o7777 == 0o775, oct(os.lstat(dst / "suid").st_mode))
    check(not os.listdir(dst / ".git/hooks") and got.totals["left_out"] == 6, got.totals)
    check("left out" in got.text.decode(), got.text)


@test("a target that cannot be written is refused, and nothing has changed")
def read_only(b):
    if os.geteuid() != 0:
        raise Skip("only root can mount")
    (b.lower / "a").write_text("old\n")
    b.start()
    b.room("echo new >a; echo b >b")
    check(b.store().code == 0, "store")
    subprocess.run(["mount", "--bind", b.lower, b.lower], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", b.lower], check=True)
        got = b.apply()
    finally:
        subprocess.run(["umount", b.lower], check=True)
    check(got.code == 30 and b.state() == "pending" and (b.lower / "a").read_text() == "old\n", f"{got.code} {got.why}")
    check(b.apply().code == 0 and (b.lower / "a").read_text() == "new\n", "afterwards")


@test("a full file system is refused, and nothing has changed")
def full(b):
    if os.geteuid() != 0:
        raise Skip("only root can mount")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "t", b.lower], check=True)
    try:
        (b.lower / "a").write_text("old\n")
        before = manifest(b.lower)
        b.start()
        b.room("echo new >a; head -c 3000000 /dev/urandom >big; mkdir d; echo x >d/x")
        check(b.store().code == 0, "store")
        got = b.apply()
        check(got.code == 28, f"{got.code} {got.why}")
        bad = differ(before, manifest(b.lower))
        check(not bad and b.state() == "pending", f"{bad} {b.state()}")
    finally:
        subprocess.run(["umount", "-l", b.lower], check=True)


def random_script(rng, paths):
    """Shell lines that make, change, move, link and remove; each may fail without harm."""
    lines = []
    for _ in range(40):
        p, q = rng.choice(paths), rng.choice(paths)
        lines.append(rng.choice((
            f"echo {rng.random()} >{p}", f"echo {rng.random()} >>{p}", f"rm -f {p}", f"rm -rf {p}", f"mkdir -p {p}",
            f"mv -T {p} {q}", f"cp -a {p} {q}", f"ln -s {q} {p}", f"ln {p} {q}", f"chmod {rng.choice(('u=rwX,go=', '755', '700'))} {p}",
            f"rm -rf {p}; mkdir {p}; echo x >{p}/in", f"rm -rf {p}; echo file >{p}", f"truncate -s 100000 {p}")))
    return "umask 022\n" + "\n".join(f"({line}) 2>/dev/null || :" for line in lines)


@test("of random work is applied what the room saw at its end")
def random_work(b):
    rng = random.Random(4)
    paths = [f"{x}/{y}" for x in "ab" for y in "cd"] + ["a", "b", "e", "a/c/f", "b/d/g"]
    for n in range(25):
        seen = b.top / "seen"
        subprocess.run(["rm", "-rf", b.lower, seen], check=True)
        b.lower.mkdir()
        b.again()
        subprocess.run(["sh", "-c", random_script(rng, paths)], cwd=b.lower, check=True)
        script = random_script(rng, paths)
        before = manifest(b.lower)
        b.start()
        b.room(f"{script}\ncp -a . {seen}")
        got = b.store()
        check(got.code == 0, f"{n}: store: {got.why}")
        if got.totals["rows"] == 0:
            continue
        got = b.apply()
        check(got.code == 0, f"{n}: apply: {got.why} {got.text}")
        bad = differ(manifest(seen, times=False), manifest(b.lower, times=False))
        check(not bad, f"{n}: {bad}")
        got = b.undo()
        bad = differ(before, manifest(b.lower))
        check(got.code == 0 and not bad, f"{n}: undo: {got.why} {bad}")
