#!/usr/bin/env node
// Worker threads with shared memory, child processes, a cluster, an HTTP server that is fetched from, streams, watching.
// needs: node
// room: -m 1G --cpus 2
'use strict';
const {Worker, isMainThread, workerData, parentPort} = require('worker_threads');
const assert = require('assert');
const child = require('child_process');
const cluster = require('cluster');
const crypto = require('crypto');
const dns = require('dns');
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const stream = require('stream/promises');
const zlib = require('zlib');

if (!isMainThread) {
  const cells = new Int32Array(workerData);
  for (let i = 0; i < 1000; i++) Atomics.add(cells, 0, 1);
  parentPort.postMessage('done');
} else if (cluster.isWorker) {
  http.createServer((q, a) => a.end('cluster')).listen(Number(process.env.PORT), '127.0.0.1');
} else if (process.argv[2] === 'forked') {
  process.on('message', (m) => process.send(m + 1, () => process.disconnect()));
} else {
  main().then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
}

async function threads() {
  const memory = new SharedArrayBuffer(8);
  await Promise.all([1, 2, 3].map(() => new Promise((yes, no) => {
    new Worker(__filename, {workerData: memory}).on('error', no).on('exit', yes);
  })));
  console.log('threads', new Int32Array(memory)[0]);
}

async function children() {
  console.log('exec', child.execSync('echo $((6 * 7)) | cat').toString().trim());
  console.log('status', child.spawnSync('sh', ['-c', 'kill -TERM $$']).signal);
  const one = child.fork(__filename, ['forked']);
  one.send(41);
  console.log('fork', await new Promise((yes) => one.once('message', yes)));
  const many = await Promise.all(Array.from({length: 8}, (_, i) => new Promise((yes, no) =>
    child.execFile('printf', ['%s', String(i)], (e, out) => e ? no(e) : yes(out)))));
  console.log('many', many.join(''));
}

async function web() {
  const server = http.createServer((q, a) => q.pipe(zlib.createGzip()).pipe(a.writeHead(200, {'content-encoding': 'gzip'})));
  await new Promise((yes) => server.listen(0, yes));
  const port = server.address().port;
  for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
    const answer = await fetch(`http://${host}:${port}/`, {method: 'POST', body: 'x'.repeat(100000)});
    console.log('fetch', host, answer.status, (await answer.text()).length);
  }
  server.close();
  server.closeAllConnections();
  console.log('lookup', (await dns.promises.lookup('localhost', 4)).address);
  await assert.rejects(fetch('http://192.0.2.1/', {signal: AbortSignal.timeout(5000)}));
}

async function clustered() {
  const probe = http.createServer().listen(0, '127.0.0.1');
  await new Promise((yes) => probe.once('listening', yes));
  const port = probe.address().port;
  await new Promise((yes) => probe.close(yes));
  cluster.fork({PORT: port});
  cluster.fork({PORT: port});
  let up = 0;
  await new Promise((yes) => cluster.on('listening', () => ++up === 2 && yes()));
  console.log(await (await fetch(`http://127.0.0.1:${port}/`)).text(), up);
  for (const worker of Object.values(cluster.workers)) worker.kill();
}

async function files() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'n'));
  const seen = new Promise((yes) => fs.watch(folder, (event, name) => yes(name)));
  fs.writeFileSync(path.join(folder, 'a'), crypto.createHash('sha256').update('a').digest('hex'));
  console.log('watched', await seen);
  await stream.pipeline(fs.createReadStream(path.join(folder, 'a')), zlib.createBrotliCompress(),
    fs.createWriteStream(path.join(folder, 'b')));
  console.log('brotli', zlib.brotliDecompressSync(fs.readFileSync(path.join(folder, 'b'))).length);
  await fs.promises.rm(folder, {recursive: true});
  console.log('cpus', os.cpus().length > 0, os.totalmem() > 0, os.userInfo().uid === process.getuid());
}

async function main() {
  await threads();
  await children();
  await web();
  await clustered();
  await files();
  const {publicKey} = crypto.generateKeyPairSync('ec', {namedCurve: 'P-256'});
  console.log('key', publicKey.asymmetricKeyType, await (await import('node:timers/promises')).setTimeout(5, 'timer'));
}
