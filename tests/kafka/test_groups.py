"""Consumers with one group id share the work: each partition has one owner in the group, so each record goes to one member.
Consumers with different group ids know nothing of each other: each group gets everything. Chopar's archiver and notifier read
`activity.log` as two groups, and each may have as many processes as there are partitions.
"""

from chopar.lab.kafka import Lab, numbered, take, texts, to_end
from chopar.lab.members import Group


async def test_members_of_a_group_share_the_partitions(lab: Lab) -> None:
    """Two members, four partitions, twenty records. Each member owns two partitions and gets what lies there; together
    they get everything, and nothing is given to both."""
    topic = await lab.topic(partitions=4)
    group = Group(lab, topic)

    async with group.member("ann") as ann, group.member("ben") as ben:
        await group.until(lambda: len(group.owned["ann"]) == len(group.owned["ben"]) == 2)
        for number, value in enumerate(numbered(1, 20)):
            await lab.send(topic, [value], partition=number % 4)
        anns, bens = await to_end(ann), await to_end(ben)

        assert {record.partition for record in anns} == group.owned["ann"]
        assert {record.partition for record in bens} == group.owned["ben"]
    assert len(anns) == len(bens) == 10
    assert sorted(texts(anns) + texts(bens)) == numbered(1, 20)


async def test_each_group_gets_everything(lab: Lab) -> None:
    """The same twelve records are read by an archive and by a mailer. They are two groups: neither takes anything from
    the other, and what one has committed does not move the other's bookmark."""
    topic = await lab.topic(partitions=2)
    await lab.send(topic, numbered(1, 6), partition=0)
    await lab.send(topic, numbered(7, 12), partition=1)

    async with lab.consumer(topic, group=lab.name("archive")) as archive:
        archived = await take(archive, 12)
        await archive.commit()
    async with lab.consumer(topic, group=lab.name("mailer")) as mailer:
        mailed = await take(mailer, 12)

    assert sorted(texts(archived)) == sorted(texts(mailed)) == numbered(1, 12)


async def test_a_member_more_than_partitions_has_nothing_to_do(lab: Lab) -> None:
    """Three members, two partitions: one of them owns nothing and gets no record. It is not useless, it takes over when
    another goes. The number of partitions is the limit of how many can work."""
    topic = await lab.topic(partitions=2)
    group = Group(lab, topic)

    async with group.member("ann"), group.member("ben"), group.member("cleo"):
        await group.until(lambda: {name for name, what, _ in group.told if what == "assigned"} == {"ann", "ben", "cleo"})
        await group.until(lambda: sorted(len(owned) for owned in group.owned.values()) == [0, 1, 1])

        assert set.union(*group.owned.values()) == {0, 1}
