"""Adjustments of spent money by operators: of one generation, or of an end user's day whose records are purged."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from service.domain.described import Date
from service.domain.field_types import MoneyOrZero, SignedMoney

_Text = StringConstraints(min_length=1, max_length=500, strip_whitespace=True)


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise PydanticCustomError("day", 'must be a day like "2026-01-31"') from None


@dataclass(frozen=True, slots=True)
class Correction:
    """A signed change of spent money. ``amount``: micro-USD, not 0."""

    amount: int
    operator: str
    reason: str


class Adjustment(BaseModel):
    """Body of an adjustment: ``generation_id``, or ``tenant_id``, ``end_user`` and ``day``. Money in micro-USD."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    generation_id: Annotated[
        str | None, Field(description="An ended generation whose record is kept; its cost changes.")
    ] = None
    tenant_id: Annotated[str | None, Field(description="With `end_user` and `day`, where the record is purged.")] = None
    end_user: Annotated[
        str | None, Field(pattern="^eu_[0-9a-f]{32}$", description="The end user's pseudonym, as in `/v1/usage`.")
    ] = None
    day: Annotated[
        Annotated[Date, AfterValidator(_day)] | None,
        Field(description="The day (UTC) on which the generation was created: `2026-01-31`."),
    ] = None
    amount_usd: Annotated[SignedMoney, Field(description='Added to the cost; `"-1.50"` takes 1.50 US dollars off.')]
    expected_usd: Annotated[
        MoneyOrZero,
        Field(
            description="The cost before it: of the generation, or what the end user has spent of that day. Another "
            "cost is a 409, so a call that is sent twice adjusts once."
        ),
    ]
    operator: Annotated[str, _Text, Field(description="Who adjusts; it goes into the ledger.")]
    reason: Annotated[str, _Text, Field(description="Why; it goes into the ledger.")]

    @model_validator(mode="after")
    def _names_one_subject(self) -> Self:
        of_a_day = [value is not None for value in (self.tenant_id, self.end_user, self.day)]
        if any(of_a_day) != all(of_a_day) or all(of_a_day) == (self.generation_id is not None):
            raise PydanticCustomError("one_of", "must have either generation_id, or tenant_id, end_user and day")
        return self

    @property
    def correction(self) -> Correction:
        return Correction(self.amount_usd, self.operator, self.reason)


ADJUSTMENT: Final = TypeAdapter(Adjustment)
