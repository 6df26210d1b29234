"""A network of this process's own, in which there is nothing but loopback.

TLC's server and workers listen on all interfaces, and no option changes that.  See
namespaces(7), user_namespaces(7) and netdevice(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_SET_FLAGS, _UP = 0x8914, 0x1


def isolate() -> bool:
    """Moves this process, and whatever it starts from now on, to a network that has loopback alone.

    Returns whether that was possible: on Linux, for root or where everybody may make namespaces.
    Only for a process that has no other thread yet, and needs no other network any more.  Raises
    `OSError` where the new network cannot be used.
    """
    if sys.platform != "linux":
        return False
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None)
    if libc.unshare(_NEW_NETWORK) != 0:
        if libc.unshare(_NEW_USER | _NEW_NETWORK) != 0:
            return False
        # The process keeps its user and group.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
    return True
