"""gate: what connections cost through the gate, against none, pasta and slirp4netns, in one run.

A network namespace of its own with one pair of interfaces is the world; the server has an address there, and all take turns
to reach it. Run as a program inside that namespace (bench/run starts it so); prints JSON."""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build")
LOAD = os.path.join(BUILD, "bench", "netload")
TIMER = os.path.join(BUILD, "bench", "timer")
ROOM = os.path.join(BUILD, "strongroom")
SERVER, NAME, PORT = "10.77.0.2", "bench.test", "7777"
IDLE, RULES, PINGS, MORE_PINGS = 5000, 10000, 300, 1000
SLIRP_HOST = "10.0.2.2"
RULE = f"{NAME}:{PORT} internal"


def sh(line):
    subprocess.run(["sh", "-ec", line], check=True, stdout=subprocess.DEVNULL)


def in_room(*options):
    return [ROOM, "run", "-q", "-i", "--timeout", "60s", "--files", "8000", *options, "-v", LOAD + ":/tool", "--"]


def nobody():
    """As root the peers are run by somebody without rights: that is how both mean to be run."""
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []


def guest(helper, argv):
    """A namespace waits until a helper has set it up, then becomes the client."""
    client = subprocess.Popen([*nobody(), "unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'echo; read go; exec "$@"', "sh", *argv],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    client.stdout.readline()
    process = subprocess.Popen([*nobody(), *(w.replace("PID", str(client.pid)) for w in helper)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(0.6)
    try:
        out, err = client.communicate(b"go\n", 20)
        return (out, "") if client.returncode == 0 else (None, err.decode().strip()[-200:])
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()
        return None, "no end within 20 s"
    finally:
        process.kill()
        process.wait()


def plain(argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90, check=False)
    return (done.stdout, "") if done.returncode == 0 else (None, done.stderr.decode().strip()[-200:] or f"exit {done.returncode}")


def contenders():
    """Name, the program that must be there, and how a client's words (verb, more…) are run there."""
    def words(host, verb, more):
        return [LOAD, verb, host, PORT, *more]
    pasta = ["pasta", "--config-net", "--quiet", "--foreground"]
    slirp = ["slirp4netns", "--configure", "--mtu=65520", "PID", "tap0"]
    return [
        ("direct", "sh", lambda verb, *more: plain(words(SERVER, verb, more))),
        ("strongroom", ROOM, lambda verb, *more: plain(in_room("--allow", RULE) + ["/tool", verb, NAME, PORT, *more])),
        ("pasta", "pasta", lambda verb, *more: guest([*pasta, "PID"], words(SERVER, verb, more))),
        ("pasta-spliced", "pasta", lambda verb, *more: guest([*pasta, "-T", PORT, "PID"], words("127.0.0.1", verb, more))),
        ("slirp4netns", "slirp4netns", lambda verb, *more: guest(slirp, words(SLIRP_HOST, verb, more))),
    ]


def figures(text):
    return {k: float(v) for k, v in map(str.split, text.decode().splitlines())}


def in_turn(rounds, keys, words, result):
    """All in turn, so that what else the machine does meets all alike. Of a stream the best round counts, of connections the
    middle one; both are kept."""
    for _ in range(rounds):
        for name, program, run in contenders():
            if not shutil.which(program):
                for key in keys:
                    result["gate-" + key][name] = {"state": "not available", "message": f"{program}: not there"}
                continue
            out, why = run(*words)
            for key in keys:
                row = result["gate-" + key].setdefault(name, {"state": "ok", "all": []})
                if out is None:
                    row.update({"state": "FAILED", "message": why})
                elif row["state"] == "ok":
                    row["all"].append(figures(out)[key])
    for key in keys:
        for row in result["gate-" + key].values():
            found = row.pop("all", None)
            if row["state"] == "ok":
                row["best"] = max(found) if key == "rate" else min(found)
                row["middle"] = statistics.median(found)
                row["value"] = row["best" if key == "rate" else "middle"]


def starts(seconds):
    """A room that does nothing, without a network and with one."""
    rows = {"no-gate": [], "gate": ["--allow", RULE]}
    with tempfile.NamedTemporaryFile("w", suffix=".plan") as plan:
        for name, options in rows.items():
            plan.write("\t".join([name, "-", "-", ROOM, "run", *options, "--", "/bin/true"]) + "\n")
        plan.flush()
        out, why = plain([TIMER, "rounds", plan.name, f"{seconds:.2f}", "3"])
    if out is None:
        return {name: {"state": "FAILED", "message": why} for name in rows}
    found = {}
    for line in out.decode().splitlines():
        name, state, _, *times, message = line.split("\t")
        found[name] = {"state": "ok", "value": float(times[2])} if state == "ok" else {"state": state, "message": message}
    return found


def gate_of(pid):
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{p}/status", encoding="ascii") as f:
                rows = dict(line.split(":", 1) for line in f)
        except OSError:
            continue
        if rows["Name"].strip() == "strongroom-gate" and int(rows["PPid"]) == pid:
            return int(rows["VmRSS"].split()[0])
    return None


def idle():
    p = subprocess.Popen(in_room("--allow", RULE) + ["/tool", "hold", NAME, PORT, str(IDLE)], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if p.stdout.readline() != b"held %d\n" % IDLE:
            return {"state": "FAILED", "message": p.stderr.readline().decode().strip()[-200:]}
        time.sleep(0.3)
        kib = gate_of(p.pid)
        return {"state": "ok", "value": kib / 1024} if kib else {"state": "FAILED", "message": "no gate was found"}
    finally:
        p.kill()
        p.wait()


def many_rules():
    """Connections with one rule, and with as many as a policy may hold (at most RULES)."""
    found = {}
    for count in (1, RULES):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("allow:\n" + "".join(f"  - n{i}.names.test:443\n" for i in range(count - 1)) + f'  - "{RULE}"\n')
            f.flush()
            best = None
            for _ in range(3):
                out, why = plain(in_room("-p", f.name) + ["/tool", "ping", NAME, PORT, str(PINGS)])
                if out is not None:
                    best = min(best or 1e9, figures(out)["first"])
        found[f"rules-{count}"] = {"state": "ok", "value": best} if best else {"state": "FAILED", "message": why}
    return found


def starts_with_rules():
    """A room that does nothing, with one name in its policy file and with RULES: what reading, checking and handing over
    so many adds. In turns, and the calmest of each: what a busy machine adds to the longer one is no part of it."""
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (1, RULES):
            with open(f"{folder}/{count}.yaml", "w", encoding="ascii") as f:
                f.write("allow:\n" + "".join(f"  - n{i}.names.test:443\n" for i in range(count)))
        for count in (1, RULES) * 15:
            begin = time.perf_counter()
            out, why = plain([ROOM, "run", "-q", "-p", f"{folder}/{count}.yaml", "--", "/bin/true"])
            if out is None:
                return {f"rules-{count}": {"state": "FAILED", "message": why}}
            times.setdefault(count, []).append((time.perf_counter() - begin) * 1e6)
    one, many = (min(times[count]) for count in (1, RULES))
    return {"rules-1": {"state": "ok", "value": one}, f"rules-{RULES}": {"state": "ok", "value": many},
            "the-names": {"state": "ok", "value": many - one}}


TLS_PORT, TLS_CONNECTIONS = "7443", 60
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
TLS_SERVER = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + "/tls.pem", sys.argv[1] + "/tls.key")
listener = socket.create_server(("0.0.0.0", int(sys.argv[2])), backlog=128)
print("there", flush=True)
while True:
    c = listener.accept()[0]
    try:
        c.settimeout(5)
        with context.wrap_socket(c, server_side=True) as t:
            t.recv(4096)
            t.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    except OSError:
        pass
"""
TLS_CLIENT = """
import socket, ssl, sys, time
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = ssl.create_default_context()
times = []
for _ in range(count):
    begin = time.perf_counter()
    with context.wrap_socket(socket.create_connection((host, port), 5), server_hostname=host) as t:
        t.sendall(b"GET / HTTP/1.1\\r\\nHost: %s:%d\\r\\n\\r\\n" % (host.encode(), port))
        if not t.recv(4096).startswith(b"HTTP/1.1 200"):
            sys.exit("no answer")
    times.append((time.perf_counter() - begin) * 1e6)
print("first", sorted(times)[count // 2])
"""


def tls(rounds, folder):
    """A new TLS connection with its handshake, a request and the answer: without a gate, passed through by its name, and
    opened up because requests are judged. Both ends are the same programs, and the server's certificate is trusted."""
    sh(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={NAME} -addext subjectAltName=DNS:{NAME} "
       f"-keyout {folder}/tls.key -out {folder}/tls.pem 2>/dev/null; cat {BUNDLE} {folder}/tls.pem >{folder}/bundle; chmod 644 {folder}/bundle; "
       f"mount --bind {folder}/bundle {BUNDLE}")
    python = ["/usr/bin/python3", "-I", "-c"]
    client = [*python, TLS_CLIENT, NAME, TLS_PORT, str(TLS_CONNECTIONS)]
    rule = f"{NAME}:{TLS_PORT} internal "
    ways = {"direct": client, "passed": in_room("--allow", rule + "tls") + client, "opened": in_room("--allow", rule + "http=GET:/*") + client}
    found = {}
    server = subprocess.Popen([*python, TLS_SERVER, folder, TLS_PORT], stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        for _ in range(rounds):
            for name, argv in ways.items():
                out, why = plain(argv)
                if out is None:
                    found[name] = {"state": "FAILED", "message": why}
                elif found.setdefault(name, {"state": "ok"})["state"] == "ok":
                    found[name]["value"] = min(found[name].get("value", 1e9), figures(out)["first"])
    finally:
        server.kill()
        server.wait()
    return found


def main():
    seconds = float(sys.argv[1])
    sh("ip link set lo up; ip link add bench type veth peer name far; ip addr add 10.77.0.1/24 dev bench; ip addr add 10.77.0.2/24 dev bench; "
       "ip link set bench up; ip link set far up; ip route add default via 10.77.0.9; mount --make-rprivate /")
    # A device for the peers that anybody may open; without it (no root) they say that they fail.
    subprocess.run(["sh", "-ec", 'mount -t tmpfs bench "$1"; mknod "$1/tun" c 10 200; chmod 666 "$1/tun"; '
                    'mount --bind "$1/tun" /dev/net/tun; umount -l "$1"', "sh", "/mnt"], stderr=subprocess.DEVNULL, check=False)
    with tempfile.NamedTemporaryFile("w", prefix="bench-hosts-") as f:
        f.write(f"127.0.0.1 localhost\n{SERVER} {NAME}\n")
        f.flush()
        os.chmod(f.name, 0o644)
        sh(f"mount --bind {f.name} /etc/hosts")
        server = subprocess.Popen([LOAD, "serve", "0.0.0.0", PORT], stdout=subprocess.PIPE)
        try:
            server.stdout.readline()
            result = {"gate-rate": {}, "gate-connect": {}, "gate-first": {}}
            in_turn(1 if seconds < 20 else 3, ("rate",), ("pull", "1"), result)
            # Where the kernel puts three processes on two processors decides more than who they are, and differs from round
            # to round: therefore so many.
            in_turn(2 if seconds < 20 else 16, ("connect", "first"), ("ping", str(MORE_PINGS)), result)
            result["gate-start"] = starts(2 if seconds < 20 else 5)
            result["gate-idle"] = {"strongroom": idle()}
            result["gate-rules"] = many_rules()
            result["gate-rules-start"] = starts_with_rules()
            with tempfile.TemporaryDirectory() as folder:
                result["gate-tls"] = tls(2 if seconds < 20 else 4, folder)
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
