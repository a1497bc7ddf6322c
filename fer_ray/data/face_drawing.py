"""Draws grey faces from measures and action units: antialiased shapes on a pixel grid, a batch at a time.

Lengths are in units of half the image's side; x points right, y down, and the origin is the face's centre.
Every array is float32 of shape (N, 1, 1) for a measure or (N, rows, S) for a plane.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fer_ray.data.action_units import Floats

#: Lowest and highest value of what varies from face to face.
RANGES: dict[str, tuple[float, float]] = {
    # identity
    "face_width": (0.62, 0.8),
    "face_height": (0.86, 0.98),
    "jaw": (0.05, 0.35),
    "eye_distance": (0.27, 0.33),
    "eye_width": (0.14, 0.18),
    "eye_height": (0.06, 0.085),
    "eye_level": (-0.21, -0.11),
    "brow_gap": (0.16, 0.21),
    "brow_weight": (0.035, 0.06),
    "nose_length": (0.28, 0.36),
    "nose_width": (0.07, 0.12),
    "mouth_level": (0.4, 0.5),
    "mouth_width": (0.25, 0.33),
    "lip_weight": (0.04, 0.065),
    "skin": (0.46, 0.92),
    "hair": (0.04, 0.45),
    "hairline": (-0.72, -0.56),
    "fringe": (-0.12, 0.12),
    # pose
    "roll": (-0.2, 0.2),
    "yaw": (-0.08, 0.08),
    "pitch": (-0.05, 0.05),
    "scale": (0.85, 1.1),
    "shift_x": (-0.1, 0.1),
    "shift_y": (-0.09, 0.09),
    # light and lens
    "background": (0.05, 0.95),
    "light_x": (-0.38, 0.38),
    "light_y": (-0.3, 0.2),
    "contrast": (0.7, 1.05),
    "brightness": (-0.08, 0.10),
    "blur": (1, 1.9),
    "noise": (0.005, 0.04),
    # occlusion: there where `occluded` is below _COVERED, glasses where `glasses` is below _WORN
    "occluded": (0.0, 1.0),
    "patch_angle": (0.0, 6.283),
    "patch_distance": (0.35, 0.85),
    "patch_size": (0.12, 0.30),
    "patch_grey": (0.0, 1.0),
    "glasses": (0.0, 1.0),
}
Measures = Mapping[str, Floats]
Units = Mapping[int, Floats]


#: The rows that a part of the face can reach in any pose, as fractions of the image's height: all others need not
#: be looked at.
_EYE_ROWS, _BROW_ROWS, _NOSE_ROWS, _MOUTH_ROWS = (0.16, 0.68), (0.02, 0.60), (0.30, 0.84), (0.50, 1.0)
_WORN, _COVERED = 0.15, 0.3


@dataclass(frozen=True)
class _Plane:
    """The image's pixels in the coordinates of the turned face, float32 (N, rows, S).

    Args:
        x, y: Of each pixel.
        aside: The distance from the face's middle line, as both halves are drawn at once.
        sharp: How fast an edge goes from 1 inside a shape to 0 outside, negative, (N, 1, 1).
    """

    x: Floats
    y: Floats
    aside: Floats
    sharp: Floats


def draw(measures: Measures, units: Units, size: int) -> Floats:
    """Draws N faces without noise; float32 (N, size, size), about 0 to 1."""
    head, features = _planes(measures, size)
    image = _background(measures, head)
    _draw_head(image, measures, head)
    for part, rows in (
        (_draw_eyes, _EYE_ROWS),
        (_draw_brows, _BROW_ROWS),
        (_draw_nose, _NOSE_ROWS),
        (_draw_mouth, _MOUTH_ROWS),
    ):
        reach = slice(int(rows[0] * size), math.ceil(rows[1] * size))
        plane = _Plane(features.x[:, reach], features.y[:, reach], features.aside[:, reach], features.sharp)
        part(image[:, reach], measures, units, plane)
    _draw_glasses(image, measures, features)
    _draw_patch(image, measures, head)
    image *= measures["contrast"]
    image += measures["brightness"]
    return image


def _planes(m: Measures, size: int) -> tuple[_Plane, _Plane]:
    """The coordinates of the head's outline, and of the features on it."""
    steps: Floats = np.linspace(1 / size - 1, 1 - 1 / size, size, dtype=np.float32)
    right, down = steps[None, None, :] - m["shift_x"], steps[None, :, None] - m["shift_y"]
    cos: Floats = np.cos(m["roll"])
    sin: Floats = np.sin(m["roll"])
    right, down = right / m["scale"], down / m["scale"]
    x, y = right * cos + down * sin, down * cos - right * sin
    sharp = m["scale"] * (-size / 2) / m["blur"]
    # Turning the head moves the features against its outline, and foreshortens the side that is turned away.
    turned = x - m["yaw"]
    turned *= 1 + 1.5 * m["yaw"] * turned
    return _Plane(x, y, x, sharp), _Plane(turned, y - m["pitch"], np.abs(turned), sharp)


def _cover(distance: Floats, sharp: Floats) -> Floats:
    """How much of a pixel a shape covers, 0 to 1, from the signed distance to its edge (inside negative)."""
    covered = distance * sharp
    covered += 0.5
    return np.clip(covered, 0, 1, out=covered)


def _paint(image: Floats, cover: Floats, grey: Floats | float) -> None:
    """Blends a grey value into the image, in place."""
    change = grey - image
    change *= cover
    image += change


def _background(m: Measures, plane: _Plane) -> Floats:
    return m["background"] * (1 + 0.5 * m["light_y"] * plane.x - 0.5 * m["light_x"] * plane.y)


def _draw_head(image: Floats, m: Measures, plane: _Plane) -> None:
    below = np.maximum(plane.y, 0)
    width = m["face_width"] * (1 - m["jaw"] * below * below)
    across, along = plane.x / width, plane.y / m["face_height"]
    radius = np.sqrt(across * across + along * along)
    light = 1 + m["light_x"] * across + m["light_y"] * along
    light -= 0.18 * radius * radius
    hair = _cover((radius - 1.12) * m["face_width"], plane.sharp)
    hair *= _cover(plane.y - 0.35, plane.sharp * 0.25)
    _paint(image, hair, m["hair"] * light)
    face = _cover((radius - 1) * m["face_width"], plane.sharp)
    hairline = m["hairline"] + m["fringe"] * plane.x + 0.35 * plane.x * plane.x
    face *= _cover(hairline - plane.y, plane.sharp)
    _paint(image, face, m["skin"] * light)


def _draw_eyes(image: Floats, m: Measures, au: Units, plane: _Plane) -> None:
    """Lids: AU5 lifts the upper, AU7 tightens both, AU6 pushes the lower up."""
    across = (plane.aside - m["eye_distance"]) / m["eye_width"]
    arch = 1 - across * across
    below = plane.y - m["eye_level"]
    upper = m["eye_height"] * (1 + 0.9 * au[5] - 0.45 * au[7] - 0.35 * au[6])
    lower = m["eye_height"] * (0.75 + 0.2 * au[5] - 0.5 * au[7] - 0.7 * au[6])
    top, bottom = -upper * arch - below, below - lower * arch
    opening = _cover(np.maximum(top, bottom), plane.sharp)
    _paint(image, opening, m["skin"] * 0.35 + 0.6)
    iris = np.sqrt((across * m["eye_width"]) ** 2 + (below + 0.1 * upper) ** 2) - 0.85 * m["eye_height"]
    _paint(image, _cover(iris, plane.sharp) * opening, 0.06)
    lid = _cover(np.maximum(np.abs(top) - 0.012, -0.25 * arch * m["eye_width"]), plane.sharp)
    _paint(image, lid, m["skin"] * 0.3)
    bag = np.maximum(np.abs(bottom - 0.05) - 0.008, -0.25 * arch * m["eye_width"])
    _paint(image, _cover(bag, plane.sharp) * (0.2 + 0.6 * au[6] + 0.3 * au[7]), m["skin"] * 0.5)


def _draw_brows(image: Floats, m: Measures, au: Units, plane: _Plane) -> None:
    """Brows: AU1 lifts the inner end, AU2 the outer, AU4 lowers and draws together."""
    inner = m["eye_distance"] - 0.13 - 0.05 * au[4]
    along = (plane.aside - inner) / 0.30
    arch = 0.05 * (1 - (2 * along - 0.9) ** 2)
    inside, outside = np.clip(1 - along, 0, 1), np.clip(along, 0, 1)
    lift = (0.17 * au[1] - 0.16 * au[4] - 0.04 * au[9]) * inside + (0.16 * au[2] - 0.04 * au[4]) * outside
    level = m["eye_level"] - m["brow_gap"] - arch - lift
    thickness = m["brow_weight"] * (1.15 - 0.5 * outside)
    ends = np.abs(along - 0.5) * 0.30 - 0.15
    brow = np.maximum(np.abs(plane.y - level) - thickness, ends)
    _paint(image, _cover(brow, plane.sharp), m["hair"] * 0.6)
    frown = np.maximum(np.abs(plane.aside - 0.045) - 0.01, np.abs(plane.y - m["eye_level"] + 0.15) - 0.08)
    _paint(image, _cover(frown, plane.sharp) * au[4] * 0.7, m["skin"] * 0.45)


def _draw_nose(image: Floats, m: Measures, au: Units, plane: _Plane) -> None:
    """Nose and the fold to the mouth: AU9 wrinkles and lifts, AU10, AU12 and AU9 deepen the fold."""
    tip = m["eye_level"] + m["nose_length"] - 0.05 * au[9]
    nostril = np.maximum(np.abs(plane.aside - 0.6 * m["nose_width"]) - 0.03, np.abs(plane.y - tip) - 0.018)
    _paint(image, _cover(nostril, plane.sharp), m["skin"] * 0.3)
    side = np.maximum(np.abs(plane.aside - m["nose_width"]) - 0.012, np.abs(plane.y - tip + 0.03) - 0.05)
    _paint(image, _cover(side, plane.sharp) * (0.35 + 0.5 * au[9]), m["skin"] * 0.5)
    wrinkle = np.abs(np.abs(plane.y - tip + 0.17) - 0.035) - 0.012
    wrinkle = np.maximum(wrinkle, plane.aside - 0.09)
    _paint(image, _cover(wrinkle, plane.sharp) * au[9], m["skin"] * 0.4)
    down = plane.y - tip
    fold = np.abs(plane.aside - m["nose_width"] - 0.05 - (0.35 + 0.25 * au[12]) * down) - 0.012
    fold = np.maximum(fold, np.abs(down - 0.1) - 0.12)
    depth: Floats = np.maximum(np.maximum(au[9], au[12]), au[10])
    _paint(image, _cover(fold, plane.sharp) * (0.1 + 0.7 * depth), m["skin"] * 0.5)


def _draw_mouth(image: Floats, m: Measures, au: Units, plane: _Plane) -> None:
    """Mouth: AU12 and AU15 move its corners, AU20 and AU23 its width, AU10, 25, 26 and 27 part the lips."""
    width = m["mouth_width"] * (
        1 + 0.3 * au[12] + 0.35 * au[20] - 0.3 * au[23] - 0.25 * au[27] - 0.1 * au[26]
    )
    across = plane.aside / width
    square = across * across
    arch = np.maximum(1 - square, -1)
    # Corners are lifted (negative y) by AU12 and pulled down by AU15 against the middle of the mouth.
    bend = (-0.18 * au[12] + 0.16 * au[15] + 0.07 * au[20]) * np.minimum(square, 1.5)
    middle = m["mouth_level"] + bend + 0.03 * au[12] - 0.04 * au[15]
    up = 0.05 * au[10] + 0.025 * au[25] + 0.02 * au[26]
    open_down = 0.05 * au[25] + 0.14 * au[26] + 0.16 * au[27] + 0.02 * au[20]
    # A mouth that is stretched sideways opens as a box, not as a bow.
    box = arch + au[20] * (np.minimum(2.5 * arch, 1) - arch)
    top, bottom = middle - up * box - plane.y, plane.y - middle - open_down * box
    ends = (square - 1) * (0.5 * width)
    lip = m["lip_weight"] * (1 - 0.5 * au[23] - 0.25 * au[12]) * np.maximum(arch, 0.15)
    lips = np.maximum(np.maximum(top, bottom) - lip, ends)
    _paint(image, _cover(lips, plane.sharp), m["skin"] * 0.62)
    gap = np.maximum(np.maximum(top, bottom) - 0.008, ends)
    opening = _cover(gap, plane.sharp)
    _paint(image, opening, 0.08)
    teeth = _cover(-top - 0.05, plane.sharp) * opening * np.maximum(au[25], np.maximum(au[10], au[20]))
    _paint(image, teeth * _cover(0.02 - (up + open_down) * box, plane.sharp), 0.85)


def _draw_glasses(image: Floats, m: Measures, plane: _Plane) -> None:
    """Glasses on some of the faces."""
    some = np.flatnonzero(m["glasses"] < _WORN)
    width, faces = m["eye_width"][some], image[some]
    across = (plane.aside[some] - m["eye_distance"][some]) / width
    below = (plane.y[some] - m["eye_level"][some]) / width
    rim = np.abs(np.sqrt(0.4 * across * across + 0.7 * below * below) - 1) * width - 0.015
    _paint(faces, _cover(rim, plane.sharp[some]), 0.1)
    image[some] = faces


def _draw_patch(image: Floats, m: Measures, plane: _Plane) -> None:
    """A hand, a strand of hair, a sign: something round before some of the faces."""
    some = np.flatnonzero(m["occluded"] < _COVERED)
    angle, distance, faces = m["patch_angle"][some], m["patch_distance"][some], image[some]
    cos: Floats = np.cos(angle)
    sin: Floats = np.sin(angle)
    x, y = plane.x[some] - distance * cos, plane.y[some] - distance * sin
    edge = np.sqrt(x * x + 0.6 * y * y) - m["patch_size"][some]
    _paint(faces, _cover(edge, plane.sharp[some]), m["patch_grey"][some])
    image[some] = faces
