"""Coverage by real runs, and the pinned results of `check`."""
