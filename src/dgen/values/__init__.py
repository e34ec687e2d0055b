"""The kinds of value that a word can be, each with its inverse."""
