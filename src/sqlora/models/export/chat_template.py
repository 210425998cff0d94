"""A chat template (Jinja) → Ollama's (Go), by what it writes around what is said.

Almost every template puts a text before and a text after each message, by its role, and one at the end that begins the
answer. They are read off four rendered conversations and checked against the template on others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlora.errors import ModelError

ROLES = ("system", "user", "assistant")
# Turns of a conversation, by the first letters of their roles.
CHECKED = ("u", "su", "uau", "suau", "suauau")


@dataclass(frozen=True)
class Frame:
    """Texts around messages: ``opening`` begins a prompt without a system text, ``answer`` begins the answer."""

    opening: str
    before: dict[str, str]
    after: dict[str, str]
    answer: str

    def render(self, chat: Sequence[dict[str, str]]) -> str:
        """The prompt of a chat, as the template that the frame was read from writes it."""
        said = "".join(self.before[turn["role"]] + turn["content"] + self.after[turn["role"]] for turn in chat)
        return ("" if chat[0]["role"] == "system" else self.opening) + said + self.answer


def read_frame(tokenizer: Any) -> Frame:
    """That of a tokenizer's template; ModelError for a template that does more than put texts around messages."""
    try:
        whole = _pieces(tokenizer, "suau", True)  # [s] system [u] user [a] assistant [u] user [answer]
        user_end = _pieces(tokenizer, "su", False)[-1]
        assistant_end = _pieces(tokenizer, "sua", False)[-1]
        before = {
            "system": whole[0],
            "user": _without(whole[3], assistant_end),
            "assistant": _without(whole[2], user_end),
        }
        after = {"user": user_end, "assistant": assistant_end, "system": _without_end(whole[1], before["user"])}
        opening = _without_end(_pieces(tokenizer, "u", True)[0], before["user"])
        frame = Frame(opening, before, after, _without(whole[4], user_end))
        same = all(frame.render(_chat(roles)) == _render(tokenizer, _chat(roles), True) for roles in CHECKED)
    except ValueError:
        same = False
    if not same:
        raise ModelError(
            "the model's chat template does more than put texts around messages, so it can't be written as Ollama's",
            "--format gguf: the file has the template itself, which llama.cpp reads",
        )
    return frame


def go_template(frame: Frame) -> str:
    """The frame as a template of Ollama (https://docs.ollama.com/modelfile#template)."""
    roles = "".join(
        f'{{{{ {"if" if place == 0 else "else if"} eq .Role "{role}" }}}}'
        f"{_literal(frame.before[role])}{{{{ .Content }}}}{_literal(frame.after[role])}"
        for place, role in enumerate(ROLES)
    )
    opening = f"{{{{ if not .System }}}}{_literal(frame.opening)}{{{{ end }}}}" if frame.opening else ""
    return f"{opening}{{{{ range .Messages }}}}{roles}{{{{ end }}}}{{{{ end }}}}{_literal(frame.answer)}"


def _literal(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')


def _chat(roles: str) -> list[dict[str, str]]:
    """A chat whose texts are marks that no template has."""
    names = {role[0]: role for role in ROLES}
    return [{"role": names[letter], "content": f"\ue000{place}\ue001"} for place, letter in enumerate(roles)]


def _pieces(tokenizer: Any, roles: str, answer: bool) -> list[str]:
    """What is written before, between and after the messages; ValueError unless each comes out once, in order."""
    text = _render(tokenizer, _chat(roles), answer)
    parts = re.split("\ue000([0-9]+)\ue001", text)
    if parts[1::2] != [str(place) for place in range(len(roles))]:
        raise ValueError("messages are lost, repeated or moved")
    return parts[::2]


def _render(tokenizer: Any, chat: list[dict[str, str]], answer: bool) -> str:
    from jinja2 import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=answer)
    except TemplateError as error:  # raise_exception() of a template: no system text, say
        raise ValueError(str(error)) from error
    return text


def _without(text: str, start: str) -> str:
    if not text.startswith(start):
        raise ValueError(f"{text!r} does not begin with {start!r}")
    return text[len(start) :]


def _without_end(text: str, end: str) -> str:
    if not text.endswith(end):
        raise ValueError(f"{text!r} does not end with {end!r}")
    return text[: len(text) - len(end)]
