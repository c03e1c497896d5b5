"""The emulator of Bird's workspace contacts and lists."""

from contacts_bird.sandbox.emulator import BirdEmulator

__all__ = ["BirdEmulator"]
