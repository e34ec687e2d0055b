"""Everything the built-in model is made with: drawings, captions, training loops and the judge."""
