"""attacks: what a hostile room, a hostile network and an odd host try at the gate. Run by run, in the machine of gate.py."""
import os
import socket
import subprocess
import time

from gate import ALLOW, EXT, PROGRAM, PYTHON, TRY, arrivals, before, curl, equal, has, here, python, room, sh, test, told
import gate


# --- an odd host ------------------------------------------------------------------------------------------------------

@test
def resolv_conf_may_be_a_link():
    """As systemd-resolved and resolvconf make it."""
    work = gate.folder + '/etc-over'
    os.makedirs(work + '/up')
    os.makedirs(work + '/work')
    script = ('mount -t overlay over -o lowerdir=/etc,upperdir=%s/up,workdir=%s/work /etc && cd /etc && rm -f resolv.conf hosts && '
              'ln -s %s/resolv.conf resolv.conf && ln -s %s/hosts hosts && exec "$@"' % (work, work, gate.folder, gate.folder))
    kept = list(before)
    before[:0] = ['unshare', '--mount', 'sh', '-ec', script, 'sh']
    try:
        here(curl(['--allow', 'four.test:80'], 'http://four.test/'), '')
    finally:
        before[:] = kept
