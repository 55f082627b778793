"""workspace: what a workspace costs against a plain room, git, cp and bwrap on an overlay, in one run.

All of it happens in one temporary folder on disk; who is compared takes turns with strongroom, round by round, and
each figure is a median. Run as a program by bench/run; prints JSON. bwrap gets its overlay as `bwrap --overlay` (0.11)
makes it: a tmpfs as upper layer, `userxattr`, mounted in a namespace of its own; Debian's bwrap cannot do it yet."""
import hashlib
import io
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build")
ROOM = os.path.join(BUILD, "strongroom")
TIMER = os.path.join(BUILD, "bench", "timer")
OVERLAY = """mount -t tmpfs -o size=8g none "$2"; mkdir "$2/upper" "$2/work" "$2/merged"
mount -t overlay -o "userxattr,lowerdir=$1,upperdir=$2/upper,workdir=$2/work" none "$2/merged"
top=$1 at=$2; shift 2; exec bwrap --unshare-all --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib \
--symlink usr/lib64 /lib64 --ro-bind /etc /etc --proc /proc --dev /dev --tmpfs /tmp --bind "$at/merged" "$top" \
--chdir "$top" --die-with-parent --new-session --cap-drop ALL -- "$@" """
TIMED = 'a=$(date +%s%N); { ~; } >/dev/null 2>&1 || exit; echo $(($(date +%s%N) - a))'
LIMITS = ["--disk", "8G", "--inodes", "1000000", "--memory", "12G", "--timeout", "10m", "--pids", "512", "--cpus", "64",
          "--cpu-time", "1h", "--files", "4096"]
CHANGE = """
import os
for i in range(0, N, 20):
    p = f"d{i // 1000}/s{i // 100 % 10}/f{i}"
    with open(p, "a") as f: f.write("one more line\\n")
    with open(p + ".new", "w") as f: f.write("a new file\\n" * 40)
"""


class Failed(Exception):
    pass


def call(argv, **more):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600,
                          check=False, **more)
    if done.returncode:
        raise Failed(f"{os.path.basename(argv[0])} {argv[1]}: {done.stderr.decode(errors='replace').strip()[-160:]}")
    return done.stdout.decode(errors="replace")


def clocked(argv, **more):
    begun = time.monotonic()
    call(argv, **more)
    return time.monotonic() - begun


def in_room(top, argv, *options):
    """What the command printed, and the ID of what it changed."""
    with tempfile.NamedTemporaryFile() as record:
        out = call([ROOM, "run", "-q", *LIMITS, *options, "--result", record.name, "-w", top, "--apply", "never", "--",
                    *argv])
        with open(record.name, encoding="utf-8") as f:
            return out, json.load(f)["workspaces"][0]["changes"]


def drop(id_):
    if id_:
        call([ROOM, "discard", id_])


def rows(samples):
    """Medians, and the calmest round (the smallest figure) as that of a quiet machine."""
    return {name: {"state": "ok", "value": statistics.median(values), "p10": min(values)}
            for name, values in samples.items()}


# ---- what they work on

def tree_of(top, files):
    """Folders of a hundred small texts each."""
    text = "".join(f"line {i} of a text that is neither long nor short\n" for i in range(16))
    for i in range(files):
        at = os.path.join(top, f"d{i // 1000}", f"s{i // 100 % 10}")
        if i % 100 == 0:
            os.makedirs(at)
        with open(os.path.join(at, f"f{i}"), "w", encoding="ascii") as f:
            f.write(f"{i}\n{text}")


def git(top, *words):
    return ["git", "-C", top, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0", *words]


def repository(top):
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        call(git(top, *words))


def c_project(top, units):
    os.makedirs(top)
    for i in range(units):
        with open(os.path.join(top, f"u{i}.c"), "w", encoding="ascii") as f:
            f.write('#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n')
            f.writelines(f"int u{i}_{n}(char *s) {{ return printf(\"%s %zu\", s, strlen(s)) + {n}; }}\n"
                         for n in range(60))
    with open(os.path.join(top, "build.sh"), "w", encoding="ascii") as f:
        f.write('for u in u*.c; do gcc -O1 -c "$u" -o "${u%.c}.o" || exit 1; done; ar rcs all.a *.o\n')


def package(name):
    """A package as npm packs it, and its checksum."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as t:
        files = {"package.json": json.dumps({"name": name, "version": "1.0.0"})}
        files |= {f"lib/{i // 10}/m{i}.js": f"exports.{name.replace('-', '_')} = {i};\n" * 30 for i in range(60)}
        for path, text in files.items():
            entry = tarfile.TarInfo("package/" + path)
            entry.size = len(text)
            t.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def npm_project(top, count):
    """A project whose packages are all in a cache inside of it."""
    import base64  # noqa: PLC0415
    os.makedirs(top)
    names = [f"bench-local-{i}" for i in range(count)]
    lock = {"": {"name": "bench", "version": "1.0.0", "dependencies": dict.fromkeys(names, "1.0.0")}}
    for name in names:
        data = package(name)
        path = os.path.join(top, name + ".tgz")
        with open(path, "wb") as f:
            f.write(data)
        lock["node_modules/" + name] = {
            "version": "1.0.0", "resolved": f"https://registry.npmjs.org/{name}/-/{name}-1.0.0.tgz",
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()}
    with open(os.path.join(top, "package.json"), "w", encoding="ascii") as f:
        json.dump({"name": "bench", "version": "1.0.0", "dependencies": dict.fromkeys(names, "1.0.0")}, f)
    with open(os.path.join(top, "package-lock.json"), "w", encoding="ascii") as f:
        json.dump({"name": "bench", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": lock}, f)
    tarballs = [n + ".tgz" for n in names]
    call(["npm", "cache", "add", "--offline", "--cache", ".cache", *("./" + t for t in tarballs)], cwd=top)
    for name in tarballs:
        os.unlink(os.path.join(top, name))


def archive(path, files):
    """As many files as a kernel's sources have, of their size and in such folders."""
    with tarfile.open(path, "w") as t:
        for i in range(files):
            entry = tarfile.TarInfo(f"linux/d{i // 2000}/s{i // 40}/f{i}.c")
            entry.size = 2000 + i * 7919 % 24000
            t.addfile(entry, io.BytesIO(b"int a_line_of_source;\n" * (entry.size // 22 + 1)))


# ---- what is measured

def set_up(big, small, seconds):
    """A room that does nothing: without a workspace, over few files, over many. The difference in milliseconds."""
    ways = {"plain": [], "small": ["-w", small], "big": ["-w", big]}
    with tempfile.NamedTemporaryFile("w", suffix=".plan") as plan:
        for name, options in ways.items():
            plan.write("\t".join([name, "-", "-", ROOM, "run", "-q", *options, "--", "/bin/true"]) + "\n")
        plan.flush()
        found = {}
        for line in call([TIMER, "rounds", plan.name, str(seconds), "3"]).splitlines():
            name, state, _, *times, message = line.split("\t")
            if state != "ok":
                raise Failed(message)
            found[name] = {"state": "ok", "value": float(times[2]) / 1000, "p10": float(times[0]) / 1000}
    over = {key: found["small"][key] - found["plain"][key] for key in ("value", "p10")}
    return found | {"over-plain": {"state": "ok"} | over}


def change(top, files):
    """20 % of the files: half changed, half new. When the program had ended, and how long the room's end took."""
    script = CHANGE.replace("N", str(files), 1) + "import time; print(time.time_ns())"
    ended, id_ = in_room(top, ["/usr/bin/python3", "-c", script])
    return (time.time_ns() - int(ended)) / 1e9, id_


def review(top, other, files, rounds):
    """Against git on an equal tree with the same changes: what a review costs, and with the end of the room before."""
    call(["/usr/bin/python3", "-c", CHANGE.replace("N", str(files), 1)], cwd=other)
    seen = {"keep": [], "strongroom": [], "both": [], "git": []}
    env = dict(os.environ, GIT_OPTIONAL_LOCKS="0")
    for _ in range(rounds):
        kept, id_ = change(top, files)
        looked = clocked([ROOM, "review", "--stat", id_])
        theirs = sum(clocked(git(other, *words), env=env) for words in (["status", "--short"], ["diff", "--stat"]))
        drop(id_)
        for name, value in (("keep", kept), ("strongroom", looked), ("both", kept + looked), ("git", theirs)):
            seen[name].append(value * 1000)
    return rows(seen)


def apply(top, temp, files, rounds):
    """cp copies the same files, and waits for the disk: with its file system, and with each file."""
    id_ = change(top, files)[1]
    call([ROOM, "apply", id_])
    pick = 'cd "$1"; find . -path ./.git -prune -o -type f -newer "$2" -print | cpio -pdm --quiet "$3"'
    call(["sh", "-c", pick, "sh", top, os.path.join(temp, "before"), os.path.join(temp, "same")])
    call([ROOM, "undo", id_])
    seen = {"strongroom": [], "cp": [], "cp-each": []}
    target = os.path.join(temp, "copied")
    for _ in range(rounds):
        call(["sync"])
        seen["strongroom"].append(clocked([ROOM, "apply", id_]) * 1000)
        call([ROOM, "undo", id_])
        for name, way in (("cp", 'cp -a "$1" "$2"; sync -f "$2"'),
                          ("cp-each", 'cp -a "$1" "$2"; find "$2" -type f -print0 | xargs -0 sync')):
            call(["sync"])
            seen[name].append(clocked(["sh", "-ec", way, "sh", os.path.join(temp, "same"), target]) * 1000)
            shutil.rmtree(target)
    drop(id_)
    return rows(seen)


def work(top, command, rounds):
    """One command of the shell on a workspace, timed inside: in a room, and in bwrap on an overlay."""
    script = ["sh", "-c", TIMED.replace("~", command)]
    upper = tempfile.mkdtemp(dir=os.path.dirname(top))
    spaces = ["unshare", "--mount"] + (["--user", "--map-root-user"] if os.geteuid() else [])
    seen = {"strongroom": [], "overlay": []}
    for i in range(rounds + 1):
        for name in list(seen)[::1 if i % 2 else -1]:
            if name == "strongroom":
                took, id_ = in_room(top, script)
                drop(id_)
            else:
                took = call([*spaces, "sh", "-ec", OVERLAY, "sh", top, upper, *script])
            if i:
                seen[name].append(int(took) / 1e6)
    os.rmdir(upper)
    return rows(seen)


def watched(argv, peaks):
    """Seconds; into peaks goes the most memory of its own (MiB; mapped files are the page cache's) that each of
    strongroom's processes held, as a look every 20 ms finds it."""
    begun = time.monotonic()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            pids = [process.pid]
            for pid in pids:
                try:
                    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                        pids += map(int, f.read().split())
                    with open(f"/proc/{pid}/status", encoding="ascii") as f:
                        status = dict(line.split(":", 1) for line in f)
                    name, held = status["Name"].strip(), int(status["RssAnon"].split()[0]) / 1024
                except (OSError, KeyError):
                    continue  # it has ended
                if name.startswith("strongroom"):
                    peaks[name] = max(peaks.get(name, 0), held)
            time.sleep(0.02)
        if process.returncode:
            raise Failed(f"{argv[1]}: {process.stderr.read().decode(errors='replace').strip()[-160:]}")
    return time.monotonic() - begun


def many(top, files, memory):
    """Tiny files without end, over a layer on disk, once through everything: seconds, and the memory of it."""
    os.makedirs(top)
    script = ("import os, time\n"
              f"for i in range({files}):\n"
              "    d = f'd{i // 1000}'\n"
              "    i % 1000 or os.mkdir(d)\n"
              "    with open(f'{d}/f{i}', 'w') as f: f.write(str(i))\n"
              "open('/work/ended', 'w').write(str(time.time()))\n")
    peaks, seen = {}, {}
    with tempfile.TemporaryDirectory() as out:
        record = os.path.join(out, "record")
        watched([ROOM, "run", "-q", *LIMITS, "--upper", "disk", "--result", record, "--copy-out", "/work:" + out,
                 "-w", top, "--apply", "never", "--", "/usr/bin/python3", "-c", script], peaks)
        now = time.time()
        with open(os.path.join(out, "ended"), encoding="ascii") as f:
            seen["room's end"] = now - float(f.read())
        with open(record, encoding="utf-8") as f:
            id_ = json.load(f)["workspaces"][0]["changes"]
    for verb in (["review", "--stat"], ["apply"], ["undo"], ["discard"]):
        seen[verb[0]] = watched([ROOM, *verb, id_], peaks)
    memory.update({name: {"state": "ok", "value": held} for name, held in peaks.items()})
    return {name: {"state": "ok", "value": took} for name, took in seen.items()}


def main():
    """Arguments: files of the big tree, files of the archive, seconds for the start, rounds of the others, tiny files
    (0: without them), names."""
    files, sources, seconds, few, tiny = map(int, sys.argv[1:6])
    only = sys.argv[6:]
    if os.geteuid() == 0:
        call(["mount", "--make-rprivate", "/"])
    result, temp = {}, tempfile.mkdtemp(prefix="strongroom-bench-", dir=os.environ.get("STRONGROOM_BENCH_DIR"))
    os.environ.update(HOME=temp, XDG_STATE_HOME=os.path.join(temp, "state"))
    os.makedirs(os.path.join(temp, "state", "strongroom"), mode=0o700)
    if os.geteuid() == 0:  # whose changes lie elsewhere: in our mount namespace they lie here, on the same mount
        call(["mount", "-t", "tmpfs", "none", "/var/lib"])
        os.symlink(os.path.join(temp, "state", "strongroom"), "/var/lib/strongroom")
    at = {name: os.path.join(temp, name) for name in ("big", "other", "small", "c", "npm", "tar", "tiny")}

    def measure(name, what, *arguments):
        if only and name not in only:
            return
        try:
            result[name] = what(*arguments)
        except (Failed, OSError, subprocess.TimeoutExpired, ValueError) as trouble:
            result[name] = {"strongroom": {"state": "FAILED", "message": str(trouble)}}
    try:
        os.mkdir(os.path.join(temp, "same"))
        tree_of(at["small"], 200)
        tree_of(at["big"], files)
        repository(at["big"])
        repository(at["small"])
        call(["cp", "-a", at["big"], at["other"]])
        call(git(at["other"], "status", "--short"))
        c_project(at["c"], 40)
        os.makedirs(at["tar"])
        archive(os.path.join(at["tar"], "linux.tar"), sources)
        time.sleep(1.1)  # what is older is told from what the rooms change
        with open(os.path.join(temp, "before"), "w", encoding="ascii"):
            pass
        measure("ws-setup", set_up, at["big"], at["small"], seconds)
        if tiny:
            memory = {}
            measure("ws-tiny", many, at["tiny"], tiny, memory)
            result["ws-tiny-memory"] = memory
        measure("ws-review", review, at["big"], at["other"], files, few)
        measure("ws-apply", apply, at["big"], temp, files, few)
        measure("ws-clone", work, at["big"], f"git clone -q --no-hardlinks {shlex.quote(at['big'])} copy", few)
        measure("ws-gcc", work, at["c"], "sh build.sh", few)
        measure("ws-untar", work, at["tar"], "tar xf linux.tar", few)
        if shutil.which("npm"):
            npm_project(at["npm"], 100)
            measure("ws-npm", work, at["npm"], "HOME=/tmp npm ci --offline --no-audit --no-fund --cache .cache", few)
        else:
            result["ws-npm"] = {"strongroom": {"state": "not available", "message": "no npm"}}
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "/var/lib"], check=False)
        if not os.environ.get("STRONGROOM_BENCH_DIR"):  # else it is the caller's
            shutil.rmtree(temp, ignore_errors=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
