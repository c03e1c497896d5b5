"""The emulator of Bird's workspace contacts and lists."""

from contacts_bird.emulator.server import BirdEmulator

__all__ = ["BirdEmulator"]
