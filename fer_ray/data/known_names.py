"""File names that tell their data set, in whatever folders they lie, and what they say."""

import re
from collections import Counter
from collections.abc import Iterable

#: CK+ names its frames S010_004_00000017.png, by subject, sequence and frame; JAFFE KA.AN1.39.tiff, by subject,
#: expression and number; KDEF AF01ANS.JPG, by session (A or B), subject (F01), expression and angle (S straight, HL
#: and HR half, FL and FR full profile); RAF-DB train_00001_aligned.jpg.
NAMES = {
    "ck-plus": re.compile(r"(?P<subject>S\d{3})_\d{3}_\d{8}\.", re.IGNORECASE),
    "jaffe": re.compile(
        r"(?P<subject>[A-Z]{2})\.(?P<expression>NE|HA|SA|SU|AN|DI|FE)\d\.\d+\.", re.IGNORECASE
    ),
    "kdef": re.compile(
        r"[AB](?P<subject>[FM]\d{2})(?P<expression>AF|AN|DI|HA|NE|SA|SU)(S|HL|HR|FL|FR)\.", re.IGNORECASE
    ),
    "raf-db": re.compile(r"(train|test)_\d{5}_aligned\.", re.IGNORECASE),
}


def subject_in_name(file_name: str) -> str | None:
    """The subject that a file's name tells in the manner of CK+, JAFFE or KDEF; None if it tells none."""
    for pattern in NAMES.values():
        if found := pattern.match(file_name):
            subject = found.groupdict().get("subject")
            return subject.upper() if subject else None
    return None


def data_set_of(file_names: Iterable[str]) -> str | None:
    """The data set that more than half of the files are named after; None if there is none."""
    names = list(file_names)
    counts = Counter(known for name in names for known, pattern in NAMES.items() if pattern.match(name))
    known, count = next(iter(counts.most_common(1)), ("", 0))
    return known if count * 2 > len(names) else None
