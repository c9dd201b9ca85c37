"""The embedded Valkey: wake-ups and locks. Nothing in it is the only copy, so it keeps nothing on disk."""

import signal
import socket

from controlplane.embedded import processes
from controlplane.embedded.places import Layout
from controlplane.embedded.programs import servant_programs

OPTIONS = ["--port", "0", "--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--set-proc-title", "no"]


def url_of(layout: Layout) -> str:
    """redis-py's form; Celery calls the same `redis+socket://`."""
    return f"unix://{layout.valkey_socket}"


def answers(layout: Layout) -> bool:
    """Whether it answers PING."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        try:
            client.connect(str(layout.valkey_socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def start(layout: Layout) -> None:
    """Start it unless it answers."""
    pid_file, log_file, marker = layout.valkey / "valkey.pid", layout.home / "valkey.log", str(layout.valkey_socket)
    processes.clear_the_way(layout.valkey_socket, pid_file, marker, lambda: answers(layout))
    if answers(layout):
        return
    server = servant_programs(layout)[1]
    processes.spawn(layout, server, *OPTIONS, "--unixsocket", marker, "--pidfile", pid_file, log_file=log_file)
    processes.await_answer(lambda: answers(layout), log_file)


def stop(layout: Layout) -> None:
    """End it."""
    pid = processes.find(layout.valkey_socket, layout.valkey / "valkey.pid", str(layout.valkey_socket))
    processes.end(pid, str(layout.valkey_socket), signal.SIGTERM)
