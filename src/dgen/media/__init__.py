"""Pictures in and out: reading, naming, writing, metadata."""
