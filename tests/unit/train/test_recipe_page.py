"""docs/reference/recipes.md says what the built-in recipes are."""

from __future__ import annotations

from pathlib import Path

from sqlora.train.recipe import BUILT_IN, Recipe

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "recipes.md"


def test_the_page_lists_every_value_of_every_recipe() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines() if "|" in line
    ]
    names = rows[0][1:-1]
    assert names == list(BUILT_IN)
    said = {row[0].strip("`"): row[1:-1] for row in rows[2:]}
    assert set(said) == set(Recipe.model_fields) - {"name"}
    for key, cells in said.items():
        for name, cell in zip(names, cells, strict=True):
            value = getattr(BUILT_IN[name], key)
            assert (None if cell == "none" else float(cell)) == value, f"{key} of {name}"
