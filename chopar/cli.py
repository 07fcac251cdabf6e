"""The command `chopar`: its commands, and how each of them ends.

Exit codes: 0 it worked; 1 it did not, one line on stderr says why and what to do; 2 wrong usage; 130 Ctrl-C.
"""

import errno
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from activity.errors import ChoparError

INTERRUPTED: Final = 130
CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(click.Group):
    """A group whose commands end as described above: no error that a person can mend shows a traceback."""

    def list_commands(self, context: click.Context) -> list[str]:
        """In the order in which they are added, which is that of a first day."""
        return list(self.commands)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> NoReturn:
        extra["standalone_mode"] = False
        try:
            code = super().main(args, prog_name or "chopar", *rest, **extra)
            sys.stdout.flush()
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except ChoparError as error:
            sys.stderr.write(f"chopar: {error}\n")
            code = 1
        except (click.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        except OSError as error:
            if error.errno != errno.EPIPE and error.filename is not None:
                raise  # no matter of our output
            if error.errno != errno.EPIPE:
                sys.stderr.write(f"chopar: can't write what was asked for ({error.strerror})\n")
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains when it flushes
            code = 1
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(package_name="chopar", message="%(prog)s %(version)s")
def cli() -> None:
    """User activity on Kafka in, one ordered history and one email each out.

    \b
    Begin with:  chopar demo              see it work, on brokers of its own
                 chopar up                run it all on this machine
                 chopar send events.jsonl

    Settings are CHOPAR_… variables, or lines of a file .env; `chopar doctor` looks whether all is right.
    """
    for library in ("aiokafka", "aiormq", "aio_pika", "alembic"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # what fails is told once, by the error we raise


def _add_commands() -> None:
    from chopar.audit import audit
    from chopar.dead import dead
    from chopar.demo.command import demo
    from chopar.doctor import doctor
    from chopar.foreground import mailer, notifier, worker
    from chopar.jobs import jobs
    from chopar.lab.command import lab
    from chopar.lag import lag
    from chopar.log import log
    from chopar.replay import replay
    from chopar.send import send
    from chopar.timeline import timeline
    from chopar.topics import topics
    from chopar.up import up

    for command in (up, demo, send, log, timeline, jobs, dead, audit, lag, replay, topics, doctor, lab, worker, notifier, mailer):
        cli.add_command(command)


_add_commands()
