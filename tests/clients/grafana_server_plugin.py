"""Lets the tests of grafana-client run, unmodified, against a server that is already running.

Those tests ask a `docker_services` fixture for containers of Grafana and Prometheus. This plugin provides a fixture
of that name which starts nothing and answers with the addresses in the environment variables KYMOGRAPH_TEST_URL and
KYMOGRAPH_TEST_PROMETHEUS.
"""

import os
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest


class RunningServers:
    """The part of the container plugin's interface that the tests use, for running servers on one host."""

    def __init__(self, **urls: str):
        addresses = {service: address_of(url) for service, url in urls.items() if url}
        self.docker_ip = next(host for host, _ in addresses.values())
        self._ports = {service: port for service, (_, port) in addresses.items()}

    def start(self, *services: str) -> None:
        for service in services:
            self.port_for(service)

    def wait_for_service(self, service: str, private_port: int, **_timing: object) -> int:
        return self.port_for(service, private_port)

    def wait_until_responsive(self, check: Callable[[], bool], **_timing: object) -> None:
        if not check():
            pytest.fail("a server that should run does not respond", pytrace=False)

    def port_for(self, service: str, private_port: int = 0) -> int:  # noqa: ARG002
        # A skip would hide the test; a failure makes somebody name it in not_yet_served.txt.
        if service not in self._ports:
            pytest.fail(f"the test needs a {service!r} container, and none runs here", pytrace=False)
        return self._ports[service]


def address_of(url: str) -> tuple:
    address = urlsplit(url)
    if address.scheme != "http" or not address.hostname or not address.port:
        raise pytest.UsageError(f"an address must look like http://127.0.0.1:3000, but one is {url!r}")
    return address.hostname, address.port


@pytest.fixture(scope="session")
def docker_services() -> RunningServers:
    prometheus = os.environ.get("KYMOGRAPH_TEST_PROMETHEUS", "")
    if prometheus:
        # The tests name the address that containers have for each other.
        from test.elements import test_datasource_fixtures

        test_datasource_fixtures.PROMETHEUS_DATASOURCE["url"] = prometheus
    return RunningServers(grafana=os.environ.get("KYMOGRAPH_TEST_URL", ""), prometheus=prometheus)


def pytest_addoption(parser: pytest.Parser) -> None:
    # pytest's own --deselect drops every test whose id starts with the given one, so that excluding
    # `test_update` would silently exclude `test_update_by_uid` too.
    parser.addoption("--exclude-test", action="append", default=[], help="full id of one test to leave out")


def pytest_collection_modifyitems(config: pytest.Config, items: list) -> None:
    excluded = set(config.getoption("--exclude-test"))
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in excluded])
    items[:] = [item for item in items if item.nodeid not in excluded]
