"""clients: programs as people use them, unmodified and told of no proxy, through the gate to servers in the world's namespace.
Each needs its package; what is not installed, or cannot run here, is skipped with the reason. Run by run as `run --clients`."""
import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import zipfile

from gate import EXT, PYTHON, Skip, equal, has, need, python, room, test
import gate

JAVA = '/usr/lib/jvm/java-17-openjdk-amd64/bin/java'
BIG = ['-m', '3G', '--prefer', 'memory', '--pids', '512', '--prefer', 'pids']


class Server:
    """A server in the world's namespace, as somebody, until the test is over; `port` says when it is there."""

    def __init__(self, argv, port, **more):
        self.log = tempfile.TemporaryFile()
        self.p = subprocess.Popen(['nsenter', '--net=/proc/%d/ns/net' % gate.world.pid, *argv], stdin=subprocess.DEVNULL,
                                  stdout=self.log, stderr=self.log, start_new_session=True, cwd='/', **more)
        check = 'import socket,sys\nsocket.create_connection((sys.argv[1], int(sys.argv[2])), 1)'
        for _ in range(80):
            if subprocess.run([PYTHON, '-c', check, EXT, str(port)], stderr=subprocess.DEVNULL).returncode == 0:
                return
            if self.p.poll() is not None:
                break
            time.sleep(0.1)
        self.end()
        self.log.seek(0)
        raise Skip('%s does not serve here: %s' % (argv[0], self.log.read().decode('latin1').strip().replace('\n', ' ')[-200:]))

    def end(self):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.p.pid, sig)
                self.p.wait(3)
                return
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.end()


def files(port=8000):
    return Server([PYTHON, '-m', 'http.server', '--bind', EXT, '--directory', gate.folder, str(port)], port)


def become(user):
    if os.geteuid() != 0 or open('/proc/self/uid_map').read().split()[2] != '4294967295':
        raise Skip('needs root to run the server as %s' % user)
    return ['setpriv', '--reuid', user, '--regid', user, '--clear-groups']


def put(path, data):
    path = os.path.join(gate.folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data)
    os.chmod(path, 0o644)
    return path


def here(r):
    equal(r.status, 0, r)
    has(r.out, 'here is', r)


HTTPS = ['--allow', 'allowed.test', '--ro']


# --- libraries --------------------------------------------------------------------------------------------------------

@test
def python_http_client():
    here(python(['--allow', 'four.test:80'], 'import http.client\nc = http.client.HTTPConnection("four.test", timeout=8); c.request("GET", "/"); print(c.getresponse().read().decode())'))


@test
def python_requests():
    if subprocess.run([PYTHON, '-c', 'import requests'], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip('python3-requests is not installed')
    here(python([*HTTPS, gate.folder], 'import requests\nprint(requests.get("https://allowed.test/", timeout=8, verify="%s/server.pem").text)' % gate.folder))


@test
def python_websockets():
    if subprocess.run([PYTHON, '-c', 'import websockets'], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip('python3-websockets is not installed')
    server = ('import asyncio, websockets\nasync def echo(ws, path=None):\n async for m in ws: await ws.send(m[::-1])\n'
              'async def main():\n async with websockets.serve(echo, "%s", 8765): await asyncio.Future()\nasyncio.run(main())' % EXT)
    with Server([PYTHON, '-c', server], 8765):
        r = python(['--allow', 'four.test:8765'], 'import asyncio, websockets\nasync def f():\n async with websockets.connect("ws://four.test:8765/") as ws:\n'
                   '  await ws.send("abc"); print(await ws.recv())\nasyncio.run(f())')
    equal(r.out, 'cba\n', r)


def node(code, *options):
    need('node')
    path = os.path.realpath(shutil.which('node'))
    return room([*options, '-m', '2G', '--prefer', 'memory', '--ro', path], [path, '-e', code])


@test
def node_http_and_net():
    here(node('require("http").get("http://four.test/", r => r.pipe(process.stdout))', '--allow', 'four.test:80'))
    here(node('const s = require("net").connect(80, "four.test", () => s.write("GET / HTTP/1.0\\r\\n\\r\\n")); s.pipe(process.stdout)', '--allow', 'four.test:80'))


@test
def java_http_client_and_sockets():
    if not os.path.exists(JAVA) or not os.path.exists(JAVA + 'c'):
        raise Skip('openjdk-17-jdk-headless is not installed')
    put('java/T.java', b'''import java.net.*; import java.net.http.*; import java.io.*;
public class T { public static void main(String[] a) throws Exception {
  System.out.print(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("http://four.test/")).build(), HttpResponse.BodyHandlers.ofString()).body());
  try (Socket s = new Socket("allowed.test", 80)) {
    s.getOutputStream().write("GET / HTTP/1.0\\r\\n\\r\\n".getBytes());
    new BufferedReader(new InputStreamReader(s.getInputStream())).lines().forEach(System.out::println); }
  try { new Socket("denied.test", 80); } catch (UnknownHostException e) { System.out.println("unknown"); } } }''')
    subprocess.run([JAVA + 'c', '-d', gate.folder + '/java', gate.folder + '/java/T.java'], check=True)
    r = room(['--allow', 'four.test:80', '--allow', 'allowed.test', '--ro', gate.folder, '--ro', '/etc/java-17-openjdk', *BIG],
             [JAVA, '-Xmx256m', '-Xshare:auto', '-cp', gate.folder + '/java', 'T'])
    here(r)
    equal((r.out.count('here is'), r.out.count('unknown')), (2, 1), r)


# --- version control --------------------------------------------------------------------------------------------------

@test
def git_protocol():
    need('git')
    with Server(['git', '-c', 'safe.directory=*', 'daemon', '--export-all', '--reuseaddr', '--listen=' + EXT, '--port=9418', '--base-path=' + gate.folder], 9418,
                env={**os.environ, 'GIT_CONFIG_COUNT': '1', 'GIT_CONFIG_KEY_0': 'safe.directory', 'GIT_CONFIG_VALUE_0': '*'}):
        r = room(['--allow', 'four.test:9418'], ['sh', '-c', 'git clone -q git://four.test/repo.git r && cat r/file'])
    equal(r.out, 'from the repository\n', r)


@test
def git_over_ssh():
    need('git')
    need('ssh')
    if not os.path.exists('/usr/sbin/sshd'):
        raise Skip('openssh-server is not installed')
    become('root')
    folder = gate.folder + '/ssh'
    os.makedirs(folder)
    for key in ('host', 'client'):
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', folder + '/' + key], check=True)
    shutil.copy(folder + '/client.pub', folder + '/keys')
    put('ssh/config', ('HostKey %s/host\nAuthorizedKeysFile %s/keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n' % (folder, folder)).encode())
    os.makedirs('/run/sshd', exist_ok=True)
    os.chmod(folder + '/client', 0o644)
    with Server(['/usr/sbin/sshd', '-D', '-e', '-p', '2222', '-o', 'ListenAddress=' + EXT, '-f', folder + '/config'], 2222):
        r = room(['--allow', 'four.test:2222', '--ro', gate.folder],
                 ['sh', '-c', 'umask 077; cp %s/client key && GIT_SSH_COMMAND="ssh -i key -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes" '
                  'git clone -q root@four.test:%s/repo.git r && cat r/file' % (folder, gate.folder)])
    equal(r.out, 'from the repository\n', r)


# --- databases --------------------------------------------------------------------------------------------------------

TCP_CLOSED = ('import socket\nfor peer in ("four.test", "%s", "127.0.0.1"):\n try: socket.create_connection((peer, %d), 3); print("REACHED")\n'
              ' except OSError: print("closed")\n')


def by_socket(path, port, client):
    """A client by the server's socket file alone, at its own place and at another; nothing leads to the server's port."""
    for place in (path, '/srv/far/' + os.path.basename(path)):
        rule = 'unix:' + path + ('' if place == path else '=' + place)
        r = room(['--allow', rule], ['sh', '-c', client(place) + '; ' + PYTHON + " -c '" + TCP_CLOSED % (EXT, port) + "'"])
        told = [(e['verdict'], e['kind'], e['name'], e['rule']) for e in r.record['network']['events'] if e['verdict'] == 'allowed']
        assert told and set(told) == {('allowed', 'unix', path, rule)}, (told, r)
        yield r, place


@test
def redis_cli():
    need('redis-cli')
    need('redis-server')
    path = gate.folder + '/redis.sock'
    with Server(['redis-server', '--bind', EXT, '--port', '6379', '--save', '', '--protected-mode', 'no', '--dir', gate.folder, '--unixsocket', path, '--unixsocketperm', '777'], 6379):
        r = room(['--allow', 'four.test:6379'], ['sh', '-c', 'redis-cli -h four.test set a 7 && redis-cli -h four.test get a'])
        equal(r.out.split(), ['OK', '7'], r)
        for r, _ in by_socket(path, 6379, lambda at: 'redis-cli -s %s incr b; redis-cli -s %s get a' % (at, at)):
            equal(r.out.split()[1:], ['7', 'closed', 'closed', 'closed'], r)


@test
def psql():
    found = [p for p in ('/usr/lib/postgresql/%d/bin' % v for v in range(17, 12, -1)) if os.path.exists(p + '/postgres')]
    if not found:
        raise Skip('postgresql is not installed')
    who = become('postgres')
    with tempfile.TemporaryDirectory() as data:
        shutil.chown(data, 'postgres', 'postgres')
        subprocess.run([*who, found[0] + '/initdb', '-D', data + '/d', '-A', 'trust', '-N', '-U', 'postgres'], check=True, cwd='/', stdout=subprocess.DEVNULL)
        with open(data + '/d/pg_hba.conf', 'a') as f:
            f.write('host all all 0.0.0.0/0 trust\n')
        with Server([*who, found[0] + '/postgres', '-D', data + '/d', '-c', 'listen_addresses=' + EXT, '-c', 'unix_socket_directories=' + data, '-F'], 5432):
            time.sleep(0.5)
            ask = [found[0] + '/psql', '-U', 'postgres', '-Atc', 'select 6 * 7']
            equal(room(['--allow', 'four.test:5432'], [*ask, '-h', 'four.test']).out, '42\n')
            for r, at in by_socket(data + '/.s.PGSQL.5432', 5432,
                                   lambda at: '%s/psql -h %s -U postgres -Atc "select 6 * 7; select inet_server_addr() is null"' % (found[0], os.path.dirname(at))):
                equal(r.out.split(), ['42', 't', 'closed', 'closed', 'closed'], (at, r))


# --- packages ---------------------------------------------------------------------------------------------------------

@test
def pip():
    if subprocess.run([PYTHON, '-m', 'pip', '--version'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip('python3-pip is not installed')
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, 'w') as z:
        z.writestr('demo_room.py', 'print("from the index")\n')
        z.writestr('demo_room-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\nName: demo-room\nVersion: 1.0\n')
        z.writestr('demo_room-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        z.writestr('demo_room-1.0.dist-info/RECORD', 'demo_room.py,,\ndemo_room-1.0.dist-info/METADATA,,\ndemo_room-1.0.dist-info/WHEEL,,\ndemo_room-1.0.dist-info/RECORD,,\n')
    put('simple/demo-room/demo_room-1.0-py3-none-any.whl', wheel.getvalue())
    with files():
        r = room(['--allow', 'four.test:8000'], ['sh', '-c', '%s -m pip install -q --no-cache-dir --disable-pip-version-check --target x --index-url http://four.test:8000/simple/ '
                                                 '--trusted-host four.test demo-room && PYTHONPATH=x %s -c "import demo_room"' % (PYTHON, PYTHON)])
    equal(r.out, 'from the index\n', r)


@test
def npm():
    need('npm')
    need('node')
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode='w:gz') as t:
        for name, text in (('package/package.json', b'{"name":"demo-room","version":"1.0.0","main":"i.js"}'), ('package/i.js', b'console.log("from the registry")\n')):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            t.addfile(entry, io.BytesIO(text))
    data = raw.getvalue()
    put('npm-files/demo-room-1.0.0.tgz', data)
    put('demo-room', json.dumps({'name': 'demo-room', 'dist-tags': {'latest': '1.0.0'}, 'versions': {'1.0.0': {
        'name': 'demo-room', 'version': '1.0.0', 'main': 'i.js', 'dist': {
            'tarball': 'http://four.test:8000/npm-files/demo-room-1.0.0.tgz', 'integrity': 'sha512-' + base64.b64encode(hashlib.sha512(data).digest()).decode()}}}}).encode())
    tree = os.path.dirname(os.path.dirname(os.path.realpath(shutil.which('node'))))
    more = [] if tree.startswith('/usr') else ['--ro', tree]
    with files():
        r = room(['--allow', 'four.test:8000', *more, *BIG], ['sh', '-c', 'PATH=%s:$PATH; npm install --silent --no-audit --no-fund --no-update-notifier --registry http://four.test:8000/ demo-room; '
                                                              'node -e "require(\'demo-room\')"' % os.path.dirname(shutil.which('node'))])
    has(r.out, 'from the registry', r)


@test
def apt():
    need('apt-get')
    need('dpkg-deb')
    tree = gate.folder + '/deb'
    os.makedirs(tree + '/DEBIAN')
    put('deb/DEBIAN/control', b'Package: demo-room\nVersion: 1.0\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n')
    put('deb/usr/share/demo-room', b'from the mirror\n')
    os.chmod(tree + '/DEBIAN', 0o755)
    os.makedirs(gate.folder + '/apt')
    subprocess.run(['dpkg-deb', '--root-owner-group', '-b', tree, gate.folder + '/apt/demo.deb'], check=True, stdout=subprocess.DEVNULL)
    deb = open(gate.folder + '/apt/demo.deb', 'rb').read()
    index = open(tree + '/DEBIAN/control').read() + 'Filename: ./demo.deb\nSize: %d\nSHA256: %s\n' % (len(deb), hashlib.sha256(deb).hexdigest())
    put('apt/Packages.gz', gzip.compress(index.encode()))
    put('apt/sources.list', b'deb [trusted=yes] http://four.test:8000/apt ./\n')
    script = ('mkdir -p s/lists/partial c/archives/partial && touch status && o="-o Dir::Etc=/work/none -o Dir::Etc::sourcelist=%s/apt/sources.list -o Dir::Etc::sourceparts=- -o Dir::State=/work/s '
              '-o Dir::State::status=/work/status -o Dir::Cache=/work/c -o APT::Sandbox::User= -o Dir::Log=/work -o Acquire::Languages=none" && '
              'apt-get $o -qq update && apt-get $o -qq download demo-room && dpkg-deb --fsys-tarfile demo-room_1.0_all.deb | tar xO ./usr/share/demo-room' % gate.folder)
    with files():
        r = room(['--allow', 'four.test:8000', '--ro', gate.folder], ['sh', '-c', script])
    equal(r.out, 'from the mirror\n', r)


# --- browsers ---------------------------------------------------------------------------------------------------------

@test
def chromium_headless():
    need('chromium')
    r = room(['--allow', 'four.test:80', '--ro', '/etc/chromium', '--ro', '/etc/fonts', *BIG],
             ['sh', '-c', 'timeout 40 /usr/lib/chromium/chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-zygote --user-data-dir=/tmp/c --dump-dom http://four.test/ 2>/dev/null'])
    if 'here is' not in r.out:
        raise Skip('chromium does not run here: status %s: %s' % (r.status, r.err.strip().replace('\n', ' ')[-200:]))
