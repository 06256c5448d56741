#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Break each bit of the register table, see which case of the behaviour suite notices, and write that down.

For every field of every chip: each of its bits is stuck at 0, then at 1, and the cases that claim to prove the field
run on the broken chip. The fewest cases that together notice every fault go to `lab/proofs.json`, which
`plx9x5x regs --ledger` prints. A field whose faults are not all noticed is listed, and the exit code is 1.

A fault that cannot be one is left out: a bit stuck at the only value that it ever has.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "device"))

from plx9x5x.lab import ledger  # noqa: E402
from plx9x5x.regs import catalog  # noqa: E402
from plx9x5x.regs.catalog import Listed  # noqa: E402
from plx9x5x.regs.kernel import Field  # noqa: E402
from plx9x5x.regs.profile import PROFILES  # noqa: E402
from tests.behaviour.collect import all_cases  # noqa: E402
from tests.behaviour.driver import Case  # noqa: E402
from tests.behaviour.faults import Stuck, can_happen, faults_of, survives  # noqa: E402

PLACE = ROOT / "device/plx9x5x/lab" / ledger.PROOFS


def claims(chip: str, name: str) -> list[Case]:
    """Cases that claim to prove a field on a chip, those about what it does before those about storage."""
    found = [case for case in all_cases().values() if name in case.proves and chip in case.chips]
    return sorted(found, key=lambda case: (case.generic, case.name))


def prove(chip: str, listed: Listed, field: Field[object]) -> tuple[list[Case], list[Stuck]]:
    """Give the cases that notice the faults of a field, and the faults that none notices."""
    cases = claims(chip, f"{listed.name}.{field.name}")
    missed = [stuck for stuck in faults_of(listed.register, field) if can_happen(chip, stuck)]
    used = []
    for case in cases:
        left = [stuck for stuck in missed if survives(case, chip, stuck)]
        if len(left) < len(missed):
            used.append(case)
        missed = left
        if not missed:
            break
    return used, missed


def main() -> int:
    """Prove every chip, or some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chip", action="append", choices=tuple(PROFILES), help="only this one (may be repeated)")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    recorded = json.loads(PLACE.read_text()) if PLACE.is_file() else {}
    unproved = 0
    for chip in args.chip or PROFILES:
        book: dict[str, dict[str, list[str]]] = {
            state.value: {} for state in (ledger.State.MODELLED, ledger.State.STORED)
        }
        for listed in catalog.on(PROFILES[chip]):
            for field in listed.register.fields_on(PROFILES[chip].chip):
                if field.absent:
                    continue
                name = f"{listed.name}.{field.name}"
                cases, missed = prove(chip, listed, field)
                if missed or not cases:
                    unproved += 1
                    print(f"{chip} {name}: " + (", ".join(map(str, missed[:4])) if cases else "no case claims it"))
                    continue
                kind = ledger.State.STORED if all(case.generic for case in cases) else ledger.State.MODELLED
                book[kind.value][name] = [case.name for case in cases]
        recorded[chip] = book
    if not args.check:
        PLACE.write_text(json.dumps(recorded, indent=0, sort_keys=True) + "\n")
    print(f"{unproved} fields are not proved" if unproved else "every field is proved")
    return 1 if unproved else 0


if __name__ == "__main__":
    sys.exit(main())
