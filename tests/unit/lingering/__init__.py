"""Tests of `akto_mirror.lingering`."""
