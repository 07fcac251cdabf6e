"""`python -m chopar` and the console script `chopar`."""

from typing import NoReturn

from chopar.cli import cli


def main() -> NoReturn:
    """Ends the process with the command's exit code."""
    cli.main()


if __name__ == "__main__":
    main()
