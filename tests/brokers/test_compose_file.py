"""`docker-compose.yml` and `Dockerfile`, as far as they can be checked without an engine."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import yaml  # type: ignore[import-untyped]  # its types are not among our dependencies, for this one use

from activity.settings import parse_settings
from brokers import compose
from brokers.connected import is_connected
from chopar.processes import process
from rabbit.pool import FLUSH
from streams.app import STOP_DEADLINE

ROOT = compose.FILE.parent
FILE = cast(dict[str, Any], yaml.safe_load(compose.FILE.read_text()))
SERVICES = cast(dict[str, dict[str, Any]], FILE["services"])
APP = ("worker", "notifier", "mailer")


def test_all_that_the_application_is_made_of() -> None:
    assert set(SERVICES) == {"kafka", "rabbitmq", "postgres", "mailpit", *APP}


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_a_health_check_and_a_pinned_image(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)?$", service["image"]), service["image"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_beyond_loopback(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_data_are_in_named_volumes(name: str) -> None:
    volumes = [volume.partition(":")[0] for volume in SERVICES[name]["volumes"]]
    assert volumes
    assert set(volumes) <= set(FILE["volumes"])


@pytest.mark.parametrize("name", APP)
def test_the_application_waits_for_healthy_services_and_has_valid_settings(name: str) -> None:
    assert {wanted: how["condition"] for wanted, how in SERVICES[name]["depends_on"].items()} == dict.fromkeys(
        ("kafka", "rabbitmq", "postgres", "mailpit"), "service_healthy"
    )
    settings = parse_settings(SERVICES[name]["environment"])
    assert settings.kafka_url == "kafka://kafka:19092"


@pytest.mark.parametrize("name", APP)
def test_each_process_is_given_the_time_that_it_may_take_to_end(name: str, tmp_path: Path) -> None:
    """By compose, which has 10 s in mind, and by `chopar up`: what is killed before is done again, or `unknown`."""
    settings = parse_settings({**SERVICES[name]["environment"], "CHOPAR_DATA_DIR": str(tmp_path)})
    takes = settings.smtp_timeout + 1.0 + FLUSH if name == "mailer" else STOP_DEADLINE
    assert float(SERVICES[name]["stop_grace_period"].removesuffix("s")) > takes
    assert process(name, settings).grace > takes
    patient = msgspec.structs.replace(settings, smtp_timeout=600.0)
    assert process("mailer", patient).grace > 600.0 + 1.0 + FLUSH


def test_the_urls_and_images_that_we_use_are_those_of_the_file() -> None:
    assert SERVICES["kafka"]["image"] == compose.KAFKA_IMAGE
    assert SERVICES["rabbitmq"]["image"] == compose.RABBIT_IMAGE
    assert "HOST://127.0.0.1:9092," in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert compose.KAFKA_URL == "kafka://127.0.0.1:9092"
    assert "127.0.0.1:5672:5672" in SERVICES["rabbitmq"]["ports"]
    assert compose.RABBIT_URL.endswith("@127.0.0.1:5672/")


def test_the_image_is_pinned_and_has_every_package() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.11\.\d+-slim-bookworm$", text, re.MULTILINE)
    assert "--require-hashes" in text
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = [line.rstrip("*") for line in setup["options.packages.find"]["include"].split()]
    assert [name for name in packages if not re.search(rf"^COPY {name} {name}$", text, re.MULTILINE)] == []


def test_compose_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("Docker Compose is not installed")
    subprocess.run([docker, "compose", "-f", compose.FILE, "config", "-q"], check=True)


def test_a_connection_is_seen(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    table.write_text(
        "  sl  local_address rem_address   st tx_queue\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000\n"  # listens on 8080
        "   1: 020011AC:A001 030011AC:1628 01 00000000\n"  # connected to 5672
        "   2: 020011AC:A002 030011AC:4A94 06 00000000\n"  # was connected to 19092
    )
    assert is_connected(5672, [table])
    assert not is_connected(8080, [table])
    assert not is_connected(19092, [table, tmp_path / "none"])
