"""Makes every kind of source as a small file or folder in its own shape, from drawn faces."""

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fer_ray.data.importer import import_dataset
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.schema import split_schema
from fer_ray.data.synthetic import draw_faces

SIDE = 16
#: Faces of a source without people: ten of each emotion, of each ten eight to train on, one and one.
COUNT = 70
USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
RAF_DB = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry")
CK_PLUS = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
VOTED = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt", "unknown", "NF")
LETTERS = dict(zip(EMOTIONS, ("AN", "DI", "FE", "HA", "SA", "SU", "NE"), strict=True))


class Faces:
    """Drawn faces, each emotion equally often, with a split each."""

    def __init__(self, count: int = COUNT) -> None:
        images, _ = draw_faces(count, seed=5, size=SIDE)
        self.images = images[..., 0]
        self.labels = [EMOTIONS[number % 7] for number in range(count)]
        turns = [number // 7 % 10 for number in range(count)]
        self.splits = ["test" if t == 9 else "validation" if t == 8 else "train" for t in turns]

    def __iter__(self):
        return iter(zip(range(len(self.labels)), self.images, self.labels, self.splits, strict=True))


def save(path: Path, image: np.ndarray, kind: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, kind)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _pixels(image: np.ndarray) -> str:
    return " ".join(map(str, image.ravel()))


def fer2013_csv(root: Path, faces: Faces) -> Path:
    rows = [f"{EMOTIONS.index(label)},{_pixels(image)},{USAGES[split]}" for _, image, label, split in faces]
    return write(root / "fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]) + "\n")


def icml_csv(root: Path, faces: Faces) -> Path:
    rows = [f"{EMOTIONS.index(label)},{USAGES[split]},{_pixels(image)}" for _, image, label, split in faces]
    return write(root / "icml_face_data.csv", "\n".join(["emotion, Usage, pixels", *rows]) + "\n")


def split_csvs(root: Path, faces: Faces) -> Path:
    for file, wanted in (("train", "train"), ("val", "validation"), ("test", "test")):
        rows = [f"{EMOTIONS.index(label)},{_pixels(i)}" for _, i, label, split in faces if split == wanted]
        write(root / "rmn" / f"{file}.csv", "\n".join(["emotion,pixels", *rows]) + "\n")
    write(root / "rmn" / "example_submission.csv", "id,emotion\n1,3\n")
    return root / "rmn"


def vote_counts(label: str, others: dict[str, int] | None = None) -> list[int]:
    """Seven votes for a label, two for neutral or happy, and an outlier's one for contempt."""
    counts = {label: 7, ("neutral" if label != "neutral" else "happy"): 2, "contempt": 1}
    return [(others or counts).get(name, 0) for name in VOTED]


#: What the votes of the first faces say instead of their label.
STRANGE_VOTES = (
    {"NF": 10},
    {"unknown": 6, "happy": 4},
    {"happy": 5, "sad": 5},
    {"happy": 1, "sad": 1, "angry": 1},
)
STRANGE_REFUSED = {"voted no face": 1, "voted unknown": 1, "no majority of votes": 2}


def _votes(faces: Faces) -> list[list[int]]:
    strange = dict(enumerate(STRANGE_VOTES))
    return [vote_counts(label, strange.get(number)) for number, _, label, _ in faces]


def fer2013_new_csv(root: Path, faces: Faces) -> Path:
    lines = [",".join(["Usage", "Image name", *VOTED])]
    for (number, _, _, split), counts in zip(faces, _votes(faces), strict=True):
        name = "" if number == 4 else f"fer{number:07d}.png"
        lines.append(",".join([USAGES[split], name, *map(str, counts)]))
    return write(root / "fer2013new.csv", "\n".join(lines) + "\n")


def fer_plus_folders(root: Path, faces: Faces) -> Path:
    folders = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
    lines: dict[str, list[str]] = {folder: [] for folder in folders.values()}
    for (number, image, _, split), counts in zip(faces, _votes(faces), strict=True):
        name = f"fer{number:07d}.png"
        save(root / "ferplus" / "data" / folders[split] / name, image)
        lines[folders[split]].append(f'{name},"(0, 0, {SIDE}, {SIDE})",{",".join(map(str, counts))}')
    lines["FER2013Test"].append(f'fer9999999.png,"(0, 0, {SIDE}, {SIDE})",{",".join(["1"] * 10)}')
    for folder, rows in lines.items():
        write(root / "ferplus" / "data" / folder / "label.csv", "\n".join(rows) + "\n")
    return root / "ferplus"


def class_folders(root: Path, faces: Faces) -> Path:
    spelled = dict(
        zip(EMOTIONS, ("Anger", "disgusted", "FEARFUL", "joy", "1_sad", "Suprise", "calm"), strict=True)
    )
    folders = {"train": "Training", "validation": "VAL", "test": "test"}
    for number, image, label, split in faces:
        save(root / "faces" / "images" / folders[split] / spelled[label] / f"{number}.png", image)
    save(root / "faces" / "__MACOSX" / "images" / "._0.png", faces.images[0])
    write(root / "faces" / ".DS_Store", "clutter")
    return root / "faces"


def flat_folders(root: Path, faces: Faces) -> Path:
    for number, image, label, _ in faces:
        save(root / "flat" / label / f"{number}.png", image)
    return root / "flat"


def numbered_folders(root: Path, faces: Faces) -> Path:
    for number, image, label, split in faces:
        save(root / "numbers" / split / str(RAF_DB.index(label) + 1) / f"{number}.png", image)
    return root / "numbers"


def raf_db(root: Path, faces: Faces) -> Path:
    lines = []
    for number, image, label, split in faces:
        name = f"{'test' if split == 'test' else 'train'}_{number:05d}"
        lines.append(f"{name}.jpg{' ' if number % 2 else chr(9)}{RAF_DB.index(label) + 1}")
        save(root / "raf" / "Image" / "aligned" / f"{name}_aligned.jpg", image)
        save(root / "raf" / "Image" / "original" / f"{name}.jpg", np.tile(image, (2, 3)))
    lines.append("train_99999.jpg 4")
    write(root / "raf" / "EmoLabel" / "list_patition_label.txt", "\n".join(lines) + "\n")
    return root / "raf"


def affectnet_arrays(root: Path, faces: Faces) -> Path:
    for number, image, label, split in faces:
        folder = root / "affectnet" / ("val_set" if split == "validation" else "train_set")
        save(folder / "images" / f"{number}.jpg", image)
        (folder / "annotations").mkdir(exist_ok=True)
        np.save(folder / "annotations" / f"{number}_exp.npy", np.array(str(AFFECTNET.index(label))))
        np.save(folder / "annotations" / f"{number}_val.npy", np.array("0.1"))
    return root / "affectnet"


def affectnet_tables(root: Path, faces: Faces) -> Path:
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
    header += "expression,valence,arousal"
    lines: dict[str, list[str]] = {"training.csv": [header], "validation.csv": []}
    for number, image, label, split in faces:
        name = f"{number % 3}/{number:04x}.jpg"
        save(root / "manual" / "Manually_Annotated_Images" / name, picture(image))
        code = 10 if number == 0 else 8 if number == 1 else AFFECTNET.index(label)
        row = f"{name},{X},{Y},{BOX},{BOX},1;2;3,{code},0.1,0.2"
        lines["validation.csv" if split == "validation" else "training.csv"].append(row)
    for file, rows in lines.items():
        write(root / "manual" / file, "\n".join(rows) + "\n")
    return root / "manual"


#: Where a face lies in a `picture`: its box, which with the margin of the crop is the face.
X, Y, BOX = 21, 11, 13
_MARGIN = 2


def picture(*faces: np.ndarray) -> np.ndarray:
    """A white picture with faces in a row, 40 pixels apart."""
    whole = np.full((48, 40 * len(faces) + 20), 255, np.uint8)
    for number, face in enumerate(faces):
        left, top = X - _MARGIN + 40 * number, Y - _MARGIN
        whole[top : top + SIDE, left : left + SIDE] = face
    return whole


def _person(number: int) -> int:
    return number // 7 % 10


def ck48(root: Path, faces: Faces) -> Path:
    for number, image, label, _ in faces:
        label = "contempt" if label == "neutral" else label
        name = f"S{_person(number) + 10:03d}_{number % 7:03d}_{number:08d}.png"
        save(root / "CK+48" / label / name, image)
    return root / "CK+48"


def ck_plus(root: Path, faces: Faces) -> Path:
    images, texts = root / "ck" / "cohn-kanade-images", root / "ck" / "Emotion"
    for person in range(7):
        for sequence in range(2):
            labelled = sequence == 0
            folder = f"S{person + 5:03d}/{sequence + 1:03d}"
            for frame in range(1, 6):
                name = f"{folder.replace('/', '_')}_{frame:08d}"
                face = faces.images[person * 10 + sequence * 5 + frame - 1]
                save(images / folder / f"{name}.png", picture(face))
                points = f"  {X}.0e+00   {Y}.0e+00\n  {X + BOX}.0e+00   {Y + BOX}.0e+00\n"
                write(root / "ck" / "Landmarks" / folder / f"{name}_landmarks.txt", points)
            if labelled:
                write(texts / folder / f"{name}_emotion.txt", f"   {person + 1}.0000000e+00\n")
            else:
                (texts / folder).mkdir(parents=True)
    return root / "ck"


def jaffe(root: Path, faces: Faces) -> Path:
    people = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
    for number, image, label, _ in faces:
        name = f"{people[_person(number)]}.{LETTERS[label]}1.{number + 1}.tiff"
        save(root / "jaffe" / name, image, "TIFF")
    write(root / "jaffe" / "README", "Japanese female facial expressions")
    return root / "jaffe"


def kdef(root: Path, faces: Faces) -> Path:
    angles = ("S", "HL", "HR", "FL", "FR")
    for number, image, label, _ in faces:
        letters = "AF" if label == "fear" else LETTERS[label]
        session, person = "AB"[number % 2], f"{'FM'[_person(number) % 2]}{_person(number) + 1:02d}"
        name = f"{session}{person}{letters}{angles[number % 5]}.JPG"
        save(root / "KDEF" / f"{session}{person}" / name, np.pad(image, ((2, 2), (0, 0))), "JPEG")
    return root / "KDEF"


def expw(root: Path, faces: Faces) -> Path:
    lines = []
    for number in range(0, COUNT, 2):
        save(root / "expw" / "image" / f"{number}.jpg", picture(*faces.images[number : number + 2]))
        for face in range(2):
            left, code = X + 40 * face, EMOTIONS.index(faces.labels[number + face])
            box = f"{Y} {left} {left + BOX} {Y + BOX}"
            lines.append(f"{number}.jpg {face} {box} 71.4 {code}")
    lines.append("0.jpg 2 900 900 950 950 20.0 3")
    write(root / "expw" / "label" / "label.lst", "\n".join(lines) + "\n")
    return root / "expw"


def png(image: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def hugging_face(root: Path, faces: Faces) -> Path:
    """Two shards to train on; the order of the names is not ours, so that they must be read."""
    names = sorted(EMOTIONS)
    (root / "hf" / "data").mkdir(parents=True)
    for split in USAGES:
        rows = [
            {"image": {"bytes": png(image), "path": f"{number}.png"}, "label": names.index(label)}
            for number, image, label, each in faces
            if each == split
        ]
        shards = (rows[::2], rows[1::2]) if split == "train" else (rows,)
        for number, shard in enumerate(shards):
            file = f"{split}-{number:05d}-of-{len(shards):05d}.parquet"
            table = pa.Table.from_pylist(shard, schema=split_schema(names))
            pq.write_table(table, root / "hf" / "data" / file)
    return root / "hf"


def bare_parquet(root: Path, faces: Faces) -> Path:
    columns = {
        "jpeg": [png(image) for _, image, _, _ in faces],
        "emotion": pa.array([RAF_DB.index(label) + 1 for _, _, label, _ in faces], pa.int8()),
        "usage": [USAGES[split] for *_, split in faces],
    }
    pq.write_table(pa.table(columns), root / "faces.parquet")
    return root / "faces.parquet"


def own_data_set(root: Path, faces: Faces) -> Path:
    import_dataset(fer2013_csv(root, faces), root / "ours", card={"license": "Ask Ada."})
    return root / "ours"


def zip_of(source: Path, target: Path, wrap: str = "") -> Path:
    """Packs a file or folder, as macOS does."""
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    base = source.parent if source.is_file() else source
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"{wrap}{file.relative_to(base).as_posix()}")
        archive.writestr("__MACOSX/._x.png", b"clutter")
        archive.writestr(".DS_Store", b"clutter")
    return target


@dataclass(frozen=True)
class Kind:
    """A kind of source.

    Args:
        name: As in the table of docs/data.md.
        make: Writes it below a folder; returns what a user names.
        options: Of `import_dataset`; a function makes `votes` beside the source.
        exact: Whether it has the splits and pixels of fer2013.csv, so that its fingerprint must be that.
        reported: What `fer_ray` calls it.
        kept: Images that arrive.
        classes: In order.
        people: Distinct subjects.
        refused: By reason.
        license: A word of the text for model cards that is known of it.
    """

    name: str
    make: Callable[[Path, Faces], Path]
    reported: str
    options: dict[str, Any] = field(default_factory=dict)
    exact: bool = False
    kept: int = COUNT
    classes: Sequence[str] = EMOTIONS
    people: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    license: str = ""


WITHOUT_NEUTRAL = (*EMOTIONS[:-1], "contempt")
KINDS = (
    Kind("fer2013.csv", fer2013_csv, "csv", exact=True),
    Kind("icml_face_data.csv", icml_csv, "csv", exact=True),
    Kind("train.csv, val.csv, test.csv", split_csvs, "csv", exact=True),
    Kind(
        "fer2013.csv with FER+ votes",
        fer2013_csv,
        "csv",
        options={"votes": fer2013_new_csv},
        kept=COUNT - 5,
        refused={**STRANGE_REFUSED, "no image name in the votes": 1},
        license="FER+",
    ),
    Kind(
        "FER+ folders",
        fer_plus_folders,
        "fer-plus",
        kept=COUNT - 4,
        refused={**STRANGE_REFUSED, "missing file": 1},
        license="FER+",
    ),
    Kind("class folders in split folders", class_folders, "folders", exact=True),
    Kind("class folders", flat_folders, "folders"),
    Kind("numbered class folders", numbered_folders, "folders", {"label_map": "raf-db"}, exact=True),
    Kind("RAF-DB", raf_db, "raf-db", refused={"missing file": 1}, license="RAF-DB"),
    Kind("AffectNet, arrays", affectnet_arrays, "affectnet", license="AffectNet"),
    Kind(
        "AffectNet, tables",
        affectnet_tables,
        "affectnet",
        kept=COUNT - 2,
        refused={"no emotion": 2},
        license="AffectNet",
    ),
    Kind("CK+48", ck48, "folders", classes=WITHOUT_NEUTRAL, people=10, license="CK+"),
    Kind("CK+", ck_plus, "ck-plus", kept=21, classes=WITHOUT_NEUTRAL, people=7, license="CK+"),
    Kind("JAFFE", jaffe, "jaffe", people=10, license="cite"),
    Kind("KDEF", kdef, "kdef", people=10, license="KDEF"),
    Kind("ExpW", expw, "expw", refused={"box outside the image": 1}, license="ExpW"),
    Kind("Parquet of Hugging Face", hugging_face, "parquet", exact=True),
    Kind("Parquet with numbers as labels", bare_parquet, "parquet", {"label_map": "raf-db"}, exact=True),
    Kind("a data set of fer_ray", own_data_set, "fer_ray data set", exact=True, license="Ask Ada."),
)
