"""terminal: a program at a terminal of its own, and somebody who answers its questions."""
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

import room


def at_terminal(words, keys, rows=24, prompt=b'? ', early=b'', columns=80):
    """Runs words at so many columns; each question (its text ends in `prompt`) gets the next key. Returns status, what was said,
    and the questions. Pages are turned. `early` is typed before anything is asked."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        os.execv(words[0], words)
    os.write(fd, early)
    said, mark, keys, asked = b'', 0, list(keys), []
    end = time.monotonic() + room.HANG
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.5)[0]:
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        said += data
        new = re.sub(rb'\x1b\[[0-9;]*[A-Za-z]', b'', said[mark:])
        if new.endswith(b'more: space, enter, q '):
            mark = len(said)
            os.write(fd, b' ')
        elif new.endswith(prompt):
            mark = len(said)
            asked.append(new.splitlines()[-1].decode())
            os.write(fd, keys.pop(0) if keys else b'\x04')
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said, asked


def plain(said):
    """Without colours and the wiping of questions."""
    return re.sub(rb'\x1b\[[0-9;]*[A-Za-z]', b'', said).decode('utf-8', 'replace')
