"""systemd_guest: what rooms are on a host of systemd's, seen from that host. Run by its service vm-test, as root; runs
itself once more in a session of the user's. Prints one line a test and the totals."""
import glob
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

UID = 1000
PROGRAM = '/usr/local/bin/strongroom'
ROOT = os.geteuid() == 0
tests = []


def test(function):
    tests.append(function)
    return function


def run(*words, limit=120, feed=None):
    return subprocess.run([PROGRAM, *words], input=feed, stdin=None if feed is not None else subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=limit)


def room(*options, command=('/bin/true',)):
    record = os.path.expanduser('~/record')
    done = run('run', '--result', record, *options, '--', *command)
    with open(record, encoding='ascii') as f:
        return done, json.load(f)


def same(got, wanted):
    assert got == wanted, 'got %r, wanted %r' % (got, wanted)


def mounts():
    with open('/proc/self/mountinfo', encoding='ascii') as f:
        return f.read()


@test
def the_default_room_needs_nothing():
    done, record = room()
    same((done.returncode, record['outcome']), (0, 'exited'))
    weak = {k for k, v in record['receipt'].items() if v['state'] == 'degraded'}
    same(weak, set() if ROOT else {'uids', 'cgroup'})


@test
def bounds_that_are_asked_for_are_the_kernels():
    done, record = room('-m', '64M', '--cpus', '0.5', '--pids', '20', command=('sh', '-c', 'exit 7'))
    same(done.returncode, 7)
    for name in ('memory', 'cpus', 'pids'):
        assert 'cgroup2' in record['limits'][name]['enforced_by'], (name, record['limits'][name])
    same(record['receipt']['cgroup']['state'], 'on')
    same(record['teardown']['cgroups'], 0)


@test
def who_takes_all_memory_is_ended():
    done, record = room('-m', '64M', command=('python3', '-c', 'x = bytearray(300 << 20)'))
    same((done.returncode, record['outcome']), (137, 'memory'))


@test
def the_gate_stands_by_nftables():
    done, record = room('--allow', 'example.org')
    same((done.returncode, record['receipt']['gate']['state'], done.stderr), (0, 'on', ''))


@test
def a_published_port_leads_into_the_room():
    serve = 'import http.server as h; h.HTTPServer(("127.0.0.1", 8000), h.SimpleHTTPRequestHandler).serve_forever()'
    p = subprocess.Popen([PROGRAM, 'run', '-q', '--publish', '8098:8000', '--', 'python3', '-c', serve], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        for _ in range(60):
            try:
                same(urllib.request.urlopen('http://127.0.0.1:8098/', timeout=5).status, 200)
                return
            except OSError:
                time.sleep(0.5)
        raise AssertionError('nobody answers')
    finally:
        p.terminate()
        p.wait()


@test
def a_workspace_is_reviewed_and_applied():
    folder = os.path.expanduser('~/w/project')
    os.makedirs(folder)
    with open(folder + '/a', 'w', encoding='ascii') as f:
        f.write('old\n')
    same(run('run', '-q', '-w', folder, '-m', '64M', '--', 'sh', '-c', 'echo new >a; echo more >b').returncode, 0)
    same(sorted(os.listdir(folder)), ['a'])
    same(run('review', '--name-only').stdout.split(), ['a', 'b'])
    same(run('apply').returncode, 0)
    with open(folder + '/a', encoding='ascii') as f:
        same(f.read(), 'new\n')
    same((os.stat(folder + '/b').st_uid, run('undo').returncode), (os.geteuid(), 0))
    same(sorted(os.listdir(folder)), ['a'])


@test
def a_room_lives_on_and_is_bounded():
    same(run('run', '--detach', '--name', 'live', '-m', '64M').returncode, 0)
    try:
        same(run('exec', 'live', '--', 'echo', 'here').stdout, 'here\n')
        assert '64M' in run('stats', 'live').stdout
    finally:
        same(run('rm', 'live').returncode, 0)


@test
def a_killed_supervisor_leaves_nothing():
    p = subprocess.Popen([PROGRAM, 'run', '-m', '64M', '--', 'sleep', '4242'], stdin=subprocess.DEVNULL)
    time.sleep(3)
    os.kill(p.pid, signal.SIGKILL)
    p.wait()
    for _ in range(40):
        left = subprocess.run(['pgrep', '-f', 'sleep 4242'], stdout=subprocess.PIPE, text=True).stdout
        if not left and not glob.glob('/sys/fs/cgroup/**/strongroom*', recursive=True):
            return
        time.sleep(0.25)
    raise AssertionError('processes %r, cgroups %r' % (left, glob.glob('/sys/fs/cgroup/**/strongroom*', recursive=True)))


@test
def an_agent_gets_a_room_by_mcp():
    lines = [{'jsonrpc': '2.0', 'id': 1, 'method': 'initialize', 'params': {'protocolVersion': '2025-06-18', 'capabilities': {}, 'clientInfo': {
        'name': 'test', 'version': '1'}}}, {'jsonrpc': '2.0', 'method': 'notifications/initialized'},
        {'jsonrpc': '2.0', 'id': 2, 'method': 'tools/call', 'params': {'name': 'run_code', 'arguments': {
            'language': 'python', 'code': 'print(6 * 7)'}}}]
    p = subprocess.Popen([PROGRAM, 'mcp'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    p.stdin.write(''.join(json.dumps(line) + '\n' for line in lines))
    p.stdin.flush()
    answers = [json.loads(p.stdout.readline()) for _ in range(2)]
    p.stdin.close()
    same(p.wait(), 0)
    assert '42' in json.dumps(answers[1]['result']), answers[1]


@test
def every_wall_holds():
    done = run('selftest')
    same((done.returncode, ' broke 0,' in done.stdout), (0, True))


@test
def doctor_knows_the_scope():
    done = run('doctor')
    assert ROOT or 'none needed for --memory and --cpus' in done.stdout, done.stdout


def main():
    who = 'root' if ROOT else 'user'
    passed = failed = 0
    if ROOT:  # emulated, the kernel takes longer to load nftables' modules than a room may take to be built
        run('run', '-q', '--allow', 'example.org', '--', 'true')
    before = mounts()
    for function in tests:
        name = '%s@%s' % (function.__name__.replace('_', '-'), who)
        try:
            function()
            print('PASS ' + name, flush=True)
            passed += 1
        except Exception as e:
            print('FAIL %s: %s' % (name, str(e).replace('\n', ' ')[:600]), flush=True)
            failed += 1
    left = glob.glob('/sys/fs/cgroup/**/strongroom*', recursive=True)
    if mounts() == before and not left:
        print('PASS nothing-is-left@' + who)
        passed += 1
    else:
        print('FAIL nothing-is-left@%s: %r' % (who, left or 'mounts'))
        failed += 1
    if ROOT:
        p, f = as_user()
        passed, failed = passed + p, failed + f
    print('%d passed, %d failed, 0 skipped' % (passed, failed), flush=True)


def as_user():
    for _ in range(120):
        if os.path.exists('/run/user/%d/bus' % UID):
            break
        time.sleep(0.5)
    done = subprocess.run(['systemd-run', '--quiet', '--wait', '--pipe', '--uid=%d' % UID, '--gid=%d' % UID, '-p', 'PAMName=login',
                           '-p', 'Environment=XDG_RUNTIME_DIR=/run/user/%d' % UID, sys.executable, '-B', os.path.realpath(__file__)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    *lines, last = done.stdout.strip().split('\n')
    print('\n'.join(lines))
    words = last.split()
    if len(words) != 6 or words[1] != 'passed,':
        print('FAIL session: ended without its totals: %s' % last)
        return 0, 1
    return int(words[0]), int(words[2])


if __name__ == '__main__':
    os.environ.setdefault('HOME', '/root')
    main()
