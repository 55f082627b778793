"""install: what is written into clients' configurations, and the hook around an agent's own commands."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import tomllib

from wire import PROGRAM, same, test

FILES = {
    'claude': ('.config/Claude/claude_desktop_config.json', 'mcpServers', {}),
    'claude-code': ('.claude.json', 'mcpServers', {'type': 'stdio'}),
    'cursor': ('.cursor/mcp.json', 'mcpServers', {}),
    'vscode': ('.config/Code/User/mcp.json', 'servers', {'type': 'stdio'}),
    'zed': ('.config/zed/settings.json', 'context_servers', {'source': 'custom'}),
    'codex': ('.codex/config.toml', 'mcp_servers', {}),
}


def strongroom(*words, home, feed=b'', **env):
    done = subprocess.run([PROGRAM, *words], input=feed, capture_output=True, timeout=20,
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
        done = subprocess.run(['bash', '-c', answer['updatedInput']['command']], cwd=cwd, capture_output=True, text=True, timeout=20)
        same((done.stdout, done.returncode), ("it's 42\nq\n", 3), done.stderr)
        same((pathlib.Path(cwd) / 'out.txt').read_text(), "it's 42\n")
        status, out, err = hook(bash('touch x', cwd), '--folder', 'ro', '--approve', h=h)
        answer = json.loads(out)['hookSpecificOutput']
        same(answer['permissionDecision'], 'allow')
        done = subprocess.run(['bash', '-c', answer['updatedInput']['command']], cwd=cwd, capture_output=True, text=True, timeout=20)
        assert done.returncode != 0 and not (pathlib.Path(cwd) / 'x').exists(), done


@test
def a_command_that_looks_wrapped_is_wrapped():
    with home() as h, tempfile.TemporaryDirectory() as cwd:
        os.chmod(cwd, 0o755)
        inner = "%s run --rw / -- bash -c 'cat /etc/shadow'" % PROGRAM
        answer = json.loads(hook(bash(inner, cwd), h=h)[1])['hookSpecificOutput']
        done = subprocess.run(['bash', '-c', answer['updatedInput']['command']], capture_output=True, text=True, timeout=20)
        assert 'root:' not in done.stdout and done.returncode != 0, done


@test
def a_hook_that_cannot_tell_refuses():
    with home() as h, tempfile.TemporaryDirectory() as cwd:
        os.chmod(cwd, 0o755)
        for question in (b'', b'{', b'[]', {'tool_name': 'Bash'}, bash(5, cwd), bash('a\0b', cwd), bash('x', '/'), bash('x', h), bash('x', 'relative'),
                         bash('x', '/nonexistent'), bash('x', str(pathlib.Path(h).parent)), {}):
            status, out, err = hook(question, h=h)
            assert status == 2 and out == '' and 'strongroom: ' in err, (question, status, out, err)
        status, out, err = hook(bash('x', cwd), '--memroy', '5', h=h)
        assert status == 2 and 'unknown option' in err, err
        same(hook(bash('x', '/'), '--folder', 'none', h=h)[0], 0)
        same(hook({'tool_name': 'Read', 'tool_input': {}}, h=h)[:2], (0, ''))
