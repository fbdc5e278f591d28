"""The block `audit`: common keys, and what the checks declare. And the block `forget`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import create_model

from lamol_core.audit.limits import Limit
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.spec import Check
from lamol_core.config.section import Count, Section


class _Common(Section):
    """What is asked of pseudo-samples before they are trained on."""

    ask_teacher: bool = False
    batch_size: Count = 256
    show_real_rows: bool = False
    min_rows: Count = 30
    limits: Section = Section()
    """The limits of all checks, by figure; docs/audit.md defines each."""

    def limit(self, figure: str) -> Limit:
        """Of a check's figure."""
        limit: Limit = getattr(self.limits, figure)
        return limit

    def own(self, check: Check[Any]) -> Section:
        """The check's own block, `audit.<name>`; empty where it has no parameters."""
        own: Section = getattr(self, check.name, Section())
        return own


if TYPE_CHECKING:
    AuditParams = _Common
else:
    _limits = {figure: limit for check in CHECKS for figure, limit in check.limits.items()}
    _blocks = {
        "limits": create_model(
            "AuditLimits",
            __base__=Section,
            **{figure: (type(limit), limit) for figure, limit in _limits.items()},
        ),
        **{check.name: check.Params for check in CHECKS if check.Params is not Section},
    }
    AuditParams = create_model(
        "AuditParams",
        __base__=_Common,
        **{name: (block, block()) for name, block in _blocks.items()},
    )


class ForgetParams(Section):
    """The block `forget`. `keep_fingerprint`: keyed hashes of forgotten rows, for later audits."""

    keep_fingerprint: bool = False
