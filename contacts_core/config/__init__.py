"""Plugins, accounts and their settings, and what each provider can do."""
