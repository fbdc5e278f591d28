"""Personal data: what looks like e-mail addresses, phone numbers, payment cards, IBANs, IP
addresses or keys, by their forms and check digits (phonenumbers, after Google's libphonenumber;
Luhn's, ISO/IEC 7812; ISO 13616; the issuers' own forms of keys).

    personal_share            rows with any of them
    replayed_personal_share   rows with one that stands in a real row of any earlier task too: a
                              replay; None where the task's rows were forgotten
    rows_with_<kind>          rows with one of that kind

Phone numbers: with a country's code, or as the countries of `phone_regions` write them. All rows of
the table are looked at, those that were rejected too: they are shared with it. Texts are read as
NFKC, without characters that are not seen.
"""

import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import ClassVar

from pydantic import field_validator

from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Finding, Flag, Origin, SampledTask
from lamol_core.config.section import Section
from lamol_core.records import Example, PseudoSample
from lamol_core.text.normalise import without_unseen

EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
DIGITS = re.compile(r"\d(?:[ .-]?\d){12,}")
CARD_LENGTHS = range(13, 20)
MOST_GROUPS = 8
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", re.IGNORECASE)
IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\.\d)|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?![\w:]|\.\d)"
)
KEY = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|sk-[A-Za-z0-9_-]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|xox[abps]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}"
)
"""Amazon, GitHub, OpenAI's kind, Stripe, Slack, Google; private keys in PEM; JSON web tokens."""


def emails(text: str) -> Iterator[str]:
    return map(str.casefold, EMAIL.findall(text))


def cards(text: str) -> Iterator[str]:
    """Numbers with the first digit, length and check digit of a card's. They begin and end where a
    group of digits does: what stands before and after, an expiry date, is another group."""
    for match in DIGITS.finditer(text):
        groups = re.findall(r"\d+", match.group())
        for first in range(len(groups)):
            last = min(first + MOST_GROUPS, len(groups))
            numbers = ["".join(groups[first:end]) for end in range(first + 1, last + 1)]
            found = [number for number in numbers if _is_card(number)]
            yield from found[-1:]


def _is_card(number: str) -> bool:
    # late: see checks/__init__.py
    from stdnum import luhn

    return (
        len(number) in CARD_LENGTHS
        and number[0] in "23456"
        and len(set(number)) > 1
        and luhn.is_valid(number)
    )


def ibans(text: str) -> Iterator[str]:
    from stdnum import iban

    for match in IBAN.finditer(text):
        # the run may go on into the next word: the longest valid beginning is the number
        compact = match.group().replace(" ", "").upper()
        valid = (compact[:n] for n in range(len(compact), 14, -1) if iban.is_valid(compact[:n]))
        yield from list(valid)[:1]


def ips(text: str) -> Iterator[str]:
    for match in IP.finditer(text):
        try:
            address = ipaddress.ip_address(match.group())
        except ValueError:
            continue
        if any(character.isdigit() for character in match.group()):  # "::" is punctuation
            yield str(address)


def phones(text: str, regions: Sequence[str]) -> Iterator[str]:
    """Numbers with a country's code, and without it those of these countries; valid ones only."""
    if sum(character.isdigit() for character in text) < 7:
        return
    import phonenumbers

    for region in regions or (None,):
        for match in phonenumbers.PhoneNumberMatcher(text, region):
            yield phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)


FINDERS: dict[str, Callable[[str], Iterable[str]]] = {
    "email": emails,
    "card": cards,
    "iban": ibans,
    "ip": ips,
    "key": KEY.findall,
}
PHONE = "phone"
REPLAYED = "replayed_"


def personal_data_in(text: str, phone_regions: Sequence[str]) -> set[tuple[str, str]]:
    """Kind and canonical form of all that is found in a text."""
    plain = without_unseen(unicodedata.normalize("NFKC", text))
    found = {(kind, value) for kind, find in FINDERS.items() for value in find(plain)}
    return found | {(PHONE, number) for number in phones(plain, phone_regions)}


class PersonalDataParams(Section):
    """`phone_regions`: countries whose phone numbers are known without their country's code."""

    phone_regions: tuple[str, ...] = ("US",)

    @field_validator("phone_regions", mode="before")
    @classmethod
    def _countries(cls, value: object) -> object:
        """Upper case; YAML 1.1 reads Norway's code as false."""
        if not isinstance(value, list | tuple):
            return value
        codes = tuple("NO" if one is False else str(one).upper() for one in value)
        if codes == ("US",):  # the usual one takes no library to check
            return codes
        from phonenumbers import SUPPORTED_REGIONS

        unknown = [code for code in codes if code not in SUPPORTED_REGIONS]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: no country of ISO 3166 in two letters, like US or GB"
            )
        return codes


class PersonalData(Check[PersonalDataParams]):
    name = "personal_data"
    title = "Does it name people"
    limits: ClassVar = {
        "personal_share": Limit(warn=0.0, fail=1.0),
        "replayed_personal_share": Limit(warn=0.0, fail=0.0),
    }
    Params = PersonalDataParams

    def num_rows(self, task: SampledTask, origin: Origin) -> int:
        return len(task.drawn)

    def run(self, audited: Audited, params: PersonalDataParams) -> Finding:
        by_task, flags = {}, []
        find = partial(personal_data_in, phone_regions=params.phone_regions)
        values_by_task = {
            task.name: {s.row_id: values for s in task.drawn if (values := find(_whole(s)))}
            for task in audited.tasks
        }
        real: set[tuple[str, str]] = set()
        if any(values_by_task.values()):
            rows = [row for task in audited.tasks for row in (*task.train, *task.held_out)]
            real = {value for row in rows for value in find(_whole(row))}
        for task in audited.tasks:
            found = values_by_task[task.name]
            num_replayed = sum(not values.isdisjoint(real) for values in found.values())
            for row_id, values in found.items():
                again = {kind for kind, _ in values & real}
                for kind in sorted({kind for kind, _ in values}):
                    reason = f"{REPLAYED}{kind}" if kind in again else kind
                    flags.append(Flag(row_id, task.name, self.name, reason))
            size = len(task.drawn)
            by_task[task.name] = {
                "personal_share": len(found) / size if size else None,
                "replayed_personal_share": (
                    num_replayed / size if size and not task.forgotten_on else None
                ),
            }
        kinds = Counter(flag.reason.removeprefix(REPLAYED) for flag in flags)
        counted = {f"rows_with_{kind}": float(kinds[kind]) for kind in (*FINDERS, PHONE)}
        return Finding(self.name, self.pooled(audited, by_task) | counted, by_task, flags)


def _whole(row: PseudoSample | Example) -> str:
    return f"{row.input}\n{row.target}"
