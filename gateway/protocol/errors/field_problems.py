"""What pydantic finds wrong with a field, as a sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SENTENCES: Mapping[str, str] = {
    "missing": "is missing; it has no default",
    "extra_forbidden": "is no known name",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number, such as 3",
    "int_parsing": "must be a whole number, such as 3",
    "int_from_float": "must be a whole number, such as 3",
    "float_type": "must be a number, such as 1.5",
    "float_parsing": "must be a number, such as 1.5",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": 'must be text, such as "words"',
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "must have {max_length} characters or less",
    "string_pattern_mismatch": "must have the form {pattern}",
    "too_short": "must have {min_length} entries or more",
    "too_long": "must have {max_length} entries or less",
    "list_type": "must be a list, such as [a, b]",
    "tuple_type": "must be a list, such as [a, b]",
    "dict_type": "must be a map, such as {{name: value}}",
    "model_type": "must be a map, such as {{name: value}}",
    "model_attributes_type": "must be a map, such as {{name: value}}",
    "path_type": "must be the path of a file",
    "ip_any_network": "must be a network, such as 10.0.3.0/24",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "json_invalid": "is no valid JSON: {error}",
}
"""By pydantic's type of the error; its context fills in the bounds."""


def field_problem(item: Mapping[str, Any]) -> str:
    """One of the errors that `ValidationError.errors` lists, without the field's name and value.

    Where a validator of ours raised it, its own words.
    """
    sentence, context = SENTENCES.get(item["type"]), item.get("ctx", {})
    if context.get("min_length") == 1:
        return "must not be empty"
    if sentence is not None:
        try:
            return sentence.format(**{name: _plain(value) for name, value in context.items()})
        except (KeyError, ValueError):
            pass
    message = str(item["msg"]).removeprefix("Value error, ")
    return message.replace("Input should be", "must be").replace("Input should", "must")


def _plain(value: Any) -> Any:
    """A bound as people write it: 316224000, not 3.16224e+08."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else f"{value:g}"
    return value


def field_name(item: Mapping[str, Any]) -> str:
    """The place of the field, with a dot between two levels; empty for the whole."""
    return ".".join(str(part) for part in item["loc"])
