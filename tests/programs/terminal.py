"""terminal: a shell at a terminal, spoken to step by step; the same talk outside and in a room with -t."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

WAIT = 15.0  # seconds for one answer
SHELL = ["bash", "--norc", "--noprofile", "-i"]
# What is typed, and what must then come (a regular expression). "@" stands for the shell's prompt.
TALK = [
    ("PS1='@''@ '; PS2=\r", r"\n@@ $"),
    ("tty | sed 's/[0-9]*$//'; stty size\r", r"/dev/pts/\r\n33 77\r\n@@ $"),
    ("sleep 50 &\r", r"\[1\] \d+\r\n@@ $"),
    ("jobs\r", r"\[1\]\+  Running +sleep 50 &\r\n@@ $"),
    ("fg\r", r"sleep 50\r\n$"),
    ("\x1a", r"\[1\]\+  Stopped +sleep 50\r\n@@ $"),
    ("bg; jobs -r | wc -l\r", r"\[1\]\+ sleep 50 &\r\n1\r\n@@ $"),
    ("kill %1; wait %1 2>&-; echo s$?\r", r"s143\r\n(.*\n)*@@ $"),
    ("cat\r", r"cat\r\n$"),
    ("typed\r", r"typed\r\ntyped\r\n$"),
    ("\x04", r"@@ $"),
    ("sleep 50\r", r"sleep 50\r\n$"),
    ("\x03", r"\^C\r\n@@ $"),
    ("echo $?\r", r"130\r\n@@ $"),
    ("sleep 50 | cat\r", r"cat\r\n$"),
    ("\x1a", r"Stopped +sleep 50 \| cat\r\n@@ $"),
    # When the shell hears that its job was killed is a matter of moments: it may say so between the m and the end of its line.
    ("kill -9 %%; wait; set -m; (set -m; true); echo $-| tr -dc m; echo\r", r"m(\r|\[1\]\+  Killed)(.*\n)+@@ $"),
    ("/usr/bin/python3 -qc 'import curses; curses.setupterm(); print(open(\"/dev/tty\").isatty())'\r", r"True\r\n@@ $"),
    ("SIZE", None),
    ("stty size\r", r"44 99\r\n@@ $"),
    ("exit 6\r", None),
]


def _resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _hear(master, pattern):
    """Reads until the pattern is there: None, or what came instead."""
    heard, until = "", time.monotonic() + WAIT
    while time.monotonic() < until:
        if select.select([master], [], [], 0.05)[0]:
            try:
                heard += os.read(master, 4096).decode("utf-8", "replace")
            except OSError:
                return heard
        # Terminals are told about pasting and the like; that is not what was said.
        if re.search(pattern, re.sub(r"\x1b\[\?[0-9]+[hl]\r?", "", heard)):
            return None
    return heard


def talk(start):
    """start(stdin=…, stdout=…, stderr=…) starts the shell; the answer is "" or what went wrong."""
    master, slave = pty.openpty()
    _resize(slave, 33, 77)
    process = start(stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    try:
        return _talk(master, process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(master)


def _talk(master, process):
    before = None
    for typed, answer in TALK:
        if typed == "SIZE":
            _resize(master, 44, 99)
            time.sleep(0.2)
            continue
        if before and not before.endswith("@@ $"):
            time.sleep(0.4)  # what is typed is for the program just started, not for the shell that starts it
        before = answer
        os.write(master, typed.encode())
        if answer is None:
            break
        heard = _hear(master, answer)
        if heard is not None:
            return f"typed {typed!r}, wanted {answer!r}, came {heard[-300:]!r}"
    try:
        status = process.wait(WAIT)
    except subprocess.TimeoutExpired:
        return "the shell did not end"
    return "" if status == 6 else f"ended with status {status}"
