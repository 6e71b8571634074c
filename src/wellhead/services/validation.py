"""Input that is wrong in ways only a source can tell, named field by field."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from wellhead.domain.errors import InvalidInputError

Model = TypeVar("Model", bound=BaseModel)


class InvalidFieldsError(InvalidInputError):
    """Several fields are wrong; `problems` are (dotted location, message)."""

    def __init__(self, message: str, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__(message, field=problems[0][0] if problems else None)
        self.problems = problems


def valid_config(model: type[Model], values: dict[str, Any]) -> Model:
    """Return the config as its model; InvalidFieldsError names what is wrong."""
    return _valid(model, values, kind="config", location="body.config")


def valid_credentials(model: type[Model], values: dict[str, Any]) -> Model:
    """Return the credentials as their model; the error never repeats a value."""
    return _valid(
        model, values, kind="auth", location="body.authentication.credentials"
    )


def _valid(
    model: type[Model], values: dict[str, Any], *, kind: str, location: str
) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [
            (".".join(str(step) for step in one["loc"]), one["msg"])
            for one in error.errors(
                include_url=False, include_context=False, include_input=False
            )
        ]
        listed = "; ".join(f"{where}: {what}" for where, what in problems)
        raise InvalidFieldsError(
            f"Invalid {kind} fields: {listed}",
            tuple((f"{location}.{where}", what) for where, what in problems),
        ) from None
