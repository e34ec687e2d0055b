"""Runs jobs: finds and loads models, keeps their components, renders."""
