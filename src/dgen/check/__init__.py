"""Finds the mistakes of scripts without running them: follows every path through what is not known yet."""
