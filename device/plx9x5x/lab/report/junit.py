# SPDX-License-Identifier: Apache-2.0
"""Write a KTAP report as JUnit XML, which every CI service reads.

A planned test without a result, a fault of the report itself and a lost guest are test cases with an `error`: none of
them may look like a smaller green run.
"""

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.report.ktap import Case, Report, Verdict

# What XML 1.0 allows in a document, the complement of (its section 2.2).
_ILLEGAL: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(
    report: Report,
    *,
    suite: str,
    errors: Sequence[str] = (),
    expected: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
) -> bytes:
    """Give the document of one suite; for its parts see `suite_of`."""
    return document(suite_of(report, suite=suite, errors=errors, expected=expected, properties=properties))


def suite_of(
    report: Report,
    *,
    suite: str,
    errors: Sequence[str] = (),
    expected: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
) -> ET.Element:
    """Give one suite. `errors` are faults of the run beside the tests; `expected` names tests that must be there."""
    element = ET.Element("testsuite", name=_legal(suite))
    if properties:
        listed = ET.SubElement(element, "properties")
        for name, value in properties.items():
            ET.SubElement(listed, "property", name=_legal(name), value=_legal(value))
    for case in report.cases:
        _add_case(element, suite, case)
    for name in report.missing(expected):
        _add_error(element, suite, name, "the guest gave no result for this test")
    for number, text in enumerate((*report.problems, *errors), start=1):
        _add_error(element, suite, f"run problem {number}", text)
    found = element.findall("testcase")
    element.set("tests", str(len(found)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in found)))
    element.set("time", f"{sum(case.seconds for case in report.cases):.3f}")
    return element


def document(*suites: ET.Element) -> bytes:
    """Give the document of these suites."""
    root = ET.Element("testsuites")
    root.extend(suites)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


class Target:
    """Where a document is to go: whole or not at all if that is a file, straight into it if it is a device or a pipe.

    Which of them it is, and what a link leads to, is looked at once, here: whoever is given the folder meanwhile may
    lay links and pipes there. `kind` is what the user asked for. Raises: SetupError.
    """

    def __init__(self, path: Path, *, kind: str = "JUnit") -> None:
        self._path, self._kind = path, kind
        try:
            self._target = path.resolve()
            self._direct = self._target.exists() and not self._target.is_file()
        except OSError as exc:
            raise self._refused(exc) from exc

    def put(self, document: bytes) -> None:
        """Write it. Raises: SetupError."""
        try:
            if self._direct:
                self._target.write_bytes(document)
                return
            self._target.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._target.with_name(f".{self._target.name}.{os.getpid()}.new")
            try:
                fresh.write_bytes(document)
                fresh.replace(self._target)
            finally:
                fresh.unlink(missing_ok=True)
        except OSError as exc:
            raise self._refused(exc) from exc

    def _refused(self, exc: OSError) -> SetupError:
        return SetupError(
            f"cannot write the {self._kind} file {self._path}: {exc.strerror or exc}",
            hint="name a file in a folder that you can write",
        )


def write(path: Path, document: bytes, *, kind: str = "JUnit") -> None:
    """Put the document at `path`, as `Target` says. Raises: SetupError."""
    Target(path, kind=kind).put(document)


def _add_case(parent: ET.Element, suite: str, case: Case) -> None:
    element = ET.SubElement(
        parent, "testcase", classname=_legal(suite), name=_legal(case.name), time=f"{case.seconds:.3f}"
    )
    said = _legal("\n".join(case.diagnostics))
    match case.verdict:
        case Verdict.SKIP:
            ET.SubElement(element, "skipped", message=_legal(case.reason))
        case Verdict.XFAIL:
            ET.SubElement(element, "skipped", message=_legal(f"expected failure: {case.reason}".rstrip(": ")))
        case Verdict.FAIL | Verdict.XPASS:
            why = "passed, and was expected to fail" if case.verdict is Verdict.XPASS else "failed"
            message = case.reason or (case.diagnostics[-1] if case.diagnostics else why)
            ET.SubElement(element, "failure", message=_legal(message)).text = said
        case Verdict.PASS:
            if said:
                ET.SubElement(element, "system-out").text = said


def _add_error(parent: ET.Element, suite: str, name: str, text: str) -> None:
    element = ET.SubElement(parent, "testcase", classname=_legal(suite), name=_legal(name), time="0.000")
    ET.SubElement(element, "error", message=_legal(text.partition("\n")[0])).text = _legal(text)


def _legal(text: str) -> str:
    """Write characters that XML cannot hold as their escape, so that a guest's stray bytes stay visible."""
    return _ILLEGAL.sub(lambda m: f"\\x{ord(m[0]):02x}", text)
