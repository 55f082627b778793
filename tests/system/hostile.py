"""hostile: programs that attack the supervisor, the account it gives, and what the caller did not mean to show.

Hazards run in rooms only.
"""
import os
import pty
import time

import room
from room import ended, test

FLOOD = 'while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done'


# --- a reader that does not read --------------------------------------------------------------------------------------

def flood_unread_terminal(options, action=None):
    """stdout is a terminal that nobody reads: a write to it waits for ever."""
    master, slave = pty.openpty()
    try:
        p = room.start([*options], ['/bin/sh', '-c', FLOOD], stdout=slave)
        os.close(slave)
        if action:
            action(p)
        return room.finish(p, limit=30)
    finally:
        os.close(master)


@test
def an_unread_terminal_does_not_stop_the_clock():
    ended(flood_unread_terminal(['--timeout', '500ms']), 'timeout', 124)


@test
def an_unread_terminal_does_not_keep_signals_away():
    def end(p):
        time.sleep(0.5)
        p.terminate()
    ended(flood_unread_terminal(['-t'], end), status=143)


if __name__ == '__main__':
    room.main()
