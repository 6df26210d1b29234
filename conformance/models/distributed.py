"""TLC on several machines: its server here, its workers on other hosts or beside it.

Decides which models this mode can be trusted with, and sees that nothing is left running.  TLC's
distributed mode looks at a step only where it leads to a state that is new, and it looks at no
behaviour, so of what a configuration lists it decides the invariants alone.
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

# Where a host has the tools, as seen from where a login there begins.
JAR = "tla2tools.jar"

SSH = ("ssh", "-4", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")

# How long a host may take to answer, the first worker to come, and the server to end after a
# worker that is gone.
ANSWER_SECONDS, COMING_SECONDS, GRACE_SECONDS = 30, 60, 10


def undecided(model: Model) -> list[str]:
    """The properties of a model that only a run on one machine decides."""
    return listed(model.text(), "PROPERTY")


def fit(model: Model) -> None:
    """Raises `ToolError` for a model with which this mode of TLC is wrong, or shows nothing.

    With an action constraint it loses states: a step that the constraint forbids hides another one
    to the same state that it allows.
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
    """Runs a model with a server here and a worker on each host, and returns the verdict.

    `address` is what the hosts find this machine by; as the first of them sees it, if not given.
    `jar` is where they have the TLA+ tools.  TLC does not name here what is violated, so `violated`
    is all that the model checks, joined by "or"; a formula that cannot be evaluated looks the same,
    and `trace` is the last step alone.  Raises `ToolError` for a model that is not `fit`, a host
    that cannot be used, and a worker or server that is lost; nothing is left running.
    """
    fit(model)
    seen = [welcome(host, jar) for host in dict.fromkeys(hosts) if host != HERE]
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


def welcome(host: str, jar: str) -> str:
    """The address of this machine as a host sees it, once that has shown that it can work.

    Raises `ToolError` with what the host, or ssh, says is missing.
    """
    command = ssh(host, tlc.welcome_script(jar))
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
    """The command that runs a script of the plain shell on a host."""
    return [*SSH, *options, "--", host, f"sh -c {shlex.quote(script)}"]


def free_port() -> int:
    """A port that nothing uses, so that runs on one machine do not meet."""
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return int(one.getsockname()[1])


class Workers:
    """The workers of one run: started when the server is ready, ended with the context.

    `lost` is the reason why the server was ended before its time: a worker is gone, or none came.
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
        """The server has met a worker."""
        self._came.set()

    def start(self, end_server: Callable[[], None]) -> None:
        """Starts all; `end_server` is called when there is nothing more to wait for."""
        for host in self._hosts:
            scratch = self._stack.enter_context(guard.scratch("tlc-"))
            process = tlc.start(self._command(host, scratch), scratch)
            self._stack.callback(tlc.end, process)
            threading.Thread(target=self._watch, args=(host, process, end_server)).start()
        threading.Thread(target=self._wait, args=(end_server,)).start()

    def _command(self, host: str, scratch: Path) -> list[str]:
        if host == HERE:
            return tlc.worker(scratch, self._address, self._port)
        # With a terminal of its own a worker ends when its connection does.
        return ssh(host, tlc.worker_script(self._jar, self._address, self._port), "-tt")

    def _watch(
        self, host: str, process: subprocess.Popen[str], end_server: Callable[[], None]
    ) -> None:
        printed, _ = process.communicate()
        # One that came when all was done already is not missed.
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
