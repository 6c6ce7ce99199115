"""Real servers on the loopback: a free port and a private directory each, gone with the test run.

A server keeps its port over `kill` and `start`, so that a client sees an outage and a recovery rather than another server.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PATIENCE = 30.0
"""Seconds that a server has to come up or to go down."""


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until(condition, what: str) -> None:
    """Waits until `condition()` holds; says what did not happen if it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {PATIENCE:.0f} s"
        time.sleep(0.02)


class Server:
    """One server process; `start` returns once it answers."""

    death = signal.SIGKILL
    """The signal that ends it at once, its children included."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="langmeter-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def address(self) -> str:
        """What a client needs to know: the port."""
        return str(self.port)

    def command(self) -> list[str | Path]:
        """How it is started, once."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it serves requests already."""
        return self._listens()

    def start(self) -> None:
        """Start it unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        log = (self.directory / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.directory, stdout=log, stderr=log, start_new_session=True, **self._identity()
            )
        try:
            until(lambda: self._process.poll() is not None or self.answers(), f"{self.program.name} answered")
            assert self._process.poll() is None
        except AssertionError as error:
            text = (self.directory / "server.log").read_text(encoding="utf-8", errors="replace")
            raise AssertionError(f"{self.program} did not come up:\n{text[-2000:]}") from error

    def kill(self) -> None:
        """End it at once, as a crash does; the port refuses connections afterwards."""
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(self.death)
        self._process.wait(PATIENCE)
        until(lambda: not self._listens(), f"{self.program.name} left its port")

    def stop(self) -> None:
        """Let it hang: connections are accepted by the system, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """The end of `stop`."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        """End it and take its files away."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _listens(self) -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def _identity(self) -> dict[str, str]:
        return {}


class Redis(Server):
    """A Redis server without persistence; the query engine is one too."""

    def command(self) -> list[str | Path]:
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.directory}
        return [self.program, *(str(part) for name, value in options.items() for part in (f"--{name}", value))]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class Memcached(Server):
    """A memcached server."""

    def command(self) -> list[str | Path]:
        user = ["-u", "root"] if os.geteuid() == 0 else []
        return [self.program, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", *user]


class PostgreSQL(Server):
    """A PostgreSQL cluster of its own, without durability; its superuser `postgres` needs no password."""

    death = signal.SIGQUIT  # immediate shutdown: the children go too

    def __init__(self, program: Path, initdb: Path) -> None:
        super().__init__(program)
        # It refuses to run as root.
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        self._initialised_by = initdb

    def start(self) -> None:
        if not (self.directory / "data").exists():
            options = ["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
            command = [self._initialised_by, "-D", self.directory / "data", *options]
            subprocess.run(command, cwd=self.directory, check=True, capture_output=True, **self._identity())
        super().start()

    def command(self) -> list[str | Path]:
        options = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self.directory}", "fsync=off"]
        return [
            *(self.program, "-D", self.directory / "data", "-p", str(self.port)),
            *(part for option in options for part in ("-c", option)),
        ]

    def answers(self) -> bool:
        """Whether it speaks: it listens before it is ready, and refuses then."""
        import psycopg

        try:
            psycopg.connect(f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _identity(self) -> dict[str, str]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_name, "group": self._user.pw_gid, "extra_groups": []}
