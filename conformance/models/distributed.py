"""Run TLC on several machines: its server here, its workers on other hosts or on this one.

This module rejects models for which TLC's distributed mode is wrong, and ends every process that it
started.  The distributed mode evaluates a step only if it leads to a new state, and evaluates no
behaviours; so of the properties in a configuration it decides only the invariants.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from .. import guard
from ..locations import LIBRARIES
from ..tlaplus import tlc
from ..tlaplus.config import listed
from .manifest import Model

LOOPBACK = "127.0.0.1"

# A host of this name is this machine, where a worker is started without ssh.
HERE = "localhost"
TWO_HERE = (HERE, HERE)

# The path of the tools on a host, relative to the directory of a login.
JAR = "tla2tools.jar"

SSH = ("ssh", "-4", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")

# Seconds: until a host must reply, until the first worker must have registered, and until the
# server must have ended after a worker.
ANSWER_SECONDS, COMING_SECONDS, GRACE_SECONDS = 30, 60, 10


def undecided(model: Model) -> list[str]:
    """Return the properties of a model that only a run on one machine decides."""
    return listed(model.text(), "PROPERTY")


def fit(model: Model) -> None:
    """Raise `ToolError` for a model for which this mode of TLC is wrong, or shows nothing.

    With an action constraint it loses states: a step that the constraint forbids hides an allowed
    step to the same state.
    """
    if listed(model.text(), "ACTION_CONSTRAINT"):
        raise tlc.ToolError(
            f"{model.name} has an ACTION_CONSTRAINT, with which TLC's distributed mode loses "
            f"states; run it with: models {model.name}"
        )
    if model.violates in undecided(model) or not listed(model.text(), "INVARIANT"):
        raise tlc.ToolError(
            f"{model.name} is about a property of steps or of behaviours, which TLC's distributed "
            f"mode does not decide; run it with: models {model.name}"
        )


def run(
    model: Model,
    hosts: Sequence[str] = TWO_HERE,
    *,
    address: str | None = None,
    jar: str = JAR,
    on_progress: Callable[[str], None] = lambda text: None,
) -> tlc.Outcome:
    """Run a model with a server here and a worker on each host; return the verdict.

    `address` is the address of this machine for the hosts; the default is the one that the first
    of them sees.  `jar` is the path of the TLA+ tools on them.  TLC does not name here what is
    violated, so `violated` is all that the model checks, joined by "or"; a formula that cannot be
    evaluated looks the same, and `trace` is the last step only.  Raises `ToolError` for a model
    that is not `fit`, a host that cannot be used, and a worker or server that is lost.
    """
    fit(model)
    seen = [check_host(host, jar) for host in dict.fromkeys(hosts) if host != HERE]
    address = address or (seen[0] if seen else LOOPBACK)
    port = tlc.PORT if seen else free_port()
    with Workers(hosts, address, port, jar) as workers:
        try:
            return tlc.serve(
                *model.sources(),
                address,
                port,
                libraries=LIBRARIES,
                on_ready=workers.start,
                on_worker=workers.came,
                on_progress=on_progress,
            )
        except tlc.ToolError as error:
            raise tlc.ToolError(workers.lost or str(error)) from None


def check_host(host: str, jar: str) -> str:
    """Check that a worker can run on a host; return the address of this machine as it sees it.

    Raises `ToolError` with the error of the host or of ssh.
    """
    command = ssh(host, tlc.check_script(jar))
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise tlc.ToolError(f"host {host}: no answer within {ANSWER_SECONDS} s") from None
    if done.returncode != 0 or not done.stdout.strip():
        output = done.stderr.strip() or f"ssh ended with status {done.returncode}"
        raise tlc.ToolError(f"host {host} cannot be used: {output}")
    return done.stdout.split()[-1]


def ssh(host: str, script: str, *options: str) -> list[str]:
    """Return the command that runs a shell script on a host."""
    return [*SSH, *options, "--", host, f"sh -c {shlex.quote(script)}"]


def free_port() -> int:
    """Return an unused port, so that runs on one machine do not share one."""
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return int(one.getsockname()[1])


class Workers:
    """The workers of one run: started when the server is ready, ended with the context.

    `lost` is the reason why the server was ended early: a worker is lost, or none registered.
    """

    def __init__(self, hosts: Sequence[str], address: str, port: int, jar: str) -> None:
        self._hosts, self._address, self._port, self._jar = hosts, address, port, jar
        self._stack = ExitStack()
        self._came, self._over = threading.Event(), threading.Event()
        self.lost: str | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._stack.close()

    def came(self) -> None:
        """Note that a worker has registered."""
        self._came.set()

    def start(self, end_server: Callable[[], None]) -> None:
        """Start all workers; `end_server` is called if one is lost, or none registers in time."""
        for host in self._hosts:
            scratch = self._stack.enter_context(guard.scratch("tlc-"))
            process = tlc.start(self._command(host, scratch), scratch)
            self._stack.callback(tlc.end, process)
            threading.Thread(target=self._watch, args=(host, process, end_server)).start()
        threading.Thread(target=self._wait, args=(end_server,)).start()

    def _command(self, host: str, scratch: Path) -> list[str]:
        if host == HERE:
            return tlc.worker(scratch, self._address, self._port)
        # A worker with a terminal ends with its connection.
        return ssh(host, tlc.worker_script(self._jar, self._address, self._port), "-tt")

    def _watch(
        self, host: str, process: subprocess.Popen[str], end_server: Callable[[], None]
    ) -> None:
        printed, _ = process.communicate()
        # A worker that registered after the end of the search may end.
        if tlc.worker_is_done(printed) or self._over.wait(GRACE_SECONDS):
            return
        output = "\n  ".join(printed.strip().splitlines()[-5:])
        self.lost = f"the worker on {host} is lost (exit status {process.returncode}):\n  {output}"
        end_server()

    def _wait(self, end_server: Callable[[], None]) -> None:
        for _ in range(COMING_SECONDS):
            if self._came.is_set() or self._over.wait(1):
                return
        self.lost = (
            f"no worker came within {COMING_SECONDS} s; the hosts must reach {self._address} and "
            "this machine the hosts, on all ports"
        )
        end_server()
