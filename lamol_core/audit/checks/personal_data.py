"""Personal data: text that looks like e-mail addresses, phone numbers, payment cards, IBANs, IP
addresses or keys. They are found by their forms and check digits (phonenumbers, after Google's
libphonenumber; Luhn's, ISO/IEC 7812; ISO 13616; the issuers' own forms of keys).

    personal_share            share of rows with any of them
    replayed_personal_share   share of rows with one that also occurs in a real row of an earlier
                              task; None where the task's rows were forgotten
    rows_with_<kind>          number of rows with one of that kind

A phone number is found with its country code, or without one if it is written as in a country of
`phone_regions`. Rejected rows are searched too, because the shared table contains them. Texts are
normalised to NFKC, and invisible characters are removed.
"""

import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import ClassVar

from pydantic import field_validator

from lamol_core.audit.figures import share
from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Finding, SampledTask, TableOrigin
from lamol_core.config.section import Section
from lamol_core.records import Example, Flag, PseudoSample, all_texts
from lamol_core.text.normalise import without_unseen

EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
DIGITS = re.compile(r"\d(?:[ .-]?\d){12,}")
CARD = re.compile(r"[2-6]\d{12,18}")
MOST_GROUPS = 8
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", re.IGNORECASE)
IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\.\d)|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?![\w:]|\.\d)"
)
# Amazon, GitHub, OpenAI's kind, Stripe, Slack, Google; private keys in PEM; JSON web tokens
KEY = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|sk-[A-Za-z0-9_-]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|xox[abps]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}"
)


def cards(text: str) -> Iterator[str]:
    """Yield numbers with the first digit, length and check digit of a payment card. A number
    consists of whole groups of digits, so that an expiry date beside it does not become part of
    it."""
    for match in DIGITS.finditer(text):
        groups = re.findall(r"\d+", match.group())
        for first in range(len(groups)):
            numbers = list(accumulate(groups[first : first + MOST_GROUPS]))
            yield from [number for number in numbers if _is_card(number)][-1:]


def _is_card(number: str) -> bool:
    # late: see checks/__init__.py
    from stdnum import luhn

    return bool(CARD.fullmatch(number)) and len(set(number)) > 1 and luhn.is_valid(number)


def ibans(text: str) -> Iterator[str]:
    from stdnum import iban

    for match in IBAN.finditer(text):
        # the match may include the next word: the longest valid beginning is the number
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
    """Yield valid phone numbers as E.164: those with a country code, and those without one that
    are written as in a country of `regions`."""
    if sum(character.isdigit() for character in text) < 7:
        return
    import phonenumbers

    for region in regions or (None,):
        for match in phonenumbers.PhoneNumberMatcher(text, region):
            yield phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)


FINDERS: dict[str, Callable[[str], Iterable[str]]] = {
    "email": lambda text: map(str.casefold, EMAIL.findall(text)),
    "card": cards,
    "iban": ibans,
    "ip": ips,
    "key": KEY.findall,
}
REPLAYED = "replayed_"


def personal_data_in(text: str, phone_regions: Sequence[str]) -> set[tuple[str, str]]:
    """Return the kind and the canonical form of all personal data found in a text."""
    plain = without_unseen(unicodedata.normalize("NFKC", text))
    found = {(kind, value) for kind, find in FINDERS.items() for value in find(plain)}
    return found | {("phone", number) for number in phones(plain, phone_regions)}


class PersonalDataParams(Section):
    """What the search for personal data needs to know.

    Attributes:
        phone_regions: Countries whose phone numbers are found without a country code.
    """

    phone_regions: tuple[str, ...] = ("US",)

    @field_validator("phone_regions", mode="before")
    @classmethod
    def _countries(cls, value: object) -> object:
        """Convert country codes to upper case. False becomes NO: YAML 1.1 reads Norway's code as
        false. Raises ValueError for an unknown code."""
        if not isinstance(value, list | tuple):
            return value
        codes = tuple("NO" if code is False else str(code).upper() for code in value)
        if codes == ("US",):  # the default is known to be right: no library is imported for it
            return codes
        from phonenumbers import SUPPORTED_REGIONS

        if unknown := [code for code in codes if code not in SUPPORTED_REGIONS]:
            raise ValueError(f"{', '.join(unknown)}: not a country code of ISO 3166, like US or GB")
        return codes


class PersonalData(Check[PersonalDataParams]):
    name = "personal_data"
    title = "Does it contain personal data"
    about = "privacy"
    row_verdict = "personal"
    limits: ClassVar = {
        "personal_share": Limit(warn=0.0, fail=1.0),
        "replayed_personal_share": Limit(warn=0.0, fail=0.0),
    }
    Params = PersonalDataParams

    def num_rows(self, task: SampledTask, origin: TableOrigin) -> int:
        return len(task.drawn)

    def run(self, audited: Audited, params: PersonalDataParams) -> Finding:
        def found_in(row: PseudoSample | Example) -> set[tuple[str, str]]:
            return personal_data_in("\n".join(all_texts(row)), params.phone_regions)

        by_task, flags = {}, []
        found_by_task = {
            task.name: {s.row_id: values for s in task.drawn if (values := found_in(s))}
            for task in audited.tasks
        }
        real: set[tuple[str, str]] = set()
        if any(found_by_task.values()):
            rows = (row for task in audited.earlier for row in (*task.train, *task.held_out))
            real = real.union(*map(found_in, rows))
        for task in audited.tasks:
            size, found = len(task.drawn), found_by_task[task.name]
            num_replayed = sum(not values.isdisjoint(real) for values in found.values())
            for row_id, values in found.items():
                replayed = {kind for kind, _ in values & real}
                for kind in sorted({kind for kind, _ in values}):
                    reason = f"{REPLAYED}{kind}" if kind in replayed else kind
                    flags.append(Flag(row_id, task.name, self.name, reason))
            replayed_share = None if task.forgotten_on else share(num_replayed, size)
            by_task[task.name] = {
                "personal_share": share(len(found), size),
                "replayed_personal_share": replayed_share,
            }
        kinds = Counter(flag.reason.removeprefix(REPLAYED) for flag in flags)
        counted = {f"rows_with_{kind}": float(kinds[kind]) for kind in (*FINDERS, "phone")}
        return Finding(self.name, self.pooled(audited, by_task) | counted, by_task, flags)
