// Runs cells of JavaScript (and TypeScript, where node can strip types) that come in on descriptor 3; cells.h says how
// they look. A worker reads and writes the descriptor, so that a cell which never ends can be ended from there; cells run
// in the main thread, in V8's own mode for consoles: top-level await, and declarations that may be made again.
// With "once" (and "t" for TypeScript) as its words: one program, main.js, that is all that comes in on descriptor 0, a socket; its
// values go back there, as frames of values only, and what it started goes on until it ends by itself, as with node.
// Lives in: a room, as one of its programs, with no right that others lack.
'use strict';
{
const { Worker } = require('worker_threads');
const [once, kind] = process.argv.slice(1);
const fs = require('fs'), inspector = require('inspector'), util = require('util'), path = require('path'), module_ = require('module');
const VALUE_MAX = 4 << 20, TEXT_MAX = 64 << 10, ERROR_MAX = 4000;
const PNG = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);

// The number of the cell that runs and of the one that is to be interrupted, each with one added; 0 for none.
const RUNS = 0, UNWANTED = 1, numbers = new Int32Array(new SharedArrayBuffer(8));
const numberOf = (hex) => parseInt(hex, 16) + 1 | 0;

// What the cell started is sent SIGINT; most that wait for it then end by themselves. The others are ended a moment later,
// for V8 ends the process when it is to end an evaluation that has just come to its end.
const worker = once ? null : new Worker(`
const { parentPort, workerData: numbers } = require('worker_threads'), inspector = require('inspector'), net = require('net');
const socket = new net.Socket({ fd: 3, readable: true, writable: true });
let had = Buffer.alloc(0), head = null;
const write = (kind, number, data) => {
    socket.write(kind + ' ' + number + ' ' + data.length.toString(16).padStart(8, '0') + '\\n');
    socket.write(data);
};
const interrupt = (number) => {
    if (Atomics.load(numbers, ${RUNS}) !== number) return;
    const session = new inspector.Session();
    session.connectToMainThread();
    session.post('Runtime.terminateExecution', () => session.disconnect());
};
socket.on('data', (more) => {
    had = Buffer.concat([had, more]);
    for (;;) {
        if (!head) {
            if (had.length < 22) return;
            const words = had.subarray(0, 21).toString('latin1').split(' ');
            had = had.subarray(22);
            if (words[0] === '__i') {
                const number = parseInt(words[1], 16) + 1 | 0;
                Atomics.store(numbers, ${UNWANTED}, number);
                parentPort.postMessage({ interrupt: words[1] });
                setTimeout(interrupt, 100, number);
                continue;
            }
            head = { kind: words[0], number: words[1], size: parseInt(words[2], 16) };
            write('G', head.number, Buffer.alloc(0));
        }
        if (had.length < head.size) return;
        parentPort.postMessage({ kind: head.kind, number: head.number, code: had.subarray(0, head.size).toString('utf8') });
        had = had.subarray(head.size);
        head = null;
    }
});
for (const end of ['end', 'error']) socket.on(end, () => process.kill(process.pid, 'SIGKILL')); // nobody asks any more
parentPort.on('message', (m) => write(m.kind, m.number, Buffer.from(m.data)));
`, { workerData: numbers, eval: true, stdout: false, stderr: false });

const session = new inspector.Session();
session.connect();
process.on('exit', () => session.disconnect());
if (!once) process.on('SIGINT', () => {}); // for what the cell started; the worker ends the cell itself
const post = (method, params) => new Promise((done) => session.post(method, params, (e, r) => done(e ? null : r)));
let number = '', stop = null, told = false;

const writeNow = (data) => { for (let at = 0; at < data.length;) at += fs.writeSync(0, data, at); };
const write = (kind, data) => once ? writeNow(Buffer.concat([Buffer.from(kind + ' 00000000 ' + data.length.toString(16).padStart(8, '0') + '\n'), data]))
    : worker.postMessage({ kind, number, data });
const send = (mime, data) => {
    data = Buffer.from(data);
    if (data.length > VALUE_MAX - 128) write('O', Buffer.from(mime + '\n' + data.length));
    else write('V', Buffer.concat([Buffer.from(mime + '\n'), data]));
};
const shortened = (text) => text.length <= TEXT_MAX ? text
    : text.slice(0, TEXT_MAX) + '\n[... ' + (text.length - TEXT_MAX) + ' characters left out ...]';
const isPlain = (v) => v === null || ['number', 'string', 'boolean'].includes(typeof v) || Array.isArray(v) ||
    (typeof v === 'object' && [Object.prototype, null].includes(Object.getPrototypeOf(v)));

const show = (value) => {
    if (value instanceof Uint8Array && PNG.equals(value.subarray(0, 8))) {
        send('text/plain', '<PNG of ' + value.length + ' bytes>');
        send('image/png', value);
        return;
    }
    send('text/plain', shortened(util.inspect(value, { maxArrayLength: 1000 })));
    if (!isPlain(value)) return;
    try {
        const text = JSON.stringify(value);
        if (text !== undefined && text.length <= TEXT_MAX) send('application/json', text);
    } catch {} // cycles, big integers
};

// A cell may import, which a script may not: such words are replaced where node's own parser finds them.
const acorn = (() => { try { return require('internal/deps/acorn/acorn/dist/acorn'); } catch { return null; } })();
const importOf = (d, source) => {
    const from = 'await __import(' + source + ')';
    const whole = d.specifiers.find((s) => s.type === 'ImportNamespaceSpecifier');
    const names = d.specifiers.filter((s) => s !== whole).map((s) =>
        (s.type === 'ImportDefaultSpecifier' ? 'default' : s.imported.name ?? JSON.stringify(s.imported.value)) + ': ' + s.local.name);
    if (!d.specifiers.length) return from + ';';
    if (!whole) return 'const {' + names.join(', ') + '} = ' + from + ';';
    return 'const ' + whole.local.name + ' = ' + from + ';' + (names.length ? ' const {' + names.join(', ') + '} = ' + whole.local.name + ';' : '');
};
const withImports = (code) => {
    if (!acorn || !/\b(im|ex)port\b/.test(code)) return code;
    const edits = [];
    let tree;
    try {
        tree = acorn.parse(code, { ecmaVersion: 'latest', sourceType: 'module', allowAwaitOutsideFunction: true });
    } catch {
        return code; // what is wrong with it, V8 says better
    }
    const lines = (n) => '\n'.repeat(code.slice(n.start, n.end).split('\n').length - 1);
    const todo = [tree];
    while (todo.length) {
        const n = todo.pop();
        if (n.type === 'ImportDeclaration') edits.push([n.start, n.end, importOf(n, n.source.raw) + lines(n)]);
        if (/^Export(Named|Default)Declaration$/.test(n.type) && !n.source) // nobody imports it, but it is declared
            edits.push(n.declaration ? [n.start, n.declaration.start, ''] : [n.start, n.end, lines(n)]);
        if (n.type === 'ImportExpression') edits.push([n.start, n.start + 6, '__import']);
        for (const v of Object.values(n))
            for (const c of Array.isArray(v) ? v : [v]) if (c && typeof c.type === 'string') todo.push(c);
    }
    for (const [from, to, text] of edits.sort((a, b) => b[0] - a[0])) code = code.slice(0, from) + text + code.slice(to);
    return code;
};

// Where node itself looks, and where Debian and npm -g put it.
const COMPILERS = ['', '/usr/share/nodejs/', '/usr/lib/node_modules/', '/usr/local/lib/node_modules/'].map((d) => d + 'typescript');

// A compiler leaves lines out; with empty ones in their places, tracebacks name the lines that were written. `mappings` is as
// the source map specification (revision 3) has it: groups of digits to the base of 32, the third of a group counts lines.
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const onTheirLines = (text, mappings) => {
    const groups = mappings.split(';');
    let source = 0, at = 0;
    return text.split('\n').map((line, i) => {
        let first;
        for (const group of (groups[i] || '').split(',')) {
            const numbers = [];
            for (let n = 0, shift = 0, k = 0; k < group.length; k++) {
                const digit = DIGITS.indexOf(group[k]);
                n |= (digit & 31) << shift;
                shift += 5;
                if (digit & 32) continue;
                numbers.push(n & 1 ? -(n >> 1) : n >> 1);
                n = shift = 0;
            }
            if (numbers.length < 4) continue;
            source += numbers[2];
            first ??= source;
        }
        const missing = '\n'.repeat(Math.max(0, (first ?? at) - at));
        at += missing.length + 1;
        return missing + line;
    }).join('\n');
};

const stripTypes = (code) => {
    if (module_.stripTypeScriptTypes) {
        process.removeAllListeners('warning');
        return module_.stripTypeScriptTypes(code);
    }
    const place = COMPILERS.find((name) => {
        try {
            return require.resolve(name);
        } catch (e) {
            if (e.code !== 'MODULE_NOT_FOUND') throw e;
            return false;
        }
    });
    if (!place)
        throw new Error('typescript needs node 22.13 or later, or the typescript package, where node finds it in the room; ' +
            'this is node ' + process.version + '. Plain javascript works.');
    const made = require(place).transpileModule(code, { compilerOptions: { target: 'es2022', module: 'esnext', sourceMap: true } });
    return onTheirLines(made.outputText.replace(/\n\/\/# sourceMappingURL=.*/, ''), JSON.parse(made.sourceMapText).mappings);
};

// The line that failed, as node shows it for a program, and the stack without our own frames.
const cells = {}, OWN = /\b(cell-\d+|main)\.js:(\d+)(?::(\d+))?/; // their text, for tracebacks
const tell = (e, where) => {
    if (!util.types.isNativeError(e)) {
        console.error('Uncaught', e);
        return;
    }
    let stack = String(e.stack).split('\n');
    const own = stack.findLastIndex((line) => OWN.test(line));
    stack = own >= 0 ? stack.slice(0, own + 1) : stack.filter((line) => !/^ +at (.*(node:|\[eval\]|\[worker )|new Promise )/.test(line));
    const at = stack.join('\n').match(OWN) ?? where;
    const line = at && at[1] in cells ? cells[at[1]].split('\n')[at[2] - 1] : undefined;
    if (line !== undefined)
        console.error(at[1] + '.js:' + at[2] + '\n' + line + (at[3] ? '\n' + line.slice(0, at[3] - 1).replace(/[^\t]/g, ' ') + '^' : '') + '\n');
    console.error(stack.join('\n'));
};

const wordsOf = (e) => {
    try { return String(e?.name ?? 'Uncaught') + '\n' + String(e?.message ?? e).slice(0, ERROR_MAX); } catch { return 'Uncaught\n'; }
};

// The value itself, for what the inspector holds is only a description.
let caught;
const valueOf = async (r) => {
    if (!r.objectId) return 'unserializableValue' in r ? (r.type === 'bigint' ? BigInt(r.unserializableValue.slice(0, -1)) : Number(r.unserializableValue)) : r.value;
    await post('Runtime.callFunctionOn', { objectId: r.objectId, functionDeclaration: 'function(f) { f(this) }',
        arguments: [{ objectId: (await post('Runtime.evaluate', { expression: '__strongroom', silent: true })).result.objectId }] });
    return caught;
};

const done = (status, what) => {
    if (told) return;
    told = true;
    Atomics.store(numbers, RUNS, 0);
    write('D', Buffer.from(String(status).padStart(3, '0') + '\n' + what));
};
const run = async ({ kind, code }) => {
    const own = once ? 'main' : 'cell-' + parseInt(number, 16), mine = number;
    let status = 0, what = '';
    try {
        cells[own] = code;
        const js = withImports(kind === '__t' ? stripTypes(code) : code);
        const stopped = new Promise((done) => { stop = () => done('stopped'); });
        const r = await Promise.race([post('Runtime.evaluate', { expression: js + '\n//# sourceURL=' + own + '.js', replMode: true }), stopped]);
        stop = null;
        const unwanted = !once && Atomics.load(numbers, UNWANTED) === numberOf(mine);
        if (r === 'stopped' || r === null || unwanted && r.exceptionDetails) {
            console.error('Interrupted');
            status = 130;
            what = 'Interrupted\n';
        } else if (r.exceptionDetails) {
            const e = await valueOf(r.exceptionDetails.exception), d = r.exceptionDetails;
            tell(e, e instanceof SyntaxError && [own + '.js', own, Math.min(d.lineNumber + 1, code.split('\n').length)]);
            [status, what] = [1, wordsOf(e)];
        } else if (r.result.type !== 'undefined') {
            show(globalThis._ = await valueOf(r.result));
        }
    } catch (e) {
        tell(e);
        [status, what] = [1, wordsOf(e)];
    }
    if (!once && mine === number) done(status, what);
    else if (once && status) process.exit(status);
};

process.on('uncaughtException', (e) => {
    tell(e);
    if (once) process.exit(1);
});
const hidden = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
hidden('__strongroom', (v) => { caught = v; });
hidden('__import', async (what) => import(/^\.{0,2}\//.test(what) ? require('url').pathToFileURL(path.resolve(what)).href : what));
hidden('display', (...values) => values.forEach(show));
const load = module_.createRequire(path.join(process.cwd(), once ? 'main.js' : 'cell.js'));
if (once) load.main = globalThis.module; // it is the main one
hidden('require', load);
hidden('_', undefined);
process.argv.splice(1, 3, ...(once ? ['main.js'] : []));
if (!once) for (const name of ['module', 'exports', '__filename', '__dirname']) delete globalThis[name];
else [globalThis.__filename, globalThis.__dirname] = [path.join(process.cwd(), 'main.js'), process.cwd()];
if (once) run({ kind: '__' + kind, code: fs.readFileSync(0, 'utf8') });
else worker.on('message', (m) => {
    if (m.interrupt) {
        if (m.interrupt === number && stop) stop();
        // It may have come when the cell had just ended by itself, and ended us instead, before we could tell.
        const mine = number;
        setTimeout(() => { if (mine === number) done(130, 'Interrupted\n'); }, 200).unref();
        return;
    }
    number = m.number;
    told = false;
    Atomics.store(numbers, RUNS, numberOf(number));
    run(m);
});
}
