"""The customers of a shop that does not exist, as four of its systems know them.

The same number of people gives the same bytes, on any machine. What makes real customer data
hard is in it on purpose: people whom a system does not know, values that systems disagree on,
records that were sent twice, events that were repeated, people entered twice under two numbers,
devices nobody ever logged in on, and one tablet in the shop that half the town has used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from catalog.batches import FileFormat
from service.cli.demo_truth import Truth, Witness
from service.cli.sources import Files, Source, identity

#: From 200 people on there is a tablet in the shop, and this many have logged in on it: with a
#: number and an address each they are more identities than one person can have.
_TABLET_USERS = 30
_PEOPLE_FOR_A_TABLET = 200

_VISITS_PER_PERSON = 7.5
_PURCHASES_PER_PERSON = 2.5


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST = _words(
    "Ada Bela Cora Dario Edda Falk Greta Hanno Ilka Jorin Kaja Lenn Mira Nils Orla Pim Quinn Runa "
    "Sten Tilda Ulf Vera Wim Xenia Yorick Zora Anouk Birk Clea Dorian Elin Fenja Gisa Hedda Ivo "
    "Juna Kaspar Liv Malo Nora Odo Petra Rasmus Selma Thies Una Viggo Wanda Yuma Zeno"
)
_LAST_HEADS = _words(
    "Ash Brack Cold Dun East Fern Gold Hazel Iron Juniper Kings Lark Moss North Oak"
)
_LAST_TAILS = _words(
    "borough brook croft dale field ford gate ham hurst ley mere shaw stead well wick"
)
_CITIES = _words(
    "Marrowby Tidewell Larkmouth Ostrey Pellham Quarrow Sandwick Thornaby-on-Weir Underhay "
    "Vellmouth Wexcombe Yarrowdale"
)
_STREETS = _words("Mill Orchard Harbour Station Chapel Meadow Castle Bridge Garden Lantern")
_TIERS = ("bronze", "silver", "gold", "platinum")
_STORES = ("Harbour Street", "Old Mill", "Station Arcade")
_PAGES = ("home", "search", "product", "basket", "checkout", "account", "journal")
_GOODS = (
    ("TEA-01", "Smoked tea", 8.9),
    ("TEA-02", "Garden mint", 5.4),
    ("CUP-01", "Stoneware cup", 14.0),
    ("POT-01", "Iron pot", 62.5),
    ("BOOK-07", "Book of tides", 24.0),
    ("WOOL-03", "Wool blanket", 89.0),
    ("LAMP-02", "Storm lantern", 47.9),
    ("KNIFE-1", "Bread knife", 31.2),
)
_DAYS = tuple(f"2025-{month:02d}-{day:02d}" for month in range(1, 13) for day in range(1, 29))
_TIMES = tuple(
    f"{hour:02d}:{minute:02d}:{second:02d}Z"
    for hour in range(7, 23)
    for minute in range(60)
    for second in range(0, 60, 7)
)


@dataclass(slots=True)
class _Person:
    """One person and what the systems might know of them; None is what nobody knows."""

    first: str
    last: str
    crm_id: str | None
    #: The number under which they were entered a second time.
    second_crm_id: str | None
    loyalty_id: str | None
    #: The address the CRM has, and the one the loyalty programme has.
    email: str | None
    loyalty_email: str | None
    devices: list[str] = field(default_factory=list)


class _Dice:
    """Chance that falls the same way every time."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)  # noqa: S311
        self.roll = random.random
        self._bits = random.getrandbits

    def of(self, things: tuple[str, ...] | list[str]) -> str:
        return things[int(self.roll() * len(things))]

    def chance(self, share: float) -> bool:
        return self.roll() < share

    def ecid(self) -> str:
        return f"{self._bits(62):019d}{self._bits(62):019d}"

    def instant(self) -> str:
        """One roll carved up: this is asked for every event."""
        rest, day = divmod(self._bits(40), len(_DAYS))
        return f"{_DAYS[day]}T{_TIMES[rest % len(_TIMES)]}"

    def whole(self, below: int) -> int:
        return int(self.roll() * below)


def generate(folder: Path, people: int) -> tuple[list[Source], Truth]:
    """Write the files of four data sets below a folder, and say what must come of them.

    The sources come in the order in which they are to be ingested.
    """
    dice, witness = _Dice(20_250_101), Witness()
    everyone = [_person(dice, number) for number in range(people)]
    crm = _write(folder / "crm.csv", _crm(dice, everyone, witness))
    loyalty = _write(folder / "loyalty.jsonl", _loyalty(dice, everyone, witness))
    visits = _write(folder / "web-events.jsonl", _visits(dice, everyone, witness))
    purchases = _write(
        folder / "shop-purchases.json", _as_list(_purchases(dice, everyone, witness))
    )
    return [
        _source("CRM", crm, FileFormat.CSV, "crmId=crmId:primary", "personalEmail.address=Email"),
        _source(
            "Loyalty programme",
            loyalty,
            FileFormat.JSON,
            "loyaltyId=loyaltyId:primary",
            "crmId=crmId",
            "personalEmail.address=Email",
        ),
        _source("Web visits", visits, FileFormat.JSON, is_event=True),
        _source(
            "Shop purchases",
            purchases,
            FileFormat.JSON,
            "customer.email=Email:primary",
            "customer.loyaltyId=loyaltyId",
            is_event=True,
        ),
    ], witness.truth()


def _source(
    name: str, path: Path, format: FileFormat, *identities: str, is_event: bool = False
) -> Source:
    return Source(
        name=name,
        files=Files(root=path.parent, paths=(path,), format=format),
        is_event=is_event,
        identities=tuple(identity(each) for each in identities),
    )


def _write(path: Path, lines: Iterable[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
    return path


def _person(dice: _Dice, number: int) -> _Person:
    first, last = dice.of(_FIRST), dice.of(_LAST_HEADS) + dice.of(_LAST_TAILS)
    in_crm = dice.chance(0.88)
    is_member = not in_crm or dice.chance(0.6)
    email = f"{first}.{last}.{number}@example.com".lower() if dice.chance(0.9) else None
    private = f"{last}{number}@example.net".lower()
    keeps_it_apart, has_another = dice.chance(0.3), dice.chance(0.6)
    return _Person(
        first=first,
        last=last,
        crm_id=f"C{1_000_000 + number * 7}" if in_crm else None,
        second_crm_id=f"C{9_000_000 + number}" if in_crm and dice.chance(0.03) else None,
        loyalty_id=f"L{40_000_000 + number * 13}" if is_member else None,
        email=email,
        loyalty_email=(private if has_another else None) if keeps_it_apart else email,
        devices=[dice.ecid() for _ in range(dice.whole(4))],
    )


def _crm(dice: _Dice, everyone: list[_Person], witness: Witness) -> Iterator[str]:
    """Everyone the CRM knows, some twice; then corrections that were sent later."""
    yield (
        "crmId,person.name.firstName,person.name.lastName,person.birthDate,personalEmail.address,"
        "mobilePhone.number,homeAddress.street1,homeAddress.postalCode,homeAddress.city,"
        "consents.marketing\n"
    )
    for person in everyone:
        if person.crm_id:
            yield _crm_row(dice, person, person.crm_id, witness)
        if person.second_crm_id:
            yield _crm_row(
                dice, person, person.second_crm_id, witness, first=person.first[:1] + "."
            )
    for person in everyone:
        if person.crm_id and dice.chance(0.02):
            yield _crm_row(dice, person, person.crm_id, witness)


def _crm_row(
    dice: _Dice, person: _Person, crm_id: str, witness: Witness, *, first: str | None = None
) -> str:
    witness.record(f"crmId:{crm_id}", _named("Email", person.email))
    birth = f"{1940 + dice.whole(66)}{dice.of(_DAYS)[4:]}" if dice.chance(0.7) else ""
    phone = f"0555-{dice.whole(1_000_000):06d}" if dice.chance(0.6) else ""
    return (
        f"{crm_id},{first or person.first},{person.last},{birth},{person.email or ''},{phone},"
        f"{1 + dice.whole(120)} {dice.of(_STREETS)} Lane,0{1000 + dice.whole(9000)},"
        f"{dice.of(_CITIES)},{'true' if dice.chance(0.5) else 'false'}\n"
    )


def _loyalty(dice: _Dice, everyone: list[_Person], witness: Witness) -> Iterator[str]:
    """The members of the loyalty programme; three in four gave their customer number."""
    for person in everyone:
        if person.loyalty_id is None:
            continue
        crm_id = person.crm_id if dice.chance(0.75) else None
        witness.record(
            f"loyaltyId:{person.loyalty_id}",
            _named("crmId", crm_id),
            _named("Email", person.loyalty_email),
        )
        nickname = person.first[:3] if dice.chance(0.15) else person.first
        name = {"firstName": nickname, "lastName": person.last} if dice.chance(0.9) else None
        yield _line(
            {
                "loyaltyId": person.loyalty_id,
                "crmId": crm_id,
                "person": {"name": name},
                "personalEmail": {"address": person.loyalty_email},
                "homeAddress": {"city": dice.of(_CITIES)} if dice.chance(0.4) else None,
                "loyalty": {
                    "points": dice.whole(90_000),
                    "tier": _TIERS[int(dice.roll() ** 2 * 4)],
                    "joinDate": f"20{10 + dice.whole(15)}{dice.of(_DAYS)[4:]}",
                    "favouriteStores": list(_STORES[: dice.whole(3)]),
                },
            }
        )


def _visits(dice: _Dice, everyone: list[_Person], witness: Witness) -> Iterator[str]:
    """Visits to the web shop by device; one in a hundred was sent twice."""
    known: list[tuple[str, _Person | None]] = [
        (ecid, person) for person in everyone for ecid in person.devices
    ]
    tablet = dice.ecid()
    regulars = [person for person in everyone if person.crm_id and person.email][:_TABLET_USERS]
    if len(everyone) >= _PEOPLE_FOR_A_TABLET:
        known += [(tablet, person) for person in regulars]
        for number, person in enumerate(regulars):
            yield _visit(dice, f"tablet-{number}", tablet, person, witness)
    visitors = known + [(dice.ecid(), None) for _ in range(len(everyone) // 4)]
    repeated = ""
    for number in range(int(len(everyone) * _VISITS_PER_PERSON)):
        if repeated and dice.chance(0.01):
            yield repeated
            continue
        ecid, visitor = visitors[int(dice.roll() ** 1.5 * len(visitors))]
        is_logged_in = dice.chance(0.35)
        repeated = _visit(dice, f"v-{number:07d}", ecid, visitor if is_logged_in else None, witness)
        yield repeated


def _visit(dice: _Dice, id: str, ecid: str, person: _Person | None, witness: Witness) -> str:
    crm_id = person.crm_id if person else None
    email = person.email if person and not crm_id else None
    witness.event(id, f"ECID:{ecid}", _named("crmId", crm_id), _named("Email", email))
    known = ""
    if namespace := "crmId" if crm_id else "Email" if email else "":
        known = (
            f',"{namespace}":[{{"id":"{crm_id or email}","authenticatedState":"authenticated"}}]'
        )
    page = dice.of(_PAGES)
    return (
        f'{{"_id":"{id}","timestamp":"{dice.instant()}","eventType":"web.pageViews",'
        f'"identityMap":{{"ECID":[{{"id":"{ecid}","primary":true}}]{known}}},'
        f'"web":{{"page":{{"name":"{page}","seconds":{1 + dice.whole(300)}}}}}}}\n'
    )


def _purchases(dice: _Dice, everyone: list[_Person], witness: Witness) -> Iterator[str]:
    """Purchases by the address on the receipt; one in a hundred was sent again, corrected."""
    buyers = [person for person in everyone if person.email or person.loyalty_email]
    customer: tuple[str, str | None] | None = None
    id = ""
    for number in range(int(len(everyone) * _PURCHASES_PER_PERSON)):
        if customer is None or not dice.chance(0.01):
            customer, id = _customer(dice, buyers, number), f"p-{number:07d}"
        email, loyalty_id = customer
        witness.event(id, f"Email:{email}", _named("loyaltyId", loyalty_id))
        yield _purchase(dice, id, email, loyalty_id)


def _customer(dice: _Dice, buyers: list[_Person], number: int) -> tuple[str, str | None]:
    """The address on the receipt, and the number of the card that was shown with it."""
    if not buyers or dice.chance(0.08):
        return f"guest{number}@example.org", None
    person = buyers[dice.whole(len(buyers))]
    email = person.email or person.loyalty_email
    if email is None:
        raise ValueError("a buyer has an address")
    return email, person.loyalty_id if dice.chance(0.5) else None


def _purchase(dice: _Dice, id: str, email: str, loyalty_id: str | None) -> str:
    items, total = [], 0.0
    for _ in range(1 + dice.whole(3)):
        sku, name, price = _GOODS[dice.whole(len(_GOODS))]
        quantity = 1 + dice.whole(3)
        total += quantity * price
        items.append(f'{{"SKU":"{sku}","name":"{name}","quantity":{quantity},"price":{price}}}')
    card = f'"{loyalty_id}"' if loyalty_id else "null"
    return (
        f'{{"_id":"{id}","timestamp":"{dice.instant()}","eventType":"commerce.purchases",'
        f'"customer":{{"email":"{email}","loyaltyId":{card}}},'
        f'"commerce":{{"order":{{"priceTotal":{total:.2f},"currencyCode":"EUR"}}}},'
        f'"productListItems":[{",".join(items)}]}}'
    )


def _named(namespace: str, value: str | None) -> str | None:
    return f"{namespace}:{value}" if value else None


def _as_list(rows: Iterator[str]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows):
        yield f",\n{row}" if number else row
    yield "]\n"


def _line(row: dict[str, object]) -> str:
    return json.dumps(row, separators=(",", ":")) + "\n"
