"""The session at a prompt, and the same from standard input."""
