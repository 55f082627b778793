"""mcp: what an agent's calls cost: the server's start, a run of code over `strongroom run`, a program in a room that lives.

`run` and `exec` are whole commands started by the static timer; `run_code` is asked for by this script over the server's pipes, so
it carries a little of Python besides; `connected` is a static client that stays (execer), against a vfork and exec of the same
command in turn with it (`bare`) and a fork and exec (`fork`), and `connected-first` its first program in a room, against its first
fork and exec. Run as a program by bench/run; prints JSON."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build")
ROOM = os.path.join(BUILD, "strongroom")
TIMER = os.path.join(BUILD, "bench", "timer")
EXECER = os.path.join(BUILD, "bench", "execer")
EVAL = 'eval "$(</dev/stdin)"'
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}


class Server:
    def __init__(self):
        self.begun = time.perf_counter()
        self.p = subprocess.Popen([ROOM, "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.out = os.fdopen(os.dup(self.p.stdout.fileno()), "rb")

    def ask(self, method, params):
        """The answer as it came; how long it took, in ms."""
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"
        begun = time.perf_counter()
        self.p.stdin.write(line)
        answer = self.out.readline()
        return answer, (time.perf_counter() - begun) * 1000

    def close(self):
        self.p.stdin.close()
        self.p.wait()
        self.p.stdout.close()
        self.out.close()


def row(samples):
    samples = sorted(samples)
    return {"state": "ok", "value": statistics.median(samples), "p10": samples[len(samples) // 10]}


def starts(rounds):
    times = []
    for _ in range(rounds):
        s = Server()
        answer, _ = s.ask("initialize", HELLO)
        times.append((time.perf_counter() - s.begun) * 1000)
        assert b'"result"' in answer, answer
        s.close()
    return row(times)


def timed(rows, seconds):
    """Whole commands, in turn; ms."""
    with tempfile.NamedTemporaryFile("w", suffix=".plan") as plan:
        plan.write("".join("\t".join([name, "-", "-", *argv]) + "\n" for name, argv in rows.items()))
        plan.flush()
        out = subprocess.run([TIMER, "rounds", plan.name, f"{seconds:.2f}", "3"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout.decode()
    found = {}
    for line in out.splitlines():
        name, state, _, p10, _, median, *_, message = line.split("\t")
        found[name] = {"state": "ok", "value": float(median) / 1000, "p10": float(p10) / 1000} if state == "ok" else {"state": state, "message": message}
    return found


def calls(rounds, seconds):
    """run_code in turn with slices of the timer; each slice is compared with its neighbour, and the middle one counts."""
    s, served, bare = Server(), [], []
    s.ask("initialize", HELLO)
    for _ in range(rounds):
        run = timed({"run": [ROOM, "run", "-q", "--args", "none", "--result-fd", "1", "--", "bash", "-c", EVAL, "main.sh"]}, seconds / rounds)["run"]
        if run["state"] != "ok":
            return {"run": run, "run_code": run, "over": run}
        bare.append(run)
        answers = [s.ask("tools/call", {"name": "run_code", "arguments": {"language": "bash", "code": ":"}}) for _ in range(30)]
        assert all(b'"exit_code":0' in a for a, _ in answers), answers
        served.append(row([ms for _, ms in answers]))
    s.close()

    def middle(of):
        return {"state": "ok"} | {k: statistics.median(of(k)) for k in ("value", "p10")}
    return {"run": middle(lambda k: [b[k] for b in bare]), "run_code": middle(lambda k: [c[k] for c in served]),
            "over": middle(lambda k: [c[k] - b[k] for b, c in zip(bare, served)])}


def firsts(rounds):
    """The first program in a room, each in a new one, against the first vfork and exec, and fork and exec, of the same client; ms."""
    found = {"bare": [], "fork": [], "room": []}
    for i in range(rounds):
        name = f"bench-{os.getpid()}-{i}"
        subprocess.run([ROOM, "run", "-d", "--name", name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        try:
            out = subprocess.run([EXECER, name, "0", "/bin/true"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout.decode()
        finally:
            subprocess.run([ROOM, "rm", name], stdin=subprocess.DEVNULL, check=False)
        for line in out.splitlines():
            name, _, _, median = line.split("\t")
            if name in found:
                found[name].append(float(median) / 1000)
    return {k: row(v) for k, v in found.items()}


def execs(seconds):
    name = f"bench-{os.getpid()}"
    subprocess.run([ROOM, "run", "-d", "--name", name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    try:
        out = subprocess.run([EXECER, name, str(max(2, int(seconds))), "/bin/true"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout.decode()
        rows = {k: {"state": "ok", "value": float(median) / 1000, "p10": float(p10) / 1000} for k, _, p10, median in (line.split("\t") for line in out.splitlines())}
        whole = timed({"bare": ["/bin/true"], "exec": [ROOM, "exec", name, "--", "/bin/true"]}, seconds)
    finally:
        subprocess.run([ROOM, "rm", name], stdin=subprocess.DEVNULL, check=False)
    first = firsts(max(10, int(seconds * 10)))
    return {"bare": rows["bare"], "fork": rows["fork"], "connected": rows["room"], "connected-first": first["room"],
            "first-bare": first["bare"], "first-fork": first["fork"], "command-bare": whole["bare"], "command": whole["exec"]}


def main():
    seconds = float(sys.argv[1])
    print(json.dumps({"mcp-start": {"strongroom": starts(10 if seconds < 20 else 40)}, "mcp-call": calls(4 if seconds < 20 else 10, seconds / 4),
                      "live-exec": execs(seconds / 4)}))


if __name__ == "__main__":
    main()
