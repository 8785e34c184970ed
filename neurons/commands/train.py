"""`assay train`: train a detector on what validators ask, and go on after any interruption."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from neurons import settings as s
from neurons.datasets.no_trace import make_folder, no_trace
from neurons.progress import LogLines, warn
from neurons.ray_cluster import JOB, JobSettings, joined_for
from neurons.recipes import choice as recipes
from neurons.recipes.flags import Choice, Course, Data, Flag
from subnet.errors import SettingsError
from subnet.types import Modality

if TYPE_CHECKING:
    from detectors.training.batches import BatchPlan
    from detectors.training.loop import Progress as Step
    from detectors.training.loop import Training, TrainingResult

ITEMS = {Modality.IMAGE: 300, Modality.VIDEO: 40}  # real ones of the embedded set, each with its twins
FITTED = "detectors.training.fitting:train_fitted"  # a head on a network, whose weights may be given


DATA, COURSE, CHOICE = Data(), Course(), Choice()


def train(
    detector: str | None = None,
    *,
    data: Data = DATA,
    course: Course = COURSE,
    choice: Choice = CHOICE,
    out: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    ray: JobSettings = JOB,
    resume: Flag = False,
    json: s.Json = False,
) -> None:
    """Train DETECTOR on real media and synthetic twins, as validators show them; the best weights are kept.

    With --ray.address a Ray cluster computes the features of a frozen tower, with the same rows:
    pip install 'assay-subnet[ray]'.

    Parameters
    ----------
    detector
        A detector of `assay detectors` that is trained by itself, by default that of --recipe; or what comes before
        one: ucf-plain (ucf starts with it by itself), autoencoder-reconstruction, cnn-residual and its like,
        tall-stills (on images; give its weights to tall with --init); or another way to one: npr-adversarial,
        temporal-d3, temporal-order. Trained on clips: frames, tall, temporal-lstm, temporal-3d, temporal-trajectory,
        temporal-d3, temporal-order; all others on images.
    out
        Folder for the weights and the state of the run; by default runs/train-DETECTOR.
    seed
        Same seed and data: same weights, on one machine.
    device
        auto, cpu, cuda or cuda:N.
    resume
        Go on with the run in --out, with the same flags.
    """
    detector = recipes.trained(detector, choice)
    folder = (out or Path("runs") / f"train-{detector}").expanduser()
    modality = _modality(detector)
    weights = _weights(folder, detector, resume)
    recipes.check_cluster(ray, detector)
    recipes.check_tower(choice, detector)
    if choice.tower is None:
        _check_weights(detector, course)
    place = s.device(device)
    from detectors.training.ranks import here, told
    from neurons.datasets.exclusion import check_excluded
    from neurons.datasets.leak_gate import check_leaks

    rank = here(place)
    with no_trace(folder):
        make_folder(folder)
        learn, judge = told(lambda: _folders(detector, data, choice, modality, folder, seed, place), rank)
        if rank.leads:
            parts = {data.data: learn, data.validation or f"the validation part of {data.data}": judge}
            check_excluded(data.exclude, parts, modality, warn)
            check_leaks(learn, modality, force=data.force, tell=warn)
            recipes.check_data(choice, learn, data.data)
        settings = _settings(detector, data, course, choice, (learn, judge, weights), seed, place)
        if rank.leads:
            recipes.tell_estimate(choice, settings)
        outcome = _run(settings, ray, quiet=not rank.leads)
    if rank.leads:
        _tell(detector, outcome, recipes.judged_as(outcome.weights, choice), json)


def _settings(
    detector: str,
    data: Data,
    course: Course,
    choice: Choice,
    places: tuple[Path, Path, Path],
    seed: int,
    device: str,
) -> Training:
    """The run that the flags ask for; `places` are what to learn from, what to judge by, and the weights to write."""
    from detectors.training.loop import Training

    learn, judge, weights = places
    return Training(
        detector,
        learn,
        weights,
        validation=judge,
        seed=seed,
        steps=course.steps,
        learning_rate=course.learning_rate,
        exclude=data.exclude,
        init=course.init or _start(detector),
        experts=course.experts,
        size=course.size,
        network={**(course.arguments or {}), **choice.arguments} or None,
        half=choice.tower is None,  # a tower stays as its folder has it
        plan=_plan(detector, course, choice),
        memory=data.memory,
        features=recipes.features_folder(data, detector, weights.parent),
        device=device,
        precision=course.precision or ("bf16" if device.startswith("cuda") else "no"),
        patience=course.patience,
        workers=course.workers,
    )


def _check_weights(detector: str, course: Course) -> None:
    """Read the weights that are given, and build the network, before any data are made.

    Raises CheckpointError naming the file, SettingsError for arguments of the network.
    """
    given = [*([course.init] if course.init else []), *(path for _, path in course.experts)]
    if given:
        from detectors.checkpoints import locate, read

        for path in given:
            read(locate(path))
    if course.init or course.network:
        from detectors.public_checkpoints import load_into
        from detectors.training.fitting import body
        from detectors.training.loop import Training
        from detectors.training.networks import arguments, build
        from detectors.training.recipes import recipe

        chosen = recipe(detector)
        wanted = Training(detector, Path(), Path(), size=course.size, network=course.arguments)
        network = build(chosen, arguments(chosen, 1, course.size, course.arguments))
        if course.init and chosen.trainer == FITTED:
            body(replace(wanted, init=course.init), chosen)
        elif course.init and not chosen.trainer:  # which looks itself at what it starts from
            load_into(network, course.init, detector)


def _modality(detector: str) -> Modality:
    from detectors import TABLE
    from detectors.training.recipes import RECIPES, recipe

    if detector in TABLE and detector not in RECIPES:
        raise SettingsError(f"{detector} is not trained by itself; there are {', '.join(RECIPES)}")
    return recipe(detector).family.modality


def _weights(folder: Path, detector: str, resume: bool) -> Path:
    """The file to write. Raises SettingsError where a run would be overwritten, or is not there to go on with."""
    weights = folder / f"{detector}.safetensors"
    states = run_states(folder, detector)
    if resume and not states:
        raise SettingsError(f"--resume: {folder} holds no run of {detector} to go on with")
    if not resume and (states or weights.is_file()):
        raise SettingsError(f"--out {folder}: holds a run of {detector}; go on with --resume, or name another folder")
    return weights


def run_states(folder: Path, detector: str) -> list[Path]:
    """States of a run of `detector` and of what comes first in it; not those of a detector whose name goes on."""
    from detectors.training.recipes import RECIPES

    longer = tuple(name for name in RECIPES if name.startswith(f"{detector}-"))
    states = folder.glob(f"{detector}*.state.safetensors")
    return [state for state in states if not (longer and state.name.startswith(longer))]


def _folders(
    detector: str, wanted: Data, choice: Choice, modality: Modality, out: Path, seed: int, device: str
) -> tuple[Path, Path]:
    """The folders to train on and to judge by."""
    from detectors.training.recipes import recipe
    from neurons.datasets.learning import Learning, learning_folders

    count, motion = wanted.items or ITEMS[modality], recipe(detector).motion
    asked = Learning(wanted.data, wanted.validation, modality, count, wanted.twins, seed, motion)
    home, chosen = s.home() / "data", recipes.chosen_recipe(choice)
    if not (chosen and chosen.twins):
        return learning_folders(asked, home, out / "data", device=device, tell=warn)
    from neurons.recipes.twins import Plan, autoencoders, twin_folders

    plan = Plan(autoencoders(choice.autoencoder, warn), 1, seed, device)
    return twin_folders(asked, plan, home, out / "data", warn)


def _plan(detector: str, course: Course, choice: Choice) -> BatchPlan | None:
    """The recipe's examples with what flags and recipes of the field change; None where they are the recipe's own."""
    from detectors.training.recipes import recipe

    given = recipes.plan_changes(choice, course)
    return replace(recipe(detector).plan_for(course.size), **given) if given else None


def _start(detector: str) -> Path | None:
    """The embedded weights that the recipe begins with, where they are."""
    from detectors import TABLE
    from detectors.checkpoints import HERE
    from detectors.training.recipes import recipe

    begin = recipe(detector).init
    path = HERE / TABLE[begin].weights if begin else None
    return path if path is not None and path.is_file() else None


def _run(settings: Training, job: JobSettings, quiet: bool) -> TrainingResult:
    from detectors.training.loop import train as learn

    try:
        if quiet:
            return learn(settings)
        tell = cache(warn)
        with _watching(settings.detector) as report:
            if job.address:
                _gather(settings, job, report, tell)
            return learn(settings, report, tell)
    except KeyboardInterrupt:
        folder = settings.out.parent
        kept = any(folder.glob("*.state.safetensors"))
        how = f"go on with --resume --out {folder}" if kept else "nothing was kept yet: start again"
        print(f"assay: stopped; {how}", file=sys.stderr)
        raise


def _gather(settings: Training, job: JobSettings, report: Callable[[Step], None], tell: Callable[[str], None]) -> None:
    """Have a cluster compute features before a head is fitted on them."""
    with joined_for(job, spare=1.0):
        from detectors.cluster.features import gather
        from detectors.cluster.flow import Crew

        placed = replace(settings, device="cuda") if job.gpus else settings
        gather(placed, Crew(job.replicas, job.cpus, job.gpus), report, tell)


@contextmanager
def _watching(name: str) -> Iterator[Callable[[Step], None]]:
    """A bar with loss, best AUC so far and the time left, on standard error."""
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task, tell_log = progress.add_task("loading", total=None), LogLines(name)

        def report(step: Step) -> None:
            tell_log("step", step.step, step.steps)
            best = "" if step.best is None else f"  best {step.measure} {step.best:.3f}"
            minutes, seconds = divmod(round(step.seconds_left), 60)
            loss = f"loss {step.losses['loss']:.3f}{best}  " if step.losses else ""
            text = f"{loss}{minutes}:{seconds:02d} left"
            progress.update(task, completed=step.step, total=step.steps, description=text)
            if step.auc is not None:
                progress.console.print(f"step {step.step}: validation {step.measure} {step.auc:.4f}", highlight=False)

        yield report


def _tell(detector: str, outcome: TrainingResult, judge: str, json: bool) -> None:
    from detectors.training.recipes import recipe

    facts = {"weights": str(outcome.weights), "sha256": outcome.sha256, "auc": outcome.auc, "steps": outcome.steps}
    if json:
        print(jsonlib.dumps({**facts, "best_step": outcome.best_step, "history": outcome.history}))
        return
    measure = recipe(detector).measure_name
    print(f"{outcome.weights}  validation {measure} {outcome.auc:.4f} at step {outcome.best_step} of {outcome.steps}")
    if measure == "AUC":  # and not how well a picture is made again
        print(f"measure it: assay evaluate {judge} --data embedded:test")
