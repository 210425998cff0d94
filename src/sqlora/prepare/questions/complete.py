"""Which parts of a query the rules have words for; whatever else a node has, nobody would read of."""

from __future__ import annotations

from sqlglot import exp

from sqlora.prepare.questions.scope import NoQuestionError
from sqlora.sql.finding import kind_of

ALWAYS = frozenset({"this", "expression", "expressions"})

# Parts beside `ALWAYS` that are said, or that change nothing of what is asked.
_SAID: dict[type[exp.Expr], frozenset[str]] = {
    kind: frozenset(parts.split())
    for kind, parts in {
        exp.Select: "with_ from_ joins where group having order limit offset distinct",
        exp.SetOperation: "with_ order distinct",
        exp.Subquery: "alias",
        exp.CTE: "alias",
        exp.Table: "db catalog alias",
        exp.Column: "table db catalog",
        exp.Identifier: "quoted",
        exp.Alias: "alias",
        exp.Literal: "is_string",
        exp.Join: "on using side kind method",
        exp.Group: "all",
        exp.Ordered: "desc nulls_first",
        exp.Fetch: "count direction",
        exp.Is: "negate",
        exp.Like: "negate",
        exp.ILike: "negate",
        exp.In: "query negate",
        exp.Between: "low high negate",
        exp.Case: "ifs default",
        exp.If: "true false",
        exp.Cast: "to",
        exp.TryCast: "to requires_string",
        exp.Interval: "unit",
        exp.TimestampTrunc: "unit input_type_preserved",
        exp.DateTrunc: "unit unabbreviate",
        exp.DateAdd: "unit",
        exp.DateSub: "unit",
        exp.DateDiff: "unit big_int date_part_boundary",
        exp.TsOrDsAdd: "unit return_type",
        exp.TsOrDsToDate: "safe",
        exp.Round: "decimals casts_non_integer_decimals",
        exp.Window: "partition_by order over",
        exp.Count: "big_int",
        exp.CountIf: "zero_on_all_null",
        exp.GroupConcat: "separator",
        exp.Concat: "safe coalesce",
        exp.Div: "typed safe",
        exp.Length: "encoding",
    }.items()
}


def require_complete(tree: exp.Expr) -> None:
    """NoQuestionError for a part of a node that the rules do not look at, such as WITH RECURSIVE or TABLESAMPLE."""
    for node in tree.walk(prune=lambda node: isinstance(node, exp.DataType)):
        if isinstance(node, exp.DataType):
            continue
        said = next((parts for kind, parts in _SAID.items() if isinstance(node, kind)), frozenset())
        for part, value in node.args.items():
            if part not in ALWAYS and part not in said and value not in (None, False, [], ""):
                if isinstance(node, exp.Func):
                    raise NoQuestionError("such a use of the function", node)
                raise NoQuestionError(f"{part.strip('_').replace('_', ' ').upper()} of {kind_of(node)}")
