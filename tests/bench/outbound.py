"""Run README's main job where there is no network, and count what it looks for there.

    python tests/bench/outbound.py

All its processes run in a network namespace that has nothing but loopback, where this is allowed (`unshare`): the
kernel counts every packet that has no route, whoever sends it. And all Python in them is watched by tests/guard, which
counts names that are looked up and connections. Nothing tells the libraries that they are offline. The last line is
JSON.
"""

import fcntl
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
JOB = re.search(r"python -m synth (report \"[^\"]+\")$", (ROOT / "README.md").read_text(), re.MULTILINE)[1]
UP = 0x8914, 0x8913, 1  # SIOCSIFFLAGS, SIOCGIFFLAGS, IFF_UP
FORBIDDEN = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")


def isolated() -> list[str]:
    """What starts a command without a network; empty where that is not allowed."""
    words = ["unshare", "--user", "--map-root-user", "--net"]
    try:
        return words if subprocess.run([*words, "true"], capture_output=True).returncode == 0 else []
    except FileNotFoundError:
        return []


def loopback_up() -> None:
    """Switch on the one device that a new namespace has."""
    change, read, up = UP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        flags = struct.unpack("16sh", fcntl.ioctl(found, read, struct.pack("16sh", b"lo", 0)))[1]
        fcntl.ioctl(found, change, struct.pack("16sh", b"lo", flags | up))


def without_route() -> int:
    """Packets of this namespace that had nowhere to go."""
    names, values = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")]
    six = re.search(r"Ip6OutNoRoutes\s+(\d+)", Path("/proc/net/snmp6").read_text())
    return int(values[names.index("OutNoRoutes")]) + int(six[1] if six else 0)


def run(is_isolated: bool) -> dict[str, object]:
    """The main job, and what it looked for."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        notes = Path(scratch, "notes")
        env = {name: value for name, value in os.environ.items() if name not in FORBIDDEN}
        env |= {"PYTHONPATH": f"{ROOT}/tests/guard:{ROOT}", "GUARD": str(notes), "HF_HOME": f"{scratch}/hub"}
        before = without_route() if is_isolated else 0
        command = f"{sys.executable} -m synth {JOB}"
        subprocess.run(["bash", "-c", command], cwd=scratch, env=env, check=True)
        lost = without_route() - before if is_isolated else None
        pictures = len(list(Path(scratch).glob("generated_images/*/images/*.png")))
        tried = notes.read_text().splitlines()
    print(*tried, sep="\n")
    return {
        "command": JOB, "pictures": pictures, "outbound": len(tried), "packets_without_route": lost,
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def main() -> None:
    if "--inside" not in sys.argv and (words := isolated()):
        sys.exit(subprocess.run([*words, sys.executable, *sys.argv, "--inside"]).returncode)
    is_isolated = "--inside" in sys.argv
    if is_isolated:
        loopback_up()
    print(json.dumps(run(is_isolated)))


if __name__ == "__main__":
    main()
