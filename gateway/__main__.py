"""`python -m gateway` is the command `sensor-gateway`."""

import sys


def main() -> None:
    """Run what is typed; Ctrl-C while the code is still being read ends it as later on, in one word."""
    try:
        from gateway.cli import main
    except KeyboardInterrupt:
        sys.exit("\nAborted!")
    main()


if __name__ == "__main__":
    main()
