"""What there is to harm: files, processes and servers that the suite makes for its attacks, all of them its own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SITE = Path(sysconfig.get_path("purelib"))
MARK = "s5_attack_"  # how the name begins of all that an attack makes outside of the world's folder

# It lets anyone look into it whom the kernel's Yama would else send away: what stops an attack must be the sandbox.
VICTIM = """
import ctypes, sys, time
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER, PR_SET_PTRACER_ANY
secret = sys.stdin.readline()
print(flush=True)
time.sleep(3600)
"""

_SEEN = 4096  # bytes of a message that a server keeps


class World:
    """A home with a secret, another submission, a course with its rules, a victim process, and loopback servers.

    `constants` are what an attack's code knows of it. Use it as a context manager.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)  # in every secret; in a report it is a breach
        self.folder = Path(tempfile.mkdtemp(prefix="s5-world-"))
        self._files = {
            "home/secret.txt": f"{self.token}\n",
            "home/.ssh/id_ed25519": f"{self.token}\n",
            "other/model.py": f"TOKEN = '{self.token}'\n",
            "course/rules.yaml": f"title: {self.token}\n",
            "course/solution.py": f"TOKEN = '{self.token}'\n",
            "run/program.sh": "#!/bin/sh\nexit 0\n",
        }
        self.mark = f"{MARK}{secrets.token_hex(8)}_"  # several suites may run at once
        self._servers = [_tcp(), _udp(), _unix(str(self.folder / "socket")), _unix(f"\0{self.mark}socket")]
        self._shared = Path(f"/dev/shm/{self.mark}shared")
        self._victim = self._start_victim()
        self._make()
        self._before = self._state()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *exception: object) -> None:
        self._victim.kill()
        self._victim.wait()
        for server in self._servers:
            server.close()
        self._shared.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def constants(self) -> dict[str, object]:
        """Return the names that an attack's code may use: paths as text, ports and process numbers."""
        tcp, udp, _, abstract = self._servers
        return {
            "HOME": str(self.folder / "home"),
            "SECRET": str(self.folder / "home/secret.txt"),
            "OTHER": str(self.folder / "other/model.py"),
            "RULES": str(self.folder / "course/rules.yaml"),
            "COURSE": str(self.folder / "course"),
            "PROGRAM": str(self.folder / "run/program.sh"),
            "SHARED": str(self._shared),  # exists, in shared memory
            "REPOSITORY": str(REPOSITORY),
            "SITE": str(SITE),
            "MARK": self.mark,
            "TCP_PORT": tcp.address[1],
            "UDP_PORT": udp.address[1],
            "UNIX_PATH": str(self.folder / "socket"),
            "ABSTRACT": os.fsdecode(abstract.address),
            "VICTIM": self._victim.pid,
            "FRONT": os.getpid(),
        }

    @property
    def source(self) -> str:
        """Return the constants as assignments."""
        return "\n".join(f"{name} = {value!r}" for name, value in self.constants.items())

    def harms(self) -> list[str]:
        """Return what has been done to the world since the last call, and put it back in order."""
        found = [f"the {server.name} server was sent {server.heard[:60]!r}" for server in self._servers if server.heard]
        for server in self._servers:
            server.heard = b""
        if self._victim.poll() is not None:
            found.append(f"the victim ended with {self._victim.returncode}")
            self._victim = self._start_victim()
        for name, text in self._victim_state().items():
            if self._victim_before.get(name) != text:
                found.append(f"the victim's {name} is {text}")
                self._victim.kill()
                self._victim.wait()
                self._victim = self._start_victim()
                break
        after = self._state()
        changed = sorted(path for path in {*self._before, *after} if self._before.get(path) != after.get(path))
        found += [f"{path} was {'made' if path not in self._before else 'changed or removed'}" for path in changed]
        if changed:
            for path in changed:
                _remove(Path(path))
            self._make()
            self._before = self._state()
        return found

    def _start_victim(self) -> subprocess.Popen[bytes]:
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"TOKEN": self.token},
            start_new_session=True,
        )
        assert victim.stdin is not None and victim.stdout is not None
        victim.stdin.write(self.token.encode() + b"\n")
        victim.stdin.close()
        victim.stdout.readline()  # it is past its start, so in the state that is compared
        victim.stdout.close()
        self._victim = victim
        self._victim_before = self._victim_state()
        return victim

    def _victim_state(self) -> dict[str, str]:
        """Return what others can change of a process."""
        pid = self._victim.pid
        try:
            status = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
            state = next((line for line in status if line.startswith("State:")), "")
            return {
                "nice value": str(os.getpriority(os.PRIO_PROCESS, pid)),
                "limits": Path(f"/proc/{pid}/limits").read_text("utf-8"),
                "place when memory runs out": Path(f"/proc/{pid}/oom_score_adj").read_text("utf-8").strip(),
                "processors": next((line for line in status if line.startswith("Cpus_allowed:")), ""),
                "state": "stopped" if "T" in state.split()[1:2] else "running",
            }
        except OSError:
            return {}

    def _make(self) -> None:
        for name, text in self._files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o700 if name.endswith(".sh") else 0o600)
        self._shared.write_text(self.token, encoding="utf-8")
        with zipfile.ZipFile(self.folder / "course/solution.zip", "w") as archive:
            archive.writestr("solution.py", f"TOKEN = '{self.token}'\n")

    def _state(self) -> dict[str, tuple[object, ...]]:
        """Return every file that an attack could make or change, with all that can be changed of it."""
        roots = [self.folder]
        loose = [self._shared, *Path("/dev/shm").glob(f"*{self.mark}*"), *Path("/tmp").glob(f"{self.mark}*")]
        loose += [path for root in (REPOSITORY, REPOSITORY / "grader", SITE) for path in root.glob(f"{self.mark}*")]
        inside = [path for root in roots for path in root.rglob("*")]
        return {str(path): _facts(path) for path in [*inside, *loose]}


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _facts(path: Path) -> tuple[object, ...]:
    try:
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        return (stat.st_mode, stat.st_uid, stat.st_mtime_ns if content else 0, tuple(os.listxattr(path)), content)
    except OSError:
        return ()


class Server:
    """A server on this machine alone that notes whatever reaches it."""

    def __init__(self, name: str, listening: socket.socket, hear: Callable[[socket.socket], bytes]) -> None:
        self.name = name
        self.address = listening.getsockname()
        self.heard = b""
        self._socket = listening
        self._hear = hear
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with suppress(OSError):  # of a server that was closed
            while True:
                self.heard = (self.heard + self._hear(self._socket))[:_SEEN]

    def close(self) -> None:
        """Stop listening."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


def _accept(listening: socket.socket) -> bytes:
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(0.2)
        with suppress(OSError):
            return b"a connection: " + connection.recv(_SEEN)
    return b"a connection"


def _tcp() -> Server:
    listening = socket.create_server(("127.0.0.1", 0))
    return Server("TCP", listening, _accept)


def _udp() -> Server:
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", 0))
    return Server("UDP", listening, lambda bound: bound.recv(_SEEN) or b"an empty datagram")


def _unix(address: str) -> Server:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(address)
    listening.listen()
    return Server("abstract Unix" if address.startswith("\0") else "Unix", listening, _accept)
