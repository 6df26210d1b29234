"""One life of a node: a real process with a clock of its own, from its start to its end."""

from __future__ import annotations

from .process import Process


class Life(Process):
    """A process that can be paused, and tells whether it is."""

    paused = False

    def pause(self) -> None:
        self.paused = True
        super().pause()

    def resume(self) -> None:
        self.paused = False
        super().resume()
