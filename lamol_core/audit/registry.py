"""All checks, in the order in which pages and tables show them."""

from typing import Any

from lamol_core.audit.checks.canaries import Canaries
from lamol_core.audit.checks.copies import Copies
from lamol_core.audit.checks.correctness import Correctness
from lamol_core.audit.checks.drift import Drift
from lamol_core.audit.checks.faithfulness import Faithfulness
from lamol_core.audit.checks.memorisation import Memorisation
from lamol_core.audit.checks.personal_data import PersonalData
from lamol_core.audit.checks.provenance import ProvenanceCheck
from lamol_core.audit.checks.validity import Validity
from lamol_core.audit.checks.variety import Variety
from lamol_core.audit.spec import Check

CHECKS: tuple[Check[Any], ...] = (
    Memorisation(),
    Canaries(),
    PersonalData(),
    ProvenanceCheck(),
    Validity(),
    Copies(),
    Variety(),
    Correctness(),
    Faithfulness(),
    Drift(),
)
