"""Scripts that mitmdump loads with `-s` while it is measured."""
