"""Lets the tests of grafana-client run, unmodified, against a server that is already running.

Those tests ask a `docker_services` fixture for a Grafana container. This plugin provides a fixture of that
name which starts nothing and answers with the address in the environment variable KYMOGRAPH_TEST_URL.
"""

import os
from urllib.parse import urlsplit

import pytest


class RunningServer:
    """The part of the container plugin's interface that the tests use, for one running server."""

    def __init__(self, url: str):
        address = urlsplit(url)
        if address.scheme != "http" or not address.hostname or not address.port:
            raise pytest.UsageError(
                f"KYMOGRAPH_TEST_URL must look like http://127.0.0.1:3000, but it is {url!r}"
            )
        self.docker_ip = address.hostname
        self._port = address.port

    def start(self, *services: str) -> None:
        for service in services:
            self._require_grafana(service)

    def wait_for_service(self, service: str, private_port: int, **_timing: object) -> int:
        return self.port_for(service, private_port)

    def port_for(self, service: str, private_port: int) -> int:  # noqa: ARG002
        self._require_grafana(service)
        return self._port

    def _require_grafana(self, service: str) -> None:
        # A skip would hide the test; a failure makes somebody name it in not_yet_served.txt.
        if service != "grafana":
            pytest.fail(f"the test needs a {service!r} container, and none runs here", pytrace=False)


@pytest.fixture(scope="session")
def docker_services() -> RunningServer:
    return RunningServer(os.environ.get("KYMOGRAPH_TEST_URL", ""))


def pytest_addoption(parser: pytest.Parser) -> None:
    # pytest's own --deselect drops every test whose id starts with the given one, so that excluding
    # `test_update` would silently exclude `test_update_by_uid` too.
    parser.addoption("--exclude-test", action="append", default=[], help="full id of one test to leave out")


def pytest_collection_modifyitems(config: pytest.Config, items: list) -> None:
    excluded = set(config.getoption("--exclude-test"))
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in excluded])
    items[:] = [item for item in items if item.nodeid not in excluded]
