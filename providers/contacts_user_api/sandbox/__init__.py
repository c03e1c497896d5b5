"""The emulator of the user-api service (Rolodex CRM)."""

from contacts_user_api.sandbox.emulator import UserApiEmulator

__all__ = ["UserApiEmulator"]
