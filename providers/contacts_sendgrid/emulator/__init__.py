"""The emulator of SendGrid Marketing Contacts."""

from contacts_sendgrid.emulator.server import SendGridEmulator

__all__ = ["SendGridEmulator"]
