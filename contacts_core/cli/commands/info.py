"""Commands about the library itself: what can be connected to."""

from __future__ import annotations

from contacts_core.cli.options import Json


def providers(as_json: Json = False) -> None:
    """Show the providers and what each of them can do.

    "emulated": the contact is read, changed and written back. "by scan": every contact is read. "one by one": there is
    one request for each contact. "not idempotent": the vendor has no unique key for it, so a creation that is repeated
    after a crash may make a second one.

        contacts providers
    """
    from contacts_core.cli import output
    from contacts_core.config import matrix, plugins

    known, rows = plugins.registry(), matrix.rows()
    for plugin, reason in known.broken.items():
        output.warn(f"plugin {plugin} is broken: {reason}")
    if as_json:
        listed = [
            {
                "name": name,
                "title": provider.title,
                "plugin": known.origins[name],
                "capabilities": {row.capability: row.cells[name] for row in rows},
            }
            for name, provider in known.providers.items()
        ]
        output.document({"providers": listed, "broken": dict(known.broken)})
        return
    made = output.table("operation", *known.providers)
    output.show(output.rows(made, ([row.title, *row.cells.values()] for row in rows)))
