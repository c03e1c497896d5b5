"""The failures of the emulated service: always `code` and `message`."""

from starlette.responses import Response

from contacts_core.emulator import Refused, json_response

CODES = {
    401: "Unauthorized",
    403: "FORBIDDEN_INTERNAL",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    409: "ResourceAlreadyExists",
    422: "InvalidPayload",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}


def error(status: int, message: str) -> Response:
    """A failure in the service's shape."""
    return json_response({"code": CODES.get(status, "InternalError"), "message": message}, status)


def refuse(status: int, message: str) -> Refused:
    """A refusal."""
    return Refused(error(status, message))
