# SPDX-License-Identifier: Apache-2.0
"""A driver that does right is accused of nothing: each scenario says what it does wrong on purpose, and no more."""

from collections.abc import Iterator

import pytest

from tests.behaviour.in_process import InProcess


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "finds(*rules): what the scenario's driver, or the test on its behalf, does wrong"
    )


@pytest.fixture(autouse=True)
def accused_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All machines of the test, whoever made them."""
    machines: list[InProcess] = []
    make = InProcess.__init__

    def noted(self: InProcess, *args: object, **kwargs: object) -> None:
        make(self, *args, **kwargs)  # type: ignore[arg-type]
        machines.append(self)

    monkeypatch.setattr(InProcess, "__init__", noted)
    yield
    found = {finding.rule: str(finding) for machine in machines for finding in machine.findings()}
    marker = request.node.get_closest_marker("finds")
    assert found.keys() == set(marker.args if marker else ()), "\n".join(found.values())
