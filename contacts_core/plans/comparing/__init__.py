"""Comparing the contacts of a source with those of a target: what plans that copy are made of."""
