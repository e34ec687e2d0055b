"""What a model can do: one row per model family, classes as strings, and how a model is recognised."""
