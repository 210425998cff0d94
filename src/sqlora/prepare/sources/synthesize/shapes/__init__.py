"""What kinds of questions there are, and how often each is asked. Ordinary business questions dominate."""

from __future__ import annotations

from collections.abc import Callable

from sqlora.prepare.sources.synthesize.grammar import Draft, Grammar
from sqlora.prepare.sources.synthesize.shapes import (
    comparisons,
    details,
    figures,
    listings,
    lookups,
    membership,
    rankings,
)

Shape = Callable[[Grammar], Draft | None]

SHAPES: tuple[tuple[Shape, float], ...] = (
    (figures.scalar, 13),
    (figures.breakdown, 13),
    (figures.breakdown_by_two, 4.5),
    (figures.two_figures, 2),
    (figures.filled, 0.8),
    (figures.extremes, 1.5),
    (figures.by_quarter, 1.6),
    (figures.having, 3.2),
    (figures.grew, 0.7),
    (rankings.top, 8),
    (rankings.the_one, 6.5),
    (rankings.top_rows, 3),
    (rankings.the_one_row, 3),
    (listings.listing, 10),
    (listings.count, 8),
    (listings.with_columns, 4.5),
    (listings.sorted_listing, 2),
    (listings.distinct, 2),
    (listings.above_average, 2.5),
    (lookups.attribute, 5),
    (lookups.extreme_date, 1.5),
    (lookups.by_key, 2),
    (membership.has, 4),
    (membership.never, 4.5),
    (membership.more_than, 3),
    (membership.count_having, 1.2),
    (membership.both, 0.5),
    (comparisons.share, 4),
    (comparisons.share_breakdown, 2),
    (comparisons.two_periods, 4.5),
    (comparisons.change, 1.5),
    (comparisons.two_values, 2),
    (comparisons.above_average_group, 1.5),
    (comparisons.per_each, 2),
    (comparisons.union_of_columns, 0.6),
    (details.fact_rows, 1.8),
    (details.where_it_lies, 0.9),
    (details.dates_by, 0.8),
    (details.banded, 0.4),
    (details.with_none, 0.5),
    (details.known_only, 0.5),
)
