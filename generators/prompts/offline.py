"""Prompts without a model: a grammar of everyday photographs. Deterministic by `rng`; no names, nobody in particular.

Seven kinds of scene, each with its own subjects, doings and places, in one of several turns of phrase and with light,
weather, lens and mood that fit. Over a million different prompts; `count` says exactly how many skeletons there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generators.prompts.motion import with_motion
from subnet.types import Modality


@dataclass(frozen=True)
class Scene:
    """One kind of picture: what is in it, what that does, and where."""

    subjects: tuple[str, ...]
    doings: tuple[str, ...]
    places: tuple[str, ...]


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|"))


SCENES = {
    "animal": Scene(
        _list(
            "a tabby cat|a grey heron|two brown horses|a border collie|a red squirrel|a flock of pigeons|a small owl|"
            "a green lizard|a bumblebee|an old donkey|a group of ducks|a white goat|a snail|a spotted cow|a young fox"
        ),
        _list("resting|looking into the lens|drinking water|walking slowly|turning its head|half hidden|in mid-step"),
        _list(
            "in tall grass|on a stone wall|beside a pond|in a farmyard|under an oak|on a wooden fence|in light snow|"
            "among fallen leaves|on a sandy path|in a city park"
        ),
    ),
    "person": Scene(
        _list(
            "an elderly man with a cap|a woman with curly hair|a boy in a raincoat|a cyclist|a market seller|"
            "a gardener|two friends|a carpenter|a girl with freckles|a street musician|"
            "a cook in an apron|a nurse|a fisherman"
        ),
        _list(
            "smiling|reading|waiting|laughing at a joke|carrying a basket|looking away|working with both hands|resting"
        ),
        _list(
            "at a bus stop|in a small kitchen|in front of a brick wall|on a park bench|in a workshop|on a busy square|"
            "by a window|on a pier|in a library|at a market stall|in a greenhouse"
        ),
    ),
    "food": Scene(
        _list(
            "a bowl of noodle soup|a slice of plum cake|fresh bread|a plate of grilled vegetables|ripe tomatoes|"
            "a cup of coffee|pancakes with berries|a whole fish|sliced oranges|a cheese board|dumplings|a green salad"
        ),
        _list("steaming|just served|half eaten|arranged with care|sprinkled with herbs|cut open|in a deep bowl"),
        _list(
            "on a wooden table|on a checked cloth|on a marble counter|in a street kitchen|beside an open window|"
            "on a tin tray|in a café|on a picnic blanket"
        ),
    ),
    "street": Scene(
        _list(
            "a narrow alley|a tram|a row of parked bicycles|an old cinema|a corner shop|a crossing|a yellow taxi|"
            "a covered market|an iron bridge|a staircase|a newspaper stand|a delivery van"
        ),
        _list(
            "nearly empty|full of people|after the rain|seen from above|under repair|with long shadows|at closing time"
        ),
        _list(
            "in an old town|in a harbour district|between office towers|on a steep hill|near a railway station|"
            "in a quiet suburb|along a canal|on a wide avenue"
        ),
    ),
    "land": Scene(
        _list(
            "a mountain lake|a field of barley|sand dunes|a birch forest|a rocky coast|a river bend|a vineyard|"
            "a frozen pond|rolling hills|a waterfall|a salt marsh|a mossy boulder|a lone pine"
        ),
        _list(
            "wrapped in mist|under heavy clouds|in full bloom|dusted with snow|at low tide|after a storm|in dry heat"
        ),
        _list(
            "with distant peaks|with a gravel path|with a small hut|with birds overhead|with a wooden jetty|"
            "with grazing sheep|with reeds in front|with a far village"
        ),
    ),
    "room": Scene(
        _list(
            "a living room with an armchair|a workshop bench|a tiled bathroom|a reading corner|an attic bedroom|"
            "a laundry room|a school classroom|a stairwell|a pantry shelf|a desk with papers|a hallway with coats"
        ),
        _list("a little untidy|freshly painted|full of plants|nearly bare|in warm colours|with worn floorboards"),
        _list(
            "in an old farmhouse|in a city flat|in a wooden cabin|in a converted factory|in a terraced house|"
            "on a houseboat|in a village school"
        ),
    ),
    "thing": Scene(
        _list(
            "a chipped enamel mug|a bunch of keys|an analogue camera|a leather boot|a ball of wool|a rusty padlock|"
            "a glass bottle|a folded map|a wind-up clock|a toy car|a paintbrush|a pair of spectacles|a woven basket"
        ),
        _list("lying on its side|covered in dust|catching the light|in sharp focus|worn by use|wrapped in paper"),
        _list(
            "on a windowsill|on rough concrete|on a linen cloth|on a workbench|in dry grass|on a stack of books|"
            "against a plain wall|on wet stones"
        ),
    ),
}
LIGHTS = _list(
    "soft morning light|harsh midday sun|overcast light|golden evening light|a single lamp|neon light|backlight|"
    "light through blinds|blue dusk|candlelight"
)
LENSES = _list(
    "close-up|wide shot|shallow depth of field|telephoto view|seen from a low angle|eye-level shot|slightly tilted|"
    "macro detail|photographed through glass|film grain"
)
MOODS = _list("calm|lively|melancholy|cheerful|lonely|busy|tender|austere|nostalgic|quiet")
PHRASES = (
    "A photograph of {subject}, {doing}, {place}, {light}, {lens}",
    "{Subject} {place}, {doing}; {light}, {mood} mood",
    "{Lens}: {subject} {place}, {doing}, in {light}",
    "Documentary photo, {subject} {doing} {place}, {mood}, {light}",
    "{Subject}, {doing}, {place}. {Light}, {lens}, a {mood} scene",
    "Snapshot of {subject} {place}, {mood} and {doing}, {lens}",
)


def prompt(rng: np.random.Generator, modality: Modality = Modality.IMAGE) -> str:
    """One prompt; for video with a sentence of motion."""
    scene = SCENES[_pick(tuple(SCENES), rng)]
    parts = {
        "subject": _pick(scene.subjects, rng),
        "doing": _pick(scene.doings, rng),
        "place": _pick(scene.places, rng),
        "light": _pick(LIGHTS, rng),
        "lens": _pick(LENSES, rng),
        "mood": _pick(MOODS, rng),
    }
    phrase = _pick(PHRASES, rng)
    capital = {name.capitalize(): text[0].upper() + text[1:] for name, text in parts.items()}
    text = phrase.format(**parts, **capital)
    return with_motion(text, rng) if modality is Modality.VIDEO else text


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
