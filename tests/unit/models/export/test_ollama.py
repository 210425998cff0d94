"""ollama: the Modelfile says what the base model's own chat template and tokenizer say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sqlora.errors import ModelError
from sqlora.models.export import export_model
from sqlora.models.export.chat_template import go_template, read_frame
from tests.tiny import byte_tokenizer
from tests.unit.models.export.conftest import Tuned

MODELFILE = '''# shop: ollama create shop -f Modelfile
FROM ./shop.gguf
TEMPLATE """{{ range .Messages }}{{ if eq .Role "system" }}<|im_start|>system
{{ .Content }}<|im_end|>
{{ else if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" }}<|im_start|>assistant
{{ .Content }}<|im_end|>
{{ end }}{{ end }}<|im_start|>assistant
"""
SYSTEM """You write larkql.
region(region_id, region_name)"""
PARAMETER stop "<|im_end|>"
PARAMETER temperature 0
PARAMETER repeat_penalty 1.0
PARAMETER num_ctx 4096
PARAMETER num_predict 256
'''


def test_the_modelfile(llama: Tuned, tmp_path: Path) -> None:
    made = export_model(llama.source, "ollama", tmp_path / "out")
    assert (made.folder / "Modelfile").read_text() == MODELFILE
    assert set(made.files) == {"Modelfile", "shop.gguf", "sqlora.json", "system.txt"}


def test_several_models_share_the_bases_file(llama: Tuned, tmp_path: Path) -> None:
    made = [
        export_model(replace(llama.source, name=name), "ollama", tmp_path / name, adapter_only=True)
        for name in ("one", "two")
    ]
    assert "FROM ./base.gguf\nADAPTER ./one-adapter.gguf\n" in (made[0].folder / "Modelfile").read_text()
    assert len({(each.folder / "base.gguf").read_bytes() for each in made}) == 1


def test_every_token_that_ends_an_answer_is_a_stop(tuned: Tuned, tmp_path: Path) -> None:
    text = (export_model(tuned.source, "ollama", tmp_path / "out").folder / "Modelfile").read_text()
    stops = [line for line in text.splitlines() if line.startswith("PARAMETER stop")]
    assert stops[0] == 'PARAMETER stop "<|im_end|>"'
    assert ('PARAMETER stop "<|endoftext|>"' in stops) == (tuned.source.base.config["model_type"] == "qwen2")


TEMPLATES = {
    "smollm2": (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
        "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        '{{ if not .System }}<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face'
        '<|im_end|>\n{{ end }}{{ range .Messages }}{{ if eq .Role "system" }}<|im_start|>system\n{{ .Content }}'
        '<|im_end|>\n{{ else if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n'
        '{{ else if eq .Role "assistant" }}<|im_start|>assistant\n{{ .Content }}<|im_end|>\n{{ end }}{{ end }}'
        "<|im_start|>assistant\n",
    ),
    "llama3": (
        "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
        "{{ m.content | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
        None,
    ),
    "braces": (
        "{% for m in messages %}{{ '{{' + m.role + '}} ' + m.content + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '{{assistant}} ' }}{% endif %}",
        '{{ range .Messages }}{{ if eq .Role "system" }}{{ "{{" }}system}} {{ .Content }}\n'
        '{{ else if eq .Role "user" }}{{ "{{" }}user}} {{ .Content }}\n'
        '{{ else if eq .Role "assistant" }}{{ "{{" }}assistant}} {{ .Content }}\n{{ end }}{{ end }}'
        '{{ "{{" }}assistant}} ',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_of_texts_around_messages(name: str) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template, expected = TEMPLATES[name]
    frame = read_frame(tokenizer)
    if expected is not None:
        assert go_template(frame) == expected
    chat = [
        {"role": role, "content": f"text of {place}"}
        for place, role in enumerate(("system", "user", "assistant", "user", "assistant", "user"))
    ]
    for turns in (chat, chat[:2], chat[1:], chat[1:2]):
        assert frame.render(turns) == tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


@pytest.mark.parametrize(
    "template",
    [
        # the system text goes into the user's turn
        "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ messages[0].content }} {{ m.content }} [/INST]"
        "{% endif %}{% endfor %}",
        # older answers are dropped
        "{% for m in messages %}{% if m.role != 'assistant' %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}",
        # the last turn is written differently
        "{% for m in messages %}<{{ m.role }}{% if loop.last %}!{% endif %}>{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{{ raise_exception('no system') if m.role == 'system' }}{% endfor %}",
    ],
)
def test_templates_that_do_more_are_refused(template: str) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(ModelError, match="more than put texts around") as caught:
        read_frame(tokenizer)
    assert "--format gguf" in (caught.value.next_step or "")


@pytest.mark.parametrize(("system", "words"), [('a """\nb', "three quotation marks"), ("a\u00a0b", r"U\+00A0")])
def test_a_system_text_that_a_modelfile_loses(llama: Tuned, tmp_path: Path, system: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        export_model(replace(llama.source, system=system), "ollama", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_quotation_marks_elsewhere_are_text(llama: Tuned, tmp_path: Path) -> None:
    source = replace(llama.source, system='"a" """ b\n# c\nlast"')
    made = export_model(source, "ollama", tmp_path / "out")
    assert 'SYSTEM """"a" """ b\n# c\nlast""""\n' in (made.folder / "Modelfile").read_text()
