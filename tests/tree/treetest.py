"""treetest: the few lines that make functions tests."""
import subprocess
import tempfile
import traceback

from treelib import Bench

tests = []


class Skip(Exception):
    """This test cannot run here, and why."""


def test(name, build="build"):
    def note(function):
        tests.append((name, function, build))
        return function
    return note


def check(true, why):
    if not true:
        raise AssertionError(why)


def run_all(words):
    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    for name, function, build in tests:
        if words and not any(w in name for w in words):
            continue
        top = tempfile.mkdtemp(prefix="strongroom-tree-")
        verdict, why = "PASS", ""
        try:
            function(Bench(top, build))
        except Skip as e:
            verdict, why = "SKIP", str(e)
        except Exception as e:  # whatever it is, it is a failure of this test
            verdict, why = "FAIL", (str(e) or traceback.format_exc().splitlines()[-1]).replace("\n", " ")[:600]
        finally:
            subprocess.run(["chmod", "-R", "u+rwx", top], check=False, capture_output=True)
            subprocess.run(["rm", "-rf", top], check=False)  # deeper than Python goes
        counts[verdict] += 1
        print(f"{verdict} {name}" + (f": {why}" if why else ""), flush=True)
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped")
    return 1 if counts["FAIL"] else 0
