"""Mistakes at the command line: a status, one clear line, and never a traceback.

What `main` makes of words is looked at in this process; of every kind of mistake one in a process of its own.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurons.cli import COMMANDS, main
from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron
from tests.places import ROOT
from tests.unit.neurons.running import Assay, Ran

MINER = (
    "miner",
    "--netuid",
    "34",
    "--local",
    "--axon.ip",
    "127.0.0.1",
    "--detector.image",
    "constant",
    "--detector.video",
    "constant-video",
)
ABSENT = "ws://127.0.0.1:9"  # the discard port: nobody listens

USAGE = [
    (("localnett",), 'Did you mean "localnet"'),
    (("localnet", "--rounds", "many"), "--rounds"),
    (("localnet", "--rounds", "0"), "--rounds"),
    *(
        (("localnet", "--rounds", text), f'--rounds: unable to convert "{text}"')
        for text in ("1.5", "2.0", "1e3", "0x10", "1_0")
    ),
    (("validator", "--netuid", "34", "--neuron.sample_size", "1.5"), "--neuron.sample_size"),
    (("evaluate", "npr", "--limit", "2.5"), "--limit"),
    (("miner", "--wrong", "1"), "Unknown option: --wrong"),
    (("miner", "--netuidd", "34"), "assay: Unknown option: --netuidd. Did you mean --netuid?"),
    (("localnet", "--kill", "nobody"), "there are npr"),
    (("miner",), "--netuid"),
    (("miner", "--netuid", "34", "--axon.prt", "1"), "--axon.port"),
    (("miner", "--netuid", "34"), "--axon.external_ip is needed"),
    (("miner", "--netuid", "34", "--axon.port", "70000"), "--axon.port"),
    (("miner", "--netuid", "34", "--axon.ip", "here"), "--axon.ip"),
    (("miner", "--netuid", "34", "--detector.image", "nprr"), "did you mean npr"),
    (("miner", "--netuid", "34", "--detector.image", "frames"), "does not answer images"),
    (("miner", "--netuid", "34", "--detector.device", "cuda:0,gpu1"), "--detector.device must be auto, cpu"),
    (("miner", "--config", "/does/not/exist.toml"), "--config"),
    (("validator", "--netuid", "34", "--subtensor.chain_endpoint", "http://node"), "ws://"),
    (("validator", "--netuid", "34", "--neuron.timeout", "0"), "--neuron.timeout"),
    (("validator", "--netuid", "34", "--logging.level", "loud"), "--logging.level"),
    (("producer", "--plan", "/does/not/exist.toml"), "cannot be read"),
    (("producer", "--split", "tset"), 'Did you mean "test"'),
    (("evaluate", "nprr"), "did you mean npr"),
    (("replay", "/does/not/exist.db"), "not a file"),
]


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Assay:
    """`assay` in this process, which has its libraries."""
    return Assay(capfd)


def assay(*words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "neurons", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, env=dict(os.environ))


def told(done: subprocess.CompletedProcess[str] | Ran) -> str:
    """The one line of the error; other lines of standard error are the program's log."""
    printed = done.err if isinstance(done, Ran) else done.stderr
    assert "Traceback" not in printed, printed[-2000:]
    lines = [line for line in printed.splitlines() if line.startswith("assay: ")]
    assert len(lines) == 1, printed[-2000:]
    return lines[0]


@pytest.mark.parametrize(("words", "said"), USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_wrong_flags_and_names(words: tuple[str, ...], said: str, here: Assay) -> None:
    """Status 2, and one line that names the flag or the nearest name."""
    done = here(*words)
    assert said in told(done)
    assert (done.status, done.out) == (2, "")


@pytest.mark.parametrize("words", [("localnett",), ("miner", "--wrong", "1"), ("evaluate", "nprr")], ids=" ".join)
def test_a_process_ends_as_its_command(words: tuple[str, ...], here: Assay) -> None:
    """A word, a flag and a name that are wrong: the status and the line of `main` are those of the process."""
    done, known = assay(*words), here(*words)
    assert (told(done), done.returncode, done.stdout) == (told(known), known.status, known.out)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command's help is there, and says more than its name."""
    with pytest.raises(SystemExit) as ended:
        sys.exit(main([name, "--help"]))
    assert not ended.value.code
    shown = capsys.readouterr().out
    assert "Usage: assay" in shown
    assert len(shown.splitlines()) > 5


HELP = """
import contextlib, io, sys
from neurons.cli import COMMANDS, main
for name in COMMANDS:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([name, "--help"])
print(*sorted({module.split(".")[0] for module in sys.modules}))
"""


def test_help_imports_nothing_heavy() -> None:
    """The help of all commands together loads neither torch nor the chain's client, nor what comes with them."""
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True, timeout=120)
    heavy = {"torch", "bittensor", "diffusers", "transformers", "onnxruntime", "fastapi", "matplotlib", "sklearn"}
    assert heavy & set(done.stdout.split()) == set()


LIGHT = {
    "a wrong command": ("from neurons.cli import main\nmain(['localnett'])", {"torch", "bittensor", "av", "numpy"}),
    "a wrong flag of the miner": (
        "from neurons.cli import main\nmain(['miner', '--wrong', '1'])",
        {"torch", "bittensor", "av"},
    ),
    "a miner that guesses": (
        "import neurons.miner.run\nfrom neurons.miner.loading import load_detectors\n"
        "from neurons.miner.settings import DetectorSettings\nload_detectors(DetectorSettings('random', 'constant-video'))",
        {"torch", "onnxruntime"},
    ),
}


@pytest.mark.parametrize("case", LIGHT)
def test_what_needs_no_library_loads_none(case: str) -> None:
    """A mistake is told before torch, the chain's client or the codecs are loaded; guessers are served without torch."""
    words, heavy = LIGHT[case]
    code = f"import atexit, sys\natexit.register(lambda: print(*sys.modules))\n{words}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr
    assert "neurons" in done.stdout.split()
    assert heavy & set(done.stdout.split()) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_quick(name: str) -> None:
    """Less than a second of processor time from a fresh interpreter to the help's last line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert assay(name, "--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


@pytest.mark.parametrize("installed", [True, False], ids=["installed", "source"])
def test_the_version_is_told(installed: bool) -> None:
    """`--version` says that of pyproject.toml, also from a source tree that is not installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    hidden = "import importlib.metadata as m\ndef gone(name): raise m.PackageNotFoundError(name)\nm.version = gone\n"
    code = f"{'' if installed else hidden}from neurons.cli import main\nmain(['--version'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == project["version"]


def test_a_plan_that_is_not_one(tmp_path: Path, here: Assay) -> None:
    """A plan with a key missing, or one that is not TOML, is named with what is wrong."""
    plan = tmp_path / "plan.toml"
    plan.write_text("total = 5\n")
    assert "weights" in told(here("producer", "--plan", plan))
    plan.write_text("total = \n")
    done = here("validator", "--netuid", "34", "--plan", plan)
    assert str(plan) in told(done)
    assert done.status == 2


def test_a_journal_that_is_not_one(tmp_path: Path) -> None:
    """Damaged state ends with status 3 and names the file."""
    journal = tmp_path / "journal.db"
    journal.write_bytes(b"this is no database" * 100)
    done = assay("replay", str(journal))
    assert str(journal) in told(done)
    assert done.returncode == 3


def test_no_wallet(tmp_path: Path) -> None:
    """A missing hotkey is named with its path and the command that makes one."""
    done = assay(*MINER, "--wallet.path", str(tmp_path / "wallets"))
    assert str(tmp_path / "wallets") in told(done)
    assert "btcli wallet" in told(done)
    assert done.returncode == 2


def test_a_chain_that_is_dead(tmp_path: Path) -> None:
    """The miner says that the chain does not answer, goes on trying, and ends without a traceback when asked to."""
    wallet_from_seed("w", tmp_path, "cli")
    words = [*MINER, "--wallet.path", str(tmp_path), "--wallet.name", "w", "--subtensor.chain_endpoint", ABSENT]
    process = subprocess.Popen(
        [sys.executable, "-m", "neurons", *words], stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stderr is not None
    with process:
        line = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)[1]
    assert "the chain does not answer yet" in line
    assert "127.0.0.1:9" in line
    assert "Traceback" not in rest


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A development chain with the wallet "known" on subnet 34, and the folder of the wallets."""
    folder = tmp_path_factory.mktemp("chain")
    known = wallet_from_seed("known", folder, "cli").hotkey.ss58_address
    wallet_from_seed("stranger", folder, "cli")
    (folder / "genesis.json").write_text(Genesis(34, (GenesisNeuron(known, known),)).to_json())
    words = [
        "-m",
        "subnet.chain.devnode",
        "--genesis",
        str(folder / "genesis.json"),
        "--port",
        "0",
        "--block-ms",
        "250",
    ]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        ready, endpoint = process.stdout.readline().split()
        assert ready == "READY"
        yield endpoint, folder
        process.terminate()


def on(chain: tuple[str, Path], wallet: str) -> tuple[str, ...]:
    endpoint, folder = chain
    return ("--subtensor.chain_endpoint", endpoint, "--wallet.path", str(folder), "--wallet.name", wallet)


def test_a_port_that_is_taken(chain: tuple[str, Path]) -> None:
    """An occupied port is named with the flag that changes it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        done = assay(*MINER, *on(chain, "known"), "--axon.port", number)
    assert f"port {number} on 127.0.0.1 is occupied" in told(done)
    assert "--axon.port" in told(done)
    assert done.returncode == 2


@pytest.mark.parametrize("program", [MINER, ("validator", "--netuid", "34")], ids=["miner", "validator"])
def test_a_hotkey_that_is_not_registered(chain: tuple[str, Path], program: tuple[str, ...], tmp_path: Path) -> None:
    """The command that registers is told."""
    done = assay(*program, *on(chain, "stranger"), "--state", str(tmp_path))
    assert "btcli subnets register" in told(done)
    assert done.returncode == 2


def test_a_subnet_that_is_not_there(chain: tuple[str, Path], here: Assay) -> None:
    """doctor tells a wrong --netuid from a dead chain, with status 1."""
    where = ("--clock_url", "http://127.0.0.1:9", "--axon.port", "0", *on(chain, "known"))
    done = here("doctor", "--netuid", "35", *where)
    assert "no subnet 35" in done.out
    assert done.status == 1
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["ASSAY_MINER_NETUID", "BT_AXON_PORT"])
def test_variables_are_no_less_strict(name: str, here: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.5 is not rounded to 2, whatever name it comes by."""
    monkeypatch.setenv("ASSAY_MINER_NETUID", "34")
    monkeypatch.setenv(name, "1.5")
    assert f'{name} from env: unable to convert "1.5"' in told(here("miner"))


def test_files_are_no_less_strict(tmp_path: Path, here: Assay) -> None:
    """A number of the file that is not whole is named with its place."""
    (tmp_path / "flags.toml").write_text("[localnet]\nrounds = 1.5\n")
    said = told(here("localnet", "--config", tmp_path / "flags.toml"))
    assert "[rounds] from" in said
    assert 'unable to convert "1.5"' in said


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends a command with status 130, without a traceback."""
    words = ["dataset", str(tmp_path), "--count", "1000", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "neurons", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    with process:
        ends = time.monotonic() + 90
        while not list(tmp_path.rglob("*.png")) and time.monotonic() < ends:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
