"""What is known of the licences of data sets that are recognised, as hints for model cards."""

_BINDS = "It may bind models trained on the images too."
LICENCES = {
    "raf-db": (
        "RAF-DB: for non-commercial research only, by agreement with its makers, who forbid passing the images on. "
        + _BINDS
    ),
    "affectnet": (
        "AffectNet: for research only, by signed agreement with its makers; the pictures were gathered from the "
        "web. " + _BINDS
    ),
    "ck-plus": "CK+: for research only, by signed agreement with its makers. " + _BINDS,
    "jaffe": (
        "JAFFE: for non-commercial research only, and publications must cite it as its makers ask. " + _BINDS
    ),
    "kdef": (
        "KDEF: for non-commercial research only, under the terms and with the citation that its makers ask for. "
        + _BINDS
    ),
    "expw": (
        "ExpW: for non-commercial research only; the pictures were gathered from the web, and the people shown "
        "did not consent. " + _BINDS
    ),
    "fer-plus": (
        "FER+ is labels for FER2013, whose pictures were gathered from the web by image search; the people shown "
        "did not consent, and mirrors carry assorted licences."
    ),
}
