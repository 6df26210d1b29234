"""Test the checker of traces by trace mutation: mutate accepted traces and check its verdicts."""
