"""Explaining an alert: what was found, from what, what became of it, and whether the log gives the same bytes again."""
