"""regrtest: Python's own test suite (Debian's libpython3.11-testsuite), case by case outside and in a room.

A case that passes outside must pass in the room: one that fails or is skipped there is a difference. A difference is
tried once more, its module alone, before it counts; what is left must stand in the table `exceptions` with its reason.
"""
import fnmatch
import os
import re
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = "/usr/lib/python3.11/test"
PYTHON = "/usr/bin/python3.11"
# Modules that ask much of the system. The language itself (grammar, numbers, strings) is the same in a room, and what
# only takes long (other ways to start the same processes, mail protocols) is left to --all.
CORE = """
    test_ctypes test_curses test_dbm_gnu test_epoll test_fcntl test_file test_fileio test_fork1 test_getpass test_glob
    test_grp test_ioctl test_locale test_mmap test_openpty test_os test_pathlib test_platform test_poll test_popen
    test_posix test_posixpath test_pty test_pwd test_resource test_select test_shutil test_socket test_stat
    test_subprocess test_tempfile test_termios test_thread test_threading test_time test_tty test_wait3 test_wait4
    test_zipfile
""".split()
MORE = """
    test__locale test_asyncio test_c_locale_coercion test_cmd_line test_cmd_line_script test_compileall test_crypt
    test_dbm test_dbm_dumb test_dbm_ndbm test_eintr test_ensurepip test_faulthandler test_file_eintr test_filecmp
    test_ftplib test_gc test_gzip test_httplib test_httpservers test_import test_io test_logging test_mailbox
    test_multiprocessing_fork test_multiprocessing_main_handling test_pdb test_queue test_readline test_repl test_runpy
    test_selectors test_shelve test_signal test_site test_smtplib test_socketserver test_spwd test_sqlite3 test_ssl
    test_support test_sys test_sysconfig test_syslog test_tarfile test_threadedtempfile test_threadsignals test_timeout
    test_tracemalloc test_unicode_file test_unicode_file_functions test_urllib test_urllib2_localnet test_uuid test_venv
    test_webbrowser test_wsgiref test_zipapp test_zipimport test_zoneinfo
""".split()
# Of the many forms of multiprocessing's cases, those with processes.
SPARED = ["test.test_multiprocessing_fork.WithManager*", "test.test_multiprocessing_fork.WithThreads*"]
# Modules whose cases live elsewhere.
HOMES = [("test.datetimetester", "test_datetime"), ("unittest.test", "test_unittest"), ("ctypes.test", "test_ctypes"),
         ("test.fork_wait", "test_fork1"), ("lib2to3", "test_lib2to3"), ("distutils", "test_distutils"),
         ("sqlite3.test", "test_sqlite3")]


def modules_here(names):
    there = {name[:-3] if name.endswith(".py") else name for name in os.listdir(FOLDER) if name.startswith("test_")}
    return sorted(there) if names is None else [name for name in names if name in there]


def exceptions():
    """[(pattern of a case, reason)] and the patterns left out of both runs, from the table."""
    rows, left_out = [], []
    with open(os.path.join(HERE, "exceptions"), encoding="utf-8") as table:
        for line in table:
            if line.strip() and not line.startswith("#"):
                pattern, reason = line.split(None, 1)
                if pattern.startswith("-"):
                    left_out.append(pattern[1:])
                else:
                    rows.append((pattern, reason.strip()))
    return rows, left_out


def command(modules, left_out, seconds):
    without = " ".join(f"-i '{pattern}'" for pattern in left_out)
    test = (f"{PYTHON} -m test -j3 -q --timeout {seconds} -u cpu,subprocess {without} --junit-xml report.xml "
            f"{' '.join(modules)} >said 2>&1; tail -n 25 said >&2; cat report.xml")
    return ["sh", "-c", test]


def parse(text):
    """{case: "passed", "skipped" or "failed"} from the JUnit report; a case run twice counts by its worst."""
    rank = {"passed": 0, "skipped": 1, "failed": 2}
    cases = {}
    for case in ElementTree.fromstring(re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", "?", text)).iter("testcase"):
        kinds = {child.tag for child in case}
        state = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        if not case.get("name"):
            continue  # a class or module that was skipped or failed whole; its cases are absent
        name = re.sub(r"0x[0-9a-f]+", "0x", case.get("name"))
        cases[name] = max(cases.get(name, "passed"), state, key=rank.get)
    return cases


def differences(outside, inside):
    """Cases that passed outside and did not inside: {case: what it did}."""
    return {case: inside.get(case, "absent") for case, state in outside.items()
            if state == "passed" and inside.get(case) != "passed"}


def module_of(case):
    """The module that one names to run this case."""
    for prefix, module in HOMES:
        if case.startswith(prefix):
            return module
    words = case.split(".")
    return words[1] if words[0] == "test" and len(words) > 1 else words[0]


def excused(case, rows):
    return next((reason for pattern, reason in rows if fnmatch.fnmatchcase(case, pattern)), None)
