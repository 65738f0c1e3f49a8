"""The way in, as ``fewmark`` or ``python -m tracker``: imports nothing of ours before it is known to be ours."""

from __future__ import annotations

import sys

from tracker.machine.install_check import InstallError, check_packages_lie_together


def main() -> None:
    """Runs the command; exit code 2 where the installation is broken."""
    try:
        check_packages_lie_together()
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    from tracker.cli import main as command

    command()


if __name__ == "__main__":
    main()
