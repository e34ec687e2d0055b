"""What terminals can do beyond text."""
