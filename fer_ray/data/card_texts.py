"""What a model card must say about a model that was trained on faces and emotions."""

#: Texts for `dataset.json`; an import may replace any of them by what its source says.
EMOTION_CARD: dict[str, str] = {
    "description": (
        "Images of faces, each labelled with the emotion that people saw in it. A label is a judgement on a "
        "visible expression in one still image; nobody asked the person shown."
    ),
    "license": (
        "Not recorded at the import; ask the source. Collections that were gathered from the web (FER2013) hold "
        "pictures whose subjects did not consent; RAF-DB, AffectNet, CK+ and JAFFE allow research only, and may "
        "bind models trained on them too."
    ),
    "caveats": (
        "An expression is not a feeling: the same face can go with different feelings and the same feeling with "
        "different faces, across people, cultures and situations. Labels are noisy, and the classes are far from "
        "equally frequent, so read the per-class table before the accuracy. Public collections, FER2013, RAF-DB, "
        "AffectNet and ExpW among them, are unbalanced in age, gender and skin colour, and models trained on them "
        "err more often on some groups than on others; a higher overall accuracy has not meant a smaller gap. "
        "Nothing here was measured per group: measure it on your own people before you rely on it."
    ),
    "not_for": (
        "This model sorts visible facial expressions in still images. It does not measure what a person feels, "
        "intends or is like. Do not use it for hiring, for watching or rating workers, pupils or students, for "
        "lie detection, policing, border control, credit, insurance or medical diagnosis.\n"
        "\n"
        "Where its output is used to identify or infer emotions from people's faces, it is an emotion recognition "
        "system in the sense of the EU AI Act, Regulation (EU) 2024/1689, Article 3(39):\n"
        "\n"
        "- At the workplace and in education such systems are prohibited, except for medical or safety reasons: "
        "Article 5(1)(f), applicable since 2 February 2025. Fines reach 35 million euros or 7% of worldwide "
        "turnover: Article 99(3).\n"
        "- Elsewhere they are high-risk systems: Annex III, point 1(c). Those duties apply from 2 December 2027.\n"
        "- Whoever deploys one informs the people exposed to it: Article 50(3), applicable since 2 August 2026.\n"
        "\n"
        "Images of faces are personal data under the GDPR, and can be biometric data. This is not legal advice; "
        "check the Official Journal for what applies today."
    ),
}
