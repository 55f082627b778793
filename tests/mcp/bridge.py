"""bridge: lets scenarios that speak HTTP reach a server on stdin and stdout.

A POST is one line; what comes for it is its answer, as JSON, or as a stream where something may come before the answer. Ids
are changed on the way there and back, because each HTTP client counts from one. What HTTP adds of its own (sessions, headers,
origins) is not strongroom's yet and not proven here."""
import http.server
import json
import queue
import subprocess
import threading

META = 'io.modelcontextprotocol/'
STATUS = {-32601: 404, -32602: 400, -32022: 400, -32021: 400}


class Line:
    """One server process, with many asking at once."""

    def __init__(self, words):
        self.p = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.lock, self.number, self.waiting = threading.Lock(), 0, {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.p.stdout:
            m = json.loads(line)
            params = m.get('params') or {}
            with self.lock:
                if 'method' not in m:
                    waits = self.waiting.pop(m.get('id'), None)
                    if waits:
                        waits['queue'].put({**m, 'id': waits['id']})
                    continue
                of = (params.get('_meta') or {}).get(META + 'subscriptionId')
                for number, waits in self.waiting.items():
                    if of == number:
                        params['_meta'][META + 'subscriptionId'] = waits['id']
                    if of == number or ('progressToken' in params and params['progressToken'] == waits['token']):
                        waits['queue'].put(m)
        with self.lock:
            for waits in self.waiting.values():
                waits['queue'].put(None)

    def send(self, message):
        self.p.stdin.write(json.dumps(message).encode() + b'\n')
        self.p.stdin.flush()

    def ask(self, message):
        """The queue in which what comes for it arrives; its number there."""
        meta = (message.get('params') or {}).get('_meta') or {}
        with self.lock:
            self.number += 1
            number, mine = self.number, queue.Queue()
            self.waiting[number] = {'id': message['id'], 'queue': mine, 'token': meta.get('progressToken')}
            self.send({**message, 'id': number})
        return mine, number

    def cancel(self, number):
        with self.lock:
            self.waiting.pop(number, None)
            self.send({'jsonrpc': '2.0', 'method': 'notifications/cancelled', 'params': {'requestId': number}})

    def close(self):
        self.p.stdin.close()
        try:
            self.p.wait(timeout=4)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        return self.p.returncode


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def reply(self, status, body=b'', kind='application/json', **headers):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, mine, number):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Connection', 'close')
        self.end_headers()
        self.close_connection = True
        while True:
            m = mine.get(timeout=60)
            if m is None:
                return
            try:
                self.wfile.write(b'event: message\ndata: ' + json.dumps(m).encode() + b'\n\n')
                self.wfile.flush()
            except OSError:
                self.server.line.cancel(number)
                return
            if 'method' not in m:
                return

    def do_POST(self):
        raw = self.rfile.read(int(self.headers['Content-Length']))
        try:
            message = json.loads(raw)
        except ValueError:
            self.reply(400, b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not JSON"}}')
            return
        if not isinstance(message, dict) or 'id' not in message or 'method' not in message:
            self.server.line.send(message)
            self.reply(202)
            return
        meta = (message.get('params') or {}).get('_meta') or {}
        mine, number = self.server.line.ask(message)
        if 'progressToken' in meta or message['method'] == 'subscriptions/listen':
            self.stream(mine, number)
            return
        answer = mine.get(timeout=60)
        if answer is None:
            self.reply(500)
            return
        modern = META + 'protocolVersion' in meta or 'MCP-Protocol-Version' in self.headers and self.headers['MCP-Protocol-Version'] >= '2026'
        status = STATUS.get(answer.get('error', {}).get('code'), 200) if modern else 200
        more = {'Mcp_Session_Id': 'bridge'} if message['method'] == 'initialize' else {}
        self.reply(status, json.dumps(answer).encode(), **more)

    def do_GET(self):
        self.reply(405)

    do_DELETE = do_GET

    def log_message(self, *_):
        pass


class Web(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that goes early


class Bridge:
    """with Bridge(words) as b: b.url leads to that server; b.status is its exit status afterwards."""

    def __init__(self, words):
        self.words, self.status = words, None

    def __enter__(self):
        self.web = Web(('127.0.0.1', 0), Handler)
        self.web.line = Line(self.words)
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        self.url = 'http://127.0.0.1:%d/mcp' % self.web.server_port
        return self

    def __exit__(self, *_):
        self.status = self.web.line.close()
        self.web.shutdown()
        self.web.server_close()
