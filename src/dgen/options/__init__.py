"""What a user can say: one frozen dataclass per topic, joined into `Request`."""
