"""The block `audit`, with common keys and those that the checks declare, and the block `forget`."""

from typing import TYPE_CHECKING, Any

from pydantic import create_model

from lamol_core.audit.limits import Limit
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.spec import Check
from lamol_core.config.section import Count, Section


class _Common(Section):
    """What the audit computes, and its limits.

    Attributes:
        ask_teacher: Let the teacher answer the input of each row too.
        batch_size: Rows that the teacher answers at once.
        show_real_rows: Write a page with real rows beside the samples, `.lamol/audit/TASK.html`.
        min_rows: A task with fewer pseudo rows is not judged alone.
        limits: For each figure the value beyond which it warns, and the value beyond which it
            fails.
    """

    ask_teacher: bool = False
    batch_size: Count = 256
    show_real_rows: bool = False
    min_rows: Count = 30
    limits: Section = Section()

    def limit(self, figure: str) -> Limit:
        """Return the limits of a figure."""
        limit: Limit = getattr(self.limits, figure)
        return limit

    def own(self, check: Check[Any]) -> Section:
        """Return the check's own block, `audit.<name>`; an empty Section where it has no
        parameters."""
        own: Section = getattr(self, check.name, Section())
        return own


if TYPE_CHECKING:
    AuditParams = _Common
else:
    _limits = {
        figure: (type(limit), limit) for check in CHECKS for figure, limit in check.limits.items()
    }
    _blocks = {check.name: check.Params for check in CHECKS if check.Params is not Section}
    _blocks["limits"] = create_model("AuditLimits", __base__=Section, **_limits)
    _fields = {name: (block, block()) for name, block in _blocks.items()}
    AuditParams = create_model("AuditParams", __base__=_Common, **_fields)


class ForgetParams(Section):
    """What `lamol forget` keeps.

    Attributes:
        keep_fingerprint: Keep keyed hashes of the removed rows for later audits.
    """

    keep_fingerprint: bool = False
