"""`python -m controlplane.embedded start|stop|status|url` for the data folder in `ACP_DATA_DIR`."""

import argparse
import sys

from controlplane import embedded


def main() -> int:
    """Exit status 1: something does not answer, or could not be done."""
    parser = argparse.ArgumentParser(prog="python -m controlplane.embedded", description=embedded.__doc__)
    parser.add_argument("command", choices=["start", "stop", "status", "url"])
    command = parser.parse_args().command
    try:
        return {"start": _start, "stop": _stop, "status": _status, "url": _url}[command]()
    except embedded.EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1


def _start() -> int:
    embedded.start()
    return _status()


def _stop() -> int:
    embedded.stop()
    return 0


def _status() -> int:
    found = embedded.running()
    for name, answers in found.items():
        print(f"{name}: {'answers' if answers else 'does not answer'} ({embedded.default_data_dir()})")
    if not found:
        print("nothing is embedded: DATABASE_URL and REDIS_URL are set")
    return 0 if all(found.values()) else 1


def _url() -> int:
    known = embedded.addresses()
    if known is None:
        print(f"Nothing was ever started in {embedded.default_data_dir()}.", file=sys.stderr)
        return 1
    print(f"DATABASE_URL='{known.database_url}'")
    print(f"DATABASE_OWNER_URL='{known.owner_url or ''}'")
    print(f"REDIS_URL='{known.redis_url}'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
