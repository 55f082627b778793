"""install: what is written into clients' configurations, and the hook around an agent's own commands."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import tomllib

from wire import HANG, PROGRAM, Skip, same, test

FILES = {
    'claude': ('.config/Claude/claude_desktop_config.json', 'mcpServers', {}),
    'claude-code': ('.claude.json', 'mcpServers', {'type': 'stdio'}),
    'cursor': ('.cursor/mcp.json', 'mcpServers', {}),
    'vscode': ('.config/Code/User/mcp.json', 'servers', {'type': 'stdio'}),
    'zed': ('.config/zed/settings.json', 'context_servers', {'source': 'custom'}),
    'codex': ('.codex/config.toml', 'mcp_servers', {}),
}


def strongroom(*words, home, feed=b'', **env):
    done = subprocess.run([PROGRAM, *words], input=feed, capture_output=True, timeout=HANG,
                          env={'PATH': os.environ['PATH'], 'HOME': str(home), **env})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def install(home, client, *words, **env):
    return strongroom('mcp', 'install', client, *words, home=home, **env)


def home():
    return tempfile.TemporaryDirectory()


def read(path):
    text = path.read_text()
    return tomllib.loads(text) if path.suffix == '.toml' else json.loads(re.sub(r'(?m)^\s*//.*$', '', text))


@test
def every_client_from_nothing_and_again():
    for client, (name, key, more) in FILES.items():
        with home() as h:
            path = pathlib.Path(h) / name
            status, out, err = install(h, client, '--dry-run', '--allow', 'pypi.org')
            same((status, path.exists()), (0, False), err)
            assert 'would create ' + str(path) in out and 'pypi.org' in out, out
            status, out, err = install(h, client, '--allow', 'pypi.org', '--rooms', '3')
            same(status, 0, err)
            entry = read(path)[key]['strongroom']
            same(entry, {**more, 'command': os.path.realpath(PROGRAM), 'args': ['mcp', '--rooms=3', '--allow', 'pypi.org']}, client)
            same(path.stat().st_mode & 0o777, 0o600)
            before = path.read_text()
            status, out, err = install(h, client, '--allow', 'pypi.org', '--rooms', '3')
            assert status == 0 and 'nothing to change' in out and path.read_text() == before, out
            status, out, err = install(h, client)
            same(read(path)[key]['strongroom']['args'], ['mcp'])
            backups = list(path.parent.glob(path.name + '.bak-*'))
            same([b.read_text() for b in backups], [before])
            assert str(backups[0]) in out


@test
def what_else_stands_there_stays():
    texts = {
        'zed': ['{\n  // mine "context_servers": {}\n  "theme": "One Dark", /* { */\n  "context_servers": {\n    "other": {"command": "x"}, // last\n  },\n}\n',
                '{"context_servers":{"strongroom":{"old":[1,2,{"a":"}"}]},"z":{}},"a":1}', '{}', '{"x":"\\"}/*"}', '',
                '{\n  "context_servers": {}\n}\n'],
        'codex': ['model = "o"\n[mcp_servers.other]\ncommand = "x"\nargs = [\n  "a]", # ]\n  \'b\',\n]\n',
                  '[mcp_servers.strongroom]\ncommand = "old"\n[mcp_servers.strongroom.env]\nA = "b"\n[tools]\nx = """\n[mcp_servers.strongroom]\n"""\n',
                  'x = 1', '[ "mcp_servers" . "strongroom" ] # c\ncommand = "x"\n\n[[list]]\na = {b = [1, {c = 2}]}\n', '']}
    for client, olds in texts.items():
        for old in olds:
            with home() as h:
                name, key, _ = FILES[client]
                path = pathlib.Path(h) / name
                path.parent.mkdir(parents=True)
                path.write_text(old)
                path.chmod(0o640)
                status, out, err = install(h, client)
                same(status, 0, err + old)
                new = path.read_text()
                for piece in re.findall(r'//.*|/\*.*?\*/|# .*', old):
                    assert piece in new, (piece, new)
                plain = re.sub(r',(\s*[}\]])', r'\1', re.sub(r'(?m)(^|\s)//.*$|/\* \{ \*/', '', new))
                now = tomllib.loads(new) if client == 'codex' else json.loads(plain)
                same(now[key]['strongroom']['args'], ['mcp'])
                if 'other' in old:
                    same(now[key]['other']['command'], 'x')
                if 'theme' in old:
                    same(now['theme'], 'One Dark')
                if '.env]' in old:
                    same((now[key]['strongroom']['env'], now['tools']['x']), ({'A': 'b'}, '[mcp_servers.strongroom]\n'))
                same(path.stat().st_mode & 0o777, 0o640)


@test
def what_is_not_understood_is_left_alone():
    texts = {
        'cursor': ['{', 'x', '[]', '{"mcpServers": []}', '{"mcpServers": {}, "mcpServers": {}}', '{"a": 1} x', '{"a": /* x }', '\x00', '{"a" "b"}'],
        'codex': ['mcp_servers = {}\n', 'mcp_servers.strongroom.command = "x"\n', '[mcp_servers]\nstrongroom = {command = "x"}\n',
                  'x = "a\n', '[a\n', 'x = [1, 2\n', 'x = """a\n', '= 1\n', 'a b = 1\n', '[mcp_servers.strongroom]\n[mcp_servers.strongroom]\n',
                  '[[mcp_servers.strongroom]]\n', 'x = }\n']}
    for client, olds in texts.items():
        for old in olds:
            with home() as h:
                path = pathlib.Path(h) / FILES[client][0]
                path.parent.mkdir(parents=True)
                path.write_text(old)
                status, out, err = install(h, client)
                assert status == 125 and err.startswith('strongroom: mcp install: ' + str(path)), (old, status, err)
                same((path.read_text(), len(list(path.parent.iterdir()))), (old, 1))


# What stands in a configuration beside ours: text, and what of it must be there afterwards, to the letter.
FOREIGN = '{\n    // a remark: "KEY": {\n\t"deep": {"KEY": {"strongroom": 1}},\r\n  "n": 1.50, "e": "\\u00e9\\/", /* KEY */ "KEY" : {"other" :{"args":["a", "b" ]} , "z": null},\n  "last": [1,2,\n3]\n}'
KEPT = ['// a remark: "KEY": {', '\t"deep": {"KEY": {"strongroom": 1}},\r\n', '"n": 1.50, "e": "\\u00e9\\/", /* KEY */', '"other" :{"args":["a", "b" ]}', '"last": [1,2,\n3]\n}']
FOREIGN_TOML = '# a remark [KEY.strongroom]\nmodel  =  "x" # y\n\n[KEY.other]\ncommand = "c"\nargs = [ "a",\n "b" ]\n[z]\nn = 1_000\n'


def strange(client):
    name, key, _ = FILES[client]
    text = (FOREIGN_TOML if client == 'codex' else FOREIGN).replace('KEY', key)
    return text, text.splitlines(True) if client == 'codex' else [k.replace('KEY', key) for k in KEPT]


@test
def each_client_keeps_what_is_foreign_and_nothing_changes_twice():
    for client, (name, key, more) in FILES.items():
        old, kept = strange(client)
        with home() as h:
            path = pathlib.Path(h) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(old.encode())
            status, out, err = install(h, client, '--dry-run', '-m', '1G')
            same((status, path.read_bytes(), len(list(path.parent.iterdir()))), (0, old.encode(), 1), client + err)
            assert 'would change ' + str(path) in out and '1G' in out, out
            for _ in range(3):  # the second and third time nothing changes
                status, out, err = install(h, client, '-m', '1G')
                same(status, 0, client + err)
                new = path.read_bytes().decode()
                for piece in kept:
                    assert piece in new, (client, piece, new)
            assert 'nothing to change' in out, out
            same(len(list(path.parent.glob(path.name + '.bak-*'))), 1, 'copies')
            for amount in ('2G', '3G', '4G'):  # each in the same second, perhaps
                before = path.read_bytes()
                status, out, err = install(h, client, '-m', amount)
                backup = re.search(r'before: (.*)', out)[1]
                same((status, pathlib.Path(backup).read_bytes()), (0, before), 'what was there before')
            same(len(list(path.parent.glob(path.name + '.bak-*'))), 4, 'copies')
            new = path.read_text()
            same(new.count('4G'), 1, new)
            assert '1G' not in new and all(piece in path.read_bytes().decode() for piece in kept), new


@test
def each_client_leaves_alone_what_is_broken():
    broken = ['{', '{"KEY": {"a": 1}', '{"KEY": "text"}', '{"KEY": {}, "KEY": {}}', '{"KEY": {"strongroom": {}, "strongroom": {}}}', '{"a": 1}}', '[]', 'null', '\ufeff{}', '{"a": "\n"}', "{'a': 1}"]
    for client, (name, key, _) in FILES.items():
        for old in ['[KEY', 'KEY = 1\n', '[KEY.strongroom]\n[KEY.strongroom]\n', 'x = "a\n'] if client == 'codex' else broken:
            with home() as h:
                path = pathlib.Path(h) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(old.replace('KEY', key))
                before = path.read_bytes()
                for words in ([], ['--dry-run']):
                    status, out, err = install(h, client, *words)
                    assert status == 125 and str(path) in err and err.startswith('strongroom: mcp install: '), (client, old, status, err)
                same((path.read_bytes(), len(list(path.parent.iterdir()))), (before, 1), (client, old))


@test
def what_the_client_writes_meanwhile_is_not_lost():
    seen = 0
    for turn in range(60):
        with home() as h:
            folder = pathlib.Path(h) / '.cursor'
            folder.mkdir()
            (folder / 'mcp.json').write_text('{"a": %s}' % json.dumps('x' * 2000000))
            p = subprocess.Popen([PROGRAM, 'mcp', 'install', 'cursor'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={'PATH': os.environ['PATH'], 'HOME': h})
            while p.poll() is None and len(os.listdir(folder)) < 2:
                pass
            (folder / 'new').write_text('{"client": %d}' % turn)
            os.rename(folder / 'new', folder / 'mcp.json')
            out, err = p.communicate(timeout=HANG)
            same(json.loads((folder / 'mcp.json').read_text())['client'], turn, 'what the client wrote')
            seen += b'changed meanwhile' in err
            same(p.returncode, 125 if b'changed meanwhile' in err else 0, err)
            same([f for f in os.listdir(folder) if '.strongroom-' in f], [], 'left')
        if seen > 2:
            return
    raise AssertionError('it was never changed in time: this test tests nothing')


@test
def root_writes_for_whom_the_file_is():
    if os.getuid():
        raise Skip('only root has files of others')
    with home() as h:
        path = pathlib.Path(h) / '.cursor/mcp.json'
        path.parent.mkdir()
        path.write_text('{}')
        os.chown(path, 4242, 4243)
        same(install(h, 'cursor')[0], 0)
        same([(f.stat().st_uid, f.stat().st_gid) for f in path.parent.iterdir()], [(4242, 4243)] * 2)


@test
def links_variables_and_wrong_words():
    with home() as h:
        real = pathlib.Path(h) / 'dotfiles.json'
        real.write_text('{}')
        (pathlib.Path(h) / '.cursor').mkdir()
        link = pathlib.Path(h) / '.cursor/mcp.json'
        link.symlink_to(real)
        same(install(h, 'cursor')[0], 0)
        assert link.is_symlink() and 'strongroom' in real.read_text()
        same(install(h, 'codex', CODEX_HOME=h + '/other')[0], 0)
        assert (pathlib.Path(h) / 'other/config.toml').exists()
        for words, wanted in [(['emacs'], 'unknown client'), ([], 'no client'), (['cursor', '--memroy', '1'], 'unknown option'), (['cursor', '--json'], 'single run')]:
            status, out, err = strongroom('mcp', 'install', *words, home=h)
            assert status == 125 and wanted in err, (words, err)
        (pathlib.Path(h) / '.config').write_text('a file')
        same(install(h, 'zed')[0], 125)


# --- hook -------------------------------------------------------------------------------------------------------------

def hook(question, *words, h):
    feed = question if isinstance(question, bytes) else json.dumps(question).encode()
    return strongroom('hook', *words, home=h, feed=feed)


def bash(command, cwd, **more):
    return {'session_id': 's', 'hook_event_name': 'PreToolUse', 'tool_name': 'Bash', 'cwd': cwd,
            'tool_input': {'command': command, 'description': 'd', **more}}


@test
def a_hooked_command_runs_in_a_room():
    with home() as h, tempfile.TemporaryDirectory() as cwd:
        os.chmod(cwd, 0o777)
        command = 'echo "it\'s $((6*7))" > out.txt; cat out.txt; cat /etc/shadow; echo \'q\'; exit 3'
        status, out, err = hook(bash(command, cwd, timeout=5000), h=h)
        same(status, 0, err)
        answer = json.loads(out)['hookSpecificOutput']
        same((answer['hookEventName'], answer['permissionDecision']), ('PreToolUse', 'ask'))
        same((answer['updatedInput']['description'], answer['updatedInput']['timeout']), ('d', 5000))
        done = subprocess.run(['bash', '-c', answer['updatedInput']['command']], cwd=cwd, capture_output=True, text=True, timeout=HANG)
        same((done.stdout, done.returncode), ("it's 42\nq\n", 3), done.stderr)
        same((pathlib.Path(cwd) / 'out.txt').read_text(), "it's 42\n")
        status, out, err = hook(bash('touch x', cwd), '--folder', 'ro', '--approve', h=h)
        answer = json.loads(out)['hookSpecificOutput']
        same(answer['permissionDecision'], 'allow')
        done = subprocess.run(['bash', '-c', answer['updatedInput']['command']], cwd=cwd, capture_output=True, text=True, timeout=HANG)
        assert done.returncode != 0 and not (pathlib.Path(cwd) / 'x').exists(), done


@test
def a_command_that_looks_wrapped_is_wrapped():
    with home() as h, tempfile.TemporaryDirectory() as cwd:
        os.chmod(cwd, 0o755)
        inner = "%s run --rw / -- bash -c 'cat /etc/shadow'" % PROGRAM
        answer = json.loads(hook(bash(inner, cwd), h=h)[1])['hookSpecificOutput']
        done = subprocess.run(['bash', '-c', answer['updatedInput']['command']], capture_output=True, text=True, timeout=HANG)
        assert 'root:' not in done.stdout and done.returncode != 0, done


@test
def a_hooked_command_and_its_folder_are_words_not_shell():
    """Whatever they are called, nothing of them is run outside, and the folder is the one that is meant."""
    names = ["a b", "it's", '$(touch out)', 'x:/etc', 'x:ro', '-v', 'new\nline', '`id`', '\\', 'é\t"', '--', '{a,b}', '~', '*', '#', '\x1b[2J']
    commands = ['pwd', "echo 'a' \"b\" $((1+1))", 'cat <<E\n$(echo in)\nE', "'", '"', '-c', '--help', '; touch /tmp/%s', 'true & wait', '#', 'é\u2028', '\n\n']
    with tempfile.TemporaryDirectory() as top, home() as h:
        os.chmod(top, 0o777)
        for i, name in enumerate(names):
            cwd = pathlib.Path(top) / name
            cwd.mkdir(parents=True)
            cwd.chmod(0o777)
            word = os.urandom(6).hex()
            command = 'echo %s > made; pwd; %s' % (word, (commands[i % len(commands)] % word) if '%s' in commands[i % len(commands)] else commands[i % len(commands)])
            status, out, err = hook(bash(command, str(cwd)), h=h)
            same((status, out.count('\n')), (0, 1), (name, err))
            wrapped = json.loads(out)['hookSpecificOutput']['updatedInput']['command']
            done = subprocess.run(['bash', '-c', wrapped], cwd='/', capture_output=True, timeout=HANG)
            plain = subprocess.run(['bash', '-c', command.replace('> made', '> /dev/null').replace('/tmp/' + word, '/dev/null')], cwd=cwd, capture_output=True, timeout=HANG)
            same((done.returncode, done.stdout), (plain.returncode, plain.stdout), (name, command, done.stderr, plain.stderr))
            if plain.returncode == 0:
                same((cwd / 'made').read_text(), word + '\n', name)
            assert not os.path.exists('/tmp/' + word), 'it ran outside'
        same(sorted(os.listdir(top)), sorted(n.split('/')[0] for n in names), 'what lies beside the folders')


@test
def a_hook_that_cannot_tell_refuses():
    with home() as h, tempfile.TemporaryDirectory() as cwd:
        os.chmod(cwd, 0o755)
        for question in (b'', b'{', b'[]', {'tool_name': 'Bash'}, bash(5, cwd), bash('a\0b', cwd), bash('x', '/'), bash('x', h), bash('x', 'relative'),
                         bash('x', '/nonexistent'), bash('x', str(pathlib.Path(h).parent)), {}, {**bash('x', cwd), 'hook_event_name': 'PostToolUse'}):
            status, out, err = hook(question, h=h)
            assert status == 2 and out == '' and 'strongroom: ' in err, (question, status, out, err)
        status, out, err = hook(bash('x', cwd), '--memroy', '5', h=h)
        assert status == 2 and 'unknown option' in err, err
        same(hook(bash('x', '/'), '--folder', 'none', h=h)[0], 0)
        same(hook({'tool_name': 'Read', 'tool_input': {}}, h=h)[:2], (0, ''))


@test
def what_reads_the_question_of_a_hook_is_confined():
    with home() as h:
        p = subprocess.Popen([PROGRAM, 'hook'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env={**os.environ, 'HOME': h})
        end = time.monotonic() + HANG
        while True:
            below = pathlib.Path('/proc/%d/task/%d/children' % (p.pid, p.pid)).read_text().split()
            status = pathlib.Path('/proc/%s/status' % below[0]).read_text() if below else ''
            if 'Seccomp:\t2' in status and 'NoNewPrivs:\t1' in status and 'CapEff:\t' + '0' * 16 in status:
                break
            assert time.monotonic() < end, status
            time.sleep(0.01)
        os.kill(int(below[0]), 9)
        same((p.wait(HANG), b'ended by a signal' in p.stderr.read()), (2, True), 'a reader that was killed')
        p.stdin.close()
        p.stderr.close()

