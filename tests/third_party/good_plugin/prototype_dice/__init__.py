"""A sample third-party plugin for dice-extended."""
