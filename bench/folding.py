"""The projection of figures alone, reading on each half second until it is ended."""

import time


def main() -> None:
    """Never returns."""
    import django

    django.setup()
    from apps.audit.services import read_on

    while True:
        while read_on(projection="kpis"):
            pass
        time.sleep(0.5)


if __name__ == "__main__":
    main()
