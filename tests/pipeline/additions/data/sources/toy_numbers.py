"""Numbers, odd and even."""

from collections.abc import Hashable
from pathlib import Path
from typing import Literal

from lamol_core.config.section import Count
from lamol_core.data.columns import Table
from lamol_core.data.sources.spec import SourceSpec


class ToyNumbers(SourceSpec):
    """The first `rows` numbers."""

    kind: Literal["toy_numbers"]
    rows: Count

    def read(self, root: Path) -> dict[str, Table]:
        cells = [
            (i, {"input": f"say if {i} is odd", "target": ("even", "odd")[i % 2]})
            for i in range(self.rows)
        ]
        return {"train": Table("numbers", "row", ["input", "target"], cells)}

    def locations(self, root: Path) -> set[Hashable]:
        return {self.kind}
