"""The compiled twin: what can be asked of it is what can be asked of `activity.hand.Hand`, which is no base of it."""

from activity import hand

class Hand(hand.Hand): ...
