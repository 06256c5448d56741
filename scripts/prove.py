#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Break each bit of the register table, see which case of the behaviour suite notices, and write that down.

For every field of every chip: each of its bits is stuck at 0, then at 1, and the cases that claim to prove the field
run on the broken chip. The fewest cases that together notice every fault go to `lab/card/proofs.json`, which
`plx9x5x regs --ledger` prints. A field whose faults are not all noticed is listed, and the exit code is 1.

A fault that cannot be one is left out: a bit stuck at the only value that it ever has.
"""

import argparse
import functools
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "device"))

from plx9x5x.lab.card import ledger  # noqa: E402
from plx9x5x.regs import catalog  # noqa: E402
from plx9x5x.regs.catalog import Listed  # noqa: E402
from plx9x5x.regs.kernel import Field  # noqa: E402
from plx9x5x.regs.profile import PROFILES  # noqa: E402
from tests.behaviour.collect import all_cases  # noqa: E402
from tests.behaviour.driver import Case  # noqa: E402
from tests.behaviour.faults import NOTHING_BEHIND, Stuck, can_happen, faults_of, survives  # noqa: E402
from tests.behaviour.in_process import InProcess  # noqa: E402

PLACE = ROOT / "device/plx9x5x/lab/card" / ledger.PROOFS


@functools.cache
def cost(name: str, chip: str) -> int:
    """Register accesses that a case makes on a sound chip: what it costs, the same on every machine."""
    driver = InProcess(chip)
    all_cases()[name].body(driver)
    return len(driver.trace.accesses)


def prove(chip: str, listed: Listed, field: Field[object]) -> tuple[list[Case], list[Stuck]]:
    """Give the cases that notice the faults of a field, telling ones first, and the faults that none notices."""
    name = f"{listed.name}.{field.name}"
    claiming = [case for case in all_cases().values() if name in case.proves and chip in case.chips]
    claiming.sort(key=lambda case: (cost(case.name, chip), case.name))
    faults = [stuck for stuck in faults_of(listed.register, field) if can_happen(chip, stuck)]
    missed, used = faults, list[Case]()
    for case in claiming:
        left = [stuck for stuck in missed if survives(case, chip, stuck)]
        if len(left) < len(missed):
            used.append(case)
        missed = left
        if not missed:
            break
    if all(case.generic for case in used):
        # What a field keeps is known; is there a case that knows what it does?
        telling = (case for case in claiming if not case.generic)
        found = next((case for case in telling if not all(survives(case, chip, stuck) for stuck in faults)), None)
        used = [found, *used] if found else used
    return sorted(used, key=lambda case: case.generic), missed


Chapter = dict[str, dict[str, list[str]]]


def fields(chip: str) -> Iterator[tuple[str, Listed, Field[object]]]:
    """Give every field that is to be proved on a chip, with its name."""
    profile = PROFILES[chip]
    for listed in catalog.on(profile):
        for field in listed.register.fields_on(profile.chip):
            if not field.absent:
                yield f"{listed.name}.{field.name}", listed, field


def prove_chip(chip: str) -> tuple[Chapter, list[str]]:
    """Give what `proofs.json` is to hold of a chip, and a line for each field that is not proved."""
    chapter: Chapter = {state.value: {} for state in (ledger.State.MODELLED, ledger.State.STORED)}
    gaps = []
    for name, listed, field in fields(chip):
        cases, missed = prove(chip, listed, field)
        if missed or not cases:
            gaps.append(f"{chip} {name}: " + (", ".join(map(str, missed[:4])) if cases else "no case claims it"))
            continue
        stored = name in NOTHING_BEHIND or all(case.generic for case in cases)
        kind = ledger.State.STORED if stored else ledger.State.MODELLED
        chapter[kind.value][name] = [case.name for case in cases]
    return chapter, gaps


def check_chip(chip: str) -> list[str]:
    """Give a line for each field whose recorded cases do not notice every one of its faults any more."""
    recorded = ledger.proofs(chip)
    gaps = []
    for name, listed, field in fields(chip):
        proof = recorded.get(name)
        if proof is None:
            gaps.append(f"{chip} {name}: not recorded")
            continue
        cases = [all_cases().get(case) for case in proof.cases]
        known = [case for case in cases if case is not None and name in case.proves]
        stored = name in NOTHING_BEHIND or all(case.generic for case in known)
        if len(known) < len(cases) or proof.modelled is stored:
            gaps.append(f"{chip} {name}: its cases have changed")
            continue
        faults = [stuck for stuck in faults_of(listed.register, field) if can_happen(chip, stuck)]
        missed = [stuck for stuck in faults if all(survives(case, chip, stuck) for case in known)]
        if missed:
            gaps.append(f"{chip} {name}: " + ", ".join(map(str, missed[:4])))
    return gaps


def main() -> int:
    """Prove every chip, or some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chip", action="append", choices=tuple(PROFILES), help="only this one (may be repeated)")
    parser.add_argument("--check", action="store_true", help="write nothing: try what is recorded")
    args = parser.parse_args()
    chips = args.chip or tuple(PROFILES)
    gaps = []
    with ProcessPoolExecutor() as pool:
        if args.check:
            for missing in pool.map(check_chip, chips):
                gaps += missing
        else:
            recorded = json.loads(PLACE.read_text()) if PLACE.is_file() else {}
            for chip, (chapter, missing) in zip(chips, pool.map(prove_chip, chips), strict=True):
                recorded[chip] = chapter
                gaps += missing
            PLACE.write_text(json.dumps(recorded, indent=0, sort_keys=True) + "\n")
    for gap in gaps:
        print(gap)
    print(f"{len(gaps)} fields are not proved" if gaps else "every field is proved")
    if gaps and args.check:
        print("mend the cases, or record anew what they prove: make prove")
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
