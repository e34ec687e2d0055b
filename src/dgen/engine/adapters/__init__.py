"""What attaches to a model for the time of a job: each is put in and taken out again, and leaves no trace."""
