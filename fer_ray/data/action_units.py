"""Emotions as facial action units, the muscle movements of the Facial Action Coding System (FACS).

The prototypes are those of EMFACS (Friesen & Ekman 1983, "EMFACS-7: Emotional Facial Action Coding System"; the
action units themselves: Ekman & Friesen 1978, "Facial Action Coding System"):

    happy 6+12 · sad 1+4+15 · surprise 1+2+5+26 · fear 1+2+4+5+7+20+26 · angry 4+5+7+23 · disgust 9+15+16

Deviations: AU16 (lower lip depressor) is not drawn, AU10 (upper lip raiser), which FACS gives as the other mark
of disgust, is; AU25 and AU27 (parted lips, mouth stretched open) come with the emotions that they are seen with.
"""

import numpy as np
from numpy.typing import NDArray

from fer_ray.data.labels import EMOTIONS

Floats = NDArray[np.float32]

#: Drawn units: 1 inner and 2 outer brow raiser, 4 brow lowerer, 5 upper lid raiser, 6 cheek raiser, 7 lid
#: tightener, 9 nose wrinkler, 10 upper lip raiser, 12 lip corner puller, 15 lip corner depressor, 20 lip
#: stretcher, 23 lip tightener, 25 lips part, 26 jaw drop, 27 mouth stretch.
ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 20, 23, 25, 26, 27)

#: How likely each unit is in a face of the emotion; the prototype's own units are certain.
_PROTOTYPES: dict[str, dict[int, float]] = {
    "angry": {4: 1, 5: 1, 7: 1, 23: 1, 10: 0.2, 25: 0.2},
    "disgust": {9: 1, 15: 1, 10: 0.7, 4: 0.3, 25: 0.2},
    "fear": {1: 1, 2: 1, 4: 1, 5: 1, 7: 1, 20: 1, 26: 1, 25: 0.5},
    "happy": {6: 1, 12: 1, 25: 0.6, 26: 0.2},
    "sad": {1: 1, 4: 1, 15: 1, 7: 0.2},
    "surprise": {1: 1, 2: 1, 5: 1, 26: 1, 27: 0.4},
    "neutral": {},
}
#: Weakest and strongest intensity of a unit that is present (FACS writes A to E), and the largest of one that
#: is not: no face is ever quite still.
_PRESENT = (0.5, 1.0)
_ABSENT = 0.1


def _likelihoods() -> Floats:
    rows = [[_PROTOTYPES[emotion].get(unit, 0) for unit in ACTION_UNITS] for emotion in EMOTIONS]
    return np.array(rows, np.float32)


_LIKELIHOOD = _likelihoods()
#: Uniform numbers that `intensities` uses for one face.
DRAWS = 2 * len(ACTION_UNITS)


def intensities(labels: NDArray[np.int64], uniform: Floats) -> dict[int, Floats]:
    """Draws the intensity of every action unit.

    Args:
        labels: Positions in `EMOTIONS`, shape (N,).
        uniform: Random numbers in [0, 1), shape (N, DRAWS).

    Returns:
        For each action unit its intensities, 0 to 1, shape (N, 1, 1).
    """
    presence, strength = uniform[:, : len(ACTION_UNITS)], uniform[:, len(ACTION_UNITS) :]
    low, high = _PRESENT
    present = low + (high - low) * strength
    drawn = np.where(presence < _LIKELIHOOD[labels], present, _ABSENT * strength).astype(np.float32)
    return {unit: drawn[:, column, None, None] for column, unit in enumerate(ACTION_UNITS)}
