"""A gateway that is served on the loopback, over a validator's journal and real axons of miners that know a trick.

Here a picture is synthetic when it is redder than blue. Miners see that through their own eyes: some well, one at
random, one the wrong way round. What they said in the past is in the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp
import numpy as np
import structlog
from bittensor_core import Keypair

from neurons.chain_view import ChainView
from neurons.gateway.asking import Asking
from neurons.gateway.judgement.past import Past
from neurons.gateway.metrics import Metrics
from neurons.gateway.requests.around import PatientProtocol
from neurons.gateway.requests.fetching import Fetching
from neurons.gateway.requests.uploads import decoder
from neurons.gateway.server import Api, application, bodies
from neurons.gateway.service import Parts, Room, Service
from neurons.gateway.store.database import check
from neurons.gateway.store.jobs import Jobs
from neurons.gateway.store.keys import Keys, Scope
from neurons.gateway.store.opening import open_database
from neurons.gateway.store.repeats import Repeats
from neurons.gateway.webhooks import Webhooks
from neurons.gateway.worker import Worker
from neurons.signals import pause
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.codec.image import decode_image, encode_image
from subnet.codec.video import decode_video, encode_video
from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, OutcomeRecord, RoundRecord, outcomes
from subnet.evidence.state import State, StateStore
from subnet.game.scoring import settle
from subnet.types import Endpoint, Label, Media, Modality, Neuron, Prediction
from subnet.wire.admission import Policy
from subnet.wire.axon import AxonConfig, RequestHandler, Served
from subnet.wire.axon import application as axon_application
from subnet.wire.dendrite import Dendrite
from subnet.wire.http.server import RunningServer, serve
from subnet.wire.nonces import SqliteNonceStore

NETUID = 34
VALIDATOR = Keypair.create_from_uri("//gateway-validator")
MINERS = tuple(Keypair.create_from_uri(f"//gateway-miner{n}") for n in range(5))
SHARPNESS = (1.0, 1.0, 0.7, 0.0, -0.7)  # of what each miner says; the last says the opposite
LOG = structlog.get_logger()


def said(miner: int, synthetic: bool, noise: float) -> float:
    """P(synthetic) of a miner."""
    odds = SHARPNESS[miner] * (4.0 if synthetic else -4.0) + noise
    return float(1 / (1 + np.exp(-odds)))


def write_journal(path: Path, rounds: int = 60) -> Path:
    """What these miners said in the past, as their validator wrote it down."""
    rng = np.random.default_rng(0)
    journal = Journal(path)
    store = StateStore(journal)
    for number in range(rounds):
        label, modality = Label(int(rng.integers(2))), Modality.VIDEO if number % 3 == 2 else Modality.IMAGE
        rows = [
            OutcomeRecord(
                hotkey=MINERS[n].ss58_address, p_synthetic=said(n, label is Label.SYNTHETIC, 0.7 * rng.normal()),
                failure=None, latency=0.1, status=200, reason="", detector="colour", weights_hash=None, query="",
                score=0.0,
            )
            for n in rng.permutation(len(MINERS)).tolist()
        ]  # fmt: skip
        played = RoundRecord(
            number=number, block=1, modality=modality, label=label, origin="here", level=0, seed=number,
            provenance=None, void="", outcomes=tuple(rows),
        )  # fmt: skip
        history = settle(store.state.history, outcomes(played))
        assert store.write(ROUND, played, State(number + 1, history)) is None
    journal.close()
    return path


def picture(synthetic: bool, side: int = 320, seed: int = 0) -> bytes:
    """A JPEG."""
    return encode_image(Media(_frames(synthetic, 1, side, seed)), 92)


def clip(synthetic: bool, frames: int = 20, seed: int = 0) -> bytes:
    """An MP4."""
    return encode_video(Media(_frames(synthetic, frames, 128, seed), 25.0), 20)


def _frames(synthetic: bool, count: int, side: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 120, (count, side, side, 3), dtype=np.uint8)
    frames[..., 0 if synthetic else 2] += 100
    return frames


def looks_synthetic(body: bytes, modality: Modality) -> bool:
    media = decode_image(body) if modality is Modality.IMAGE else decode_video(body)
    red, _, blue = media.frames.reshape(-1, 3).mean(axis=0)
    return bool(red > blue)


@dataclass
class Miner:
    """One axon. `asked` are the bodies that it got; `broken` has it fail."""

    number: int
    server: RunningServer
    asked: list[bytes] = field(default_factory=list)
    broken: bool = False


@dataclass
class Rig:
    """A gateway and its surroundings. `ask` posts a file."""

    url: str
    session: aiohttp.ClientSession
    api: Api
    view: ChainView
    miners: list[Miner]
    journal: Path
    key: str
    folder: Path
    worker: Worker
    server: RunningServer

    def work(self) -> None:
        """Begin to answer jobs."""
        self.working = asyncio.create_task(self.worker.run())

    async def post(
        self, data: bytes, *, key: str | None = None, path: str = "/v1/detections", **headers: str
    ) -> Answer:
        form = aiohttp.FormData()
        form.add_field("file", data, filename="x", content_type="application/octet-stream")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("POST", path, key, data=form, headers=named)

    async def get(self, path: str, *, key: str | None = None) -> Answer:
        return await self.send("GET", path, key)

    async def send(
        self,
        method: str,
        path: str,
        key: str | None = None,
        data: object = None,
        headers: dict[str, str] | None = None,
        json: object = None,
    ) -> Answer:
        bearer = {"Authorization": f"Bearer {self.key if key is None else key}"} if key != "" else {}
        async with self.session.request(
            method, f"{self.url}{path}", data=data, json=json, headers={**bearer, **(headers or {})}
        ) as response:
            text = await response.text()
            told = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, told, await response.json(content_type=None) if text else {})

    def new_key(
        self, name: str, *, scopes: str = "image video", rate: float = 6000, quota: int = 10**6, hook: str = ""
    ) -> str:
        return self.api.keys.add(name, frozenset(map(Scope, scopes.split())), rate, quota, hook)[1]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    json: dict[str, object]

    def problem(self, status: int, kind: str) -> str:
        """The detail of a problem, whose form is checked."""
        told = self.json
        assert (self.status, told.get("type")) == (status, f"urn:assay:problem:{kind}"), told
        assert self.headers["content-type"] == "application/problem+json"
        assert told.keys() - {"retry_after"} == {"type", "title", "status", "detail", "request_id"}
        assert told["request_id"] == self.headers["x-request-id"]
        if status in (429, 503):
            assert int(self.headers["retry-after"]) == told["retry_after"] >= 1  # type: ignore[operator]
        return str(told["detail"])


@asynccontextmanager
async def gateway(folder: Path, journal: Path, *, seconds: float = 20.0, room: Room | None = None, most: int = 2**20, schemes: tuple[str, ...] = (),
                  wrap: Callable[[Dendrite], Dendrite] = lambda dendrite: dendrite) -> AsyncIterator[Rig]:  # fmt: skip
    """Everything that `assay gateway` runs, but for the chain, which is in memory."""
    neurons = (GenesisNeuron(VALIDATOR.ss58_address, "v", 5000.0),
               *(GenesisNeuron(key.ss58_address, f"cold{n // 2}") for n, key in enumerate(MINERS)))  # fmt: skip
    subnet = MemorySubnet(Genesis(NETUID, neurons, Rules(allow_loopback=True)))
    await subnet.advance(21)
    async with AsyncExitStack() as stack:
        miners = [await _miner(stack, folder, number) for number in range(len(MINERS))]
        for miner, key in zip(miners, MINERS, strict=True):
            await MemoryChain(subnet, key.ss58_address).serve(Endpoint("127.0.0.1", miner.server.port))
        view = ChainView(MemoryChain(subnet, VALIDATOR.ss58_address), LOG)
        await view.refresh()
        database = open_database(folder)
        stack.callback(database.close)
        executor = stack.enter_context(ThreadPoolExecutor(2))
        dendrite = await stack.enter_async_context(Dendrite(VALIDATOR, local=True, fresh=True))
        metrics = Metrics()
        asking = Asking(wrap(dendrite), executor, count=3, seconds=seconds, rate=1000, tell=metrics.reply)
        stack.push_async_callback(asking.close)
        clips = decoder(children=1)
        stack.callback(clips.close)
        past = Past(journal, stake_limit=1000.0)
        parts = Parts(VALIDATOR.ss58_address, view, past, asking, clips, executor, check=partial(check, database))
        service = Service(parts, LOG, room or Room(4, 64))
        await service.refresh()
        jobs, repeats = Jobs(database, keep=3600, of_key=2, most=3), Repeats(database, keep=3600)
        metrics.watch(service.faults, jobs.waiting)
        api = Api(
            service,
            Keys(database),
            jobs,
            repeats,
            bodies(),
            Fetching(schemes, most, local=True, seconds=2.0),
            most,
            asyncio.Event(),
            metrics,
            LOG,
        )
        webhooks = Webhooks(7, LOG, pauses=(0.05,))
        stack.push_async_callback(webhooks.close)
        worker = Worker(service, jobs, api.keys, repeats, webhooks, api.wake, LOG)
        server = await serve(application(api), "127.0.0.1", 0, protocol=PatientProtocol, flags="--gateway.")
        stack.push_async_callback(server.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        rig = Rig(f"http://127.0.0.1:{server.port}", session, api, view, miners, journal, "", folder, worker, server)
        rig.work()
        stack.callback(lambda made: made.working.cancel(), rig)
        rig.key = rig.new_key("test", scopes="image video answers")
        yield rig


async def _miner(stack: AsyncExitStack, folder: Path, number: int) -> Miner:
    store = SqliteNonceStore(folder / f"nonces-{number}.db")
    stack.callback(store.close)
    metagraph = {VALIDATOR.ss58_address: Neuron(0, VALIDATOR.ss58_address, "v", 5000.0, permit=True)}

    async def answer(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        miner.asked.append(body)
        if miner.broken:
            raise OSError("this miner is broken")
        return Prediction(said(number, looks_synthetic(body, modality), 0.1))

    served = {modality: Served("colour", "") for modality in Modality}
    policy = Policy(min_stake=10.0, rate=1000.0, burst=1000.0)
    handler = RequestHandler(AxonConfig(MINERS[number], lambda: metagraph, store, answer, served, policy))
    server = await serve(axon_application(handler), "127.0.0.1", 0, drain=handler.drain)
    stack.push_async_callback(server.stop)
    miner = Miner(number, server)
    return miner


async def until(done: Callable[[], Awaitable[bool]], patience: float = 30.0) -> None:
    """Wait for something that takes a moment."""
    stop = asyncio.Event()
    ends = asyncio.get_running_loop().time() + patience
    while not await done():
        assert asyncio.get_running_loop().time() < ends, "it never came"
        await pause(stop, 0.02)
