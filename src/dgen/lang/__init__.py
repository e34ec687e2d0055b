"""The .dgen language: from a source to statements, from a statement to words, and what runs them."""
