"""From words to jobs: bind, expand, resolve."""
