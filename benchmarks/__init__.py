"""Benchmarks of the library: ratios measured in one run. `python -m benchmarks --help` tells how to run them."""
