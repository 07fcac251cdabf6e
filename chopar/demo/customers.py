"""What one customer of the shop does, event by event."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from chopar.demo.goods import AGENTS, FIRST_NAMES, GOODS, LAST_NAMES, PAGES
from chopar.demo.traffic import Identity, Planned

Attributes = dict[str, Any]
IMPORTS: Final = "imports"
MORNING: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class Customer:
    """A life in the shop. Events of each source are counted from 1, but the newsletter's, which have no sequence."""

    def __init__(self, source: random.Random, run: str, user: str, mailbox: str) -> None:
        self._random, self._run, self.user = source, run, user
        first, last = source.choice(FIRST_NAMES), source.choice(LAST_NAMES)
        self._name = f"{first} {last}"
        self.email = f"{mailbox}{_ascii(first)}.{_ascii(last)}.{user}@example.com" if "@" not in mailbox else mailbox
        self._sequences: Counter[str] = Counter()
        self._basket: list[tuple[str, float]] = []
        self._order = 0
        self._to_ship: list[str] = []
        self._time = MORNING + timedelta(seconds=source.randrange(4 * 3600))
        self.began = False

    def next(self) -> Planned:
        """The next thing this customer does."""
        self._time += timedelta(milliseconds=self._random.randrange(1_000, 240_000))
        if not self.began:
            self.began = True
            return self._event("accounts", "user.signed_up", {"email": self.email, "name": self._name})
        if self._to_ship and self._random.random() < 0.3:
            order = self._to_ship.pop(0)
            return self._event("orders", "order.shipped", {"order": order, "parcel": f"CH{self._random.randrange(10**8):08d}"})
        if self._basket and self._random.random() < 0.4:
            return self._place_order()
        return self._browse()

    def subscribe(self, data: Attributes) -> Planned:
        """A subscription, from a source that does not count."""
        return self._event("newsletter", "newsletter.subscribed", data, counted=False)

    def imported(self, sequence: int, fate: str = "logged") -> Planned:
        """An event of a source that counts in its own way."""
        self._sequences[IMPORTS] = sequence - 1
        planned = self._event(IMPORTS, "page.viewed", {"path": "/old-shop"})
        return planned if fate == "logged" else msgspec.structs.replace(planned, fate="dead", reason="too-old")

    def _browse(self) -> Planned:
        draw = self._random.random()
        if draw < 0.64:
            data = {"path": self._random.choice(PAGES), "agent": self._random.choice(AGENTS)}
            return self._event("web", "page.viewed", data)
        if draw < 0.92:
            item = self._random.choice(GOODS)
            self._basket.append(item)
            return self._event("web", "cart.item_added", {"name": item[0], "price": item[1], "quantity": 1})
        if draw < 0.97:
            link = f"https://shop.example/reset/{self._random.getrandbits(64):016x}"
            return self._event("accounts", "user.password_reset_requested", {"email": self.email, "link": link})
        return self.subscribe({"email": self.email, "list": self._random.choice(("new arrivals", "sale"))})

    def _place_order(self) -> Planned:
        self._order += 1
        order = f"{self.user}-{self._order}"
        bought = Counter(self._basket)
        items = [{"name": name, "price": price, "quantity": count} for (name, price), count in bought.items()]
        total = round(sum(price * count for (_, price), count in bought.items()), 2)
        self._basket.clear()
        self._to_ship.append(order)
        data = {"order": order, "email": self.email, "items": items, "total": total, "currency": "EUR"}
        return self._event("orders", "order.placed", data)

    def _event(self, source: str, kind: str, data: Attributes, *, counted: bool = True) -> Planned:
        event: Attributes = {
            "specversion": "1.0",
            "id": f"{self._random.getrandbits(64):016x}",
            "source": f"https://shop.example/{self._run}/{source}",
            "type": kind,
            "subject": self.user,
            "time": self._time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        sequence = None
        if counted:
            self._sequences[source] += 1
            sequence = self._sequences[source]
            event["sequence"] = str(sequence)
        event["data"] = data
        identity = Identity(self.user, event["source"], event["id"], sequence)
        return Planned(self.user.encode(), msgspec.json.encode(event), "logged", identity)


def _ascii(name: str) -> str:
    plain = name.lower().replace("ü", "y").replace("á", "a")
    return plain.encode("ascii", "ignore").decode()
