"""Recorded calls priced again: on other models, at other times, with other prices."""
