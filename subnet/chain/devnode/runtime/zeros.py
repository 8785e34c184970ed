"""Values of registry types with nothing in them, to be filled with what this chain knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import bittensor_core

from subnet.chain.devnode.runtime.metadata import SS58_FORMAT, Metadata

ZERO_ACCOUNT = bittensor_core.ss58_encode(bytes(32), SS58_FORMAT)


class Zeros:
    """Zeros of a runtime's types, by their ids."""

    def __init__(self, metadata: Metadata) -> None:
        self._types = metadata.types

    def zero(self, type_id: int) -> Any:
        """The zero of a registry type: false, 0, "", empty, None, or a struct of zeros."""
        row = self._types[type_id]
        kind, body = next(iter(row["def"].items()))
        path = row.get("path", [])
        if path in (["Option"], ["BTreeMap"]):
            return None if path == ["Option"] else {}
        if path[-1:] == ["AccountId32"]:
            return ZERO_ACCOUNT
        zeros: Mapping[str, Callable[[Any], Any]] = {
            "primitive": lambda name: {"bool": False, "str": ""}.get(name, 0),
            "compact": lambda inner: self.zero(inner["type"]),
            "sequence": lambda inner: [],
            "array": self._array,
            "tuple": lambda parts: tuple(self.zero(part) for part in parts),
            "variant": self._variant,
            "composite": lambda struct: self._struct(struct.get("fields", [])),
        }
        return zeros[kind](body)

    def filled(self, type_id: int) -> dict[str, Any]:
        """The zero of a struct whose optional fields are all there."""
        return {name: self.zero(self.content(field)) for name, field in self.fields(type_id).items()}

    def fields(self, type_id: int) -> dict[str, int]:
        """Names and types of a struct's fields."""
        return {field["name"]: int(field["type"]) for field in self._types[type_id]["def"]["composite"]["fields"]}

    def content(self, type_id: int) -> int:
        """The type inside an Option; any other as it is."""
        row = self._types[type_id]
        if row.get("path") != ["Option"]:
            return type_id
        return int(row["def"]["variant"]["variants"][1]["fields"][0]["type"])

    def element(self, type_id: int) -> int:
        """The type of a sequence's elements."""
        return int(self._types[type_id]["def"]["sequence"]["type"])

    def _array(self, body: Mapping[str, Any]) -> Any:
        if self._types[body["type"]]["def"].get("primitive") == "u8":
            return "0x" + "00" * body["len"]
        return [self.zero(body["type"])] * body["len"]

    def _variant(self, body: Mapping[str, Any]) -> Any:
        first = body["variants"][0]
        return {first["name"]: self.zero(first["fields"][0]["type"])} if first.get("fields") else first["name"]

    def _struct(self, fields: list[Mapping[str, Any]]) -> Any:
        if len(fields) == 1 and not fields[0].get("name"):
            return self.zero(fields[0]["type"])
        return {field["name"]: self.zero(field["type"]) for field in fields}
