"""Which emails the demo expects."""

from activity.outcomes import Dead
from activity.settings import parse_settings
from chopar.demo.mails import mailing
from chopar.demo.shop import traffic
from chopar.processes import HOME
from rabbit.address import address
from streams.parts import read_rules


def test_the_rules_of_the_repository_make_emails_of_every_kind() -> None:
    rules = read_rules(parse_settings({"CHOPAR_RULES": str(HOME / "rules.toml"), "CHOPAR_TEMPLATES": str(HOME / "templates")}))
    plan = traffic(1, "abcd")
    mails = mailing(plan.all, rules, lambda to: isinstance(address(to), Dead))
    assert {mail.ending for mail in mails.jobs.values()} == {"first try", "later try", "refused", "bad address"}
    assert {mail.rule for mail in mails.jobs.values()} == {"welcome", "order_confirmation", "password_reset", "newsletter"}
    assert mails.unfit == 2
    # Repeats make the same jobs: without them there are as many.
    assert mailing(plan.good, rules, lambda to: isinstance(address(to), Dead)) == mails
