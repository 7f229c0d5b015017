"""Tests of the room that delivers."""
