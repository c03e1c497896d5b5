"""The cases of the contract."""
