"""The JSON-RPC methods that answer from the chain alone. Subscriptions and submissions are in `server.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from subnet.chain.devnode.node.chain import DevChain, StateDiscarded, UnknownBlock
from subnet.chain.devnode.runtime.block import Block
from subnet.chain.devnode.runtime.calls import RuntimeCalls, UnknownCall
from subnet.chain.devnode.runtime.metadata import SPEC_VERSION, SS58_FORMAT, TRANSACTION_VERSION
from subnet.chain.devnode.runtime.storage import Storage

INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_ERROR, INVALID_TRANSACTION = -32602, -32601, -32000, 1010


class RpcError(Exception):
    """A JSON-RPC error answer."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code, self.data = code, data

    def answer(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": str(self)}
        return error if self.data is None else error | {"data": self.data}


def header(block: Block) -> dict[str, Any]:
    """A block header as nodes print it; roots are not computed."""
    roots = dict.fromkeys(("stateRoot", "extrinsicsRoot"), "0x" + "00" * 32)
    return {"parentHash": "0x" + block.parent.hex(), "number": hex(block.number), "digest": {"logs": []}, **roots}


class Queries:
    """Answers read requests by method name."""

    def __init__(self, chain: DevChain) -> None:
        self._chain = chain
        self._storage = Storage(chain.metadata)
        self._runtime = RuntimeCalls(chain.metadata)
        self._methods: Mapping[str, Callable[[list[Any]], Any]] = {
            "chain_getBlockHash": self._block_hash,
            "chain_getHead": self._block_hash,
            "chain_getFinalizedHead": lambda params: chain.finalized.hex,
            "chain_getFinalisedHead": lambda params: chain.finalized.hex,
            "chain_getHeader": lambda params: header(self._block(params, 0)),
            "chain_getBlock": self._whole_block,
            "state_getRuntimeVersion": lambda params: VERSION,
            "state_call": self._call,
            "state_getStorage": self._stored,
            "state_getStorageAt": self._stored,
            "state_queryStorageAt": self._stored_many,
            "state_getKeysPaged": self._keys,
            "account_nextIndex": lambda params: chain.next_nonce(params[0]),
            "system_accountNextIndex": lambda params: chain.next_nonce(params[0]),
            "system_chain": lambda params: "Assay development chain",
            "system_properties": lambda params: PROPERTIES,
            "system_health": lambda params: {"peers": 0, "isSyncing": False, "shouldHavePeers": False},
            "rpc_methods": lambda params: {"methods": sorted(self._methods)},
            "dev_faults": lambda params: asdict(chain.faults),
            "dev_publishRound": lambda params: chain.beacon.publish(int(params[0]), params[1]),
        }

    def answer(self, method: str, params: list[Any]) -> Any:
        """The result of a request. Raises RpcError."""
        known = self._methods.get(method)
        if known is None:
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {method}")
        try:
            return known(params)
        except StateDiscarded as error:
            raise RpcError(
                4003, "Client error: Api called for an unknown Block", f"State already discarded for {error}"
            ) from error
        except UnknownBlock as error:
            raise RpcError(
                SERVER_ERROR, f"Client error: UnknownBlock: Header was not found in the database: {error}"
            ) from error
        except UnknownCall as error:
            raise RpcError(SERVER_ERROR, f"Client error: Exported method {error} is not found") from error
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise RpcError(INVALID_PARAMS, f"Invalid params for {method}: {error}") from error

    def _block(self, params: list[Any], position: int) -> Block:
        return self._chain.block(params[position] if len(params) > position else None)

    def _block_hash(self, params: list[Any]) -> str | None:
        if not params or params[0] is None:
            return self._chain.head.hex
        number = params[0] if isinstance(params[0], int) else int(params[0], 0)
        found = self._chain.hash_of(number)
        return None if found is None else "0x" + found.hex()

    def _whole_block(self, params: list[Any]) -> dict[str, Any]:
        block = self._block(params, 0)
        body = ["0x" + extrinsic.raw.hex() for extrinsic in block.extrinsics]
        return {"block": {"header": header(block), "extrinsics": body}, "justifications": None}

    def _call(self, params: list[Any]) -> str:
        data = _hex(params[1]) if params[1:] and params[1] else b""
        return "0x" + self._runtime.call(self._block(params, 2), params[0], data).hex()

    def _stored(self, params: list[Any]) -> str | None:
        return self._value(self._block(params, 1), params[0])

    def _value(self, block: Block, key: str) -> str | None:
        value = self._storage.read(block, _hex(key))
        return None if value is None else "0x" + value.hex()

    def _stored_many(self, params: list[Any]) -> list[dict[str, Any]]:
        block = self._block(params, 1)
        return [{"block": block.hex, "changes": [[key, self._value(block, key)] for key in params[0]]}]

    def _keys(self, params: list[Any]) -> list[str]:
        start = _hex(params[2]) if params[2:] and params[2] else None
        keys = self._storage.keys(self._block(params, 3), _hex(params[0]), start, int(params[1]))
        return ["0x" + key.hex() for key in keys]


def _hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


VERSION = {
    "specName": "node-subtensor",
    "implName": "node-subtensor",
    "specVersion": SPEC_VERSION,
    "implVersion": 1,
    "authoringVersion": 1,
    "transactionVersion": TRANSACTION_VERSION,
    "stateVersion": 1,
    "apis": [],
}
PROPERTIES = {"ss58Format": SS58_FORMAT, "tokenDecimals": 9, "tokenSymbol": "TAO"}
