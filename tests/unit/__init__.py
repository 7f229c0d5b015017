"""Tests of single modules, without a proxy."""
