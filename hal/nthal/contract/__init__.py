# SPDX-License-Identifier: Apache-2.0
"""The contract as data: every clause with a check, predictions, and judgement of what was observed anywhere."""

from nthal.contract.clause import Clause, Fact, Kind, Verdict
from nthal.contract.judge import CLAUSES, Judgement, check, summary, unjudged, violations
from nthal.contract.observation import Access, BadObservation, Observation, from_json_lines, from_record
from nthal.contract.predict import Prediction, Request, predict

# fmt: off
__all__ = [
    "CLAUSES", "Access", "BadObservation", "Clause", "Fact", "Judgement", "Kind", "Observation", "Prediction",
    "Request", "Verdict", "check", "from_json_lines", "from_record", "predict", "summary", "unjudged", "violations",
]
# fmt: on
