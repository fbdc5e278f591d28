"""The block `audit`."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import field_validator, model_validator

from lamol_core.config.section import Count, Section


class Limit(Section):
    """Beyond `warn` a figure is worth a look, beyond `fail` the table is not fit for training."""

    warn: float
    fail: float
    sign: ClassVar[int] = 1
    """-1 where low figures are the bad ones."""

    @model_validator(mode="after")
    def _fail_is_beyond_warn(self) -> Self:
        if self.sign * self.fail < self.sign * self.warn:
            side = "below" if self.sign > 0 else "above"
            raise ValueError(
                f"fail {self.fail:g} is {side} warn {self.warn:g}, a figure would fail before it "
                "warns; swap them"
            )
        return self


class LowLimit(Limit):
    """Of a figure that is bad where it is low."""

    sign: ClassVar[int] = -1


class AuditLimits(Section):
    """The thresholds of the audit's figures; docs/audit.md defines each."""

    rejected_share: Limit = Limit(warn=0.3, fail=0.8)
    truncated_share: Limit = Limit(warn=0.1, fail=0.5)
    duplicate_excess: Limit = Limit(warn=0.2, fail=0.5)
    near_duplicate_excess: Limit = Limit(warn=0.3, fail=0.6)
    distinct_2_ratio: LowLimit = LowLimit(warn=0.6, fail=0.3)
    compression_ratio: LowLimit = LowLimit(warn=0.6, fail=0.3)
    self_bleu_excess: Limit = Limit(warn=20.0, fail=50.0)
    unknown_label_share: Limit = Limit(warn=0.02, fail=0.2)
    label_variation_excess: Limit = Limit(warn=0.1, fail=0.4)
    length_excess: Limit = Limit(warn=0.1, fail=0.4)
    disagreement_share: Limit = Limit(warn=0.2, fail=0.5)
    copied_excess: Limit = Limit(warn=0.01, fail=0.05)
    repeated_share: Limit = Limit(warn=0.0, fail=0.2)
    overlap_excess: Limit = Limit(warn=0.05, fail=0.15)
    extracted_share: Limit = Limit(warn=0.0, fail=0.01)
    personal_share: Limit = Limit(warn=0.0, fail=1.0)
    replayed_personal_share: Limit = Limit(warn=0.0, fail=0.0)
    drift_auc: Limit = Limit(warn=0.85, fail=0.98)
    broken_share: Limit = Limit(warn=0.0, fail=0.0)
    foreign_code: Limit = Limit(warn=0.0, fail=1.0)
    canary_share: Limit = Limit(warn=0.0, fail=0.1)
    exposure: Limit = Limit(warn=5.0, fail=8.0)


class AuditParams(Section):
    """What is asked of pseudo-samples before they are trained on."""

    ask_teacher: bool = False
    batch_size: Count = 256
    show_real_rows: bool = False
    min_rows: Count = 30
    phone_regions: tuple[str, ...] = ("US",)
    limits: AuditLimits = AuditLimits()

    @field_validator("phone_regions", mode="before")
    @classmethod
    def _countries(cls, value: object) -> object:
        """Upper case; YAML 1.1 reads Norway's code as false."""
        if not isinstance(value, list | tuple):
            return value
        codes = tuple("NO" if one is False else str(one).upper() for one in value)
        if codes == ("US",):  # the usual one takes no library to check
            return codes
        from phonenumbers import SUPPORTED_REGIONS

        unknown = [code for code in codes if code not in SUPPORTED_REGIONS]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: no country of ISO 3166 in two letters, like US or GB"
            )
        return codes


class ForgetParams(Section):
    """The block `forget`. `keep_fingerprint`: keyed hashes of forgotten rows, for later audits."""

    keep_fingerprint: bool = False
