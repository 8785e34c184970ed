"""Runtime calls (state_call): structs as the runtime declares them, zero where this chain has nothing to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from subnet.chain.devnode.ledger.genesis import RAO
from subnet.chain.devnode.ledger.yuma import BONDS_MOVING_AVERAGE, KAPPA
from subnet.chain.devnode.runtime import stakes
from subnet.chain.devnode.runtime.block import Block
from subnet.chain.devnode.runtime.metadata import Metadata, compact
from subnet.chain.devnode.runtime.storage import IDENTITY, NAME, axon_struct
from subnet.chain.devnode.runtime.zeros import ZERO_ACCOUNT, Zeros

HYPERPARAMETERS: Mapping[str, str] = {
    **dict.fromkeys(("tempo", "kappa", "min_allowed_weights", "max_weights_limit", "immunity_period"), "U16"),
    **dict.fromkeys(("weights_version", "weights_rate_limit", "serving_rate_limit", "activity_cutoff"), "U64"),
    **dict.fromkeys(("registration_allowed", "commit_reveal_weights_enabled"), "Bool"),
    "max_validators": "U16",
    "commit_reveal_period": "U64",
}


OF_SUBNET = (
    *("subnet_info", "subnet_info_v2", "subnet_hyperparams", "subnet_hyperparams_v2"),
    *("dynamic_info", "subnet_state"),
)
OF_ALL = ("subnets_info", "subnets_info_v2", "all_dynamic_info", "all_metagraphs", "all_mechagraphs")

PLAIN: Mapping[str, Callable[[Block, bytes], Any]] = {
    "StakeInfoRuntimeApi_get_stake_info_for_coldkey": stakes.of_coldkey,
    "StakeInfoRuntimeApi_get_stake_info_for_coldkeys": stakes.of_coldkeys,
    "StakeInfoRuntimeApi_get_stake_info_for_hotkey_coldkey_netuid": stakes.of_position,
    "StakeInfoRuntimeApi_get_stake_availability_for_coldkeys": stakes.availability,
    "SwapRuntimeApi_current_alpha_price": stakes.price,
    "SwapRuntimeApi_current_alpha_price_all": stakes.prices,
    "SwapRuntimeApi_sim_swap_tao_for_alpha": stakes.swap,
    "SwapRuntimeApi_sim_swap_alpha_for_tao": stakes.swap,
}


def _plain(answer: Callable[[Block, bytes], Any]) -> Callable[[Block, int, bytes], Any]:
    return lambda block, type_id, params: answer(block, params)


class UnknownCall(Exception):
    """The runtime has no such API."""


class RuntimeCalls:
    """Answers state_call for a block."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._zeros = Zeros(metadata)
        self._api = metadata.runtime.runtime_api_map()
        self._calls: Mapping[str, Callable[[Block, int, bytes], Any]] = {
            "TransactionPaymentApi_query_info": self._fee,
            "SubnetInfoRuntimeApi_get_next_epoch_start_block": self._next_epoch,
            "SubnetInfoRuntimeApi_get_subnet_hyperparams_v3": self._hyperparameters,
            **{f"SubnetInfoRuntimeApi_get_{name}": self._of_subnet for name in OF_SUBNET},
            **{f"SubnetInfoRuntimeApi_get_{name}": self._of_all for name in OF_ALL},
            "SubnetInfoRuntimeApi_get_metagraph": self._metagraph,
            "SubnetInfoRuntimeApi_get_selective_metagraph": self._metagraph,
            "SubnetInfoRuntimeApi_get_mechagraph": self._mechagraph,
            "SubnetInfoRuntimeApi_get_selective_mechagraph": self._mechagraph,
            "NeuronInfoRuntimeApi_get_neurons": self._neurons,
            "NeuronInfoRuntimeApi_get_neurons_lite": self._neurons,
            "NeuronInfoRuntimeApi_get_neuron": self._neuron,
            "NeuronInfoRuntimeApi_get_neuron_lite": self._neuron,
            **{name: _plain(answer) for name, answer in PLAIN.items()},
        }

    def call(self, block: Block, name: str, params: bytes) -> bytes:
        """The SCALE result of the runtime API `name` ("Api_method"). Raises UnknownCall."""
        if name == "Metadata_metadata_at_version":
            raw = self._metadata.raw
            return b"\x01" + compact(len(raw)) + raw if params[:4] == (15).to_bytes(4, "little") else b"\x00"
        if name == "Metadata_metadata_versions":
            return compact(1) + (15).to_bytes(4, "little")
        api, _, method = name.partition("_")
        try:
            output = self._api[api][method]["output"]
        except KeyError as error:
            raise UnknownCall(name) from error
        type_id = int(output.split("::")[1]) if "::" in output else -1
        answer = self._calls.get(name)
        value = answer(block, type_id, params) if answer else self._zeros.zero(type_id) if type_id >= 0 else 0
        return bytes(self._metadata.runtime.encode(output, value))

    def _fee(self, block: Block, type_id: int, params: bytes) -> Any:
        return {"weight": {"ref_time": 1000, "proof_size": 0}, "class": "Normal", "partial_fee": 0}

    def _next_epoch(self, block: Block, type_id: int, params: bytes) -> Any:
        known = _u16(params) == block.state.netuid
        optional = "variant" in self._metadata.types[type_id]["def"] if type_id >= 0 else False
        return block.state.next_epoch() if known else (None if optional else 0)

    def _hyperparameters(self, block: Block, type_id: int, params: bytes) -> Any:
        if _u16(params) != block.state.netuid:
            return None
        values = _scalars(block)
        return [{"name": list(name.encode()), "value": {kind: values[name]}} for name, kind in HYPERPARAMETERS.items()]

    def _neurons(self, block: Block, type_id: int, params: bytes) -> Any:
        if _u16(params) != block.state.netuid:
            return []
        inner = self._zeros.element(type_id)
        return [self._neuron_struct(block, inner, uid) for uid in range(len(block.state.rows))]

    def _neuron(self, block: Block, type_id: int, params: bytes) -> Any:
        uid = _u16(params[2:])
        if _u16(params) != block.state.netuid or uid >= len(block.state.rows):
            return None
        return self._neuron_struct(block, self._zeros.content(type_id), uid)

    def _neuron_struct(self, block: Block, type_id: int, uid: int) -> dict[str, Any]:
        row = block.state.rows[uid]
        zero: dict[str, Any] = self._zeros.zero(type_id)
        known = {
            "hotkey": row.hotkey,
            "coldkey": row.coldkey,
            "uid": uid,
            "netuid": block.state.netuid,
            "active": row.active,
            "validator_permit": row.permit,
            "last_update": row.last_update,
            "stake": [(cold, alpha) for (hot, cold), alpha in block.state.positions.items() if hot == row.hotkey],
            "incentive": row.incentive,
            "dividends": row.dividends,
            "consensus": row.consensus,
            "validator_trust": row.validator_trust,
            "weights": list(row.weights),
            "bonds": list(row.bonds),
        }
        zero.update({name: value for name, value in known.items() if name in zero})
        if row.axon:
            zero["axon_info"] = axon_struct(row.axon)
        return zero

    def _mechagraph(self, block: Block, type_id: int, params: bytes) -> Any:
        return self._metagraph(block, type_id, params) if params[2] == 0 else None

    def _metagraph(self, block: Block, type_id: int, params: bytes) -> Any:
        if _u16(params) != block.state.netuid:
            return None
        return self._subnet(block, type_id)

    def _of_subnet(self, block: Block, type_id: int, params: bytes) -> Any:
        return self._subnet(block, type_id) if _u16(params) == block.state.netuid else None

    def _of_all(self, block: Block, type_id: int, params: bytes) -> Any:
        """Root is not modelled, so it is this subnet alone."""
        return [self._subnet(block, self._zeros.element(type_id))]

    def _subnet(self, block: Block, type_id: int) -> dict[str, Any]:
        """A struct about the subnet, or an option of one, with what this chain knows of its fields."""
        inner = self._zeros.content(type_id)
        values = self._zeros.filled(inner)  # all fields, whichever a client asks for: it may not expect gaps
        known = _scalars(block) | self._neuron_columns(block, inner)
        return values | {name: value for name, value in known.items() if name in values}

    def _neuron_columns(self, block: Block, struct: int) -> dict[str, list[Any]]:
        """One list per property of the neurons, for a struct that has such lists."""
        fields = self._zeros.fields(struct)
        if "hotkeys" not in fields:
            return {}
        column = self._zeros.content(fields["axons"]) if "axons" in fields else None
        return _columns(block, None if column is None else self._zeros.zero(self._zeros.element(column)))


def _u16(params: bytes) -> int:
    return int.from_bytes(params[:2], "little")


def _scalars(block: Block) -> dict[str, Any]:
    state, rules = block.state, block.state.rules
    return {
        "netuid": state.netuid,
        "name": list(NAME),
        "symbol": list("α".encode()),
        "block": block.number,
        "tempo": rules.tempo,
        "last_step": state.last_epoch_block,
        "blocks_since_last_step": block.number - state.last_epoch_block,
        "identity": IDENTITY,
        "owner_hotkey": rules.owner or ZERO_ACCOUNT,
        "owner_coldkey": state.owners.get(rules.owner, ZERO_ACCOUNT),
        "owner": state.owners.get(rules.owner, ZERO_ACCOUNT),
        "subnet_name": list(NAME),
        "token_symbol": list("α".encode()),
        "subnet_identity": IDENTITY,
        "subnetwork_n": len(state.rows),
        "max_allowed_uids": rules.max_uids,
        "max_allowed_validators": rules.max_validators,
        "kappa": KAPPA,
        "bonds_moving_avg": BONDS_MOVING_AVERAGE,
        "burn": round(rules.burn * RAO),
        "moving_price": {"bits": 1 << 32},
        "num_uids": len(state.rows),
        "max_uids": rules.max_uids,
        "max_validators": rules.max_validators,
        "registration_allowed": rules.registration,
        "weights_rate_limit": rules.weights_rate_limit,
        "weights_version": rules.version_key,
        "min_allowed_weights": rules.min_allowed_weights,
        "max_weights_limit": rules.max_weight_limit,
        "immunity_period": rules.immunity_period,
        "serving_rate_limit": rules.serving_rate_limit,
        "activity_cutoff": rules.activity_cutoff,
        "commit_reveal_weights_enabled": rules.commit_reveal,
        "commit_reveal_period": rules.reveal_period,
    }


def _columns(block: Block, no_axon: Any) -> dict[str, list[Any]]:
    rows = block.state.rows
    nothing = [0] * len(rows)
    unknown = (
        "pruning_score",
        "emission",
        "rank",
        "trust",
        "tao_stake",
        "collateral_locked",
        "collateral_min",
        "collateral_earned",
    )
    return {
        **dict.fromkeys(unknown, nothing),
        "hotkeys": [row.hotkey for row in rows],
        "coldkeys": [row.coldkey for row in rows],
        "identities": [None] * len(rows),
        "validators": [uid for uid, row in enumerate(rows) if row.permit],
        "axons": [axon_struct(row.axon) if row.axon else no_axon for row in rows],
        "active": [row.active for row in rows],
        "validator_permit": [row.permit for row in rows],
        "last_update": [row.last_update for row in rows],
        "block_at_registration": [row.registered_at for row in rows],
        "incentives": [row.incentive for row in rows],
        "dividends": [row.dividends for row in rows],
        "consensus": [row.consensus for row in rows],
        "alpha_stake": [row.stake for row in rows],
        "total_stake": [row.stake for row in rows],
    }
