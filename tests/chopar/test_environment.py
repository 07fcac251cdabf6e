"""Settings handed on to children."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from activity.domains import parse_limits
from activity.settings import Settings, parse_settings
from chopar.environment import environment_of, variables_of


@given(
    st.builds(
        Settings,
        kafka_url=st.sampled_from([None, "kafka://broker:9092"]),
        rabbit_url=st.sampled_from([None, "amqp://user:pass@host/"]),
        store_url=st.just("sqlite:///some/where.db"),
        gap_timeout=st.integers(1, 10**6).map(lambda number: number / 10),
        retry_base=st.integers(1, 9).map(lambda number: number / 10),
        partitions=st.integers(1, 1024),
        domain_limits=st.sampled_from(["", "gmail.com=2,10/s; *=4"]).map(parse_limits),
        unknown_outcome=st.sampled_from(["resend", "hold"]),
        data_dir=st.sampled_from([Path(".chopar"), Path("/var/lib/chopar")]),
    )
)
def test_a_child_reads_the_settings_it_was_given(settings: Settings) -> None:
    if settings.gap_timeout <= 86400:
        assert parse_settings(variables_of(settings)) == settings


def test_a_child_gets_no_other_settings_than_these() -> None:
    environ = {"CHOPAR_API_TOKEN": "secret", "PATH": "/bin"}
    found = environment_of(Settings(store_url="sqlite:///a"), environ)
    assert "CHOPAR_API_TOKEN" not in found
    assert found["PATH"] == "/bin"
    assert found["CHOPAR_STORE_URL"] == "sqlite:///a"


def test_every_setting_is_handed_on() -> None:
    everything = dict.fromkeys(Settings.__struct_fields__, "x")
    assert variables_of(Settings(**everything)).keys() == {f"CHOPAR_{name.upper()}" for name in everything}  # type: ignore[arg-type]  # any text will do
