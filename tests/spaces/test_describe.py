"""A space in words."""

from fer_ray.spaces import Space
from fer_ray.spaces.describe import describe, describe_size


def entry(class_name, name, *parents, **config):
    conditions = [{"class_name": "Parent", "config": {"name": n, "values": list(v)}} for n, v in parents]
    return {"class_name": class_name, "config": {"name": name, "conditions": conditions, **config}}


ENTRIES = [
    entry("Choice", "model", values=["mlp", "cnn", "vit"]),
    entry("Int", "units", ("model", ["mlp", "cnn"]), min_value=16, max_value=128, step=2, sampling="log"),
    entry("Choice", "batch", values=[32, 64], default=64),
    entry("Boolean", "bn", ("model", ["cnn"])),
    entry("Float", "drop", min_value=0, max_value=0.5, step=0.1, default=0.2),
    entry("Float", "rate", ("model", ["cnn"]), ("bn", [True]), min_value=1e-4, max_value=0.1, sampling="log"),
]


def test_each_row_says_range_sampling_conditions_and_default():
    rows = [tuple(row.values()) for row in describe(Space.from_config({"space": ENTRIES}))]
    assert rows == [
        ("model", "Choice", "mlp, cnn, vit", "", "3", "", "mlp"),
        ("units", "Int", "16 to 128, times 2", "log", "4", "model in mlp, cnn", "16"),
        ("batch", "Choice", "32, 64", "ordered", "2", "", "64"),
        ("bn", "Boolean", "False, True", "", "2", "model = cnn", "False"),
        ("drop", "Float", "0.0 to 0.5, step 0.1", "linear", "6", "", "0.2"),
        ("rate", "Float", "0.0001 to 0.1", "log", "any", "model = cnn and bn = True", "0.0001"),
    ]


def test_the_size_in_words():
    assert describe_size(Space.from_config({"space": ENTRIES})) == "infinite"
    assert describe_size(Space.from_config({"space": ENTRIES[:5]})) == "156"
    many = [entry("Int", f"n{number}", min_value=1, max_value=10) for number in range(4)]
    assert describe_size(Space.from_config({"space": many})) == "10,000"
