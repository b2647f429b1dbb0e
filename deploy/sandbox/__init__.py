"""Simulator of fal's public queue platform, for one model: Seedance 2.0 image-to-video.

Start it with `python -m sandbox`. It shares no code with the gateway, so no wrong idea about fal can hide in both.
"""
