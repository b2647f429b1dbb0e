"""Simulator of fal's public queue platform, for the models of the Seedance family.

Start it with `python -m sandbox`. It shares no code with the gateway, so no wrong idea about fal can hide in both.
"""
