"""The failures of the emulated service, in the several shapes that it has."""

from starlette.responses import Response

from contacts_core.emulator import Refused, json_response


def error(status: int, message: str, field: str | None = None) -> Response:
    """The usual shape: an `errors` array. The service writes the field even where it names none."""
    return json_response({"errors": [{"field": field, "message": message}]}, status)


def refuse(status: int, message: str, field: str | None = None) -> Refused:
    """A refusal in the usual shape; contacts, lists and fields leave the field out where it names none."""
    item = {"message": message} if field is None else {"field": field, "message": message}
    return Refused(json_response({"errors": [item]}, status))


def refuse_flat(status: int, message: str, parameter: str) -> Refused:
    """The flat shape, without `errors`, that a few operations have."""
    return Refused(json_response({"message": message, "parameter": parameter}, status))


def refuse_empty(status: int) -> Refused:
    """A refusal without a body."""
    return Refused(Response(status_code=status))


def html(status: int, reason: str) -> Response:
    """The page of the web server in front of the service."""
    page = f"<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>{status} {reason}</body>\r\n</html>\r\n"
    return Response(page, status, media_type="text/html")
