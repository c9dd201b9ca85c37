"""`python -m apps.demo.systems --port 8099 --data-dir .data`: serve until interrupted."""

import argparse
import contextlib
import signal
from pathlib import Path

from apps.demo.systems.server import Server


def main() -> None:
    """Read the arguments, serve, close the storage."""
    options = argparse.ArgumentParser(prog="python -m apps.demo.systems", description="The sample systems of record.")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8099)
    options.add_argument("--data-dir", type=Path, default=Path(".data"))
    wanted = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted.data_dir.mkdir(parents=True, exist_ok=True)
    with Server((wanted.host, wanted.port), wanted.data_dir) as server:
        print(f"Systems of record: http://{wanted.host}:{server.server_port}/", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.2)
        server.storage.close()


main()
