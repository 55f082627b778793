"""processes: programs that an agent starts in the background of a sandbox."""
import base64
import os

from rooms import living
from tools import INJECTIONS, conforms
from wire import Server, gone, nap, processes_with, same, test, there, within


def until(fn, seconds=5):
    within(seconds, lambda: not fn(), 'it does not come')


def output(s, id, process, **more):
    r = s.tool('sandbox_process_output', sandbox_id=id, process_id=process, **more)
    conforms(s, 'sandbox_process_output', r)
    return r


@test
def a_process_goes_on_and_is_read_from():
    s, id = living()
    r = s.tool('sandbox_start_process', sandbox_id=id, command='# my server\npwd; echo "$A"; echo e >&2\nread x; echo "got $x"; sleep ' + nap('93.1'), cwd='/tmp', env={'A': 'b c'})
    conforms(s, 'sandbox_start_process', r)
    p = r['process_id']
    until(lambda: output(s, id, p)['size'] == 9)
    r = output(s, id, p)
    same((r['content'], r['offset'], r['next_offset'], r['at_end'], r['running'], r['lost_bytes']), ('/tmp\nb c\n', 0, 9, True, True, 0))
    same(output(s, id, p, stream='stderr')['content'], 'e\n')
    r = s.tool('sandbox_process_input', sandbox_id=id, process_id=p, text='six\n')
    conforms(s, 'sandbox_process_input', r)
    same((r['bytes'], r['closed']), (4, False))
    until(lambda: output(s, id, p, offset=9)['content'] == 'got six\n')
    listed = s.tool('sandbox_list_processes', sandbox_id=id)
    conforms(s, 'sandbox_list_processes', listed)
    same([(x['process_id'], x['command'], x['running'], x['stdout_bytes']) for x in listed['processes']], [(p, '# my server', True, 17)])
    s.close()
    s = Server()  # the process is the sandbox's, not the connection's
    same(output(s, id, p)['running'], True)
    there('sleep\x00' + nap('93.1'))
    r = s.tool('sandbox_process_kill', sandbox_id=id, process_id=p)
    conforms(s, 'sandbox_process_kill', r)
    gone('sleep\x00' + nap('93.1'))
    until(lambda: not output(s, id, p)['running'])
    same(output(s, id, p)['exit_code'], 137)
    same(s.tool('sandbox_list_processes', sandbox_id=id)['processes'][0]['exit_code'], 137)
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def input_ends_and_signals_arrive():
    s, id = living()
    p = s.tool('sandbox_start_process', sandbox_id=id, command='cat; echo end')['process_id']
    same(s.tool('sandbox_process_input', sandbox_id=id, process_id=p, text='é\x00\n', close=True)['closed'], True)
    until(lambda: not output(s, id, p)['running'])
    r = output(s, id, p, encoding='base64')
    same((base64.b64decode(r['content']), r['exit_code']), ('é\0\nend\n'.encode(), 0))
    assert 'it has ended' in s.refused('sandbox_process_input', sandbox_id=id, process_id=p, text='x')
    p = s.tool('sandbox_start_process', sandbox_id=id, command='trap "echo term; exit 5" TERM; echo up; while :; do sleep 0.05; done')['process_id']
    until(lambda: output(s, id, p)['content'] == 'up\n')
    s.tool('sandbox_process_kill', sandbox_id=id, process_id=p, signal='TERM')
    until(lambda: not output(s, id, p)['running'])
    same((output(s, id, p)['content'], output(s, id, p)['exit_code']), ('up\nterm\n', 5))
    assert 'no such program' in s.refused('sandbox_process_output', sandbox_id=id, process_id=77)
    assert 'sandbox_create' in s.refused('sandbox_start_process', sandbox_id='--help', command='true')
    assert 'zero byte' in s.refused('sandbox_start_process', sandbox_id=id, command='a\0b')
    assert 'process_id' in s.refused('sandbox_process_kill', sandbox_id=id, process_id=0)
    s.tool('sandbox_kill', sandbox_id=id)
    assert 'is gone' in s.refused('sandbox_list_processes', sandbox_id=id)
    s.close()


@test
def long_output_is_bounded_counted_and_read_on():
    s, id = living()
    p = s.tool('sandbox_start_process', sandbox_id=id, command='seq -f %09g 1 200000; printf "é€𝄞%.0s" $(seq 2000)')['process_id']
    until(lambda: not output(s, id, p, limit=16)['running'], 20)
    whole = b''.join(b'%09d\n' % i for i in range(1, 200001)) + 'é€𝄞'.encode() * 2000
    r = output(s, id, p, limit=1000)
    same((r['size'], r['lost_bytes'], r['offset']), (len(whole), len(whole) - (1 << 20), len(whole) - (1 << 20)))
    text, at = '', r['offset']
    while True:
        r = output(s, id, p, offset=at, limit=1007 if at > 1960000 else 40009)
        same((r['lost_bytes'], r['offset']), (0, at))
        text, at = text + r['content'], r['next_offset']
        if r['at_end']:
            break
    same(text, whole[-(1 << 20):].decode())
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def commands_stand_on_no_command_line_and_output_is_only_text():
    s, id = living()
    before = len(s.raw)
    p = s.tool('sandbox_start_process', sandbox_id=id, command=': 7d1c9e; sleep 0.7')['process_id']
    same(processes_with('7d1c9e'), [])
    for text in INJECTIONS:
        p = s.tool('sandbox_start_process', sandbox_id=id, command='printf "%%b" "%s"; exit 0 # %s' % (''.join('\\0%03o' % b for b in text.encode('utf-8', 'surrogatepass')), text.split('\n')[0].replace('\0', '')))['process_id']
        until(lambda: not output(s, id, p)['running'])
        same(output(s, id, p)['size'], len(text.encode()))
        s.tool('sandbox_list_processes', sandbox_id=id)
    for line in s.raw[before:]:
        assert all(32 <= b < 127 for b in line[:-1]), line
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()


@test
def only_so_many_run():
    s, id = living()
    for _ in range(16):
        p = s.tool('sandbox_start_process', sandbox_id=id, command='sleep 50')['process_id']
    assert 'too many' in s.refused('sandbox_start_process', sandbox_id=id, command='true')
    s.tool('sandbox_process_kill', sandbox_id=id, process_id=p)
    until(lambda: not output(s, id, p)['running'])
    s.tool('sandbox_start_process', sandbox_id=id, command='true')
    s.tool('sandbox_kill', sandbox_id=id)
    s.close()
