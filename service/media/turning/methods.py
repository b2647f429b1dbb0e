"""Transpositions that turn an image upright."""

from typing import Final

from PIL.Image import Transpose

#: By EXIF orientation; 1 is upright.
METHODS: Final = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
#: Those that exchange width and height.
SIDEWAYS: Final = frozenset((Transpose.TRANSPOSE, Transpose.ROTATE_90, Transpose.ROTATE_270, Transpose.TRANSVERSE))
#: Those that exchange left and right of the source, and those that exchange its top and bottom.
MIRRORS_ACROSS: Final = frozenset(
    (Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.ROTATE_90, Transpose.TRANSVERSE)
)
MIRRORS_DOWN: Final = frozenset(
    (Transpose.FLIP_TOP_BOTTOM, Transpose.ROTATE_180, Transpose.ROTATE_270, Transpose.TRANSVERSE)
)
