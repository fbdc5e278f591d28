"""Every check, in the order in which they are told."""

from __future__ import annotations

from lamol_core.audit.checks.canaries import Canaries, Scored
from lamol_core.audit.checks.copies import Copies
from lamol_core.audit.checks.drift import Drift
from lamol_core.audit.checks.faithfulness import Asked, Faithfulness
from lamol_core.audit.checks.memorisation import Memorisation
from lamol_core.audit.checks.personal_data import PersonalData
from lamol_core.audit.checks.provenance import Decode, ProvenanceCheck
from lamol_core.audit.checks.validity import Validity
from lamol_core.audit.checks.variety import Variety
from lamol_core.audit.spec import Check


def build_checks(
    decode: Decode | None = None, asked: Asked | None = None, scored: Scored | None = None
) -> list[Check]:
    """`decode` turns a row's ids into its text; `asked` and `scored` are the teacher, where it may
    be asked."""
    return [
        Memorisation(),
        Canaries(scored),
        PersonalData(),
        ProvenanceCheck(decode),
        Validity(),
        Copies(),
        Variety(),
        Faithfulness(asked),
        Drift(),
    ]
