"""The page says what the data set holds, shows its images and no others, and is whole or not there."""

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from fer_ray.data.checks import find_faceless
from fer_ray.data.describe import size_rows
from fer_ray.data.importer import import_dataset
from fer_ray.data.page import CHARTS, PageOptions, write_page
from fer_ray.data.schema import SPLITS
from fer_ray.data.shown import Augmented
from fer_ray.data.synthetic import write_synthetic
from fer_ray.errors import ConfigError, DataError


class Page(HTMLParser):
    """Tables by their region's name, images by their alternative text, and all addresses that are referred to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.images: list[tuple[str, str]] = []
        self.addresses: list[str] = []
        self._region, self._cell = "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.addresses += [
            values[key] for key in ("src", "href", "srcset", "action", "data") if key in values
        ]
        if values.get("role") == "region":
            self._region = values["aria-label"]
            self.tables[self._region] = []
        if tag == "tr" and self._region:
            self.tables[self._region].append([])
        if tag in ("td", "th") and self._region:
            self.tables[self._region][-1].append("")
            self._cell = True
        if tag == "small":
            self._cell = False
        if tag == "img":
            self.images.append((values["alt"], values["src"]))

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = False
        if tag == "table":
            self._region = ""

    def handle_data(self, data):
        if self._cell:
            self.tables[self._region][-1][-1] += data.strip()

    def pixels(self, text):
        """The images with an alternative text, uint8 (H, W, C) each."""
        return [decode(address) for alt, address in self.images if alt == text]


def decode(address):
    image = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,"))))
    )
    return image if image.ndim == 3 else image[..., None]


def mirror(images, copies, seed):
    """An augmentation that needs no Keras: every copy is the image, mirrored."""
    flipped = np.repeat(images[:, None, :, ::-1], copies, axis=1)
    return [Augmented(name="mirror", strength={"mirrored": "always", "seed": str(seed)}, images=flipped)]


@pytest.fixture(scope="module")
def data(make_faces, tmp_path_factory):
    """Faces with a copy across splits, two labels for one image, a black image and a refused row."""
    folder = tmp_path_factory.mktemp("page")
    faces = make_faces(160)
    faces.images[5] = 0
    rows = faces.rows()
    label, rest = rows[0].split(",", 1)
    more = [f"{(int(label) + 1) % 7},{rest}", rows[1].replace("Training", "PrivateTest"), "3,1 2 3,Training"]
    return import_dataset(faces.write_csv(folder / "fer2013.csv", more=more), folder / "data", name="mine")


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "out"
    write_page(data, out, PageOptions(images=3, seed=5, augment=mirror))
    return out


@pytest.fixture(scope="module")
def html(folder):
    return (folder / "index.html").read_text()


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_counts_are_those_of_the_manifest(data, page):
    head, *rows, total = page.tables["Images per class and split"]
    assert head == ["class", *SPLITS, "all"]
    assert {row[0]: dict(zip(SPLITS, map(int, row[1:4]), strict=True)) for row in rows} == {
        name: {split: data.counts[split][name] for split in SPLITS} for name in data.classes
    }
    assert total == ["all", *(str(sum(data.counts[s].values())) for s in SPLITS), str(data.report["kept"])]


def test_what_the_import_found_is_told(data, page, html):
    assert page.tables["Images found and kept"] == [
        ["found", "163"],
        ["refused", "1"],
        ["dropped as copies", "1"],
        ["kept", "161"],
    ]
    (reason,) = data.report["refused"]
    _, row = page.tables["Refused images by reason"]
    assert row[:2] == [reason, "1"] and row[2].startswith("fer2013.csv:164")
    assert ["in train and test", "1"] in page.tables["Copies"]
    assert ["dropped from train", "1"] in page.tables["Copies"]
    assert data.fingerprint in html and data.card["caveats"] in html


def test_conflicting_labels_stand_beside_their_image(data, page, html):
    (group,) = data.report["duplicates"]["label_conflicts"]
    names = sorted({copy["class"] for copy in group}, key=data.classes.index)
    assert page.tables["Conflicting labels"][1:] == [[" / ".join(names), "1"], ["all", "1"]]
    shown = page.pixels("An image labelled " + " and ".join(c["class"] for c in group))
    assert len(shown) == 1 and shown[0].shape == (12, 12, 1)
    assert all(copy["path"] in html for copy in group)


def test_samples_are_images_of_their_class_and_split(data, page):
    for split in SPLITS:
        images, labels = data.load(split)
        for label, name in enumerate(data.classes):
            own = {image.tobytes() for image in images[labels == label]}
            shown = page.pixels(f"{name}, {split}")
            assert len(shown) == min(3, data.counts[split][name])
            assert {image.tobytes() for image in shown} <= own


def test_augmented_samples_stand_beside_their_originals(data, page):
    for name in data.classes:
        (original,) = page.pixels(f"{name}, original")
        versions = page.pixels(f"{name}, augmented, mirror")
        assert len(versions) == 4
        assert all((version == original[:, ::-1]).all() for version in versions)
    assert page.tables["Strength of the augmentation"][1:] == [["mirrored", "always"], ["seed", "5"]]


def test_means_brightness_and_blank_images(data, page):
    images, labels = data.load("train")
    for label, name in enumerate(data.classes):
        (mean,) = page.pixels(f"Mean of {name}")
        np.testing.assert_allclose(mean, images[labels == label].mean(axis=0), atol=0.51)
    _, *rows = page.tables["Brightness by split"]
    for split, median, _, contrast, distance, blank in rows:
        images, _ = data.load(split)
        assert int(median) == round(float(np.median(images.mean(axis=(1, 2, 3)))))
        assert int(contrast) == round(float(np.median(images.std(axis=(1, 2, 3)))))
        assert (distance == "–") is (split == "train")
        assert int(blank) == np.logical_or(*find_faceless(images)).sum()
    assert sum(int(row[-1]) for row in rows) == sum("blank image" in alt for alt, _ in page.images) == 1


def test_sizes_are_those_on_disk_and_in_memory(data):
    rows = {row["split"]: row for row in size_rows(data)}
    for split in SPLITS:
        assert rows[split]["disk"] == (data.path / f"{split}.parquet").stat().st_size
        assert rows[split]["memory"] == data.load(split)[0].nbytes
    assert rows["all"]["memory"] == sum(rows[split]["memory"] for split in SPLITS)


def test_the_page_refers_to_nothing_outside_itself(page):
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert all(alt for alt, _ in page.images)


def test_the_figures_beside_it_are_no_blank_paper(folder):
    sizes = {}
    for path in folder.glob("*.png"):
        image = Image.open(path).convert("L")
        sizes[path.name] = image.size
        assert np.asarray(image).std() > 10, path.name
    assert set(sizes) == {*CHARTS, "samples.png", "mean_images.png", "augmented.png"}
    assert all(width >= 1000 for name, (width, _) in sizes.items() if name in CHARTS)
    # 7 rows of 12 pixels and a gap, each pixel eight times as large; three columns in each of three groups.
    assert sizes["samples.png"][1] > 7 * 14 * 8 and sizes["samples.png"][0] > (9 * 14 + 2 * 10) * 8


def test_the_same_seed_shows_the_same(data, page, tmp_path):
    write_page(data, tmp_path / "again", PageOptions(images=3, seed=5, augment=mirror))
    assert Page((tmp_path / "again" / "index.html").read_text()).images == page.images
    write_page(data, tmp_path / "other", PageOptions(images=3, seed=6, augment=mirror))
    assert Page((tmp_path / "other" / "index.html").read_text()).images != page.images


def test_without_images_there_are_charts_and_no_names(data, tmp_path):
    write_page(data, tmp_path / "out", PageOptions(faces=False))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*CHARTS, "index.html"])
    html = (tmp_path / "out" / "index.html").read_text()
    shown = Page(html)
    # Each chart for light and for dark.
    assert len(shown.images) == 2 * len(CHARTS)
    assert all(decode(address).shape[1] == 1000 for _, address in shown.images)
    assert "fer2013.csv:" not in html
    assert shown.tables["Conflicting labels"][-1] == ["all", "1"]


def test_names_are_text_and_nothing_else(make_faces, tmp_path):
    class_name = "<img src=x onerror=alert(1)> & co"
    root = make_faces(80).write_folders(
        tmp_path / "images", lambda faces, n: f"{faces.labels[n] if n % 2 else class_name}/{n}.png"
    )
    data = import_dataset(root, tmp_path / "data", name="<script>alert(1)</script>")
    html = write_page(data, tmp_path / "out").read_text()
    assert "<script" not in html and "<img src=x" not in html
    assert class_name in [row[0] for row in Page(html).tables["Images per class and split"]]


def test_large_images_are_shown_small(tmp_path):
    data = write_synthetic(tmp_path / "data", images=80, size=200)
    page = Page(write_page(data, tmp_path / "out", PageOptions(images=1)).read_text())
    shown = [address for alt, address in page.images if alt == "happy, train"]
    assert len(shown) == 1 and shown[0].startswith("data:image/jpeg")
    small = Image.open(io.BytesIO(base64.b64decode(shown[0].partition(",")[2])))
    assert small.size == (96, 96) and np.asarray(small).std() > 20


def test_a_split_whose_images_are_all_copies_of_another(make_faces, tmp_path):
    faces = make_faces(80)
    rows = [row for row in faces.rows() if "PublicTest" not in row]
    rows += [row.replace("PrivateTest", "PublicTest") for row in rows if "PrivateTest" in row]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    data = import_dataset(tmp_path / "fer2013.csv", tmp_path / "data")
    page = Page(write_page(data, tmp_path / "out").read_text())
    assert page.tables["Images per class and split"][-1] == ["all", "40", "0", "20", "60"]
    assert [row[0] for row in page.tables["Brightness by split"]] == ["split", "train", "test"]


def test_what_richer_imports_report_is_shown(data, tmp_path):
    report = {
        **data.report,
        "subjects": {"distinct": 41, "images": 150},
        "soft_labels": 1234,
        "left_out": {"contempt": 3},
        "checks": {"near-black": 2},
    }
    richer = replace(data, report=report)
    html = write_page(richer, tmp_path / "out", PageOptions(faces=False)).read_text()
    for text in ("41 in 150 images", "of 1,234 images", "contempt: 3", "near-black: 2"):
        assert text in html


def test_an_existing_folder_is_not_replaced_without_a_word(data, tmp_path):
    page = write_page(data, tmp_path / "out")
    before = page.read_bytes()
    with pytest.raises(DataError, match=r"must not exist.*--overwrite"):
        write_page(data, tmp_path / "out", PageOptions(faces=False))
    assert page.read_bytes() == before
    write_page(data, tmp_path / "out", PageOptions(faces=False, overwrite=True))
    # The faces of the earlier page are gone with it.
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*CHARTS, "index.html"])


def test_overwriting_spares_what_is_no_page(data, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("mine")
    (site / "thesis.txt").write_text("irreplaceable")
    for out in (site, data.path, site / "index.html"):
        with pytest.raises(DataError, match="only an earlier page or an empty folder"):
            write_page(data, out, PageOptions(overwrite=True))
    assert (site / "thesis.txt").exists() and (data.path / "dataset.json").exists()


def test_a_failure_leaves_nothing(data, make_faces, tmp_path):
    broken = import_dataset(make_faces(80).write_csv(tmp_path / "fer2013.csv"), tmp_path / "data")
    (broken.path / "test.parquet").write_bytes(b"")
    names = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(DataError, match=r"test\.parquet"):
        write_page(broken, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_broken_list_of_refused_images(data, tmp_path):
    rejected = data.path / "rejected.parquet"
    content = rejected.read_bytes()
    rejected.write_bytes(content[:-10])
    try:
        with pytest.raises(DataError, match=r"rejected\.parquet.*whole file"):
            write_page(data, tmp_path / "out")
    finally:
        rejected.write_bytes(content)
    assert not list(tmp_path.iterdir())


def test_no_image_per_class_is_an_error():
    with pytest.raises(ConfigError, match="images: must be at least 1"):
        PageOptions(images=0)
