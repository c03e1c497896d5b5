"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from contacts_core.identifiers import Identifier

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account or provider.", show_default=False)]
ListId = Annotated[str, typer.Argument(metavar="LIST", help="The vendor's id of the list.", show_default=False)]
ContactId = Annotated[str, typer.Argument(metavar="ID", help="The vendor's id of the contact.", show_default=False)]
Json = Annotated[
    bool, typer.Option("--json", help="JSON on stdout: one document, or a line for each contact of a stream.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the provider, such as base_url=…; repeatable. Keys belong in the environment.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the vendor's jobs have ended.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait, at most.")]

Emails = Annotated[list[str] | None, typer.Option("--email", metavar="ADDRESS", help="Repeatable.")]
Phones = Annotated[
    list[str] | None, typer.Option("--phone", metavar="NUMBER", help="Best as +12025550123; repeatable.")
]
ExternalIds = Annotated[
    list[str] | None, typer.Option("--external-id", metavar="ID", help="Your own id of the contact; repeatable.")
]
AnonymousIds = Annotated[
    list[str] | None, typer.Option("--anonymous-id", metavar="ID", help="An id from before; repeatable.")
]
FromFile = Annotated[Path | None, typer.Option("--from-file", metavar="FILE", dir_okay=False)]


def identifiers(
    email: list[str] | None,
    phone: list[str] | None,
    external_id: list[str] | None,
    anonymous_id: list[str] | None,
) -> list[Identifier]:
    """The identifiers that were given, each once, in the order of the options."""
    from contacts_core.identifiers import Identifier

    makers = (
        (Identifier.email, "--email", email),
        (Identifier.phone, "--phone", phone),
        (Identifier.external_id, "--external-id", external_id),
        (Identifier.anonymous_id, "--anonymous-id", anonymous_id),
    )
    given: dict[Identifier, None] = {}
    for make, option, values in makers:
        for value in values or ():
            if not value.strip():
                raise typer.BadParameter(f"{option} is blank")
            given[make(value)] = None
    return list(given)


def pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    """The values of a repeatable NAME=VALUE option."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{option} is given as NAME=VALUE")
        found[name] = value
    return found
