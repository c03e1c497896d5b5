"""The failures of the emulated service. No body is documented, so some are JSON and some are text."""

from starlette.responses import Response

from contacts_core.emulator import Refused, json_response


def error(status: int, message: str) -> Response:
    """A failure; a wrong method is said in plain text."""
    if status == 405:
        return Response(message, status, media_type="text/plain")
    return json_response({"error": message}, status)


def refuse(status: int, message: str) -> Refused:
    """A refusal."""
    return Refused(error(status, message))
