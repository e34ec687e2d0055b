"""Knows what can be written at a place of a script, derived from the rows."""
