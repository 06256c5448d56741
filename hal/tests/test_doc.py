# SPDX-License-Identifier: Apache-2.0
"""The generated page: every statement of the seeds leads to a clause and a test that exist; pictures are current and fit."""

import ast
import itertools
from pathlib import Path

import pytest

from nthal.__main__ import main
from nthal.contract.differences import DIFFERENCES
from nthal.contract.judge import CLAUSES
from nthal.contract.seeds import SEEDS, STATEMENTS
from nthal.contract.trace import EXAMPLES, find_tests, proofs, vector_clauses
from nthal.machine import Machine
from nthal.platforms import FIXTURES
from nthal.types import KIB
from nthal.views import page
from nthal.views.picture import COLUMN_WIDTH, TEXT, Label, grouped, items, lay_out, svg
from nthal.views.scenes import _DEVICE, SCENES

ROOT = Path(__file__).resolve().parents[2]
TESTS = find_tests(ROOT, page.TEST_FOLDERS)
PROOFS = proofs(TESTS)
DOCUMENTS = page.documents(ROOT)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_committed_document_is_what_would_be_generated_now(path):
    assert path.read_text(encoding="utf-8") == DOCUMENTS[path], "run: python -m nthal doc"


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda one: f"{one.seed}.{one.number}")
def test_a_statement_leads_to_clauses_and_each_to_a_test(statement):
    assert statement.clauses
    for clause in statement.clauses:
        assert clause in CLAUSES
        assert PROOFS[clause], f"no test for {clause}"


def test_every_seed_is_traced_from_its_first_to_its_last_paragraph():
    counts = {seed: sum(one.seed == seed for one in STATEMENTS) for seed in SEEDS}
    assert counts == {0: 16, 1: 39, 2: 28, 3: 23, 4: 16}


def test_every_clause_whose_source_is_a_seed_is_stated_by_that_seed():
    stated = {(f"S{one.seed}", clause) for one in STATEMENTS for clause in one.clauses}
    by_source = {
        (word, clause.id)
        for clause in CLAUSES.values()
        for word in clause.source.split()
        if word in {f"S{n}" for n in SEEDS}
    }
    assert by_source - stated == set()


def test_the_tests_named_exist_under_their_ids():
    for path in {test.path for test in TESTS}:
        source = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(source) if isinstance(node, ast.FunctionDef)}
        assert {test.name.partition("[")[0] for test in TESTS if test.path == path} <= functions
    assert sum(test.name.startswith(EXAMPLES) for test in TESTS) == len(CLAUSES)


def test_every_vector_of_the_reference_that_names_a_clause_is_a_test():
    labels = {label for test in TESTS for label in test.labels}
    guest = {f"TV-{number}" for number in range(140, 148)}
    wanted = {f"TV-{int(number[3:]):02d}" for number in vector_clauses()} - guest
    assert wanted - labels == set()


def test_clauses_known_by_examples_only_bind_people_and_not_calls():
    only = {clause for clause, found in PROOFS.items() if all(test.name.startswith(EXAMPLES) for test in found)}
    assert only == {"CB-07", "CB-13", "CB-14", "CB-26", "CB-38", "CB-39", "CB-151"}


def test_the_command_says_what_is_not_current_and_writes_it(tmp_path, capsys):
    for folder in page.TEST_FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
    source = ROOT / "hal/tests/test_clauses.py"
    (tmp_path / "hal/tests/test_clauses.py").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "docs").mkdir()
    assert main(["doc", "--root", str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().out.count("is not current") == 4
    assert main(["doc", "--root", str(tmp_path)]) == 0
    assert main(["doc", "--root", str(tmp_path), "--check"]) == 0


# --- pictures --------------------------------------------------------------------------------------------------------


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


DRAWINGS = {name: lay_out(scene()) for name, scene in SCENES.items()}


@pytest.mark.parametrize("drawing", DRAWINGS.values(), ids=DRAWINGS)
def test_nothing_overlaps_and_everything_is_inside(drawing):
    blocks = [(b.x, b.y, b.x + COLUMN_WIDTH, b.y + b.height) for b in drawing.blocks]
    texts = [label.box for label in drawing.labels]
    for box in blocks + texts:
        assert box[0] >= 0
        assert box[1] >= 0
        assert box[2] <= drawing.width
        assert box[3] <= drawing.height
    for a, b in itertools.combinations(blocks, 2):
        assert not overlap(a, b)
    for a, b in itertools.combinations(texts, 2):
        assert not overlap(a, b)
    for label, text in zip(drawing.labels, texts, strict=True):
        for block in blocks:
            inside = block[0] <= text[0] and block[1] <= text[1] and text[2] <= block[2] and text[3] <= block[3]
            assert inside or not overlap(block, text), label


@pytest.mark.parametrize("drawing", DRAWINGS.values(), ids=DRAWINGS)
def test_bands_begin_and_end_at_blocks(drawing):
    lefts = {(block.x, block.y, block.y + block.height) for block in drawing.blocks}
    assert drawing.bands
    for band in drawing.bands:
        assert (band.x2, band.top2, band.bottom2) in lefts
        assert any(
            b.x + COLUMN_WIDTH == band.x1 and b.y <= band.top1 and band.bottom1 <= b.y + b.height + 0.01
            for b in drawing.blocks
        )


def test_the_picture_says_what_the_machine_holds():
    machine = SCENES["contract-map-registers"]()
    shown = items(machine)
    assert [item.text for item in shown] == ["12288 bytes", "100 bytes", "packet, 8192 bytes"]
    assert [item.registers.count for item in shown] == [3, 1, 2]
    text = svg(lay_out(machine))
    for buffer in machine.bus.buffers():
        for address in (buffer.va, buffer.la, buffer.frames.pa(0)):
            assert f">{grouped(int(address))}<" in text
    assert "registers 0 to 2" in text


def test_a_bounced_transfer_shows_both_copies():
    shown = items(SCENES["contract-bounce"]())
    assert [bool(item.copied_from) for item in shown] == [False, False, True, True]
    assert shown[2].copied_from[0].start == 0x123456
    assert "(the program's)" in svg(lay_out(SCENES["contract-bounce"]()))


@pytest.mark.parametrize("platform", [p for p in FIXTURES.values() if p.name != "frag"], ids=lambda one: one.name)
def test_an_empty_machine_can_be_drawn_on_every_platform(platform):
    drawing = lay_out(Machine(platform))
    assert not drawing.blocks
    assert svg(drawing).startswith("<svg")


def test_a_label_is_as_wide_as_its_text():
    assert Label(0, 20, "x" * 10).box[2] == pytest.approx(10 * TEXT * 0.62)
    assert _DEVICE.maximum_length == 64 * KIB


@pytest.mark.parametrize("one", DIFFERENCES, ids=lambda one: one.clauses[0])
def test_a_difference_stands_on_the_page_with_both_sources_the_reason_and_its_switch(one):
    _, _, after = DOCUMENTS[ROOT / "docs" / "contract.md"].partition("## Differences")
    (row,) = [line for line in after.splitlines() if line.startswith("|") and f"| {one.subject} |" in line]
    for due in (one.one, one.other, one.model, one.switch, *one.clauses):
        assert due in row
