# SPDX-License-Identifier: Apache-2.0
"""A driver that does right is accused of nothing: each scenario says what it does wrong on purpose, and no more."""

from collections.abc import Iterator

import pytest

from tests.behaviour.in_process import InProcess


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "finds(*rules, chips): what the driver, or the test on its behalf, does wrong, on these chips or all"
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
    marker = request.node.get_closest_marker("finds")
    for machine in machines:
        found = {finding.rule: str(finding) for finding in machine.findings()}
        guilty = marker is not None and machine.chip in marker.kwargs.get("chips", (machine.chip,))
        assert found.keys() == set(marker.args if guilty else ()), "\n".join(found.values())
