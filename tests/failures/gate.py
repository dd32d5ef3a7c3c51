"""A door in front of a server: it can be shut, it counts, and it acts on what passes through it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from cityledger_stack.ports import LOOPBACK, pick

_CHUNK = 65536


class Gate:
    """Forwards connections to a server on this machine, byte for byte.

    Attributes:
        port: Where clients connect.
        connections: How many have come.
    """

    def __init__(self, server: int) -> None:
        self.port, self.connections = pick(), 0
        self._server = server
        self._trap: tuple[bytes, Callable[[], None]] | None = None
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, self.port))
        threading.Thread(target=self._serve, name="gate", daemon=True).start()

    def on(self, words: bytes, action: Callable[[], None]) -> None:
        """Do something once, before the bytes that hold these words reach the server."""
        self._trap = (words, action)

    @property
    def sprung(self) -> bool:
        """Whether the words of :meth:`on` have come by."""
        return self._trap is None

    def close(self) -> None:
        """No more connections."""
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((LOOPBACK, self._server), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        back = threading.Thread(target=self._pass, args=(server, client, False), daemon=True)
        back.start()
        self._pass(client, server, True)

    def _pass(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        seen = b""
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if to_server:
                    seen = seen[-200:] + data
                    self._look(seen)
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _look(self, seen: bytes) -> None:
        with self._lock:
            if self._trap is None or self._trap[0] not in seen:
                return
            action, self._trap = self._trap[1], None
        action()
