"""rooms: sandboxes that live on between calls, and workspaces whose changes wait."""
import base64
import os
import pathlib
import tempfile

from tools import conforms
from wire import Server, gone, nap, same, test, there, within


def living(*options):
    s = Server(*options)
    r = s.tool('sandbox_create', timeout_seconds=60)
    conforms(s, 'sandbox_create', r)
    return s, r['sandbox_id']


def living_ids(s):
    return [x['sandbox_id'] for x in s.tool('sandbox_list')['sandboxes']]


@test
def a_sandbox_keeps_its_files_and_processes():
    s, id = living()
    r = s.tool('sandbox_exec', sandbox_id=id, command='echo 6 > n; (sleep 50 & ) ; pwd')
    conforms(s, 'sandbox_exec', r)
    same((r['stdout'], r['exit_code'], r['outcome']), ('/work\n', 0, 'exited'), r)
    same(s.tool('sandbox_exec', sandbox_id=id, command='expr $(cat n) \\* 7; echo e >&2; exit 5')['exit_code'], 5)
    same(s.tool('run_code', sandbox_id=id, code='print(int(open("n").read()) * 2)')['stdout'], '12\n')
    r = s.tool('sandbox_exec', sandbox_id=id, command='pwd; echo $A', cwd='/tmp', env={'A': 'b c'})
    same(r['stdout'], '/tmp\nb c\n')
    assert s.refused('sandbox_exec', sandbox_id=id, command='true', cwd='tmp').startswith('cwd tmp: not an absolute path')
    assert 'enter its working directory: No such file' in s.refused('sandbox_exec', sandbox_id=id, command='true', cwd='/no/such')
    same(s.tool('sandbox_exec', sandbox_id=id, command='exit 125')['exit_code'], 125)
    listed = s.tool('sandbox_list')
    conforms(s, 'sandbox_list', listed)
    same([x['sandbox_id'] for x in listed['sandboxes']], [id])
    assert 0 < listed['sandboxes'][0]['seconds_left'] <= 60, listed
    conforms(s, 'sandbox_kill', s.tool('sandbox_kill', sandbox_id=id))
    assert 'is gone' in s.refused('sandbox_exec', sandbox_id=id, command='true')
    same(s.tool('sandbox_list')['sandboxes'], [])
    s.close()


@test
def a_sandbox_may_be_closed_though_the_user_opened_the_network():
    s = Server('--allow', 'example.org')
    for more, wanted in (({}, '198\n'), ({'allow_internet': True}, '198\n'), ({'allow_internet': False}, '')):
        r = s.tool('sandbox_create', timeout_seconds=60, **more)
        got = s.tool('sandbox_exec', sandbox_id=r['sandbox_id'], command='getent ahostsv4 example.org | head -n 1 | cut -d. -f1')
        same(got['stdout'], wanted, str(more))
        s.tool('sandbox_kill', sandbox_id=r['sandbox_id'])
    s.close()


@test
def files_go_in_and_out():
    s, id = living()
    text = 'é\n' * 3000 + '$(id) \' " \\ end'
    conforms(s, 'sandbox_write_file', s.tool('sandbox_write_file', sandbox_id=id, path='a/b/c d.txt', content=text))
    whole, at = '', 0
    while True:
        part = s.tool('sandbox_read_file', sandbox_id=id, path='a/b/c d.txt', offset=at, limit=1001)
        conforms(s, 'sandbox_read_file', part)
        whole, at = whole + part['content'], part['next_offset']
        if part['at_end']:
            break
    same(whole, text)
    part = s.tool('sandbox_read_file', sandbox_id=id, path='/work/a/b/c d.txt', encoding='base64', limit=100)
    same(base64.b64decode(part['content']), text.encode()[:100])
    s.tool('sandbox_write_file', sandbox_id=id, path='-rf', content='')
    s.tool('sandbox_exec', sandbox_id=id, command='ln -s x l; touch "$(printf "new\\nline")"')
    r = s.tool('sandbox_list_files', sandbox_id=id, path='.')
    conforms(s, 'sandbox_list_files', r)
    same([(e['name'], e['type']) for e in r['entries']], [('-rf', 'file'), ('a', 'folder'), ('l', 'link'), ('new\nline', 'file')])
    same(s.tool('sandbox_list_files', sandbox_id=id, path='a/b')['entries'][0]['size'], len(text.encode()))
    for name, path in [('sandbox_read_file', '/nonexistent'), ('sandbox_read_file', '/work'), ('sandbox_list_files', '/nonexistent')]:
        assert path in s.refused(name, sandbox_id=id, path=path)
    assert s.refused('sandbox_write_file', sandbox_id=id, path='/usr/x', content='')
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def a_handle_is_needed_and_outlives_the_connection():
    s, id = living()
    s.tool('sandbox_exec', sandbox_id=id, command='echo kept > k')
    s.close()
    s = Server()
    same(s.tool('sandbox_list')['sandboxes'], [])
    same(s.tool('sandbox_exec', sandbox_id=id, command='cat k')['stdout'], 'kept\n')
    s.tool('sandbox_kill', sandbox_id=id)
    for wrong in ('demo', '--help', 'sbx-1', 'sbx-' + 'g' * 32, '../x'):
        for tool, more in [('sandbox_exec', {'command': 'true'}), ('sandbox_kill', {}), ('sandbox_renew', {'timeout_seconds': 5}), ('sandbox_read_file', {'path': 'x'})]:
            assert 'sandbox_create' in s.refused(tool, sandbox_id=wrong, **more)
    assert 'is gone' in s.refused('sandbox_exec', sandbox_id='sbx-' + '0' * 32, command='true')
    s.close()


@test
def a_lifetime_ends_and_can_be_renewed():
    s, id = living('--timeout', '60s')
    other = s.tool('sandbox_create', timeout_seconds=2)['sandbox_id']
    same(s.tool('sandbox_renew', sandbox_id=other, timeout_seconds=1)['lifetime_seconds'], 1)
    within(3, lambda: other in living_ids(s), 'a sandbox whose time is over')
    assert 'is gone' in s.refused('sandbox_exec', sandbox_id=other, command='true')
    assert '60' in s.refused('sandbox_create', timeout_seconds=61)
    assert '60' in s.refused('sandbox_renew', sandbox_id=id, timeout_seconds=61)
    r = s.tool('sandbox_exec', sandbox_id=id, command='echo a; sleep ' + nap('77.7'), timeout_seconds=1)
    same((r['timed_out'], r['stdout'], r['exit_code']), (True, 'a\n', 124))
    gone('sleep\x00' + nap('77.7'))
    call = s.start('sandbox_exec', sandbox_id=id, command='sleep ' + nap('88.8'))
    there('sleep\x00' + nap('88.8'))
    s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': call}})
    gone('sleep\x00' + nap('88.8'))
    same(s.tool('sandbox_exec', sandbox_id=id, command='echo b')['stdout'], 'b\n')
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def only_so_many_live():
    s, id = living()
    ids = [id] + [s.tool('sandbox_create', timeout_seconds=30)['sandbox_id'] for _ in range(15)]
    assert 'sandbox_kill' in s.refused('sandbox_create')
    for one in ids:
        s.tool('sandbox_kill', sandbox_id=one)
    s.close()


@test
def those_whose_time_was_over_take_no_place():
    s = Server()
    calls = [s.start('sandbox_create', timeout_seconds=4) for _ in range(16)]
    ids = [s.answer(c)['result']['structuredContent']['sandbox_id'] for c in calls]
    assert 'sandbox_kill' in s.refused('sandbox_create')
    s.tool('sandbox_renew', sandbox_id=ids[3], timeout_seconds=30)
    within(6, lambda: len(living_ids(s)) > 1, 'sandboxes whose time is over')
    same(living_ids(s), [ids[3]])
    def uris():
        return [r['uri'] for r in s.ask('resources/list')['result']['resources'] if 'sbx-' in r['uri']]
    within(3, lambda: len(uris()) > 1, 'resources of those')
    same(uris(), ['sandbox://%s/work/' % ids[3]])
    new = s.tool('sandbox_create', timeout_seconds=30)['sandbox_id']
    same({x['sandbox_id'] for x in s.tool('sandbox_list')['sandboxes']}, {ids[3], new})
    for one in (ids[3], new):
        s.tool('sandbox_kill', sandbox_id=one)
    s.close()


@test
def a_cancelled_command_leaves_nothing():
    """Not even what its own end, at the first request, would have left."""
    s, id = living()
    for _ in range(3):
        calls = [s.start('sandbox_exec', sandbox_id=id, command='sleep {0} & setsid sleep {0} & wait'.format(nap('66.6'))) for _ in range(4)]
        there('sleep\x00' + nap('66.6'), 8)
        for call in calls:
            s.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': call}})
        gone('sleep\x00' + nap('66.6'))
    s.quiet(0.1)
    call = s.start('sandbox_exec', sandbox_id=id, command='trap "" TERM; setsid sleep %s & while :; do sleep 0.1; done' % nap('66.8'))
    there('sleep\x00' + nap('66.8'))
    os.kill(s.p.pid, 9)  # what starts it is killed
    gone('sleep\x00' + nap('66.8'))
    s.kill()
    s = Server()
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def errors_speak_of_tools_not_of_command_lines():
    s, id = living('-m', '96M')
    s.tool('sandbox_write_file', sandbox_id=id, path='d/f', content='x')
    for name, more, wanted in [
            ('sandbox_process_kill', {'process_id': 77}, 'sandbox_list_processes'), ('sandbox_process_output', {'process_id': 77}, 'sandbox_list_processes'),
            ('sandbox_process_input', {'process_id': 77, 'text': ''}, 'sandbox_list_processes'), ('sandbox_exec', {'command': 'true', 'cwd': 'x'}, 'absolute'),
            ('sandbox_read_file', {'path': 'd'}, 'sandbox_list_files'), ('sandbox_list_files', {'path': 'd/f'}, 'd/f: Not a directory'),
            ('sandbox_list_files', {'path': 'd/g'}, 'd/g: No such file'), ('sandbox_write_file', {'path': '/etc/x', 'content': ''}, '/etc/x: ')]:
        text = s.refused(name, sandbox_id=id, **more)
        assert wanted in text and 'strongroom' not in text and 'line 1' not in text and text == text.strip(), (name, text)
    for r in (s.tool('run_code', sandbox_id=id, code='bytearray(400 << 20)'), s.tool('sandbox_exec', sandbox_id=id, command='python3 -c "bytearray(400 << 20)"')):
        assert r['exit_code'] != 137 or 'memory' in r['message'], r  # where no cgroup bounds it, python is told
        assert r['exit_code'] != 0, r
    part = s.tool('sandbox_read_file', sandbox_id=id, path='/proc/cpuinfo', limit=64)
    same((part['bytes'], part['at_end']), (64, False), 'a part of a file without a size')
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


# --- workspaces -------------------------------------------------------------------------------------------------------

def workspace(*options):
    d = tempfile.mkdtemp()
    os.chmod(d, 0o777)
    (pathlib.Path(d) / 'f').write_text('old\n')
    return d, Server('-w', d, *options, env={**os.environ, 'XDG_STATE_HOME': d + '.state', 'HOME': d + '.state'})


@test
def changes_wait_for_a_person():
    d, s = workspace()
    r = s.tool('run_code', language='bash', code='cd %s; echo new > f; echo g > g' % d)
    conforms(s, 'run_code', r)
    change = r['changes'][0]
    same((change['modified'], change['added'], change['deleted']), (1, 1, 0))
    review = s.tool('workspace_review', change_id=change['change_id'])
    conforms(s, 'workspace_review', review)
    assert '+new' in review['review'] and '-old' in review['review'], review
    applied = s.tool('workspace_apply', change_id=change['change_id'])
    conforms(s, 'workspace_apply', applied)
    assert applied['applied'] is False and 'strongroom apply ' + change['change_id'] in applied['message'], applied
    same((pathlib.Path(d) / 'f').read_text(), 'old\n')
    s.close()


@test
def an_agent_that_may_applies_what_is_clean():
    d, s = workspace('--let-apply')
    change = s.tool('run_code', language='bash', code='cd %s; echo new > f; echo g > g' % d)['changes'][0]['change_id']
    applied = s.tool('workspace_apply', change_id=change, paths=['g'])
    assert applied['applied'] is True, applied
    same((pathlib.Path(d) / 'f').read_text(), 'old\n')
    same((pathlib.Path(d) / 'g').read_text(), 'g\n')
    change = s.tool('run_code', language='bash', code='cd %s; mkdir -p .git/hooks; echo "id" > .git/hooks/post-commit; chmod +x .git/hooks/post-commit' % d)['changes'][0]
    if change['alarms']:
        assert s.refused('workspace_apply', change_id=change['change_id'])
        assert not (pathlib.Path(d) / '.git').exists()
    s.close()


@test
def changes_of_others_are_out_of_reach():
    d, s = workspace('--let-apply')
    mine = s.tool('run_code', language='bash', code='echo x > %s/x' % d)['changes'][0]['change_id']
    t = Server('--let-apply', env={**os.environ, 'XDG_STATE_HOME': d + '.state', 'HOME': d + '.state'})
    for tool in ('workspace_review', 'workspace_apply'):
        for id in (mine, '--help', '', 'x'):
            said = t.refused(tool, change_id=id)
            assert 'no change of this server' in said or 'change_id' in said, said
    t.close()
    s.close()
