"""The emulator of SendGrid Marketing Contacts."""

from contacts_sendgrid.sandbox.emulator import SendGridEmulator

__all__ = ["SendGridEmulator"]
