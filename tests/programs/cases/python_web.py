#!/usr/bin/python3
# A web server and its clients in one program: threads, asyncio with subprocesses and signals, sqlite3, ctypes, zip.
import asyncio
import ctypes
import http.server
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def web():
    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://localhost:{server.server_address[1]}"
    for path in ("/a", "/b?c=d"):
        with urllib.request.urlopen(base + path, timeout=20) as answer:
            print(answer.status, json.load(answer)["path"])
    server.shutdown()
    try:
        urllib.request.urlopen("http://192.0.2.1/", timeout=5)
    except urllib.error.URLError as error:
        print("outside:", type(error.reason).__name__)


async def tasks():
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, told.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(told.wait(), 10)
    procs = [await asyncio.create_subprocess_exec("sh", "-c", f"read x; echo $x {i}", stdin=subprocess.PIPE,
                                                  stdout=subprocess.PIPE) for i in range(5)]
    said = [(await p.communicate(b"in\n"))[0].decode().strip() for p in procs]
    print("asyncio", said, await loop.run_in_executor(None, sum, range(10)))

    async def serve(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
    path = os.path.join(tempfile.gettempdir(), "s")
    async with await asyncio.start_unix_server(serve, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"quiet\n")
        print("unix", (await reader.readline()).decode().strip())
        writer.close()


def rest():
    base = sqlite3.connect("data.db")
    with base:
        base.execute("CREATE TABLE t (n)")
        base.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1000)])
    print("sqlite", base.execute("SELECT sum(n) FROM t").fetchone()[0])
    libc = ctypes.CDLL("libc.so.6")
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    cells = (ctypes.c_int * 5)(5, 3, 1, 4, 2)
    libc.qsort(cells, 5, ctypes.sizeof(ctypes.c_int), callback(lambda a, b: a[0] - b[0]))
    print("ctypes", list(cells))
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x", "y" * 100000)
    print("zip", zipfile.ZipFile("a.zip").testzip())


web()
asyncio.run(tasks())
rest()
sys.exit(0)
