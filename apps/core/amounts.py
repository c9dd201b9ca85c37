"""Amounts of money between minor units, as they are kept, and whole ones, as people write them."""

import re
from collections.abc import Mapping
from decimal import Decimal

from apps.core.rules import MAX_INTEGER


def _codes(text: str) -> list[str]:
    return text.split()


EXPONENTS: Mapping[str, int] = {
    **dict.fromkeys(_codes("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"), 0),
    **dict.fromkeys(_codes("BHD IQD JOD KWD LYD OMR TND"), 3),
    **dict.fromkeys(_codes("CLF UYW"), 4),
    **dict.fromkeys(
        _codes(
            "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF"
            " CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL"
            " HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU"
            " MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD"
            " SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH"
            " USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"
        ),
        2,
    ),
}
"""Digits after the point of every currency of ISO 4217 that has a minor unit."""


class TooLargeError(ValueError):
    """An amount that is one, and larger than can be kept."""


PLAIN = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?")
LARGE = re.compile(r"[0-9]{17,}(\.[0-9]*)?")
GROUPED = re.compile(r",(?=\d{3}(\D|$))")
USUAL_EXPONENT = 2


def exponent_of(currency: str) -> int:
    """Digits after the point of a currency; two where it is not known."""
    return EXPONENTS.get(currency.upper(), USUAL_EXPONENT)


def plain_number(text: str) -> Decimal:
    """``1,240.50`` as people write it, without a sign. Raises ValueError."""
    plain = GROUPED.sub("", text.strip())
    if LARGE.fullmatch(plain):
        raise TooLargeError(f"too large: {text}")
    if not PLAIN.fullmatch(plain):
        raise ValueError(f"no value: {text}")
    return Decimal(plain)


def minor_of(text: str, currency: str) -> int:
    """``1,240.50`` of ``EUR`` in minor units: 124050.

    Raises TooLargeError for what cannot be kept.
    Raises ValueError for more digits than the currency has, zeros too: ``20.000`` may be meant for twenty thousand.
    """
    found = plain_number(text)
    digits = exponent_of(currency)
    if found != round(found, digits) or len(text.strip().partition(".")[2]) > digits:
        raise ValueError(f"{text} has more digits than {currency}")
    minor = int(found.scaleb(digits))
    if minor > MAX_INTEGER:
        raise TooLargeError(f"too large: {text}")
    return minor


def whole_text(minor: int, currency: str) -> str:
    """124050 of ``EUR`` as a form begins with it: ``1240.50``."""
    return f"{Decimal(minor).scaleb(-exponent_of(currency)):f}"
