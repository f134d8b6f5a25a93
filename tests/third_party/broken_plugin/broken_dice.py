"""A plugin that raises when it is imported."""

raise RuntimeError("this plugin is\nbroken on purpose")
