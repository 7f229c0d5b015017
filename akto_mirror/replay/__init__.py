"""Recorded traffic, flow files and HAR files, through the addon's own rules: shipped, shown or returned."""
