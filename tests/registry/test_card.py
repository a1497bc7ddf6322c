"""The model card says what the manifest says, and no number without its protocol."""

import re
from typing import Any

from fer_ray.data.card_texts import EMOTION_CARD
from fer_ray.registry.card import TEXTS, render_card
from fer_ray.registry.manifest import build_manifest

PROTOCOL = "Chosen on validation, evaluated once on test."


def card(fields: dict[str, Any], **changes: Any) -> str:
    own = {"name": "pets", "version": "20261122T140501Z-3f9a2c", "created": "2026-11-22T14:05:01+00:00"}
    files = dict.fromkeys(("model.onnx", "model.weights.h5", "space.py", "confusion_matrix.png"), "0" * 64)
    return render_card(build_manifest({**fields, **own, "files": files, **changes}, "test"))


def test_a_number_is_printed_with_its_protocol_interval_and_n(
    fields: dict[str, Any], score: dict[str, Any]
) -> None:
    rows = [
        {"name": "cat", "precision": 0.25, "recall": 0.125, "f1": 1 / 6, "support": 199},
        {"name": "dog", "precision": None, "recall": None, "f1": None, "support": 0},
    ]
    text = card(fields, metrics={"test": {**score, "protocol": PROTOCOL, "per_class": rows}})
    assert "| test | 50.00% | 43.00% to 57.00% | 200 | 40.00% | 45.00% |" in text
    assert f"- **test**: {PROTOCOL}" in text
    assert "| cat | 25.00% | 12.50% | 16.67% | 199 |" in text
    assert "| dog | – | – | – | 0 |" in text
    assert "![Confusion matrix](confusion_matrix.png)" in text


def test_a_number_without_protocol_is_not_printed(fields: dict[str, Any], score: dict[str, Any]) -> None:
    text = card(
        fields, metrics={"test": score, "validation": {**score, "accuracy": 0.75, "protocol": PROTOCOL}}
    )
    assert "50.00%" not in text
    assert "75.00%" in text
    assert "Numbers of test are left out" in text
    text = card(fields)
    assert not re.search(r"\d%", text)
    assert "No evaluation with a recorded protocol." in text


def test_the_domain_speaks_through_the_data_set_alone(fields: dict[str, Any]) -> None:
    data = {"name": "faces", "fingerprint": "cd" * 32, "card": EMOTION_CARD}
    text = card(fields, data=data)
    assert set(EMOTION_CARD) == set(TEXTS)
    for key in TEXTS:
        assert EMOTION_CARD[key] in text
    for article in ("3(39)", "5(1)(f)", "50(3)", "99(3)", "2024/1689", "not legal advice"):
        assert article in text
    assert not re.search("emotion|face|AI Act", card(fields), re.IGNORECASE)
    assert "Nothing is recorded. Whoever deploys" in card(fields)


def test_sweep_hyperparameters_and_parity_are_tables_that_no_value_can_break(fields: dict[str, Any]) -> None:
    text = card(
        fields,
        hyperparameters={"a|b": "<b>\nx", "rate": 0.001},
        sweep={"id": "s1", "best": {"trial": 7}},
        parity={"max_difference": 1e-7},
    )
    assert "| a\\|b | &lt;b> x |" in text
    assert "| rate | 0.001 |" in text
    assert "| best.trial | 7 |" in text
    assert "| max_difference | 1e-07 |" in text
    assert "`build` in `space.py` with `classes=2`" in text


def test_python_is_shown_where_an_onnx_engine_is_there(fields: dict[str, Any]) -> None:
    assert 'OnnxModel(folder / "model.onnx")' in card(fields)
    assert 'OnnxModel(folder / "model.onnx")' in card(fields, default_engine="keras")
    keras = {"keras": "model.weights.h5"}
    assert "OnnxModel" not in card(fields, engines=keras, default_engine="keras")


def test_tables_have_no_gaps(fields: dict[str, Any], score: dict[str, Any]) -> None:
    text = card(fields, metrics={"test": {**score, "protocol": PROTOCOL}})
    for header in re.finditer(r"\n(\|[^\n]*\|)\n\|[-|]+\|\n([^\n]*)", text):
        assert header[2].startswith("|"), header[0]
        assert header[2].count("|") == header[1].count("|")
    assert "{{" not in text
    assert text.endswith("```\n")
