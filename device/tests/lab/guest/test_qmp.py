# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor, with a thread that poses as QEMU: answers are told from events, and silence has an end."""

import contextlib
import json
import threading
from collections.abc import Iterator

import pytest

from plx9x5x.lab.guest.machine import EDU
from plx9x5x.lab.guest.qmp import Qmp, QmpError

GREETING = {"QMP": {"version": {}, "capabilities": []}}
DONE = {"return": {}}
DELETED = {"event": "DEVICE_DELETED", "data": {"device": "card0"}}
BUS = {"event": "DEVICE_DELETED", "data": {"path": "/machine/peripheral/card0/bus"}}


@contextlib.contextmanager
def qemu(*answers: list[dict[str, object]], limit_s: float = 5) -> Iterator[tuple[Qmp, list[dict[str, object]]]]:
    """Give the first answer unasked, each other one at a request; notes the requests. Hangs up after the last."""
    asked: list[dict[str, object]] = []
    with Qmp(limit_s=limit_s) as qmp:

        def pose() -> None:
            with qmp.theirs.makefile("rwb") as stream:
                for number, answer in enumerate(answers):
                    if number:
                        asked.append(json.loads(stream.readline()))
                    for line in answer:
                        stream.write(json.dumps(line).encode() + b"\r\n")
                    stream.flush()
            qmp.theirs.shutdown(2)

        thread = threading.Thread(target=pose, daemon=True)
        thread.start()
        yield qmp, asked
        thread.join(5)


def test_a_device_is_plugged_by_its_name_and_properties() -> None:
    with qemu([GREETING], [DONE], [BUS, DONE]) as (qmp, asked):
        qmp.plug("card0", EDU)
    assert asked[0]["execute"] == "qmp_capabilities"
    assert asked[1] == {"execute": "device_add", "arguments": {"driver": "edu", "id": "card0"}}


@pytest.mark.parametrize("answer", [[DONE, DELETED], [DELETED, DONE]], ids=["after", "before"])
def test_an_unplugged_device_is_waited_for_whenever_the_event_comes(answer: list[dict[str, object]]) -> None:
    with qemu([GREETING], [DONE], answer) as (qmp, _):
        qmp.unplug("card0")


def test_another_devices_end_is_not_taken_for_this_ones() -> None:
    other = {"event": "DEVICE_DELETED", "data": {"device": "card1"}}
    with qemu([GREETING], [DONE], [DONE, other]) as (qmp, _), pytest.raises(QmpError, match="monitor is gone"):
        qmp.unplug("card0")


def test_a_refusal_is_told_in_qemus_words() -> None:
    refusal = {"error": {"class": "GenericError", "desc": "no such bus"}}
    with qemu([GREETING], [DONE], [refusal]) as (qmp, _), pytest.raises(QmpError, match="no such bus"):
        qmp.plug("card0", EDU)


def test_a_monitor_that_says_nothing_is_not_waited_for_for_ever() -> None:
    with Qmp(limit_s=0.05) as qmp, pytest.raises(QmpError, match=r"nothing more within 0\.05 s"):
        qmp.execute("query-status", {})


def test_what_is_no_message_is_said() -> None:
    with Qmp(limit_s=5) as qmp:
        qmp.theirs.sendall(b"[1]\n")
        with pytest.raises(QmpError, match="monitor said"):
            qmp.execute("query-status", {})
