"""From faces to answers in ten lines, without the command line: python examples/ten_lines.py [FACES].

FACES is fer2013.csv, a folder of class folders or anything else that `fer-ray data import` reads; without it, faces
are drawn. Run it in a clone, since it takes search_spaces/demo.yaml; it makes the folders faces and demo.
"""

import sys

import fer_ray

given = sys.argv[1:]
faces = fer_ray.import_dataset(*given, "faces") if given else fer_ray.write_synthetic("faces", images=4000)
sweep = fer_ray.SweepSpec.from_yaml("search_spaces/demo.yaml", {"data": "faces"})
result = fer_ray.run(sweep)
report = fer_ray.make_report(result.path)
version = fer_ray.Registry(sweep.model.registry).promote(result.outcome.model, "production")
model = fer_ray.load_model(version.reference, sweep.model.registry)
print(report.page, model, model.predict(faces.load("test")[0][:3]), sep="\n")
