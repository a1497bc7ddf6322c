import numpy as np

from fer_ray.data.duplicates import evaluation_copies, find_duplicates, group_identical

#            train a, train b, validation a, test b, train c, train c, validation d, test d
DIGESTS = [b"a", b"b", b"a", b"b", b"c", b"c", b"d", b"d"]
SPLIT = np.array([0, 0, 1, 2, 0, 0, 1, 2])  # positions in SPLITS
LABELS = np.array([0, 1, 0, 2, 3, 4, 5, 5])


def test_groups_are_equal_for_equal_digests_only():
    groups = group_identical(DIGESTS)
    assert [[int(x == y) for y in groups] for x in groups] == [
        [int(x == y) for y in DIGESTS] for x in DIGESTS
    ]


def test_copies_of_later_splits_are_marked_and_copies_inside_a_split_are_not():
    marked = evaluation_copies(group_identical(DIGESTS), SPLIT)
    assert marked.tolist() == [True, True, False, False, False, False, True, False]


def test_what_is_counted():
    found = find_duplicates(group_identical(DIGESTS), SPLIT, LABELS)
    assert (found.distinct, found.redundant, found.groups) == (4, 4, 4)
    assert found.across == {"train+validation": 1, "train+test": 1, "validation+test": 1}
    assert found.conflicting == [[1, 3], [4, 5]]


def test_three_copies_are_one_group_and_two_redundant():
    found = find_duplicates(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0]), np.array([1, 1, 1, 1]))
    assert (found.distinct, found.redundant, found.groups, found.conflicting) == (2, 2, 1, [])
    assert set(found.across.values()) == {1}
