"""What the agents are given, in memory, with a diary of what happened in which order."""

from collections.abc import Callable, Mapping, Sequence

from activity.chunk import Chunk
from activity.jobs import Job
from activity.sequencing import Step
from store.log import Entry
from tables.users import Landed


class Diary(list[str]):
    """What was done, in order."""


class FakeOutputs:
    """Takes what a chunk led to; `fail` is called before each sending and may raise."""

    def __init__(self, diary: Diary, fail: Callable[[], None] = lambda: None) -> None:
        self.diary, self.fail = diary, fail
        self.steps: list[Step] = []
        self.states: dict[bytes, bytes] = {}

    async def deliver(self, chunk: Chunk, step: Step) -> None:
        self.fail()
        self.diary.append("delivered")
        self.steps.append(step)

    async def changelog(self, chunk: Chunk, topic: str, states: Mapping[bytes, bytes]) -> Landed:
        self.fail()
        self.diary.append("written")
        self.states.update(states)
        return None


class FakeStore:
    """Keeps entries; raises what `troubles` holds first."""

    def __init__(self, diary: Diary, troubles: Sequence[Exception] = ()) -> None:
        self.diary, self.troubles = diary, list(troubles)
        self.refuses: set[int] = set()
        self.entries: list[Entry] = []

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        if self.troubles:
            raise self.troubles.pop(0)
        self.diary.append("appended")
        self.entries += entries
        return [entry for entry in entries if entry.position in self.refuses]


class FakeJobs:
    """Takes jobs."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.jobs: list[Job] = []

    async def publish(self, jobs: Sequence[Job]) -> None:
        self.diary.append("published")
        self.jobs += jobs


class WatchedChunk(Chunk):
    """A chunk that writes into the diary when it is done."""

    __slots__ = ("diary",)

    def __init__(self, chunk: Chunk, diary: Diary) -> None:
        super().__init__(chunk.topic, chunk.partition, chunk.records)
        self.diary = diary

    def done(self) -> None:
        self.diary.append("done")
        super().done()
