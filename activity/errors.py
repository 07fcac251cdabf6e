"""All errors that Chopar raises, and what happens next.

    ChoparError
    ├── SettingError        a setting, a rule or a template is wrong: the process does not start
    │   ├── RuleError       in the rules file, at a line
    │   └── TemplateError   in a mail template, at a line
    ├── Unreachable         a far end does not answer: at start the process ends, later the work waits and goes on by itself
    ├── Mismatch            what stands on a broker or in the store is not what this version needs: the process does not start
    ├── Unroutable          RabbitMQ has no queue for a job: the publisher waits and tries again until `chopar up` declares it
    ├── InUse               a consumer group has members: its offsets are not moved, `chopar lag` says who they are
    └── StateTooLarge       a user's state would outgrow a Kafka record: the event is dead-lettered, the state stays as it was

An event or a job that can never be accepted is not an error but a value: `activity.events.Refused`, `activity.outcomes.Dead`.
"""


class ChoparError(Exception):
    """Something that a person can mend; its text is one line that says what and how."""


class SettingError(ChoparError):
    """A setting is wrong. The process does not start; the text names the setting and what was expected."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name


class RuleError(SettingError):
    """A rule is wrong. The process does not start; the text names the file, the rule and the key."""


class TemplateError(SettingError):
    """A mail template is missing or wrong. The process does not start; the text names the file and the line."""


class Unreachable(ChoparError):
    """A far end does not answer. At start the process ends; while running the work waits and goes on by itself."""

    def __init__(self, setting: str, where: str, problem: str, remedy: str) -> None:
        super().__init__(f"{setting}: no answer from {where} ({problem}); {remedy}")
        self.setting = setting


class Mismatch(ChoparError):
    """A topic, queue or table is not what this version needs. The process does not start; the text says what to do."""


class Unroutable(ChoparError):
    """RabbitMQ took a job but has no queue for it. Nothing is lost: the publisher keeps it and tries again."""


class InUse(ChoparError):
    """A consumer group has members. Its offsets are not moved: they would go on from where they are, and commit over it."""


class StateTooLarge(ChoparError):
    """A user's state would outgrow a Kafka record. The event is dead-lettered, the state stays as it was."""
