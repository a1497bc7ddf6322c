"""What a sweep's nodes are looked at for: nodes whose storage or packages are not the driver's."""

import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

import pytest

from fer_ray.errors import RegistryError, StorageError, SweepError
from fer_ray.search import SweepSpec, preflight, run
from fer_ray.search.preflight import NodeView, check_nodes, look_around
from fer_ray.search.sections import ResourcesSection
from fer_ray.search.trainable import require_shared
from fer_ray.training.space_file import SpaceFile


@pytest.mark.ray
def test_a_node_tells_what_it_sees_of_the_folder_the_packages_and_its_disk(ray_cluster, tmp_path):
    seen = tmp_path / "mark"
    seen.write_text("seen")
    view = look_around(seen, ["keras", "no_such_package"])
    assert view.shares and view.missing == ("no_such_package",)
    assert view.free_mb == pytest.approx(shutil.disk_usage(tempfile.gettempdir()).free / 1e6, rel=0.2)
    assert not look_around(tmp_path / "other" / "mark", []).shares


def test_a_node_that_joins_without_the_folder_trains_nothing(tmp_path):
    with pytest.raises(StorageError, match=r"node .*: must see the sweep's folder.*Resume the sweep without"):
        require_shared(tmp_path / "sweep")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "sweep.yaml").touch()
    require_shared(tmp_path)


@pytest.mark.ray
def test_a_node_without_the_package_ends_the_sweep_before_it_starts(nodes, sweeps, tmp_path):
    """Its Python finds no keras_tuner: the node runs with a finder that hides it."""
    hiding = tmp_path / "hiding"
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'keras_tuner' else find(name, *rest)\n"
    )
    nodes.start_head(1)
    nodes.start_node(1, PYTHONPATH=f"{hiding}:{Path(preflight.__file__).parents[2]}")
    sweep = sweeps.run("sweep", address=nodes.address)
    assert re.search(
        r"node .*: must have what trials import\. Received: it lacks keras_tuner\.", sweep.error()
    )
    assert not sweep.path.exists()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_node_with_a_folder_of_its_own_under_that_path_ends_the_sweep_before_it_starts(
    nodes, sweeps, tmp_path
):
    """It lives in a mount namespace, with an empty file system where the sweep's folder lies."""
    nodes.start_head(1)
    hide = f'mount -t tmpfs none {shlex.quote(str(tmp_path))} && exec "$0" "$@"'
    nodes.start_node(1, within=["unshare", "--mount", "sh", "-c", hide])
    sweep = sweeps.run("sweep", address=nodes.address)
    assert re.search(r"node .*: must see the sweep's folder, where checkpoints lie", sweep.error())


@pytest.mark.ray
def test_a_folder_without_room_is_refused(ray_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "_LEAST_FREE_MB", 10**9)
    with pytest.raises(SweepError, match=r"must have room for checkpoints.*MB are free"):
        check_nodes(tmp_path, ResourcesSection())
    assert list(tmp_path.iterdir()) == []


def test_a_registry_that_cannot_be_written_ends_the_sweep_before_it_starts(tmp_path, faces, plain_space):
    (tmp_path / "file").touch()
    content = {
        "name": "sweep",
        "data": str(faces),
        "space": {"file": str(plain_space)},
        "folder": str(tmp_path),
        "model": {"registry": str(tmp_path / "file" / "registry")},
    }
    with pytest.raises(RegistryError, match=r"file/registry: its storage must be reachable and allow"):
        run(SweepSpec.parse(content))
    assert not (tmp_path / "sweep").exists()


def test_views_are_judged_by_what_they_saw(tmp_path):
    with pytest.raises(SweepError, match=r"node b: must see the sweep's folder.*all nodes share"):
        preflight._check(NodeView(name="b", missing=(), shares=False, free_mb=1e6), tmp_path)
    with pytest.raises(SweepError, match=r"node b: must have room where Ray keeps its logs.*7 MB are free"):
        preflight._check(NodeView(name="b", missing=(), shares=True, free_mb=7), tmp_path)


def test_what_a_space_imports_is_looked_for_on_every_node(tmp_path):
    (tmp_path / "layers.py").touch()
    space = tmp_path / "space.py"
    space.write_text(
        "import os, keras.layers\nfrom scipy import stats\nimport layers\ndef build(hp):\n    import torch\n"
    )
    assert SpaceFile(path=space).packages_imported() == ["keras", "scipy"]
