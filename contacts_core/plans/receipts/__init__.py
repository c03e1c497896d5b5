"""Receipts: what is kept and proved of a run."""
