"""What other models or other prices would have cost, from calls that were recorded.

`what_if` prices recorded calls on another model, `reprice` at other prices, `cheapest` ranks candidates by what they would
have saved. `read` and `Record` bring in the calls: spans, JSON Lines, mappings. Everything works on copies: telemetry is
never rewritten, and no model is ever switched.
"""

from __future__ import annotations

from langmeter.pricing.whatif.candidates import Candidate, cheapest
from langmeter.pricing.whatif.projection import what_if
from langmeter.pricing.whatif.record_files import Records, read
from langmeter.pricing.whatif.record_keys import RecordError, RecordProblem
from langmeter.pricing.whatif.records import Record
from langmeter.pricing.whatif.repricing import ModelRepricing, RepricedRecord, Repricing, reprice
from langmeter.pricing.whatif.results import Bounds, Counts, ModelWhatIf, RecordWhatIf, WhatIf

__all__ = [
    "Bounds",
    "Candidate",
    "Counts",
    "ModelRepricing",
    "ModelWhatIf",
    "Record",
    "RecordError",
    "RecordProblem",
    "RecordWhatIf",
    "Records",
    "RepricedRecord",
    "Repricing",
    "WhatIf",
    "cheapest",
    "read",
    "reprice",
    "what_if",
]
