"""The data sets of image files that are known by the way they lie in their folders, one module each."""

from fer_ray.data.entries import Layout
from fer_ray.data.layouts import affectnet, ck_plus, class_folders, expw, fer_plus, file_names, raf_db

#: In the order in which they are looked for: annotations decide before names, and class folders take the rest.
LAYOUTS: tuple[Layout, ...] = (
    raf_db.LAYOUT,
    affectnet.LAYOUT,
    ck_plus.LAYOUT,
    expw.LAYOUT,
    fer_plus.LAYOUT,
    file_names.JAFFE,
    file_names.KDEF,
    class_folders.LAYOUT,
)
