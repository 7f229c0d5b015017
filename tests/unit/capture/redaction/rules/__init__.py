"""Tests of the rules that say what is secret."""
