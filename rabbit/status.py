"""What a mailer says about itself when it is asked."""

import msgspec


class Status(msgspec.Struct, frozen=True):
    """How a pool is at present. Holds no address and no payload."""

    mailer: str
    """Host and process."""
    paused: bool
    away_since: float | None
    """Since when the mail server is away (Unix seconds): the circuit is open. None: it is closed."""
    workers: int
    """How many are wanted."""
    at_most: int
    """How many jobs at once at present: fewer than `workers` while the mail server has too much to do."""
    busy: int
    held: int
    """Jobs in hand that wait for their domain's turn."""
    put_off: int
    """Jobs sent to a delay queue until their domain's turn, since it started."""
    ended: int
    """Attempts that ended, since it started."""

    @property
    def state(self) -> str:
        """In one word."""
        if self.paused:
            return "paused"
        if self.away_since is not None:
            return "waits for the mail server"
        return "slowed down" if self.at_most < self.workers else "running"
