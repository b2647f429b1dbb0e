"""Soundtrack: a chord with noise, synthesised second by second; the seed selects the key."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48_000
#: A major ninth, as ratios over its root.
CHORD = (1.0, 1.25, 1.5, 1.875, 2.25)
ROOTS_HZ = (110.0, 123.47, 130.81, 146.83, 164.81)
FADE_SECONDS = 0.8

Samples = NDArray[np.float32]


def seconds_of_sound(seconds: int, seed: int) -> Iterator[Samples]:
    """`seconds` arrays of shape (2, 48,000)."""
    noise = np.random.default_rng(seed)
    root = ROOTS_HZ[seed % len(ROOTS_HZ)]
    for second in range(seconds):
        time = second + np.arange(SAMPLE_RATE) / SAMPLE_RATE
        sound = np.stack([_chord(time, root, side) + _wind(noise, time, side) for side in (0, 1)])
        yield (sound * _envelope(time, seconds)).astype(np.float32)


def _chord(time: NDArray[np.float64], root: float, side: int) -> NDArray[np.float64]:
    voices = np.zeros_like(time)
    for number, ratio in enumerate(CHORD):
        swell = 0.6 + 0.4 * np.sin(2 * np.pi * (0.11 + 0.05 * number) * time + number + side)
        detuned = root * ratio * (1 + 0.0008 * (side - 0.5) * (number + 1))
        voices += swell * np.sin(2 * np.pi * detuned * time) / (1 + number)
    return 0.12 * voices


def _wind(noise: np.random.Generator, time: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """White noise smoothed over 48 samples, which leaves little above 1 kHz."""
    white = noise.standard_normal(len(time) + 47)
    soft = np.convolve(white, np.full(48, 1 / 48), mode="valid")
    gusts = 0.5 + 0.5 * np.sin(2 * np.pi * 0.17 * time + 2 * side)
    return 0.08 * soft * gusts


def _envelope(time: NDArray[np.float64], seconds: int) -> NDArray[np.float64]:
    return np.clip(np.minimum(time, seconds - time) / FADE_SECONDS, 0, 1)
