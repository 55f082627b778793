"""Container bundles for crun and runc: the same room that the other contenders build, in OCI words."""
import json
import os

LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
PLACES = ("usr", "proc", "dev", "tmp", "work", "etc", "sys", "run", "var")


def make_rootfs(path):
    """An empty root: places to mount on, links into /usr, and what systemd-nspawn wants to see."""
    for name in PLACES:
        os.makedirs(os.path.join(path, name), exist_ok=True)
    for name, to in LINKS.items():
        os.symlink(to, os.path.join(path, name))
    os.symlink("../usr/lib/os-release", os.path.join(path, "etc", "os-release"))


def config(argv, seccomp, limits, uid, gid):
    """config.json as a dict. uid 0: namespaces but the user's; otherwise a user namespace with one id."""
    kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    safe = ["nosuid", "nodev"]
    linux = {"resources": {}, "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
             "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"]}
    if uid:
        kinds.append("user")
        linux["uidMappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": gid, "size": 1}]
    linux["namespaces"] = [{"type": kind} for kind in kinds]
    if limits:
        linux["seccomp"] = seccomp
        linux["resources"] = {
            "memory": {"limit": 512 << 20},
            "pids": {"limit": 256},
            "cpu": {"quota": 100000, "period": 100000},
        }
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": argv,
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {kind: [] for kind in
                             ("bounding", "effective", "inheritable", "permitted", "ambient")},
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "room",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["bind", "ro"] + safe},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": safe + ["size=64m"]},
            {"destination": "/work", "type": "tmpfs", "source": "tmpfs", "options": safe + ["size=64m"]},
        ],
        "linux": linux,
    }


def make_bundle(path, argv, seccomp, limits, uid, gid):
    make_rootfs(os.path.join(path, "rootfs"))
    with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config(argv, seccomp, limits, uid, gid), f)
    return path
