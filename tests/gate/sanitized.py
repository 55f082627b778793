"""sanitized: the usual suite, and that of inside.py, with a gate that was built with ASan and UBSan (build-test): what they
find ends the gate, and counts as a failure. Run by run as `run --sanitized`."""
import glob
import os
import shutil
import tempfile

import gate
import attacks

usual = list(gate.tests)
import inside  # noqa: E402, begins a list of its own

gate.tests[:0] = usual

LOGS = '/tmp/strongroom-gate-sanitizer'
# What is about the walls, the memory or the speed of the real one.
NOT_THESE = ('the_gate_has_no_rights', 'the_gate_is_not_root', 'a_gate_without_descriptors_waits_quietly', 'twenty_thousand_connections_leave_nothing',
             'the_first_connection_is_quick', 'resolv_conf_may_be_a_link')


def prepare():
    there = os.path.join(gate.PROJECT, 'build-test', 'tests', 'strongroom-gate')
    here = tempfile.mkdtemp(prefix='sanitized-')
    os.chmod(here, 0o755)
    shutil.copy(gate.PROGRAM, here + '/strongroom')
    shutil.copy(there, here + '/strongroom-gate')
    for name in ('policy', 'intercept'):
        helper = os.path.join(gate.PROJECT, 'build-host', 'src', 'helpers', name, 'strongroom-' + name)
        if os.path.exists(helper):
            shutil.copy(helper, here + '/strongroom-' + name)
    for module in (gate, attacks, inside):
        module.PROGRAM = here + '/strongroom'
    for old in glob.glob(LOGS + '*'):
        os.unlink(old)


@gate.test
def many_connections_under_the_sanitizers():
    """The load of the soak, less of it."""
    os.environ['GATE_SOAK'] = '4000'
    try:
        attacks.twenty_thousand_connections_leave_nothing()
    except AssertionError as e:
        if 'KiB' in str(e) or 'done' in str(e):
            raise


@gate.test
def the_sanitizers_found_nothing():
    found = glob.glob(LOGS + '*')
    text = ''.join(open(p, errors='replace').read(3000) for p in found)
    assert not found, text


gate.tests[:] = [t for t in gate.tests if t.__name__ not in NOT_THESE]
prepare()
