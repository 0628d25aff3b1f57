# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What AutoFlow writes into reports, in the languages that it knows.

A table of our own: babel is 10 MB and knows the months, but none of the other words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """The words of one language."""

    months: str
    """Names, with blanks between them."""
    date: str
    """Day, month and year."""
    month: str
    """Month and year."""
    contents: str
    figure: str
    table: str
    page: str
    """How the line begins that goes on with a page's number."""
    of: str
    """What stands between a page's number and how many there are."""
    reference_date: str
    generated: str
    contact: str
    show_code: str
    provisional: str
    missing: str
    """How many days of how many are missing."""
    first: str = ""
    """What the first day of a month has behind its number."""
    right_to_left: bool = False


LANGUAGES: Mapping[str, Words] = {
    "en": Words(
        months="January February March April May June July August September October November December",
        date="{day} {month} {year}",
        month="{month} {year}",
        contents="Contents",
        figure="Figure",
        table="Table",
        page="Page",
        of="of",
        reference_date="Reference date",
        generated="Generated",
        contact="Contact",
        show_code="Show code",
        provisional="Provisional",
        missing="{missing} of {days} days missing",
    ),
    "fr": Words(
        months="janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        date="{day} {month} {year}",
        month="{month} {year}",
        contents="Sommaire",
        figure="Figure",
        table="Tableau",
        page="Page",
        of="sur",
        reference_date="Date de référence",
        generated="Généré le",
        contact="Contact",
        show_code="Afficher le code",
        provisional="Provisoire",
        missing="{missing} jours sur {days} manquants",
        first="er",
    ),
    "es": Words(
        months="enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        date="{day} de {month} de {year}",
        month="{month} de {year}",
        contents="Índice",
        figure="Figura",
        table="Tabla",
        page="Página",
        of="de",
        reference_date="Fecha de referencia",
        generated="Generado el",
        contact="Contacto",
        show_code="Mostrar el código",
        provisional="Provisional",
        missing="faltan {missing} de {days} días",
    ),
    "pt": Words(
        months="janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        date="{day} de {month} de {year}",
        month="{month} de {year}",
        contents="Índice",
        figure="Figura",
        table="Tabela",
        page="Página",
        of="de",
        reference_date="Data de referência",
        generated="Gerado em",
        contact="Contacto",
        show_code="Mostrar o código",
        provisional="Provisório",
        missing="faltam {missing} de {days} dias",
        first="º",
    ),
    "ar": Words(
        months="يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
        date="{day} {month} {year}",
        month="{month} {year}",
        contents="المحتويات",
        figure="الشكل",
        table="الجدول",
        page="صفحة",
        of="من",
        reference_date="التاريخ المرجعي",
        generated="أُنشئ في",
        contact="للاتصال",
        show_code="إظهار الشيفرة",
        provisional="مؤقت",
        missing="{missing} من {days} يومًا مفقودة",
        right_to_left=True,
    ),
}

DEFAULT = "en"


def date_text(date: dt.date, language: str) -> str:
    """Write a date as people write it in a language."""
    words = LANGUAGES[language]
    day = f"{date.day}{words.first}" if date.day == 1 else str(date.day)
    return words.date.format(day=day, month=_name(words, date), year=date.year)


def month_text(date: dt.date, language: str) -> str:
    """Write the month that a date is in."""
    words = LANGUAGES[language]
    return words.month.format(month=_name(words, date), year=date.year)


def _name(words: Words, date: dt.date) -> str:
    return words.months.split()[date.month - 1]


def moment_text(moment: dt.datetime, language: str) -> str:
    """Write a moment, in UTC."""
    utc = moment.astimezone(dt.UTC)
    return f"{date_text(utc.date(), language)}, {utc:%H:%M} UTC"
