"""console: runs the fenced `console` examples of Markdown files and compares what they print.

In an example, a line that starts with `$ ` is a command (a `\\` at its end joins the next line), what follows is what it
prints, both streams. `…` stands for any text within a line; a line that is only `…` for any number of lines.
The commands of one block share a shell and a folder, a fresh copy of examples/. A block whose fence says `needs=WORD`
is only run where the caller says that this host has WORD."""
import fnmatch
import os
import re
import shutil
import subprocess
import tempfile

LIMIT_SECONDS = 60
FENCE = re.compile(r"^```console *(.*?)\n(.*?)^```", re.M | re.S)


def blocks(path):
    """Yields (line number, words of the fence, [[command, [expected lines]]])."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for match in FENCE.finditer(text):
        steps, joining = [], False
        for line in match[2].splitlines():
            if joining:
                steps[-1][0] += "\n" + line
            elif line.startswith("$ "):
                steps.append([line[2:], []])
            elif steps:
                steps[-1][1].append(line)
            else:
                raise ValueError(f"{path}: an example begins without a command: {line}")
            joining = (joining or line.startswith("$ ")) and line.endswith("\\")
        yield text.count("\n", 0, match.start()) + 2, match[1].split(), steps


def matches(expected, got):
    """Lines against lines, `…` as above; no recursion, for one pattern may have many."""
    reachable = {0}
    for pattern in expected:
        if pattern.strip() == "…":
            reachable = set(range(min(reachable), len(got) + 1))
            continue
        glob = re.sub(r"([\[*?])", r"[\1]", pattern.rstrip()).replace("…", "*")
        reachable = {at + 1 for at in reachable if at < len(got) and fnmatch.fnmatchcase(got[at].rstrip(), glob)}
        if not reachable:
            return False
    return len(got) in reachable


def as_user(ids):
    """Arguments of subprocess.run() for (uid, gid), or none."""
    return {"user": ids[0], "group": ids[1], "extra_groups": []} if ids else {}


def examples_in(top, examples, ids):
    """Copies `examples` to top/examples; both belong to `ids` then. Returns the copy."""
    folder = os.path.join(top, "examples")
    shutil.copytree(examples, folder)
    os.chmod(top, 0o755)
    for place, _, files in os.walk(top if ids else os.devnull):
        for name in ["", *files]:
            os.chown(os.path.join(place, name), *ids)
    return folder


def run_block(steps, examples, env, ids=()):
    """None, or what differs."""
    with tempfile.TemporaryDirectory() as top:
        folder = examples_in(top, examples, ids)
        mark = f"--- mark {os.getpid()} "
        script = "".join(f"{command}\nprintf '%s%d\\n' '{mark}' {i}\n" for i, (command, _) in enumerate(steps))
        try:
            done = subprocess.run(["bash", "-c", "exec 2>&1\n" + script], cwd=folder, env=env, timeout=LIMIT_SECONDS,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **as_user(ids))
        except subprocess.TimeoutExpired:
            return f"still ran after {LIMIT_SECONDS} s"
    rest = done.stdout.decode("utf-8", "replace")
    for i, (command, expected) in enumerate(steps):
        got, found, rest = rest.partition(f"{mark}{i}\n")
        if not found:
            return f"{command!r}: the shell ended early: {got!r}"
        if not matches(expected, got.splitlines()):
            return f"{command!r} printed {got!r}"
    return None
