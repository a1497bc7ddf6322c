"""Names that cannot leave their folder, ids that sort by age, references."""

from datetime import UTC, datetime, timedelta

import pytest

from fer_ray.errors import RegistryError
from fer_ray.registry.names import Reference, check_name, is_version_id, new_version_id


@pytest.mark.parametrize("name", ["a", "fer2013", "FER-2013_v1.2", "x" * 64, "0", "a.b.c"])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a..b",
        "a.",
        ".a",
        "-a",
        "_a",
        "a b",
        "a\n",
        "é",
        "a:b",
        "a@b",
        "x" * 65,
    ],
)
def test_names_that_could_leave_their_folder_or_a_reference(name: str) -> None:
    with pytest.raises(RegistryError, match="must have 1 to 64 letters"):
        check_name(name)


def test_version_ids_are_unique_and_sort_by_age() -> None:
    ids = [new_version_id()]
    for _ in range(2000):
        ids.append(new_version_id(after=ids[-1]))
    assert ids == sorted(set(ids))
    assert all(map(is_version_id, ids))


def test_a_version_id_tells_the_time() -> None:
    stamp = datetime.strptime(new_version_id()[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - stamp) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("after", "following"),
    [
        ("20991231T235958Z-00000a", "20991231T235958Z-00000b"),
        ("20991231T235959Z-ffffff", "21000101T000000Z-000000"),
    ],
)
def test_an_id_follows_the_newest_where_the_clock_has_not_passed_it(after: str, following: str) -> None:
    assert new_version_id(after) == following


def test_references() -> None:
    assert Reference.parse("pets") == Reference(name="pets")
    assert Reference.parse("pets@canary") == Reference(name="pets", alias="canary")
    version = "20261122T140501Z-3f9a2c"
    assert Reference.parse(f"pets:{version}") == Reference(name="pets", version=version)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@production",
        ":x",
        "pets@",
        "pets:",
        "pets:3",
        "pets@a@b",
        "pets:../x",
        "../pets",
        "pets@../x",
        "a\nb",
    ],
)
def test_texts_that_are_no_reference(text: str) -> None:
    with pytest.raises(RegistryError):
        Reference.parse(text)
