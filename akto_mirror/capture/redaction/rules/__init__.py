"""What is secret: names judged by their words, and values by their looks; knows no format and opens nothing."""
