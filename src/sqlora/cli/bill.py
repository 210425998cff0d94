"""The bill of a training: shown before a cent is spent, and confirmed when it is a large one."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from sqlora.errors import ConflictError

if TYPE_CHECKING:
    from sqlora.cost.model import Option


def show_bill(bill: Option) -> None:
    """Its lines on standard error, so that the answer stays alone on standard output."""
    from sqlora.cli.output import printable
    from sqlora.cost.model import dollars

    click.echo(f"{click.style('bill:', bold=True)} {dollars(bill.total)} on {bill.name}", err=True)
    for line in bill.lines:
        note = f"  ({line.note})" if line.note else ""
        click.echo(printable(f"  {line.name}: {dollars(line.amount)} = {line.formula}{note}"), err=True)
    if bill.note:
        click.echo(printable(f"  {bill.note}"), err=True)


def confirm_bill(bill: Option, limit: Decimal, yes: bool, interactive: bool) -> None:
    """Go on only with a bill up to ``limit`` dollars, or one that somebody agrees to.

    A bill with a price that nobody knows counts as above any limit. ConflictError when there is nobody to ask.
    """
    from sqlora.cost.model import dollars

    if yes or (bill.total is not None and bill.total <= limit):
        return
    if not interactive or not sys.stdin.isatty():
        raise ConflictError(
            f"nothing was spent: {dollars(bill.total)} is above confirm_above = {limit} dollars and was not confirmed",
            "the same command with --yes, or raise [aws] confirm_above in sqlora.toml",
        )
    click.confirm(f"Spend {dollars(bill.total)}?", abort=True, err=True)
