"""Thin subclasses of dice-ml's explainers; each holds only what differs."""
