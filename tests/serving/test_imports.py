import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "keras_tuner", "optuna", "ray.tune", "ray.train", "jax", "torch")


def imported_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_a_replica_that_runs_onnx_imports_neither_tensorflow_nor_tune_nor_optuna() -> None:
    assert imported_by("import fer_ray.serving.deployment, fer_ray.export.onnx_model") == set()


@pytest.mark.parametrize("module", ["client", "local_model"])
def test_who_asks_does_not_import_ray_either(module: str) -> None:
    script = f"import fer_ray.serving.{module}, sys; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_check_itself_sees_what_is_imported() -> None:
    assert "optuna" in imported_by("import optuna")
