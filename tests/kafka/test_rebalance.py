"""When a member joins or leaves, the group's partitions are dealt out anew: a rebalance. All members first give up what they
own, then each is told what it has now. The new owner begins at the group's bookmark, not where the old one had read to. Here
a member leaves politely; one that dies is missed after its session timeout (10 s in Chopar), and until then its partitions wait.
"""

from chopar.lab.kafka import Lab, numbered, take, texts, to_end
from chopar.lab.members import Group


async def test_who_owns_what_before_and_after(lab: Lab) -> None:
    """Ann is alone and owns all four partitions. Ben joins and each has two; Ben leaves and Ann has all four again. Each
    partition has one owner each time, and each member some, as Kafka deals them out evenly."""
    group = Group(lab, await lab.topic(partitions=4))

    async with group.member("ann"):
        await group.until(lambda: group.owned["ann"] == {0, 1, 2, 3})

        async with group.member("ben"):
            await group.until(lambda: len(group.owned["ann"]) == len(group.owned["ben"]) == 2)
            assert group.owned["ann"] | group.owned["ben"] == {0, 1, 2, 3}

        await group.until(lambda: group.owned["ann"] == {0, 1, 2, 3})


async def test_partitions_are_taken_before_they_are_given(lab: Lab) -> None:
    """Ann is told that her partitions are revoked before Ben is told that he has some. That is her last moment to finish
    and to commit: what she does with these records later, Ben does too."""
    group = Group(lab, await lab.topic(partitions=4))

    async with group.member("ann"):
        await group.until(lambda: group.owned["ann"] == {0, 1, 2, 3})
        async with group.member("ben"):
            await group.until(lambda: len(group.owned["ann"]) == len(group.owned["ben"]) == 2)

    revoked = group.told.index(("ann", "revoked", {0, 1, 2, 3}))
    given = [at for at, (name, what, partitions) in enumerate(group.told) if name == "ben" and what == "assigned" and partitions]
    assert revoked < given[0]


async def test_the_new_owner_begins_at_the_bookmark(lab: Lab) -> None:
    """Ann reads eight of twelve and commits five, then leaves. Ben takes the partition over and begins at the sixth: three
    records are read by both. None is skipped."""
    topic = await lab.topic(partitions=1)
    group = Group(lab, topic)
    await lab.send(topic, numbered(1, 12))

    async with group.member("ann") as ann:
        anns = await take(ann, 5)
        await ann.commit()
        anns += await take(ann, 3)
    async with group.member("ben") as ben:
        await group.until(lambda: group.owned["ben"] == {0})
        bens = await to_end(ben)

    assert texts(anns) == numbered(1, 8)
    assert texts(bens) == numbered(6, 12)


async def test_a_member_that_stays_keeps_on_reading(lab: Lab) -> None:
    """Ben comes and goes while Ann reads. Ann commits what she has done before she gives it up, so that in the end each of
    the sixteen records was read exactly once by somebody."""
    topic = await lab.topic(partitions=2)
    group = Group(lab, topic)
    await _fill(lab, topic, 1, 8)

    async with group.member("ann") as ann:
        await group.until(lambda: group.owned["ann"] == {0, 1})
        read = await take(ann, 8)
        await ann.commit()

        async with group.member("ben") as ben:
            await group.until(lambda: len(group.owned["ann"]) == len(group.owned["ben"]) == 1)
            await _fill(lab, topic, 9, 16)
            bens = await take(ben, 4)
            await ben.commit()
            read += bens + await take(ann, 4)
            await ann.commit()

        await group.until(lambda: group.owned["ann"] == {0, 1})
        read += await to_end(ann)

    assert len(bens) == 4
    assert sorted(texts(read)) == numbered(1, 16)


async def _fill(lab: Lab, topic: str, first: int, last: int) -> None:
    for number, value in enumerate(numbered(first, last)):
        await lab.send(topic, [value], partition=number % 2)
