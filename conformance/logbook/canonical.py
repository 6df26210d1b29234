"""When two JSON values are the same, which the judges of logs must all agree about."""

from __future__ import annotations

import json
from typing import Any

Json = Any


def canonical(item: Json) -> str:
    """One text for all that is the same: the order of keys is of no account.

    Values are not compared themselves, for to Python true equals 1 and 1.0.
    """
    return json.dumps(item, sort_keys=True)
