"""The emulator of the user-api service (Rolodex CRM)."""

from contacts_user_api.emulator.server import UserApiEmulator

__all__ = ["UserApiEmulator"]
