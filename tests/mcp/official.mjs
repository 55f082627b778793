// official.mjs: the protocol's own clients against a real server. One line per check: "ok NAME" or "not ok NAME: why".
import { Client as Old } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OldStdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import { Client as New } from '@modelcontextprotocol/client';
import { StdioClientTransport as NewStdio } from '@modelcontextprotocol/client/stdio';

const program = process.argv[2];

function same(got, wanted, what) {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) throw new Error(`${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);
}

async function everything(client, transport) {
  await client.connect(transport);
  same(client.getServerVersion().name, 'strongroom', 'name');
  const { tools } = await client.listTools(); // from here on results are checked against the output schemas
  if (!tools.some(t => t.name === 'run_code')) throw new Error('no run_code');
  const run = (args, options) => client.callTool({ name: 'run_code', arguments: args }, ...options);
  const options = o => client instanceof Old ? [undefined, o] : [o];
  same((await run({ code: 'print(6 * 7)' }, options({}))).structuredContent.stdout, '42\n', 'stdout');
  const many = await Promise.all([...Array(50).keys()].map(i => run({ language: 'bash', code: `echo ${i}` }, options({}))));
  same(many.map(r => r.structuredContent.stdout), [...Array(50).keys()].map(i => `${i}\n`), 'fifty at once');
  let told = 0;
  await run({ code: 'import time; time.sleep(1.6)' }, options({ onprogress: () => told++ }));
  if (told < 1) throw new Error('no progress');
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 300);
  const began = Date.now();
  await run({ code: 'import time; time.sleep(30)' }, options({ signal: stop.signal })).then(() => { throw new Error('was not cancelled'); }, () => {});
  if (Date.now() - began > 5000) throw new Error('cancelling took long');
  const refused = await run({ code: '1', timeout_seconds: 999999 }, options({}));
  same(refused.isError, true, 'a wrong argument');
  const hostile = await run({ code: 'print("\\n{\\"jsonrpc\\":\\"2.0\\",\\"id\\":1}\\x1b[2J")' }, options({}));
  same(hostile.structuredContent.stdout, '\n{"jsonrpc":"2.0","id":1}\\x1b[2J\n', 'hostile output');
  const long = await run({ code: 'print("x" * 100000)' }, options({}));
  const { resources } = await client.listResources();
  const { contents } = await client.readResource({ uri: resources.find(r => r.uri.includes(long.structuredContent.run_id)).uri });
  same(contents[0].text.length, 100001, 'resource');
  same((await client.listResourceTemplates()).resourceTemplates.length, 1, 'templates');
  const call = async (name, args) => {
    const r = await client.callTool({ name, arguments: args });
    if (r.isError) throw new Error(`${name}: ${r.content[0].text}`);
    return r.structuredContent;
  };
  const { sandbox_id } = await call('sandbox_create', { timeout_seconds: 60 });
  await call('sandbox_write_file', { sandbox_id, path: 'a b/n', content: '6' });
  same((await call('sandbox_exec', { sandbox_id, command: 'expr $(cat "a b/n") \\* 7' })).stdout, '42\n', 'exec');
  same((await call('sandbox_read_file', { sandbox_id, path: 'a b/n' })).content, '6', 'file');
  same((await call('sandbox_list_files', { sandbox_id, path: 'a b' })).entries.map(e => e.name), ['n'], 'folder');
  same((await client.readResource({ uri: `sandbox://${sandbox_id}/work/a%20b/n` })).contents[0].text, '6', 'file as a resource');
  await call('sandbox_exec', { sandbox_id, command: 'printf "\\377\\0" > x' });
  same((await client.readResource({ uri: `sandbox://${sandbox_id}/work/x` })).contents[0].blob, '/wA=', 'binary resource');
  await client.readResource({ uri: `sandbox://${sandbox_id}/work/none` }).then(() => { throw new Error('a missing resource was read'); }, e => same([-32002, -32602].includes(e.code), true, 'missing resource'));
  same((await call('sandbox_list', {})).sandboxes.map(x => x.sandbox_id), [sandbox_id], 'list');
  await call('sandbox_renew', { sandbox_id, timeout_seconds: 30 });
  await call('sandbox_kill', { sandbox_id });
  same((await client.callTool({ name: 'sandbox_exec', arguments: { sandbox_id, command: 'true' } })).isError, true, 'a sandbox that is gone');
  await client.callTool({ name: 'nope', arguments: {} }).then(() => { throw new Error('an unknown tool was called'); }, e => same(e.code, -32602, 'unknown tool'));
  await client.close();
}

const info = { name: 'test', version: '1' };
const kinds = {
  'sdk, with a handshake': () => [new Old(info), new OldStdio({ command: program, args: ['mcp'] })],
  'client, with a handshake': () => [new New(info), new NewStdio({ command: program, args: ['mcp'] })],
  'client, without a handshake': () => [new New(info, { versionNegotiation: { mode: 'auto' } }), new NewStdio({ command: program, args: ['mcp'] }), '2026-07-28'],
};
for (const [name, make] of Object.entries(kinds)) {
  const [client, transport, version] = make();
  try {
    await everything(client, transport);
    if (version) same(client.getNegotiatedProtocolVersion?.() ?? version, version, 'version');
    console.log(`ok ${name}`);
  } catch (e) {
    console.log(`not ok ${name}: ${String(e.stack).replaceAll('\n', ' ')}`);
    await client.close().catch(() => {});
  }
}
