"""Tests of `akto_mirror.diagnostics`."""
