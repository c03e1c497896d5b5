"""Synthetic people, with reserved example domains and fictional phone numbers only."""

import random
from collections.abc import Iterator
from datetime import date, timedelta

from attrs import frozen

_FIRST_NAMES = (
    *(
        "Amara",
        "José",
        "Zoë",
        "Mei",
        "Olu",
        "Siobhán",
        "Jean-Luc",
        "Priya",
        "Łukasz",
        "Noor",
        "Chloé",
        "Dmitri",
    ),
    *(
        "Ana María",
        "Björn",
        'Robert "Bob"',
        "Fatima",
        "Kwame",
        "Ingrid",
        "D'Arcy",
        "Yuki",
        "明",
        "Tomás",
        "Aisha",
        "Lars",
    ),
)
_LAST_NAMES = (
    *(
        "O'Brien",
        "Müller",
        "李",
        "García",
        "Nguyễn",
        "Okafor",
        "Smith",
        "van der Berg",
        "Şahin",
        "Johansson",
        "Kowalski",
    ),
    *(
        "D'Angelo",
        "Haddad",
        "Tanaka",
        "Brown",
        "Ó Súilleabháin",
        "Silva",
        "Ivanova",
        "Mc'Kay",
        "Dubois",
        'de "la" Cruz',
    ),
)
_DOMAINS = ("example.com", "example.org", "example.net")
_PLACES = (
    ("New York", "NY", "10001", "United States"),
    ("São Paulo", "SP", "01310-100", "Brazil"),
    ("London", "", "SW1A 1AA", "United Kingdom"),
    ("Zürich", "ZH", "8001", "Switzerland"),
    ("Lagos", "LA", "100001", "Nigeria"),
    ("東京", "", "100-0001", "Japan"),
)
_STREETS = ("High Street", "Rue de l'Église", "Hauptstraße", "Market Square", "Avenida Central")
_COMPANIES = (
    "Example Bakery",
    "Sample & Sons",
    "Placeholder GmbH",
    'The "Best" Example',
    "Müller Beispiel AG",
)
_TITLES = ("Head of Sales", "Engineer", "Chief Sample Officer", "Editor, Books & Arts", "Baker")
_TAGS = ("lead", "customer", "press", "partner")
_PLANS = ("free", "pro", "enterprise")
_AREA_CODES = (
    *(
        "201",
        "202",
        "212",
        "213",
        "214",
        "303",
        "305",
        "312",
        "313",
        "314",
        "402",
        "404",
        "407",
        "410",
        "412",
        "415",
    ),
    *(
        "469",
        "502",
        "503",
        "504",
        "510",
        "512",
        "602",
        "603",
        "612",
        "615",
        "617",
        "619",
        "702",
        "703",
        "704",
        "706",
    ),
    *(
        "713",
        "716",
        "718",
        "801",
        "802",
        "803",
        "804",
        "808",
        "901",
        "904",
        "907",
        "910",
        "916",
        "917",
        "919",
        "972",
    ),
)
_NORTH_AMERICA = len(_AREA_CODES) * 100
_PHONES = _NORTH_AMERICA + 10_000
_STRIDE = 7919  # a prime that does not divide the number of phones, so that the walk meets every phone once


@frozen
class Person:
    """One synthetic person, in shared terms."""

    first_name: str
    last_name: str
    email: str
    further_emails: tuple[str, ...]
    phone: str | None
    external_id: str | None
    anonymous_id: str | None
    address: str
    city: str
    region: str
    postal_code: str
    country: str
    company: str | None
    title: str | None
    tags: tuple[str, ...]
    score: int | None
    plan: str | None
    birthday: date | None
    joined: date


def people(count: int, seed: int = 0) -> Iterator[Person]:
    """Return ``count`` synthetic people; the same ``seed`` gives the same people."""
    dice = random.Random(f"people/{seed}")
    offset = dice.randrange(_PHONES)
    for index in range(count):
        yield _person(dice, index, offset)


def _person(dice: random.Random, index: int, offset: int) -> Person:
    domain = dice.choice(_DOMAINS)
    city, region, postal_code, country = dice.choice(_PLACES)
    works = dice.random() < 0.6
    return Person(
        first_name=dice.choice(_FIRST_NAMES),
        last_name=dice.choice(_LAST_NAMES),
        email=f"person{index}@{domain}",
        further_emails=tuple(f"person{index}.alt{n}@{domain}" for n in range(_few(dice))),
        phone=_phone(index, offset) if dice.random() < 0.7 else None,
        external_id=f"crm-{index:06d}" if dice.random() < 0.4 else None,
        anonymous_id=f"visitor-{dice.getrandbits(48):012x}" if dice.random() < 0.2 else None,
        address=f"{dice.randint(1, 199)} {dice.choice(_STREETS)}",
        city=city,
        region=region,
        postal_code=postal_code,
        country=country,
        company=dice.choice(_COMPANIES) if works else None,
        title=dice.choice(_TITLES) if works else None,
        tags=tuple(tag for tag in _TAGS if dice.random() < 0.25),
        score=dice.randint(0, 100) if dice.random() < 0.8 else None,
        plan=dice.choice(_PLANS) if dice.random() < 0.9 else None,
        birthday=date(1950, 1, 1) + timedelta(days=dice.randrange(20_000)) if dice.random() < 0.5 else None,
        joined=date(2023, 1, 1) + timedelta(days=dice.randrange(1_000)),
    )


def _few(dice: random.Random) -> int:
    return dice.choices((0, 1, 2), weights=(75, 20, 5))[0]


def _phone(index: int, offset: int) -> str | None:
    """A number that no one else has; the fictional ranges end, and the rest of a large crowd has none."""
    if index >= _PHONES:
        return None
    number = (offset + index * _STRIDE) % _PHONES
    if number < _NORTH_AMERICA:
        area, line = divmod(number, 100)
        return f"+1{_AREA_CODES[area]}55501{line:02d}"
    return f"+44207946{number - _NORTH_AMERICA:04d}"
